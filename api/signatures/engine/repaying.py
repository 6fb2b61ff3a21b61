"""Conformance debt: a sealed document is released at B-B and owes its level, which is paid without anybody waiting.

Each debt is a job of its own kind, done beside the signatures' jobs, so that an authority that takes minutes holds up
no signature. What is due first is enqueued first, and never more than the authorities' quotas allow. A raised file is
another rendition of the sealed revision: the document's head, and whatever was released before, stay as they are.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from prometheus_client import Gauge

import signing
from api.audit import append
from api.db.pools import Tx
from api.dossiers.service import Dossiers
from api.errors import Broken
from api.failpoints import reach
from api.jobs import JobContext, Park
from api.jobs.queue import Job, depths, enqueue_many
from api.kernel import Sha256
from api.signatures import levels
from api.signatures.engine import level_store, measures, quotas, releasing, rows, store
from api.signatures.engine.context import REPAY, Engine, demand_another_try
from api.signatures.engine.level_store import Debt
from api.telemetry.spans import Span
from signing.contract import Sha256 as BaseSha256
from signing.deadlines import Deadline
from signing.errors import Crashed, EvidenceUnavailable, SigningError, TimedOut, TimestampUnavailable
from signing.levels import Raised, Standing
from signing.raising import Order, raise_level

_log: Final = structlog.get_logger("signer.levels")
_WELL: Final = Gauge(
    "motcua_timestamp_authority_well", "1 where the authority's last calls did not all fail.", ["name"]
)

EVERY_S: Final = 0.5
RENEWALS_S: Final = 60.0
AT_ONCE: Final = 64
TIME_LIMIT_S: Final = 60.0
NEVER: Final = timedelta(days=365 * 100)


async def wish_of(engine: Engine, work: rows.ToFinish, at: datetime) -> levels.Owed | None:
    """Return what a seal's document will owe; asked before the transaction that records it."""
    if work.role != "seal":
        return None
    try:
        rule = await engine.dossiers.registry.rule(levels.RULE, at)
    except Broken:
        rule = None
    return levels.owed(rule, work.procedure_code, work.agency_id, work.held_until)


async def run(engine: Engine, stopping: asyncio.Event) -> None:
    """Enqueue what is owed, as much as the authorities take, until stopped; without any authority nothing is tried."""
    looked = -RENEWALS_S
    loop = asyncio.get_running_loop()
    while not stopping.is_set():
        try:
            if loop.time() >= looked + RENEWALS_S:
                looked = loop.time()
                if engine.timestamps is not None:
                    await quotas.declare(engine.pools, engine.timestamps.limits(), engine.clock)
                async with engine.pools.transaction() as tx:
                    await level_store.owe_renewals(tx, engine.clock(), levels.RENEW_BEFORE, 1000)
            await top_up(engine)
        except Exception:  # noqa: BLE001 - the next look finds the same rows again
            _log.exception("top_up_failed")
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            continue


async def top_up(engine: Engine) -> int:
    """Enqueue the most urgent debts that may be tried now; return how many are new."""
    if engine.timestamps is None:
        return 0
    for name, well in engine.timestamps.well().items():
        _WELL.labels(name).set(well)
    allowed = min(AT_ONCE, await engine.timestamps.room())
    if allowed <= 0:
        return 0
    async with engine.pools.transaction() as tx:
        room = allowed - sum(each.queued + each.running for each in await depths(tx) if each.kind == REPAY)
        if room <= 0:
            return 0
        due = await level_store.levels_to_pay(tx, engine.clock(), room)
        return await enqueue_many(tx, [repay_job(each) for each in due])


def repay_job(revision_id: UUID) -> Job:
    """Return the job that pays one debt."""
    return Job(kind=REPAY, key=str(revision_id), payload={"revision": str(revision_id)})


