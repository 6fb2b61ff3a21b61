"""Results that are signed, sealed and numbered, and wait for the level that a provision demands (chờ dấu thời gian)."""

from datetime import datetime
from uuid import UUID

import msgspec


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Why a sealed result is not released yet. Without `expected_at` nobody can know, as in an authority's outage."""

    result_id: UUID
    document_id: UUID
    level: str
    legal_basis: str
    since: datetime
    due_at: datetime
    next_try_at: datetime | None
    expected_at: datetime | None
    problem: str | None
    vi: str = ""
    en: str = ""


def told(held: tuple[Held, ...]) -> tuple[Held, ...]:
    """Say of each why it waits, in words. Pure."""
    return tuple(msgspec.structs.replace(one, vi=_words(one)[0], en=_words(one)[1]) for one in held)


def _words(one: Held) -> tuple[str, str]:
    vi = f"Kết quả đã ký, đã cấp số; theo {one.legal_basis} chỉ trả khi chữ ký đạt mức {one.level}. "
    en = f"The result is signed and numbered; by {one.legal_basis} it is released at level {one.level} only. "
    if one.next_try_at is None:
        return vi + "Hệ thống không tự nâng mức được, đang chờ người xem.", en + "A person has to look at it."
    if one.problem is None:
        return vi + "Đang chờ đến lượt lấy dấu thời gian.", en + "It waits for its turn to be timestamped."
    return (
        vi + f"Nơi cấp dấu thời gian hoặc tình trạng chứng thư chưa trả lời ({one.problem}); hệ thống tự thử lại.",
        en + f"An authority outside does not give what is needed ({one.problem}); it is asked again by itself.",
    )
