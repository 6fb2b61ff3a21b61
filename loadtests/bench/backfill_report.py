"""What `motcua bench backfill` found: p95 with and without the rewrite, and whether it counts."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Final

import msgspec

MOST: Final = 1.10
"""p95 beside the rewrite, as times of p95 while it is held."""
LATE_S: Final = 0.005
"""More than this behind its own schedule, in 95 of 100 requests, and the generator itself is what was measured."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """What a rewrite did since it was told to go on: rows in all runs, and of this stretch the rest; seconds."""

    rows: int
    batches: int
    seconds: float
    longest_s: float
    ended: bool


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole server did meanwhile: bytes of WAL and full pages in it, checkpoints; of the rewritten table
    autovacuums, updates, and how many of those stayed within their page and touched no index."""

    wal_bytes: int
    full_pages: int
    checkpoints: int
    vacuums: int
    updates: int
    hot: int


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request: milliseconds of each answer, by round, with the rewrite held and at work."""

    name: str
    vi: str
    en: str
    per_s: float
    most_per_s: float
    alone: Sequence[float]
    """Before the first row was rewritten."""
    held: list[list[float]] = []
    at_work: list[list[float]] = []


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request, as it is told."""

    name: str
    vi: str
    en: str
    per_s: float
    most_per_s: float
    requests: int
    alone_p95_ms: float
    held_p50_ms: float
    with_p50_ms: float
    held_p95_ms: float
    with_p95_ms: float
    ratio: float
    """Of the two p95 of all rounds together."""
    rounds: tuple[float, float, float]
    """Lower quartile, median and upper quartile of the ratios within the rounds."""

    @property
    def reached(self) -> bool:
        return self.ratio <= MOST


def found(kind: Kind) -> Found:
    """Return what a kind's times say."""
    held, at_work = _all(kind.held), _all(kind.at_work)
    ratios = [part(one, 0.95) / part(other, 0.95) for one, other in zip(kind.at_work, kind.held, strict=True) if other]
    spread = quantiles(ratios, n=4) if len(ratios) > 1 else [*ratios, *ratios, *ratios]
    return Found(
        name=kind.name, vi=kind.vi, en=kind.en, per_s=kind.per_s, most_per_s=kind.most_per_s,
        requests=len(kind.alone) + len(held) + len(at_work),
        alone_p95_ms=part(kind.alone, 0.95),
        held_p50_ms=part(held, 0.5), with_p50_ms=part(at_work, 0.5),
        held_p95_ms=part(held, 0.95), with_p95_ms=part(at_work, 0.95),
        ratio=part(at_work, 0.95) / part(held, 0.95) if held else float("inf"),
        rounds=(spread[0], median(ratios), spread[-1]) if ratios else (float("inf"),) * 3,
    )  # fmt: skip


def _all(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [one for times in rounds for one in times]


def part(times: Sequence[float], share: float) -> float:
    """Return the time that this share of them does not exceed; 0 of none."""
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of one run."""

    dossiers: int
    share: float
    held_s: float
    at_work_s: float
    rounds: int
    load: float
    durability: Mapping[str, str]
    kinds: Sequence[Found]
    rows: int
    left: int
    """Rows that should have been rewritten and are not."""
    batches: int
    work_s: float
    """How long the rewrite was at work, all stretches together."""
    whole_s: float
    longest_s: float
    late_s: float
    server_busy: float
    generator_busy: float
    pressure: Pressure

    @property
    def valid(self) -> bool:
        return self.rounds > 0 and not self.left and self.late_s <= LATE_S

    @property
    def reached(self) -> bool:
        return all(one.reached for one in self.kinds)


def text(report: Report) -> str:
    """Return the report as a person reads it."""
    kept = ", ".join(f"{name}={value}" for name, value in report.durability.items())
    pressure = report.pressure
    lines = [
        f"{report.dossiers:,} dossiers; {report.rounds} rounds of {report.held_s:g} s held and "
        f"{report.at_work_s:g} s at work, in changing order; load of the machine {report.load:.1f}",
        f"PostgreSQL: {kept}",
        f"steady load: {100 * report.share:.0f} % of what the worker does flat out in this mix; its core "
        f"{100 * report.server_busy:.0f} % busy, the generator's {100 * report.generator_busy:.0f} % by itself, late "
        f"by at most {1000 * report.late_s:.1f} ms in 95 of 100",
        "",
        f"{'':30}{'/s':>6}{'p50 held':>10}{'at work':>9}{'p95 alone':>11}{'held':>7}{'at work':>9}{'ratio':>7}"
        "  of the rounds",
        *(_line(one) for one in report.kinds),
        "",
        f"{report.rows:,} rows in {report.work_s:.0f} s of work: {report.rows / max(report.work_s, 1e-9):,.0f} rows/s, "
        f"{report.batches:,} batches, the longest {1000 * report.longest_s:.0f} ms; with the rounds held "
        f"{report.whole_s:.0f} s; rows left out: {report.left}",
        f"meanwhile {pressure.wal_bytes / 1e6:,.0f} MB of WAL with {pressure.full_pages:,} full pages, "
        f"{pressure.checkpoints} checkpoints, {pressure.vacuums} autovacuums of the table, "
        f"{100 * pressure.hot / max(pressure.updates, 1):.0f} % of its updates within their page",
        "" if report.valid else "VOID: rows were left out, nothing was compared, or the generator was late",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _line(one: Found) -> str:
    low, middle, high = one.rounds
    return (
        f"{one.en:<30}{one.per_s:>6.0f}{one.held_p50_ms:>10.2f}{one.with_p50_ms:>9.2f}{one.alone_p95_ms:>11.2f}"
        f"{one.held_p95_ms:>7.2f}{one.with_p95_ms:>9.2f}{one.ratio:>7.2f}  {middle:.2f} [{low:.2f}-{high:.2f}]"
        f"  at most {MOST:.2f}: {'reached' if one.reached else 'MISSED'}"
    )
