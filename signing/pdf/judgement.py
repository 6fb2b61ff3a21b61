"""One signature of one file: its value, what changed since, under whom, and what time proves (EN 319 102-1, 5.3-5.5).

Built on pyHanko's validation of one moment, that of the oldest good document timestamp behind the signature where
there is one. What it leaves open is decided here: the same for a timestamp inside the signature, and of a revocation
which of the two came first. The long-term process of pyHanko is not used, because it finds no past path where a file
brings no revocation data.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import msgspec
from cryptography import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.diff_analysis.policy_api import DiffResult, SuspiciousModification
from pyhanko.sign.fields import enumerate_sig_fields
from pyhanko.sign.general import NonexistentAttributeError, find_unique_cms_attribute
from pyhanko.sign.validation import async_validate_pdf_signature, async_validate_pdf_timestamp
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureCoverageLevel

from signing.contract import Problem, Revocation, Sha256, SignatureVerdict, Trust
from signing.levels import Evidence
from signing.pdf import indications, structure, wording
from signing.pdf.moments import Moments, joined, judged_by
from signing.pdf.policy import SERVICE_POLICY, explain
from signing.pdf.reading import look
from signing.pdf.revocation import Known, Revocations

_USAGE: Final = KeyUsageConstraints(key_usage={"non_repudiation", "digital_signature"})
"""Either is enough: organisation certificates often carry digital_signature alone."""
_FRESH: Final = timedelta(days=7)
"""How old revocation data may be to say of a signature without a proven time that it is good now."""
_LEAST_RSA_BITS: Final = 2048
_LEAST_EC_BITS: Final = 256

Remember = Callable[[EmbeddedPdfSignature, Any, bool], None]


class Case(msgspec.Struct):
    """What all signatures of a file are judged by. `evidence` is the file's and the caller's."""

    data: bytes
    reader: PdfFileReader
    trust: Trust
    at: datetime
    last: int
    """The last revision with a signature of a person; -1 where there are only timestamps."""
    evidence: Evidence
    moments: Moments
    remember: Remember


class _Standing(msgspec.Struct, frozen=True):
    """Whose signature it is, and what is known of its time and of the certificate's revocation."""

    anchored: bool = False
    demo: bool = False
    cause: str = ""
    proven_at: datetime | None = None
    revocation: Revocation = "unknown"
    revoked_at: datetime | None = None


async def judge(case: Case, signature: EmbeddedPdfSignature) -> SignatureVerdict:
    """Judge one signature; whatever it makes a library raise becomes a problem of it."""
    try:
        return await _Judgement(case, signature).verdict()
    except SignatureValidationError as error:
        cause, said = error.ades_subindication.standard_name, error.failure_message
    except Exception as error:  # noqa: BLE001  hostile files raise anything
        cause, said = indications.FORMAT, type(error).__name__
    problem = Problem(
        code="unreadable-signature", vi="Không đọc được chữ ký này", en=f"This signature cannot be read ({said})"
    )
    subfilter = str(look(signature.sig_object, "/SubFilter", ""))[1:]
    return wording.unreadable(str(signature.field_name), problem, cause, subfilter=subfilter)


