"""Where a list sorted by due time goes on: the last row's due time and id, opaque on the wire."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec

from api.errors import Invalid

START: Final = (datetime(1900, 1, 1, tzinfo=UTC), UUID(int=0))


class _Keys(msgspec.Struct, frozen=True, array_like=True):
    due_at: Annotated[datetime, msgspec.Meta(tz=True)]
    id: UUID


def encode(due_at: datetime, row_id: UUID) -> str:
    """Return the cursor that goes on after this row."""
    return base64.urlsafe_b64encode(msgspec.json.encode(_Keys(due_at, row_id))).rstrip(b"=").decode()


def decode(cursor: str | None) -> tuple[datetime, UUID]:
    """Return the sort keys to go on after; without a cursor, those before every row.

    Raises:
        Invalid: it is no cursor of ours.
    """
    if cursor is None:
        return START
    try:
        keys = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Keys)
        return keys.due_at.astimezone(UTC), keys.id
    except (msgspec.DecodeError, binascii.Error, ValueError, OverflowError):
        raise Invalid("Con trỏ trang không hợp lệ.", "The page cursor is not valid.", code="bad-cursor") from None
