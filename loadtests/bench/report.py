"""What was measured, as ratios, and whether it counts."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from loadtests.bench.drive import Run

READS_LEAST: Final = 6.0
WRITES_LEAST: Final = 3.0
OF_FLOOR: Final = 0.7
"""At least so many times the peer's throughput, or this part of the floor's where that is lower."""
SIGN_P95_MS: Final = 200.0
USED_MOST: Final = 0.8
"""The largest part of a pool, or of PostgreSQL's sessions, that may be in use under this load, over time."""


class PoolUse(msgspec.Struct, frozen=True, kw_only=True):
    """One pool of ours under a load: the part of it that was lent over time, and the most at once of late."""

    name: str
    size: int
    used: float
    peak: int


class Sessions(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL's sessions of the web processes as it tells itself: busy on average and at most, open, allowed."""

    busy: float
    most_busy: int
    open: int
    limit: int


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request: each contender's rounds, and what a request cost its server in each."""

    name: str
    vi: str
    en: str
    writes: bool
    runs: Mapping[str, Sequence[Run]]
    cost_us: Mapping[str, Sequence[float]]
    """Microseconds of the server's processor time for one request."""
    loop_lag_ms: float
    pools: Sequence[PoolUse] = ()
    sessions: Sessions | None = None

    @property
    def crowded(self) -> list[str]:
        """Return what was used beyond four fifths."""
        full = [f"pool {one.name}" for one in self.pools if one.used > USED_MOST]
        sessions = self.sessions
        return full + (["sessions"] if sessions is not None and sessions.open > USED_MOST * sessions.limit else [])

    def capacity(self, name: str) -> float:
        """Return requests per second of processor time: what one core of its own does."""
        cost = median(self.cost_us[name])
        return 1e6 / cost if cost else 0.0

    def rate(self, name: str) -> float:
        """Return requests per second of the clock."""
        return median(run.rate for run in self.runs[name])

    def times(self, name: str, measure: str = "capacity") -> float:
        """Return how many times that contender's throughput ours is."""
        of: float = getattr(self, measure)("motcua")
        other: float = getattr(self, measure)(name)
        return of / other if other else 0.0

    @property
    def least(self) -> float:
        """Return what must be reached, as times of the peer."""
        wanted = WRITES_LEAST if self.writes else READS_LEAST
        return min(wanted, OF_FLOOR * self.capacity("floor") / self.capacity("fastapi"))

    @property
    def reached(self) -> bool:
        return self.times("fastapi") >= self.least


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a hundred signatures, with neither signer nor key holder running."""

    asks: int
    errors: int
    p50_ms: float
    p95_ms: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of one run."""

    dossiers: int
    rounds: int
    seconds: float
    pool: int
    load: float
    durability: dict[str, str]
    measured: Sequence[Measured]
    signing: Signing
    loop_lag_ms: float
    authorisation_ms: float

    @property
    def valid(self) -> bool:
        every = [run for one in self.measured for runs in one.runs.values() for run in runs]
        return not any(run.void for run in every) and not self.signing.errors

    @property
    def reached(self) -> bool:
        roomy = not any(one.crowded for one in self.measured)
        return roomy and all(one.reached for one in self.measured) and self.signing.p95_ms < SIGN_P95_MS


def text(report: Report) -> str:
    """Return the report as a person reads it."""
    kept = ", ".join(f"{name}={value}" for name, value in report.durability.items())
    lines = [
        f"{report.dossiers:,} dossiers; {report.rounds} interleaved rounds of {report.seconds} s; medians, and in "
        "brackets the least and the most",
        f"PostgreSQL: {kept}",
        f"pools of {report.pool} connections; limits per person off; load of the machine {report.load:.1f}",
        "/s: requests per second of the clock; /core: per second of the server's own processor time",
    ]
    for one in report.measured:
        lines += ["", f"{one.en} / {one.vi}"]
        lines += [_line(one, name) for name in one.runs]
        lines += [_use(one)]
        verdict = "reached" if one.reached else "MISSED"
        lines.append(
            f"  = {one.times('fastapi'):.1f} x FastAPI ({one.times('fastapi', 'rate'):.1f} x by the clock), "
            f"{100 * one.times('floor'):.0f} % of the floor; wanted {one.least:.1f} x: {verdict}"
        )
    signing = report.signing
    lines += [
        "",
        f"Sign these 100, no key holder there: {signing.asks} asks, p50 {signing.p50_ms:.0f} ms, "
        f"p95 {signing.p95_ms:.0f} ms (at most {SIGN_P95_MS:.0f}), errors {signing.errors}",
        f"Authorisation, one statement, adds {report.authorisation_ms:.2f} ms to a request that is alone",
        f"Event loop under this load late by at most {report.loop_lag_ms:.1f} ms in 99 of 100 ticks",
        "" if report.valid else "VOID: errors, nothing asked, or the load generator had no time left",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _use(one: Measured) -> str:
    told = [f"{pool.name} {100 * pool.used:.0f} % of {pool.size} (peak {pool.peak})" for pool in one.pools]
    if (sessions := one.sessions) is not None:
        told.append(
            f"PostgreSQL {sessions.busy:.1f} sessions busy (peak {sessions.most_busy}),"
            f" {sessions.open} open of {sessions.limit}"
        )
    flag = f"  MORE THAN {100 * USED_MOST:.0f} %: {', '.join(one.crowded)}" if one.crowded else ""
    return f"  motcua's connections in use: {'; '.join(told)}{flag}"


def _line(one: Measured, name: str) -> str:
    runs, cost = one.runs[name], one.cost_us[name]
    cores = sorted(1e6 / value for value in cost if value)
    spread = f"[{cores[0]:.0f}-{cores[-1]:.0f}]" if cores else ""
    return (
        f"  {name:<8} {one.capacity(name):>7,.0f} /core {spread:<14} {one.rate(name):>6,.0f} /s  "
        f"p50 {median(run.p50_ms for run in runs):>6.1f} ms  p95 {median(run.p95_ms for run in runs):>6.1f} ms  "
        f"in flight {runs[0].in_flight}  errors {sum(run.errors for run in runs)}  "
        f"generator {100 * max(run.generator_busy for run in runs):.0f} %"
    )
