"""What the signer's steps share, and the few endings that every step may come to."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from api.db.pools import Pools, Tx
from api.db.privacy import Vault
from api.documents.blobs import BlobStore
from api.documents.workshop import ProcessPool
from api.dossiers.service import Dossiers
from api.jobs import JobContext, Park
from api.jobs.queue import Job, enqueue, enqueue_many
from api.kernel import Clock
from api.signatures import cutting
from api.signatures.engine import measures, store
from api.signatures.engine.handing_store import Handed
from api.signatures.engine.passkeys import RelyingParty
from api.signatures.engine.rows import Received, SentItem, Transaction
from api.signatures.engine.store import Detail
from signing.contract import KeyHolder, Trust
from signing.errors import Crashed, HolderMisconfigured, TimedOut
from signing.levels import RevocationSource, TimestampSource

JUDGE: Final = "signatures.judge"
PREPARE: Final = "signatures.prepare"
SEND: Final = "signatures.send"
ANSWER: Final = "signatures.answer"
FINISH: Final = "signatures.finish"
HANDED: Final = "signatures.handed"
PAGED: Final = "signatures.page"
RELEASE: Final = "signatures.release"
STOP: Final = "signatures.stop"
REPAY: Final = "signatures.repay"

TIMES: Final = 3
"""How often a file may end or exhaust its process before it is put aside."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything the signer's steps need. `factors` opens second factors, `personal` the rest; `kicks` wake pollers."""

    pools: Pools
    workshop: ProcessPool
    blobs: BlobStore
    holders: Mapping[str, KeyHolder]
    factors: Vault
    personal: Vault
    dossiers: Dossiers
    trust: Trust
    clock: Clock
    relying_party: RelyingParty | None = None
    """For whom passkeys are verified; without one, none is accepted."""
    timestamps: TimestampSource | None = None
    """Who gives timestamps; without any, levels are owed and not paid."""
    revocation: RevocationSource | None = None
    kicks: dict[str, asyncio.Event] = field(default_factory=dict)

    def holder(self, name: str) -> KeyHolder:
        """Return the key holder of this name.

        Raises:
            HolderMisconfigured: this signer has no such holder; another may.
        """
        if name not in self.holders:
            raise HolderMisconfigured(f"Chưa cấu hình nơi giữ khóa «{name}».", f"Key holder '{name}' is not set up.")
        return self.holders[name]

    def kick(self, holder: str) -> None:
        """Have the poller of a holder look now."""
        if holder in self.kicks:
            self.kicks[holder].set()


def detail(code: str, vi: str, en: str) -> Detail:
    """Say why an item ended as it did, without personal data."""
    return {"code": code, "vi": vi, "en": en}


STOPPED: Final = detail(
    "factor-blocked",
    "Tài khoản bị khóa hoặc yếu tố xác thực bị báo mất; văn bản trở lại danh sách chờ ký.",
    "The account was locked or its factor reported lost; the document waits to be signed again.",
)


MAIN_NOT_SEALED: Final = detail(
    "main-not-sealed", "Văn bản chính chưa được ký số của cơ quan.", "The main document is not sealed."
)


async def give_back(
    tx: Tx, batch_id: UUID, request_id: UUID, number_id: UUID | None, outcome: str, why: Detail, at: datetime
) -> None:
    """Return an unsigned request to the list: its item ends, and its reserved number is given up."""
    if await store.back_to_list(tx, request_id, at, why):
        await _end(tx, batch_id, request_id, number_id, outcome, why, at)


async def set_aside(
    tx: Tx, batch_id: UUID, request_id: UUID, number_id: UUID | None, why: Detail, at: datetime
) -> None:
    """Keep a failed request with its evidence until a person has looked; its item has failed."""
    if await store.quarantine(tx, request_id, at, why):
        await _end(tx, batch_id, request_id, number_id, "failed", why, at)


async def _end(
    tx: Tx, batch_id: UUID, request_id: UUID, number_id: UUID | None, outcome: str, why: Detail, at: datetime
) -> None:
    await store.end_item(tx, batch_id, request_id, outcome, why, at)
    measures.ended(outcome)
    if number_id is not None:
        await store.give_up_number(tx, number_id, why["vi"], at)
    await finish_annexes(tx, batch_id, request_id)


async def finish_annexes(tx: Tx, batch_id: UUID, request_id: UUID) -> None:
    """Have the annexes that wait in a ticket for their main document go on, now that this one's item has ended."""
    beside = await store.annexes_beside(tx, request_id, batch_id)
    await enqueue_many(tx, [finish_job(one, after=request_id) for one in beside])


def finish_job(one: Received, *, after: UUID | None = None) -> Job:
    """Return the job that embeds the value of an attempt, in its turn.

    `after` makes it a piece of work of its own: one that is told of another's end while it runs must run again.
    """
    priority = cutting.COUNTER_LANE - one.turn if one.lane == "counter" else -one.turn
    ids = {"request": str(one.id), "attempt": one.attempt}
    key = f"{one.id}:{one.attempt}" + (f":{after}" if after else "")
    return Job(kind=FINISH, key=key, payload=ids, priority=priority)


async def receive(
    tx: Tx, transaction: Transaction, values: Sequence[tuple[SentItem | Handed, bytes]], source: str, at: datetime
) -> None:
    """Commit the values that fit, and have each embedded in its turn.

    Turns are shared out anew here: who confirms late shall not go before everybody, and who asked early not after all
    that were asked since. From now on it is the machine that is waited for, and no telephone.
    """
    if not values:
        return
    lane = values[0][0].lane
    told = await store.queued_turns(tx, lane, transaction.person_id, "value_received", at)
    priorities = cutting.turns(len(values), floor=told.floor, own_last=told.own_last, lane=lane)
    placed = zip(values, map(cutting.turn_of, priorities), strict=True)
    fit = [(item.id, item.attempt, value, turn) for (item, value), turn in placed]
    moved = await store.receive_values(tx, fit, source, at)
    await enqueue_many(tx, [finish_job(one) for one in moved])


async def move_on(tx: Tx, batch_id: UUID) -> None:
    """After an item has left `asked`: enqueue the send once none is left behind."""
    if await store.lock_open_batch(tx, batch_id) and await store.left_to_prepare(tx, batch_id) == 0:
        await enqueue_send(tx, batch_id)


async def move_on_without(tx: Tx, batch_id: UUID, at: datetime) -> None:
    """After an item has ended that was `asked`: do not wait for it, and close the ticket with its last one."""
    await move_on(tx, batch_id)
    await close_if_done(tx, batch_id, at)


async def close_if_done(tx: Tx, batch_id: UUID, at: datetime) -> None:
    """After an item has ended, which has locked its ticket: close it with its last one."""
    await store.close_batch(tx, batch_id, at)


def demand_another_try(context: JobContext, error: TimedOut | Crashed) -> None:
    """Let work that ended its process be tried again, but not for ever.

    Raises:
        Park: it did so for the third time; the file is poison, and the others must go on.
    """
    if context.failures + 1 >= TIMES:
        raise Park(f"the file ended its process {TIMES} times ({error.code})") from None


async def enqueue_send(tx: Tx, batch_id: UUID) -> None:
    """Enqueue a send; each is a piece of work of its own, since more may become ready while one runs."""
    await enqueue(tx, SEND, f"{batch_id}:{secrets.token_hex(4)}", {"batch": str(batch_id)}, priority=0)
