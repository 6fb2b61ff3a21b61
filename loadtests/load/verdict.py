"""The verdict: PASS, or what was passed and by how much. Pure: evidence in, findings out.

A run is VOID where its own generator cannot be believed; it FAILs where a signature was lost, doubled or does not hold,
where an acknowledged write is not there, a journal is out of order, or a threshold was passed.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from loadtests.load.machine import Machine
from loadtests.load.model import ERRORS_MOST, OPERATIONS, Threshold
from loadtests.load.statements import Heavy
from loadtests.load.verifier import Checked

BUSY_MOST: Final = 0.85
LAG_MOST_MS: Final = 100.0
POOL_MOST: Final = 0.80
LOOP_LAG_MOST_MS: Final = 20.0
STALL_MOST: Final = 0.20
"""Above it a latency is told as bound by the machine: for more than a fifth of it somebody waited for a processor."""
CORES_MOST: Final = 0.90
DRIFT: Final = 0.02
DRIFT_MS: Final = 5.0
REGRESSION: Final = 0.10
DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """One operation in the judged part of a run, in milliseconds; slow clients have rows of their own."""

    op: str
    slow: bool = False
    count: int
    errors: int
    shed: int = 0
    """Of the errors: 429 and 503, which are answers."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    stall: float = 0.0
    """Part of the time of its slowest twentieth in which some task waited for a processor."""


