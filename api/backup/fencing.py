"""What must not be rolled back with the rest: numbers on papers, spent codes, ended rights, a signature already given.

Where the backup reaches beyond the moment, a second copy is brought to its very end first and asked what happened in
between (`Lost`). What even that copy cannot know, the last seconds before a disaster, is met with a margin.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api import audit
from api.audit.store import Ended
from api.backup import store
from api.backup.store import Counter, Given, KeyUse, Line, Seen
from api.db.pools import Tx
from api.signatures.stepup import DRIFT_STEPS, STEP_S

AUDIT_IDS_PASSED_OVER: Final = 1000


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """What had happened after the moment, as far as the backup knows; all of it has to be reconciled by people."""

    known_until: datetime | None = None
    """None where nothing beyond the moment was to be had."""
    lines: tuple[Line, ...] = ()
    key_uses: tuple[KeyUse, ...] = ()
    numbers: tuple[Given, ...] = ()


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A series whose numbers `first` to `last` will never be given again."""

    series_id: UUID
    year: int
    agency: str
    pattern: str
    first: int
    last: int


def between(restored: Seen, ahead: Seen, known_until: datetime) -> Lost:
    """Return what the later of two looks at one history has and the earlier has not."""
    lines = {(line.dossier_id, line.seq) for line in restored.lines}
    uses = {use.id for use in restored.key_uses}
    numbers = {(number.series_id, number.year, number.n) for number in restored.numbers}
    return Lost(
        known_until=known_until,
        lines=tuple(line for line in ahead.lines if (line.dossier_id, line.seq) not in lines),
        key_uses=tuple(use for use in ahead.key_uses if use.id not in uses),
        numbers=tuple(given for given in ahead.numbers if (given.series_id, given.year, given.n) not in numbers),
    )


def numbers_to_pass(
    restored: Seen, ahead: Seen | None, *, margin: int, floors: Mapping[UUID, int]
) -> list[tuple[Counter, int]]:
    """Return each counter as it stands with the number it must be raised to, where that is higher.

    Args:
        restored: the database at the moment.
        ahead: the same history at its end; None where there is none.
        margin: numbers passed over besides, for what no copy has seen; none for a series that never gave one.
        floors: the last number that a person has seen on paper, per series; it holds for the series' latest year.
    """
    stands = {(each.series_id, each.year): each for each in restored.counters}
    later = {(each.series_id, each.year): each for each in (ahead.counters if ahead else ())}
    every = dict(sorted({**later, **stands}.items()))
    latest = dict(every.keys())  # a series' later years overwrite its earlier ones
    wanted: list[tuple[Counter, int]] = []
    for key, counter in every.items():
        here = stands.get(key, msgspec.structs.replace(counter, n=0))
        known = max(here.n, later[key].n if key in later else 0)
        if latest[key[0]] == key[1]:
            known = max(known + margin, floors.get(key[0], 0))
        if known > here.n:
            wanted.append((here, known))
    return wanted


async def carry_over(tx: Tx, ended: Iterable[Ended], at: datetime, reason: str) -> list[Ended]:
    """Let nobody have back what was taken from them after the moment; return what had come back by the restore."""
    kinds = dict[str, dict[UUID, Ended]]()
    for each in ended:
        kinds.setdefault(each.what, {})[each.id] = each
    carried = list[Ended]()
    for what, rows in sorted(kinds.items()):
        done = await store.end(tx, what, list(rows.values()), at, reason)
        carried += [rows[one] for one in sorted(done)]
    return carried


async def fence(
    tx: Tx,
    restored: Seen,
    ahead: Seen | None,
    passing: list[tuple[Counter, int]],
    *,
    margin: int,
    reason: str,
    at: datetime,
) -> list[Passed]:
    """Write into the restored database what must hold although it was rolled back; counters come last."""
    await store.end_sessions(tx, at)
    await store.spend_codes(tx, int(at.timestamp()) // STEP_S + DRIFT_STEPS)
    await store.end_authorisations(tx, at)
    await store.raise_audit(tx, max(restored.last_audit, ahead.last_audit if ahead else 0) + AUDIT_IDS_PASSED_OVER)
    await audit.append(
        tx,
        None,
        process="restore",
        action="system.restore",
        subject_kind="system",
        subject_id=None,
        detail={"reason": reason},
        at=at,
    )
    counters = [*restored.day_counters, *(ahead.day_counters if ahead else ())]
    for counter in {(each.agency_id, each.day): each for each in counters}.values():
        await store.pass_over_codes(tx, counter, counter.n + margin)
    return [
        Passed(
            series_id=counter.series_id,
            year=counter.year,
            agency=counter.agency,
            pattern=counter.pattern,
            first=counter.n + 1,
            last=to,
        )
        for counter, to in passing
        if await store.pass_over_numbers(tx, counter, to, reason, at)
    ]
