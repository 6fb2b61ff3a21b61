"""Raising a signed file's level by what is appended: evidence (DSS) and document timestamps, never a byte before them.

Nothing inside a signature changes, since a later signature covers it: the time is proven for all signatures at once
by a document timestamp (ETSI EN 319 142-1 5.4.3 and 6.3 leave that choice). B-T is a timestamp behind the last
signature; B-LT has the evidence for every certificate as well; B-LTA has evidence and timestamp in one revision, or
a timestamp in a later one. Renewal is the same step again, over the evidence of the timestamp before.
"""

import hashlib
from datetime import datetime
from typing import Any, Final

from asn1crypto import crl, ocsp, x509
from pyhanko.sign.fields import InvisSigSettings, SigFieldSpec
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp
from pyhanko.sign.validation.dss import DocumentSecurityStore

from signing.contract import Sha256, Trust, Verdict
from signing.errors import NotSignable, OutputInvalid
from signing.levels import Evidence, EvidenceOrder, FinishStampOrder, PreparedStamp, Raised, StampOrder, Standing
from signing.pdf.files import Draft, base_changed, read, read_base
from signing.pdf.reading import RevisionWriter, open_for_revision, written
from signing.pdf.verify import verify_standing

TOKEN_ROOM: Final = 2 * 12288
"""Hexadecimal digits kept for a token: RSA-4096 with a chain of three takes 7 kB."""


def stand(source: str, trust: Trust, at: datetime) -> Standing:
    """Return the standing of a file; one that is not good stands at B-B."""
    return verify_standing(read(source), trust, at)[1]


def prepare(order: StampOrder) -> PreparedStamp:
    """Return the increment that a timestamp is to close, and what it is to be asked for; writes nothing."""
    data, _ = read_base(order.base, order.base_sha256)
    writer, stream = open_for_revision(data)
    if not list(writer.prev.embedded_regular_signatures):
        raise NotSignable("Tệp chưa có chữ ký nào để nâng mức", "The file has no signature whose level could be raised")
    if order.evidence is not None:
        _add(writer, order.evidence)
    writer.register_extension(ESIC_EXTENSION_1)
    name = f"Timestamp{sum(1 for _ in writer.prev.embedded_timestamp_signatures) + 1}"
    spec = SigFieldSpec(name, invis_sig_settings=InvisSigSettings(), readable_field_name="Dấu thời gian")
    steps: Any = PdfCMSEmbedder(new_field_spec=spec).write_cms(field_name=name, writer=writer)
    next(steps)
    steps.send(SigObjSetup(sig_placeholder=DocumentTimestamp(bytes_reserved=TOKEN_ROOM)))
    digest, _ = steps.send(SigIOSetup(md_algorithm="sha256", in_place=True))
    return PreparedStamp(
        base_sha256=order.base_sha256,
        base_size=len(data),
        increment=written(stream, len(data)),
        document_digest=Sha256(digest.document_digest),
        reserved_start=digest.reserved_region_start,
        reserved_end=digest.reserved_region_end,
    )


def finish(order: FinishStampOrder, target: str) -> Raised:
    """Embed a token, verify the whole file, and write it durably.

    Raises:
        BaseChanged: the base is another file now.
        OutputInvalid: the token does not fit, or the file with it does not verify; nothing is written.
    """
    prepared = order.prepared
    digits = order.token.hex().encode()
    first = prepared.reserved_start + 1 - prepared.base_size
    room = prepared.reserved_end - prepared.reserved_start - 2
    if first < 1 or len(digits) > room:
        raise OutputInvalid("Dấu thời gian không vừa chỗ đã dành", "The timestamp does not fit the room that was kept")
    increment = memoryview(prepared.increment)
    filled = b"".join((increment[:first], digits, increment[first + len(digits) :]))
    return _write(order, (prepared.base_size, prepared.base_sha256), filled, target, stamped=True)


def add_evidence(order: EvidenceOrder, target: str) -> Raised:
    """Append evidence alone, verify the whole file, and write it durably; raise as `finish` does."""
    size, increment = _evidence_behind(order)
    return _write(order, (size, order.base_sha256), increment, target, stamped=False)


def _evidence_behind(order: EvidenceOrder) -> tuple[int, bytes]:
    """Return the base's size and the revision that holds the evidence."""
    data, _ = read_base(order.base, order.base_sha256)
    writer, stream = open_for_revision(data)
    _add(writer, order.evidence)
    writer.write_in_place()
    increment = written(stream, len(data))
    writer.let_go()
    return len(data), increment


def _add(writer: RevisionWriter, evidence: Evidence) -> None:
    DocumentSecurityStore.supply_dss_in_writer(
        writer,
        None,
        certs=[x509.Certificate.load(der) for der in evidence.certificates],
        ocsps=[ocsp.OCSPResponse.load(der) for der in evidence.ocsps],
        crls=[crl.CertificateList.load(der) for der in evidence.crls],
    )


def _write(
    order: FinishStampOrder | EvidenceOrder, base: tuple[int, Sha256], increment: bytes, target: str, *, stamped: bool
) -> Raised:
    """Write base and increment; keep them only where the base has this size and SHA-256, and all is good."""
    size, expected = base
    with Draft(target) as draft:
        if draft.copy(order.base) != size:
            raise base_changed()
        draft.append(increment)
        whole = read(draft.path)
        digest = hashlib.sha256(memoryview(whole)[:size])
        if digest.digest() != expected:
            raise base_changed()
        digest.update(memoryview(whole)[size:])
        verdict, reached = verify_standing(whole, order.trust, order.at)
        _demand(verdict, stamped=stamped)
        return Raised(sha256=Sha256(digest.digest()), size=draft.keep(), verdict=verdict, standing=reached)


def _demand(verdict: Verdict, *, stamped: bool) -> None:
    newest = verdict.signatures[-1] if verdict.signatures else None
    closed = newest is not None and newest.kind == "timestamp" and newest.covers == "whole_file"
    if verdict.ok and (closed or not stamped):
        return
    problems = (*verdict.problems, *(one for signature in verdict.signatures for one in signature.problems))
    said = "; ".join(problem.en for problem in problems) or "the timestamp does not cover the whole file"
    raise OutputInvalid(
        "Bản đã nâng mức không qua được kiểm tra nên không được lưu",
        f"The raised file did not verify and was not written: {said}",
        problems=problems,
    )
