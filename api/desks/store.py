"""The desks' statements, one function each: one round trip, straight into the answer's Structs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api.db.joining import Joined
from api.db.pools import Pools, Tx, as_structs
from api.db.queries import load
from api.desks.contract import LateLine, StatusCount, WorkLine
from api.kernel import Actor

q: Final = load("api.desks")
Keys = tuple[datetime, UUID]
StatusCounts = Joined[list[StatusCount]]
"""Heads' counts, by agency."""


class HolderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key holder; without a look of the signer the last three are missing."""

    name: str
    reachable: bool | None
    since: datetime | None
    checked_at: datetime | None


async def officer_desk(tx: Tx, actor: Actor, after: Keys, limit: int) -> list[WorkLine]:
    """Return open work of the actor's roles at the own agency, and what the actor has taken of it."""
    rows = await tx.fetch(q.officer_desk, actor.agency_id, sorted(actor.roles), actor.account_id, *after, limit)
    return as_structs(rows, WorkLine)


async def own_desk(tx: Tx, actor: Actor, after: Keys, limit: int) -> list[WorkLine]:
    """Return what the actor has taken."""
    return as_structs(await tx.fetch(q.own_desk, actor.account_id, *after, limit), WorkLine)


async def dispatch_desk(tx: Tx, after: Keys, limit: int) -> list[WorkLine]:
    """Return dossiers that wait for a competent agency."""
    return as_structs(await tx.fetch(q.dispatch_desk, *after, limit), WorkLine)


async def holders(tx: Tx) -> list[HolderRow]:
    """Return every key holder with what the signer last saw of it."""
    return as_structs(await tx.fetch(q.holders), HolderRow)


async def head_counts(
    tx: Tx, agency_id: UUID, statuses: Sequence[str], at: datetime, soon: datetime
) -> list[StatusCount]:
    """Return how many dossiers received at an agency stand where."""
    return as_structs(await tx.fetch(q.head_counts, agency_id, statuses, at, soon), StatusCount)


def counts_of(pools: Pools) -> StatusCounts:
    """Return how heads' counts that are asked for together are made: they grow with what they count."""
    return Joined(pools, "head_counts")


async def head_overdue(
    tx: Tx, agency_id: UUID, statuses: Sequence[str], before: datetime, after: Keys, limit: int
) -> list[LateLine]:
    """Return dossiers received at an agency and due before an instant."""
    rows = await tx.fetch(q.head_overdue, agency_id, statuses, before, *after, limit)
    return as_structs(rows, LateLine)
