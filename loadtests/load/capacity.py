"""`motcua capacity --inhabitants N`: users, requests, signatures and cores for so many people, from measured runs.

From inhabitants to users it goes by one province: 6,000 connections on average and 12,300 at peak were published, its
3.6 million inhabitants are a round figure that nobody here has checked, and every plan says so. What a user costs is
read off the runs in the history: without a run that counts there is no answer.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, Literal

import msgspec

from loadtests.load import history
from loadtests.load.verdict import Evidence

INHABITANTS: Final = 3_600_000
"""Of Bắc Ninh after the merger of 1 July 2025, whose connections were published; a round figure, not checked."""
AVERAGE, PEAK = 6_000, 12_300
ASSUMED: Final = (
    f"{INHABITANTS:,} dân làm nên {AVERAGE:,} và {PEAK:,} kết nối / inhabitants made these connections: these "
    "were published, the number of inhabitants is a round figure without a source"
)
USED_MOST: Final = 0.7
"""The part of a core that is planned for; the rest is for what nobody planned."""
Confidence = Literal["high", "medium", "low"]


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What so many inhabitants take."""

    inhabitants: int
    users_average: int
    users_peak: int
    requests_per_s: float
    signatures_per_s: float
    cores: int
    in_flight: float
    sessions: int
    """The most that a run held: what the figures above are read off or beyond."""
    confidence: Confidence
    why: str
    assumed: str
    """What nobody has checked, in words."""
    runs: tuple[str, ...]
    """The runs that this is from, by shape, commit and time."""


class NoRunsError(Exception):
    """There is nothing measured to plan with."""


def plan(inhabitants: int, entries: Sequence[history.Entry]) -> Need:
    """Return what so many inhabitants take, by the runs of the history that count.

    Raises:
        NoRunsError: none does.
    """
    runs = [one for one in entries if one.word == "PASS" and not one.evidence.quick and one.evidence.standing.sessions]
    if not runs:
        raise NoRunsError
    peak = math.ceil(inhabitants * PEAK / INHABITANTS)
    per_user = [
        (one.evidence, sum(one.evidence.resources.cores.values()) / one.evidence.standing.sessions) for one in runs
    ]
    cores = median(cost * evidence.machine.factor for evidence, cost in per_user)
    asked = median(one.evidence.standing.requests_per_s / one.evidence.standing.sessions for one in runs)
    signed = median(one.evidence.standing.signatures_per_s / one.evidence.standing.sessions for one in runs)
    flying = median(one.evidence.standing.in_flight / one.evidence.standing.sessions for one in runs)
    confidence, why = _confidence(peak, [one.evidence for one in runs])
    return Need(
        inhabitants=inhabitants,
        users_average=math.ceil(inhabitants * AVERAGE / INHABITANTS),
        users_peak=peak,
        requests_per_s=peak * asked,
        signatures_per_s=peak * signed,
        cores=max(1, math.ceil(peak * cores / USED_MOST)),
        in_flight=peak * flying,
        sessions=max(one.evidence.standing.sessions for one in runs),
        confidence=confidence,
        why=why,
        assumed=ASSUMED,
        runs=tuple(_named(evidence) for evidence, _ in per_user),
    )


def _named(run: Evidence) -> str:
    now = run.standing
    return (
        f"{run.shape} {run.users} users, {run.commit}, {run.at}: {now.sessions} sessions, "
        f"{now.in_flight:.1f} in flight, {now.requests_per_s:.1f} requests/s, {now.signatures_per_s:.2f} signatures/s, "
        f"{run.pinned or 'product and generators on the same processors'}"
    )


def _confidence(peak: int, runs: Sequence[Evidence]) -> tuple[Confidence, str]:
    """Say how far the runs carry: within what was measured, up to twice it, or beyond."""
    most = max(run.standing.sessions for run in runs)
    if peak <= most and len(runs) >= 3:
        return "high", f"{len(runs)} runs held up to {most:,} users, and {peak:,} are asked for"
    if peak <= 2 * most:
        return "medium", f"{len(runs)} run(s) held {most:,} users; {peak:,} are at most twice that"
    return "low", f"the largest run held {most:,} users, and {peak:,} are more than twice that: extrapolated"


def text(need: Need) -> str:
    """Return the plan as lines."""
    lines = [
        f"{need.inhabitants:,} dân / inhabitants: {need.users_average:,} người dùng thường / users on average, "
        f"{need.users_peak:,} lúc cao nhất / at peak",
        f"{need.users_peak:,} sessions, {need.in_flight:,.0f} requests in flight, "
        f"{need.requests_per_s:,.0f} requests/s, {need.signatures_per_s:,.1f} signatures/s, {need.cores} cores "
        f"(machine factor 1, {USED_MOST:.0%} used, PostgreSQL and key holders included)",
        f"giả định / assumed: {need.assumed}",
        f"độ tin cậy / confidence: {need.confidence}; {need.why}",
        *(f"từ / from: {run}" for run in need.runs),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the plan; the exit status is 1 where there is nothing to plan with."""
    parser = argparse.ArgumentParser(prog="motcua capacity", description=__doc__)
    parser.add_argument("--inhabitants", type=int, required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--history", type=Path, default=history.HISTORY)
    told = parser.parse_args(arguments)
    try:
        need = plan(told.inhabitants, history.read(told.history))
    except NoRunsError:
        sys.stderr.write(
            f"Chưa có lần đo nào đạt trong {told.history}. / No run in {told.history} counts.\n→ motcua load average\n"
        )
        return 1
    sys.stdout.write(msgspec.json.encode(need).decode() + "\n" if told.json else text(need))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
