"""The cursor of a list "chờ ký": the sort keys of the last row, opaque on the wire."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec

from api.errors import Invalid

NO_DUE: Final = datetime.max.replace(tzinfo=UTC)
"""asyncpg sends this as infinity: rows without a due time come last."""
START: Final = ("", datetime.min.replace(tzinfo=UTC), UUID(int=0))


class _Keys(msgspec.Struct, frozen=True, array_like=True):
    lane: str
    due_at: Annotated[datetime, msgspec.Meta(tz=True)] | None
    id: UUID


def encode(lane: str, due_at: datetime | None, row_id: UUID) -> str:
    """Return the cursor that goes on after this row."""
    raw = msgspec.json.encode(_Keys(lane, due_at, row_id))
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(cursor: str | None) -> tuple[str, datetime, UUID]:
    """Return the sort keys to go on after; without a cursor, those before every row.

    Raises:
        Invalid: it is no cursor of ours.
    """
    if cursor is None:
        return START
    try:
        keys = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Keys)
        return keys.lane, keys.due_at.astimezone(UTC) if keys.due_at else NO_DUE, keys.id
    except (msgspec.DecodeError, binascii.Error, ValueError, OverflowError):
        raise Invalid("Con trỏ trang không hợp lệ.", "The page cursor is not valid.", code="bad-cursor") from None
