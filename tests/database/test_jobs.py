"""The queue: same-transaction enqueueing, claims before work, parking, pauses, take-over after a kill."""

import asyncio
import os
import signal
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from api.documents.blobs import StoreUnavailable
from api.errors import NotFound
from api.jobs import Job, JobContext, Park, ParkedJob, depths, enqueue, enqueue_many, parked, unpark
from api.jobs.runner import ConnectionLost, RetryPolicy, Runner

QUICK = RetryPolicy(max_failures=3, first_pause=timedelta(milliseconds=20), longest_pause=timedelta(milliseconds=40))


def runner(db, handlers, **options):
    return Runner(db.dsn("worker"), handlers, poll=timedelta(milliseconds=20), policy=QUICK, **options)


async def test_job_lives_and_dies_with_the_callers_transaction(db):
    app = await db.pools("app")

    async def put_in_and_fail() -> None:
        async with app.transaction() as tx:
            await enqueue(tx, "test.note", "1", {"id": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await put_in_and_fail()
    async with app.transaction() as tx:
        assert await enqueue(tx, "test.note", "2", {"id": 2})
        assert not await enqueue(tx, "test.note", "2", {"id": 2}), "the same key waits already"
        assert await enqueue(tx, "test.note", "2", {"id": 2}, dedupe=False)
    seen = []

    async def note(context: JobContext, payload):
        seen.append((context.key, context.claim, payload["id"]))

    await asyncio.wait_for(runner(db, {"test.note": note}).drain(), 20)
    assert [item[::2] for item in seen] == [("2", 2), ("2", 2)]
    assert await db.admin.fetchval("SELECT count(*) FROM job_claim") == 0
    assert await db.admin.fetchval("SELECT count(*) FROM pgqueuer") == 0


async def test_higher_priority_goes_first(db):
    async with (await db.pools("app")).transaction() as tx:
        await enqueue_many(
            tx, [Job(kind="test.note", key=str(i), payload={"id": i}, priority=10 if i == 4 else 0) for i in range(5)]
        )
    order = []

    async def note(context, payload):
        order.append(payload["id"])

    await asyncio.wait_for(runner(db, {"test.note": note}, batch_size=1, max_concurrent_tasks=2).drain(), 20)
    assert order[0] == 4
    assert sorted(order) == list(range(5))


async def test_failures_pause_then_park_and_unpark_begins_anew(db):
    async with (await db.pools("app")).transaction() as tx:
        await enqueue(tx, "test.flaky", "doc-7", {"id": 7}, priority=3)
    runs: list[int] = []
    audit: list[ParkedJob] = []
    broken = True

    async def flaky(context, payload):
        runs.append(context.failures)
        if broken:
            raise ValueError("Nguyễn Văn A's data must not reach the queue")

    async def on_parked(tx, what):
        audit.append(what)

    work = runner(db, {"test.flaky": flaky}, on_parked=on_parked)
    await asyncio.wait_for(work.drain(), 20)
    assert runs == [0, 1, 2]
    assert [item.key for item in audit] == ["test.flaky:doc-7"]
    async with (await db.pools("worker")).transaction() as tx:
        (lying,) = await parked(tx)
        assert lying.reason == "failed 3 times, at last with ValueError"
        assert await depths(tx) == []
    traces = await db.admin.fetch("SELECT traceback::text FROM pgqueuer_log")
    assert not any("Nguyễn" in (row["traceback"] or "") for row in traces)

    async with (await db.pools("app")).transaction() as tx:
        await enqueue(tx, "test.flaky", "doc-7", {"id": 7})
    await asyncio.wait_for(runner(db, {"test.flaky": flaky}).drain(), 20)
    assert len(runs) == 3, "parked work is not begun, whoever puts it in again"

    broken = False
    async with (await db.pools("worker")).transaction() as tx:
        assert await unpark(tx, "test.flaky:doc-7") == "test.flaky"
        with pytest.raises(NotFound):
            await unpark(tx, "test.flaky:doc-7")
    await asyncio.wait_for(runner(db, {"test.flaky": flaky}).drain(), 20)
    assert runs == [0, 1, 2, 0]


@pytest.mark.parametrize(
    "fault", [asyncpg.DiskFullError("could not extend file"), StoreUnavailable("x", "x", retry_after_s=1)]
)
async def test_work_waits_for_a_full_disk_and_is_not_parked_for_it(db, fault):
    async with (await db.pools("app")).transaction() as tx:
        await enqueue(tx, "test.file", "1", {})
    runs: list[int] = []

    async def write(context, payload):
        runs.append(context.failures)
        if len(runs) <= 3 * QUICK.max_failures:
            raise fault

    await asyncio.wait_for(runner(db, {"test.file": write}).drain(), 20)
    assert runs == [0] * (3 * QUICK.max_failures + 1), "it was tried until there was room, and nothing was its fault"
    assert await db.admin.fetchval("SELECT count(*) FROM job_claim") == 0


async def test_handler_can_park_at_once_with_its_own_reason(db):
    async with (await db.pools("app")).transaction() as tx:
        await enqueue(tx, "test.hopeless", "1", {})

    async def hopeless(context, payload):
        raise Park("template unknown")

    await asyncio.wait_for(runner(db, {"test.hopeless": hopeless}).drain(), 20)
    assert await db.admin.fetchval("SELECT reason FROM job_claim") == "template unknown"


async def test_time_limit_counts_as_failure(db):
    async with (await db.pools("app")).transaction() as tx:
        await enqueue(tx, "test.slow", "1", {})

    async def slow(context, payload):
        await asyncio.sleep(60)

    policy = RetryPolicy(max_failures=1, time_limit=timedelta(milliseconds=50))
    await asyncio.wait_for(Runner(db.dsn("worker"), {"test.slow": slow}, policy=policy).drain(), 20)
    assert "TimeoutError" in await db.admin.fetchval("SELECT reason FROM job_claim")


HEARTBEAT_TIMEOUT_S = 1
PROCESS = textwrap.dedent(
    f"""
    import asyncio, os, sys
    from datetime import timedelta
    from api.jobs.runner import Runner

    async def main(dsn, mode):
        async def work(context, payload):
            if payload["id"] == "poison":
                await asyncio.sleep(0.15)
                os._exit(9)
            if mode == "hang":
                print("begun", flush=True)
                await asyncio.sleep(60)
            await asyncio.sleep(0.3)
            print("did", payload["id"], flush=True)
        heartbeat = timedelta(seconds={HEARTBEAT_TIMEOUT_S})
        runner = Runner(dsn, {{"test.file": work}}, poll=heartbeat / 20, heartbeat_timeout=heartbeat)
        await runner.drain()

    asyncio.run(main(sys.argv[1], sys.argv[2]))
    """
)


async def spawn(db, mode: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, db.dsn("worker"), mode,
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2], env=dict(os.environ),
    )  # fmt: skip


async def test_poison_is_parked_after_three_claims_and_the_others_go_on(db):
    async with (await db.pools("app")).transaction() as tx:
        names = ["a", "b", "poison", "c", "d"]
        await enqueue_many(tx, [Job(kind="test.file", key=name, payload={"id": name}) for name in names])
    done: list[str] = []
    codes: list[int] = []
    for _ in range(6):
        # Sooner the jobs of the dead one are still its own, and `drain` ends.
        await asyncio.sleep(HEARTBEAT_TIMEOUT_S + 0.2)
        process = await spawn(db, "work")
        out, _ = await asyncio.wait_for(process.communicate(), 40)
        done += [line.split()[1] for line in out.decode().splitlines() if line.startswith("did ")]
        codes.append(process.returncode or 0)
        if codes[-1] == 0:
            break
    assert codes == [9, 9, 9, 0], "three processes died of it, the fourth parked it"
    assert sorted(set(done)) == ["a", "b", "c", "d"]
    rows = await db.admin.fetch("SELECT key, reason FROM job_claim")
    assert [(row["key"], row["reason"]) for row in rows] == [
        ("test.file:poison", "begun 3 times, and each time its process died")
    ]


async def test_killed_worker_loses_its_jobs_to_another(db):
    async with (await db.pools("app")).transaction() as tx:
        await enqueue(tx, "test.file", "x", {"id": "x"})
    victim = await spawn(db, "hang")
    assert victim.stdout is not None
    assert await asyncio.wait_for(victim.stdout.readline(), 30) == b"begun\n"
    victim.send_signal(signal.SIGKILL)
    await victim.wait()
    taken = asyncio.Event()

    async def work(context, payload):
        assert context.claim == 2
        taken.set()

    heir = runner(db, {"test.file": work}, heartbeat_timeout=timedelta(seconds=1))
    task = asyncio.create_task(heir.run())
    await asyncio.wait_for(taken.wait(), 20)
    heir.stop()
    await asyncio.wait_for(task, 20)


async def test_lost_connection_ends_the_runner(db):
    async def nothing(context, payload):
        pass

    task = asyncio.create_task(runner(db, {"test.none": nothing}).run())
    while not await db.admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'motcua-jobs' AND datname = $1", db.name
    ):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    await db.admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'motcua-jobs'"
    )
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(task, 20)


async def test_nothing_rings_when_a_job_is_put_in(db):
    assert await db.admin.fetchval("SELECT count(*) FROM pg_trigger WHERE tgname = 'tg_pgqueuer_changed'") == 0
