"""What is looked at beside the load, every 5 s: pools, event loop, processors, memory, descriptors, dead rows."""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import msgspec

from loadtests.load.machine import pressure_us
from loadtests.load.site import Place

EVERY_S: Final = 5.0
"""Metrics are counters and histograms: to read them every second cost the API a seventh of its time."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_LINE: Final = re.compile(r"^(motcua_[a-z_]+)(?:\{([^}]*)\})? ([0-9.e+-]+)$", re.MULTILINE)
_RECORDED: Final = re.compile(r'^motcua_signature_items_total\{outcome="recorded"\} ([0-9.e+]+)$', re.MULTILINE)
_WANTED: Final = (
    "motcua_pool_", "motcua_event_loop_lag_seconds_", "motcua_http_in_flight", "motcua_shed_total",
    "motcua_http_seconds_sum", "motcua_http_seconds_count", "motcua_pool_cut_total",
)  # fmt: skip
_DATABASE: Final = """
    SELECT (SELECT sum(n_dead_tup) FROM pg_stat_user_tables)::bigint AS dead,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions
"""


class Part(msgspec.Struct, kw_only=True):
    """One part of the product at one moment."""

    cpu_s: float
    rss_mb: float
    descriptors: int


class Sample(msgspec.Struct, kw_only=True):
    """One look; `at` in seconds since the epoch."""

    at: float
    stalled_us: int
    parts: dict[str, Part]
    metrics: dict[str, float]
    """Of the API, by name and labels as its page has them."""
    dead: int = 0
    sessions: int = 0
    signatures: int = 0
    """Recorded since the signer started, as it counts itself."""
    killed: int = 0
    """Processes of this machine that the kernel killed for want of memory since it started."""


@asynccontextmanager
async def sampling(site: Place, out: Path) -> AsyncGenerator[list[Sample]]:
    """Look while the block lasts; every look is kept, and written down as well."""
    seen: list[Sample] = []
    database = _Database(site.dsn)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as web:
        looking = asyncio.create_task(_look(site, database, web, out, seen))
        try:
            yield seen
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking
            database.close()


class _Database:
    """A connection that is opened anew when PostgreSQL was away."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._owner: asyncpg.Connection | None = None

    async def row(self) -> asyncpg.Record | None:
        """Return what is looked at, or None while it cannot be."""
        try:
            if self._owner is None or self._owner.is_closed():
                self._owner = await asyncpg.connect(self._dsn, timeout=5)
            return await self._owner.fetchrow(_DATABASE)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return None

    def close(self) -> None:
        if self._owner is not None:
            self._owner.terminate()


async def _look(site: Place, database: _Database, web: aiohttp.ClientSession, out: Path, seen: list[Sample]) -> None:
    with (out / "samples.jsonl").open("ab") as file:
        while True:
            began = time.monotonic()
            sample = await _once(site, database, web)
            seen.append(sample)
            file.write(msgspec.json.encode(sample) + b"\n")
            file.flush()
            await asyncio.sleep(max(0.1, EVERY_S - (time.monotonic() - began)))


async def _once(site: Place, database: _Database, web: aiohttp.ClientSession) -> Sample:
    at, stalled = time.time(), pressure_us()
    parts = await asyncio.to_thread(lambda: {name: part(pids) for name, pids in site.processes().items()})
    sample = Sample(at=at, stalled_us=stalled, parts=parts, metrics={}, killed=killed())
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with web.get(site.metrics("api")) as answer:
            sample.metrics = read_metrics(await answer.text())
        async with web.get(site.metrics("signer")) as answer:
            sample.signatures = int(sum(map(float, _RECORDED.findall(await answer.text()))))
    row = await database.row()
    if row is not None:
        sample.dead, sample.sessions = row["dead"] or 0, row["sessions"]
    return sample


def killed() -> int:
    """Return how many processes the kernel has killed for want of memory; 0 where it does not tell."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(Path("/proc/vmstat").read_text().split("oom_kill ")[1].split()[0])
    return 0


def read_metrics(page: str) -> dict[str, float]:
    """Return those values of a metrics page that are looked at."""
    return {
        f"{name}{{{labels}}}" if labels else name: float(value)
        for name, labels, value in _LINE.findall(page)
        if name.startswith(_WANTED)
    }


def part(pids: list[int]) -> Part:
    """Add up what some processes use; one that has just ended is left out."""
    whole = Part(cpu_s=0.0, rss_mb=0.0, descriptors=0)
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            whole.cpu_s += (int(stat[11]) + int(stat[12])) / _TICKS
            whole.rss_mb += int(stat[21]) * _PAGE / 2**20
            whole.descriptors += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return whole
