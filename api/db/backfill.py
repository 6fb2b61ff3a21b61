"""Rewriting old rows while everybody works: small batches by key, a pause after each, and a place to go on from.

A migration only adds a column; what old rows shall hold there is written afterwards, batch by batch. What others feel
of it is one statement that has the processor while they want it, so a batch is as many rows as take `BURST_S`: a busy
server gets fewer by itself. Small batches are the cheaper ones besides: what a committed batch left behind makes room
in the same page for the next, whose rows then need no new entry in any index. A row stays locked for one batch.

A batch is one statement and one round trip: it moves its mark itself, and commits at its end. None waits for the disk,
which others' commits need; a crash may so lose the last ones, but their marks with them: they are done again. Only the
end waits, and takes all before it along.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from api.db import queries
from api.errors import Conflict
from signing import turns

_q: Final = queries.load("api.db", "backfill.sql")
BURST_S: Final = 0.001
REST: Final = 19.0
"""Times the duration of a batch: at most a twentieth of one core is ever ours. How long a burst is counts for
more: on kernels without slices whoever meets it waits for its end (`signing.turns`)."""
LONGEST_REST_S: Final = 0.1
SMALLEST_BATCH: Final = 10
LARGEST_BATCH: Final = 1000
"""The least takes less than a burst of work on any machine: where it lasts longer, it is others who are served
meanwhile. Without a least, and a longest rest, a rewrite on a crowded machine would never end."""
_LOCK_PAUSE_S: Final = 1.0


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """One rewrite.

    `statement` takes the last key as text (`$1`, empty at first), how many rows (`$2`) and `name` (`$3`); it rewrites
    the rows of that range, moves the mark in `backfill`, and returns `last`, the key of the last one as text or NULL
    where none was left, and `rows`, how many it saw. Rows written meanwhile by the new version need no rewrite, so the
    statement leaves those alone.
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

    `tell` is called between two batches: what it raises ends the run, which the next one continues.

    Raises:
        Conflict: another run of the same rewrite is at work.
    """
    connection = await asyncpg.connect(dsn, timeout=10, server_settings={"lock_timeout": "100ms"})
    try:
        async with _alone(connection, backfill.name):
            _stand_back(await connection.fetchval(_q.own_process))
            await connection.execute(_q.begin_backfill, backfill.name)
            await connection.execute(_q.leave_disk_alone)
            await connection.execute(_q.plan_once)
            return await _run(connection, backfill, tell)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def _alone(connection: asyncpg.Connection, name: str) -> AsyncGenerator[None]:
    """Hold the lock of one rewrite; whoever stops it may begin it again at once."""
    if not await connection.fetchval(_q.take_backfill_lock, name):
        raise Conflict(f"{name} đang chạy ở nơi khác.", f"{name} is already running elsewhere.")
    try:
        yield
    finally:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # the lock went with it
            await connection.fetchval(_q.give_backfill_lock_back, name)


def _stand_back(pid: int) -> None:
    """Have the server's process that works for us stand back, where it runs on this machine and may be told."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"postgres: "):
            turns.stand_back(pid)


async def _run(connection: asyncpg.Connection, backfill: Backfill, tell: Callable[[Progress], None]) -> Progress:
    mark = await connection.fetchrow(_q.backfill_mark, backfill.name)
    assert mark is not None  # noqa: S101 - written before the first batch
    after, rows, ended = mark["after"], mark["rows"], mark["ended_at"] is not None
    rewrite = await connection.prepare(backfill.statement)
    size, longest = SMALLEST_BATCH, 0.0
    while not ended:
        began = time.monotonic()
        try:
            done = await rewrite.fetchrow(after, size, backfill.name)
        except asyncpg.LockNotAvailableError:  # somebody else holds a row: nothing was written, come again
            await asyncio.sleep(_LOCK_PAUSE_S)
            continue
        took = time.monotonic() - began
        if done is None or done["last"] is None:
            await connection.execute(_q.wait_for_disk)
            await connection.execute(_q.end_backfill, backfill.name)
            break
        after, rows, longest = done["last"], rows + done["rows"], max(longest, took)
        tell(Progress(rows=rows, longest_s=longest))
        size = next_size(size, took)
        await asyncio.sleep(min(took * REST, LONGEST_REST_S))
    progress = Progress(rows=rows, longest_s=longest)
    tell(progress)
    return progress


def next_size(size: int, took: float) -> int:
    """Return how many rows to take after a batch of so many that took so many seconds."""
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, size * 2, int(size * BURST_S / took)))


def seldom(tell: Callable[[Progress], None], every_s: float = 5.0) -> Callable[[Progress], None]:
    """Return what tells a person only now and then, and not of every batch."""
    last = time.monotonic()

    def told(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= every_s:
            last = time.monotonic()
            tell(progress)

    return told
