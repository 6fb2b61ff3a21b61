"""What proves that a result reached its citizen, by channel. Pure."""

from typing import Any

from api.dossiers.contract import DeliverIn
from api.errors import Invalid


def proof_of(handed: DeliverIn) -> dict[str, Any]:
    """Return the proof to be kept: ids and facts, no names.

    Raises:
        Invalid: the channel's proof is missing.
    """
    match handed.channel:
        case "counter":
            if handed.received_by is None or not handed.signed_for:
                raise _missing("người nhận và chữ ký nhận", "who received it and that they signed for it")
            together = {"all_present": True} if handed.all_present else {}
            return {"received_by": handed.received_by, "signed_for": True} | together
        case "post":
            if handed.tracking_no is None:
                raise _missing("mã bưu gửi", "the postal tracking number")
            return {"tracking_no": handed.tracking_no}
        case "online":
            if handed.opened_at is None:
                raise _missing("thời điểm công dân mở kết quả", "when the citizen opened it")
            return {"opened_at": handed.opened_at.isoformat()}


def _missing(vi: str, en: str) -> Invalid:
    return Invalid(f"Thiếu bằng chứng trả kết quả: {vi}.", f"Proof of delivery is missing: {en}.", code="proof-missing")
