"""`motcua bench admission`: what signatories feel, and what others are told, when twice as much comes as can be done.

The API and PostgreSQL are held to one processor, the generator to another. What citizens' requests the two can answer
a second is found first; calm is two fifths of that, the spike five times the calm. Three pairs of calm and spike
follow each other, while signatories, officers and heads ask as often as ever. Everybody asks in an open model: nobody
waits for an earlier answer before asking. Then people press F5, and the processor time of their intents is held
against that of people who wait.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from api.embedded.province import data
from loadtests.bench.admission_report import Pair, Report, part, recovery_s, stretch_of, text
from loadtests.bench.arrivals import Answer, Crowd, crowd
from loadtests.bench.contenders import OTHER_CORE, OURS, ROOT, SERVER_CORE, Contender, contenders, pin, pin_database
from loadtests.bench.drive import drive, fetch, request
from loadtests.bench.ground import FILING, Ground, ground
from loadtests.bench.impatience import HEAD, impatience
from loadtests.bench.scenarios import COUNTER, SIGNATORIES, new_key, signings

CALM: Final = 0.4
"""Of what citizens' requests can be answered: five times as many are twice that."""
SPIKE: Final = 5.0
SUBMITS: Final = 0.1
"""The part of citizens' requests that hand a dossier in; the others look one up."""
STEADY: Final[Mapping[str, float]] = {"to-sign": 20.0, "sign": 3.0, "work list": 20.0, "report": 1.0}
"""Requests a second of those who are not citizens, in calm and spike alike."""
IN_FLIGHT: Final = 32
GUARD_S: Final = 1.0
"""After each change, not judged: what was begun before is answered."""
SEED: Final = 20250701
_CUT: Final = re.compile(rb"^motcua_pool_cut_total\{[^}]*\} ([0-9.e+]+)$", re.MULTILINE)
_KEYS: Final = "SELECT key FROM idempotency WHERE key = ANY ($1::text[])"


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured; `window_s` is by what windows recovery is looked for."""

    dossiers: int
    pairs: int
    calm_s: float
    spike_s: float
    recovery_s: float
    probe_s: float
    window_s: float
    intents: int


WHOLE: Final = Size(
    dossiers=1_000_000, pairs=3, calm_s=20, spike_s=20, recovery_s=60, probe_s=5, window_s=5, intents=30
)  # fmt: skip
QUICK: Final = Size(dossiers=5_000, pairs=1, calm_s=8, spike_s=8, recovery_s=10, probe_s=1, window_s=1, intents=4)


async def measure(size: Size, root: Path, say: Callable[[str, str], None]) -> Report:
    """Seed, start, find what can be done, then let twice that come.

    Raises:
        RuntimeError: the API does not answer, or refuses in calm what it should answer.
    """
    async with contextlib.AsyncExitStack() as stack:
        earth = await stack.enter_async_context(ground(root, size.dossiers, say))
        pin_database(earth, SERVER_CORE)
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motcua-bench-")))
        api = (await stack.enter_async_context(contenders(earth, room, OURS)))["motcua"]
        pin(OTHER_CORE)
        sources = await _sources(earth)
        most = await _capacity(api, sources, size)
        say(f"Sức chứa {most:.0f} yêu cầu/giây của công dân", f"Capacity: {most:.0f} citizens' requests/s")
        began, busy = time.perf_counter(), time.process_time()
        async with crowd(api.port, sources, SEED) as people:
            pairs = [await _pair(people, most, size, number, say) for number in range(1, size.pairs + 1)]
        busy = (time.process_time() - busy) / (time.perf_counter() - began)
        written, lost, ghosts = await _held(earth, people.answers)
        return Report(
            dossiers=size.dossiers,
            capacity_per_s=most,
            pairs=pairs,
            cut=sum(map(float, _CUT.findall(await fetch(api.port, request("GET", "/metrics"))))),
            written=written,
            lost=lost,
            ghosts=ghosts,
            impatience=await impatience(api, earth, size.intents, say),
            late_p95_ms=part(sorted(people.late), 0.95) * 1000,
            generator_busy=busy,
            unsent=people.unsent,
            load=os.getloadavg()[0],
            held=f"API and PostgreSQL held to processor {SERVER_CORE}, the generator to {OTHER_CORE}",
            durability=await earth.durability(),
        )


async def _sources(earth: Ground) -> dict[str, Iterator[bytes]]:
    """Log people in and prepare what each kind of them asks."""
    counter, head = await earth.log_in(COUNTER), await earth.log_in(HEAD)
    lists = [request("GET", "/signature-requests?limit=50", token=await earth.log_in(who)) for who in SIGNATORIES]
    tracks = [request("GET", f"/track/{code}") for code in await earth.received(5000)]
    order: Any = msgspec.to_builtins(FILING)
    filing = {
        "procedure_code": FILING.procedure_code,
        "territory_code": FILING.territory_code,
        "receipt_agency_code": next(one.agency for one in data.people() if one.slug == COUNTER),
        "filer": {name: order["filer"][name] for name in ("name", "id_number", "phone")},
        "parts": [{name: order["parts"][0][name] for name in ("part_code", "name", "originals")}],
    }
    return {
        "track": itertools.cycle(tracks),
        "submit": (request("POST", "/online", body=filing, key=new_key()) for _ in itertools.count()),
        "to-sign": itertools.cycle(lists),
        "sign": iter(await signings(earth, 2000, each=1)),
        "work list": itertools.cycle([request("GET", "/desk/officer?limit=50", token=counter)]),
        "report": itertools.cycle([request("GET", "/desk/head", token=head)]),
    }


def _citizens(per_s: float) -> dict[str, float]:
    return {"track": per_s * (1 - SUBMITS), "submit": per_s * SUBMITS}


async def _capacity(api: Contender, sources: Mapping[str, Iterator[bytes]], size: Size) -> float:
    """Return how many of citizens' requests are answered a second where a few always wait; warmed up before."""
    one_in = round(1 / SUBMITS)
    mix = (next(sources["track" if n % one_in else "submit"]) for n in itertools.count())
    await drive(api.port, mix, in_flight=IN_FLIGHT, seconds=size.probe_s / 2)
    return (await drive(api.port, mix, in_flight=IN_FLIGHT, seconds=size.probe_s)).rate


