"""One function per statement of `queries.sql`."""

from datetime import datetime

import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct

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


async def try_lock_intent(tx: Tx, intent: Intent) -> bool:
    """Hold this intent until the transaction ends, or return False at once where a twin holds it."""
    return await tx.fetchval(_q.try_lock_intent, f"{intent.actor}\n{intent.route}\n{intent.key}")


async def find_intent(tx: Tx, intent: Intent) -> Answered | None:
    """Find the answer an intent was given before."""
    return as_struct(await tx.fetchrow(_q.find_intent, intent.actor, intent.route, intent.key), Answered)


async def insert_intent(tx: Tx, intent: Intent, answered: Answered, at: datetime, *, lasting: bool) -> None:
    """Keep the answer in the transaction of the effect."""
    row = (intent.actor, intent.route, intent.key, answered.body_sha256, answered.status, answered.answer, at, lasting)
    await tx.execute(_q.insert_intent, *row)


async def forget_intents(tx: Tx, before: datetime, limit: int) -> int:
    """Forget answers older than this, unless they last; return how many."""
    return int((await tx.execute(_q.forget_intents, before, limit)).rpartition(" ")[2])
