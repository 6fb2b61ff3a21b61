"""Configuration-like reads, kept in the process: one load per missing key, however many ask for it at once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Values by key, each loaded once; a failure is passed on to all who wait and is not kept."""

    def __init__(self, load: Callable[[K], Awaitable[V]]) -> None:
        """Keep the loader; it runs in a task of its own, so that no waiter's cancellation ends it for the others."""
        self._load = load
        self._values: dict[K, V] = {}
        self._loading: dict[K, asyncio.Task[V]] = {}
        self.loads = 0

    async def get(self, key: K) -> V:
        """Return the value, loading it if it is not there; joins a load that is under way."""
        if key in self._values:
            return self._values[key]
        task = self._loading.get(key)
        if task is None:
            # In a context of its own: the first asker's time and share are not those of everybody who waits.
            task = asyncio.create_task(self._run(key), context=Context())
            self._loading[key] = task
            task.add_done_callback(lambda done: self._settle(key, done))
        return await asyncio.shield(task)

    def clear(self) -> None:
        """Forget everything; a load begun before this moment is neither joined nor kept."""
        self._values.clear()
        self._loading.clear()

    async def _run(self, key: K) -> V:
        self.loads += 1
        return await self._load(key)

    def _settle(self, key: K, done: asyncio.Task[V]) -> None:
        current = self._loading.get(key) is done
        if current:
            del self._loading[key]
        if not done.cancelled() and done.exception() is None and current:
            self._values[key] = done.result()
