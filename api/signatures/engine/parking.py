"""When the signer's work is parked, whoever waits for it is told in the transaction that parks it: nothing hangs."""

from uuid import UUID

from api.audit import append
from api.db.pools import Tx
from api.jobs.queue import ParkedJob
from api.signatures.engine import store
from api.signatures.engine.context import FINISH, JUDGE, PREPARE, Engine, detail, move_on_without, set_aside
from api.signatures.engine.judging import complete


async def note_parked(engine: Engine, tx: Tx, job: ParkedJob) -> None:
    """Write the audit row and end what waits: one request of a poison file, or the unjudged items of a ticket.

    A parked send ends nothing: the sweep orders another until the authorisation ends. A parked answer neither: the
    holder is asked anyway.
    """
    ids = job.key.split(":")[1:]
    await append(
        tx,
        None,
        process="signer",
        action="job.parked",
        subject_kind=job.kind,
        subject_id=_subject(ids[0]),
        detail={"key": job.key, "reason": job.reason, "claims": job.claims, "failures": job.failures},
        at=engine.clock(),
    )
    if job.kind in {PREPARE, FINISH}:
        await _set_request_aside(engine, tx, UUID(ids[0]), int(ids[1]), job.reason)
    elif job.kind == JUDGE:
        await _end_unjudged(engine, tx, UUID(ids[0]), job.reason)


def _subject(named: str) -> UUID | None:
    """Return the id that a job is named after; a transaction at a holder has another kind of name."""
    try:
        return UUID(named)
    except ValueError:
        return None


async def _set_request_aside(engine: Engine, tx: Tx, request_id: UUID, attempt: int, reason: str) -> None:
    parked = await store.parked_work(tx, request_id, attempt)
    if parked is None:
        return
    why = detail("parked", f"Tạm giữ, cần người xem: {reason}", f"Parked, a person must look: {reason}")
    await set_aside(tx, parked.batch_id, parked.id, parked.number_id, why, engine.clock())
    await move_on_without(tx, parked.batch_id, engine.clock())


async def _end_unjudged(engine: Engine, tx: Tx, batch_id: UUID, reason: str) -> None:
    at = engine.clock()
    batch = await store.lock_batch(tx, batch_id)
    if batch is None or batch.complete:
        return
    why = detail("parked", f"Chưa kiểm tra được lượt ký: {reason}", f"The ticket could not be judged: {reason}")
    for freed in await store.end_unjudged_items(tx, [batch_id], why, at):
        if freed.number_id is not None:
            await store.give_up_number(tx, freed.number_id, why["vi"], at)
    await complete(engine, tx, batch_id)
