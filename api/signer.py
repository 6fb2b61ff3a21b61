"""The signer process, wired: it alone opens the door to key holders, and it does not trust the API.

It holds the second factors' keys, sessions to the key holders, the pollers and the sweep. State is in the database and
the document store only: it may be killed at any moment and run in any number.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Set
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from math import isfinite
from typing import Any, Final

import msgspec
import structlog
import uvloop
from aiohttp import web
from prometheus_client import generate_latest

from api import logs
from api.db.pools import Pools, open_pools
from api.db.privacy import Vault
from api.documents.blobs import open_store
from api.dossiers.service import Dossiers
from api.jobs import JobContext
from api.jobs.runner import RetryPolicy, Runner
from api.kernel import Clock, system_clock
from api.people.engine import steps as people
from api.registry.service import Registry
from api.settings import Settings
from api.signatures import following
from api.signatures.engine import (
    canary,
    context,
    finishing,
    handing,
    holder_store,
    judging,
    measures,
    paging,
    parking,
    polling,
    preparing,
    quotas,
    reconciling,
    repaying,
    revoking,
    sending,
    stopping,
    sweeping,
)
from api.signatures.engine.context import Engine
from api.signatures.engine.passkeys import RelyingParty
from api.telemetry import process
from signing import holders as keys
from signing import turns
from signing.contract import KeyHolder, Trust
from signing.errors import SigningError
from signing.levels import TimestampSource
from signing.pdf.bounded import BoundedPool

_log: Final = structlog.get_logger("signer")
_Step = Callable[[Engine, JobContext, dict[str, Any]], Awaitable[None]]

STEPS: Final[dict[str, _Step]] = {
    context.JUDGE: judging.judge,
    context.PREPARE: preparing.prepare,
    context.SEND: sending.send,
    context.ANSWER: polling.answer,
    context.FINISH: finishing.finish,
    context.HANDED: handing.handed,
    context.PAGED: paging.answered,
    context.RELEASE: sweeping.release,
    context.STOP: stopping.stop,
    context.REPAY: repaying.repay,
    **people.STEPS,
}
"""Every kind of job that this process does."""

BESIDE: Final = frozenset({context.REPAY})
"""Work that waits for authorities outside; it has places of its own, so that it takes none from signatures."""

POLICY: Final = RetryPolicy(max_failures=4, max_claims=3)
STOP_S: Final = 20.0
_PATIENCE_S: Final = 2.0
"""How long the probe of a balancer waits for the database."""
SILENT_FOR: Final = timedelta(seconds=5)
"""A signer silent for so long has lost its jobs to another: people wait, and a doubled job does nothing."""


def open_holders(settings: Settings) -> dict[str, KeyHolder]:
    """Open the configured key holders by the name each declares.

    Raises:
        HolderMisconfigured: settings or keys are wrong, or a key file is used in production.
    """
    opened: dict[str, KeyHolder] = {}
    for raw in settings.holders:
        holder = keys.open_holder(msgspec.convert({**raw, "production": not settings.demo}, keys.HolderConfig))
        opened[holder.capabilities.name] = holder
    return opened


def open_timestamps(settings: Settings, trust: Trust, pools: Pools) -> TimestampSource | None:
    """Open the configured timestamping authorities, whose quotas are all signers'; None where there are none.

    Raises:
        HolderMisconfigured: one's settings are wrong, or a test's is used in production.
    """
    named = [msgspec.convert(each, keys.AuthoritySettings) for each in settings.authorities]
    if not named:
        return None
    counted = quotas.SharedQuotas(pools)
    return keys.open_timestamps(named, trust, production=not settings.demo, told=measures.timestamp, quotas=counted)


def trust_of(settings: Settings) -> Trust:
    """Return whom verification believes: the anchors of the directory, and in a demonstration those below `demo/`."""
    demo = settings.trust_dir / "demo" if settings.demo and settings.trust_dir else None
    return keys.load_trust(settings.trust_dir, demo if demo and demo.is_dir() else None)


@asynccontextmanager
async def running(settings: Settings, clock: Clock = system_clock) -> AsyncGenerator[Engine]:
    """Open everything the signer's steps need, and close it again in order."""
    async with AsyncExitStack() as stack:
        pools = await open_pools(
            settings.database_url,
            read_size=settings.pool_read,
            write_size=settings.pool_write,
            budget_s=30.0,
        )
        stack.push_async_callback(pools.close)
        workshop = BoundedPool(settings.pdf_processes)
        stack.push_async_callback(workshop.close)
        blobs = open_store(settings)
        stack.push_async_callback(blobs.close)
        holders = open_holders(settings)
        for holder in holders.values():
            stack.push_async_callback(holder.close)
        registry = Registry(pools)
        await stack.enter_async_context(registry.watching())
        personal = Vault(settings.data_keys, settings.data_key)
        trust = trust_of(settings)
        timestamps = open_timestamps(settings, trust, pools)
        if timestamps is not None:
            stack.push_async_callback(timestamps.close)
        revocation = keys.open_revocation(revoking.AnswerShelf(pools, clock), told=measures.fetched)
        stack.push_async_callback(revocation.close)
        yield Engine(
            pools=pools,
            workshop=workshop,
            blobs=blobs,
            holders=holders,
            factors=Vault(settings.factor_keys, settings.factor_key),
            personal=personal,
            dossiers=Dossiers(registry, personal, process="signer", after_step=(following.after_step,)),
            trust=trust,
            clock=clock,
            timestamps=timestamps,
            revocation=revocation,
            relying_party=RelyingParty.of(settings.public_url),
        )


