"""`motcua bench levers`: what each change for speed gives: one API worker as it is, beside one without that change.

Both run at once and take turns on one core, on the same rows; what is compared is the processor time of an answer, the
worker's own and PostgreSQL's, and of the turns the median. Changes that were tried and not kept are measured likewise.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import uvloop

from loadtests.bench.contenders import OTHER_CORE, OURS, ROOT, Contender, contenders, family_cpu_s, pin, pin_database
from loadtests.bench.drive import drive
from loadtests.bench.ground import Ground, ground
from loadtests.bench.scenarios import Scenario, scenarios
from loadtests.bench.unlevered import LEVERS, Lever

KINDS: Final = ("look-up", "to-sign", "submit")
IN_FLIGHT: Final = 16


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    dossiers: int
    rounds: int
    seconds: float


WHOLE: Final = Size(dossiers=100_000, rounds=5, seconds=1.5)
QUICK: Final = Size(dossiers=2_000, rounds=1, seconds=0.2)


class Cost(msgspec.Struct, frozen=True):
    """Processor time of one answer, in microseconds."""

    worker: float
    database: float

    @property
    def whole(self) -> float:
        return self.worker + self.database


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One lever under one kind of request: ours, and without it (or with it, where it was tried)."""

    lever: str
    vi: str
    en: str
    tried: bool
    kind: str
    ours: Cost
    other: Cost

    @property
    def gives(self) -> float:
        """Return how many times as many answers the change gives for the same processor time."""
        before, after = (self.ours, self.other) if self.tried else (self.other, self.ours)
        return before.whole / after.whole if after.whole else 0.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    dossiers: int
    rounds: int
    seconds: float
    load: float
    measured: tuple[Measured, ...]


async def measure(size: Size, names: tuple[str, ...], root: Path, say: Callable[[str, str], None]) -> Report:
    """Seed, and try one lever after the other.

    Raises:
        RuntimeError: a worker does not start, or an answer is refused.
    """
    found: list[Measured] = []
    async with contextlib.AsyncExitStack() as stack:
        earth = await stack.enter_async_context(ground(root, size.dossiers, say))
        pin_database(earth)
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motcua-bench-")))
        pin(OTHER_CORE)
        kinds = [kind for kind in await scenarios(earth, per_kind=1) if kind.name in KINDS]
        for name in names:
            lever = LEVERS[name]
            commands = {**OURS, name: ("-m", "loadtests.bench.unlevered", name)}
            async with contenders(earth, room, commands) as rivals:
                for kind in kinds:
                    found.append(await _compare(lever, kind, rivals, earth, size))
                    say(
                        f"{lever.vi}: {kind.vi} ×{found[-1].gives:.2f}", f"{lever.en}: {kind.en} x{found[-1].gives:.2f}"
                    )
    return Report(
        dossiers=size.dossiers, rounds=size.rounds, seconds=size.seconds, load=os.getloadavg()[0], measured=tuple(found)
    )


async def _compare(
    lever: Lever, kind: Scenario, rivals: Mapping[str, Contender], earth: Ground, size: Size
) -> Measured:
    costs: dict[str, list[Cost]] = {name: [] for name in rivals}
    sources: dict[str, Iterator[bytes]] = {name: kind.requests(name) for name in rivals}
    for name, rival in rivals.items():  # what is prepared and cached on first use is not measured
        await drive(rival.port, sources[name], in_flight=IN_FLIGHT, seconds=size.seconds / 3)
    for _ in range(size.rounds):
        for name, rival in rivals.items():
            worker, database = rival.cpu_s(), family_cpu_s(earth.cluster.pid or 0)
            run = await drive(rival.port, sources[name], in_flight=IN_FLIGHT, seconds=size.seconds)
            each = 1e6 / max(run.requests, 1)
            costs[name].append(
                Cost((rival.cpu_s() - worker) * each, (family_cpu_s(earth.cluster.pid or 0) - database) * each)
            )
    ours, other = (
        Cost(median(one.worker for one in costs[name]), median(one.database for one in costs[name])) for name in rivals
    )
    return Measured(
        lever=lever.name, vi=lever.vi, en=lever.en, tried=lever.tried, kind=kind.name, ours=ours, other=other
    )  # fmt: skip


def text(report: Report) -> str:
    """Return the report for people: one line a change, its gain under each kind of request."""
    lines = [
        f"{report.dossiers:,} hồ sơ, {report.rounds} vòng {report.seconds} s, tải {report.load:.1f}  /  dossiers,"
        " rounds, load; µs CPU: worker + PostgreSQL, ours against without (tried: against with)",
        f"{'':34}" + "".join(f"{kind:>30}" for kind in KINDS),
    ]
    for name in dict.fromkeys(one.lever for one in report.measured):
        ones = [one for one in report.measured if one.lever == name]
        lines.append(
            f"{'(thử / tried) ' if ones[0].tried else ''}{name:<20}".ljust(34)
            + "".join(f"{f'{_cost(one.ours)} : {_cost(one.other)}  x{one.gives:.2f}':>30}" for one in ones)
        )
        lines.append(f"      {ones[0].vi} / {ones[0].en}")
    return "\n".join(lines) + "\n"


def _cost(cost: Cost) -> str:
    return f"{cost.worker:.0f}+{cost.database:.0f}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="motcua bench levers")
    parser.add_argument(
        "levers", nargs="*", metavar="LEVER", help=f"mặc định tất cả / all by default: {', '.join(LEVERS)}"
    )
    parser.add_argument("--json", action="store_true", help="in JSON / print JSON")
    parser.add_argument("--quick", action="store_true", help="chỉ thử / a trial, too short to measure anything")
    parser.add_argument("--root", type=Path, default=ROOT / "var" / "bench", help="thư mục / where the rows are kept")
    told = parser.parse_args(arguments)
    if unknown := set(told.levers) - LEVERS.keys():
        parser.error(f"không có / there is no {', '.join(sorted(unknown))}")
    size = QUICK if told.quick else WHOLE
    report = uvloop.run(measure(size, tuple(told.levers) or tuple(LEVERS), told.root, _say))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n" if told.json else text(report))
    return 0


def _say(vi: str, en: str) -> None:
    sys.stderr.write(f"» {vi}  /  {en}\n")


if __name__ == "__main__":
    raise SystemExit(main())
