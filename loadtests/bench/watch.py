"""What is looked up beside the load: how late the event loop was, and what authorisation costs by itself."""

import re
from statistics import median
from typing import Final

import msgspec

from loadtests.bench.contenders import Contender
from loadtests.bench.drive import drive, fetch, request
from loadtests.bench.ground import Ground
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
    """Compare a refusal before the guard with one after it: an unknown path of a guarded route, without and with session.

    Both are answered by the same machinery and read nothing else, so the difference is the guard's.
    """
    token = f"bench-{earth.database}-{SIGNATORY}"
    without = request("GET", "/signature-requests?after=x")
    guarded = request("GET", "/signature-requests?after=x", token=token)
    took: dict[bytes, float] = {}
    for message in (without, guarded):
        runs = [
            await drive(rival.port, iter([message] * times), in_flight=1, seconds=30, expect=b"4") for _ in range(3)
        ]
        took[message] = median(run.p50_ms for run in runs)
    before = await _calls(earth)
    await drive(rival.port, iter([guarded] * times), in_flight=1, seconds=30, expect=b"4")
    return Authorisation(queries=(await _calls(earth) - before) / times, added_ms=took[guarded] - took[without])


async def _calls(earth: Ground) -> int:
    """Return how many transactions have ended in this database: a read outside of one is one by itself."""
    await earth.owner.execute("SELECT pg_stat_force_next_flush()")
    return await earth.owner.fetchval(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
