"""One function per statement of `queries.sql`."""

from datetime import datetime

import msgspec

from api.db import queries
from api.db.pools import Row, Tx

_q = queries.load("api.http.idempotency")


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What makes two requests the same intent: who, where, which key."""

    actor: str
    route: str
    key: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer an intent was given: a reference as JSON text, kept letter for letter."""

    body_sha256: bytes
    status: int
    answer: str


async def take_intent(tx: Tx, actor: str, route: str, key: str) -> Row:
    """Hold an intent until the transaction ends; `taken` reads what this returns."""
    return await tx.fetchrow(_q.take_intent, actor, route, key)


def taken(row: Row) -> tuple[bool, Answered | None]:
    """Return whether an intent is ours and no twin's, and the answer given before."""
    if row["kept_status"] is None:
        return row["mine"], None
    return True, Answered(body_sha256=row["kept_sha256"], status=row["kept_status"], answer=row["kept_answer"])


async def insert_intent(tx: Tx, intent: Intent, answered: Answered, at: datetime, *, lasting: bool) -> None:
    """Keep the answer in the transaction of the effect."""
    row = (intent.actor, intent.route, intent.key, answered.body_sha256, answered.status, answered.answer, at, lasting)
    await tx.execute(_q.insert_intent, *row)


async def forget_intents(tx: Tx, before: datetime, limit: int) -> int:
    """Forget answers older than this, unless they last; return how many."""
    return int((await tx.execute(_q.forget_intents, before, limit)).rpartition(" ")[2])