async def _pair(people: Crowd, most: float, size: Size, number: int, say: Callable[[str, str], None]) -> Pair:
    """Let the calm come, then the spike, then the calm again until nobody feels the spike any more."""
    calm = {**STEADY, **_citizens(most * CALM)}
    people.at(calm)
    before = await _stretch(size.calm_s)
    people.at({**STEADY, **_citizens(most * CALM * SPIKE)})
    during = await _stretch(size.spike_s)
    people.at(calm)
    quiet = [one for one in people.answers if before[0] <= one.due < before[1] and one.good]
    p95_ms = part(sorted(one.took * 1000 for one in quiet), 0.95)
    deadline, recovered = time.perf_counter() + size.recovery_s, None
    while recovered is None and time.perf_counter() < deadline:
        await asyncio.sleep(size.window_s / 2)
        recovered = recovery_s(people.answers, p95_ms, during[1], size.window_s)
    await asyncio.sleep(GUARD_S)
    pair = Pair(calm=_kinds(people.answers, before), spike=_kinds(people.answers, during), recovered_s=recovered)
    say(f"Cặp {number}/{size.pairs}", f"Pair {number} of {size.pairs}")
    return pair


async def _stretch(seconds: float) -> tuple[float, float]:
    """Wait, and return the part that is judged."""
    begin = time.perf_counter() + GUARD_S
    await asyncio.sleep(GUARD_S + seconds)
    return begin, begin + seconds


def _kinds(answers: Sequence[Answer], within: tuple[float, float]) -> dict[str, Any]:
    inside = [one for one in answers if within[0] <= one.due < within[1]]
    seconds = within[1] - within[0]
    return {
        kind: stretch_of([one for one in inside if one.kind == kind], seconds)
        for kind in ("track", "submit", *STEADY)
    }  # fmt: skip


async def _held(earth: Ground, answers: Sequence[Answer]) -> tuple[int, int, int]:
    """Hold the answers to writes against the rows: acknowledged; of these not there; refused and yet done."""
    good = {one.key for one in answers if one.key and one.good}
    refused = {one.key for one in answers if one.key and one.refused}
    there = {row["key"] for row in await earth.owner.fetch(_KEYS, [*good, *refused])}
    return len(good), len(good - there), len(refused & there)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 0 for PASS, 1 for FAIL, 3 where the run does not count."""
    parser = argparse.ArgumentParser(prog="motcua bench admission")
    parser.add_argument("--json", action="store_true", help="in JSON / print JSON")
    parser.add_argument("--quick", action="store_true", help="chỉ thử / a trial, too short to measure anything")
    parser.add_argument("--root", type=Path, default=ROOT / "var" / "bench", help="thư mục / where the rows are kept")
    told = parser.parse_args(arguments)
    report = uvloop.run(measure(QUICK if told.quick else WHOLE, told.root, _say))
    if told.json:
        whole = {**msgspec.to_builtins(report), "findings": report.findings, "verdict": report.word}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(whole)).decode() + "\n")
    else:
        sys.stdout.write(text(report))
    return {"PASS": 0, "VOID": 3}.get(report.word, 1)


def _say(vi: str, en: str) -> None:
    sys.stderr.write(f"» {vi}  /  {en}\n")


if __name__ == "__main__":
    raise SystemExit(main())
