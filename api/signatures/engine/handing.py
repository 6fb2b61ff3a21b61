"""Judge what a signatory's own program handed back, item by item: what fits is a value, what does not is evidence."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

import signing
from api.failpoints import reach
from api.jobs import JobContext
from api.kernel import Sha256
from api.signatures.engine import calls, handing_store, rows, store
from api.signatures.engine.context import TIMES, Engine, close_if_done, detail, receive, set_aside
from api.signatures.engine.finishing import prepared_of
from api.signatures.engine.handing_store import Handed
from api.signatures.engine.polling import settle
from api.signatures.engine.sending import send_rest
from api.signatures.engine.store import Detail
from api.telemetry import spans
from signing.contract import Der, HandedBack, HandedOrder, Outcome, Verdict
from signing.errors import CertificateUnfit, Crashed, SigningError, TimedOut, ValueMismatch

TIME_LIMIT_S: Final = 60.0
SIGNED: Final = "signed"
LATE: Final = "after-the-end"


class _Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What one item is worth: its value, with the verdict where it is a whole file; or why it is not taken."""

    value: bytes = b""
    verdict: Verdict | None = None
    why: Detail | None = None


async def handed(engine: Engine, context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.handed` job: what came in one call for one transaction; safe to repeat."""
    given = [UUID(one) for one in ids["handed"]]
    async with engine.pools.reading() as connection:
        transaction = await store.transaction(connection, ids["transaction"])
        found = await handing_store.to_judge(connection, given)
    if transaction is None:
        return
    with (
        calls.ticket(transaction.batch_id, transaction.trace_id),
        spans.Span("holder.handed", parent=calls.place(transaction), attributes={"items": len(found)}),
    ):
        if ids.get("refused"):
            await settle(engine, transaction, Outcome(transaction_id=transaction.id, state="refused"), "upload")
            return
        judged = await _judge_all(engine, context, found)
        await reach("value", transaction.batch_id)
        await _take(engine, transaction, given, list(zip(found, judged, strict=True)))
    await reach("value-received", transaction.batch_id)


async def _judge_all(engine: Engine, context: JobContext, found: Sequence[Handed]) -> list[_Judged]:
    judged: list[_Judged] = []
    for item in found:
        if not item.waited_for:
            judged.append(_Judged())
        elif item.file_sha256 is not None:
            judged.append(await _judge_file(engine, context, item, Sha256(item.file_sha256)))
        else:
            judged.append(await asyncio.to_thread(_judge_value, item))
    return judged


async def _judge_file(engine: Engine, context: JobContext, item: Handed, file: Sha256) -> _Judged:
    order = HandedOrder(
        base=str(await engine.blobs.local_path(Sha256(item.base_sha256))),
        prepared=prepared_of(item),
        source=str(await engine.blobs.local_path(file)),
        trust=engine.trust,
        at=engine.clock(),
    )
    try:
        back: HandedBack = await engine.workshop.run(signing.accept, order, timeout_s=TIME_LIMIT_S)
    except (TimedOut, Crashed) as error:
        if context.failures + 1 < TIMES:
            raise
        return _Judged(why=_because(error, item))
    except SigningError as error:
        return _Judged(why=_because(error, item))
    return _Judged(value=back.value, verdict=back.signed.verdict)


def _judge_value(item: Handed) -> _Judged:
    """Judge a raw value; runs in a thread."""
    value, own = item.value or b"", Der(item.certificate)
    if item.said_certificate is not None and item.said_certificate != own:
        return _Judged(why=_because(_ANOTHERS, item))
    try:
        signing.check_value(own, item.signed_attrs, item.mechanism, value)
    except (CertificateUnfit, ValueMismatch) as error:
        return _Judged(why=_because(error, item))
    return _Judged(value=value)


_ANOTHERS: Final = CertificateUnfit(
    "Giá trị ký đi kèm chứng thư khác với chứng thư đã gắn cho người ký",
    "The value came with another certificate than the one bound to the signatory",
)


def _because(error: SigningError, item: Handed) -> Detail:
    """Say why an item is put aside; what was handed back is the evidence, and stays where it is."""
    return {**detail(error.code, error.vi, error.en), "handed": str(item.handed_id)}


async def _take(
    engine: Engine, transaction: rows.Transaction, given: Sequence[UUID], judged: Sequence[tuple[Handed, _Judged]]
) -> None:
    """Commit what fits and put aside what does not; the transaction ends with its last item."""
    at, over = engine.clock(), False
    async with engine.pools.transaction() as tx:
        waiting = await handing_store.lock_waiting(tx, transaction.id)
        fit: list[tuple[Handed, bytes]] = []
        for item, one in judged:
            if item.id not in waiting:
                continue
            waiting.discard(item.id)
            verdict = msgspec.to_builtins(one.verdict) if one.verdict else None
            code = one.why["code"] if one.why else SIGNED
            await handing_store.insert_verdict(tx, item.handed_id, code, one.why, verdict, at)
            if one.why is not None:
                await set_aside(tx, transaction.batch_id, item.id, item.number_id, one.why, at)
                continue
            fit.append((item, one.value))
        await receive(tx, transaction, fit, "upload", at)
        await handing_store.insert_late_verdicts(tx, given, LATE, at)
        if judged and not waiting:
            over = await store.end_transaction(tx, transaction.id, "signed", at) is not None
            await send_rest(tx, transaction)
        await close_if_done(tx, transaction.batch_id, at)
        items = await store.items_of_transaction(tx, transaction.id) if over else []
    if over:
        calls.ended(transaction, "signed", items)