class _Judgement:
    """One signature."""

    def __init__(self, case: Case, signature: EmbeddedPdfSignature) -> None:
        self.case = case
        self.signature = signature
        self.stamp = signature.sig_object_type == "/DocTimeStamp"
        self.revision = signature.signed_revision
        self.behind = case.moments.behind(self.revision)

    async def verdict(self) -> SignatureVerdict:
        gap = structure.exact_gap(self.case.data, self.signature)
        revision = self._hash(exact=gap)
        status = await self._status(self.behind or self.case.at, skip_diff=self.stamp and self.case.last >= 0)
        well_formed = gap and structure.strict_cms(self.signature)
        problems: list[Problem] = []
        if not well_formed:
            problems.append(wording.INEXACT)
        if not status.intact:
            problems.append(wording.BROKEN)
        elif not status.valid:
            problems.append(wording.WRONG_VALUE)
        permitted = self._permitted(status, problems)
        sound = well_formed and status.intact
        standing = await self._standing(status)
        if sound and status.valid:
            problems += self._told(standing)
            if self.stamp and standing.anchored and permitted:
                self.case.moments.stamped(self.revision, status.timestamp)
        covers = "whole_file" if status.coverage == SignatureCoverageLevel.ENTIRE_FILE else "part"
        if status.coverage == SignatureCoverageLevel.ENTIRE_REVISION:
            covers = "revision"
        facts = indications.Facts(
            covers=covers,
            well_formed=well_formed,
            intact=sound,
            valid=sound and status.valid,
            trusted=standing.anchored and not standing.demo,
            demo=standing.anchored and standing.demo,
            permitted_changes=permitted,
            revision_sha256=revision,
            problems=tuple(problems),
            cause=standing.cause,
            proven_at=standing.proven_at,
            revocation=standing.revocation,
            revoked_at=standing.revoked_at,
        )
        return wording.describe(self.signature, facts)

    async def _status(self, moment: datetime, *, skip_diff: bool) -> Any:
        context = judged_by(self.case.trust, moment, Evidence(certificates=self.case.evidence.certificates))
        if self.stamp:
            return await async_validate_pdf_timestamp(
                self.signature, validation_context=context, diff_policy=SERVICE_POLICY, skip_diff=skip_diff
            )
        return await async_validate_pdf_signature(
            self.signature,
            signer_validation_context=context,
            diff_policy=SERVICE_POLICY,
            key_usage_settings=_USAGE,
            skip_diff=skip_diff,
        )

    def _hash(self, *, exact: bool) -> Sha256:
        """Return the SHA-256 of the signature's revision.

        Where exactly /Contents is left out, what is signed is hashed on the way and handed to pyHanko, which would
        read the file again.
        """
        signature = self.signature
        view, end = memoryview(self.case.data), max(structure.ends_at(signature), 0)
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

    def _permitted(self, status: Any, problems: list[Problem]) -> bool:
        """Say whether what follows is permitted.

        A timestamp proves that its revision was there, and forbids nothing: what follows it is for the signatures in
        the same file to judge, each of which covers it or comes before it.
        """
        changed = status.diff_result
        newest = self.case.reader.xrefs.total_revisions - 1
        reason = ""
        if isinstance(changed, SuspiciousModification):
            reason = explain(changed)
        elif status.coverage < SignatureCoverageLevel.ENTIRE_REVISION:
            reason = "the signature does not cover its whole revision"
        elif self.revision == newest and status.coverage != SignatureCoverageLevel.ENTIRE_FILE:
            reason = "bytes were added after the last signature"
        elif getattr(status, "docmdp_ok", True) is False or getattr(status, "seed_value_ok", True) is False:
            reason = "the signature's own restrictions are not kept"
        elif not self._grown_enough(changed):
            reason = "after the last signature only validation data may be added"
        if reason:
            problems.append(wording.changed(reason))
        return not reason

    def _grown_enough(self, changed: Any) -> bool:
        """Say whether what follows a revision is a later signature, validation data or document timestamps."""
        if not isinstance(changed, DiffResult):
            return self.stamp and self.case.last >= 0
        level = changed.modification_level
        if self.revision < self.case.last or level <= ModificationLevel.LTA_UPDATES:
            return True
        return level == ModificationLevel.FORM_FILLING and self._only_timestamps_since()

    def _only_timestamps_since(self) -> bool:
        """Say whether every signature field made or filled since holds an invisible document timestamp."""
        reader = self.case.reader

        def filled(handler: Any) -> dict[str, bool]:
            return {name: value is not None for name, value, _ in enumerate_sig_fields(handler)}

        then = filled(reader.get_historical_resolver(self.revision))
        fields: Any = enumerate_sig_fields(reader)
        for name, value, reference in fields:
            if then.get(name) == (value is not None):
                continue
            x0, y0, x1, y1 = (float(edge) for edge in look(reference.get_object(), "/Rect", [0, 0, 0, 0]))
            if value is None or look(value.get_object(), "/Type") != "/DocTimeStamp" or (x1 - x0) * (y1 - y0) != 0:
                return False
        return True

    async def _standing(self, status: Any) -> _Standing:
        """Return whose signature it is: now, or at the moment when a timestamp proves it to have been there."""
        if not (status.intact and status.valid):
            return _Standing()
        proven = self._proven(status)
        path, cause = _path(status)
        hangs_on_time = path is not None or cause in indications.TIME_MAY_HEAL
        if path is None and proven is not None and proven != self.behind and hangs_on_time:
            path, _ = _path(await self._status(proven, skip_diff=True))
        if hangs_on_time and proven is not None and proven < self.signature.signer_cert.not_valid_before:
            path, cause = None, indications.NOT_YET_VALID
        if path is None:
            return _Standing(cause=cause, proven_at=proven)
        root = path.trust_anchor.certificate.dump()
        demo = root in set(self.case.trust.demo_anchors) and root not in set(self.case.trust.anchors)
        found = _Standing(anchored=True, demo=demo, proven_at=proven)
        if self._revocations:
            found = self._against(path, status, found)
        elif status.trusted and self.case.evidence == Evidence():
            self.case.remember(self.signature, path, demo)
        if found.anchored:
            self.case.moments.reached(str(self.signature.field_name), path)
            self._own_stamps(status)
        return found

    def _own_stamps(self, status: Any) -> None:
        """Tell by which certificates the timestamps inside a signature are trusted: they need evidence as it does."""
        for kind in ("timestamp_validity", "content_timestamp_validity"):
            stamp = getattr(status, kind, None)
            if stamp is not None and _good(stamp) and stamp.validation_path is not None:
                self.case.moments.reached(f"{self.signature.field_name}/{kind}", stamp.validation_path)

    def _against(self, path: Any, status: Any, found: _Standing) -> _Standing:
        """Hold a standing against what is known of revocations on its path."""
        leaf, *authorities = _known(self._revocations, path)
        proven = found.proven_at
        if any(_came_first(each.revoked_at, proven) for each in authorities):
            return msgspec.structs.replace(found, anchored=False, cause=indications.REVOKED_CA_NO_POE)
        if any(_came_first(each.held_since, proven) for each in (leaf, *authorities)):
            return msgspec.structs.replace(
                found, anchored=False, cause=indications.TRY_LATER, revocation="on_hold", revoked_at=leaf.held_since
            )
        if leaf.revoked_at is None:
            as_of = proven or self.case.at - _FRESH
            good = leaf.held_since is not None or (leaf.good_as_of is not None and leaf.good_as_of >= as_of)
            return msgspec.structs.replace(found, revocation="good" if good else "unknown")
        if not _came_first(leaf.revoked_at, proven):
            return msgspec.structs.replace(found, revocation="revoked_later", revoked_at=leaf.revoked_at)
        after = self.case.moments.before(self.revision)
        content = getattr(status, "content_timestamp_validity", None)
        if content is not None and _good(content) and (after is None or content.timestamp > after):
            after = content.timestamp
        state: Revocation = "revoked_before" if after is not None and after >= leaf.revoked_at else "revoked"
        return msgspec.structs.replace(
            found, anchored=False, cause=indications.REVOKED_NO_POE, revocation=state, revoked_at=leaf.revoked_at
        )

    @cached_property
    def _revocations(self) -> Revocations:
        """What caller and file tell of revocations, and what the signature itself carries (Adobe's attribute)."""
        own = Evidence()
        try:
            held: Any = find_unique_cms_attribute(
                self.signature.signer_info["signed_attrs"], "adobe_revocation_info_archival"
            )
            ocsps, crls = (tuple(one.dump() for one in held[kind]) for kind in ("ocsp", "crl"))
            own = Evidence(ocsps=ocsps, crls=crls)
        except (NonexistentAttributeError, TypeError, ValueError):
            pass
        return Revocations(joined(self.case.evidence, own))

    def _proven(self, status: Any) -> datetime | None:
        """Return the earliest moment at which a trusted timestamp saw this signature."""
        times = [self.behind] if self.behind is not None else []
        own = getattr(status, "timestamp_validity", None)
        if own is not None and _good(own):
            known = _known(self._revocations, own.validation_path)
            if not any(each.revoked_at is not None for each in known):
                times.append(own.timestamp)
        return min(times, default=None)

    def _told(self, standing: _Standing) -> list[Problem]:
        if standing.anchored:
            return [wording.DEMO] if standing.demo else []
        if standing.cause == indications.TRY_LATER:
            return [wording.on_hold(standing.revoked_at)]
        if standing.revoked_at is not None:
            return [wording.revoked(standing.revoked_at, standing.revocation, standing.proven_at)]
        if standing.cause == indications.REVOKED_CA_NO_POE:
            return [wording.AUTHORITY_REVOKED]
        if standing.cause.startswith(indications.WEAK):
            return [wording.weak(_weakness(self.signature))]
        return [wording.untrusted(standing.cause)]


