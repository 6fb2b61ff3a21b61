"""Rewriting old rows while others read and write: nobody waits long, and a run that dies goes on where it was."""

import asyncio
import itertools
import random
import sys
import time

import asyncpg
import pytest

from api.db import backfill
from api.db.backfill import Backfill, Progress
from api.errors import Conflict

ROWS = 4_000
LONGEST_WAIT_S = 0.05
"""The most that a rewrite may add to a tiny read and write on a machine with much else to do; `motcua bench backfill`
measures what it adds to a request."""
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = $1"
REWRITE = Backfill(
    name="paper.folded",
    statement="""
WITH batch AS (
    SELECT id FROM paper WHERE id > coalesce(nullif($1::text, '')::int, 0) ORDER BY id LIMIT $2
), rewritten AS (
    UPDATE paper p SET folded = lower(p.name) FROM batch WHERE p.id = batch.id AND p.folded IS NULL
), done AS (
    SELECT max(id)::text AS last, count(*) AS rows FROM batch
), moved AS (
    UPDATE backfill SET after = done.last, rows = backfill.rows + done.rows FROM done
     WHERE name = $3 AND done.last IS NOT NULL
)
SELECT last, rows FROM done
""",
)


def untold(_: Progress) -> None:
    pass


@pytest.fixture
async def paper(db):
    await db.admin.execute(
        "CREATE TABLE paper AS SELECT id, 'Tờ khai ' || id AS name, repeat('x', 200) AS body, NULL::text AS folded"
        " FROM generate_series(1, $1::int) AS id".replace("$1", str(ROWS))
    )
    await db.admin.execute("ALTER TABLE paper ADD PRIMARY KEY (id)")
    await db.admin.execute("UPDATE paper SET folded = 'written by the new version' WHERE id = 7")
    return db


async def lacking(db) -> int:
    return await db.admin.fetchval("SELECT count(*) FROM paper WHERE folded IS NULL")


async def test_a_rewrite_goes_on_where_it_was_and_ends_once(paper):
    steps: list[int] = []

    def dies_after_three(progress: Progress) -> None:
        steps.append(progress.rows)
        if len(steps) == 3:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await backfill.run(paper.dsn("admin"), REWRITE, dies_after_three)
    left = await lacking(paper)
    assert ROWS - steps[-1] <= left < ROWS - 1
    steps.clear()
    done = await backfill.run(paper.dsn("admin"), REWRITE, lambda progress: steps.append(progress.rows))
    assert min(steps) > ROWS - left - 1
    assert (done.rows, await lacking(paper)) == (ROWS, 0)
    assert await paper.admin.fetchval("SELECT folded FROM paper WHERE id = 7") == "written by the new version"
    await paper.admin.execute("UPDATE paper SET folded = NULL WHERE id = 9")
    assert (await backfill.run(paper.dsn("admin"), REWRITE, untold)).rows == ROWS
    assert await lacking(paper) == 1


async def test_two_runs_at_once_are_refused(paper):
    first = asyncio.create_task(backfill.run(paper.dsn("admin"), REWRITE, untold))
    while not await paper.admin.fetchval("SELECT count(*) FROM backfill"):
        await asyncio.sleep(0.01)
    with pytest.raises(Conflict, match="already running"):
        await backfill.run(paper.dsn("admin"), REWRITE, untold)
    await first


async def test_whoever_stops_a_rewrite_may_begin_it_again_at_once(paper, monkeypatch):
    """However long its process in the server, which has a low priority, takes to leave once it is told to."""
    held: list[int] = []
    close = asyncpg.Connection.close

    async def closing(connection: asyncpg.Connection, **options: float) -> None:
        held.append(await paper.admin.fetchval(LOCKS, connection.get_server_pid()))
        await close(connection, **options)

    def stops(_: Progress) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(asyncpg.Connection, "close", closing)
    with pytest.raises(ConnectionResetError):
        await backfill.run(paper.dsn("admin"), REWRITE, stops)
    assert held == [0]


