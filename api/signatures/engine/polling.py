"""Ask the holders where their transactions stand, and turn what they say into values: one poller per holder."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

import signing
from api.failpoints import reach
from api.jobs import JobContext
from api.signatures.engine import calls, rows, store
from api.signatures.engine.context import Engine, close_if_done, detail, give_back, receive, set_aside
from api.signatures.engine.sending import refuse, send_rest, start
from api.telemetry import spans
from signing.contract import Der, Outcome
from signing.errors import HolderRefused, SigningError, ValueMismatch

_log: Final = structlog.get_logger("signer.poll")

IDLE_S: Final = 0.2
AT_ONCE: Final = 20
TIME_LIMIT_S: Final = 20.0
LOST_AFTER: Final = timedelta(seconds=30)
"""If the process dies while asking, the transaction is looked at again after this."""
SILENCE_GRACE: Final = timedelta(minutes=2)
"""How long after its window a transaction is believed in whose holder still calls it waiting, or does not answer."""


def next_interval(polls: int) -> timedelta:
    """Return the pause before the next look: quick at first, every 5 s in the end (holders ask for 3 to 10 s)."""
    return timedelta(seconds=min(5.0, 0.25 * 2 ** min(polls, 5)))


async def run(engine: Engine, holder: str, stopping: asyncio.Event) -> None:
    """Poll one holder until stopped; a failure is logged and the next round goes on."""
    kick = engine.kicks.setdefault(holder, asyncio.Event())
    while not stopping.is_set():
        try:
            busy = await look(engine, holder)
        except Exception:  # noqa: BLE001 - nothing may end the poller; the rows are looked at again
            _log.exception("poll_round_failed", holder=holder)
            busy = False
        if not busy:
            try:
                await asyncio.wait_for(kick.wait(), IDLE_S)
            except TimeoutError:
                continue
            kick.clear()


async def look(engine: Engine, holder: str) -> bool:
    """Take the transactions that are due and ask for each; return whether there were any."""
    at = engine.clock()
    async with engine.pools.writing() as connection:
        due = await store.claim_transactions(connection, holder, at, at + LOST_AFTER, AT_ONCE)
    became = await asyncio.gather(*(_ask(engine, transaction) for transaction in due), return_exceptions=True)
    await _look_again(engine, [one for one, what in zip(due, became, strict=True) if what == "waiting"])
    for failed in (what for what in became if isinstance(what, BaseException)):
        raise failed
    return bool(due)


async def _ask(engine: Engine, transaction: rows.Transaction) -> str:
    with calls.ticket(transaction.batch_id, transaction.trace_id):
        return await _ask_for(engine, transaction)


async def _ask_for(engine: Engine, transaction: rows.Transaction) -> str:
    """Ask for one transaction and act on the answer; return what became of it."""
    holder = engine.holders[transaction.holder]
    try:
        with calls.calling(transaction.holder, "poll", calls.place(transaction)) as span:
            async with asyncio.timeout(TIME_LIMIT_S):
                outcome = await holder.poll(transaction.id)
            span.attributes["outcome"] = outcome.state
            span.quiet = outcome.state == "waiting"
    except (SigningError, TimeoutError) as error:
        _log.warning("holder_does_not_answer", holder=transaction.holder, error=type(error).__name__)
        if engine.clock() <= transaction.expires_at + SILENCE_GRACE:
            return "waiting"
        await refuse(engine, transaction, _SILENT, outcome="expired")
        return "expired"
    return await settle(engine, transaction, outcome, "poll")


async def _look_again(engine: Engine, waiting: Sequence[rows.Transaction]) -> None:
    """Have those looked at again for which their holder still waits, in one statement."""
    if not waiting:
        return
    now, again = engine.clock(), dict[str, datetime]()
    for transaction in waiting:
        at = now + next_interval(transaction.polls)
        if engine.holders[transaction.holder].capabilities.carried:  # says nothing new until the window has ended
            at = max(at, transaction.expires_at + SILENCE_GRACE)
        again[transaction.id] = at
    async with engine.pools.writing() as connection:
        await store.next_polls(connection, again)


async def settle(engine: Engine, transaction: rows.Transaction, outcome: Outcome, source: str) -> str:
    """Act on what a holder says of a transaction; return what became of it. Safe to repeat."""
    at = engine.clock()
    if transaction.state == "ended":
        return "after-the-end"
    if outcome.state == "signed":
        await _take_values(engine, transaction, outcome.values, source)
        return "signed"
    if outcome.state == "unknown":
        return await _not_known(engine, transaction, at)
    if outcome.state == "waiting":
        if at > transaction.expires_at + SILENCE_GRACE:
            await refuse(engine, transaction, _EXPIRED, outcome="expired")
            return "expired"
        return "waiting"
    why = {"expired": _EXPIRED, "refused": _REFUSED, "failed": _FAILED}[outcome.state]
    await refuse(engine, transaction, _ON_ITS_PAGE.get(outcome.detail, why), outcome=outcome.state)
    return outcome.state


_EXPIRED: Final = detail("not-confirmed", "Chưa xác nhận trong thời hạn.", "It was not confirmed in time.")
_REFUSED: Final = detail(
    "refused-at-holder", "Người ký đã từ chối trên ứng dụng ký.", "It was refused at the key holder."
)
_FAILED: Final = detail("holder-failed", "Nơi giữ khóa báo lỗi.", "The key holder reported an error.")
_ON_ITS_PAGE: Final = {
    why["code"]: why
    for why in (
        detail(
            "page-mixed-up",
            "Câu trả lời không phải của trang xác nhận đã cấu hình; không ký.",
            "The answer is not from the authorisation server that is set up; nothing was signed.",
        ),
        detail(
            "page-failed",
            "Trang xác nhận của nơi giữ khóa báo lỗi.",
            "The key holder's page answered with an error.",
        ),
        detail(
            "page-code-refused",
            "Nơi giữ khóa không nhận mã xác nhận: đã dùng, quá hạn hoặc không khớp.",
            "The key holder did not take the page's code: used before, too old, or not for this request.",
        ),
    )
}
"""What may become of an authorisation on a page, by what its holder tells of it."""
_SILENT: Final = detail(
    "holder-silent", "Nơi giữ khóa không trả lời trong thời hạn.", "The key holder did not answer in time."
)
_NO_VALUE: Final = detail("no-value", "Nơi giữ khóa không trả chữ ký cho văn bản này.", "No value came back for it.")


async def _not_known(engine: Engine, transaction: rows.Transaction, at: datetime) -> str:
    """Sign the same hashes again, counted, since the holder never saw them; past the window they return to the list."""
    if at > transaction.expires_at:
        await refuse(engine, transaction, _EXPIRED, outcome="expired")
        return "expired"
    async with engine.pools.transaction() as tx:
        for item in await store.items_of_transaction(tx, transaction.id):
            if item.state == "sent":
                await store.insert_key_use(tx, item.id, item.attempt, item.tbs_sha256, transaction, at)
    await start(engine, transaction)
    return "started-again"


async def _take_values(engine: Engine, transaction: rows.Transaction, values: Mapping[str, bytes], source: str) -> None:
    async with engine.pools.reading() as connection:
        items = await store.items_of_transaction(connection, transaction.id)
    waiting = [item for item in items if item.state == "sent"]
    unfit = await asyncio.to_thread(_unfit, waiting, values)
    await reach("value", transaction.batch_id)
    at = engine.clock()
    async with engine.pools.transaction() as tx:
        if await store.end_transaction(tx, transaction.id, "signed", at) is None:
            return
        fit: list[tuple[rows.SentItem, bytes]] = []
        for item in waiting:
            value = values.get(str(item.id))
            if value is None:
                await give_back(tx, transaction.batch_id, item.id, item.number_id, "failed", _NO_VALUE, at)
            elif item.id in unfit:
                why = {**unfit[item.id], "value": value.hex()}
                await set_aside(tx, transaction.batch_id, item.id, item.number_id, why, at)
            else:
                fit.append((item, value))
        await receive(tx, transaction, fit, source, at)
        await send_rest(tx, transaction)
        await close_if_done(tx, transaction.batch_id, at)
    calls.ended(transaction, "signed", items)
    await reach("value-received", transaction.batch_id)


def _unfit(items: list[rows.SentItem], values: Mapping[str, bytes]) -> dict[UUID, dict[str, str]]:
    """Return, by request, why a value does not fit its certificate and attributes; runs in a thread."""
    found: dict[UUID, dict[str, str]] = {}
    for item in items:
        value = values.get(str(item.id))
        if value is None:
            continue
        try:
            signing.check_value(Der(item.certificate), item.signed_attrs, item.mechanism, value)
        except ValueMismatch as error:
            found[item.id] = {"code": error.code, "vi": error.vi, "en": error.en}
    return found


async def answer(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.answer` job: judge what came by webhook, once."""
    answer_id = UUID(ids["answer"])
    async with engine.pools.reading() as connection:
        row = await store.answer(connection, answer_id)
    if row is None or row.verdict is not None:
        return
    verdict = await _judge_answer(engine, row)
    async with engine.pools.writing() as connection:
        await store.insert_answer_verdict(connection, row.id, verdict, engine.clock())


async def _judge_answer(engine: Engine, row: rows.Answer) -> str:
    holder = engine.holders.get(row.holder)
    if holder is None:
        return "no-such-holder"
    try:
        outcome = holder.read_webhook(row.headers, row.body)
    except HolderRefused:
        return "not-authentic"
    async with engine.pools.reading() as connection:
        transaction = await store.transaction(connection, outcome.transaction_id)
    if transaction is None or transaction.holder != row.holder:
        return "no-such-transaction"
    webhook = spans.here()
    with calls.ticket(transaction.batch_id, transaction.trace_id):
        links = [webhook] if webhook else []
        with spans.Span("holder.answer", parent=calls.place(transaction), links=links):
            return await settle(engine, transaction, outcome, "webhook")
