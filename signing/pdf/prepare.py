"""The first half of a signature: appearance, byte range and signed attributes; out comes the hash that leaves.

The base is never written to and no second copy of it is made: what is kept is the increment.
"""

import hashlib
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from pyhanko.pdf_utils.generic import DictionaryObject, pdf_name
from pyhanko.pdf_utils.misc import get_and_apply
from pyhanko.sign.fields import FieldMDPSpec, MDPPerm, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import SignatureObject

from signing.contract import Der, Mechanism, Prepared, PrepareOrder, Sha256
from signing.errors import CertificateUnfit, NotSignable
from signing.pdf import appearance, cms, direct, plans
from signing.pdf.fields import ISSUED_DATE, NUMBER, SEAL, VIETNAM, fill_text
from signing.pdf.files import read_base, size_of
from signing.pdf.reading import RevisionWriter, Sheet, open_for_revision, page_rotation, written


def prepare(order: PrepareOrder) -> Prepared:
    """Return the increment for one signature and the hash to be signed; the same order differs only in the file id."""
    known = plans.recall(order.base_sha256)
    if known is not None and known.file.size == size_of(order.base):
        with suppress(direct.Unusual):
            return prepare_planned(known, order)
    base, prefix = read_base(order.base, order.base_sha256)
    try:
        return prepare_planned(direct.plan(base, prefix), order)
    except direct.Unusual:
        return _prepared(order, len(base), through_pyhanko(base, order))


def prepare_planned(known: direct.Plan, order: PrepareOrder) -> Prepared:
    """Prepare on a plan of the base that is at hand.

    Raises:
        Unusual: file or order are not plain, and pyHanko has to see the file.
    """
    check_order(order)
    return _prepared(order, known.file.size, direct.increment(known, order))


def check_order(order: PrepareOrder) -> None:
    """Refuse an order that cannot be carried out on any file."""
    if order.at.tzinfo is None:
        raise NotSignable("Thời điểm ký phải có múi giờ", "The signing time must carry a time zone")
    check_certificate(order.certificate, order.mechanism, order.at)


def _prepared(order: PrepareOrder, base_size: int, written: direct.Increment) -> Prepared:
    attributes = cms.signed_attributes(order.certificate, written.digest)
    return Prepared(
        base_sha256=order.base_sha256,
        base_size=base_size,
        increment=written.data,
        document_digest=written.digest,
        reserved_start=written.start,
        reserved_end=written.end,
        signed_attrs=attributes,
        tbs_sha256=Sha256(hashlib.sha256(attributes).digest()),
        field=order.field,
        certificate=order.certificate,
        mechanism=order.mechanism,
        prepared_at=order.at,
    )


def through_pyhanko(base: bytes, order: PrepareOrder) -> direct.Increment:
    """Let pyHanko write the increment: the way for every file, and the measure of the direct one."""
    writer, buffer = open_for_revision(base)
    certified = _certified(writer, order)
    field = _claim_field(writer, order)
    _fill(writer, order)
    _draw(writer, field, order)
    lock, permissions = _lock(field)
    placeholder = SignatureObject(
        timestamp=order.at.astimezone(VIETNAM),
        subfilter=SigSeedSubFilter.PADES,
        reason=order.reason,
        location=order.location,
        bytes_reserved=cms.reserve(order.certificate, order.chain),
    )
    steps: Any = PdfCMSEmbedder().write_cms(order.field, writer, existing_fields_only=True)
    next(steps)
    mdp = SigMDPSetup(
        md_algorithm="sha256", certify=certified is not None, field_lock=lock, docmdp_perms=certified or permissions
    )
    steps.send(SigObjSetup(sig_placeholder=placeholder, mdp_setup=mdp))
    digest, _ = steps.send(SigIOSetup(md_algorithm="sha256", in_place=True))
    return direct.Increment(
        written(buffer, len(base)),
        Sha256(digest.document_digest),
        digest.reserved_region_start,
        digest.reserved_region_end,
    )


def _certified(writer: RevisionWriter, order: PrepareOrder) -> MDPPerm | None:
    """Return the level that this signature certifies the document at, if it is the first and the plan wants one.

    Only a first signature can certify (ISO 32000-2, 12.8.2.2). Where others follow it, forms stay open for them; what
    the last one forbids then stands in its own lock.
    """
    if order.plan.certification == "none" or any(value is not None for _, value, _ in enumerate_sig_fields(writer)):
        return None
    alone = order.plan.certification == "final" and len(order.plan.signatures) == 1
    return MDPPerm.NO_CHANGES if alone else MDPPerm.FILL_FORMS


