"""Whether a file may enter, decided before anybody relies on it (kiểm tra tệp trước khi ký).

Two profiles. A file handed in is kept byte for byte and others' signatures in it are verified and shown. A file to be
signed may hold nothing that changes what the page shows later: no encryption, no scripts, no earlier signatures, no
hidden revisions; what can be mended is rewritten into one clean revision before its first signature.
"""

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import pikepdf
from pyhanko.pdf_utils.generic import ArrayObject, DictionaryObject, IndirectObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields

from signing.contract import LintLimits, LintProfile, LintReport, Problem, SignatureVerdict, Trust
from signing.pdf import findings, pages
from signing.pdf.embedded import is_unsigned
from signing.pdf.fields import count_pages, counts_are_true
from signing.pdf.files import Draft, read
from signing.pdf.reading import QuickReader, look, open_for_reading
from signing.pdf.verify import verify_bytes

_HEADER: Final = re.compile(rb"%PDF-(\d)\.(\d)")
_SCRIPTS: Final = frozenset({"/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/Rendition", "/Sound", "/Movie"})
_FONT_FILES: Final = ("/FontFile", "/FontFile2", "/FontFile3")
_EVERYWHERE: Final = frozenset(
    {f"{family}{style}" for family in ("Helvetica", "Courier") for style in ("", "-Bold", "-Oblique", "-BoldOblique")}
    | {f"Times-{style}" for style in ("Roman", "Bold", "Italic", "BoldItalic")}
    | {"Symbol", "ZapfDingbats"}
)
_DEPTH: Final = 40


def lint(source: str, profile: LintProfile, limits: LintLimits, *, at: datetime, trust: Trust) -> LintReport:
    """Return the report on a file; only a file that is not there raises."""
    return _lint_bytes(read(source), profile, limits, at, trust)


def repair(source: str, target: str, limits: LintLimits, *, at: datetime) -> LintReport:
    """Rewrite a file into one clean revision and lint the result as one to be signed."""
    before = lint(source, "to_sign", limits, at=at, trust=Trust())
    if not before.accepted and not before.repairable:
        return before
    with Draft(target) as draft:
        wrong = _rewrite(source, draft.path) or pages.difference(source, draft.path)
        if wrong is not None:
            return LintReport(accepted=False, problems=(wrong,))
        after = lint(draft.path, "to_sign", limits, at=at, trust=Trust())
        if after.accepted:
            draft.keep()
    return LintReport(
        accepted=after.accepted,
        problems=after.problems,
        repaired=after.accepted,
        pages=after.pages,
        pdf_version=after.pdf_version,
        pdfa=after.pdfa,
    )


def _rewrite(source: str, target: str) -> Problem | None:
    try:
        with warnings.catch_warnings(action="ignore"), pikepdf.open(source) as document:
            if not len(document.pages):
                return findings.NO_PAGES
            document.save(
                target,
                object_stream_mode=pikepdf.ObjectStreamMode.disable,
                deterministic_id=True,
                linearize=False,
                preserve_pdfa=True,
            )
            return None
    except (pikepdf.PdfError, pikepdf.DataDecodingError, RuntimeError, ValueError, OverflowError) as error:
        return findings.unreadable(error)


def _lint_bytes(data: bytes, profile: LintProfile, limits: LintLimits, at: datetime, trust: Trust) -> LintReport:
    if len(data) > limits.max_bytes:
        return _refuse(findings.too_large(limits.max_bytes))
    if b"%PDF-" not in data[:1024]:
        return _refuse(findings.NOT_A_PDF)
    try:
        reader = open_for_reading(data) if profile == "handed_in" else QuickReader(data, strict=True)
        try:
            if reader.encrypted:
                return _refuse(findings.ENCRYPTED)
            return _Inspection(data, reader, profile, limits, at, trust).report()
        finally:
            reader.let_go()
    except Exception as error:  # noqa: BLE001  hostile files raise anything
        return _broken(data, profile, error)


