"""Our account of key uses against the holder's own, transaction by transaction, within a day of its end.

Only where the service can be asked by our ids (sp769). It finds a use that the service denies, values that differ, and
a person's confirmation that came after we had given up waiting. What the service has under ids of others it does not
list, so a use that never was ours cannot be found this way.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter

from api.audit import append
from api.db import queries
from api.db.pools import as_structs
from api.signatures.engine.context import Engine
from signing.contract import Outcome
from signing.errors import SigningError
from signing.recalling import Recalls

Found = Literal["agreed", "not-known", "other-values", "signed-there"]
_log: Final = structlog.get_logger("signer.reconcile")
_CHECKED: Final = Counter("motcua_key_uses_checked", "Transactions held against the holder's account.", ["found"])
_q: Final = queries.load("api.signatures.engine", "reconciling.sql")

EVERY_S: Final = 60.0
RIPE: Final = timedelta(minutes=10)
"""How long after its end a transaction is looked at: until then the service may still be writing."""
WITHIN: Final = timedelta(days=1)
AT_ONCE: Final = 100


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that has ended here."""

    id: str
    batch_id: UUID
    outcome: str


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What a key was used for, and the value that was taken of it."""

    request_id: UUID
    value: bytes | None


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {"to_reconcile": Done, "uses_of": Use}
"""Which Struct each reading statement fills; a test compares their columns."""


async def run(engine: Engine, stopping: asyncio.Event) -> None:
    """Reconcile until stopped; a failure is logged and the next round goes on."""
    while not stopping.is_set():
        try:
            await look(engine)
        except Exception:  # noqa: BLE001 - the next round looks at the same rows again
            _log.exception("reconciling_failed")
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            continue


async def look(engine: Engine) -> None:
    """Hold what has ended against each holder that can be asked; safe to repeat. A silent one is asked next time."""
    for name, holder in engine.holders.items():
        if not isinstance(holder, Recalls):
            continue
        at = engine.clock()
        async with engine.pools.reading() as tx:
            due = as_structs(await tx.fetch(_q.to_reconcile, name, at - WITHIN, at - RIPE, AT_ONCE), Done)
        for done in due:
            try:
                told = await holder.recall(done.id)
            except SigningError as error:
                _log.warning("holder_does_not_recall", holder=name, error=type(error).__name__)
                break
            await _judge(engine, name, done, told)


async def _judge(engine: Engine, holder: str, done: Done, told: Outcome) -> None:
    at = engine.clock()
    async with engine.pools.transaction() as tx:
        uses = as_structs(await tx.fetch(_q.uses_of, done.id), Use)
        found = found_of(done.outcome, {str(use.request_id): use.value for use in uses}, told)
        if found is None or await tx.fetchval(_q.insert_check, done.id, found, at) is None:
            return
        if found != "agreed":
            await append(
                tx,
                None,
                process="signer",
                action="key-use.differs",
                subject_kind="signature_batch",
                subject_id=done.batch_id,
                detail={"holder": holder, "transaction": done.id, "found": found},
                at=at,
            )
    _CHECKED.labels(found).inc()


def found_of(outcome: str, uses: Mapping[str, bytes | None], told: Outcome) -> Found | None:
    """Return what two accounts of a transaction come to; None while the service has not ended it. Pure.

    `uses` are the items for which we recorded a use, with the value where one was taken: one that did not fit was not.
    """
    if told.state == "waiting":
        return None
    if told.state != "signed":
        return "not-known" if outcome == "signed" else "agreed"
    if outcome != "signed":
        return "signed-there"
    same = all(value is None or told.values.get(item) == value for item, value in uses.items())
    return "agreed" if same and set(told.values) <= set(uses) else "other-values"
