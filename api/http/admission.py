"""Admission by class of work: bounded in flight, bounded in waiting, else 503 with Retry-After at once.

The server below queues without end and in silence; here no class starves another, and nobody waits longer than a
page is worth. A handler names its class by `opt={"work": "signing"}`; a controller may do so for all its handlers.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from api.errors import Broken, Busy
from api.http import metrics

Work = Literal["signing", "officers", "citizens", "reports", "login", "streams", "always"]


class Room(msgspec.Struct, frozen=True):
    """How many requests of a class may be inside, how many may wait for it, and how long (seconds)."""

    inside: int
    waiting: int
    patience_s: float
    retry_after_s: int


ROOMS: Final[Mapping[Work, Room]] = {
    "signing": Room(inside=64, waiting=256, patience_s=2.0, retry_after_s=2),
    "officers": Room(inside=128, waiting=512, patience_s=2.0, retry_after_s=2),
    "citizens": Room(inside=64, waiting=256, patience_s=1.0, retry_after_s=5),
    "reports": Room(inside=2, waiting=8, patience_s=2.0, retry_after_s=15),
    "login": Room(inside=64, waiting=256, patience_s=3.0, retry_after_s=3),
    "streams": Room(inside=12_000, waiting=0, patience_s=0.0, retry_after_s=10),
}
"""Per process. `always` (health, metrics, the API's description) is never turned away."""


class _Door:
    """Lets the requests of one class in."""

    def __init__(self, work: str, room: Room) -> None:
        self._work = work
        self._room = room
        self._free = asyncio.Semaphore(room.inside)
        self._waiting = 0
        self._inside = metrics.admitted.labels(work)

    async def enter(self) -> None:
        """Come in, waiting for at most the patience of this class.

        Raises:
            Busy: too many wait already, or nobody left in time.
        """
        if not self._free.locked():
            await self._free.acquire()
        elif self._waiting >= self._room.waiting:
            raise self._full()
        else:
            self._waiting += 1
            try:
                await asyncio.wait_for(self._free.acquire(), self._room.patience_s)
            except TimeoutError:
                raise self._full() from None
            finally:
                self._waiting -= 1
        self._inside.inc()

    def leave(self) -> None:
        """Make room for the next."""
        self._inside.dec()
        self._free.release()

    def _full(self) -> Busy:
        metrics.shed.labels(self._work).inc()
        return Busy(
            "Hệ thống đang có quá nhiều yêu cầu loại này; yêu cầu chưa được xử lý.",
            "Too many requests of this kind at present; this one was not processed.",
            retry_after_s=self._room.retry_after_s,
            code="overloaded",
            work=self._work,
        )


class Admission(ASGIMiddleware):
    """The middleware; stands inside the router, so that the handler's class of work is known."""

    def __init__(self, rooms: Mapping[Work, Room] = ROOMS) -> None:
        """Open one door per class of work."""
        self._doors = {work: _Door(work, room) for work, room in rooms.items()}

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let the request in, or turn it away."""
        handler: Any = scope["route_handler"]
        work = handler.opt.get("work", "officers")
        if work == "always":
            await next_app(scope, receive, send)
            return
        door = self._doors.get(work)
        if door is None:
            raise Broken("Loại công việc không có.", f"There is no class of work {work!r}.", code="unknown-work")
        await door.enter()
        try:
            await next_app(scope, receive, send)
        finally:
            door.leave()
