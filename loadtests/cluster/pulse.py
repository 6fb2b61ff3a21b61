"""Readers who come at a fixed rate, whatever becomes of those before them: each read is sent once and counted once."""

import asyncio
import itertools
import time
from collections import Counter
from hashlib import sha256
from typing import Final

import aiohttp
import msgspec

from loadtests.chaos.lives import Ward

PATIENCE_S: Final = 20.0


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """One read: what, when it was sent (monotonic), how long it took, and what was wrong with it: nothing, mostly."""

    what: str
    at: float
    took_s: float
    wrong: str = ""


class Pulse:
    """Asks for a session, a list, a dossier and a document in turn; a document has to come byte for byte."""

    def __init__(self, web: aiohttp.ClientSession, ward: Ward, per_second: float) -> None:
        self._web, self._ward, self._pause_s = web, ward, 1 / per_second
        self.reads: list[Read] = []

    async def run(self) -> None:
        """Read until cancelled."""
        numbers = itertools.count()
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._read(next(numbers)))
                due += self._pause_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def since(self, at: float, what: str = "") -> list[Read]:
        """Return the reads that were sent from a moment on, of one kind or of all."""
        return [one for one in self.reads if one.at >= at and what in ("", one.what)]

    async def _read(self, number: int) -> None:
        kinds = ["session", "list", *(["dossier", "document", "document"] if self._ward.sealed else [])]
        what = kinds[number % len(kinds)]
        began = time.monotonic()
        try:
            wrong = await self._ask(what, number)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            wrong = f"{type(error).__name__}: {error}"
        self.reads.append(Read(what=what, at=began, took_s=time.monotonic() - began, wrong=wrong))

    async def _ask(self, what: str, number: int) -> str:
        sealed = self._ward.sealed
        code, document = sealed[number // 5 % len(sealed)] if sealed else ("", "")
        path = {
            "session": "/session", "list": "/signature-requests?limit=20", "dossier": f"/track/{code}",
            "document": f"/documents/{document}/file",
        }[what]  # fmt: skip
        headers = {} if what == "dossier" else self._ward.appraiser.session_headers
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with self._web.get(path, headers=headers, timeout=timeout) as answer:
            content = await answer.read()
            if answer.status != 200:
                return f"{answer.status} {content[:120].decode(errors='replace')}"
        if what == "document" and answer.headers["ETag"].strip('"') != sha256(content).hexdigest():
            return f"{document}: other bytes than were recorded"
        return ""


def told(reads: list[Read]) -> str:
    """Say how many there were, how many failed and how, and how long they took."""
    if not reads:
        return "no read"
    wrong = Counter(one.wrong[:60] for one in reads if one.wrong)
    took = sorted(one.took_s for one in reads)
    slow = f"p95 {took[int(len(took) * 0.95)] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms"
    how = f" {dict(wrong.most_common(3))}" if wrong else ""
    return f"{len(reads)} reads, {sum(wrong.values())} failed{how}, {slow}"
