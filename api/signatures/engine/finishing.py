"""Finish one signature: embed the value, verify the own output, store it, record it (transaction 3)."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

import signing
from api.audit import append
from api.db.pools import Tx
from api.dossiers.service import Dossiers
from api.errors import Broken, MotcuaError
from api.failpoints import reach
from api.jobs import JobContext
from api.jobs.queue import enqueue_many
from api.kernel import Sha256
from api.signatures.engine import factor_store, level_store, measures, releasing, repaying, rows, store
from api.signatures.engine.context import (
    MAIN_NOT_SEALED,
    STOPPED,
    Engine,
    close_if_done,
    demand_another_try,
    detail,
    finish_annexes,
    give_back,
    set_aside,
)
from api.signatures.engine.judging import prepare_job
from api.signatures.levels import Owed
from api.telemetry.spans import Span
from signing.contract import Der, FinishOrder, Prepared, Signed, Verdict
from signing.contract import Sha256 as BaseSha256
from signing.errors import Crashed, SigningError, TimedOut

TIME_LIMIT_S: Final = 60.0


class HeadMoved(Exception):
    """The document's head or the request is not where the preparation left it: nothing was recorded."""


class AuthorityEnded(Exception):
    """The right to sign ended while the value was on its way: nothing was recorded."""


class Stopped(Exception):
    """The person was locked, or reported the factor lost, after asking: nothing was recorded."""


