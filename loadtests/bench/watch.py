"""What is looked up beside the load: how late the event loop was, and what authorisation costs by itself."""

import re
from typing import Final

from loadtests.bench.contenders import Contender
from loadtests.bench.drive import drive, fetch, request
from loadtests.bench.ground import Ground
from loadtests.bench.scenarios import SIGNATORY

_REFUSED: Final = "/signature-requests?after=x"
_LAG: Final = re.compile(rb'^motcua_event_loop_lag_seconds_bucket\{le="([0-9.]+)"\} ([0-9.e+]+)$', re.MULTILINE)
_ALL: Final = re.compile(rb"^motcua_event_loop_lag_seconds_count ([0-9.e+]+)$", re.MULTILINE)


async def loop_lag_ms(rival: Contender) -> float:
    """Return by how much the event loop was late at most in 99 of 100 ticks so far, as the process itself counts."""
    page = await fetch(rival.port, request("GET", "/metrics"))
    every = _ALL.search(page)
    wanted = 0.99 * float(every[1]) if every else 0.0
    return next((float(edge) * 1000 for edge, n in _LAG.findall(page) if float(n) >= wanted), float("inf"))


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