def check_certificate(certificate: Der, mechanism: Mechanism, at: datetime) -> None:
    """Raise CertificateUnfit unless the certificate is for signatures, valid at this moment, with a fitting key."""
    may_sign, begins, ends = _facts(certificate)
    if not may_sign:
        raise CertificateUnfit("Chứng thư không dùng để ký", "The certificate is not for signatures")
    if not cms.mechanism_fits(certificate, mechanism):
        raise CertificateUnfit(
            "Khóa của chứng thư không dùng được với thuật toán ký đã chọn",
            "The certificate's key does not fit the chosen mechanism",
        )
    if not begins <= at <= ends:
        raise CertificateUnfit(
            "Chứng thư số chưa có hiệu lực hoặc đã hết hạn tại thời điểm ký",
            "The certificate is not valid at the moment of signing",
        )


@lru_cache(maxsize=512)
def _facts(certificate: Der) -> tuple[bool, datetime, datetime]:
    """Return whether a certificate is for signatures, and when; read once per process."""
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        return _may_sign(parsed), parsed.not_valid_before_utc, parsed.not_valid_after_utc
    except ValueError as error:
        raise CertificateUnfit("Chứng thư số không đọc được", "The certificate is not legible") from error


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.digital_signature or usage.content_commitment


def _claim_field(writer: RevisionWriter, order: PrepareOrder) -> Any:
    """Return the empty field's dictionary; the seal demands that every signature of the plan before it is there."""
    state = {name: (value, reference) for name, value, reference in enumerate_sig_fields(writer)}
    if order.field not in state:
        raise NotSignable(f"Tệp không có trường ký {order.field}", f"The file has no signature field {order.field}")
    value, reference = state[order.field]
    if value is not None:
        raise NotSignable(f"Trường {order.field} đã được ký", f"Field {order.field} is already signed")
    if order.field == SEAL:
        before = [field.name for field in order.plan.signatures if field.name != SEAL]
        missing = [name for name in before if name not in state or state[name][0] is None]
        if missing:
            raise NotSignable(
                f"Chưa đủ chữ ký trước khi đóng dấu số: {', '.join(missing)}",
                f"The seal comes only after these signatures: {', '.join(missing)}",
            )
    return reference.get_object()


def _fill(writer: RevisionWriter, order: PrepareOrder) -> None:
    if order.fills and order.field != SEAL:
        raise NotSignable("Số và ngày chỉ được điền cùng con dấu", "Number and date are filled with the seal only")
    if unknown := set(order.fills) - {NUMBER, ISSUED_DATE}:
        raise NotSignable(f"Không được điền trường: {sorted(unknown)}", f"Not to be filled: {sorted(unknown)}")
    for name, value in order.fills.items():
        if not value:
            raise NotSignable(f"Trường {name} không được để trống", f"Field {name} must have a value")
        fill_text(writer, name, value)


def _draw(writer: RevisionWriter, field: Any, order: PrepareOrder) -> None:
    shown = order.appearance
    if shown.kind == "none" or not (shown.image_png or shown.lines or shown.above):
        return
    x0, y0, x1, y1 = (float(edge) for edge in field["/Rect"])
    rotation = page_rotation(field["/P"]) if "/P" in field else 0
    size = (abs(y1 - y0), abs(x1 - x0)) if rotation % 180 else (abs(x1 - x0), abs(y1 - y0))
    if not size[0] or not size[1]:
        return
    sheet = Sheet(writer)
    drawn = appearance.signature_form(sheet, size, shown, rotation)
    field[pdf_name("/AP")] = DictionaryObject({pdf_name("/N"): sheet.reference(drawn)})
    writer.update_container(field)


def _lock(field: Any) -> tuple[FieldMDPSpec | None, MDPPerm | None]:
    """Return what the field's own lock dictionary says; the signature repeats it, or it would not bind."""
    if "/Lock" not in field:
        return None, None
    lock = field["/Lock"]
    return FieldMDPSpec.from_pdf_object(lock), get_and_apply(lock, "/P", MDPPerm)
