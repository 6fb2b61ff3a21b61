"""Reads that take long, made once for all who ask the same meanwhile, and finished though who asked first has gone.

Whoever presses F5 drops what they asked and asks it again. Were the first one ended and the second begun anew, five
F5 would cost six times the work, and nobody would come nearer to an answer. So such a read belongs to nobody: it goes
on in the share of its class until its route's own limit, and whoever asks the same meanwhile gets its answer. That is
as old as the reading, which is for counts and reports alone: what must show the last write is never joined.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from typing import Final, Generic, TypeVar

from prometheus_client import Counter

from api.db import budget
from api.db.budget import Budget
from api.db.pools import Pools, Tx

V = TypeVar("V")
_joined: Final = Counter("motcua_joined_total", "Questions that were answered by a reading under way.", ["read"])


class Joined(Generic[V]):
    """One kind of read that takes long."""

    def __init__(self, pools: Pools, name: str) -> None:
        """Say where connections come from, and how the read is called in metrics."""
        self._pools = pools
        self._counter = _joined.labels(name)
        self._under_way: dict[Hashable, asyncio.Task[V]] = {}

    async def get(self, key: Hashable, read: Callable[[Tx], Awaitable[V]]) -> V:
        """Return what `read` returns, or what a read by the same key returns that is under way; nothing is kept.

        Raises:
            Busy: no connection came free within the budget, or it was kept too long.
        """
        mine = budget.current.get()
        kind = (key, mine.work if mine else None)
        task = self._under_way.get(kind)
        if task is None:
            task = self._under_way[kind] = asyncio.get_running_loop().create_task(
                self._read(read, mine), context=Context()
            )
            task.add_done_callback(lambda _: self._under_way.pop(kind))
        else:
            self._counter.inc()
        if mine is None or mine.deadline is None:
            return await asyncio.shield(task)
        try:
            async with asyncio.timeout(mine.left(budget.REQUEST_S)):
                return await asyncio.shield(task)
        except TimeoutError:
            raise budget.not_enough_time() from None

    async def _read(self, read: Callable[[Tx], Awaitable[V]], mine: Budget | None) -> V:
        budget.current.set(Budget(work=mine.work, share=mine.share) if mine else None)
        async with self._pools.reading() as tx:
            return await read(tx)
