"""Nothing passes its deadline unseen: ask again, expire, or raise it to a person. Every sweep is safe to repeat."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from api.db.pools import Tx
from api.jobs import JobContext
from api.jobs.queue import enqueue, enqueue_many
from api.signatures.engine import calls, rows, store
from api.signatures.engine.context import JUDGE, Engine, detail, enqueue_send, finish_job, give_back, move_on_without
from api.signatures.engine.judging import prepare_job

_log: Final = structlog.get_logger("signer.sweep")
_SWEPT: Final = Counter("motcua_signatures_swept", "Requests that the sweep moved, by what it did.", ["what"])

EVERY_S: Final = 5.0
JUDGED_WITHIN: Final = timedelta(seconds=20)
MOVED_WITHIN: Final = timedelta(seconds=30)
AT_ONCE: Final = 200


async def run(
    engine: Engine, stopping: asyncio.Event, also: Sequence[Callable[[Engine], Awaitable[None]]] = ()
) -> None:
    """Sweep until stopped; `also` are the sweeps of slices above."""
    while not stopping.is_set():
        try:
            for one in (sweep, *also):
                await one(engine)
        except Exception:  # noqa: BLE001 - the next sweep looks at the same rows again
            _log.exception("sweep_failed")
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            continue


async def sweep(engine: Engine) -> None:
    """Look once at everything that stands still."""
    at = engine.clock()
    async with engine.pools.transaction() as tx:
        for ticket in await store.stuck_batches(tx, at - JUDGED_WITHIN, AT_ONCE):
            with calls.ticket(ticket.batch_id, ticket.trace_id):
                await enqueue(tx, JUDGE, str(ticket.batch_id), {"batch": str(ticket.batch_id)})
            _SWEPT.labels("judged").inc()
    async with engine.pools.transaction() as tx:
        for batch_id in await store.closable_batches(tx, AT_ONCE):
            await store.close_batch(tx, batch_id, at)
    async with engine.pools.reading() as connection:
        stuck = await store.stuck_requests(connection, at - MOVED_WITHIN, AT_ONCE)
    for request in stuck:
        with calls.ticket(request.batch_id, request.trace_id):
            async with engine.pools.transaction() as tx:
                await _push(tx, request, engine)
    async with engine.pools.transaction() as tx:
        for batch_id, trace_id in {(r.batch_id, r.trace_id) for r in stuck if r.state == "prepared"}:
            with calls.ticket(batch_id, trace_id):
                await enqueue_send(tx, batch_id)


async def _push(tx: Tx, stuck: rows.Stuck, engine: Engine) -> None:
    """Have a request that stands still go on from where it is, or end it at its deadline."""
    at = engine.clock()
    ended = stuck.deadline_at is not None and at >= stuck.deadline_at
    if ended and stuck.state in {"asked", "prepared"}:
        why = detail("authorisation-ended", "Quá nửa đêm, cần ký lại.", "The authorisation ended at midnight.")
        await give_back(tx, stuck.batch_id, stuck.id, stuck.number_id, "expired", why, at)
        await move_on_without(tx, stuck.batch_id, at)
        _SWEPT.labels("expired").inc()
    elif stuck.state == "asked":
        await enqueue_many(tx, [prepare_job(stuck.id, stuck.attempt, stuck.batch_id, 0)])
    elif stuck.state == "value_received":
        await enqueue_many(tx, [finish_job(rows.Received(id=stuck.id, attempt=stuck.attempt, lane=stuck.lane, turn=0))])


async def release(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.release` job: a person has looked at a failed request and returns it to the list."""
    async with engine.pools.transaction() as tx:
        await store.release_failed(tx, UUID(ids["request"]), engine.clock())
