"""What was found of admission, and whether it is what was promised. Pure: answers in, findings out."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from loadtests.bench.arrivals import Answer

CITIZENS: Final = ("track", "submit")
SIGNATORIES: Final = ("to-sign", "sign")
MOVED_SHARE, MOVED_MS = 0.20, 50.0
"""Signatories' p95 may rise by such a part, or by so many milliseconds, while citizens come five times as often."""
FAST_MS: Final = 500.0
"""A refusal is fast where 95 of 100 come within it: somebody who is told at once can do something else."""
RECOVERED, RECOVERY_S = 1.20, 60.0
WORK_MOST: Final = 1.20
"""What an intent with five times F5 may cost, against one whose person waits."""
LATE_MOST_MS: Final = 20.0
BUSY_MOST: Final = 0.85
TURNED_AWAY: Final = frozenset({"overloaded", "rate-limited"})
"""Refusals at the door: nothing had begun."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request in one stretch of time."""

    asked: int
    good: int
    refused: int
    """429 and 503."""
    failed: int
    """Anything else, no answer among it."""
    unsaid: int
    """Refusals without Retry-After."""
    begun: int
    """Refusals of what had been let in already."""
    p50_ms: float
    p95_ms: float
    """Of good answers."""
    refused_p95_ms: float
    per_s: float
    """Good answers a second."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A calm and the spike after it, by kind of request, and the seconds until p95 was back to +20 %."""

    calm: Mapping[str, Stretch]
    spike: Mapping[str, Stretch]
    recovered_s: float | None

    def moved(self, kind: str) -> tuple[float, float]:
        """Return by which part p95 rose, and by how many milliseconds."""
        before, then = self.calm[kind].p95_ms, self.spike[kind].p95_ms
        return (then / before - 1 if before else 0.0), then - before


class Impatience(msgspec.Struct, frozen=True, kw_only=True):
    """Intents of one kind with and without F5: processor time of API and PostgreSQL for each, in milliseconds."""

    what: str
    intents: int
    waiting_ms: float
    pressing_ms: float
    judged: bool
    """Only where an answer takes as long as five F5 do; of what is quick the figure is told."""

    @property
    def times(self) -> float:
        return self.pressing_ms / self.waiting_ms if self.waiting_ms > 0 else 0.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of one run."""

    dossiers: int
    capacity_per_s: float
    """Citizens' requests that API and PostgreSQL answer a second on their one processor, with nobody else there."""
    pairs: Sequence[Pair]
    cut: float
    """Work that was stopped because it kept a connection too long."""
    written: int
    """Acknowledged writes."""
    lost: int
    """Of these, not there afterwards."""
    ghosts: int
    """Refused writes that had an effect all the same."""
    impatience: Sequence[Impatience]
    late_p95_ms: float
    generator_busy: float
    unsent: int
    load: float
    held: str
    durability: dict[str, str]

    @property
    def findings(self) -> list[tuple[str, str]]:
        return [*_void(self), *_turned_away(self), *_signatories(self), *_kept(self), *_impatient(self)]

    @property
    def word(self) -> str:
        kinds = {kind for kind, _ in self.findings}
        return "VOID" if "VOID" in kinds else "FAIL" if "FAIL" in kinds else "PASS"


def stretch_of(answers: Sequence[Answer], seconds: float) -> Stretch:
    """Return what became of the requests of one kind."""
    good = sorted(one.took * 1000 for one in answers if one.good)
    refused = [one for one in answers if one.refused]
    return Stretch(
        asked=len(answers),
        good=len(good),
        refused=len(refused),
        failed=len(answers) - len(good) - len(refused),
        unsaid=sum(not one.again_s for one in refused),
        begun=sum(one.code not in TURNED_AWAY for one in refused),
        p50_ms=part(good, 0.5),
        p95_ms=part(good, 0.95),
        refused_p95_ms=part(sorted(one.took * 1000 for one in refused), 0.95),
        per_s=len(good) / seconds if seconds else 0.0,
    )


def part(values: Sequence[float], share: float) -> float:
    """Return the value that this share of sorted values does not pass."""
    return values[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def recovery_s(answers: Sequence[Answer], calm_p95_ms: float, ended: float, window_s: float) -> float | None:
    """Return the seconds from the end of a spike to the end of the first window whose p95 is back; None if none is."""
    last = max((one.due for one in answers), default=ended)
    at = ended
    while at + window_s <= last:
        inside = sorted(one.took * 1000 for one in answers if at <= one.due < at + window_s and one.good)
        turned = any(one.refused for one in answers if at <= one.due < at + window_s)
        if inside and not turned and part(inside, 0.95) <= calm_p95_ms * RECOVERED:
            return at + window_s - ended
        at += window_s
    return None


def _void(report: Report) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if report.late_p95_ms > LATE_MOST_MS:
        found.append(
            ("VOID", f"the generator sent {report.late_p95_ms:.0f} ms late (p95), at most {LATE_MOST_MS:g} ms")
        )
    if report.generator_busy > BUSY_MOST:
        found.append(("VOID", f"the generator used {report.generator_busy:.0%} of its core, at most {BUSY_MOST:.0%}"))
    if report.unsent:
        found.append(("VOID", f"{report.unsent} requests found no connection to be sent on"))
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if report.durability.get(name) != "on"]
    if off:
        found.append(("VOID", f"durability is off: {', '.join(off)}"))
    if not all(any(pair.spike[kind].refused for kind in CITIZENS) for pair in report.pairs):
        found.append(("VOID", "in a spike nobody was turned away: it was not beyond what can be done"))
    return found


