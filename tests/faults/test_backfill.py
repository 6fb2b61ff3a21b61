"""The database dies while old rows are rewritten: no batch waits for the disk, and yet no row is left out."""

import contextlib
import os
from pathlib import Path

import asyncpg
import pytest

from api.db import backfill
from api.db.backfill import Backfill, Progress
from signing import turns
from tests.slices import slice_of

BATCHES, EVERY = 60, 15
"""Of the least size each, and after how many of them a run is cut."""
ROWS = BATCHES * backfill.SMALLEST_BATCH
REWRITE = Backfill(
    name="leaf.folded",
    statement="""
WITH batch AS (
    SELECT id FROM leaf WHERE id > coalesce(nullif($1::text, '')::int, 0) ORDER BY id LIMIT $2
), rewritten AS (
    UPDATE leaf SET folded = true FROM batch WHERE leaf.id = batch.id AND leaf.folded IS NULL
), done AS (
    SELECT max(id)::text AS last, count(*) AS rows FROM batch
), moved AS (
    UPDATE backfill SET after = done.last, rows = backfill.rows + done.rows FROM done
     WHERE name = $3 AND done.last IS NOT NULL
)
SELECT last, rows FROM done
""",
)


async def test_a_power_cut_loses_batches_only_with_their_marks(durable, monkeypatch):
    monkeypatch.setattr(backfill, "LARGEST_BATCH", backfill.SMALLEST_BATCH)
    async with durable.database() as db:
        await db.admin.execute("CREATE TABLE leaf (id int PRIMARY KEY, folded boolean)")
        await db.admin.execute(f"INSERT INTO leaf SELECT id FROM generate_series(1, {ROWS}) AS id")
        told: list[Progress] = []

        def cut(progress: Progress) -> None:
            told.append(progress)
            if len(told) % EVERY == 0:
                raise ConnectionResetError

        for _ in range(3):
            with pytest.raises((ConnectionResetError, asyncpg.PostgresError)):
                await backfill.run(db.dsn("admin"), REWRITE, cut)
            await durable.kill()
            mark = await db.admin.fetchrow("SELECT after, rows FROM backfill")
            written = await db.admin.fetchrow("SELECT count(*) AS rows, max(id) AS last FROM leaf WHERE folded")
            assert (int(mark["after"] or 0), mark["rows"]) == (written["last"] or 0, written["rows"])
            assert mark["rows"] <= told[-1].rows
        done = await backfill.run(db.dsn("admin"), REWRITE, told.append)
        await durable.kill()
        assert done.rows == ROWS
        assert await db.admin.fetchval("SELECT count(*) FROM leaf WHERE folded") == ROWS
        assert await db.admin.fetchval("SELECT ended_at IS NOT NULL FROM backfill")


async def test_whoever_works_goes_before_a_rewrite(durable):
    async with durable.database() as db:
        await db.admin.execute("CREATE TABLE leaf (id int PRIMARY KEY, folded boolean)")
        await db.admin.execute(f"INSERT INTO leaf SELECT id FROM generate_series(1, {ROWS}) AS id")
        seen: list[list[tuple[int, int]]] = []
        await backfill.run(db.dsn("admin"), REWRITE, lambda _: seen.append(_turns(f" {db.name} ")))
    ours = slice_of(0)
    assert seen
    assert all(those == [(0, ours), (turns.NICENESS, turns.SLICE_NS if ours else 0)] for those in seen)


def _turns(database: str) -> list[tuple[int, int]]:
    """Return nice value and slice of the server's processes that work for this database, the most important first."""
    found: list[tuple[int, int]] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (process / "cmdline").read_bytes().decode()
            if title.startswith("postgres: ") and database in title:
                pid = int(process.name)
                found.append((os.getpriority(os.PRIO_PROCESS, pid), slice_of(pid)))
    return sorted(found)
