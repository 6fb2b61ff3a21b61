"""A load at a pace of its own: requests are sent when they are due, whether or not earlier ones have been answered.

A time counts from when the request was due, so that waiting for a free connection, or for the processor that this
generator shares with PostgreSQL, is not left out of what is measured.
"""

import asyncio
import heapq
import random
import selectors
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from loadtests.bench.drive import whole

LINES: Final = 16
"""Connections, each with one request in flight; who finds none free waits, and that counts."""
_PATIENCE_S: Final = 10.0


class Answer(msgspec.Struct, frozen=True):
    """One request: its kind, when it was due by the clock of `time.perf_counter`, and how long it took, in seconds."""

    kind: str
    due: float
    took: float


Heard = Callable[[str, bytes], None]
"""Is told the kind and the whole text of each good answer."""


class Traffic:
    """What was asked so far; it grows while the load is on."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.answers: list[Answer] = []
        self.late: list[float] = []
        """Seconds by which each request was sent after it was due."""
        self.errors = 0
        self.refusal = b""


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: "_Load") -> None:
        self._load, self._buffer = load, b""
        self.sent: tuple[str, float] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._load.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        if not self._load.over:
            self._load.traffic.errors += 1

    def send(self, kind: str, due: float, message: bytes) -> None:
        self.sent = (kind, due)
        self._load.traffic.late.append(time.perf_counter() - due)
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self.sent is None or not whole(self._buffer):
            return
        (kind, due), self.sent = self.sent, None
        answer, self._buffer = self._buffer, b""
        self._load.answered(Answer(kind, due, time.perf_counter() - due), answer)
        self._load.next_on(self)

    def close(self) -> None:
        self._transport.close()


class _Load:
    """The schedule, the connections, and who waits for one."""

    def __init__(self, traffic: Traffic, heard: Heard) -> None:
        self.traffic, self._heard = traffic, heard
        self.free: deque[_Line] = deque()
        self.over = False
        self.answered_all = asyncio.Event()
        self.answered_all.set()
        self._waiting: deque[tuple[str, float, bytes]] = deque()

    def ask(self, kind: str, due: float, message: bytes) -> None:
        self.answered_all.clear()
        if self.free:
            self.free.popleft().send(kind, due, message)
        else:
            self._waiting.append((kind, due, message))

    def next_on(self, line: _Line) -> None:
        if self._waiting:
            line.send(*self._waiting.popleft())
        else:
            self.free.append(line)
            if len(self.free) == LINES:
                self.answered_all.set()

    def answered(self, answer: Answer, text: bytes) -> None:
        if text[9:10] == b"2":
            self.traffic.answers.append(answer)
            self._heard(answer.kind, text)
        else:
            self.traffic.errors += 1
            self.traffic.refusal = text


@asynccontextmanager
async def traffic(
    port: int, sources: Mapping[str, Iterator[bytes]], per_s: float, seed: int, heard: Heard
) -> AsyncGenerator[Traffic]:
    """Ask while the block lasts, of each kind so often a second on average, at random moments of this seed.

    Where a kind has no more requests the block is cancelled: what is measured from then on would be a rest.

    Raises:
        RuntimeError: a request was refused, a connection was closed, or a kind had no more requests.
    """
    loop, seen = asyncio.get_running_loop(), Traffic()
    load = _Load(seen, heard)
    lines = [(await loop.create_connection(lambda: _Line(load), "127.0.0.1", port))[1] for _ in range(LINES)]
    sending, block = asyncio.create_task(_send(load, sources, per_s, random.Random(seed))), asyncio.current_task()
    sending.add_done_callback(lambda ended: ended.cancelled() or block is None or block.cancel())
    try:
        yield seen
    except asyncio.CancelledError:
        if sending.done() and not sending.cancelled():
            sending.result()  # why the block was cancelled
        raise
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        with suppress(TimeoutError):
            await asyncio.wait_for(load.answered_all.wait(), _PATIENCE_S)
        load.over = True
        for line in lines:
            line.close()
    if not sending.cancelled():
        sending.result()
    if seen.errors:
        raise RuntimeError(f"{seen.errors} requests failed: {seen.refusal[:600].decode(errors='replace')}")


async def _send(load: _Load, sources: Mapping[str, Iterator[bytes]], per_s: float, chance: random.Random) -> None:
    now = time.perf_counter()
    due = [(now + chance.expovariate(per_s), kind) for kind in sources]
    heapq.heapify(due)
    while True:
        at, kind = due[0]
        if (early := at - time.perf_counter()) > 0:
            await asyncio.sleep(early)
            continue
        load.ask(kind, at, next(sources[kind]))
        heapq.heapreplace(due, (at + chance.expovariate(per_s), kind))


def exact_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers are exact to microseconds: epoll, and libuv, know milliseconds only."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())
