"""The words every slice shares: identifiers, who acts, what time it is, where a page goes on.

Nothing here knows the web, the database or a slice.
"""

import os
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, NewType
from uuid import UUID

import msgspec

AgencyId = NewType("AgencyId", UUID)
PersonId = NewType("PersonId", UUID)
AccountId = NewType("AccountId", UUID)
PostId = NewType("PostId", UUID)
DossierId = NewType("DossierId", UUID)
ResultId = NewType("ResultId", UUID)
DocumentId = NewType("DocumentId", UUID)
RevisionId = NewType("RevisionId", UUID)
RequestId = NewType("RequestId", UUID)
BatchId = NewType("BatchId", UUID)
TaskId = NewType("TaskId", UUID)
Sha256 = NewType("Sha256", bytes)
"""The 32 raw bytes of a SHA-256; hexadecimal only on the wire."""

VIETNAM: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
"""Vietnam keeps UTC+7 all year; a fixed offset needs no time-zone database on the machine."""

Clock = Callable[[], datetime]
"""Returns the present as an aware UTC datetime. Rules take `at`; only the edge and the processes ask a clock."""


def system_clock() -> datetime:
    """Ask the machine for the present, in UTC."""
    return datetime.now(UTC)


def vn_day(at: datetime) -> date:
    """Return the civil day in Vietnam at this instant: codes, numbers and dates never use UTC's day."""
    return at.astimezone(VIETNAM).date()


def new_id(at: datetime) -> UUID:
    """Return a UUID version 7 (RFC 9562) of this instant: known before the insert, and kind to the index."""
    milliseconds = int(at.timestamp() * 1000)
    tail = int.from_bytes(os.urandom(10))
    low = tail & ((1 << 62) - 1) | (2 << 62)
    return UUID(int=milliseconds << 80 | 7 << 76 | (tail >> 62 & 0xFFF) << 64 | low)


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts: an account of a person in a post at an agency, with the roles that post gives there."""

    account_id: AccountId
    person_id: PersonId
    post_id: PostId
    agency_id: AgencyId
    roles: frozenset[str]
    session_id: UUID | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Where a list goes on: an opaque cursor made of the last row's sort keys, never an offset."""

    after: str | None = None
    limit: int = 50


def fold(text: str) -> str:
    """Return the search key of a Vietnamese text: no tone or vowel marks, đ as d, case folded, single spaces."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return " ".join(bare.replace("đ", "d").replace("Đ", "D").casefold().split())


_TONES: Final = {"": 0, "\u0300": 1, "\u0309": 2, "\u0303": 3, "\u0301": 4, "\u0323": 5}
_LETTERS: Final = {letter: order for order, letter in enumerate("aăâbcdđeêfghijklmnoôơpqrstuưvwxyz")}


def sort_key(text: str) -> str:
    """Return a key that sorts Vietnamese text under COLLATE "C": letters first, tones second.

    The order is that of the Vietnamese alphabet (a ă â … d đ … o ô ơ … u ư …) with the tones
    ngang, huyền, hỏi, ngã, sắc, nặng; no embedded PostgreSQL carries ICU, so the key is stored.
    """
    letters: list[str] = []
    tones: list[str] = []
    for char in unicodedata.normalize("NFC", text).casefold():
        parts = unicodedata.normalize("NFD", char)
        tone = next((mark for mark in parts if mark in _TONES and mark), "")
        base = unicodedata.normalize("NFC", parts.replace(tone, "") if tone else parts)
        letters.append(chr(0x61 + _LETTERS[base]) if base in _LETTERS else base)
        tones.append(str(_TONES[tone]))
    return "".join(letters) + "\u0001" + "".join(tones)
