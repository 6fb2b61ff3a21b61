"""What is asked for by key at the same moment, carried to the database together and told apart afterwards.

A statement costs the process far more by its round trip than by its rows. Nothing is kept: whoever asks is answered by
a statement that began after the asking, so what was changed before is seen.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import Final, Generic, TypeVar

from api.db import budget
from api.db.budget import Budget
from api.db.pools import Pools, Tx, no_connection

K = TypeVar("K")
V = TypeVar("V")
Read = Callable[[Tx, Sequence[K]], Awaitable[Mapping[K, V]]]
"""Reads or writes rows by their keys in one statement; a key that is not there is left out."""

AT_ONCE: Final = 2
"""Statements under way for one class of work and budget: with a second, a slow one holds nobody up."""


class Gathered(Generic[K, V]):
    """One kind of statement by key."""

    def __init__(self, pools: Pools, read: Read[K, V], *, writes: bool = False) -> None:
        """Say how rows are read, or written by a statement that is a transaction by itself; and over which pools."""
        self._pools = pools
        self._read = read
        self._writes = writes
        self._lines: dict[tuple[str, float] | None, _Line[K, V]] = {}

    async def get(self, key: K) -> V | None:
        """Return the row of a key, or None where there is none.

        Raises:
            Busy: no connection came free within the budget, it was kept too long, or the caller's time is over.
        """
        mine = budget.current.get()
        kind = (mine.work, mine.share.seconds) if mine else None
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line(self._pools, self._read, mine, writes=self._writes)
        answer = line.ask(key)
        # Standing in the line, waiting for a connection, and the statement: each has its limit there.
        if mine is None or mine.seconds_left() > 2 * self._pools.budget_s + mine.share.seconds:
            return await answer
        try:
            async with asyncio.timeout_at(mine.deadline):
                return await answer
        except TimeoutError:
            raise budget.not_enough_time() from None


class _Asked(Generic[K, V]):
    """Who waits for which row, and since when."""

    __slots__ = ("answer", "key", "since")

    def __init__(self, key: K, answer: "asyncio.Future[V | None]", since: float) -> None:
        self.key, self.answer, self.since = key, answer, since


class _Line(Generic[K, V]):
    """Those of one class of work and budget who wait. Their statements run in that share, and nobody's deadline."""

    def __init__(self, pools: Pools, read: Read[K, V], mine: Budget | None, *, writes: bool) -> None:
        self._pools, self._read = pools, read
        self._pool, self._borrow = ("write", pools.writing) if writes else ("read", pools.reading)
        self._mine = Budget(work=mine.work, share=mine.share) if mine else None
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Asked[K, V]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._about_to_go = False
        self._alarm: asyncio.TimerHandle | None = None

    def ask(self, key: K) -> "asyncio.Future[V | None]":
        """Stand in the line; whoever is there when a statement is sent goes with it."""
        loop = self._loop
        asked: _Asked[K, V] = _Asked(key, loop.create_future(), budget.now())
        self._waiting.append(asked)
        if not self._about_to_go and len(self._under_way) < AT_ONCE:
            self._about_to_go = True
            task = loop.create_task(self._carry(), context=Context())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        elif self._alarm is None:
            self._alarm = loop.call_later(self._pools.budget_s, self._refuse_late)
        return asked.answer

    async def _carry(self) -> None:
        self._about_to_go = False
        budget.current.set(self._mine)
        while self._waiting:
            together = [asked for asked in self._waiting if not asked.answer.done()]
            self._waiting = []
            if together:
                await self._answer(together)

    async def _answer(self, together: list[_Asked[K, V]]) -> None:
        try:
            async with self._borrow() as tx:
                found = await self._read(tx, list({asked.key for asked in together}))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what each of them is told
            for asked in together:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
        else:
            for asked in together:
                if not asked.answer.done():
                    asked.answer.set_result(found.get(asked.key))
        finally:
            for asked in together:
                asked.answer.cancel()

    def _refuse_late(self) -> None:
        """Let nobody stand here for longer than one waits for a connection, while the statements before are slow."""
        late = budget.now() - self._pools.budget_s
        for asked in self._waiting:
            if asked.since <= late and not asked.answer.done():
                asked.answer.set_exception(no_connection(self._pool, self._mine.work if self._mine else None))
        self._waiting = [asked for asked in self._waiting if not asked.answer.done()]
        oldest = min((asked.since for asked in self._waiting), default=None)
        self._alarm = None if oldest is None else self._loop.call_at(oldest + self._pools.budget_s, self._refuse_late)