async def declare(engine: Engine) -> None:
    """Write what each holder declares of itself, so that the API can tell people how a batch will be cut."""
    for holder in engine.holders.values():
        async with engine.pools.transaction() as tx:
            await holder_store.declare_holder(tx, type(holder).__name__, holder.capabilities, engine.clock())


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; jobs under way have `STOP_S` to end. A lost database ends it with an error."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(settings) as engine:
        await declare(engine)
        runners = [_runner(settings, engine, set(STEPS) - BESIDE), _runner(settings, engine, BESIDE)]
        flying = canary.Canary(engine, keys.open_canary())
        async with _listener(settings, engine, flying):
            process.spare_the_collector()
            _log.info("ready", holders=sorted(engine.holders))
            tasks = [
                *(asyncio.create_task(runner.run(), name="jobs") for runner in runners),
                asyncio.create_task(sweeping.run(engine, stopping, also=(*people.SWEEPS, revoking.look)), name="sweep"),
                asyncio.create_task(repaying.run(engine, stopping), name="levels"),
                asyncio.create_task(reconciling.run(engine, stopping), name="reconcile"),
                asyncio.create_task(canary.run(flying, stopping), name="canary"),
                *(
                    asyncio.create_task(polling.run(engine, name, stopping), name=f"poll-{name}")
                    for name in engine.holders
                ),
            ]
            aside = [
                asyncio.create_task(stopping.wait()),
                asyncio.create_task(process.watch_loop(engine.pools.shared), name="loop-lag"),
                asyncio.create_task(process.sampling(partial(_sample, engine)), name="samples"),
            ]
            await asyncio.wait([*aside, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for runner in runners:
                runner.stop()
            stopping.set()
            _, late = await asyncio.wait(tasks, timeout=STOP_S)
            for task in late:  # mostly one that waits for an authority: whatever it was is taken up again elsewhere
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            if failed := [one for one in ended if isinstance(one, Exception)]:
                raise failed[0]
            for task in aside:
                task.cancel()


def _runner(settings: Settings, engine: Engine, kinds: Set[str]) -> Runner:
    return Runner(
        settings.database_url,
        {kind: partial(step, engine) for kind, step in STEPS.items() if kind in kinds},
        on_parked=partial(parking.note_parked, engine),
        batch_size=8,
        max_concurrent_tasks=16,
        policy=POLICY,
        heartbeat_timeout=SILENT_FOR,
    )


async def _sample(engine: Engine) -> None:
    """Tell what this process uses."""
    if isinstance(engine.workshop, BoundedPool):
        process.note_processes(engine.workshop)


@asynccontextmanager
async def _listener(settings: Settings, engine: Engine, flying: canary.Canary) -> AsyncGenerator[None]:
    """Answer /healthz, /readyz and /metrics on the signer's own address."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        async with asyncio.timeout(_PATIENCE_S), engine.pools.reading() as connection:
            await connection.fetchval("SELECT 1")
        fresh, age_s = flying.is_fresh(), flying.age_s()
        told = {
            "status": "ready" if fresh else "not-ready",
            "canary_age_s": round(age_s, 1) if isfinite(age_s) else None,
            "holders": sorted(engine.holders),
        }
        return web.json_response(told, status=200 if fresh else 503, headers=None if fresh else {"Retry-After": "5"})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await asyncio.to_thread(generate_latest), content_type="text/plain")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    server = web.AppRunner(app, access_log=None)
    await server.setup()
    site = web.TCPSite(server, settings.signer_listen.host, settings.signer_listen.port)
    await site.start()
    try:
        yield
    finally:
        await server.cleanup()


def main(settings: Settings) -> int:
    """Run the signer; return its exit status."""
    logs.set_up("signer")
    with process.sending_spans("signer", settings.otlp_url):
        turns.stand_back(niceness=0)
        uvloop.run(serve(settings))
    return 0


def check(settings: Settings) -> int:
    """Open every key holder and say in plain words which can be reached; 0 when all can."""
    return asyncio.run(_check(settings))


async def _check(settings: Settings) -> int:
    try:
        opened = open_holders(settings)
    except SigningError as error:
        _say(f"✗ {error.vi} / {error.en}")
        return 1
    bad = 0
    for name, holder in opened.items():
        try:
            outcome = await holder.poll("mc-check")
        except SigningError as error:
            bad += 1
            _say(f"✗ {name}: {error.vi} / {error.en}")
        else:
            kind = "phát triển / development" if holder.capabilities.development else "vận hành / production"
            _say(f"✓ {name} ({kind}): {outcome.state}")
        await holder.close()
    return 1 if bad else 0


def _say(line: str) -> None:

    sys.stdout.write(line + "\n")
