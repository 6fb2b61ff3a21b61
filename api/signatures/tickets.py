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
from api.signatures.rows import TicketRow

_log: Final = structlog.get_logger("tickets")

_ITEMS: Final = msgspec.json.Decoder(list[TicketItem])
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
REST: Final = 10
"""After each look, so many times as long as it took: however many items are watched, looking takes a part of a core."""
LONGEST_REST_S: Final = 1.0
"""And no longer: where a look takes long because everybody waits, nobody shall be told of a ticket's end much later."""
AGAIN_S: Final = 1.0
"""So long nobody looks at a ticket that has just been told: its items are signed one by one, and read all together."""
AT_ONCE: Final = 40
"""So many are read at one look: hundreds that move within a second are not decoded in one go on the event loop."""
KEEP_ALIVE_S: Final = 15.0


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as it was read, its items decoded."""

    row: TicketRow
    items: list[TicketItem]
    read: float
    """By the monotonic clock, in seconds."""


async def moved(tx: Tx, known: Mapping[UUID, int]) -> dict[UUID, Rows]:
    """Return those tickets whose version has grown above the known one, whole, in one statement; the first few."""
    rows = await store.tickets_moved(tx, known, AT_ONCE)
    at = time.monotonic()
    return {row.id: Rows(row=row, items=_ITEMS.decode(row.items), read=at) for row in rows}


async def read(tx: Tx, actor: Actor, batch_id: UUID) -> Rows:
    """Read a ticket for the person who asked it.

    Raises:
        NotFound: there is no such ticket, or it is another's.
    """
    rows = (await moved(tx, {batch_id: 0})).get(batch_id)
    if rows is None or rows.row.account_id != actor.account_id:
        raise NotFound("Không tìm thấy mã lượt ký.", "There is no such ticket.", code="ticket-not-found")
    return rows


async def ticket(tx: Tx, line: Line, actor: Actor, batch_id: UUID) -> Ticket:
    """Return a ticket, and its place in the line, to the person who asked it.

    Raises:
        NotFound: there is no such ticket, or it is another's.
    """
    return view(line, actor, await read(tx, actor, batch_id))


def _until_paid(owed: Sequence[ItemLevel], at: datetime) -> int:
    """Return the seconds until every level is expected to be paid, or owed where nobody can know; 0 for none."""
    ends = [level.expected_at or level.due_at for level in owed]
    return max(1, round((max(ends) - at).total_seconds())) if ends else 0


def view(line: Line, actor: Actor, rows: Rows) -> Ticket:
    """Put a ticket together from its rows, with its place in the line as it is now."""
    row = rows.row
    counts = Counter(item.stage for item in rows.items)
    owed = [item.level for item in rows.items if item.level is not None and item.level.reached == "B-B"]
    at = row.at + timedelta(seconds=time.monotonic() - rows.read)
    stage = next((stage for stage in _ORDER if counts[stage]), "timestamp" if owed else "finished")
    left = sum(counts[stage] for stage in _ORDER)
    ahead = line.ahead(row) if left else 0
    return Ticket(
        ticket=row.id,
        version=row.version,
        stage=stage,
        stage_vi=STAGES_VI[stage],
        trace_id=row.trace_id,
        asked_at=row.asked_at,
        finished_at=row.closed_at,
        position=ahead,
        estimate_s=cutting.estimate_seconds(ahead, left, line.rate) if left else _until_paid(owed, at),
        counts=dict(counts),
        codes=row.codes,
        pages=row.pages if row.session_id == actor.session_id else [],
        items=rows.items,
    )


class _Waiter:
    """One stream that waits for a version above the one it knows."""

    __slots__ = ("known", "since", "told")

    def __init__(self, known: int, told: asyncio.Future[Rows], since: float) -> None:
        self.known = known
        self.told = told
        self.since = since
        """By the monotonic clock, in seconds: from when on it wants to be told."""


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

    async def wait(self, batch_id: UUID, known: int, timeout_s: float, rest_s: float = 0.0) -> Rows | None:
        """Return a ticket once its version is above `known`, at first after `rest_s`; None when the time is over."""
        if self._task is None or self._task.done():
            # In a context of its own: it outlives the request that happened to come first.
            self._task = asyncio.create_task(self._look(), context=Context())
        waiter = _Waiter(known, asyncio.get_running_loop().create_future(), time.monotonic() + rest_s)
        waiters = self._watched.setdefault(batch_id, [])
        waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.told
        except TimeoutError:
            return None
        finally:
            waiters.remove(waiter)
            if not waiters:
                del self._watched[batch_id]

    async def _look(self) -> None:
        while True:
            began, found = time.monotonic(), dict[UUID, Rows]()
            try:
                if wanted := self._wanted(began):
                    async with self._pools.reading() as tx:
                        found = await moved(tx, wanted)
                    self._tell(found)
            except Exception:  # noqa: BLE001 - streams go on when the database is back
                _log.warning("watch_failed", exc_info=True)
            rest_s = min(LONGEST_REST_S, REST * (time.monotonic() - began))
            await asyncio.sleep(LOOK_EVERY_S if len(found) == AT_ONCE else max(LOOK_EVERY_S, rest_s))

    def _wanted(self, now: float) -> dict[UUID, int]:
        """Return the least version that is known of each ticket for which somebody waits by now.

        Whoever was told has come back to the end of the line: where more have moved than are read, all get their turn.
        """
        wanted: dict[UUID, int] = {}
        for batch_id, waiters in self._watched.items():
            if known := [waiter.known for waiter in waiters if waiter.since <= now and not waiter.told.done()]:
                wanted[batch_id] = min(known)
        return wanted

    def _tell(self, found: Mapping[UUID, Rows]) -> None:
        """Wake those whose ticket has moved, and nobody else: thousands may be waiting."""
        for batch_id, rows in found.items():
            for waiter in self._watched.get(batch_id, ()):
                if rows.row.version > waiter.known and not waiter.told.done():
                    waiter.told.set_result(rows)


async def stream(watch: Watch, actor: Actor, rows: Rows, last_id: int = 0) -> AsyncGenerator[Ticket | Place | None]:
    """Yield the ticket that was read at each change from `last_id` on; end once all is signed and no level is owed.

    Each ticket is whole and its version grows with every change: whoever reconnects with the last one they saw misses
    nothing and repeats nothing. While nothing changes, a place in the queue that has moved is yielded now and then,
    or else None as a sign of life.
    """
    known, told, rest_s = last_id, None, 0.0
    while True:
        now = view(await watch.line(), actor, rows)
        place = Place(position=now.position, estimate_s=now.estimate_s)
        if now.version > known:
            known, rest_s = now.version, AGAIN_S
            yield now
        elif told is not None:
            yield place if place != told else None
        told = place
        if now.finished_at is not None and now.stage == "finished":
            return
        rows = await watch.wait(rows.row.id, known, KEEP_ALIVE_S, rest_s) or rows
        rest_s = 0.0


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
