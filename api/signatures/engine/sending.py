"""Send what is prepared: the intent to use a key is committed, then the hashes leave, and nobody waits."""

import itertools
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from api.db.pools import Tx
from api.failpoints import reach
from api.jobs import JobContext
from api.jobs.queue import enqueue_many
from api.signatures import cutting
from api.signatures.engine import calls, paging, rows, store
from api.signatures.engine.context import (
    MAIN_NOT_SEALED,
    STOPPED,
    Engine,
    close_if_done,
    detail,
    enqueue_send,
    give_back,
)
from api.signatures.engine.judging import prepare_job
from api.signatures.engine.store import Detail
from signing.contract import Sha256, SignItem, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable
from signing.pages import Begun

PREPARATION_WINDOW: Final = timedelta(minutes=10)
START_GRACE: Final = timedelta(seconds=15)
"""How long a transaction whose start was interrupted is left alone before its holder is asked for it."""
AFTER_FAILURE: Final = timedelta(seconds=10)


async def send(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.send` job: commit the key uses, start what may start, and end."""
    batch_id = UUID(ids["batch"])
    async with engine.pools.transaction() as tx:
        transactions = await _commit_intents(engine, tx, batch_id)
    await reach("key-use", batch_id)
    for transaction in transactions:
        await start(engine, transaction)


async def _commit_intents(engine: Engine, tx: Tx, batch_id: UUID) -> list[rows.Transaction]:
    if await store.lock_batch(tx, batch_id) is None:
        return []
    ready = await store.prepared_of_batch(tx, batch_id)
    leaving = await _still_fit(tx, batch_id, ready, engine.clock())
    transactions: list[rows.Transaction] = []
    ordered = sorted(leaving, key=lambda r: (r.holder, r.credential_id, r.mechanism))
    for _, group in itertools.groupby(ordered, key=lambda r: (r.holder, r.credential_id, r.mechanism)):
        items = sorted(group, key=lambda r: r.ordinal)
        free = items[0].parallel_limit - await store.transactions_under_way(tx, items[0].holder, items[0].person_id)
        parts = cutting.cut(items, items[0].hashes_per_authorisation)[: max(free, 0)]
        at = engine.clock()  # now that nobody is waited for: what made room has ended before this begins
        transactions += [await _open_transaction(tx, batch_id, part, at) for part in parts]
    return transactions


async def _still_fit(tx: Tx, batch_id: UUID, ready: Sequence[rows.Ready], at: datetime) -> list[rows.Ready]:
    """Check authority, certificate and age again before the hashes leave; return what may leave."""
    leaving: list[rows.Ready] = []
    mandates = {
        agency: await store.authority_rows(tx, ready[0].person_id, agency) for agency in {r.agency_id for r in ready}
    }
    stale: list[rows.Ready] = []
    for item in ready:
        held = [row for row in mandates[item.agency_id] if row.id == item.mandate_id and row.holds(at)]
        why: Detail | None = None
        if at >= item.authorised_until:
            why = detail("authorisation-ended", "Quá nửa đêm, cần ký lại.", "The authorisation ended at midnight.")
        elif item.stopped:
            why = STOPPED
        elif item.revoked_at is not None or item.not_after <= at:
            why = detail("no-certificate", "Chưa có chứng thư hợp lệ.", "There is no valid certificate.")
        elif item.act == "separate_annex" and not item.main_at_hand:
            why = MAIN_NOT_SEALED
        elif item.role == "signatory" and not held:
            why = detail("no-authority", "Thẩm quyền ký đã hết hiệu lực.", "The authority to sign has ended.")
        if why is not None:
            outcome = "expired" if why["code"] in {"authorisation-ended", STOPPED["code"]} else "failed"
            await give_back(tx, batch_id, item.id, item.number_id, outcome, why, at)
        elif cutting.preparation_is_stale(item.prepared_at, at, PREPARATION_WINDOW):
            await store.back_to_asked(tx, item.id, at)
            stale.append(item)
        else:
            leaving.append(item)
    await enqueue_many(tx, [prepare_job(item.id, item.attempt, batch_id, 0) for item in stale])
    if len(leaving) + len(stale) < len(ready):
        await store.close_batch(tx, batch_id, at)
    return leaving


async def _open_transaction(tx: Tx, batch_id: UUID, part: Sequence[rows.Ready], at: datetime) -> rows.Transaction:
    first = part[0]
    expires_at = at + timedelta(seconds=first.window_s)
    transaction = rows.Transaction(
        id=f"mc-{secrets.token_hex(16)}",
        holder=first.holder,
        batch_id=batch_id,
        credential_id=first.credential_id,
        person_id=first.person_id,
        state="starting",
        started_at=at,
        expires_at=expires_at,
        polls=0,
        trace_id=first.trace_id,
    )
    await store.insert_transaction(tx, transaction, len(part), poll_at=at + START_GRACE)
    for item in part:
        await store.move_to_sent(tx, item.id, transaction.id, at, expires_at)
        await store.insert_key_use(tx, item.id, item.attempt, item.tbs_sha256, transaction, at)
    return transaction


async def start(engine: Engine, transaction: rows.Transaction) -> None:
    """Give a transaction to its holder; what cannot be given now is asked for and given again by the poller."""
    async with engine.pools.reading() as connection:
        items = await store.items_of_transaction(connection, transaction.id)
    open_items = [item for item in items if item.state == "sent"]
    if not open_items:
        async with engine.pools.writing() as connection:
            await store.end_transaction(connection, transaction.id, "nothing-open", engine.clock())
        return
    order = SignOrder(
        transaction_id=transaction.id,
        credential_id=transaction.credential_id,
        owner=engine.personal.open("holder-owner", open_items[0].owner_sealed),
        items=tuple(
            SignItem(item_id=str(i.id), tbs_sha256=Sha256(i.tbs_sha256), name=f"{i.dossier_code} · {i.title}")
            for i in open_items
        ),
        mechanism=open_items[0].mechanism,
    )
    try:
        with calls.calling(transaction.holder, "start", calls.place(transaction)) as span:
            span.attributes["items"] = len(open_items)
            begun = await engine.holder(transaction.holder).start(order) or Begun()
    except (HolderUnavailable, HolderMisconfigured):
        async with engine.pools.writing() as connection:
            await store.next_polls(connection, {transaction.id: engine.clock() + AFTER_FAILURE})
        return
    except HolderRefused as error:
        await refuse(engine, transaction, detail(error.code, error.vi, error.en))
        return
    await reach("started", transaction.batch_id)
    async with engine.pools.transaction() as tx:
        at = engine.clock()
        await store.transaction_started(tx, transaction.id, at, begun.code)
        if begun.page is not None:
            await paging.keep(tx, transaction.id, begun.page, at)
    engine.kick(transaction.holder)


async def refuse(engine: Engine, transaction: rows.Transaction, why: Detail, *, outcome: str = "refused") -> None:
    """End a transaction without values: what was not signed returns to the list."""
    at = engine.clock()
    async with engine.pools.transaction() as tx:
        if await store.end_transaction(tx, transaction.id, outcome, at) is None:
            return
        items = await store.items_of_transaction(tx, transaction.id)
        for item in items:
            if item.state == "sent":
                await give_back(tx, transaction.batch_id, item.id, item.number_id, outcome, why, at)
        await send_rest(tx, transaction)
        await close_if_done(tx, transaction.batch_id, at)
    calls.ended(transaction, outcome, items)


async def send_rest(tx: Tx, transaction: rows.Transaction) -> None:
    """After a transaction has ended, let what waits for this person's turn at the holder leave, of every ticket."""
    for ticket in await store.batches_to_send(tx, transaction.holder, transaction.person_id):
        with calls.ticket(ticket.batch_id, ticket.trace_id):
            await enqueue_send(tx, ticket.batch_id)
