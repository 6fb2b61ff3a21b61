"""Which level a sealed document owes, and by when: the province's rule `signature.level`, a dated row. Pure.

    {"level": "B-LTA", "within_hours": 24, "procedures": {"1.004873": {"level": "B-T"}}, "agencies": {"<id>": {...}}}

A procedure's own word counts before an agency's, and that before the province's. Without a row nothing is owed, except
by a version of a procedure whose results are held until they have a level (`held_until`): it owes at least that one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from api.registry.procedures import HeldUntil

Level = Literal["B-B", "B-T", "B-LT", "B-LTA"]
_RISING: Final[tuple[Level, ...]] = ("B-B", "B-T", "B-LT", "B-LTA")
RULE: Final = "signature.level"
RENEW_BEFORE: Final = timedelta(days=90)
"""How long before its last timestamp stops proving anything an archived document owes the next one."""
_FIRST_PAUSE: Final = timedelta(seconds=2)
_LONGEST_PAUSE: Final = timedelta(minutes=5)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A level, and within how many hours of the seal it is owed."""

    level: Level = "B-B"
    within_hours: float = 24.0


class LevelRule(Wish, frozen=True, kw_only=True):
    """The rule's value."""

    procedures: dict[str, Wish] = {}
    agencies: dict[str, Wish] = {}


class Owed(Wish, frozen=True, kw_only=True):
    """What one sealed document owes; with `held_basis` its result waits for it, by that provision."""

    held_basis: str | None = None


def owed(
    rule: Mapping[str, Any] | None, procedure_code: str, agency_id: UUID, held: HeldUntil | None = None
) -> Owed | None:
    """Return what a document of this procedure and agency owes; None where B-B is enough.

    Where a version holds its results back, the higher of the two levels is owed, by the earlier of the two hours.

    Raises:
        msgspec.ValidationError: the rule's value is not of its form.
    """
    told = msgspec.convert(rule or {}, LevelRule)
    wish: Wish = told.procedures.get(procedure_code) or told.agencies.get(str(agency_id)) or told
    if held is None:
        return None if wish.level == "B-B" else Owed(level=wish.level, within_hours=wish.within_hours)
    level: Level = held.level if _RISING.index(held.level) > _RISING.index(wish.level) else wish.level
    hours = held.within_hours if wish.level == "B-B" else min(held.within_hours, wish.within_hours)
    return Owed(level=level, within_hours=hours, held_basis=held.legal_basis)


def pause(attempts: int, asked_s: float) -> timedelta:
    """Return how long a document waits after an attempt that failed for want of an authority."""
    doubled = _FIRST_PAUSE * 2 ** min(attempts, 10)
    return min(max(doubled, timedelta(seconds=min(asked_s, 3600.0))), max(_LONGEST_PAUSE, timedelta(seconds=asked_s)))


def renewal(wanted: Level, renew_by: datetime | None) -> datetime | None:
    """Return when an archived document owes its next timestamp; one that is not archived never does."""
    return renew_by - RENEW_BEFORE if wanted == "B-LTA" and renew_by is not None else None
