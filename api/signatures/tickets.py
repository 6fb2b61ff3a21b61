"""Where a ticket stands: stage, position, estimate; and a stream that tells of every change and can be resumed."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextvars import Context
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog

from api.db.pools import Pools, Tx
from api.errors import NotFound
from api.kernel import Actor
from api.registry import authority
from api.signatures import cursor, cutting, store
from api.signatures.ahead import Line, Looks
from api.signatures.contract import ItemLevel, Place, Ticket, TicketItem, ToSignPage
from api.signatures.rows import ItemLine, TicketHead

_log: Final = structlog.get_logger("tickets")

TERMINAL: Final = frozenset({"recorded", "refused", "expired", "failed", "superseded"})
_ORDER: Final = ("queued", "asked", "prepared", "sent", "value_received")
STAGES_VI: Final = {
    "queued": "đang chờ kiểm tra",
    "asked": "đang chuẩn bị",
    "prepared": "đã chuẩn bị, chờ gửi",
    "sent": "chờ xác nhận ở nơi giữ khóa",
    "value_received": "đang gắn, kiểm tra, lưu và ghi chữ ký",
    "timestamp": "đã ký xong, đang chờ dấu thời gian",
    "finished": "đã xong",
}
LOOK_EVERY_S: Final = 0.3
REST: Final = 5
"""After each look, so many times as long as it took: however many items are watched, looking takes a part of a core."""
KEEP_ALIVE_S: Final = 15.0


async def ticket(tx: Tx, line: Line, actor: Actor, batch_id: UUID) -> Ticket:
    """Return a ticket, and its place in the line, to the person who asked it.

    Raises:
        NotFound: there is no such ticket, or it is another's.
    """
    return view(line, await read(tx, actor, batch_id))


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as it was read."""

    head: TicketHead
    items: list[ItemLine]
    version: int
    pages: list[str]
    read: float
    """By the monotonic clock, in seconds."""


async def read(tx: Tx, actor: Actor, batch_id: UUID) -> Rows:
    """Read a ticket for the person who asked it: its version first, so that a change in between is told after it.

    Raises:
        NotFound: there is no such ticket, or it is another's.
    """
    versions = await store.ticket_versions(tx, [batch_id])
    head = await store.ticket(tx, batch_id)
    if head is None or head.account_id != actor.account_id:
        raise NotFound("Không tìm thấy mã lượt ký.", "There is no such ticket.", code="ticket-not-found")
    return Rows(
        head=head,
        items=await store.ticket_items(tx, batch_id),
        version=versions.get(batch_id, 0),
        pages=head.pages if head.session_id == actor.session_id else [],
        read=time.monotonic(),
    )


def _until_paid(owed: Sequence[ItemLevel], at: datetime) -> int:
    """Return the seconds until every level is expected to be paid, or owed where nobody can know; 0 for none."""
    ends = [level.expected_at or level.due_at for level in owed]
    return max(1, round((max(ends) - at).total_seconds())) if ends else 0


def view(line: Line, rows: Rows) -> Ticket:
    """Put a ticket together from its rows, with its place in the line as it is now."""
    head, items = rows.head, rows.items
    counts = Counter(item.stage for item in items)
    owed = [item.level for item in items if item.level is not None and item.level.reached == "B-B"]
    at = head.at + timedelta(seconds=time.monotonic() - rows.read)
    stage = next((stage for stage in _ORDER if counts[stage]), "timestamp" if owed else "finished")
    left = sum(counts[stage] for stage in _ORDER)
    ahead = line.ahead(head) if left else 0
    return Ticket(
        ticket=head.id,
        version=rows.version,
        stage=stage,
        stage_vi=STAGES_VI[stage],
        trace_id=head.trace_id,
        asked_at=head.asked_at,
        finished_at=head.closed_at,
        position=ahead,
        estimate_s=cutting.estimate_seconds(ahead, left, line.rate) if left else _until_paid(owed, at),
        counts=dict(counts),
        codes=head.codes,
        pages=rows.pages,
        items=[_item(item) for item in items],
    )


