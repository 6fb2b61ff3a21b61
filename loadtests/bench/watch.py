"""What is looked up beside the load: how late the event loop was, and what authorisation costs by itself."""

import asyncio
import re
from typing import Final

import msgspec

from loadtests.bench.contenders import Contender
from loadtests.bench.drive import drive, fetch, request
from loadtests.bench.ground import Ground, q
from loadtests.bench.scenarios import SIGNATORY

_LAG: Final = re.compile(rb"^motcua_event_loop_lag_seconds ([0-9.e+-]+)$", re.MULTILINE)


class Authorisation(msgspec.Struct, frozen=True, kw_only=True):
    """What the guard adds to a request that is alone on the server."""

    queries: float
    added_ms: float


async def loop_lag_ms(rival: Contender) -> float:
    """Return how late the event loop was at its last tick, as the process itself tells."""
    found = _LAG.search(await fetch(rival.port, request("GET", "/metrics")))
    return float(found[1]) * 1000 if found else 0.0


async def authorisation(rival: Contender, earth: Ground, *, times: int = 200) -> Authorisation:
    """Compare a refusal before the guard reads anything with one after it has let the request pass.

    Without a token the guard refuses at once, with one the cursor is refused; neither reads anything else, so what lies
    between them is the guard's: its statements, and its time. The quietest of three runs of each counts.
    """
    token = await earth.log_in(SIGNATORY)
    without = request("GET", "/signature-requests?after=x")
    guarded = request("GET", "/signature-requests?after=x", token=token)
    (ms, queries), (ms_guarded, queries_guarded) = [await _cost(rival, earth, one, times) for one in (without, guarded)]
    return Authorisation(queries=queries_guarded - queries, added_ms=ms_guarded - ms)


async def _cost(rival: Contender, earth: Ground, message: bytes, times: int) -> tuple[float, float]:
    tries: list[tuple[float, float]] = []
    for _ in range(3):
        before = await _transactions(earth)
        run = await drive(rival.port, iter([message] * times), in_flight=1, seconds=30, expect=b"4")
        tries.append((run.p50_ms, (await _transactions(earth) - before) / run.requests))
    return min(ms for ms, _ in tries), min(queries for _, queries in tries)


async def _transactions(earth: Ground) -> int:
    """Return how many transactions have ended in this database: a read outside of one is one by itself."""
    await asyncio.sleep(1.1)  # the server's own counters are at most a second behind
    return await earth.owner.fetchval(q.transactions)
