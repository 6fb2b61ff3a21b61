"""Transactions at a service that does not know our ids: a task of this process waits, the ledger tells all others."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from signing.contract import Outcome, SignOrder
from signing.errors import HolderUnavailable, SigningError
from signing.keys.ledger import Entry, Ledger

_T = TypeVar("_T")


class Refusal(Exception):
    """The service explains why it does not do it; `error` is its word, at most 80 characters of it."""

    def __init__(self, error: str, *, denied: bool = False, expired: bool = False) -> None:
        super().__init__(error[:80])
        self.error, self.denied, self.expired = error[:80], denied, expired


class Errand:
    """A transaction that a task of this process is at; `trouble` is why it just now gets no answer.

    `order` is there where this process was given it, and not where it goes on with another's.
    """

    def __init__(self, order: SignOrder | None) -> None:
        self.order = order
        self.task: asyncio.Task[None] | None = None
        self.trouble: SigningError | None = None


class Errands:
    """All that one holder waits for. `see` brings an entry to its end, `there` asks whether the service is there."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        see: Callable[[Entry, Errand], Awaitable[Entry]],
        there: Callable[[], Awaitable[object]],
        check_every_s: float,
    ) -> None:
        self._ledger, self._see, self._there, self._check_every_s = ledger, see, there, check_every_s
        self._under_way: dict[str, Errand] = {}

    async def known(self, transaction_id: str) -> Entry | None:
        """Return how a transaction stands that has been begun, here or elsewhere."""
        return await asyncio.to_thread(self._ledger.read, transaction_id)

    async def lay(self, entry: Entry) -> Entry | None:
        """Keep an entry that waits for a person's browser, and no task with it; return the one that stands.

        None where another process is at it just now.
        """
        return await self._alone(entry.transaction_id, lambda before: before or entry)

    async def answered(self, transaction_id: str, judge: Callable[[Entry], Entry]) -> bool:
        """Let `judge` say how an entry goes on that waits for a browser; one with a handle goes on in a task.

        Returns whether the transaction is known and nobody else was at it.
        """
        return await self._alone(transaction_id, lambda before: judge(before) if before else None) is not None

    async def _alone(self, transaction_id: str, change: Callable[[Entry | None], Entry | None]) -> Entry | None:
        lock = await asyncio.to_thread(self._ledger.take, transaction_id)
        if lock is None:
            return None
        before = await asyncio.to_thread(self._ledger.read, transaction_id)
        after = change(before)
        if after is not None and after != before:
            await asyncio.to_thread(self._ledger.write, after)
        if after is not None and after.state == "asked" and after.handle:
            self._set_to_work(after, lock, None)
        else:
            os.close(lock)
        return after

    async def begin(self, entry: Entry, order: SignOrder) -> None:
        """Leave a task waiting for the end, unless somebody is at it or it has ended since it was looked for."""
        lock = await asyncio.to_thread(self._ledger.take, entry.transaction_id)
        if lock is None:
            return
        before = await asyncio.to_thread(self._ledger.read, entry.transaction_id)
        if before is not None and before.state != "asked":
            os.close(lock)
            return
        await asyncio.to_thread(self._ledger.write, entry)
        await asyncio.to_thread(self._ledger.tidy)
        self._set_to_work(entry, lock, order)

    def _set_to_work(self, entry: Entry, lock: int, order: SignOrder | None) -> None:
        errand = self._under_way[entry.transaction_id] = Errand(order)
        errand.task = asyncio.create_task(self._see_through(entry, lock, errand))

    async def _see_through(self, entry: Entry, lock: int, errand: Errand) -> None:
        """See an errand to its end and keep how it ended; what broke off is forgotten and asked anew."""
        try:
            entry = await self._see(entry, errand)
        except Refusal as refusal:
            state = "refused" if refusal.denied else "expired" if refusal.expired else "failed"
            entry = msgspec.structs.replace(entry, state=state, detail=refusal.error)
        except TimeoutError:
            entry = msgspec.structs.replace(entry, state="expired", detail="window")
        except SigningError:
            await asyncio.to_thread(self._ledger.forget, entry.transaction_id)
        finally:
            if entry.state != "asked":
                await asyncio.to_thread(self._ledger.write, entry)
            os.close(lock)
            self._under_way.pop(entry.transaction_id, None)

    async def keep(self, entry: Entry, **changes: str) -> Entry:
        """Keep what is needed to go on after a crash."""
        entry = msgspec.structs.replace(entry, **changes)
        await asyncio.to_thread(self._ledger.write, entry)
        return entry

    async def patiently(self, entry: Entry, errand: Errand, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask again and again, also while the service is silent; raise TimeoutError once the window has ended."""
        while True:
            if time.time() >= entry.ends_at:
                raise TimeoutError
            await asyncio.sleep(self._check_every_s)
            try:
                told = await ask()
            except HolderUnavailable as error:
                errand.trouble = error
                continue
            errand.trouble = None
            return told

    async def poll(self, transaction_id: str) -> Outcome:
        """Tell where a transaction stands; one that a process left behind is taken up where a handle is known."""
        entry = await asyncio.to_thread(self._ledger.read, transaction_id)
        if entry is not None and waits_for_browser(entry):
            state = "waiting" if time.time() < entry.ends_at else "expired"
            return Outcome(transaction_id=transaction_id, state=state)
        if entry is not None and entry.state == "asked" and transaction_id not in self._under_way:
            entry = await self._at_elsewhere(transaction_id)
        if entry is not None and entry.state != "asked":
            return Outcome(transaction_id=transaction_id, state=entry.state, values=entry.values, detail=entry.detail)
        errand = self._under_way.get(transaction_id)
        if errand is not None and errand.trouble is not None:
            raise errand.trouble
        if errand is not None or entry is not None:
            return Outcome(transaction_id=transaction_id, state="waiting")
        await self._there()
        return Outcome(transaction_id=transaction_id, state="unknown")

    async def _at_elsewhere(self, transaction_id: str) -> Entry | None:
        """Return how a transaction stands that was no task of ours a moment ago.

        Its process may be alive, or may have ended it meanwhile: what was read without the lock says nothing. If it has
        died, we go on where a handle is known, and forget the transaction where none is.
        """
        lock = await asyncio.to_thread(self._ledger.take, transaction_id)
        entry = await asyncio.to_thread(self._ledger.read, transaction_id)
        if lock is None:
            return entry
        if entry is not None and entry.state == "asked":
            if waits_for_browser(entry):
                os.close(lock)
                return entry
            if entry.handle or entry.response_id:
                self._set_to_work(entry, lock, None)
                return entry
            await asyncio.to_thread(self._ledger.forget, transaction_id)
            entry = None
        os.close(lock)
        return entry

    async def close(self) -> None:
        """Leave what is under way to the ledger."""
        tasks = [errand.task for errand in self._under_way.values() if errand.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def waits_for_browser(entry: Entry) -> bool:
    """Tell whether nothing can be done for an entry but wait: its person is on the holder's page, or not there yet."""
    return entry.page is not None and entry.state == "asked" and not entry.handle
