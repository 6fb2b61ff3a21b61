"""What a generator process writes down: every request, every acknowledged write, and how it was itself."""

import os
import time
from pathlib import Path
from typing import Any, Final

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
    left_out: int = 0
    """Of the open model: acts that were due and not begun, since too many were under way."""
    stood: int = 0
    """Of the open model: how often a connection was opened only to stand."""


class Cut(msgspec.Struct, kw_only=True):
    """What is cut off at the users' end while its file is there: all streams, or everything from one ward's address."""

    streams: bool = False
    source: str = ""

    def holds(self, source: str, *, stream: bool) -> bool:
        """Say whether somebody there cannot reach the server."""
        return (self.streams and stream) or (bool(self.source) and self.source == source)


CUT: Final = "cut.json"


class Book:
    """The files of one generator process, and how it was itself; `beat` is to be called once in each tick."""

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._files = {name: (out / f"{name}-{os.getpid()}.jsonl").open("ab") for name in FILES}
        self._health = out / f"health-{os.getpid()}.json"
        self._levels = (out / f"levels-{os.getpid()}.jsonl").open("ab")
        self._cut = out / CUT
        self.health = Health(pid=os.getpid(), busy=[], lag_ms=[])
        self.in_flight = 0
        self.cut: Cut | None = None
        self.cut_at = 0.0
        """When somebody was cut off last, in seconds since the epoch."""
        self._tick = self._began = time.monotonic()
        self._busy = time.process_time()

    def note(self, name: str, entry: Any) -> None:
        self._files[name].write(msgspec.json.encode(entry) + b"\n")

    def beat(self, users: int) -> bool:
        """Look at this process and at what is cut; say whether a cut has just begun."""
        now = time.monotonic()
        self.health.lag_ms.append(max(0.0, (now - self._tick - TICK_S) * 1000))
        if now - self._began >= 1.0:
            spent = time.process_time()
            self.health.busy.append((spent - self._busy) / (now - self._began))
            self._began, self._busy = now, spent
            self._levels.write(msgspec.json.encode([time.time(), os.getpid(), users, self.in_flight]) + b"\n")
            self.save()
        self._tick = time.monotonic()
        before, self.cut = self.cut, self._told()
        if self.cut is not None:
            self.cut_at = time.time()
        return self.cut is not None and before is None

    def _told(self) -> Cut | None:
        try:
            return msgspec.json.decode(self._cut.read_bytes(), type=Cut)
        except (OSError, msgspec.MsgspecError):
            return None

    def save(self) -> None:
        """Write everything through."""
        self._health.write_bytes(msgspec.json.encode(self.health))
        for file in (*self._files.values(), self._levels):
            file.flush()
