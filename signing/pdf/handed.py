"""A whole signed file that came back: taken only if it is ours to the byte but for the signature, and verified.

The signatory's own program (the desktop tool of a USB token) makes its own CMS. Either it put that into the room which
our increment keeps, or it wrote a revision of its own onto the base; then that revision may hold the signature in the
field that was laid for it, and fill what our own increment fills, and nothing else.
"""

import hashlib
from datetime import timedelta
from typing import Any, Final

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.diff_analysis.policy_api import SuspiciousModification

from signing.contract import HandedBack, HandedOrder, Prepared, Sha256, Signed
from signing.errors import BaseChanged, CertificateUnfit, NotSignable, OutputInvalid
from signing.pdf.fields import ISSUED_DATE, NUMBER
from signing.pdf.files import check_base, read
from signing.pdf.finish import demand_good, verify_own
from signing.pdf.policy import SERVICE_POLICY, explain
from signing.pdf.reading import look, open_for_reading
from signing.pdf.verify import verify_bytes

CLOCKS_APART: Final = timedelta(minutes=10)
"""By how much the clock of a signatory's computer may differ from ours."""


def accept(order: HandedOrder) -> HandedBack:
    """Judge a file that came back; nothing is written, since it is taken as it is or not at all."""
    prepared, at = order.prepared, order.at
    check_base(order.base, prepared.base_sha256)
    whole = read(order.source)
    begins = memoryview(whole)[: prepared.base_size]
    if len(whole) <= prepared.base_size or hashlib.sha256(begins).digest() != prepared.base_sha256:
        raise BaseChanged(
            "Tệp trả về không bắt đầu bằng đúng bản đã giao để ký",
            "The file that came back does not begin with the very bytes that were given out",
        )
    ours = _fills_our_room(whole, prepared)
    reader = open_for_reading(whole)
    try:
        value = _value(reader, prepared)
        if not ours:
            _demand_nothing_else(reader, begins, prepared)
    finally:
        reader.let_go()
    verdict = verify_own(whole, order.trust, at) if ours else verify_bytes(whole, order.trust, at=at)
    own = demand_good(verdict, prepared.field)
    if own.signed_at is None or not prepared.prepared_at - CLOCKS_APART <= own.signed_at <= at + CLOCKS_APART:
        raise NotSignable(
            "Thời điểm ký ghi trong tệp không phải lúc ký; kiểm tra đồng hồ máy tính",
            "The time of signing in the file is not the time it was signed; check the computer's clock",
        )
    sha256 = Sha256(hashlib.sha256(whole).digest())
    return HandedBack(signed=Signed(sha256=sha256, size=len(whole), verdict=verdict), value=value)


def _fills_our_room(whole: bytes, prepared: Prepared) -> bool:
    """Say whether a file that begins with the base is base and increment with only the room for /Contents filled."""
    start, end, increment, size = prepared.reserved_start, prepared.reserved_end, prepared.increment, prepared.base_size
    return (
        len(whole) == size + len(increment)
        and whole.startswith(increment[: start - size], size)
        and whole.endswith(increment[end - size :])
        and whole[start : start + 1] == b"<"
        and whole[end - 1 : end] == b">"
    )


def _value(reader: PdfFileReader, prepared: Prepared) -> bytes:
    """Return the raw value in the field; the certificate beside it must be the one that was prepared for."""
    found = [each for each in reader.embedded_signatures if each.field_name == prepared.field]
    if not found:
        raise OutputInvalid(
            "Tệp trả về không có chữ ký trong trường đã đặt",
            f"The file that came back holds no signature in field {prepared.field}",
        )
    if found[0].signer_cert.dump() != prepared.certificate:
        raise CertificateUnfit(
            "Tệp được ký bằng chứng thư khác với chứng thư đã gắn cho người ký",
            "The file was signed with another certificate than the one bound to the signatory",
        )
    info: Any = found[0].signer_info
    return bytes(info["signature"].native)


def _demand_nothing_else(reader: PdfFileReader, base: memoryview, prepared: Prepared) -> None:
    """Demand one further revision that signs the field, and fills exactly what our own, still unsigned, fills."""
    expected = open_for_reading(base, prepared.increment)
    try:
        filled, revisions = _filled(expected), expected.xrefs.total_revisions
    finally:
        expected.let_go()
    if reader.xrefs.total_revisions != revisions:
        raise _changed("more than one revision was added")
    review = SERVICE_POLICY.review_file(reader, revisions - 2)
    if isinstance(review, SuspiciousModification):
        raise _changed(explain(review))
    others = set(review.changed_form_fields) - {prepared.field, NUMBER, ISSUED_DATE}
    if others or review.modification_level > ModificationLevel.FORM_FILLING:
        raise _changed(f"other fields were changed: {sorted(others)}")
    if _filled(reader) != filled:
        raise _changed("number and date are not as they were given")


def _filled(reader: PdfFileReader) -> dict[str, str]:
    root: Any = reader.root
    held = [reference.get_object() for reference in root["/AcroForm"]["/Fields"]]
    return {str(look(one, "/T")): str(look(one, "/V", "")) for one in held if look(one, "/T") in {NUMBER, ISSUED_DATE}}


def _changed(why: str) -> BaseChanged:
    return BaseChanged(
        "Tệp trả về đã bị thay đổi ngoài chữ ký", f"The file that came back was changed beyond the signature: {why}"
    )
