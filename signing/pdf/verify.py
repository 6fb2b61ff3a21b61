"""Judging a signed file: untouched, by whom, under whom, and what changed since; never an exception for a bad file.

Built on pyHanko's classic validation with the policy of `signing.pdf.policy` and the checks of
`signing.pdf.structure`. It fetches nothing: revocation is judged where the file or the caller brings the data.
"""

import asyncio
import hashlib
import logging
from datetime import datetime
from typing import Any, Final

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.diff_analysis.policy_api import DiffResult, SuspiciousModification
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.validation import async_validate_pdf_signature, async_validate_pdf_timestamp
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing.contract import Der, Problem, Sha256, SignatureVerdict, Trust, Verdict
from signing.levels import CertPath, Evidence
from signing.pdf import structure, wording
from signing.pdf.files import read
from signing.pdf.moments import Moments, evidence_in, joined
from signing.pdf.policy import SERVICE_POLICY, explain
from signing.pdf.reading import look, open_for_reading

_USAGE: Final = KeyUsageConstraints(key_usage={"non_repudiation", "digital_signature"})
"""Either is enough: organisation certificates often carry digital_signature alone."""

for _noisy in ("pyhanko", "pyhanko_certvalidator"):
    logging.getLogger(_noisy).setLevel(logging.CRITICAL)


def verify(source: str, trust: Trust, at: datetime, known: Evidence | None = None) -> Verdict:
    """Judge a file as of a moment; `known` is evidence besides the file's own. Only a file that is not there raises."""
    return verify_bytes(read(source), trust, at=at, known=known)


def verify_bytes(data: bytes, trust: Trust, *, at: datetime, known: Evidence | None = None) -> Verdict:
    """Judge a file's bytes as of a moment."""
    return verify_paths(data, trust, at, known or Evidence())[0]


def verify_paths(data: bytes, trust: Trust, at: datetime, known: Evidence) -> tuple[Verdict, dict[str, CertPath]]:
    """Judge a file's bytes, and tell by which certificates each signature's anchor was reached."""
    try:
        return asyncio.run(_judge(data, trust, at, known))
    except Exception as error:  # noqa: BLE001  hostile files raise anything: AssertionError, KeyError, RecursionError
        return _unreadable(error), {}


def anchored(certificate: Der, certificates: bytes, trust: Trust, at: datetime) -> bool | None:
    """Say what was found before of a certificate among others: under a demo anchor, a real one, or not known (None).

    Without revocation data, which this verifier does not fetch, only the moment could change the answer, and that
    must lie within the times of all certificates of the path.
    """
    found = _found.get((certificate, certificates, trust))
    return found[0] if found is not None and found[1] <= at <= found[2] else None


_found: dict[tuple[Der, bytes, Trust], tuple[bool, datetime, datetime]] = {}
_MOST_FOUND: Final = 512


def _remember(signature: EmbeddedPdfSignature, trust: Trust, path: Any, *, demo: bool) -> None:
    if len(_found) >= _MOST_FOUND:
        _found.clear()
    held = list(path.iter_certs(include_root=True))
    begins, ends = max(each.not_valid_before for each in held), min(each.not_valid_after for each in held)
    signed: Any = signature.signed_data
    key = (Der(signature.signer_cert.dump()), bytes(signed["certificates"].dump()), trust)
    _found[key] = (demo, begins, ends)


def _unreadable(error: Exception) -> Verdict:
    problem = Problem(
        code="unreadable",
        vi="Không đọc được cấu trúc tệp",
        en=f"The file's structure cannot be read ({type(error).__name__})",
    )
    return Verdict(untouched=False, signatures=(), problems=(problem,), demo=False, ok=False)


