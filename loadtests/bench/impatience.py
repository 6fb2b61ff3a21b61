"""People who press F5: what their intents cost API and PostgreSQL, against the same intents of people who wait.

Somebody presses F5 where an answer does not come. So the database is made to stand still for a while, by a lock as a
migration takes it; those who wait ask once, the others five times more, each time dropping the connection before.
Waiting, pressing and nothing at all follow each other in turns; what the two processes use by themselves is taken off.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import asyncpg

from loadtests.bench.admission_report import Impatience
from loadtests.bench.contenders import Contender
from loadtests.bench.drive import fetch, request
from loadtests.bench.ground import Ground
from loadtests.processes import descendants, parents

HEAD: Final = "giamdoc.kinhbac"
F5: Final = 5
EVERY_S: Final = 0.3
HELD_S: Final = EVERY_S * F5 + 0.2
"""For so long the database stands still; longer than all F5, and shorter than anybody waits for a connection."""
AT_ONCE: Final = 10
"""Citizens who look something up in one turn."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ROUND_S: Final = HELD_S + 0.5


async def impatience(
    api: Contender, earth: Ground, turns: int, say: Callable[[str, str], None]
) -> tuple[Impatience, ...]:
    """Measure a head's counts, which are long in coming, and a citizen's look-up, which is not.

    Raises:
        RuntimeError: somebody who waited to the end got no answer.
    """
    head = request("GET", "/desk/head", token=await earth.log_in(HEAD))
    tracks = [request("GET", f"/track/{code}") for code in await earth.received(AT_ONCE)]
    found = [
        await _measured(api, earth, turns, "a head's counts", [head], judged=True),
        await _measured(api, earth, turns, "a citizen's look-up", tracks, judged=False),
    ]
    say("Đã đo người bấm F5", "Measured those who press F5")
    return tuple(found)


async def _measured(
    api: Contender, earth: Ground, turns: int, what: str, asks: Sequence[bytes], *, judged: bool
) -> Impatience:
    async def waits(ask: bytes) -> bytes:
        return await fetch(api.port, ask)

    async def presses(ask: bytes) -> bytes:
        for _ in range(F5):
            _, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(ask)
            await asyncio.sleep(EVERY_S)
            writer.transport.abort()
        return await fetch(api.port, ask)

    used = {"nothing": 0.0, "waits": 0.0, "presses": 0.0}
    keeper = await asyncpg.connect(earth.dsn("admin"))
    try:
        for turn in range(-1, turns):  # the first is to warm up
            for name, act in (("nothing", None), ("waits", waits), ("presses", presses)):
                spent = await _round(api, earth, keeper, act, asks)
                used[name] += spent if turn >= 0 else 0.0
    finally:
        await keeper.close()
    intents = turns * len(asks)
    return Impatience(
        what=what, intents=intents, judged=judged,
        waiting_ms=(used["waits"] - used["nothing"]) * 1000 / intents,
        pressing_ms=(used["presses"] - used["nothing"]) * 1000 / intents,
    )  # fmt: skip


async def _round(
    api: Contender,
    earth: Ground,
    keeper: asyncpg.Connection,
    act: Callable[[bytes], Awaitable[bytes]] | None,
    asks: Sequence[bytes],
) -> float:
    """Let the database stand still while these people act; return the processor time of API and PostgreSQL."""
    before, loop = _spent_s(api, earth), asyncio.get_running_loop()
    ends = loop.time() + _ROUND_S
    async with keeper.transaction():
        await keeper.execute("LOCK TABLE dossier IN ACCESS EXCLUSIVE MODE")
        acting = [asyncio.ensure_future(act(ask)) for ask in asks] if act is not None else []
        await asyncio.sleep(HELD_S)
    for answer in await asyncio.gather(*acting):
        if answer[9:12] != b"200":
            raise RuntimeError(f"who waited to the end got no answer: {answer[:600].decode(errors='replace')}")
    await asyncio.sleep(max(0.0, ends - loop.time()))
    return _spent_s(api, earth) - before


def _spent_s(api: Contender, earth: Ground) -> float:
    """Return the processor time of both so far: of threads that live to the nanosecond, of what has ended in ticks."""
    found = 0.0
    above = parents()
    for root in (api.process.pid, earth.cluster.pid or 0):
        for pid in (root, *descendants(root, above)):
            with contextlib.suppress(OSError):
                ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
                found += sum(map(int, ended)) / _TICKS
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += int((task / "schedstat").read_text().split()[0]) / 1e9
    return found
