"""Rewriting old rows while everybody works: small batches by key, a pause after each, and a place to go on from.

A migration only adds a column; what old rows shall hold there is written afterwards, batch by batch. No batch keeps its
rows locked for longer than `LONGEST_BATCH_S`: it grows and shrinks by what the last one took, so a busy server gets
small batches and long pauses by itself.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import asyncpg
import msgspec

from api.db import queries
from api.errors import Conflict

_q: Final = queries.load("api.db", "backfill.sql")
LONGEST_BATCH_S: Final = 0.05
REST: Final = 3.0
"""Times a batch's own duration: at most a quarter of one core, and of one disk, is ever ours."""
FIRST_BATCH: Final = 100
LARGEST_BATCH: Final = 5000
_LOCK_PAUSE_S: Final = 1.0


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """One rewrite.

    `statement` takes the last key as text (`$1`, empty at first) and how many rows (`$2`); it rewrites the rows of that
    range and returns `last`, the key of the last one as text or NULL where none was left, and `rows`, how many it saw.
    Rows written meanwhile by the new version need no rewrite, so the statement leaves those alone.
    """

    name: str
    statement: str


ALL: Final[tuple[Backfill, ...]] = (Backfill(name="signature_request.ready", statement=_q.rewrite_ready),)
"""The rewrites of this version; `motcua migrate --backfill` runs those that have not ended."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it has come: rows seen in all runs, and of this run the longest batch in seconds."""

    rows: int
    longest_s: float


async def run(dsn: str, backfill: Backfill, tell: Callable[[Progress], None]) -> Progress:
    """Rewrite from where the last run ended to the last row; a rewrite that has ended is not begun again.

    Raises:
        Conflict: another run of the same rewrite is at work.
    """
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"lock_timeout": "100ms"})
    try:
        if not await connection.fetchval(_q.take_backfill_lock, backfill.name):
            raise Conflict(f"{backfill.name} đang chạy ở nơi khác.", f"{backfill.name} is already running elsewhere.")
        await connection.execute(_q.begin_backfill, backfill.name)
        return await _run(connection, backfill, tell)
    finally:
        await connection.close()


async def _run(connection: asyncpg.Connection, backfill: Backfill, tell: Callable[[Progress], None]) -> Progress:
    size, longest = FIRST_BATCH, 0.0
    while True:
        began = time.monotonic()
        try:
            rows, ended = await _batch(connection, backfill, size)
        except asyncpg.LockNotAvailableError:  # somebody else holds a row: nothing was written, come again
            await asyncio.sleep(_LOCK_PAUSE_S)
            continue
        took = time.monotonic() - began
        longest = max(longest, took)
        progress = Progress(rows=rows, longest_s=longest)
        tell(progress)
        if ended:
            return progress
        size = max(1, min(LARGEST_BATCH, size * 2, int(size * LONGEST_BATCH_S / took)))
        await asyncio.sleep(took * REST)


async def _batch(connection: asyncpg.Connection, backfill: Backfill, size: int) -> tuple[int, bool]:
    """Rewrite one range and move the mark with it; return the rows so far and whether that was the last."""
    async with connection.transaction():
        mark = await connection.fetchrow(_q.backfill_mark, backfill.name)
        assert mark is not None  # noqa: S101 - written before the first batch
        if mark["ended_at"] is not None:
            return mark["rows"], True
        done = await connection.fetchrow(backfill.statement, mark["after"], size)
        last, seen = (done["last"], done["rows"]) if done else (None, 0)
        if last is None:
            await connection.execute(_q.end_backfill, backfill.name)
            return mark["rows"], True
        await connection.execute(_q.move_backfill, backfill.name, last, seen)
        return mark["rows"] + seen, False
