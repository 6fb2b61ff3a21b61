"""Gauges of the whole system, read from the database by each worker every 15 s; several workers say the same."""

from datetime import datetime, timedelta
from math import inf
from typing import Final

from prometheus_client import Gauge

from api.db.pools import Pools
from api.jobs import depths
from api.operating import rows, store

_STAGE_ITEMS: Final = Gauge("motcua_signatures_open", "Signatures under way, by stage.", ["stage"])
_STAGE_OLDEST: Final = Gauge(
    "motcua_signatures_oldest_seconds", "Seconds that the longest waiting signature has been in its stage.", ["stage"]
)
_TICKETS: Final = Gauge("motcua_tickets_open", "Tickets that are not finished.")
_TICKET_OLDEST: Final = Gauge("motcua_ticket_oldest_seconds", "Seconds since the oldest open ticket was asked.")
_WAITING: Final = Gauge("motcua_jobs_waiting", "Jobs waiting, by kind.", ["kind"])
_OLDEST: Final = Gauge("motcua_jobs_oldest_seconds", "Seconds the oldest due job of a kind has waited.", ["kind"])
_PARKED: Final = Gauge("motcua_jobs_parked", "Jobs put aside until a person has looked, by kind.", ["kind"])
_DEBT: Final = Gauge("motcua_level_debt", "Sealed documents that do not have the level they owe.")
_DEBT_OLDEST: Final = Gauge("motcua_level_debt_oldest_seconds", "Seconds since the oldest of them was sealed.")
_DEBT_OVERDUE: Final = Gauge("motcua_level_debt_overdue", "How many of them are past their day.")
_DEBT_ZERO: Final = Gauge(
    "motcua_level_debt_zero_seconds",
    "Seconds until nothing is owed, at the last 20 minutes' pace and by the quotas; +Inf without one.",
)
_DIFFERENCES: Final = Gauge(
    "motcua_key_use_differences", "Transactions of the last day that the key holders' own accounts tell otherwise."
)
_EXPIRING: Final = Gauge(
    "motcua_certificates_expiring", "Certificates without a successor that end within so many days.", ["within_days"]
)

STAGES: Final = ("queued", "asked", "prepared", "sent", "value_received")
DAYS: Final = (60, 30, 7, 1, 0)
"""When a certificate is warned of, in days before its end; 0 counts those that have ended."""
MOST: Final = 20_000


async def sample(pools: Pools, at: datetime) -> None:
    """Read everything once; `at` is the present."""
    async with pools.reading() as tx:
        stages = {row.stage: row for row in await store.open_stages(tx)}
        tickets = await store.open_tickets(tx)
        waiting = await depths(tx)
        parked = await store.parked_kinds(tx)
        differences = await store.key_use_differences(tx)
        debt = await store.level_debt(tx)
        ending = await store.expiring_certificates(tx, timedelta(days=max(DAYS)), MOST)
    for stage in STAGES:
        found = stages.get(stage)
        _STAGE_ITEMS.labels(stage).set(found.items if found else 0)
        _STAGE_OLDEST.labels(stage).set(found.oldest_s if found else 0)
    _TICKETS.set(tickets.tickets)
    _TICKET_OLDEST.set(tickets.oldest_s)
    for gauge in (_WAITING, _OLDEST, _PARKED):
        gauge.clear()  # a kind of which nothing is left would keep its last number
    for depth in waiting:
        _WAITING.labels(depth.kind).set(depth.queued)
        _OLDEST.labels(depth.kind).set(depth.oldest_s)
    for kind in parked:
        _PARKED.labels(kind.kind).set(kind.jobs)
    _DIFFERENCES.set(differences)
    _DEBT.set(debt.owed)
    _DEBT_OLDEST.set(debt.oldest_s)
    _DEBT_OVERDUE.set(debt.overdue)
    _DEBT_ZERO.set(seconds_to_zero(debt))
    ends = [row.not_after for row in ending]
    for days in DAYS:
        _EXPIRING.labels(str(days)).set(expiring_within(ends, timedelta(days=days), at))


def seconds_to_zero(debt: rows.LevelDebt) -> float:
    """Return after how many seconds a debt is paid: at the pace of late, and never sooner than quotas allow. Pure.

    While a quota is used up the pace of late says how long was waited for it, and not how quick the work is.
    """
    if debt.owed == 0:
        return 0.0
    if debt.quota_waits:
        return debt.quota_s
    pace = debt.owed * max(debt.paid_in_s, 1.0) / debt.paid if debt.paid else inf
    return max(pace, debt.quota_s)


def expiring_within(ends: list[datetime], time: timedelta, at: datetime) -> int:
    """Count the certificates that end within this time. Pure."""
    return sum(end < at + time for end in ends)
