"""Interleaved rounds and their medians: ours, the floor and plain pyHanko meet the machine's other work alike.

Told are milliseconds of this process's processor time, because a clock on a shared machine measures the neighbours;
where a case waits for the disk the clock counts. Ratios are of medians of one run.
"""

import os
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from signing.bench import peers, token
from signing.bench.cases import Case, Unit, cases, own_signature, token_case
from signing.bench.ground import Ground, Paper, make
from signing.bench.peers import PeerRow

_QUIET_RSA_FLOOR_MS: Final = 0.26
"""SHA-256 of 61 kB and an RSA-2048 signature on a quiet machine of the kind on which the limits were set."""
_TURN_S: Final = 0.02
"""A turn repeats what is quick, so that the clock's own grain does not count."""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int
    scan: bool


WHOLE: Final = Size(rounds=7, scan=True)
QUICK: Final = Size(rounds=1, scan=False)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one case came to; times in milliseconds, `value` in `unit`, `reached` for least and aim."""

    name: str
    vi: str
    en: str
    ours_ms: float
    ours_clock_ms: float
    floor_ms: float | None
    plain_ms: float | None
    value: float | None
    unit: Unit | None
    least: float | None
    aim: float | None
    reached: tuple[bool, bool] | None
    parts_ms: dict[str, float] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run; `machine` is how much slower this one is than a quiet one of the kind named in the source."""

    rounds: int
    load: float
    machine: float
    fsync_ms: float
    rows: tuple[Row, ...]
    peers: tuple[PeerRow, ...]
    left_out: str


def measure(size: Size, at: datetime, say: Callable[[str], None], place: Path) -> Report:
    """Make keys and files, pin to one core, and measure every case, and the other makers' signers at `place`.

    Raises:
        RuntimeError: something that was signed is not valid.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        with tempfile.TemporaryDirectory(prefix="signing-bench-") as room:
            ground = make(Path(room), at=at, scan=size.scan)
            rows: list[Row] = []
            for case in cases(ground):
                say(f"{case.vi} / {case.en}")
                rows.append(_row(case, size.rounds))
            rows += _token_rows(ground, size.rounds, say)
            others = peers.measure(ground, place, size.rounds, lambda paper, key: _own_turn(ground, paper, key), say)
            floor = next(row.floor_ms for row in rows if row.floor_ms is not None)
            return Report(
                rounds=size.rounds,
                load=os.getloadavg()[0],
                machine=floor / _QUIET_RSA_FLOOR_MS,
                fsync_ms=_fsync_ms(Path(room)),
                rows=tuple(rows),
                peers=tuple(others),
                left_out=", ".join(_left_out(others)),
            )
    finally:
        os.sched_setaffinity(0, allowed)


def _left_out(others: list[PeerRow]) -> list[str]:
    """Return what was not measured for want of a program."""
    left = [] if token.module() else ["PKCS#11 (softhsm2)"]
    return left if others else [*left, "peers (make peers)"]


def _own_turn(ground: Ground, paper: Paper, key: str) -> Callable[[], float]:
    """Return a turn of our own invisible signature: milliseconds of the processor for one."""
    way = own_signature(ground, paper, ground.people[key])
    often = _often(way)
    return lambda: _turn(way, often)[0] * 1000


def _token_rows(ground: Ground, rounds: int, say: Callable[[str], None]) -> list[Row]:
    library = token.module()
    if library is None:
        return []
    held = token.Token(ground.room, library, ground.people["rsa"], ground.chain)
    try:
        rows: list[Row] = []
        for paper in ground.papers:
            case = token_case(ground, paper, held)
            say(f"{case.vi} / {case.en}")
            rows.append(_row(case, rounds))
        return rows
    finally:
        held.close()


def _row(case: Case, rounds: int) -> Row:
    ways = {"ours": case.ours, "floor": case.floor, "plain": case.plain}
    present = {name: way for name, way in (*ways.items(), *case.parts.items()) if way is not None}
    often = {name: _often(way) for name, way in present.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in present}
    for _ in range(rounds):
        for name, way in present.items():
            times[name].append(_turn(way, often[name]))
            if case.tidy is not None:
                case.tidy()
    worked = {name: median(turn[0] for turn in turns) * 1000 for name, turns in times.items()}
    clock = median(turn[1] for turn in times["ours"]) * 1000
    value = _value(case, worked, clock)
    reached = None
    if value is not None and case.least is not None and case.aim is not None:
        smaller = case.unit == "x floor"
        reached = (
            value <= case.least if smaller else value >= case.least,
            value <= case.aim if smaller else value >= case.aim,
        )
    return Row(
        name=case.name,
        vi=case.vi,
        en=case.en,
        ours_ms=worked["ours"],
        ours_clock_ms=clock,
        floor_ms=worked.get("floor"),
        plain_ms=worked.get("plain"),
        value=value,
        unit=case.unit,
        least=case.least,
        aim=case.aim,
        reached=reached,
        parts_ms={name: worked[name] for name in case.parts},
    )


def _value(case: Case, worked: dict[str, float], clock: float) -> float | None:
    if case.unit == "x floor":
        return worked["ours"] / worked["floor"]
    if case.unit == "times plain":
        return worked["plain"] / worked["ours"]
    return 1000 / clock if case.unit == "per second" else None


def _often(way: Callable[[], object]) -> int:
    way()
    quickest = min(_turn(way, 1)[0] for _ in range(3))
    return max(1, min(200, int(_TURN_S / max(quickest, 1e-6))))


def _turn(way: Callable[[], object], often: int) -> tuple[float, float]:
    """Return seconds of the processor and of the clock for one call."""
    worked, clock = time.process_time(), time.perf_counter()
    for _ in range(often):
        way()
    return (time.process_time() - worked) / often, (time.perf_counter() - clock) / often


def _fsync_ms(room: Path) -> float:
    taken: list[float] = []
    for _ in range(9):
        with (room / "probe").open("wb") as probe:
            probe.write(bytes(61_000))
            probe.flush()
            before = time.perf_counter()
            os.fsync(probe.fileno())
            taken.append((time.perf_counter() - before) * 1000)
    return median(taken)


def text(report: Report) -> list[str]:
    """Return the table as lines for a terminal."""
    lines = [
        f"{report.rounds} vòng / rounds, tải / load {report.load:.1f}, máy / machine x{report.machine:.2f},"
        f" fsync {report.fsync_ms:.1f} ms, không đo / left out: {report.left_out or '-'}",
        f"{'ms CPU: ours':>12} {'floor':>9} {'plain':>9}   x floor  x plain  wanted (least, aim)",
    ]
    for row in report.rows:
        over = f"{row.ours_ms / row.floor_ms:8.2f}" if row.floor_ms else " " * 8
        under = f"{row.plain_ms / row.ours_ms:8.1f}" if row.plain_ms else " " * 8
        wanted = ""
        if row.unit and row.least is not None and row.aim is not None and row.reached is not None and row.value:
            marks = ["✓" if good else "✗" for good in row.reached]
            wanted = f"{row.value:.2f} {row.unit}: {row.least:g} {marks[0]}, {row.aim:g} {marks[1]}"
        parts = "".join(f"; {name} {spent:.3f} ms" for name, spent in row.parts_ms.items())
        lines.append(
            f"{row.ours_ms:12.3f} {_blank(row.floor_ms)} {_blank(row.plain_ms)}  {over} {under}  {wanted}\n"
            f"      {row.vi} / {row.en}{parts}"
        )
    return lines + peers.text(report.peers)


def _blank(number: float | None) -> str:
    return f"{number:9.3f}" if number is not None else " " * 9