async def repay(engine: Engine, context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.repay` job; a repetition finds the debt paid, or pays it from the file that stands.

    Raises:
        Park: the file cannot be raised by any repetition; a person must look.
    """
    async with engine.pools.reading() as connection:
        debt = await level_store.level_debt(connection, UUID(ids["revision"]))
    if debt is None or debt.paid_at is not None or engine.timestamps is None or engine.revocation is None:
        return
    try:
        with Span("signatures.raise"):
            await _raise(engine, debt, Deadline(context.ends_at))
    except (TimestampUnavailable, EvidenceUnavailable) as error:
        asked_s = error.retry_s if isinstance(error, TimestampUnavailable) else 0.0
        code = error.problems[0].code if error.problems else error.code
        _log.info("level_put_off", revision=str(debt.revision_id), why=code, attempt=debt.attempts + 1)
        await _put_off(engine, debt, levels.pause(debt.attempts, asked_s), code)
    except (TimedOut, Crashed) as error:
        demand_another_try(context, error)
        raise
    except SigningError as error:
        await _put_off(engine, debt, NEVER, error.code)
        raise Park(f"the file cannot be raised ({error.code})") from error


async def _put_off(engine: Engine, debt: Debt, pause: timedelta, code: str) -> None:
    measures.not_raised(code)
    async with engine.pools.transaction() as tx:
        await level_store.put_level_off(tx, debt.revision_id, engine.clock() + pause, code)


async def _raise(engine: Engine, debt: Debt, deadline: Deadline) -> None:
    """Raise one file outside any transaction, then record it."""
    if engine.timestamps is None or engine.revocation is None:
        return
    base = await engine.blobs.local_path(Sha256(debt.sha256))
    standing = await _standing(engine, debt, str(base))

    async def run_in_pool(work: Any, *args: Any) -> Any:
        return await engine.workshop.run(work, *args, timeout_s=min(TIME_LIMIT_S, deadline.left_s()))

    with engine.blobs.scratch() as room:
        order = Order(
            source=str(base),
            sha256=BaseSha256(debt.sha256),
            target=str(room / "raised.pdf"),
            wanted=_LEVEL_OF[debt.wanted],
            trust=engine.trust,
            standing=standing,
            signed_at=debt.signed_at,
            renew=debt.level != "B-B",
            deadline=deadline,
        )
        raised = await raise_level(order, engine.timestamps, engine.revocation, run_in_pool, engine.clock)
        if raised is None:
            raise Broken("Không có gì để nâng mức.", "There is nothing to raise.")
        await engine.blobs.put_file(room / "raised.pdf")
    await reach("raised", debt.revision_id)
    async with engine.pools.transaction() as tx:
        await record(engine.dossiers, tx, debt, raised, engine.clock())


async def _standing(engine: Engine, debt: Debt, base: str) -> Standing:
    """Return what the file needs evidence for: at B-B its signers as the register knows them, else what it holds."""
    paths = debt.signers()
    anchors = {*engine.trust.anchors, *engine.trust.demo_anchors}
    if debt.level == "B-B" and not debt.handed_back and paths and all(path[-1] in anchors for path in paths):
        return Standing(level="b-b", paths=paths)
    return await engine.workshop.run(signing.stand, base, engine.trust, at=engine.clock(), timeout_s=TIME_LIMIT_S)


async def record(dossiers: Dossiers, tx: Tx, debt: Debt, raised: Raised, at: datetime) -> None:
    """Record a raised file as a rendition of its revision, and the debt as paid; a second one changes nothing.

    A result that waited for this level is issued with it, in the same transaction.
    """
    level = _LEVELS[raised.standing.level]
    authority = next((one.signer_name for one in reversed(raised.verdict.signatures) if one.kind == "timestamp"), None)
    if debt.held_basis is not None:
        await store.lock_dossier(tx, debt.dossier_id)
    await store.insert_signed_blob(tx, raised.sha256, raised.size, at)
    renew_at = levels.renewal(debt.wanted, raised.standing.renew_by)
    if not await level_store.pay_level(tx, debt, level, raised.sha256, at, authority, renew_at):
        return
    await level_store.insert_rendition(tx, debt.revision_id, raised.sha256, level, at)
    seal = await level_store.sealed_by(tx, debt.request_id) if debt.held_basis is not None else None
    released = seal is not None and await releasing.issue(dossiers, tx, seal, at)
    await append(
        tx,
        None,
        process="signer",
        action="level.raised",
        subject_kind="document",
        subject_id=debt.document_id,
        detail={"level": level, "sha256": raised.sha256.hex(), "base": debt.sha256.hex(), "released": released},
        at=at,
        trace_id=debt.trace_id,
    )
    measures.raised(level, (at - debt.signed_at).total_seconds() if debt.level == "B-B" else None)


_LEVELS: Final[dict[str, levels.Level]] = {"b-b": "B-B", "b-t": "B-T", "b-lt": "B-LT", "b-lta": "B-LTA"}
_LEVEL_OF: Final[dict[levels.Level, Any]] = {own: other for other, own in _LEVELS.items()}
