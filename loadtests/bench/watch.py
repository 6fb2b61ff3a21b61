"""What is looked up beside the load: the event loop, the pools and PostgreSQL's sessions, what authorisation costs."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from loadtests.bench.contenders import Contender
from loadtests.bench.drive import drive, fetch, request
from loadtests.bench.ground import Ground
from loadtests.bench.report import PoolUse, Sessions
from loadtests.bench.scenarios import SIGNATORY

_REFUSED: Final = "/signature-requests?after=x"
_LAG: Final = re.compile(rb'^motcua_event_loop_lag_seconds_bucket\{le="([0-9.]+)"\} ([0-9.e+]+)$', re.MULTILINE)
_POOL: Final = re.compile(
    rb'^motcua_pool_(busy_seconds_total|peak|size)\{pool="(read|write)"\} ([0-9.e+-]+)$', re.MULTILINE
)
_LOOK_S: Final = 0.05
_SESSIONS: Final = """
    SELECT count(*) FILTER (WHERE state <> 'idle') AS busy, count(*) AS open,
           current_setting('max_connections')::integer AS most
    FROM pg_stat_activity WHERE usename = 'app' AND backend_type = 'client backend'
"""
_ALL: Final = re.compile(rb"^motcua_event_loop_lag_seconds_count ([0-9.e+]+)$", re.MULTILINE)


async def loop_lag_ms(rival: Contender) -> float:
    """Return by how much the event loop was late at most in 99 of 100 ticks so far, as the process itself counts."""
    page = await fetch(rival.port, request("GET", "/metrics"))
    every = _ALL.search(page)
    wanted = 0.99 * float(every[1]) if every else 0.0
    return next((float(edge) * 1000 for edge, n in _LAG.findall(page) if float(n) >= wanted), float("inf"))


class Watched:
    """What was seen of connections while a load ran; whole once the block of `watching` is left."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.pools: tuple[PoolUse, ...] = ()
        self.sessions = Sessions(busy=0.0, most_busy=0, open=0, limit=0)


@asynccontextmanager
async def watching(rival: Contender, earth: Ground) -> AsyncGenerator[Watched]:
    """Watch our pools by their own counting, and PostgreSQL's sessions by looking 20 times a second from outside."""
    seen = Watched()
    owner = await asyncpg.connect(earth.cluster.dsn("admin"))
    before, began = await _pools(rival), time.perf_counter()
    looking = asyncio.create_task(_look(owner))
    try:
        yield seen
    finally:
        took, after = time.perf_counter() - began, await _pools(rival)
        looking.cancel()
        seen.sessions = await looking
        await owner.close()
        seen.pools = tuple(
            PoolUse(
                name=name,
                size=int(now["size"]),
                used=(now["busy_seconds_total"] - before[name]["busy_seconds_total"]) / took / now["size"],
                peak=int(now["peak"]),
            )
            for name, now in after.items()
        )


async def _pools(rival: Contender) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for what, name, value in _POOL.findall(await fetch(rival.port, request("GET", "/metrics"))):
        found.setdefault(name.decode(), {})[what.decode()] = float(value)
    return found


async def _look(owner: asyncpg.Connection) -> Sessions:
    """Look until cancelled; return what was seen."""
    busy: list[int] = []
    most_open = limit = 0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(_LOOK_S)
            row = await owner.fetchrow(_SESSIONS)
            if row is not None:
                busy.append(row["busy"])
                most_open, limit = max(most_open, row["open"]), row["most"]
    return Sessions(busy=sum(busy) / max(len(busy), 1), most_busy=max(busy, default=0), open=most_open, limit=limit)


async def authorisation_ms(rival: Contender, earth: Ground, *, times: int = 200) -> float:
    """Return what the guard adds to a request that is alone on the server, in milliseconds: its one statement, mostly.

    Without a token the guard refuses before it reads anything, with one the cursor is refused after it; neither reads
    anything else. The quietest of three runs of each counts.
    """
    token = await earth.log_in(SIGNATORY)
    took: list[float] = []
    for message in (request("GET", _REFUSED), request("GET", _REFUSED, token=token)):
        runs = [await drive(rival.port, iter([message] * times), in_flight=1, seconds=30, expect=b"4") for _ in "123"]
        took.append(min(run.p50_ms for run in runs))
    return took[1] - took[0]