async def _judge(data: bytes, trust: Trust, at: datetime, known: Evidence) -> tuple[Verdict, dict[str, CertPath]]:
    reader = open_for_reading(data)
    if reader.encrypted:
        return _refused("encrypted", "Tệp bị mã hóa", "The file is encrypted"), {}
    embedded = list(reader.embedded_signatures)
    if not embedded:
        return _refused("no-signature", "Tệp không có chữ ký số nào", "The file has no digital signature"), {}
    problems = structure.problems_of(data, reader, embedded)
    last = max((each.signed_revision for each in reader.embedded_regular_signatures), default=-1)
    moments = Moments(at, joined(evidence_in(reader), known))
    judged: list[SignatureVerdict] = []
    for each in reversed(embedded):
        said = await _Judgement(data, reader, trust, moments, last).of(each)
        moments.note(said)
        judged.insert(0, said)
    whole = not problems and all(each.intact and each.permitted_changes for each in judged)
    good = all(each.valid and (each.trusted or each.demo) for each in judged)
    verdict = Verdict(
        untouched=whole,
        signatures=tuple(judged),
        problems=tuple(problems),
        demo=any(each.demo for each in judged),
        ok=whole and good and any(each.kind != "timestamp" for each in judged),
        fills=_fills(reader),
    )
    return verdict, moments.paths


def _refused(code: str, vi: str, en: str) -> Verdict:
    return Verdict(untouched=False, signatures=(), problems=(Problem(code=code, vi=vi, en=en),), demo=False, ok=False)


def _fills(reader: PdfFileReader) -> dict[str, str]:
    found: dict[str, str] = {}
    root: Any = reader.root
    for reference in root["/AcroForm"]["/Fields"]:
        field = reference.get_object()
        if look(field, "/T") in {"Number", "IssuedDate"} and look(field, "/V"):
            found[str(field["/T"])] = str(field["/V"])
    return found


