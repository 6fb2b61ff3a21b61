"""What a generator process writes down: every request, every acknowledged write, and how it was itself."""

import os
import time
from pathlib import Path
from typing import Any, Final

import gevent
import msgspec

TICK_S: Final = 0.05
FILES: Final = ("requests", "intents", "ledger", "tickets", "twins")


class Asked(msgspec.Struct, array_like=True):
    """One request as a generator saw it; times in seconds since the epoch, lengths in milliseconds."""

    at: float
    op: str
    ms: float
    status: int
    size: int
    slow: bool


class Acknowledged(msgspec.Struct, kw_only=True):
    """One 2xx answer to a write: under which key, and what it named."""

    op: str
    who: str
    key: str
    began: float
    ended: float
    status: int
    code: str = ""
    """The dossier's code."""
    id: str = ""
    """What was made: dossier, upload or ticket."""
    items: int = 0
    """Signatures asked for."""


class Intent(msgspec.Struct, kw_only=True):
    """A write that is about to be asked for: its answer may be lost, its effect may not be doubled."""

    op: str
    key: str


class Twin(msgspec.Struct, kw_only=True):
    """Two answers to one intent that named two dossiers."""

    first: str
    again: str


class Finished(msgspec.Struct, kw_only=True):
    """A ticket as its stream told it: its own times, and what became of each item."""

    ticket: str
    asked_at: str
    finished_at: str
    recorded: dict[str, str]
    """Request and SHA-256 of the revision that was recorded."""
    outcomes: dict[str, int]
    seen: float
    """When the client saw it, in seconds since the epoch."""


class Health(msgspec.Struct, kw_only=True):
    """How the generator itself was, second by second."""

    pid: int
    busy: list[float]
    lag_ms: list[float]
    """The worst lateness of its own loop in each tick."""
    missing: int = 0
    """Users who ended by an error of this suite."""


class Book:
    """The files of one generator process."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._files = {name: (out / f"{name}-{os.getpid()}.jsonl").open("ab") for name in FILES}
        self._health = out / f"health-{os.getpid()}.json"
        self.health = Health(pid=os.getpid(), busy=[], lag_ms=[])
        self.in_flight = 0
        self._levels = (out / f"levels-{os.getpid()}.jsonl").open("ab")

    def note(self, name: str, entry: Any) -> None:
        self._files[name].write(msgspec.json.encode(entry) + b"\n")

    def watch(self, users: Any) -> None:
        """Look at this process until killed: processor, lateness of its loop, users and requests in flight."""
        began, busy = time.monotonic(), time.process_time()
        while True:
            tick = time.monotonic()
            gevent.sleep(TICK_S)
            now = time.monotonic()
            self.health.lag_ms.append((now - tick - TICK_S) * 1000)
            if now - began < 1.0:
                continue
            spent = time.process_time()
            self.health.busy.append((spent - busy) / (now - began))
            began, busy = now, spent
            count = users()
            self._levels.write(msgspec.json.encode([time.time(), os.getpid(), count, self.in_flight]) + b"\n")
            self.save()

    def save(self) -> None:
        """Write everything through."""
        self._health.write_bytes(msgspec.json.encode(self.health))
        for file in (*self._files.values(), self._levels):
            file.flush()
