"""The pools: shares of classes, seconds with a connection, deadlines, a schema that changes underneath."""

import asyncio
import re
import time
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

import api
from api.db import budget
from api.db.budget import SHARES, Budget
from api.db.faults import as_kind
from api.db.pools import open_pools
from api.errors import Busy
from api.http.admission import ROOMS

SIZE = 4


@pytest_asyncio.fixture
async def pools(db):
    opened = await open_pools(db.dsn("app"), read_size=SIZE, write_size=SIZE, budget_s=0.3)
    yield opened
    opened.read.terminate()
    opened.write.terminate()


async def within(work, does, *, seconds=None, deadline_in=None):
    """Do something as a request of a class does, in a task of its own."""

    async def task():
        share = SHARES[work] if seconds is None else budget.Share(part=1.0, seconds=seconds)
        deadline = None if deadline_in is None else asyncio.get_running_loop().time() + deadline_in
        budget.current.set(Budget(work=work, share=share, deadline=deadline))
        return await does()

    return await asyncio.create_task(task())


def holding(pools, until: asyncio.Event, lent: list[str], name: str):
    async def hold():
        async with pools.reading():
            lent.append(name)
            await until.wait()

    return hold


async def settled(lent, count):
    async with asyncio.timeout(10):
        while len(lent) < count:
            await asyncio.sleep(0.005)


async def test_citizens_and_officers_together_leave_signing_its_part(pools):
    over, lent = asyncio.Event(), []
    flood = [
        asyncio.create_task(within(work, holding(pools, over, lent, work)))
        for work in ["citizens"] * 20 + ["officers"] * 20
    ]
    await settled(lent, 3)
    began = time.perf_counter()
    assert await within("signing", lambda: _one(pools)) == 1
    assert time.perf_counter() - began < 0.3, "signing waited behind a flood of others"
    assert (lent.count("citizens"), len(lent)) == (2, 3)
    over.set()
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert all(one is None or isinstance(one, Busy) for one in answers)
    assert (pools.shared[0].in_use, pools.shared[0].peak()) == (0, 4)
    assert await asyncio.gather(*(within("citizens", lambda: _one(pools)) for _ in range(10))) == [1] * 10


async def _one(pools):
    async with pools.reading() as tx:
        return await tx.fetchval("SELECT 1")


async def test_work_without_a_budget_may_use_the_whole_pool(pools):
    over, lent = asyncio.Event(), []
    tasks = [asyncio.create_task(holding(pools, over, lent, "own")()) for _ in range(SIZE)]
    await settled(lent, SIZE)
    with pytest.raises(Busy) as refused:
        await _one(pools)
    assert refused.value.retry_after_s == 2
    over.set()
    await asyncio.gather(*tasks)


async def running(db, text="pg_sleep"):
    return await db.admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE $1"
        " AND datname = current_database()",
        f"%{text}%",
    )


async def stops(db):
    async with asyncio.timeout(5):
        while await running(db):
            await asyncio.sleep(0.02)


async def test_who_keeps_a_connection_too_long_is_stopped_in_the_database_too(db, pools):
    async def slow():
        async with pools.transaction() as tx:
            await tx.execute("SELECT pg_sleep(30)")

    with pytest.raises(Busy) as stopped:
        await within("officers", slow, seconds=0.2)
    assert stopped.value.kind_code == "took-too-long"
    await stops(db)
    assert await within("officers", lambda: _one(pools)) == 1


async def test_a_deadline_ends_waiting_and_work_and_says_so(db, pools):
    async def slow():
        async with pools.reading() as tx:
            await tx.execute("SELECT pg_sleep(30)")

    with pytest.raises(Busy) as late:
        await within("officers", slow, deadline_in=0.2)
    assert late.value.kind_code == "not-enough-time"
    await stops(db)
    with pytest.raises(Busy) as over:
        await within("officers", lambda: _one(pools), deadline_in=-1)
    assert over.value.kind_code == "not-enough-time"


async def test_work_dies_with_its_caller(db, pools):
    async def slow():
        async with pools.transaction() as tx:
            await tx.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(slow())
    async with asyncio.timeout(5):
        while not await running(db):
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stops(db)
    assert pools.shared[1].in_use == 0


async def test_the_server_has_a_limit_of_its_own(pools):
    async with pools.reading() as tx:
        assert await tx.fetchval("SHOW statement_timeout") == "35s"


async def test_a_migration_under_live_pools_is_not_felt(db, pools):
    await db.admin.execute("CREATE TABLE probe (n integer); INSERT INTO probe VALUES (1); GRANT ALL ON probe TO app")

    async def read(tx):
        return await tx.fetchval("SELECT n FROM probe")

    async def all_read():
        async def one():
            async with pools.reading() as tx:
                await asyncio.sleep(0.01)
                return await read(tx)

        return await asyncio.gather(*(one() for _ in range(SIZE)))

    began: list[int] = []

    async def write(tx):
        began.append(1)
        return await read(tx)

    assert await all_read() == [1] * SIZE
    assert await pools.run(write) == 1
    await db.admin.execute("ALTER TABLE probe ALTER COLUMN n TYPE text USING n::text")
    assert await all_read() == ["1"] * SIZE
    assert await pools.run(write) == "1"
    assert len(began) == 3, "the transaction was begun once more, from its beginning"
    await db.admin.execute("ALTER TABLE probe ALTER COLUMN n TYPE integer USING n::integer")
    with pytest.raises(asyncpg.InvalidCachedStatementError) as bare:
        async with pools.transaction() as tx:
            await read(tx)
    assert as_kind(bare.value).retry_after_s == 1, "where nobody can repeat it, the caller is told to"


@pytest.mark.parametrize("host", ["/no/such/folder", "no-such-host.invalid"])
async def test_a_server_to_which_there_is_no_way_is_away(host):
    """A database that starts again has no socket file for a moment; that is not a fault of the request."""
    with pytest.raises(ConnectionError) as away:
        await open_pools(f"postgresql://app@/motcua?host={host}")
    assert as_kind(away.value).kind_code == "database-away"


async def test_a_broken_transaction_leaves_nothing_behind(pools):
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with pools.transaction() as tx:
            await tx.execute("SELECT 1 / 0")
    async with pools.transaction() as tx:
        assert await tx.fetchval("SELECT 1") == 1


def test_no_statement_of_ours_outlives_its_transaction():
    """Connections go back to the pool as they are, so nothing may be left on one."""
    lasting = re.compile(
        r"\b(LISTEN|PREPARE|pg_advisory_lock|DECLARE .* WITH HOLD|SET (?!LOCAL|NOT NULL)[a-z_]+ (=|TO)|TEMP)\b"
    )
    package = Path(api.__file__).parent
    found = {
        f"{file.relative_to(package)}: {line.strip()}"
        for file in package.rglob("queries.sql")
        for statement in file.read_text().split("-- name: ")
        for line in statement.splitlines()
        if lasting.search(line) and not re.match(r"\s*--|UPDATE|.*DO UPDATE", line) and "UPDATE" not in statement
    }
    assert found == {"db/queries.sql: SELECT pg_advisory_lock(7310214652083);"}, "the migrations' own connection"


def test_every_class_at_the_door_has_its_share():
    assert set(SHARES) == set(ROOMS)
