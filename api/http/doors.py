"""The doors: how many requests of a class of work are inside, how many wait, and who gives way when time is short.

What is inside shares one event loop and its processor. So a class that gives way is let in no faster than the loop
keeps up: while the loop is late fewer of it may be inside, down to a few, and more again once it is not. Whoever is
inside stays there to the end. Signing gives way to nobody.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final, Literal

import msgspec

from api.db import budget
from api.db.budget import Budget
from api.errors import Busy
from api.http import metrics

Work = Literal["signing", "officers", "citizens", "uploads", "reports", "login", "streams", "always"]


class Room(msgspec.Struct, frozen=True):
    """How many requests of a class may be inside, how many may wait for it, and how long (seconds)."""

    inside: int
    waiting: int
    patience_s: float
    retry_after_s: int
    gives_way_s: float = inf
    """From which lateness of the event loop on fewer are let in."""
    least: int = 8
    """So many may be inside however late it is: enough to go on, too few to be felt."""


ROOMS: Final[Mapping[Work, Room]] = {
    "signing": Room(inside=64, waiting=256, patience_s=2.0, retry_after_s=2),
    "officers": Room(inside=128, waiting=512, patience_s=2.0, retry_after_s=2, gives_way_s=0.03),
    "citizens": Room(inside=64, waiting=256, patience_s=1.0, retry_after_s=5, gives_way_s=0.005, least=2),
    "uploads": Room(inside=512, waiting=0, patience_s=0.0, retry_after_s=10),
    "reports": Room(inside=2, waiting=8, patience_s=2.0, retry_after_s=15),
    "login": Room(inside=64, waiting=256, patience_s=3.0, retry_after_s=3, gives_way_s=0.03),
    "streams": Room(inside=12_000, waiting=0, patience_s=0.0, retry_after_s=10),
}
"""Per process. `always` (health, metrics, the API's description) is never turned away. An upload may take minutes on a
slow line, so it keeps its room apart from the class of whoever sends it."""

LOOK_S: Final = 0.02
_FEWER: Final = 0.7
_MORE: Final = 1.2


class Door:
    """Lets the requests of one class in."""

    def __init__(self, work: str, room: Room, begin: Callable[[], None] = lambda: None) -> None:
        """Open with room for all; `begin` is called when somebody comes in or waits."""
        self.work, self.room = work, room
        self.inside, self._most = 0, room.inside
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._waiters = 0
        self._told = metrics.admitted(work)
        self._shed = metrics.shed.labels(work)
        self._begin = begin

    @property
    def is_full(self) -> bool:
        """Tell whether the next would be turned away at once."""
        return self.inside >= self._most and self._waiters >= self.room.waiting

    @property
    def is_empty(self) -> bool:
        """Tell whether nobody is in and nobody waits."""
        return not self.inside and not self._waiters

    @property
    def waiting(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    async def enter(self, mine: Budget) -> None:
        """Come in, waiting for at most the patience of this class, and no longer than the caller does.

        Raises:
            Busy: too many wait already, nobody left in time, or the caller's time is over.
        """
        patience = mine.left(self.room.patience_s)
        if self.inside < self._most:  # then nobody waits: whoever did was let in when there was room
            self.inside += 1
        elif self._waiters >= self.room.waiting:
            raise self.turned_away()
        else:
            await self._wait(patience)
        self._begin()
        self._told.inc()

    async def _wait(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        clock = loop.call_later(patience, _settle, turn, False)
        self._waiting.append(turn)
        self._waiters += 1
        self._begin()
        try:
            let_in = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():  # let in, and gone at the same moment
                self._leave()
            raise
        finally:
            clock.cancel()
            self._waiters -= 1
            while self._waiting and self._waiting[0].done():
                self._waiting.popleft()
        if not let_in:
            raise budget.not_enough_time() if patience < self.room.patience_s else self.turned_away()

    def leave(self) -> None:
        """Make room for the next."""
        self._told.dec()
        self._leave()

    def _leave(self) -> None:
        self.inside -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self.inside < self._most:
            turn = self._waiting.popleft()
            if _settle(turn, True):
                self.inside += 1

    def feel(self, late_s: float) -> None:
        """Let fewer in while the event loop is later than this class may make it, and more once it is not."""
        if late_s > self.room.gives_way_s:
            least = min(self.room.least, self.room.inside)
            self._most = max(least, int(min(self._most, max(self.inside, least)) * _FEWER))
        elif self._most < self.room.inside and late_s < self.room.gives_way_s / 2:
            self._most = min(self.room.inside, int(self._most * _MORE) + 1)
            self._let_in()

    def turned_away(self) -> Busy:
        """Count and return the refusal of whoever finds no room."""
        self.count_turned_away()
        return self.refusal()

    def count_turned_away(self) -> None:
        """Count somebody who finds no room."""
        self._shed.inc()

    def refusal(self) -> Busy:
        """Return what whoever finds no room is told."""
        return Busy(
            "Hệ thống đang có quá nhiều yêu cầu loại này; yêu cầu chưa được xử lý.",
            "Too many requests of this kind at present; this one was not processed.",
            retry_after_s=self.room.retry_after_s,
            code="overloaded",
            work=self.work,
        )


def _settle(turn: asyncio.Future[bool], let_in: bool) -> bool:
    """Tell somebody who waits whether they come in; return whether they still waited."""
    if turn.done():
        return False
    turn.set_result(let_in)
    return True


class Doors:
    """The doors of one process, and the clock by which they feel how late the loop is; it runs while somebody is in."""

    def __init__(self, rooms: Mapping[Work, Room]) -> None:
        """Open one door per class of work."""
        self._by_work = {str(work): Door(work, room, self._begin) for work, room in rooms.items()}
        self._yielding = [door for door in self._by_work.values() if door.room.gives_way_s < inf]
        self._clock: asyncio.TimerHandle | None = None
        self._due = 0.0

    def of(self, work: str) -> Door | None:
        """Return the door of a class, or None where nobody is turned away."""
        return self._by_work.get(work)

    def all(self) -> Iterable[Door]:
        """Return every door."""
        return self._by_work.values()

    @property
    def is_looking(self) -> bool:
        """Tell whether the clock runs."""
        return self._clock is not None

    def _begin(self) -> None:
        if self._clock is None:
            self._arm()

    def _arm(self) -> None:
        self._due = time.monotonic() + LOOK_S
        self._clock = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _look(self) -> None:
        late_s = time.monotonic() - self._due
        for door in self._yielding:
            door.feel(late_s)
        self._clock = None
        if any(not door.is_empty for door in self._by_work.values()):
            self._arm()
