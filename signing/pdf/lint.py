"""Whether a file may enter, decided before anybody relies on it (kiểm tra tệp trước khi ký).

Two profiles. A file handed in is kept byte for byte and others' signatures in it are verified and shown. A file to be
signed may hold nothing that changes what the page shows later: no encryption, no scripts, no earlier signatures, no
hidden revisions; what can be mended is rewritten into one clean revision before its first signature.
"""

import io
import re
import warnings
from datetime import datetime
from typing import Any, Final

import pikepdf
from pyhanko.pdf_utils.generic import DictionaryObject, IndirectObject
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields

from signing.contract import LintLimits, LintProfile, LintReport, Problem, SignatureVerdict, Trust
from signing.pdf import findings
from signing.pdf.embedded import is_unsigned
from signing.pdf.fields import count_pages
from signing.pdf.files import read, write_durably
from signing.pdf.reading import look, open_for_reading
from signing.pdf.verify import verify_bytes

_HEADER: Final = re.compile(rb"%PDF-(\d)\.(\d)")
_SCRIPTS: Final = frozenset({"/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/Rendition", "/Sound", "/Movie"})
_DEPTH: Final = 40


def lint(source: str, profile: LintProfile, limits: LintLimits, *, at: datetime, trust: Trust) -> LintReport:
    """Return the report on a file; only a file that is not there raises."""
    return _lint_bytes(read(source), profile, limits, at, trust)


def repair(source: str, target: str, limits: LintLimits, *, at: datetime) -> LintReport:
    """Rewrite a file into one clean revision and lint the result as one to be signed."""
    data = read(source)
    before = _lint_bytes(data, "to_sign", limits, at, Trust())
    if not before.accepted and not before.repairable:
        return before
    rewritten = _rewrite(data)
    if isinstance(rewritten, Problem):
        return LintReport(accepted=False, problems=(rewritten,))
    after = _lint_bytes(rewritten, "to_sign", limits, at, Trust())
    if after.accepted:
        write_durably(target, rewritten)
    return LintReport(
        accepted=after.accepted,
        problems=after.problems,
        repaired=after.accepted,
        pages=after.pages,
        pdf_version=after.pdf_version,
        pdfa=after.pdfa,
    )


def _rewrite(data: bytes) -> bytes | Problem:
    try:
        with warnings.catch_warnings(action="ignore"), pikepdf.open(io.BytesIO(data)) as document:
            if not len(document.pages):
                return findings.NO_PAGES
            document.remove_unreferenced_resources()
            output = io.BytesIO()
            document.save(
                output,
                object_stream_mode=pikepdf.ObjectStreamMode.disable,
                deterministic_id=True,
                linearize=False,
                preserve_pdfa=True,
            )
            return output.getvalue()
    except (pikepdf.PdfError, pikepdf.DataDecodingError, RuntimeError, ValueError, OverflowError) as error:
        return findings.unreadable(error)


def _lint_bytes(data: bytes, profile: LintProfile, limits: LintLimits, at: datetime, trust: Trust) -> LintReport:
    if len(data) > limits.max_bytes:
        return _refuse(findings.too_large(limits.max_bytes))
    if b"%PDF-" not in data[:1024]:
        return _refuse(findings.NOT_A_PDF)
    try:
        reader = open_for_reading(data) if profile == "handed_in" else PdfFileReader(io.BytesIO(data), strict=True)
        if reader.encrypted:
            return _refuse(findings.ENCRYPTED)
        return _Inspection(data, reader, profile, limits, at, trust).report()
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
        if to_sign:
            refused += self._active()
            mendable += self._hidden()
            self._walk()
        must_mend = to_sign and self.reader.xrefs.hybrid_xrefs_present
        accepted = not refused and not must_mend
        return LintReport(
            accepted=accepted,
            problems=(*refused, *mendable),
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
            refused.append(findings.FOREIGN_SIGNATURE)
        elif not verdict.untouched:
            refused.append(findings.BROKEN_SIGNATURE)
        return verdict.signatures

    def _active(self) -> list[Problem]:
        """Find what could act or change on its own: scripts, launches, dynamic forms; destinations are harmless."""
        found: list[Problem] = []
        names = look(self.root, "/Names")
        if isinstance(names, DictionaryObject) and "/JavaScript" in names:
            found.append(findings.SCRIPT)
        form = look(self.root, "/AcroForm")
        if (isinstance(form, DictionaryObject) and "/XFA" in form) or look(self.root, "/NeedsRendering"):
            found.append(findings.DYNAMIC_FORM)
        if findings.SCRIPT not in found and self._acts():
            found.append(findings.SCRIPT)
        if self._external_streams():
            found.append(findings.EXTERNAL_CONTENT)
        return found

    def _objects(self) -> list[Any]:
        references = self.reader.xrefs.explicit_refs_in_revision
        seen: set[Any] = set()
        for revision in range(self.reader.xrefs.total_revisions):
            seen |= set(references(revision))
        objects: list[Any] = []
        for reference in seen:
            try:
                objects.append(self.reader.get_object(reference))
            except Exception:  # noqa: BLE001, S112  an object that cannot be read acts on nobody
                continue
        return objects

    def _acts(self) -> bool:
        return any(_holds_script(held, 0) for held in self._objects())

    def _external_streams(self) -> bool:
        return any(
            isinstance(held, DictionaryObject) and "/F" in held and "/FFilter" in held for held in self._objects()
        )

    def _hidden(self) -> list[Problem]:
        """Find what a page does not show but a later revision could bring forth [shadow attacks]."""
        found: list[Problem] = []
        if self.reader.xrefs.total_revisions > 1:
            found.append(findings.EARLIER_REVISIONS)
        if self.reader.xrefs.hybrid_xrefs_present:
            found.append(findings.HYBRID)
        return found

    def _walk(self) -> None:
        """Visit everything as the judgement of a later revision will; what that cannot read must not be signed."""
        now: Any = self.reader.get_historical_resolver(self.reader.xrefs.total_revisions - 1)
        now._load_reverse_xref_cache()  # noqa: SLF001  the very walk that pyHanko's difference policy makes
        for index in range(count_pages(self.reader)):
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


def _holds_script(held: Any, depth: int) -> bool:
    """Walk one object's direct parts for an action that runs, launches or sends."""
    if depth > _DEPTH or isinstance(held, IndirectObject):
        return False
    if isinstance(held, DictionaryObject):
        if look(held, "/S") in _SCRIPTS and ("/JS" in held or "/F" in held or look(held, "/S") != "/JavaScript"):
            return True
        return any(_holds_script(held.raw_get(key), depth + 1) for key in held)
    if isinstance(held, list):
        return any(_holds_script(part, depth + 1) for part in held)
    return False