def _path(status: Any) -> tuple[Any, str]:
    if status.trusted and status.validation_path is not None:
        return status.validation_path, ""
    return None, getattr(status.trust_problem_indic, "standard_name", indications.NO_CHAIN)


def _good(stamp: Any) -> bool:
    return stamp.intact and stamp.valid and stamp.trusted


def _came_first(revoked_at: datetime | None, proven: datetime | None) -> bool:
    """Say whether a revocation counts: the signature is not proven to be older."""
    return revoked_at is not None and (proven is None or proven >= revoked_at)


def _known(said: Revocations, path: Any) -> list[Known]:
    """Return what is known of each certificate of a path, from the signer's upwards, the anchor left out."""
    held = [x509.load_der_x509_certificate(each.dump()) for each in path.iter_certs(include_root=True)][::-1]
    if not said or len(held) < 2:
        return [Known() for _ in held[:-1] or held]
    return [said.of(certificate, issuer) for certificate, issuer in pairwise(held)]


def _weakness(signature: EmbeddedPdfSignature) -> str:
    """Name the digest or key that is too weak; where it is none of the signature's own, one above it is."""
    info: Any = signature.signer_info
    key = signature.signer_cert.public_key
    digest = signature.md_algorithm
    if digest in {"md2", "md5", "sha1"}:
        return "SHA-1" if digest == "sha1" else digest.upper()
    if key.algorithm == "rsa" and key.bit_size < _LEAST_RSA_BITS:
        return f"RSA-{key.bit_size}"
    if key.algorithm == "ec" and key.bit_size < _LEAST_EC_BITS:
        return f"EC-{key.bit_size}"
    return str(info["signature_algorithm"]["algorithm"].native)
