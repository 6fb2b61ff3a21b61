"""What a shape promises beside its thresholds: recovery after a spike, a level soak, a knee that is told. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from loadtests.load.notes import Asked

RECOVERY_S: Final = 60.0
RECOVERED: Final = 1.2
"""Within so many seconds after a spike p95 is back to so many times what it was before."""
LEVEL: Final = 0.10
"""The last ten minutes of a soak may be worse than minutes 10 to 20 by so much, in p95 and in memory."""
FAIR: Final = 2.0
WAITED_S: Final = 10.0
"""A batch that is done within this time has not waited, whatever its share: what the counter is promised."""
KNEE_P95_MS: Final = 1000.0
KNEE_ERRORS: Final = 0.01
_WINDOW_S: Final = 10.0


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """Where a ramp broke: users on, and what was seen there."""

    users: int
    at_s: float
    p95_ms: float
    errors: float


def p95(asked: Iterable[Asked]) -> float:
    """Return the p95 of what was answered, slow clients left out, in milliseconds."""
    times = sorted(one.ms for one in asked if not one.slow and 200 <= one.status < 400)
    return times[min(int(len(times) * 0.95), len(times) - 1)] if times else 0.0


def between(asked: Iterable[Asked], began: float, ended: float) -> list[Asked]:
    """Return what was asked in a stretch of time."""
    return [one for one in asked if began <= one.at < ended]


def recovery_s(asked: Sequence[Asked], spike: tuple[float, float]) -> float | None:
    """Return how many seconds after a spike p95 was back, by windows of ten seconds; None if it never was."""
    began, ended = spike
    before = p95(between(asked, 0.0, began))
    last = max((one.at for one in asked), default=ended)
    at = ended
    while at < last:
        if 0 < p95(between(asked, at, at + _WINDOW_S)) <= before * RECOVERED:
            return at - ended
        at += _WINDOW_S
    return None


def soak_drift(asked: Sequence[Asked], began: float, ended: float) -> float:
    """Return by which part p95 of the last ten minutes is above that of minutes 10 to 20; shorter runs by sixths."""
    stretch = min(600.0, (ended - began) / 6)
    early = p95(between(asked, began + stretch, began + 2 * stretch))
    return p95(between(asked, ended - stretch, ended)) / early - 1 if early else 0.0


def knee(asked: Sequence[Asked], users: Sequence[tuple[float, float]], began: float) -> Knee | None:
    """Return the first ten seconds whose p95 or errors are beyond bearing, with the users on at that time."""
    last = max((one.at for one in asked), default=began)
    at = began
    while at < last:
        those = between(asked, at, at + _WINDOW_S)
        wrong = sum(not 200 <= one.status < 400 for one in those) / len(those) if those else 0.0
        if (took := p95(those)) > KNEE_P95_MS or wrong > KNEE_ERRORS:
            on = [count for second, count in users if second <= at - began + _WINDOW_S]
            return Knee(users=int(on[-1]) if on else 0, at_s=at - began, p95_ms=took, errors=wrong)
        at += _WINDOW_S
    return None


def shares(batches: Sequence[tuple[float, float, int]]) -> list[float]:
    """Return of each batch (begun, ended, items) how often its own time an equal share would have taken less.

    While it was under way all batches together ended so many items and so many batches were open on average: an equal
    share is the one divided by the other. 1 is fair; 2 is a batch that waited twice as long as an equal share.
    """
    found: list[float] = []
    for began, ended, items in batches:
        long = max(ended - began, 1e-6)
        done = open_ = 0.0
        for other_began, other_ended, other_items in batches:
            both = min(ended, other_ended) - max(began, other_began)
            if both > 0:
                done += other_items * both / max(other_ended - other_began, 1e-6)
                open_ += both / long
        found.append(done / open_ / items if open_ and items else 1.0)
    return found


def fairness(batches: Sequence[tuple[float, float, int]]) -> list[tuple[str, str]]:
    """Return whether anybody's batch waited more than twice its fair share, as (FAIL or NOTE, text)."""
    if not (found := shares(batches)):
        return []
    ordered = sorted(found)
    late = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    waited = [share for share, (began, ended, _) in zip(found, batches, strict=True) if ended - began > WAITED_S]
    worst = max(waited, default=0.0)
    return [
        ("NOTE" if late <= FAIR else "FAIL", f"batches against the fair share: p95 {late:.1f} x, at most {FAIR:g} x"),
        (
            "NOTE" if worst <= FAIR else "FAIL",
            f"of {len(waited)} batches that took more than {WAITED_S:g} s the worst: {worst:.1f} x, at most {FAIR:g} x",
        ),
    ]


def morning(asked: Sequence[Asked], users: int) -> list[tuple[str, str]]:
    """Return what a cold first visit brings to each user, and whether anybody was told of an error of ours."""
    first = sum(one.size for one in asked if one.op == "first visit")
    whole, broken = sum(one.size for one in asked), sum(one.status >= 500 for one in asked)
    kb = 1000 * max(users, 1)
    return [
        ("NOTE", f"bytes of bodies per user: first visit {first / kb:.1f} kB, all {whole / kb:.1f} kB ({users} users)"),
        ("FAIL" if broken else "NOTE", f"answers of 500 and above: {broken} of {len(asked)}, at most 0"),
    ]


def findings(
    shape: str, asked: Sequence[Asked], users: Sequence[tuple[float, float]], course: tuple[float, float],
    peak: tuple[float, float], memory: Mapping[str, float] | None = None, slopes: Mapping[str, float] | None = None,
) -> list[tuple[str, str]]:  # fmt: skip
    """Return what this shape's own promise amounts to, as (FAIL or NOTE, text)."""
    began, ended = course
    if shape == "spike":
        took = recovery_s(asked, peak)
        told = "never" if took is None else f"after {took:.0f} s"
        kept = took is not None and took <= RECOVERY_S
        return [("NOTE" if kept else "FAIL", f"p95 was back to +20 % {told}, at most {RECOVERY_S:.0f} s")]
    if shape == "soak":
        drift = soak_drift(asked, began, ended)
        found = [
            (
                "NOTE" if drift <= LEVEL else "FAIL",
                f"p95 of the end against minutes 10 to 20: {drift:+.0%}, at most +10 %",
            )
        ]
        told = ", ".join(f"{name} {slope:+.0f}" for name, slope in (slopes or {}).items())
        grown = {name: share for name, share in (memory or {}).items() if share > LEVEL}
        return [
            *found,
            *([("NOTE", f"memory, MB an hour after the first third: {told}")] if told else []),
            *(("FAIL", f"memory of {name} grew by {share:.0%} after minute 10") for name, share in grown.items()),
        ]
    if shape == "morning":
        return morning(asked, int(max((count for _, count in users), default=0)))
    if shape == "break":
        broke = knee(asked, users, began)
        if broke is None:
            return [("NOTE", "no knee was reached: more users are needed")]
        return [("NOTE", f"knee at {broke.users} users: p95 {broke.p95_ms:.0f} ms, errors {broke.errors:.1%}")]
    return []
