"""The four separate facts of a verification: untouched, signed by whom, competent at that time, still in force. Pure.

None of them implies another: an untouched paper may be annulled, a valid signature may be somebody's without the right.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from signing.contract import SignatureVerdict, Verdict

State = Literal["yes", "no", "unknown"]
_EFFECTS: Final = {
    "none": ("no", "Văn bản chưa phát hành.", "The document has not been issued."),
    "in_force": ("yes", "Văn bản đang có hiệu lực.", "The document is in force."),
    "corrected": ("yes", "Văn bản có hiệu lực và đã được đính chính.", "In force, and corrected."),
    "replaced": ("no", "Văn bản đã bị thay thế.", "The document has been replaced."),
    "recalled": ("no", "Văn bản đã bị thu hồi.", "The document has been recalled."),
    "annulled": ("no", "Văn bản đã bị hủy bỏ.", "The document has been annulled."),
}
_DEMO_VI: Final = "Chứng thư CHỈ ĐỂ THỬ: không có giá trị pháp lý."
_DEMO_EN: Final = "A demonstration certificate: of no legal value."


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One fact: its state, and what a reader is told."""

    state: State
    vi: str
    en: str


class SignedBy(msgspec.Struct, frozen=True, kw_only=True):
    """One signature: who, in what capacity, when, and what it is worth."""

    field: str
    role: str
    name: str
    organisation: str
    capacity: str | None = None
    title_lines: tuple[str, ...] = ()
    basis: str | None = None
    signed_at: datetime | None = None
    valid: bool
    trusted: bool
    demo: bool
    summary_vi: str
    summary_en: str


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Another document that corrects, replaces, recalls or annuls this one (`against`), or the other way round."""

    kind: str
    at: datetime
    legal_basis: str
    verify_code: str
    against: bool


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a document since it was issued, with date and basis."""

    effect: str
    at: datetime
    legal_basis: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a document. `ok` needs every fact that can be known to be good."""

    ok: bool
    demo: bool
    untouched: Fact
    signed: Fact
    competent: Fact
    in_force: Fact
    signatures: tuple[SignedBy, ...]
    title: str | None = None
    number: str | None = None
    day: date | None = None
    agency: str | None = None
    issued_at: datetime | None = None
    sha256: str | None = None
    verify_code: str | None = None
    links: tuple[Link, ...] = ()
    history: tuple[Change, ...] = ()
    registered: bool = False
    """Whether the register of this province knows the document."""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """What the register says of a result by its code."""

    result_id: UUID
    title: str
    state: str
    effect: str
    issued_at: datetime | None
    foreign_system: str | None
    foreign_reference: str | None
    document_id: UUID | None
    sha256: bytes | None
    verdict: dict[str, Any] | None
    agency_name: str
    number: str | None
    day: date | None


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """What the register says of one recorded signature."""

    field: str
    role: str
    name: str | None
    capacity: str | None
    title_lines: tuple[str, ...]
    agency_name: str
    recorded_at: datetime
    certificate_serial: str | None
    basis: str | None
    legal_basis: str | None
    competent: bool


def of_file(verdict: Verdict, sha256: bytes) -> Facts:
    """Return what a file alone can prove: the last two facts stand in a register, not in the file."""
    return Facts(
        ok=verdict.ok,
        demo=verdict.demo,
        untouched=untouched(verdict),
        signed=signed(verdict),
        competent=_unknown("Thẩm quyền ký không xác định được từ tệp.", "Competence is not to be known from the file."),
        in_force=_unknown("Hiệu lực không xác định được từ tệp.", "The effect is not to be known from the file."),
        signatures=tuple(_signature(one, None) for one in verdict.signatures),
        sha256=sha256.hex(),
    )


def of_register(
    issued: Issued, code: str, verdict: Verdict | None, signers: Sequence[Signer], links: Sequence[Link]
) -> Facts:
    """Return the four facts of a document that the register knows, with the verdict on its file."""
    by_field = {signer.field: signer for signer in signers}
    first, second, third = _issued_elsewhere(issued) or (
        untouched(verdict) if verdict else _unknown("Chưa có tệp đã phát hành.", "No file has been issued."),
        signed(verdict) if verdict else _unknown("Văn bản chưa được ký xong.", "Signing is not finished."),
        competent(signers),
    )
    fourth = effect(issued)
    good = all(fact.state == "yes" for fact in (first, second, third, fourth))
    return Facts(
        ok=good and verdict is not None and verdict.ok,
        demo=verdict.demo if verdict else False,
        untouched=first,
        signed=second,
        competent=third,
        in_force=fourth,
        signatures=tuple(_signature(one, by_field.get(one.field)) for one in verdict.signatures) if verdict else (),
        title=issued.title,
        number=issued.number,
        day=issued.day,
        agency=issued.agency_name,
        issued_at=issued.issued_at,
        sha256=issued.sha256.hex() if issued.sha256 else None,
        verify_code=code,
        links=tuple(links),
        registered=True,
    )


def _issued_elsewhere(issued: Issued) -> tuple[Fact, Fact, Fact] | None:
    """Say of a ministry's result where its file, signature and signatory are to be checked; None of one signed here."""
    if issued.foreign_system is None:
        return None
    where_vi = f"kiểm tra tại hệ thống {issued.foreign_system}, mã {issued.foreign_reference}"
    where_en = f"check in the system {issued.foreign_system}, reference {issued.foreign_reference}"
    return (
        _unknown(f"Tệp do hệ thống khác cấp; {where_vi}.", f"The file was issued in another system; {where_en}."),
        _unknown(f"Không ký tại đây; {where_vi}.", f"It was not signed here; {where_en}."),
        _unknown(f"Thẩm quyền: {where_vi}.", f"Competence: {where_en}."),
    )


