"""The processes that touch PDFs die, again and again: tickets wait and finish later; poison is put aside by name."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

import signing
from api.documents.workshop import Workshop
from api.jobs import parked
from api.jobs.runner import RetryPolicy, Runner
from api.signatures import returning, submitting
from api.signatures.contract import SubmitForSignature
from api.signatures.engine import parking, sweeping
from api.signer import STEPS as SIGNERS_STEPS
from api.worker import STEPS as WORKERS_STEPS
from api.worker import note_parked
from signing.contract import LintLimits
from signing.pdf.bounded import BoundedPool
from tests.document_ground import demo_trust
from tests.many_documents import lay_many
from tests.office import log_in, serving
from tests.signer_process import SignerProcess
from tests.signing_ground import Ground

pytestmark = pytest.mark.alone

QUICK = RetryPolicy(max_failures=4, first_pause=timedelta(milliseconds=20), longest_pause=timedelta(seconds=1))
COUNT = 40


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


@pytest_asyncio.fixture
async def pool():
    async with BoundedPool(2) as pool:
        yield pool


class Poisoned:
    """The real pool, where one kind of work on one file ends its process as a hostile file would."""

    def __init__(self, pool: BoundedPool) -> None:
        self.pool = pool
        self.work, self.poison = None, ""

    async def run(self, work, *args, timeout_s, **kwargs):
        if work is self.work and self.poison in repr(args):
            return await self.pool.run(signal.raise_signal, signal.SIGKILL, timeout_s=timeout_s)
        return await self.pool.run(work, *args, timeout_s=timeout_s, **kwargs)


def pdf_processes(of: int) -> list[int]:
    """The PDF processes that a process of ours has started."""
    found = []
    for task in Path(f"/proc/{of}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if b"spawn_main" in _command(child)]


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def kill_all(processes: list[int]) -> int:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return len(processes)


async def recorded(ground, ticket) -> int:
    query = "SELECT count(*) FROM batch_item WHERE batch_id = $1 AND outcome = 'recorded'"
    return await ground.db.admin.fetchval(query, ticket)


@pytest.mark.timeout(240)
async def test_the_signers_pdf_processes_die_and_every_ticket_finishes(ground):
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    requests = await lay_many(ground, model, COUNT)
    signer = SignerProcess(ground, [{"kind": "software", "keys": str(ground.province.pki)}])
    await signer.start()
    killed, answers, slowest = 0, 0, 0.0
    keys = {"data_keys": {"test1": ground.province.data_key}, "data_key": "test1"}
    try:
        async with serving(ground.db.dsn("app"), ground.room / "blobs", clock=ground.clock, **keys) as (web, _):
            account = ground.province.accounts.of("chutich.kinhbac")
            assert (await log_in(web, account.login, account.password)).status_code == 201
            accepted = await ground.ask("chutich", *requests)
            async with asyncio.timeout(150):
                while (done := await recorded(ground, accepted.ticket)) < COUNT:
                    if done >= COUNT // 4 * (killed + 1) and killed < 2:
                        killed += bool(kill_all(pdf_processes(signer.process_id)))
                    began = time.perf_counter()
                    answer = await web.get(f"/signature-batches/{accepted.ticket}")
                    slowest = max(slowest, time.perf_counter() - began)
                    answers += answer.status_code == 200
                    assert None in (outcomes := await ground.outcomes(accepted.ticket)) or set(outcomes) == {"recorded"}
                    await asyncio.sleep(0.2)
    finally:
        await signer.stop()
    assert (killed, signer.deaths) == (2, 0)
    assert answers > 0
    assert slowest < 2.0
    assert await ground.db.admin.fetchval("SELECT count(*) FROM revision WHERE origin = 'signed'") == COUNT


def signers_runner(ground, pool) -> Runner:
    engine = dataclasses.replace(ground.engine, workshop=pool)
    steps = {kind: partial(step, engine) for kind, step in SIGNERS_STEPS.items()}
    return Runner(ground.db.dsn("signer"), steps, on_parked=partial(parking.note_parked, engine), policy=QUICK)


async def signer_works(ground, pool, ticket) -> list[str]:
    async with asyncio.timeout(90):
        while None in (outcomes := await ground.outcomes(ticket)):
            await signers_runner(ground, pool).drain()
            await ground.work()
    return outcomes


@pytest.mark.parametrize("work", [signing.prepare, signing.finish])
async def test_a_poison_file_is_parked_by_name_and_the_others_go_on(ground, pool, work):
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    requests = await lay_many(ground, model, 3)
    poisoned = Poisoned(pool)
    poisoned.work, poisoned.poison = work, await ground.shown(requests[1])
    accepted = await ground.ask("chutich", *requests)
    engine = ground.engine
    ground.engine = dataclasses.replace(engine, workshop=poisoned)
    assert await signer_works(ground, poisoned, accepted.ticket) == ["recorded", "failed", "recorded"]
    assert await ground.details(accepted.ticket) == [None, "parked", None]
    assert await ground.states(requests[1]) == ["failed"]
    async with ground.signer.reading() as tx:
        [named] = await parked(tx)
    assert str(requests[1]) in named.key
    assert "ended its process 3 times" in named.reason
    assert await ground.db.admin.fetchval("SELECT count(*) FROM audit WHERE action = 'job.parked'") == 1
    ground.engine = engine
    await sweeping.release(ground.engine, None, {"request": str(requests[1])})
    assert await ground.sign("chutich", requests[1]) == ["recorded"]


async def submit(ground, text: str) -> tuple[UUID, UUID]:
    """Submit a document whose places nobody has laid yet; the document and its chain."""
    document, _ = await ground.draft(text)
    return document, await submit_again(ground, document)


async def submit_again(ground, document: UUID) -> UUID:
    order = SubmitForSignature()
    async with ground.app.transaction() as tx:
        made = await submitting.submit(ground.dossiers, tx, ground.actor("thuly"), document, order, at=ground.clock())
    return made.chain_id


async def worker_works(ground, pool) -> None:
    shop = Workshop(
        pools=ground.worker,
        processes=pool,
        blobs=ground.blobs,
        vault=ground.province.vault,
        trust=demo_trust(ground.province.pki),
        clock=ground.clock,
        public_url="http://127.0.0.1",
        limits=LintLimits(max_bytes=4 << 20),
    )
    bound = {kind: bind(shop) for kind, bind in WORKERS_STEPS.items()}
    await Runner(ground.db.dsn("worker"), bound, on_parked=note_parked(shop), policy=QUICK).drain()


async def test_a_file_that_cannot_be_laid_fails_its_chain_with_a_reason_and_is_submitted_again(ground, pool):
    poisoned = Poisoned(pool)
    document, chain = await submit(ground, "doc")
    _, innocent = await submit(ground, "lanh")
    head = await ground.db.admin.fetchval("SELECT encode(head_sha256, 'hex') FROM document WHERE id = $1", document)
    poisoned.work, poisoned.poison = signing.lay_fields, head
    await worker_works(ground, poisoned)
    row = await ground.db.admin.fetchrow("SELECT state, error, closed_at FROM chain WHERE id = $1", chain)
    assert row["state"] == "failed"
    assert row["error"]["code"] == "parked"
    assert "3 times" in row["error"]["en"]
    assert row["closed_at"] is not None
    async with ground.app.reading() as tx:
        told = await returning.chains(tx, ground.actor("thuly"), document)
    assert {line.chain_error["code"] for line in told} == {"parked"}
    assert await ground.db.admin.fetchval("SELECT state FROM chain WHERE id = $1", innocent) == "open"
    poisoned.work = None
    again = await submit_again(ground, document)
    await worker_works(ground, poisoned)
    assert await ground.db.admin.fetchval("SELECT state FROM chain WHERE id = $1", again) == "open"


async def test_the_workers_pdf_processes_die_and_every_chain_opens(ground, pool):
    chains = [(await submit(ground, f"so {n}"))[1] for n in range(4)]
    work = asyncio.create_task(worker_works(ground, pool))
    killed = 0
    for _ in range(2):
        while not (alive := pdf_processes(os.getpid())) and not work.done():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        killed += kill_all(alive)
    await work
    assert killed > 0
    states = await ground.db.admin.fetch("SELECT state FROM chain WHERE id = ANY ($1::uuid[])", chains)
    assert [row["state"] for row in states] == ["open"] * len(chains)
