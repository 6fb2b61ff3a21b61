"""What a verification of the audit can find, in the words of a person who must act on it."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

Kind = Literal[
    "altered",
    "removed",
    "inserted",
    "tail-removed",
    "recomputed",
    "unsigned",
    "checkpoint-altered",
    "checkpoint-unproven",
    "revocations-altered",
    "revocations-cut",
]

LISTED: Final = 100
"""More findings than these are counted, not listed."""

_KEEP: Final = (
    "Không sửa gì; sao chép cơ sở dữ liệu và tệp điểm kiểm tra làm bằng chứng, báo người phụ trách an toàn thông tin.",
    "Change nothing; copy the database and the checkpoint file as evidence, and tell whoever answers for security.",
)
_OTHER_COPY: Final = (
    "Giữ tệp này làm bằng chứng và đặt lại bản sao đầy đủ. Nếu không còn, rà soát bằng tay tài khoản, quyền ký, chứng "
    "thư.",
    "Keep this file as evidence and put a whole copy back. Where there is none, go through accounts, rights to sign "
    "and certificates by hand.",
)
_COMPARE: Final = (
    "Khôi phục bản sao lưu gần nhất trước đó sang máy khác (`motcua restore`) và so dòng này theo id.",
    "Restore the last backup from before onto another machine (`motcua restore`) and compare the row by its id.",
)

NEXT: Final[Mapping[Kind, tuple[str, str]]] = {
    "altered": _COMPARE,
    "removed": _COMPARE,
    "inserted": (
        "Dòng này không đi qua hệ thống: xem ai đã đăng nhập cơ sở dữ liệu bằng quyền quản trị.",
        "This row did not come through the system: see who was logged in to the database as an administrator.",
    ),
    "tail-removed": _COMPARE,
    "recomputed": (
        "Người có quyền quản trị đã tính lại chuỗi: mọi dòng trong khoảng này đều đáng ngờ; so với bản sao lưu.",
        "An administrator of the database recomputed it: every row in this range is in doubt; compare with a backup.",
    ),
    "unsigned": (
        "Các dòng này không do tiến trình niêm phong ghi: xem ai ghi vào audit_chain.",
        "The sealer did not write these links: see who wrote to audit_chain.",
    ),
    "checkpoint-altered": _KEEP,
    "checkpoint-unproven": (
        "Dùng đúng khóa công khai (`--key ID:HEX`) và đúng tệp; nếu vẫn vậy, tệp đã bị sửa.",
        "Use the right public keys (`--key ID:HEX`) and the right file; if it stays so, the file was altered.",
    ),
    "revocations-altered": _OTHER_COPY,
    "revocations-cut": _OTHER_COPY,
}


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not as it was sealed: what, where, and what to do next."""

    kind: Kind
    vi: str
    en: str
    position: int | None = None
    """Place in the chain, from 1; with `to` the first of several."""
    to: int | None = None
    audit_id: int | None = None
    columns: tuple[str, ...] = ()

    @property
    def next_step(self) -> tuple[str, str]:
        """What to do about it."""
        return NEXT[self.kind]


def altered(position: int, audit_id: int, columns: tuple[str, ...]) -> Finding:
    """Say that a row is not what was chained; `columns` where they can be named."""
    named = ", ".join(columns)
    vi, en = (f" (cột {named})", f" (columns {named})") if columns else ("", "")
    return Finding(
        kind="altered",
        vi=f"Dòng {audit_id} (vị trí {position}) đã bị sửa{vi}.",
        en=f"Row {audit_id} (position {position}) was altered{en}.",
        position=position,
        audit_id=audit_id,
        columns=columns,
    )


def removed(position: int, audit_id: int) -> Finding:
    """Say that a chained row is gone."""
    return Finding(
        kind="removed",
        vi=f"Dòng {audit_id} (vị trí {position}) đã bị xóa.",
        en=f"Row {audit_id} (position {position}) was removed.",
        position=position,
        audit_id=audit_id,
    )


def _stretch(kind: Kind, first: int, last: int, vi: str, en: str) -> Finding:
    return Finding(kind=kind, vi=vi, en=en, position=first, to=last)


def links_removed(first: int, last: int) -> Finding:
    """Say that a stretch of the chain is gone together with what tells its rows."""
    vi, en = f"Chuỗi thiếu vị trí {first} đến {last}.", f"The chain lacks positions {first} to {last}."
    return _stretch("removed", first, last, vi, en)


def inserted(audit_id: int) -> Finding:
    """Say that a row stands among the sealed ones that was never sealed."""
    return Finding(
        kind="inserted",
        vi=f"Dòng {audit_id} được chen vào sau khi chuỗi đã niêm phong qua đó.",
        en=f"Row {audit_id} was put in after the chain had been sealed past it.",
        audit_id=audit_id,
    )


def tail_removed(first: int, last: int, number: int) -> Finding:
    """Say that the chain ends before what a checkpoint proves."""
    vi = f"Đuôi chuỗi đã mất: điểm kiểm tra {number} chứng minh vị trí {first} đến {last} từng có."
    en = f"The tail was removed: checkpoint {number} proves that positions {first} to {last} were there."
    return _stretch("tail-removed", first, last, vi, en)


def recomputed(first: int, last: int, number: int) -> Finding:
    """Say that links fit each other, but not the signed checkpoint."""
    vi = f"Chuỗi từ vị trí {first} đến {last} đã bị tính lại: không khớp điểm kiểm tra {number} đã ký."
    en = f"The chain from position {first} to {last} was recomputed: it is not what checkpoint {number} signed."
    return _stretch("recomputed", first, last, vi, en)


def unsigned(first: int, last: int) -> Finding:
    """Say that links follow the last signed checkpoint: the sealer writes both in one transaction."""
    vi = f"Vị trí {first} đến {last} không có điểm kiểm tra nào ký."
    en = f"No signed checkpoint covers positions {first} to {last}."
    return _stretch("unsigned", first, last, vi, en)


def checkpoint_altered(number: int) -> Finding:
    """Say that the database tells another checkpoint than the file, or none."""
    return Finding(
        kind="checkpoint-altered",
        vi=f"Điểm kiểm tra {number} trong cơ sở dữ liệu thiếu, bị sửa hoặc chữ ký không đúng.",
        en=f"Checkpoint {number} in the database is missing, altered, or not rightly signed.",
    )


def unproven(where: str) -> Finding:
    """Say that a statement from outside bears no signature that is believed."""
    return Finding(
        kind="checkpoint-unproven",
        vi=f"{where}: chữ ký không đúng, hoặc khóa không được tin.",
        en=f"{where}: the signature is wrong, or its key is not believed.",
    )


def revocations_altered(how: str) -> Finding:
    """Say that the log of revocations is not as it was written."""
    return Finding(
        kind="revocations-altered",
        vi="Nhật ký thu hồi (revocations.jsonl) bị hỏng hoặc bị sửa.",
        en=f"The log of revocations (revocations.jsonl) is damaged or was altered: {how}.",
    )


def revocations_cut(has: int, line: int, number: int) -> Finding:
    """Say that the log of revocations lacks the line that a checkpoint names as its last."""
    return Finding(
        kind="revocations-cut",
        vi=f"Nhật ký thu hồi bị cắt đuôi (còn {has} dòng): điểm kiểm tra {number} đã ký có ghi dòng {line}.",
        en=f"The log of revocations was cut off ({has} lines left): the signed checkpoint {number} names line {line}.",
    )
