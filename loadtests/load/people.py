"""The closed model's users: each performs its persona's acts one after the other, over a line of its own."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Final

import gevent
import msgspec
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust import FastHttpUser, task

from loadtests.load import acts
from loadtests.load import plan as plans
from loadtests.load.model import OPERATIONS, SLOW_BYTES_PER_S, SLOW_RTT_S, SLOW_SHARE, TOKEN_LINE, WATCH_S
from loadtests.load.notes import Asked, Book, Intent, Twin
from loadtests.load.tickets import RETRY_S, Desk, acknowledged, finished, told_in
from loadtests.load.visitors import Seats, Visitor
from loadtests.load.wire import Line, Pace, hang_up, slow_line

PLAN = plans.read()
PATIENCE_S: Final = 5.0
"""The impatient give a request up after it."""
BLOCK_BYTES: Final = 65_536
"""What is read of an answer at once: by default 4 KB, sixteen turns of the loop for one result."""


class Person(FastHttpUser):
    """One user: at a place, on a line, with a first visit behind them."""

    abstract = True
    host = PLAN.url
    network_timeout = 60.0
    connection_timeout = 20.0
    persona: ClassVar[str]
    book: ClassVar[Book]
    desk: ClassVar[Desk]
    all: ClassVar[set["Person"]] = set()

    def __init__(self, environment: Any) -> None:
        self.who = Visitor(PLAN, self.persona, Seats.number(PLAN, self.persona))
        self.pace = self._pace()
        self.streams: set[Any] = set()
        patience_s = PATIENCE_S if self.persona == "impatient" else self.network_timeout
        self.client_pool = Line(
            self.who.source if PLAN.url.startswith("http://127.") else None, self.pace, concurrency=6,
            network_timeout=patience_s, connection_timeout=self.connection_timeout, block_size=BLOCK_BYTES,
        )  # fmt: skip
        super().__init__(environment)
        self.client.client.cookiejar = None  # everybody here bears a token
        self._does: dict[type, Callable[[Any], Any]] = {
            acts.Ask: self.ask,
            acts.Pause: lambda step: gevent.sleep(step.seconds),
            acts.Follow: self.follow,
            acts.Drop: self.drop,
            acts.Twins: lambda step: self.book.note("twins", Twin(first=step.first, again=step.again)),
            acts.Took: self.took,
            acts.Token: self.desk.sign,
        }

    def _pace(self) -> Pace | None:
        if self.who.chance.random() < SLOW_SHARE:
            return slow_line(self.who.chance, SLOW_RTT_S, SLOW_BYTES_PER_S)
        return Pace(*TOKEN_LINE) if self.persona == "token-signatory" else None

    def wait_time(self) -> float:
        return self.who.rest()

    def on_start(self) -> None:
        """Come, and note it where this user cannot: a user who is missing makes the run void."""
        self.all.add(self)
        try:
            self.perform(acts.arrive(self.who))
        except Exception:
            self.book.health.missing += 1
            raise

    def on_stop(self) -> None:
        self.all.discard(self)

    @task
    def act(self) -> None:
        self.perform(acts.next_act(self.who))

    def perform(self, act: acts.Act) -> None:
        """Do one step after the other."""
        answer: Any = None
        with suppress(StopIteration):
            while True:
                step = act.send(answer)
                answer = self._does[type(step)](step)

    def ask(self, step: acts.Ask) -> Any:
        """Ask, and write an effect that is acknowledged into the ledger."""
        key = step.key or secrets.token_hex(16)
        headers = {**step.headers, **({"Idempotency-Key": key} if step.effect else {})}
        if step.effect:
            self.book.note("intents", Intent(op=step.op, key=key))
        sent = {"json": step.body} if step.body is not None else {"data": step.content} if step.content else {}
        began = time.time()
        with self.asking(step.method, step.path, step.op, headers, right=step.right, **sent) as answer:
            good = 200 <= answer.status_code < 300
            content = answer.headers.get("content-type", "") if answer.headers else ""
            whole = answer.content if good else None
            told = msgspec.json.decode(whole) if whole is not None and "json" in content else whole
        if step.effect and isinstance(told, dict):
            self.book.note("ledger", acknowledged(self.who, step, key, began, told))
        return told

    @contextmanager
    def asking(
        self, method: str, path: str, op: str, headers: dict[str, str], *, right: tuple[int, ...] = (), **kw: Any
    ) -> Iterator[Any]:
        """Send one request under an operation's name and judge its status, without this line's own slowness."""
        if op not in OPERATIONS:
            raise KeyError(op)
        while self._cut_off(stream=bool(kw.get("stream"))):
            gevent.sleep(RETRY_S)
        sent = {"Accept": "application/json", **headers}
        if self.who.token:
            sent["Authorization"] = f"Bearer {self.who.token}"
        began, slept = time.time(), self.pace.slept_s if self.pace else 0.0
        self.book.in_flight += 1
        try:
            with self.client.request(method, path, name=op, catch_response=True, headers=sent, **kw) as answer:
                held_ms = ((self.pace.slept_s - slept) if self.pace else 0.0) * 1000
                ms = max(0.0, answer.request_meta["response_time"] - held_ms)
                answer.request_meta["response_time"] = ms
                status = answer.status_code or 0
                if status == 0 and self.book.cut_at >= began:
                    answer.success()  # cut off at this end: no answer of the server's
                    yield answer
                    return
                if 200 <= status < 300 or status == 304 or status in right:
                    answer.success()
                else:
                    answer.failure(f"{status} {(answer.text or '')[:300]}")
                size = len(answer.content or b"") if not kw.get("stream") else 0
                self._note(op, began, ms, 200 if status in right else status, size, slow=self.pace is not None)
                yield answer
        finally:
            self.book.in_flight -= 1

    def _note(self, op: str, at: float, ms: float, status: int, size: int, *, slow: bool) -> None:
        self.book.note("requests", Asked(at, op, ms, status, size, slow))

    def follow(self, step: acts.Follow) -> Any:
        """Watch a ticket to its end by its stream; return it, or None where it came to none."""
        deadline = time.time() + WATCH_S
        path = f"/signature-batches/{step.ticket}"
        while time.time() < deadline:
            for now in self._stream(f"{path}/events"):
                if now.get("finished_at"):
                    self.book.note("tickets", finished(now))
                    return now
            gevent.sleep(RETRY_S)
        told = self.ask(acts.Ask(op="ticket", path=path))
        if isinstance(told, dict) and told.get("finished_at"):
            self.book.note("tickets", finished(told))
            return told
        return None

    def _stream(self, path: str) -> Iterator[dict[str, Any]]:
        with self.asking("GET", path, "ticket", {"Accept": "text/event-stream"}, stream=True) as answer:
            if answer.status_code != 200:
                return
            self.streams.add(answer)
            try:
                for line in _lines(answer):
                    try:
                        now = told_in(line)
                    except msgspec.DecodeError:
                        self._note("ticket", time.time(), 0.0, 0, len(line), slow=False)
                        continue
                    if now is not None:
                        yield now
            finally:
                self.streams.discard(answer)

    def took(self, step: acts.Took) -> None:
        """Note how long several requests took together."""
        self._note(step.op, time.time(), step.seconds * 1000, 200 if step.right else 0, 0, slow=False)

    def drop(self, step: acts.Drop) -> None:
        """Send a request and close the connection without waiting for the answer."""
        pool = self.client_pool.get_client(self.host + step.path)._connection_pool  # noqa: SLF001 - a socket of this line
        with suppress(OSError):
            one = pool.get_socket()
            one.sendall(f"GET {step.path} HTTP/1.1\r\nHost: motcua\r\n\r\n".encode())
            pool.release_socket(one)

    def _cut_off(self, *, stream: bool) -> bool:
        cut = self.book.cut
        return cut is not None and cut.holds(self.who.source, stream=stream)

    def cut(self) -> None:
        """Lose what a cut that has just begun takes: the streams, or every connection."""
        if self._cut_off(stream=True):
            for answer in list(self.streams):
                hang_up(answer._response._sock)  # noqa: SLF001 - the response underneath
        if self._cut_off(stream=False):
            self.client_pool.cut()


def _lines(answer: Any) -> Iterator[bytes]:
    """Give the lines of a stream as they come; the library's own iteration waits for whole chunks."""
    with suppress(HTTPConnectionClosed, HTTPParseError, OSError):
        while line := answer._response.readline(b"\n"):  # noqa: SLF001 - the response underneath
            yield line
