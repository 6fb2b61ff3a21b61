"""Which level a sealed document owes, and by when: the province's rule `signature.level`, a dated row. Pure.

    {"level": "B-LTA", "within_hours": 24, "procedures": {"1.004873": {"level": "B-T"}}, "agencies": {"<id>": {...}}}

A procedure's own word counts before an agency's, and that before the province's. Without a row nothing is owed.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

Level = Literal["B-B", "B-T", "B-LT", "B-LTA"]
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


def owed(rule: Mapping[str, Any], procedure_code: str, agency_id: UUID) -> Wish | None:
    """Return what a document of this procedure and agency owes; None where B-B is enough.

    Raises:
        msgspec.ValidationError: the rule's value is not of its form.
    """
    told = msgspec.convert(rule, LevelRule)
    wish: Wish = told.procedures.get(procedure_code) or told.agencies.get(str(agency_id)) or told
    return None if wish.level == "B-B" else wish


def pause(attempts: int, asked_s: float) -> timedelta:
    """Return how long a document waits after an attempt that failed for want of an authority."""
    doubled = _FIRST_PAUSE * 2 ** min(attempts, 10)
    return min(max(doubled, timedelta(seconds=min(asked_s, 3600.0))), max(_LONGEST_PAUSE, timedelta(seconds=asked_s)))


def renewal(wanted: Level, renew_by: datetime | None) -> datetime | None:
    """Return when an archived document owes its next timestamp; one that is not archived never does."""
    return renew_by - RENEW_BEFORE if wanted == "B-LTA" and renew_by is not None else None