def untouched(verdict: Verdict) -> Fact:
    """Say whether every byte is as signed or a permitted later step."""
    if verdict.untouched:
        return Fact(
            state="yes",
            vi="Tệp nguyên vẹn: không thay đổi gì ngoài phần được phép.",
            en="The file is untouched but for what is permitted.",
        )
    return Fact(state="no", vi="Tệp đã bị sửa hoặc không có chữ ký.", en="The file was altered, or bears no signature.")


def signed(verdict: Verdict) -> Fact:
    """Say whether every signature in the file is good, and under whom."""
    if not verdict.signatures:
        return Fact(state="no", vi="Tệp không có chữ ký số.", en="The file bears no signature.")
    if not all(one.valid and one.intact for one in verdict.signatures):
        return Fact(state="no", vi="Có chữ ký số không hợp lệ.", en="A signature is not valid.")
    if verdict.demo:
        return Fact(state="yes", vi=f"Chữ ký số hợp lệ. {_DEMO_VI}", en=f"The signatures are valid. {_DEMO_EN}")
    if not all(one.trusted for one in verdict.signatures):
        return Fact(
            state="no", vi="Không tin cậy được đơn vị cấp chứng thư.", en="A certificate's issuer is not trusted."
        )
    return Fact(state="yes", vi="Mọi chữ ký số hợp lệ và tin cậy.", en="Every signature is valid and trusted.")


def competent(signers: Sequence[Signer]) -> Fact:
    """Say whether each signatory had the right to sign when the signature was recorded."""
    if not any(signer.role in {"signatory", "seal"} for signer in signers):
        return _unknown("Chưa có chữ ký được ghi nhận.", "No signature has been recorded.")
    if all(signer.competent for signer in signers):
        return Fact(
            state="yes",
            vi="Người ký có thẩm quyền vào thời điểm ký.",
            en="The signatories were competent when they signed.",
        )
    return Fact(
        state="no",
        vi="Có người ký không còn thẩm quyền vào thời điểm ký.",
        en="A signatory was not competent at that time.",
    )


def effect(issued: Issued) -> Fact:
    """Say whether the document is still in force."""
    if issued.state == "blocked":
        return Fact(state="no", vi="Văn bản đang bị tạm giữ.", en="The document is being held.")
    state, vi, en = _EFFECTS[issued.effect]
    return Fact(state=state, vi=vi, en=en)  # pyright: ignore[reportArgumentType] - the table's first column is State


def _unknown(vi: str, en: str) -> Fact:
    return Fact(state="unknown", vi=vi, en=en)


def _signature(verdict: SignatureVerdict, signer: Signer | None) -> SignedBy:
    return SignedBy(
        field=verdict.field,
        role=signer.role if signer else verdict.kind,
        name=signer.name if signer and signer.name and signer.role != "seal" else verdict.signer_name,
        organisation=signer.agency_name if signer else verdict.organisation,
        capacity=signer.capacity if signer else None,
        title_lines=signer.title_lines if signer else (),
        basis=signer.legal_basis if signer else None,
        signed_at=verdict.signed_at,
        valid=verdict.valid and verdict.intact,
        trusted=verdict.trusted,
        demo=verdict.demo,
        summary_vi=verdict.summary_vi,
        summary_en=verdict.summary_en,
    )