def _refuse(*problems: Problem, repairable: bool = False) -> LintReport:
    return LintReport(accepted=False, problems=problems, repairable=repairable)


def _broken(data: bytes, profile: LintProfile, error: Exception) -> LintReport:
    """Report on a file that a strict reader does not take: encrypted, signed, mendable, or beyond help."""
    if re.search(rb"/Encrypt\s*(\d+\s+\d+\s+R|<<)", data):
        return _refuse(findings.ENCRYPTED)
    if re.search(rb"/ByteRange\s*\[", data):
        return _refuse(findings.BROKEN_AND_SIGNED)
    if profile == "handed_in":
        try:
            with pikepdf.open(io.BytesIO(data)) as document:
                pages = len(document.pages)
        except (pikepdf.PdfError, RuntimeError, ValueError) as deeper:
            return _refuse(findings.unreadable(deeper))
        if not pages:
            return _refuse(findings.NO_PAGES)
        return LintReport(accepted=True, problems=(findings.damaged(error),), pages=pages, pdf_version=_version(data))
    return _refuse(findings.damaged(error), repairable=True)


def _version(data: bytes) -> str:
    match = _HEADER.search(data[:1024])
    return f"{int(match[1])}.{int(match[2])}" if match else ""


class _Inspection:
    """One readable file under one profile."""

    def __init__(
        self, data: bytes, reader: PdfFileReader, profile: LintProfile, limits: LintLimits, at: datetime, trust: Trust
    ) -> None:
        self.data = data
        self.reader: Any = reader
        self.root: Any = reader.root
        self.profile = profile
        self.limits = limits
        self.at = at
        self.trust = trust

    def report(self) -> LintReport:
        refused: list[Problem] = []
        mendable: list[Problem] = []
        if int(self.reader.trailer["/Size"]) > self.limits.max_objects:
            return _refuse(findings.TOO_MANY_OBJECTS)
        pages = count_pages(self.reader)
        if not 0 < pages <= self.limits.max_pages:
            refused.append(findings.NO_PAGES if not pages else findings.too_many_pages(self.limits.max_pages))
        foreign = self._foreign(refused)
        to_sign = self.profile == "to_sign"
        told: list[Problem] = []
        if to_sign:
            active, told = self._active()
            refused += active
            mendable += self._hidden()
            self._walk(pages)
        must_mend = to_sign and self.reader.xrefs.hybrid_xrefs_present
        accepted = not refused and not must_mend
        return LintReport(
            accepted=accepted,
            problems=(*refused, *mendable, *told),
            repairable=not refused and bool(mendable),
            pages=pages,
            pdf_version=".".join(map(str, self.reader.input_version)),
            foreign_signatures=foreign,
            pdfa=self._pdfa(),
        )

    def _foreign(self, refused: list[Problem]) -> tuple[SignatureVerdict, ...]:
        """Verify others' signatures; a prepared, never signed field is a refusal, and so is signing over others'."""
        filled: list[Any] = [value for _, value, _ in enumerate_sig_fields(self.reader, filled_status=True)]
        certified = "/Perms" in self.root and bool(self.root["/Perms"])
        if not filled and not certified:
            return ()
        if any(is_unsigned(value.get_object()) for value in filled):
            refused.append(findings.PREPARED_ONLY)
            return ()
        verdict = verify_bytes(self.data, self.trust, at=self.at)
        if self.profile == "to_sign":
            refused += [findings.FOREIGN_SIGNATURE, *([findings.CERTIFIED] if certified else [])]
        elif not verdict.untouched:
            refused.append(findings.BROKEN_SIGNATURE)
        return verdict.signatures

    def _active(self) -> tuple[list[Problem], list[Problem]]:
        """Find what could act or change on its own, and letters that another machine may show differently.

        Scripts, launches, dynamic forms and content from outside are refused; destinations are harmless. A font that
        is neither in the file nor one of the fourteen that every viewer has is told, and refuses nothing.
        """
        names, form = look(self.root, "/Names"), look(self.root, "/AcroForm")
        acts = isinstance(names, DictionaryObject) and "/JavaScript" in names
        outside, missing = False, set[str]()
        for held in self._objects():
            outside = outside or (isinstance(held, DictionaryObject) and "/F" in held and "/FFilter" in held)
            for inner in _dictionaries(held):
                acts = acts or _is_script(inner)
                missing |= _missing_font(inner)
        dynamic = (isinstance(form, DictionaryObject) and "/XFA" in form) or look(self.root, "/NeedsRendering")
        found = ((dynamic, findings.DYNAMIC_FORM), (acts, findings.SCRIPT), (outside, findings.EXTERNAL_CONTENT))
        told = [findings.missing_fonts(sorted(missing))] if missing else []
        return [problem for true, problem in found if true], told

    def _objects(self) -> Iterator[Any]:
        references = self.reader.xrefs.explicit_refs_in_revision
        seen: set[Any] = set()
        for revision in range(self.reader.xrefs.total_revisions):
            seen |= set(references(revision))
        for reference in seen:
            try:
                held = self.reader.get_object(reference)
            except Exception:  # noqa: BLE001, S112  an object that cannot be read acts on nobody
                continue
            yield held

    def _hidden(self) -> list[Problem]:
        """Find what a page does not show but a later revision could bring forth [shadow attacks]."""
        found: list[Problem] = []
        if self.reader.xrefs.total_revisions > 1:
            found.append(findings.EARLIER_REVISIONS)
        if self.reader.xrefs.hybrid_xrefs_present:
            found.append(findings.HYBRID)
        return found

    def _walk(self, pages: int) -> None:
        """Visit everything as the judgement of a later revision will; what that cannot read must not be signed."""
        now: Any = self.reader.get_historical_resolver(self.reader.xrefs.total_revisions - 1)
        now._load_reverse_xref_cache()  # noqa: SLF001  the very walk that pyHanko's difference policy makes
        if not counts_are_true(self.root.raw_get("/Pages")):
            for index in range(pages):
                self.reader.find_page_container(index)

    def _pdfa(self) -> str | None:
        """Return what the file claims in its metadata ("2B"); a claim, not a proof."""
        try:
            metadata = self.root["/Metadata"].data
        except Exception:  # noqa: BLE001  a claim that cannot be read is no claim
            return None
        part = re.search(rb"pdfaid:part(?:>|=[\"'])\s*(\d)", metadata)
        level = re.search(rb"pdfaid:conformance(?:>|=[\"'])\s*([A-Za-z])", metadata)
        return f"{part[1].decode()}{level[1].decode().upper() if level else ''}" if part else None