async def finish(engine: Engine, context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.finish` job; a repetition writes the same bytes and records them once."""
    request_id, attempt = UUID(ids["request"]), int(ids["attempt"])
    async with engine.pools.reading() as connection:
        work = await store.to_finish(connection, request_id)
    if work is None or work.state != "value_received" or work.attempt != attempt:
        return
    if work.act == "separate_annex" and not work.main_sealed:
        await _without_main(engine, work)
        return
    try:
        with Span("signatures.embed"):
            signed = handed_back(work) or await _embed(engine, work)
    except (TimedOut, Crashed) as error:
        demand_another_try(context, error)
        raise
    except SigningError as error:
        async with engine.pools.transaction() as tx:
            why = detail(error.code, error.vi, error.en)
            await set_aside(tx, work.batch_id, work.id, work.number_id, why, engine.clock())
            await close_if_done(tx, work.batch_id, engine.clock())
        return
    with Span("signatures.record"):
        await _record(engine, work, signed)
    await reach("recorded", work.batch_id)


async def _without_main(engine: Engine, work: rows.ToFinish) -> None:
    """Let an annex wait for its main document while the same ticket seals that; give it back once it does not."""
    if work.main_at_hand:
        return
    at = engine.clock()
    async with engine.pools.transaction() as tx:
        await give_back(tx, work.batch_id, work.id, work.number_id, "failed", MAIN_NOT_SEALED, at)
        await close_if_done(tx, work.batch_id, at)


def handed_back(work: rows.ToFinish) -> Signed | None:
    """Return the whole file that the signatory's program made, where it did: stored and judged when it was taken."""
    if work.file_sha256 is None or work.file_size is None:
        return None
    verdict = msgspec.convert(work.file_verdict, Verdict, strict=False)
    return Signed(sha256=BaseSha256(work.file_sha256), size=work.file_size, verdict=verdict)


async def _embed(engine: Engine, work: rows.ToFinish) -> Signed:
    base = await engine.blobs.local_path(Sha256(work.base_sha256))
    order = FinishOrder(
        base=str(base),
        prepared=prepared_of(work),
        value=work.value,
        chain=tuple(Der(der) for der in work.chain),
        trust=engine.trust,
        at=engine.clock(),
    )
    with engine.blobs.scratch() as room:
        target = room / "signed.pdf"
        signed: Signed = await engine.workshop.run(signing.finish, order, str(target), timeout_s=TIME_LIMIT_S)
        await reach("embedded", work.batch_id)
        stored = await engine.blobs.put_file(target)
    if stored.sha256 != signed.sha256:
        raise Broken("Tệp đã lưu khác tệp đã kiểm tra.", "The stored file is not the one that was verified.")
    await reach("stored", work.batch_id)
    return signed


def prepared_of(work: rows.Preparation) -> Prepared:
    """Return the preparation as the signing core gave it."""
    return Prepared(
        base_sha256=BaseSha256(work.base_sha256),
        base_size=work.base_size,
        increment=work.increment,
        document_digest=BaseSha256(work.document_digest),
        reserved_start=work.reserved_start,
        reserved_end=work.reserved_end,
        signed_attrs=work.signed_attrs,
        tbs_sha256=BaseSha256(work.tbs_sha256),
        field=work.field,
        certificate=Der(work.certificate),
        mechanism=work.mechanism,
        prepared_at=work.prepared_at,
    )


async def _record(engine: Engine, work: rows.ToFinish, signed: Signed) -> None:
    at = engine.clock()
    wish = await repaying.wish_of(engine, work, at)
    try:
        async with engine.pools.transaction() as tx:
            await record(engine.dossiers, tx, work, signed, at, wish)
        measures.recorded(work, at)
    except HeadMoved:
        async with engine.pools.transaction() as tx:
            await store.back_to_asked(tx, work.id, at)
            await enqueue_many(tx, [prepare_job(work.id, work.attempt, work.batch_id, 0)])
    except Stopped:
        async with engine.pools.transaction() as tx:
            await give_back(tx, work.batch_id, work.id, work.number_id, "expired", STOPPED, at)
            await close_if_done(tx, work.batch_id, at)
    except AuthorityEnded:
        why = detail("no-authority", "Thẩm quyền ký đã hết hiệu lực trước khi ghi nhận.", "The authority ended first.")
        async with engine.pools.transaction() as tx:
            await give_back(tx, work.batch_id, work.id, work.number_id, "failed", why, at)
            await close_if_done(tx, work.batch_id, at)
    except MotcuaError as error:
        # The dossier refuses the step (withdrawn, stopped): the value is evidence, the file is never released.
        async with engine.pools.transaction() as tx:
            why = detail(error.kind_code, error.vi, error.en)
            await set_aside(tx, work.batch_id, work.id, work.number_id, why, at)
            await close_if_done(tx, work.batch_id, at)


async def record(
    dossiers: Dossiers, tx: Tx, work: rows.ToFinish, signed: Signed, at: datetime, wish: Owed | None = None
) -> None:
    """Record one signed revision: a conditional statement, the level it owes, the life cycle, the audit row.

    Raises:
        HeadMoved: the request or the head is not where it was; the caller's transaction must roll back.
        AuthorityEnded: the right to sign does not hold at this moment.
        Stopped: the asking account was blocked since.
        MotcuaError: the dossier's state does not allow the step.
    """
    await store.lock_dossier(tx, work.dossier_id)
    if await factor_store.stopped_by_block(tx, work.batch_id):
        raise Stopped
    if work.role == "signatory" and work.person_id is not None:
        mandates = await store.authority_rows(tx, work.person_id, work.agency_id)
        if not any(row.id == work.mandate_id and row.holds(at) for row in mandates):
            raise AuthorityEnded
    origin = "sealed" if work.role == "seal" else "signed"
    revision_id = await store.record_revision(tx, work, signed, origin, at)
    if revision_id is None:
        raise HeadMoved
    if wish is not None:
        await level_store.owe_level(tx, revision_id, work.document_id, work.id, wish, signed.sha256, at)
    await _step_dossier(dossiers, tx, work, at)
    await append(
        tx,
        releasing.actor_of(work),
        process="signer",
        action=f"signature.{origin}",
        subject_kind="document",
        subject_id=work.document_id,
        detail={"request_id": str(work.id), "attempt": work.attempt, "sha256": signed.sha256.hex()},
        at=at,
        trace_id=work.trace_id,
    )
    # Locks the ticket, for which its other items wait: last.
    await store.end_item(tx, work.batch_id, work.id, "recorded", None, at)
    if work.role == "seal":
        await finish_annexes(tx, work.batch_id, work.id)
    await close_if_done(tx, work.batch_id, at)


async def _step_dossier(dossiers: Dossiers, tx: Tx, work: rows.ToFinish, at: datetime) -> None:
    left = await store.left_in_chain(tx, work.chain_id)
    if work.role != "seal":
        complete = left.persons == 0
        if complete:
            await store.result_signed(tx, work.result_id)
        await dossiers.record_signed(
            tx,
            work.dossier_id,
            work.result_id,
            request_id=work.id,
            role=work.role,
            complete=complete,
            at=at,
            actor=releasing.actor_of(work),
        )
        return
    if work.number_id is not None and not await store.use_number(tx, work.number_id, at, work.id):
        raise HeadMoved
    await store.chain_done(tx, work.chain_id, at)
    await releasing.issue(dossiers, tx, work, at)