class Generator(msgspec.Struct, frozen=True, kw_only=True):
    """One generator process: its busiest ten seconds as part of a core, and the lateness of its loop."""

    pid: int
    busy: float
    lag_p99_ms: float
    missing: int = 0
    """Users who ended by an error of the suite itself."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The four figures that are told together."""

    sessions: int
    in_flight: float
    requests_per_s: float
    signatures_per_s: float
    """Recorded PAdES signatures, seals among them."""
    best_signatures_per_s: float = 0.0
    """The same in the best two minutes: what can be signed while there is something to sign."""


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What the product used in the judged part."""

    pools: dict[str, float]
    """Part of each pool that was lent over time."""
    loop_lag_p99_ms: float
    cores: dict[str, float]
    rss_mb: dict[str, float]
    descriptors: dict[str, int]
    dead_rows: int
    database_sessions: int
    cut: int = 0
    """Work of the API that was stopped because it passed the time its route may have with a connection."""
    stalled: float
    """Part of the time in which some task waited for a processor (/proc/pressure/cpu)."""
    killed: int = 0
    """Processes that the kernel killed for want of memory, on this machine."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says against what the database holds."""

    acknowledged: int
    missing: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    """Effects beyond those that were asked for."""
    reordered: tuple[str, ...] = ()
    """Journals out of order, or which fold to something else than their dossier."""
    unended: tuple[str, ...] = ()
    """Tickets that came to no end, and what each waits for."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One time as HTTP told it, and as the database holds it: means over `count`, in milliseconds."""

    what: str
    count: int
    http_ms: float
    database_ms: float
    stall: float = 0.0
    """Where generator and product share the processors: part of the time in which some task waited for one."""

    @property
    def apart_ms(self) -> float:
        return abs(self.http_ms - self.database_ms)

    @property
    def agrees(self) -> bool:
        return self.apart_ms <= max(DRIFT_MS, DRIFT * self.database_ms)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of a run."""

    shape: str
    commit: str
    at: str
    users: int
    minutes: float
    quick: bool
    breaks: bool = False
    """It was to go beyond what is promised: latencies and errors are told, not judged."""
    expected: tuple[str, ...]
    """Operations of which there must be samples."""
    standing: Standing
    latencies: tuple[Latency, ...]
    generators: tuple[Generator, ...]
    resources: Resources
    checked: Checked
    kept: Kept
    drifts: tuple[Drift, ...]
    longest_wait_s: float
    """The longest that anybody waited from the tap to the recorded signature."""
    durability: dict[str, str]
    machine: Machine
    model: tuple[str, ...] = ()
    not_simulated: dict[str, str] = {}
    tls: bool = False
    tls_cost: str = ""
    """What TLS would add, as measured behind the same product after the load."""
    profiles: str = ""
    """The version of how phones, remote signer and timestamping authority behaved."""
    faults: tuple[str, ...] = ()
    """Which happened, in order."""
    rate: float = 0.0
    """Of the open model: requests that were due in each second; 0 is the closed model."""
    pinned: str = ""
    """Which processors product and generators were held to, where they were."""
    promises: tuple[tuple[str, str], ...] = ()
    """What the shape promises beside its thresholds, as (FAIL or NOTE, text)."""
    series: dict[str, tuple[tuple[float, float], ...]] = {}
    """What is plotted: seconds from the start and a value."""
    statements: tuple[Heavy, ...] = ()
    """On which PostgreSQL spent the time until the load ended."""


Kind = Literal["VOID", "FAIL", "NOTE"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found."""

    kind: Kind
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a run amounts to."""

    findings: tuple[Finding, ...]

    @property
    def void(self) -> bool:
        return any(one.kind == "VOID" for one in self.findings)

    @property
    def passed(self) -> bool:
        return not any(one.kind != "NOTE" for one in self.findings)

    @property
    def word(self) -> str:
        return "VOID" if self.void else "PASS" if self.passed else "FAIL"


def judge(evidence: Evidence, thresholds: Mapping[str, Threshold] = OPERATIONS) -> Verdict:
    """Judge a run by everything that is known of it."""
    return Verdict(
        findings=(
            *_generators(evidence.generators),
            *_signatures(evidence.checked),
            *_kept(evidence.kept),
            *_rows(evidence, thresholds),
            *_resources(evidence.resources),
            *_machine(evidence),
            *_drifts(evidence.drifts),
            *_durable(evidence.durability),
            *(Finding("FAIL" if kind == "FAIL" else "NOTE", words) for kind, words in evidence.promises),
        )
    )


def compare(now: Evidence, before: Evidence) -> tuple[Finding, ...]:
    """Hold a run against an earlier one of its kind: whatever is worse by more than a tenth is a regression."""
    found: list[Finding] = []
    for one in now.latencies:
        old = next((row for row in before.latencies if (row.op, row.slow) == (one.op, one.slow)), None)
        if old is not None and old.count and one.p95_ms > old.p95_ms * (1 + REGRESSION) and one.stall <= STALL_MOST:
            found.append(_regression(f"{one.op}: p95", one.p95_ms, old.p95_ms, before.commit))
    for name in ("requests_per_s", "signatures_per_s"):
        new, old_rate = getattr(now.standing, name), getattr(before.standing, name)
        if new < old_rate * (1 - REGRESSION):
            found.append(_regression(name, new, old_rate, before.commit))
    return tuple(found)


def _regression(what: str, now: float, before: float, commit: str) -> Finding:
    return Finding("FAIL", f"regression: {what} {now:.1f} against {before:.1f} of {commit} ({now / before - 1:+.0%})")


def _generators(generators: Sequence[Generator]) -> list[Finding]:
    found = [Finding("VOID", "no generator told how it was")] if not generators else []
    for one in generators:
        if one.busy > BUSY_MOST:
            found.append(
                Finding("VOID", f"generator {one.pid} used {one.busy:.0%} of its core, at most {BUSY_MOST:.0%}")
            )
        if one.missing:
            found.append(Finding("VOID", f"generator {one.pid}: {one.missing} users ended by an error of the suite"))
        if one.lag_p99_ms > LAG_MOST_MS:
            late = f"its own loop was {one.lag_p99_ms:.0f} ms late (p99), at most {LAG_MOST_MS:.0f} ms"
            found.append(Finding("VOID", f"generator {one.pid}: {late}"))
    return found


def _signatures(checked: Checked) -> list[Finding]:
    kinds = (("lost", checked.lost), ("doubled", checked.doubled), ("invalid", checked.invalid))
    return [
        Finding("FAIL", f"{name}: {len(found)} of {checked.opened} signatures, the first {found[0]}")
        for name, found in kinds
        if found
    ]


def _kept(kept: Kept) -> list[Finding]:
    found: list[Finding] = []
    for words, those in (
        ("acknowledged and not there", kept.missing), ("there and never asked for", kept.unasked),
        ("journals out of order", kept.reordered),
    ):  # fmt: skip
        if those:
            found.append(Finding("FAIL", f"{words}: {len(those)} of {kept.acknowledged}, the first {those[0]}"))
    if kept.unended:
        found.append(Finding("FAIL", f"tickets that came to no end: {len(kept.unended)}, the first {kept.unended[0]}"))
    return found


def _rows(evidence: Evidence, thresholds: Mapping[str, Threshold]) -> list[Finding]:
    there = {row.op for row in evidence.latencies if row.count}
    found = [Finding("FAIL", f"{op}: no samples") for op in evidence.expected if op not in there]
    found += [Finding("FAIL", f"{_name(row)}: no samples") for row in evidence.latencies if _is_empty(row, evidence)]
    asked = errors = 0
    for row in evidence.latencies:
        asked, errors = asked + row.count, errors + row.errors
        found += _row(row, thresholds[row.op], "NOTE" if evidence.breaks else "FAIL")
    if asked and errors / asked > ERRORS_MOST:
        kind: Kind = "NOTE" if evidence.breaks else "FAIL"
        found.append(
            Finding(kind, f"errors: {errors} of {asked} answers ({errors / asked:.2%}), at most {ERRORS_MOST:.1%}")
        )
    return found


def _row(row: Latency, most: Threshold, kind: Kind) -> list[Finding]:
    if row.count and row.errors >= row.count:
        return [Finding(kind, f"{_name(row)}: none of {row.count} answers was good, so no time can be told")]
    return [
        Finding(kind, f"{_name(row)}: {part} {took:.0f} ms, at most {limit:.0f} ms ({took / limit:.1f} x){_bound(row)}")
        for part, took, limit in (("p95", row.p95_ms, most.p95_ms), ("p99", row.p99_ms, most.p99_ms))
        if took > limit
    ]


def _is_empty(row: Latency, evidence: Evidence) -> bool:
    """Tell whether a row is there without a sample, and is not told already for want of an expected operation."""
    return not row.count and (row.slow or row.op not in evidence.expected)


def _name(row: Latency) -> str:
    return f"{row.op}, slow clients" if row.slow else row.op


def _bound(row: "Latency | Drift") -> str:
    return " (bound by the machine)" if row.stall > STALL_MOST else ""


def _resources(used: Resources) -> list[Finding]:
    found = [
        Finding("FAIL", f"pool {name}: {part:.0%} in use, at most {POOL_MOST:.0%}")
        for name, part in used.pools.items()
        if part > POOL_MOST
    ]
    if used.loop_lag_p99_ms > LOOP_LAG_MOST_MS:
        bound = " (bound by the machine)" if used.stalled > STALL_MOST else ""
        late = (
            f"event loop of the API {used.loop_lag_p99_ms:.0f} ms late (p99), at most {LOOP_LAG_MOST_MS:.0f} ms{bound}"
        )
        found.append(Finding("FAIL", late))
    if used.cut:
        found.append(Finding("FAIL", f"statements that passed their route's time: {used.cut}"))
    return found


def _machine(evidence: Evidence) -> list[Finding]:
    """Processors and memory: what the product used of the machine, and whom the kernel killed."""
    used, found = evidence.resources, list[Finding]()
    cores = 1 if evidence.pinned else evidence.machine.cores
    if (part := sum(used.cores.values()) / max(cores, 1)) > CORES_MOST and not evidence.breaks:
        found.append(Finding("FAIL", f"processors: {part:.0%} used by the product, at most {CORES_MOST:.0%}"))
    if used.killed:
        found.append(Finding("FAIL", f"memory: the kernel killed {used.killed} processes for want of it"))
    return found


def _drifts(drifts: Sequence[Drift]) -> list[Finding]:
    found = [Finding("FAIL", f"{one.what}: no samples") for one in drifts if not one.count]
    return found + [
        Finding(
            "FAIL",
            f"{one.what}: {one.http_ms:.1f} ms and {one.database_ms:.1f} ms as kept: {one.apart_ms:.1f} ms apart"
            f"{_bound(one)}",
        )
        for one in drifts
        if one.count and not one.agrees
    ]


def _durable(settings: Mapping[str, str]) -> list[Finding]:
    off = [name for name in DURABLE if settings.get(name) != "on"]
    return [Finding("VOID", f"durability is off: {', '.join(off)}")] if off else []
