"""What is to be known where a run gives up: what each life waits for and since when, and how every process is."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from loadtests.chaos.judgement import AT_REST
from loadtests.chaos.killer import NAMES
from loadtests.chaos.lives import Ward
from loadtests.chaos.product import Product

LAST_LINES: Final = 8
_STATES: Final = {"R": "runs", "S": "sleeps", "D": "waits for a disk", "T": "is stopped", "Z": "is dead"}
_WAITING: Final = """
    SELECT pid || ' ' || usename || ', ' || state || ' for ' || extract(epoch FROM now() - state_change)::int || ' s, '
        || coalesce('waits for ' || wait_event_type || ' ' || wait_event || ', ', '')
        || coalesce('held up by ' || nullif(pg_blocking_pids(pid), '{}')::text || ', ', '')
        || left(regexp_replace(query, '\\s+', ' ', 'g'), 100)
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    ORDER BY xact_start LIMIT 10
"""


async def account_of(product: Product, ward: Ward) -> list[str]:
    """Return the lines that say it all; what cannot be asked is said as well, and nothing here waits for long."""
    now = time.monotonic()
    lines = ["what was waited for:", *(f"  {life}: {doing.told(now)}" for life, doing in ward.doing.items())]
    for name in NAMES:
        family = product.processes(name)
        lines.append(f"{name}: {len(family)} processes" if family else f"✗ {name}: no process")
        lines += [f"  {line}" for line in map(state_of, family)]
    lines += [f"GET /readyz: {await _ready(product.url)}", "in the database:"]
    lines += [f"  {line}" for line in await _database(product.environment["DATABASE_URL"])]
    for log in (product.log, *sorted(product.files.logs.glob("*.log")), *product.files.var.glob("pg/*.log")):
        lines += [f"the last of {log.name}:", *(f"  {line}" for line in last_lines(log))]
    return lines


def state_of(pid: int) -> str:
    """Return a process's words, what it does at this moment, its age and the processor time it used, in seconds."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        up_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return f"{pid}: gone"
    ticks = os.sysconf("SC_CLK_TCK")
    used_s, age_s = (int(fields[11]) + int(fields[12])) / ticks, up_s - int(fields[19]) / ticks
    return f"{pid} {_STATES.get(fields[0], fields[0])}, {age_s:.0f} s old, {used_s:.1f} s of processor: {words[-90:]}"


def last_lines(log: Path, count: int = LAST_LINES) -> Sequence[str]:
    """Return the end of a log, each line at most 300 characters."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 65536))
        return [line[:300] for line in file.read().decode(errors="replace").splitlines()[-count:]]
    return ["(none)"]


async def _ready(url: str) -> str:
    try:
        async with asyncio.timeout(5), aiohttp.ClientSession(url) as web, web.get("/readyz") as told:
            return f"{told.status} {(await told.text())[:300]}"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"✗ {type(error).__name__}: {error}"


async def _database(dsn: str) -> list[str]:
    try:
        async with asyncio.timeout(10):
            owner = await asyncpg.connect(dsn)
            try:
                found = {name: [row[0] for row in await owner.fetch(query)] for name, query in AT_REST.items()}
                return [*_under_way(found), *(row[0] for row in await owner.fetch(_WAITING))]
            finally:
                owner.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [f"✗ {type(error).__name__}: {error}"]


def _under_way(found: dict[str, list[str]]) -> Iterator[str]:
    for name, rows in found.items():
        if rows:
            yield f"{name} under way: {len(rows)}, such as {rows[0]}"