class _Judgement:
    """One signature of one file; a fresh validation context each, since those remember failures."""

    def __init__(self, data: bytes, reader: PdfFileReader, trust: Trust, moments: Moments, last: int) -> None:
        self.data = data
        self.reader = reader
        self.trust = trust
        self.moments = moments
        self.last = last

    async def of(self, signature: EmbeddedPdfSignature) -> SignatureVerdict:
        """Judge one signature; whatever it makes a library raise becomes a problem of it."""
        try:
            return await self._of(signature)
        except Exception as error:  # noqa: BLE001  see verify_bytes
            said = Problem(
                code="unreadable-signature",
                vi="Không đọc được chữ ký này",
                en=f"This signature cannot be read ({type(error).__name__})",
            )
            return wording.unreadable(str(signature.field_name), said)

    async def _of(self, signature: EmbeddedPdfSignature) -> SignatureVerdict:
        stamp = signature.sig_object_type == "/DocTimeStamp"
        gap = structure.exact_gap(self.data, signature)
        revision = self._hash(signature, exact=gap)
        status = await self._status(signature, stamp=stamp)
        problems: list[Problem] = []
        exact = gap and structure.strict_cms(signature)
        if not exact:
            problems.append(wording.INEXACT)
        if not status.intact:
            problems.append(wording.BROKEN)
        elif not status.valid:
            problems.append(wording.WRONG_VALUE)
        permitted = self._permitted(signature, status, problems)
        demo, anchored = self._anchor(status)
        if anchored:
            self.moments.reached(str(signature.field_name), status.validation_path)
            _remember(signature, self.trust, status.validation_path, demo=demo)
        if not anchored:
            problems.append(wording.untrusted(status, proven=self.moments.proven))
        elif demo:
            problems.append(wording.DEMO)
        covers = "whole_file" if status.coverage == SignatureCoverageLevel.ENTIRE_FILE else "part"
        if status.coverage == SignatureCoverageLevel.ENTIRE_REVISION:
            covers = "revision"
        facts = wording.Facts(
            covers=covers,
            intact=status.intact and exact,
            valid=status.intact and status.valid and exact,
            trusted=anchored and not demo,
            demo=demo,
            permitted_changes=permitted,
            revision_sha256=revision,
            problems=tuple(problems),
        )
        return wording.describe(signature, facts)

    async def _status(self, signature: EmbeddedPdfSignature, *, stamp: bool) -> Any:
        status: Any = None
        for context in self.moments.contexts(self.trust):
            if stamp:
                status = await async_validate_pdf_timestamp(
                    signature, validation_context=context, diff_policy=SERVICE_POLICY
                )
            else:
                status = await async_validate_pdf_signature(
                    signature,
                    signer_validation_context=context,
                    diff_policy=SERVICE_POLICY,
                    key_usage_settings=_USAGE,
                )
            if status.trusted or status.revoked or not status.valid:
                break
        return status

    def _hash(self, signature: EmbeddedPdfSignature, *, exact: bool) -> Sha256:
        """Return the SHA-256 of the signature's revision.

        Where exactly /Contents is left out, what is signed is hashed on the way and handed to pyHanko, which would
        read the file again.
        """
        view, end = memoryview(self.data), max(structure.ends_at(signature), 0)
        if not exact or signature.external_md_algorithm != "sha256":
            return Sha256(hashlib.sha256(view[:end]).digest())
        raw: Any = signature.byte_range
        first, second = int(raw[1]), int(raw[2])
        whole = hashlib.sha256(view[:first])
        document = whole.copy()
        document.update(view[second:end])
        whole.update(view[first:end])
        signature.external_digests["sha256"] = document.digest()
        return Sha256(whole.digest())

    def _permitted(self, signature: EmbeddedPdfSignature, status: Any, problems: list[Problem]) -> bool:
        changed = status.diff_result
        if isinstance(changed, SuspiciousModification):
            problems.append(wording.changed(explain(changed)))
            return False
        newest = self.reader.xrefs.total_revisions - 1
        reason = ""
        if not isinstance(changed, DiffResult) or status.coverage < SignatureCoverageLevel.ENTIRE_REVISION:
            reason = "the signature does not cover its whole revision"
        elif signature.signed_revision == newest and status.coverage != SignatureCoverageLevel.ENTIRE_FILE:
            reason = "bytes were added after the last signature"
        elif getattr(status, "docmdp_ok", True) is False or getattr(status, "seed_value_ok", True) is False:
            reason = "the signature's own restrictions are not kept"
        elif not self._grown_enough(signature.signed_revision, changed.modification_level):
            reason = "after the last signature only validation data may be added"
        if reason:
            problems.append(wording.changed(reason))
        return not reason

    def _grown_enough(self, revision: int, level: ModificationLevel) -> bool:
        """Say whether what follows a revision is a later signature, validation data or document timestamps."""
        if revision < self.last or level <= ModificationLevel.LTA_UPDATES:
            return True
        return level == ModificationLevel.FORM_FILLING and self._only_timestamps_since(revision)

    def _only_timestamps_since(self, revision: int) -> bool:
        """Say whether every signature field made or filled since holds an invisible document timestamp."""

        def filled(handler: Any) -> dict[str, bool]:
            return {name: value is not None for name, value, _ in enumerate_sig_fields(handler)}

        then = filled(self.reader.get_historical_resolver(revision))
        fields: Any = enumerate_sig_fields(self.reader)
        for name, value, reference in fields:
            if then.get(name) == (value is not None):
                continue
            x0, y0, x1, y1 = (float(edge) for edge in look(reference.get_object(), "/Rect", [0, 0, 0, 0]))
            if value is None or look(value.get_object(), "/Type") != "/DocTimeStamp" or (x1 - x0) * (y1 - y0) != 0:
                return False
        return True

    def _anchor(self, status: Any) -> tuple[bool, bool]:
        """Return whether the chain ends at a demo anchor, and whether it ends at any."""
        path = status.validation_path
        if not status.trusted or path is None:
            return False, False
        root = path.trust_anchor.certificate.dump()
        return root in set(self.trust.demo_anchors) and root not in set(self.trust.anchors), True
