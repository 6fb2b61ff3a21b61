"""`motcua bench api`: one API worker on one core beside its peer and the plain floor, on the same rows, in one run.

Rounds are interleaved (ours, peer, floor, ours, …) and medians compared, so that other work on the machine meets all
three alike. Two figures are told of each: requests answered per second of the clock, and per second of processor time
that the server itself used. The second is what one whole core of its own would do; where cores are shared, it is the
one to compare by. A run counts only if nothing failed, all three gave equal answers, and the load generator had time.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from loadtests.bench.contenders import COMMANDS, OTHER_CORE, ROOT, Contender, contenders, pin, pin_database
from loadtests.bench.drive import Run, drive
from loadtests.bench.ground import Ground, ground
from loadtests.bench.report import Measured, PoolUse, Report, Sessions, Signing, text
from loadtests.bench.scenarios import Scenario, scenarios, signings, unequal
from loadtests.bench.watch import authorisation_ms, loop_lag_ms, watching

IN_FLIGHT: Final = 16
POOL: Final = 8
"""Connections of each pool of each contender, as the product has by default: on one core more only wait in line."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    dossiers: int
    rounds: int
    seconds: float
    signings: int


WHOLE: Final = Size(dossiers=1_000_000, rounds=5, seconds=3.0, signings=60)
QUICK: Final = Size(dossiers=20_000, rounds=1, seconds=0.2, signings=1)
"""Few requests, and yet no faster than there are dossiers to step."""


async def measure(size: Size, root: Path, say: Callable[[str, str], None]) -> Report:
    """Seed, start the three, compare their answers, and measure.

    Raises:
        RuntimeError: a contender does not answer, or answers something else than the others.
    """
    async with contextlib.AsyncExitStack() as stack:
        earth = await stack.enter_async_context(ground(root, size.dossiers, say))
        pin_database(earth)
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motcua-bench-")))
        rivals = await stack.enter_async_context(contenders(earth, room, COMMANDS))
        pin(OTHER_CORE)
        kinds = await scenarios(earth, per_kind=_writes(size))
        for kind in kinds:
            faults = await unequal(kind, rivals, earth)
            if faults:
                raise RuntimeError(f"{kind.name}: the answers differ: {faults[:2000]}")
            say(f"{kind.vi}: ba bên trả lời như nhau", f"{kind.en}: all three answer the same")
        measured = [await _rounds(kind, rivals, earth, size, say) for kind in kinds]
        signing = await _sign(earth, rivals["motcua"], size)
        return Report(
            dossiers=size.dossiers,
            rounds=size.rounds,
            seconds=size.seconds,
            pool=POOL,
            load=os.getloadavg()[0],
            durability=await earth.durability(),
            measured=measured,
            signing=signing,
            loop_lag_ms=max(one.loop_lag_ms for one in measured),
            authorisation_ms=await authorisation_ms(rivals["motcua"], earth),
        )


def _writes(size: Size) -> int:
    """Return how many dossiers each contender may step: once each, so as many as a fast one could use, if there are.

    One in ten of the ground's waits for that step, and three share them.
    """
    return min(size.dossiers // 31, int((size.rounds + 2) * size.seconds * 3000))


async def _rounds(
    kind: Scenario, rivals: Mapping[str, Contender], earth: Ground, size: Size, say: Callable[[str, str], None]
) -> Measured:
    runs: dict[str, list[Run]] = {name: [] for name in rivals}
    costs: dict[str, list[float]] = {name: [] for name in rivals}
    lag = 0.0
    sources: dict[str, Iterator[bytes]] = {name: kind.requests(name) for name in rivals}
    for name, rival in rivals.items():  # what is prepared and cached on first use is not measured
        await drive(rival.port, sources[name], in_flight=IN_FLIGHT, seconds=size.seconds / 4)
    for turn in range(size.rounds):
        for name, rival in rivals.items():
            before = rival.cpu_s()
            run = await drive(rival.port, sources[name], in_flight=IN_FLIGHT, seconds=size.seconds)
            runs[name].append(run)
            costs[name].append((rival.cpu_s() - before) / max(run.requests, 1) * 1e6)
        lag = max(lag, await loop_lag_ms(rivals["motcua"]))
        say(f"{kind.vi}, vòng {turn + 1}/{size.rounds}", f"{kind.en}, round {turn + 1} of {size.rounds}")
    pools, sessions = await _connections(rivals["motcua"], earth, sources["motcua"], size)
    return Measured(
        name=kind.name,
        vi=kind.vi,
        en=kind.en,
        writes=kind.writes,
        runs=runs,
        cost_us=costs,
        loop_lag_ms=lag,
        pools=pools,
        sessions=sessions,
    )


async def _connections(
    rival: Contender, earth: Ground, source: Iterator[bytes], size: Size
) -> tuple[tuple[PoolUse, ...], Sessions]:
    """Put the same load on once more, unmeasured, and watch the connections: looking costs PostgreSQL a little."""
    async with watching(rival, earth) as seen:
        await drive(rival.port, source, in_flight=IN_FLIGHT, seconds=size.seconds)
    return seen.pools, seen.sessions


async def _sign(earth: Ground, rival: Contender, size: Size) -> Signing:
    """Ask for a hundred signatures at a time, one ask after the other; neither signer nor key holder runs."""
    asks = await signings(earth, size.signings + 1)
    await drive(rival.port, iter(asks[:1]), in_flight=1, seconds=60)
    run = await drive(rival.port, iter(asks[1:]), in_flight=1, seconds=120)
    return Signing(asks=run.requests, errors=run.errors, p50_ms=run.p50_ms, p95_ms=run.p95_ms)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 where a run is void or a target is missed."""
    parser = argparse.ArgumentParser(prog="motcua bench api")
    parser.add_argument("--json", action="store_true", help="in JSON / print JSON")
    parser.add_argument("--quick", action="store_true", help="chỉ thử / a trial, too short to measure anything")
    parser.add_argument("--root", type=Path, default=ROOT / "var" / "bench", help="thư mục / where the rows are kept")
    told = parser.parse_args(arguments)
    report = uvloop.run(measure(QUICK if told.quick else WHOLE, told.root, _say))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n" if told.json else text(report))
    return 0 if report.valid and (told.quick or report.reached) else 1


def _say(vi: str, en: str) -> None:
    sys.stderr.write(f"» {vi}  /  {en}\n")


if __name__ == "__main__":
    raise SystemExit(main())
