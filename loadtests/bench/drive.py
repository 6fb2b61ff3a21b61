"""The load: raw HTTP/1.1 over keep-alive connections, one request in flight on each, nothing pipelined.

It does no more than write prepared bytes and find the end of each answer, so that it is not what is measured; what it
cost is told with every run.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

SATURATED: Final = 0.85
"""Share of its core above which the load generator, and not the server, may be what was measured."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one contender did with one kind of request."""

    requests: int
    errors: int
    seconds: float
    in_flight: int
    p50_ms: float
    p95_ms: float
    generator_busy: float
    """Share of a core that the load generator used."""

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def void(self) -> bool:
        return not self.requests or bool(self.errors) or self.generator_busy > SATURATED


def request(method: str, path: str, *, token: str | None = None, body: object = None, key: str | None = None) -> bytes:
    """Return a request as it goes over the wire."""
    content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", "Accept: application/json"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if key is not None:
        lines.append(f"Idempotency-Key: {key}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class _Client(asyncio.Protocol):
    """One connection: sends the next request when an answer is whole."""

    def __init__(self, requests: Iterator[bytes], done: "_Tally") -> None:
        self._requests, self._done = requests, done
        self._buffer = b""
        self._began = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not whole(self._buffer):
            return
        self._done.answered(self._buffer, time.perf_counter() - self._began)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        if not self._done.over:
            self._done.errors += 1
        if not self.closed.done():
            self.closed.set_result(None)

    def _next(self) -> None:
        message = None if self._done.over else next(self._requests, None)
        if message is None:
            self._done.over = True
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(message)


def whole(answer: bytes) -> bool:
    """Tell whether an answer has come to its end."""
    end = answer.find(b"\r\n\r\n")
    return end >= 0 and len(answer) >= end + 4 + _length(answer[:end])


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


class _Tally:
    """What came back."""

    def __init__(self, expect: bytes) -> None:
        self.expect = expect
        self.times: list[float] = []
        self.errors = 0
        self.last = b""
        self.over = False

    def answered(self, answer: bytes, seconds: float) -> None:
        self.times.append(seconds)
        if answer[9:10] != self.expect:
            self.errors += 1
            self.last = answer


async def drive(
    port: int, requests: Iterator[bytes], *, in_flight: int, seconds: float, expect: bytes = b"2",
    tls: ssl.SSLContext | None = None,
) -> Run:  # fmt: skip
    """Send these for so long, or until they are used up, over so many connections; `expect` begins every status.

    With `tls` the other end is `localhost`, and shows a certificate for it.

    Raises:
        RuntimeError: an answer had another status; the text shows it.
    """
    loop = asyncio.get_running_loop()
    tally = _Tally(expect)
    began, busy = time.perf_counter(), time.process_time()
    name = "localhost" if tls is not None else None
    pairs = [
        await loop.create_connection(lambda: _Client(requests, tally), "127.0.0.1", port, ssl=tls, server_hostname=name)
        for _ in range(in_flight)
    ]
    stop = loop.call_later(seconds, setattr, tally, "over", True)
    await asyncio.gather(*(client.closed for _, client in pairs))
    stop.cancel()
    took = time.perf_counter() - began
    if tally.last:
        raise RuntimeError(f"an answer was refused: {tally.last[:600].decode(errors='replace')}")
    times = sorted(tally.times)
    return Run(
        requests=len(times),
        errors=tally.errors,
        seconds=took,
        in_flight=in_flight,
        p50_ms=_part(times, 0.5) * 1000,
        p95_ms=_part(times, 0.95) * 1000,
        generator_busy=(time.process_time() - busy) / took,
    )


async def fetch(port: int, message: bytes) -> bytes:
    """Send one request; return the whole answer, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(_length(head))
    writer.close()
    return head + body


async def ask(port: int, message: bytes) -> tuple[int, object]:
    """Send one request; return status and decoded answer, or its text where it is no JSON."""
    answer = await fetch(port, message)
    body = answer.split(b"\r\n\r\n", 1)[1]
    try:
        return int(answer[9:12]), msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return int(answer[9:12]), body.decode(errors="replace")


def _part(times: Sequence[float], share: float) -> float:
    return times[min(int(len(times) * share), len(times) - 1)] if times else 0.0