def _dictionaries(held: Any, depth: int = 0) -> Iterator[DictionaryObject]:
    """Yield an object's own dictionaries, without those that it only refers to."""
    if depth > _DEPTH or isinstance(held, IndirectObject):
        return
    parts: Iterable[Any] = ()
    if isinstance(held, DictionaryObject):
        yield held
        parts = (held.raw_get(key) for key in held)
    elif isinstance(held, ArrayObject):
        parts = (held.raw_get(place) for place in range(len(held)))
    for part in parts:
        yield from _dictionaries(part, depth + 1)


def _missing_font(held: DictionaryObject) -> set[str]:
    """Return the name of a font whose letters are not in the file and not in every viewer (ISO 32000-1, 9.6.2.2)."""
    if look(held, "/Type") != "/Font" or look(held, "/Subtype") in {"/Type0", "/Type3"}:
        return set()
    name, described = str(look(held, "/BaseFont", ""))[1:], look(held, "/FontDescriptor")
    inside = isinstance(described, DictionaryObject) and any(key in described for key in _FONT_FILES)
    return set() if inside or name in _EVERYWHERE or not name else {name[:80]}


def _is_script(held: DictionaryObject) -> bool:
    """Say whether a dictionary is an action that runs, launches or sends."""
    kind = look(held, "/S")
    return kind in _SCRIPTS and ("/JS" in held or "/F" in held or kind != "/JavaScript")
