"""The ledger: every acknowledged write as one line, on the disk before the load goes on."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One 2xx answer to a write: what was asked under which key, and what was answered."""

    who: str
    method: str
    path: str
    key: str
    status: int
    tries: int
    answer: Any


class Ledger:
    """An append-only file, synchronised at each entry; what is in it may never be lost again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self._out = path.open("ab", buffering=0)

    @property
    def count(self) -> int:
        """How many writes were acknowledged."""
        return len(self.entries)

    async def grown(self, count: int, patience_s: float) -> None:
        """Wait until there are more entries than this, or patience ends."""
        deadline = time.monotonic() + patience_s
        while self.count <= count and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def note(self, entry: Entry) -> None:
        """Write one entry through to the disk."""
        self._out.write(json.dumps(msgspec.to_builtins(entry), ensure_ascii=False).encode() + b"\n")
        os.fsync(self._out.fileno())
        self.entries.append(entry)
