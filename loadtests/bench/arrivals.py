"""Open arrivals: everybody asks when they want to, whether or not earlier ones were answered, and may be turned away.

Each kind of request has a rate of its own, which may change while the load is on. Whoever finds no free connection
opens another, as people do; a time counts from when the request was due.
"""

import asyncio
import heapq
import random
import re
import resource
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from loadtests.bench.drive import whole

CONNECTIONS: Final = 6_000
"""At most so many at once: whoever finds none then is not sent at all, and the run is void."""
_CODE: Final = re.compile(rb'"code":"([a-z-]+)"')
_AGAIN: Final = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)
_KEY: Final = re.compile(rb"\r\nIdempotency-Key: ([^\r]+)")
_PATIENCE_S: Final = 40.0
"""Longer than any request may take: what is not answered then never is."""


class Answer(msgspec.Struct, frozen=True):
    """One request: its kind, when it was due by `time.perf_counter`, seconds to its answer, and what that was."""

    kind: str
    due: float
    took: float
    status: int
    """0 where the connection was closed, or nobody answered."""
    code: str = ""
    """Of a refusal, as the problem has it."""
    again_s: int = 0
    """Retry-After; 0 where there is none."""
    key: str = ""
    """The idempotency key of a write."""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        return self.status in (429, 503)


class Crowd:
    """Who asks, how often, and what they were told so far; it grows while the load is on."""

    def __init__(self, port: int, sources: Mapping[str, Iterator[bytes]], seed: int) -> None:
        """Ask nothing yet: rates are set by `at`."""
        self.answers: list[Answer] = []
        self.late: list[float] = []
        """Seconds by which each request was sent after it was due: the generator's own fault."""
        self.unsent = 0
        self.under_way: set[_Line] = set()
        self._port, self._sources, self._chance = port, sources, random.Random(seed)
        self._due: list[tuple[float, str]] = []
        self._rates: dict[str, float] = {}
        self._free: dict[str, deque[_Line]] = {kind: deque() for kind in sources}
        self._opened = 0
        self._changed = asyncio.Event()

    def at(self, rates: Mapping[str, float]) -> None:
        """From now on ask of each kind so often a second on average; a kind that is not named is not asked."""
        now = time.perf_counter()
        self._rates = {kind: rate for kind, rate in rates.items() if rate > 0}
        self._due = [(now + self._chance.expovariate(rate), kind) for kind, rate in self._rates.items()]
        heapq.heapify(self._due)
        self._changed.set()

    async def send(self) -> None:
        """Send what is due, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            early = self._due[0][0] - time.perf_counter() if self._due else 3600.0
            if early > 0:
                self._changed.clear()
                timer = loop.call_later(early, self._changed.set)
                await self._changed.wait()
                timer.cancel()
                continue
            due, kind = self._due[0]
            heapq.heapreplace(self._due, (due + self._chance.expovariate(self._rates[kind]), kind))
            message = next(self._sources[kind], None)
            if message is None:
                raise RuntimeError(f"there is nothing more to ask of {kind}: more dossiers are needed")
            self._ask(kind, due, message)

    def _ask(self, kind: str, due: float, message: bytes) -> None:
        self.late.append(time.perf_counter() - due)
        if self._free[kind]:
            self._free[kind].pop().send(due, message)
        elif self._opened < CONNECTIONS:
            self._opened += 1
            line = _Line(self, kind, due, message)
            line.opening = asyncio.ensure_future(
                asyncio.get_running_loop().create_connection(lambda: line, "127.0.0.1", self._port)
            )
            line.opening.add_done_callback(line.opened)
            self.under_way.add(line)
        else:
            self.unsent += 1

    def freed(self, line: "_Line") -> None:
        """Take an answered connection back."""
        self.under_way.discard(line)
        self._free[line.kind].append(line)

    def ended(self, line: "_Line") -> None:
        """Forget a connection that was closed."""
        self.under_way.discard(line)
        if line in self._free[line.kind]:
            self._free[line.kind].remove(line)
        self._opened -= 1

    async def settle(self) -> None:
        """Ask nothing more, and wait for what is under way; what is never answered is noted so."""
        self.at({})
        deadline = time.monotonic() + _PATIENCE_S
        while self.under_way and time.monotonic() < deadline:  # noqa: ASYNC110 - each line ends by itself
            await asyncio.sleep(0.02)
        for line in [*self.under_way]:
            line.close()

    def close(self) -> None:
        """Close every connection."""
        for line in [*self.under_way, *(one for free in self._free.values() for one in free)]:
            line.close()


class _Line(asyncio.Protocol):
    """One connection, with at most one request in flight."""

    def __init__(self, crowd: Crowd, kind: str, due: float, message: bytes) -> None:
        self.kind = kind
        self.opening: asyncio.Future[object] | None = None
        self._crowd, self._due, self._message, self._buffer = crowd, due, message, b""
        self._asked = True
        self._transport: asyncio.Transport | None = None

    def opened(self, opening: "asyncio.Future[object]") -> None:
        """Note a connection that could not be opened."""
        if not opening.cancelled() and opening.exception() is not None:
            self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - of TCP
        self.send(self._due, self._message)

    def send(self, due: float, message: bytes) -> None:
        self._due, self._message, self._asked = due, message, True
        self._crowd.under_way.add(self)
        if self._transport is not None:
            self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._asked and whole(self._buffer):
            answer, self._buffer, self._asked = self._buffer, b"", False
            self._note(answer)
            self._crowd.freed(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        if self._asked:
            self._note(b"")
            self._asked = False
        self._crowd.ended(self)

    def _note(self, answer: bytes) -> None:
        took, key = time.perf_counter() - self._due, _KEY.search(self._message)
        status = int(answer[9:12]) if answer else 0
        code, again = (_CODE.search(answer), _AGAIN.search(answer)) if status >= 300 else (None, None)
        self._crowd.answers.append(
            Answer(
                self.kind, self._due, took, status, code[1].decode() if code else "", int(again[1]) if again else 0,
                key[1].decode() if key else "",
            )
        )  # fmt: skip

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        elif self.opening is not None:
            self.opening.cancel()
            self.connection_lost(None)


@asynccontextmanager
async def crowd(port: int, sources: Mapping[str, Iterator[bytes]], seed: int) -> AsyncGenerator[Crowd]:
    """Lend a crowd that asks nothing yet; whatever it has under way at the end is waited for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    one = Crowd(port, sources, seed)
    sending = asyncio.create_task(one.send())
    try:
        yield one
        if sending.done():
            sending.result()
        await one.settle()
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