def _turned_away(report: Report) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for number, pair in enumerate(report.pairs, 1):
        for when, kinds in (("calm", pair.calm), ("spike", pair.spike)):
            for kind, one in kinds.items():
                name = f"pair {number}, {when}, {kind}"
                if one.failed:
                    found.append(
                        ("FAIL", f"{name}: {one.failed} of {one.asked} neither answered nor told to come again")
                    )
                if one.unsaid:
                    found.append(("FAIL", f"{name}: {one.unsaid} refusals without Retry-After"))
                if one.begun:
                    found.append(("FAIL", f"{name}: {one.begun} refused after they had been let in"))
                if one.refused and one.refused_p95_ms > FAST_MS:
                    found.append(
                        ("FAIL", f"{name}: refused after {one.refused_p95_ms:.0f} ms (p95), at most {FAST_MS:.0f} ms")
                    )
                if one.refused and (when == "calm" or kind not in CITIZENS):
                    found.append(("FAIL", f"{name}: {one.refused} of {one.asked} turned away for what others asked"))
        if pair.recovered_s is None or pair.recovered_s > RECOVERY_S:
            told = "not" if pair.recovered_s is None else f"after {pair.recovered_s:.0f} s"
            found.append(("FAIL", f"pair {number}: p95 was back to +20 % {told}, at most {RECOVERY_S:.0f} s"))
        calm = sum(pair.calm[kind].per_s for kind in CITIZENS)
        spike = sum(pair.spike[kind].per_s for kind in CITIZENS)
        if spike < calm:
            found.append(
                ("FAIL", f"pair {number}: {spike:.0f} citizens/s were answered in the spike, {calm:.0f} in calm")
            )
    return found


def _signatories(report: Report) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for kind in SIGNATORIES:
        share, ms = moved(report.pairs, kind)
        if share > MOVED_SHARE and ms > MOVED_MS:
            most = f"at most {MOVED_SHARE:+.0%} or {MOVED_MS:+.0f} ms"
            found.append(("FAIL", f"signatories, {kind}: p95 moved by {share:+.0%}, {ms:+.0f} ms, {most}"))
    return found


def moved(pairs: Sequence[Pair], kind: str) -> tuple[float, float]:
    """Return by which part and how many milliseconds p95 rose: medians of the pairs."""
    shares, lengths = zip(*(pair.moved(kind) for pair in pairs), strict=True)
    return median(shares), median(lengths)


def _kept(report: Report) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if report.cut:
        found.append(("FAIL", f"{report.cut:.0f} pieces of work were stopped after they had begun"))
    if report.lost:
        found.append(("FAIL", f"{report.lost} of {report.written} acknowledged writes are not there"))
    if report.ghosts:
        found.append(("FAIL", f"{report.ghosts} writes were refused and done all the same"))
    return found


def _impatient(report: Report) -> list[tuple[str, str]]:
    return [
        (
            "FAIL",
            f"five F5, {one.what}: "
            + (
                f"{one.times:.2f} times the work, at most {WORK_MOST:g}"
                if one.waiting_ms > 0
                else "nothing was measured to hold it against"
            ),
        )
        for one in report.impatience
        if one.judged and (one.times > WORK_MOST or one.waiting_ms <= 0)
    ]


def text(report: Report) -> str:
    """Return the report as a person reads it."""
    kept = ", ".join(f"{name}={value}" for name, value in report.durability.items())
    lines = [
        f"{report.dossiers:,} dossiers; {report.held}; load of the machine {report.load:.1f}",
        f"PostgreSQL: {kept}",
        f"capacity: {report.capacity_per_s:.0f} citizens' requests/s on that processor with nobody else there; "
        f"generator {report.generator_busy:.0%} of its core, {report.late_p95_ms:.1f} ms late (p95)",
    ]
    for number, pair in enumerate(report.pairs, 1):
        back = "never" if pair.recovered_s is None else f"{pair.recovered_s:.0f} s"
        lines += ["", f"pair {number}; p95 back to +20 % after the spike: {back}"]
        lines.append(
            f"  {'':12}{'asked/good/refused/failed':>34}{'good/s':>9}{'p50 ms':>9}{'p95 ms':>9}{'refused p95':>13}"
        )
        for when, kinds in (("calm", pair.calm), ("spike", pair.spike)):
            lines += [_row(when, kind, one) for kind, one in kinds.items()]
    lines.append("")
    for kind in SIGNATORIES:
        share, ms = moved(report.pairs, kind)
        lines.append(
            f"signatories, {kind}: p95 {share:+.0%}, {ms:+.1f} ms in the spike (median of {len(report.pairs)})"
        )
    lines.append(
        f"writes: {report.written} acknowledged, {report.lost} lost, {report.ghosts} refused and done; "
        f"{report.cut:.0f} pieces of work cut"
    )
    for one in report.impatience:
        told = "" if one.judged else " (told, not judged)"
        lines.append(
            f"five F5, {one.what}: {one.pressing_ms:.2f} ms of processor an intent, {one.waiting_ms:.2f} ms for who "
            f"waits: {one.times:.2f} times{told}"
        )
    return "\n".join([*lines, "", *(f"{kind} {words}" for kind, words in report.findings), report.word]) + "\n"


def _row(when: str, kind: str, one: Stretch) -> str:
    told = f"{one.asked}/{one.good}/{one.refused}/{one.failed}"
    return (
        f"  {when:6}{kind:10}{told:>30}{one.per_s:>9.1f}{one.p50_ms:>9.1f}{one.p95_ms:>9.1f}{one.refused_p95_ms:>13.1f}"
    )
