"""The worker process, wired: checks, renders, lays, verifies and sweeps documents; it holds no signing key.

State is in the database and the document store only: it may be killed at any moment and run in any number. A lost
database ends it with an error, and the supervisor starts it again.
"""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

import structlog
import uvloop
from aiohttp import web
from prometheus_client import generate_latest

import signing
from api import audit, logs
from api.audit.chain import Notary
from api.audit.outside import CheckpointFile
from api.audit.revocations import RevocationLog
from api.audit.sealer import Sealer
from api.db.pools import Tx, open_pools
from api.db.privacy import Vault
from api.documents import drafts, printing, sweep, typesetting, uploads, verification
from api.documents.blobs import open_store
from api.documents.checking import Checker
from api.documents.printing import Printer
from api.documents.rendering import Drafter
from api.documents.sweep import Sweeper
from api.documents.verification import FileVerifier
from api.documents.workshop import Workshop
from api.jobs import Handler, ParkedJob, enqueue
from api.jobs.runner import OnParked, Runner
from api.kernel import Clock, system_clock
from api.operating import forgetting, sampling
from api.settings import Settings
from api.signatures import laying
from api.telemetry import process
from signing import turns
from signing.contract import LintLimits
from signing.pdf.bounded import BoundedPool

_log: Final = structlog.get_logger("worker")
SWEEP_EVERY_S: Final = 6 * 3600.0
FIRST_SWEEP_S: Final = 60.0


@asynccontextmanager
async def running(settings: Settings, clock: Clock = system_clock) -> AsyncGenerator[Workshop]:
    """Open everything the worker's jobs need, and close it again in order."""
    typesetting.check_fonts()
    demo = settings.trust_dir / "demo" if settings.demo and settings.trust_dir else None
    async with AsyncExitStack() as stack:
        pools = await open_pools(
            settings.database_url, read_size=settings.pool_read, write_size=settings.pool_write, budget_s=30.0
        )
        stack.push_async_callback(pools.close)
        processes = BoundedPool(settings.pdf_processes)
        stack.push_async_callback(processes.close)
        blobs = open_store(settings)
        stack.push_async_callback(blobs.close)
        yield Workshop(
            pools=pools,
            processes=processes,
            blobs=blobs,
            vault=Vault(settings.data_keys, settings.data_key),
            trust=signing.load_trust(settings.trust_dir, demo if demo and demo.is_dir() else None),
            clock=clock,
            public_url=settings.public_url,
            limits=LintLimits(max_bytes=settings.max_upload_mb << 20),
        )


STEPS: Final[dict[str, Callable[[Workshop], Handler]]] = {
    uploads.CHECK: Checker,
    drafts.MAKE: Drafter,
    drafts.PLACE: Drafter,
    printing.PRINT: Printer,
    verification.VERIFY: FileVerifier,
    sweep.SWEEP: Sweeper,
    laying.LAY: lambda shop: laying.handler(shop.pools, shop.processes, shop.blobs, shop.clock),
}
"""Every kind of job that this process does."""


def note_parked(workshop: Workshop) -> OnParked:
    """Return what is done when work is parked: the audit says so, and whoever waits for the file is told."""
    checker = Checker(workshop)

    async def parked(tx: Tx, job: ParkedJob) -> None:
        kind, _, key = job.key.partition(":")
        await audit.append(
            tx,
            None,
            process="worker",
            action="job.parked",
            subject_kind=kind,
            subject_id=_as_id(key),
            detail={"key": job.key, "reason": job.reason, "claims": job.claims, "failures": job.failures},
            at=workshop.clock(),
        )
        if kind == uploads.CHECK:
            await checker.put_aside_in(tx, UUID(key))
        if kind == laying.LAY:
            await laying.give_up(tx, UUID(key), job.reason, workshop.clock())

    return parked


def _as_id(key: str) -> UUID | None:
    try:
        return UUID(key)
    except ValueError:
        return None


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT: jobs under way end first; a lost database ends the process with an error."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings) as workshop, _listener(settings, workshop):
        bound = {kind: bind(workshop) for kind, bind in STEPS.items()}
        runner = Runner(
            settings.database_url, bound, on_parked=note_parked(workshop), batch_size=4, max_concurrent_tasks=8
        )
        process.spare_the_collector()
        _log.info("ready", kinds=sorted(bound), processes=settings.pdf_processes)
        tasks = [
            asyncio.create_task(runner.run(), name="jobs"),
            asyncio.create_task(_order_sweeps(workshop), name="sweeps"),
            asyncio.create_task(forgetting.run(workshop.pools, workshop.clock), name="forgetting"),
            asyncio.create_task(_sealer(settings, workshop).run(), name="sealer"),
            asyncio.create_task(process.sampling(partial(_sample, settings, workshop)), name="samples"),
            asyncio.create_task(process.watch_loop(workshop.pools.shared), name="loop-lag"),
        ]
        waiting = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            runner.stop()
            for task in (waiting, *tasks[1:]):
                task.cancel()
        await tasks[0]
    _log.info("stopped")


def _sealer(settings: Settings, workshop: Workshop) -> Sealer:
    if settings.checkpoint_dir is None:
        raise AssertionError("a worker is told where checkpoints go")
    notary, directory = Notary(settings.checkpoint_keys), settings.checkpoint_dir
    revocations = RevocationLog(workshop.pools, notary, directory, workshop.clock)
    return Sealer(workshop.pools, notary, CheckpointFile(directory), workshop.clock, revocations)


async def _order_sweeps(workshop: Workshop) -> None:
    """Order a sweep now and then; several workers order the same one."""
    pause = FIRST_SWEEP_S
    while True:
        await asyncio.sleep(pause)
        pause = SWEEP_EVERY_S
        try:
            async with workshop.pools.transaction() as tx:
                await enqueue(tx, sweep.SWEEP, "all", {}, priority=-10)
        except Exception:  # noqa: BLE001 - the runner ends the process where the database is gone
            _log.warning("sweep_not_ordered", exc_info=True)


async def _sample(settings: Settings, workshop: Workshop) -> None:
    """Tell what the system holds and what this process uses."""
    await sampling.sample(workshop.pools, workshop.clock())
    if isinstance(workshop.processes, BoundedPool):
        process.note_processes(workshop.processes)
    process.note_disks({"documents": settings.blob_dir, "data": settings.data_dir})


@asynccontextmanager
async def _listener(settings: Settings, workshop: Workshop) -> AsyncGenerator[None]:
    """Answer /healthz, /readyz and /metrics on the worker's own address."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        async with workshop.pools.reading() as connection:
            await connection.fetchval("SELECT 1")
        return web.json_response({"status": "ready"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await asyncio.to_thread(generate_latest), content_type="text/plain")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    server = web.AppRunner(app, access_log=None)
    await server.setup()
    try:
        await web.TCPSite(server, settings.worker_listen.host, settings.worker_listen.port).start()
        yield
    finally:
        await server.cleanup()


def main(settings: Settings) -> int:
    """Run the worker; return its exit status."""
    logs.set_up("worker")
    with process.sending_spans("worker", settings.otlp_url):
        turns.stand_back(niceness=0)
        uvloop.run(serve(settings))
    return 0