async def test_a_row_that_somebody_holds_is_waited_for_without_holding_others(paper):
    holder = await asyncpg.connect(paper.dsn("admin"))
    async with holder.transaction():
        await holder.execute("UPDATE paper SET body = '' WHERE id = 5")
        running = asyncio.create_task(backfill.run(paper.dsn("admin"), REWRITE, untold))
        await asyncio.sleep(0.3)
        assert await asyncio.wait_for(paper.admin.execute("UPDATE paper SET body = '' WHERE id = 1"), 5)
        assert not running.done()
    await running
    await holder.close()
    assert await lacking(paper) == 0


async def test_no_batch_waits_for_the_disk_but_the_end_does(paper):
    await paper.admin.execute(f"ALTER DATABASE {paper.name} SET synchronous_commit = 'remote_write'")
    await paper.admin.execute("CREATE TABLE waited (ended boolean, how text)")
    await paper.admin.execute(
        """
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO waited VALUES (new.ended_at IS NOT NULL, current_setting('synchronous_commit'));
            RETURN NULL;
        END $$;
        CREATE TRIGGER noted AFTER UPDATE ON backfill FOR EACH ROW EXECUTE FUNCTION note()
        """
    )
    await backfill.run(paper.dsn("admin"), REWRITE, untold)
    noted = await paper.admin.fetch(
        "SELECT ended, how, count(*) AS times FROM waited GROUP BY ended, how ORDER BY ended"
    )
    assert [(row["ended"], row["how"]) for row in noted] == [(False, "off"), (True, "remote_write")]
    assert noted[1]["times"] == 1


@pytest.mark.parametrize(
    ("took_bursts", "after_100"),
    [(1.0, 100), (0.1, 200), (4.0, 25), (1000.0, backfill.SMALLEST_BATCH)],
    ids=["right", "quick", "slow", "stuck"],
)
def test_a_batch_is_as_many_rows_as_take_one_burst(took_bursts, after_100):
    assert backfill.next_size(100, took_bursts * backfill.BURST_S) == after_100


def test_no_batch_is_larger_than_the_largest():
    assert backfill.next_size(backfill.LARGEST_BATCH, 1e-6) == backfill.LARGEST_BATCH


def test_a_person_is_told_now_and_then():
    told: list[Progress] = []
    always, seldom = backfill.seldom(told.append, every_s=0.0), backfill.seldom(told.append)
    for rows in range(3):
        always(Progress(rows=rows, longest_s=0.0))
        seldom(Progress(rows=rows, longest_s=0.0))
    assert [progress.rows for progress in told] == [0, 1, 2]


async def _waits(dsn: str, stop: asyncio.Event) -> list[float]:
    """How long each of many small readings and writings took."""
    connection = await asyncpg.connect(dsn)
    taken: list[float] = []
    while not stop.is_set():
        began = time.monotonic()
        await connection.fetchrow("SELECT name FROM paper WHERE id = $1", random.randint(1, ROWS))
        await connection.execute("UPDATE paper SET body = '' WHERE id = $1", random.randint(1, ROWS))
        taken.append(time.monotonic() - began)
        await asyncio.sleep(0.002)
    await connection.close()
    return taken


async def _while(dsn: str, work) -> list[float]:
    stop = asyncio.Event()
    others = [asyncio.create_task(_waits(dsn, stop)) for _ in range(2)]
    await work
    stop.set()
    return sorted(itertools.chain.from_iterable(await asyncio.gather(*others)))


async def test_others_do_not_wait_for_a_rewrite(paper, capsys):
    """Beside it, one UPDATE of everything: it holds each row that it has passed until its end, and is not paced."""
    dsn = paper.dsn("admin")
    alone = await _while(dsn, asyncio.sleep(1.5))
    beside = await _while(dsn, backfill.run(dsn, REWRITE, untold))
    await paper.admin.execute("UPDATE paper SET folded = NULL")
    p95 = [taken[len(taken) * 95 // 100] * 1000 for taken in (alone, beside)]
    with capsys.disabled():
        sys.stdout.write(f"\nread and write, p95: alone {p95[0]:.1f} ms, beside a rewrite {p95[1]:.1f} ms\n")
    assert len(beside) > 50
    assert p95[1] < 2 * p95[0] + 1000 * LONGEST_WAIT_S
