"""Rebuilding dossiers from their journals alone, to show that the rows are nothing but a projection.

It streams: a batch of rows, their lines, one fold each. Nothing is written; what differs is reported.
"""

from collections.abc import AsyncGenerator, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec

from api.db.pools import Row, Tx
from api.dossiers import lifecycle, store
from api.dossiers.projection import Projection

_START = UUID(int=0)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A dossier whose row is not what its journal says: `columns` names where; empty if one of the two is missing."""

    dossier_id: UUID
    columns: tuple[str, ...]
    reason: str


async def rebuild(tx: Tx, batch: int = 2000) -> list[Difference]:
    """Fold every journal and compare with every row, column by column."""
    found = [difference async for page in compared(tx, batch) for difference in page]
    orphans = await store.journals_without_dossier(tx)
    return [*found, *(Difference(dossier_id=key, columns=(), reason="journal without row") for key in orphans)]


async def compared(tx: Tx, batch: int) -> AsyncGenerator[list[Difference]]:
    """Give the differences of one batch after another, in the order of the ids."""
    last = _START
    while rows := await store.dossiers_after(tx, last, batch):
        first, last = rows[0]["id"], rows[-1]["id"]
        lines = await store.effects_between(tx, first, last)
        journals = {key: list(group) for key, group in groupby(lines, key=itemgetter("dossier_id"))}
        yield [found for row in rows if (found := compare(row, journals.get(row["id"], []))) is not None]


def compare(row: Row, lines: list[Row]) -> Difference | None:
    """Return how a row differs from the fold of its journal, or None."""
    numbers = [line["seq"] for line in lines]
    if numbers != list(range(numbers[0] if numbers else 1, row["seq"] + 1)) or not lines:
        return Difference(dossier_id=row["id"], columns=("seq",), reason="lines missing")
    return differing(row, (line["effect"] for line in lines))


def differing(row: Row, effects: Iterable[dict[str, Any]]) -> Difference | None:
    """Compare a row with what these effects fold to, value by value as the database gives them."""
    rebuilt = lifecycle.fold(effects)
    stands = msgspec.convert(dict(row), Projection, strict=False)
    if rebuilt == stands:
        return None
    names = tuple(name for name in store.COLUMNS if getattr(rebuilt, name) != getattr(stands, name))
    return Difference(dossier_id=row["id"], columns=names, reason="row differs from journal")
