"""What every user of the load can do: ask under an operation's name, write with a key, and be somewhere."""

import os
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import gevent
from locust import FastHttpUser
from locust.exception import StopUser

from loadtests.load import plan as plans
from loadtests.load.model import OPERATIONS, PERSONAS, RESUMES, SLOW_BYTES_PER_S, SLOW_RTT_S, SLOW_SHARE
from loadtests.load.notes import Acknowledged, Asked, Book, Intent
from loadtests.load.wire import Line, Pace, slow_line

PLAN = plans.read()
_THINK = {persona.name: persona.think_s for persona in PERSONAS}


PART: Final = "MOTCUA_LOAD_PART"
"""`0/2` on the first of two machines that generate: each takes its part of the seats."""


class Crew:
    """Who has sat down. The processes of one machine take the seats one after another, by files of one directory."""

    book: ClassVar[Book]
    _next: ClassVar[dict[str, int]] = {}

    @classmethod
    def number(cls, persona: str) -> int:
        """Return a number that no other user of this persona has, in any process."""
        part, _, parts = os.environ.get(PART, "0/1").partition("/")
        taken, seats = cls._next.get(persona, 0), Path(PLAN.out) / "seats"
        seats.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                (seats / f"{persona}-{taken}").touch(exist_ok=False)
            except FileExistsError:
                taken += 1
            else:
                cls._next[persona] = taken + 1
                return int(part) + taken * int(parts)


class Person(FastHttpUser):
    """One user: at a place, on a line, with a first visit behind them."""

    abstract = True
    host = PLAN.url
    network_timeout = 60.0
    connection_timeout = 20.0
    persona: ClassVar[str]
    official: ClassVar[bool] = False

    def __init__(self, environment: Any) -> None:
        number = Crew.number(self.persona)
        self.chance = random.Random(f"{PLAN.seed} {self.persona} {number}")
        seats = PLAN.seats.get(self.persona, [])
        self.seat = seats[number % len(seats)] if seats else None
        source = self.seat.source if self.seat else PLAN.sources[number % len(PLAN.sources)]
        self.pace: Pace | None = None
        if self.chance.random() < SLOW_SHARE:
            self.pace = slow_line(self.chance, SLOW_RTT_S, SLOW_BYTES_PER_S)
        local = PLAN.url.startswith("http://127.")
        self.client_pool = Line(
            source if local else None, self.pace, concurrency=6, network_timeout=self.network_timeout,
            connection_timeout=self.connection_timeout,
        )  # fmt: skip
        self.token = ""
        super().__init__(environment)

    def wait_time(self) -> float:
        least, most = _THINK[self.persona]
        return self.chance.uniform(least, most) / PLAN.haste

    def on_start(self) -> None:
        """Come, and note it where this user cannot: a user who is missing makes the run void."""
        try:
            self.arrive()
        except Exception:
            Crew.book.health.missing += 1
            raise

    def arrive(self) -> None:
        """Pay the first visit, cold, and come in."""
        gevent.sleep(self.chance.uniform(0, 1.0))
        self.ask("GET", "/procedures", "first visit")
        self.ask("GET", "/agencies", "first visit")
        if self.official:
            self.come_in()

    def come_in(self) -> None:
        """Resume yesterday's session, or log in by password."""
        if self.seat is None:
            raise StopUser
        self.token = self.seat.token
        if self.chance.random() > RESUMES:
            told = self.write("/session", "log in", {"login": self.seat.login, "password": PLAN.password}, key=None)
            self.token = (told or {}).get("token", self.token)
        self.ask("GET", "/session", "first visit")

    def ask(self, method: str, path: str, op: str, *, headers: dict[str, str] | None = None, **kw: Any) -> Any:
        """Ask and note how long it took without this line's own slowness; return the answer's JSON where it is 2xx."""
        with self.asking(method, path, op, headers or {}, **kw) as answer:
            good = 200 <= answer.status_code < 300
            content = answer.headers.get("content-type", "") if answer.headers else ""
            return answer.json() if good and "json" in content else (answer.content if good else None)

    @contextmanager
    def asking(self, method: str, path: str, op: str, headers: dict[str, str], **kw: Any) -> Iterator[Any]:
        """Send one request under an operation's name and judge its status."""
        if op not in OPERATIONS:
            raise KeyError(op)
        sent = {"Accept": "application/json", **headers}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        began, slept = time.time(), self.pace.slept_s if self.pace else 0.0
        Crew.book.in_flight += 1
        try:
            with self.client.request(method, path, name=op, catch_response=True, headers=sent, **kw) as answer:
                held_ms = ((self.pace.slept_s - slept) if self.pace else 0.0) * 1000
                ms = max(0.0, answer.request_meta["response_time"] - held_ms)
                answer.request_meta["response_time"] = ms
                status = answer.status_code or 0
                if 200 <= status < 300 or status == 304:
                    answer.success()
                else:
                    answer.failure(f"{status} {(answer.text or '')[:300]}")
                size = len(answer.content or b"") if not kw.get("stream") else 0
                Crew.book.note("requests", Asked(began, op, ms, status, size, self.pace is not None))
                yield answer
        finally:
            Crew.book.in_flight -= 1

    def write(self, path: str, op: str, body: Any, *, key: str | None = "", items: int = 0, **kw: Any) -> Any:
        """Ask for an effect under an idempotency key; what is acknowledged goes into the ledger."""
        chosen = secrets.token_hex(16) if key == "" else key
        headers = {**kw.pop("headers", {}), **({"Idempotency-Key": chosen} if chosen else {})}
        if chosen:
            Crew.book.note("intents", Intent(op=op, key=chosen))
        began = time.time()
        told = self.ask("POST", path, op, headers=headers, **({"json": body} if body is not None else {}), **kw)
        if isinstance(told, dict) and chosen:
            made = told.get("id") or told.get("ticket") or ""
            who = self.seat.login if self.seat else self.persona
            entry = Acknowledged(
                op=op, who=who, key=chosen, began=began, ended=time.time(), status=2, code=told.get("code") or "",
                id=str(made), items=items,
            )  # fmt: skip
            Crew.book.note("ledger", entry)
        return told