def _item(line: ItemLine) -> TicketItem:
    return TicketItem(
        ordinal=line.ordinal,
        request_id=line.request_id,
        document_id=line.document_id,
        dossier_code=line.dossier_code,
        role=line.role,
        stage=line.stage,
        detail=line.detail,
        ended_at=line.ended_at,
        number_text=line.number_text,
        recorded_sha256=line.recorded_sha256.hex() if line.recorded_sha256 else None,
        level=line.level,
    )


class _Waiter:
    """One stream that waits for a version above the one it knows."""

    __slots__ = ("known", "told")

    def __init__(self, known: int, told: asyncio.Future[int]) -> None:
        self.known = known
        self.told = told


class Watch:
    """One look at the database for all watched tickets of this process, however many streams are open."""

    def __init__(self, pools: Pools) -> None:
        """Look through the read pool."""
        self._pools = pools
        self.line = Looks(pools).line
        self._watched: dict[UUID, list[_Waiter]] = {}
        self._task: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()

    async def wait(self, batch_id: UUID, known: int, timeout_s: float) -> int:
        """Return the version of a ticket once it is above `known`, or `known` when the time is over."""
        if self._task is None or self._task.done():
            # In a context of its own: it outlives the request that happened to come first.
            self._task = asyncio.create_task(self._look(), context=Context())
        waiter = _Waiter(known, asyncio.get_running_loop().create_future())
        waiters = self._watched.setdefault(batch_id, [])
        waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.told
        except TimeoutError:
            return known
        finally:
            waiters.remove(waiter)
            if not waiters:
                del self._watched[batch_id]

    async def _look(self) -> None:
        while True:
            began = time.monotonic()
            try:
                if self._watched:
                    async with self._pools.reading() as tx:
                        versions = await store.ticket_versions(tx, list(self._watched))
                    self._tell(versions)
            except Exception:  # noqa: BLE001 - streams go on when the database is back
                _log.warning("watch_failed", exc_info=True)
            await asyncio.sleep(max(LOOK_EVERY_S, REST * (time.monotonic() - began)))

    def _tell(self, versions: Mapping[UUID, int]) -> None:
        """Wake those whose ticket has moved, and nobody else: thousands may be waiting."""
        for batch_id, version in versions.items():
            for waiter in self._watched.get(batch_id, ()):
                if version > waiter.known and not waiter.told.done():
                    waiter.told.set_result(version)


async def stream(
    pools: Pools, watch: Watch, actor: Actor, batch_id: UUID, last_id: int, rows: Rows | None = None
) -> AsyncGenerator[Ticket | Place | None]:
    """Yield the ticket at each change from `last_id` on; end once all is signed and no level is owed.

    Each ticket is whole and its version grows with every change: whoever reconnects with the last one they saw misses
    nothing and repeats nothing. While nothing changes, a place in the queue that has moved is yielded now and then,
    or else None as a sign of life. Whoever has just read the ticket hands its rows over.
    """
    known, told = last_id, None
    while True:
        line = await watch.line()
        if rows is None:
            async with pools.reading() as tx:
                rows = await read(tx, actor, batch_id)
        now = view(line, rows)
        place = Place(position=now.position, estimate_s=now.estimate_s)
        if now.version > known:
            known = now.version
            yield now
        elif told is not None:
            yield place if place != told else None
        told = place
        if now.finished_at is not None and now.stage == "finished":
            return
        if await watch.wait(batch_id, known, KEEP_ALIVE_S) > known:
            rows = None


async def to_sign(tx: Tx, actor: Actor, after: str | None, limit: int) -> ToSignPage:
    """Return a page of what waits for the actor: people at a counter first, then by due time."""
    keys = cursor.decode(after)
    if authority.may(actor, "signature.seal"):
        rows = await store.clerks_page(tx, actor.person_id, actor.agency_id, keys, limit + 1)
    else:
        rows = await store.to_sign_page(tx, actor.person_id, keys, limit + 1)
    more = len(rows) > limit
    shown = rows[:limit]
    last = shown[-1] if more else None
    following = cursor.encode(last.lane, last.due_at, last.id) if last else None
    return ToSignPage(items=shown, next=following)
