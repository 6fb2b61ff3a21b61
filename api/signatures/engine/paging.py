"""A key holder's own page, on which a person authorises a transaction: kept when opened, taken when it answers."""

from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from api.db import queries
from api.db.pools import Tx, as_struct
from api.jobs import JobContext
from api.signatures.engine import calls, store
from api.signatures.engine.context import Engine
from signing.pages import Page, PageAnswer, PageHolder

_log: Final = structlog.get_logger("signer.page")
_q: Final = queries.load("api.signatures.engine", "paging.sql")


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser brought back, and for which transaction."""

    state: str
    code: str
    error: str
    issuer: str
    transaction_id: str


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {"page_answer": Brought}
"""Which Struct each reading statement fills; a test compares their columns."""


async def keep(tx: Tx, transaction_id: str, page: Page, at: datetime) -> None:
    """Keep the page of a transaction, so that its ticket shows it to whoever asked."""
    await tx.execute(_q.insert_page, page.state, transaction_id, page.url, at)


async def answered(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.page` job: the holder goes on with what the page answered; safe to repeat.

    Raises:
        HolderMisconfigured: this signer has no such holder; another may.
        HolderUnavailable: this machine knows nothing of the transaction; another may.
    """
    async with engine.pools.reading() as connection:
        brought = as_struct(await connection.fetchrow(_q.page_answer, ids["state"]), Brought)
        transaction = await store.transaction(connection, brought.transaction_id) if brought else None
    if brought is None or transaction is None or transaction.state == "ended":
        return
    holder = engine.holder(transaction.holder)
    if not isinstance(holder, PageHolder):
        _log.error("holder_has_no_page", holder=transaction.holder)
        return
    answer = PageAnswer(state=brought.state, code=brought.code, error=brought.error, issuer=brought.issuer)
    with calls.ticket(transaction.batch_id, transaction.trace_id):
        await holder.take_answer(transaction.id, answer)
    async with engine.pools.writing() as connection:
        await store.next_polls(connection, {transaction.id: engine.clock()})
    engine.kick(transaction.holder)
