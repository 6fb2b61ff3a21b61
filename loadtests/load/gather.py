"""From what generators and sampler wrote down to the figures that are judged. Pure but for reading files."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import linear_regression
from typing import Final, TypeVar

import msgspec

from loadtests.load.notes import Acknowledged, Asked, Finished, Health, Intent, Twin
from loadtests.load.sampling import Sample
from loadtests.load.verdict import Drift, Generator, Latency, Resources, Standing
from loadtests.outside.officer import ROOM

T = TypeVar("T")
_WINDOW: Final = 10
_BEST_S: Final = 120.0
_LOOKS_S: Final = 15.0
"""The most that two looks at the product are apart."""
_LAG: Final = re.compile(r'motcua_event_loop_lag_seconds_bucket\{le="([^"]+)"\}')
_POOL: Final = re.compile(r'motcua_pool_busy_seconds_total\{pool="([^"]+)"\}')
_SPANS: Final = frozenset({"ticket", "counter item sealed"})
"""Operations that last longer than one answer."""
_NOT_ALIKE: Final = re.compile(rf'"/metrics"|/events|"{ROOM}')
"""Routes whose answers no client of a fast line measures: streams, our own samples, the programs of own tokens."""
SHED: Final = (429, 503)
RATE_LEAST: Final = 0.9
"""Part of the rate that must come: what an act asks for is an average, and depends on what lies there."""


def read_lines(out: Path, name: str, kind: type[T]) -> Iterator[T]:
    """Read what every generator process wrote under a name; lines of another kind are passed over."""
    decoder = msgspec.json.Decoder(kind)
    for path in sorted(out.glob(f"{name}-*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError:
                    continue


class Level(msgspec.Struct, array_like=True):
    """Users and requests in flight of one generator process at a moment."""

    at: float
    pid: int
    users: int
    in_flight: int


class Written(msgspec.Struct, kw_only=True):
    """Everything that the generators wrote."""

    asked: list[Asked]
    ledger: list[Acknowledged]
    intents: list[str]
    twins: list[Twin]
    finished: list[Finished]
    healths: list[Health]
    levels: list[Level]
    """In the order of time."""


def read(out: Path) -> Written:
    """Read a run's directory."""
    return Written(
        asked=list(read_lines(out, "requests", Asked)),
        ledger=list(read_lines(out, "ledger", Acknowledged)),
        intents=[one.key for one in read_lines(out, "intents", Intent)],
        twins=list(read_lines(out, "twins", Twin)),
        finished=list(read_lines(out, "tickets", Finished)),
        healths=[msgspec.json.decode(path.read_bytes(), type=Health) for path in sorted(out.glob("health-*.json"))],
        levels=sorted(read_lines(out, "levels", Level), key=lambda level: level.at),
    )


def part(values: Sequence[float], share: float) -> float:
    """Return the value that this share of sorted values does not pass."""
    return values[min(int(len(values) * share), len(values) - 1)] if values else 0.0


class Stalls:
    """For how much of any stretch of time some task waited for a processor, from the samples."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._at = [sample.at for sample in samples]
        pairs = pairwise(samples)
        self._share = [_stalled(a, b) for a, b in pairs]

    def at(self, moment: float) -> float:
        """Return the share in the second of this moment."""
        if not self._share:
            return 0.0
        return self._share[max(0, min(bisect_left(self._at, moment) - 1, len(self._share) - 1))]


def latencies(asked: Iterable[Asked], stalls: Stalls) -> tuple[Latency, ...]:
    """Return one row for each operation, and one more for its slow clients."""
    rows: dict[tuple[str, bool], list[Asked]] = defaultdict(list)
    for one in asked:
        rows[one.op, one.slow].append(one)
    return tuple(_latency(op, slow, those, stalls) for (op, slow), those in sorted(rows.items()))


def _latency(op: str, slow: bool, those: list[Asked], stalls: Stalls) -> Latency:
    good = sorted((one for one in those if 200 <= one.status < 400), key=lambda one: one.ms)
    times = [one.ms for one in good]
    tail = good[int(len(good) * 0.95) :] or good
    weight = sum(one.ms for one in tail)
    stall = sum(stalls.at(one.at + one.ms / 2000) * one.ms for one in tail) / weight if weight else 0.0
    return Latency(
        op=op,
        slow=slow,
        count=len(those),
        errors=len(those) - len(good),
        shed=sum(one.status in SHED for one in those),
        p50_ms=part(times, 0.5),
        p95_ms=part(times, 0.95),
        p99_ms=part(times, 0.99),
        stall=stall,
    )


def generators(healths: Iterable[Health]) -> tuple[Generator, ...]:
    """Return how each generator was at its worst."""
    return tuple(
        Generator(pid=one.pid, busy=busiest(one.busy), lag_p99_ms=part(sorted(one.lag_ms), 0.99), missing=one.missing)
        for one in healths
    )


def busiest(busy: Sequence[float]) -> float:
    """Return the mean of the busiest ten seconds on end."""
    width = min(_WINDOW, len(busy))
    return max((sum(busy[n : n + width]) / width for n in range(len(busy) - width + 1)), default=0.0) if width else 0.0


def together(levels: Iterable[Level]) -> Iterator[Level]:
    """Give the level of all processes together, each time one of them tells its own."""
    latest: dict[int, Level] = {}
    for level in levels:
        latest[level.pid] = level
        yield Level(
            level.at, 0, sum(one.users for one in latest.values()), sum(one.in_flight for one in latest.values())
        )


def standing(written: Written, samples: Sequence[Sample], within: tuple[float, float]) -> Standing:
    """Return sessions, requests in flight, requests and signatures a second, of the same stretch of time."""
    began, ended = within
    seconds = max(ended - began, 1e-6)
    those = [level for level in together(written.levels) if began <= level.at <= ended]
    inside = [sample for sample in samples if began <= sample.at <= ended] or list(samples)
    signed = sum(max(0, b.signatures - a.signatures) for a, b in pairwise(inside))  # a signer that died begins at 0
    return Standing(
        sessions=max((level.users for level in those), default=0),
        in_flight=sum(level.in_flight for level in those) / max(len(those), 1),
        requests_per_s=sum(began <= one.at <= ended for one in written.asked) / seconds,
        signatures_per_s=signed / seconds,
        best_signatures_per_s=_best(inside),
    )


def _best(samples: Sequence[Sample]) -> float:
    """Return the signatures a second of the best stretch of two minutes, or of all where it is no longer."""
    signed = [0, *accumulate(max(0, b.signatures - a.signatures) for a, b in pairwise(samples))]
    best, first = 0.0, 0
    for last, one in enumerate(samples):
        while one.at - samples[first].at > _BEST_S:
            first += 1
        whole = one.at - samples[first].at >= _BEST_S - _LOOKS_S or last == len(samples) - 1
        if whole and one.at > samples[first].at:
            best = max(best, (signed[last] - signed[first]) / (one.at - samples[first].at))
    return best


def resources(samples: Sequence[Sample]) -> Resources:
    """Return what the product used between the first and the last of these looks."""
    if len(samples) < 2:
        raise ValueError("fewer than two looks at the product: too short to say what it used")
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    pools = {
        found[1]: (value - first.metrics.get(name, 0.0)) / seconds / _size(last, found[1])
        for name, value in last.metrics.items()
        if (found := _POOL.fullmatch(name))
    }
    return Resources(
        pools=pools,
        loop_lag_p99_ms=_loop_lag_ms(first, last),
        cores={
            name: max(0.0, one.cpu_s - first.parts[name].cpu_s) / seconds
            for name, one in last.parts.items()
            if name in first.parts
        },
        rss_mb={name: max(s.parts[name].rss_mb for s in samples if name in s.parts) for name in last.parts},
        descriptors={name: max(s.parts[name].descriptors for s in samples if name in s.parts) for name in last.parts},
        dead_rows=max(sample.dead for sample in samples),
        database_sessions=max(sample.sessions for sample in samples),
        stalled=min(1.0, (last.stalled_us - first.stalled_us) / 1e6 / seconds),
        cut=round(sum(max(0.0, _cut(b) - _cut(a)) for a, b in pairwise(samples))),  # an API that died begins at 0
        killed=last.killed - first.killed,
    )


def _cut(sample: Sample) -> float:
    return sum(value for name, value in sample.metrics.items() if name.startswith("motcua_pool_cut_total"))


def arrivals(written: Written, stood: int, rate: float, within: tuple[float, float]) -> list[tuple[str, str]]:
    """Return whether what was due was asked for, as (FAIL or NOTE, text): the open model's own promise."""
    began, ended = within
    asked = sum(began <= one.at <= ended and one.op != "counter item sealed" for one in written.asked)
    reached, left_out = asked / max(ended - began, 1e-6), sum(one.left_out for one in written.healths)
    came = sum(one.stood for one in written.healths)
    found = [
        (
            "NOTE" if reached >= RATE_LEAST * rate else "FAIL",
            f"{reached:.0f} requests/s came of {rate:g} that were due",
        ),
        (
            "NOTE",
            f"{stood} connections stood open beside them, which the server closed and they opened anew {came} times",
        ),
    ]
    return found + ([("FAIL", f"{left_out} acts were due and not begun: too many were under way")] if left_out else [])


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """Return by which part the memory of each part of the product grew from the second sixth to the last."""
    sixth = len(samples) // 6
    if not sixth:
        return {}

    def mean(those: Sequence[Sample], name: str) -> float:
        found = [one.parts[name].rss_mb for one in those if name in one.parts]
        return sum(found) / len(found) if found else 0.0

    early, late = samples[sixth : 2 * sixth], samples[-sixth:]
    return {name: mean(late, name) / before - 1 for name in late[-1].parts if (before := mean(early, name))}


def slopes(samples: Sequence[Sample]) -> dict[str, float]:
    """Return by how many MB an hour the memory of each part grew after the first third, by least squares."""
    late = samples[len(samples) // 3 :]
    found: dict[str, float] = {}
    for name in late[-1].parts if late else ():
        points = [(one.at / 3600, one.parts[name].rss_mb) for one in late if name in one.parts]
        if len({at for at, _ in points}) > 1:
            found[name] = linear_regression(*zip(*points, strict=True)).slope
    return found


def _size(sample: Sample, pool: str) -> float:
    return max(sample.metrics.get(f'motcua_pool_size{{pool="{pool}"}}', 1.0), 1.0)


def _loop_lag_ms(first: Sample, last: Sample) -> float:
    """Return the edge below which 99 of 100 ticks of the API's loop stayed between two looks."""
    counted = sorted(
        (float(found[1]), value - first.metrics.get(name, 0.0))
        for name, value in last.metrics.items()
        if (found := _LAG.fullmatch(name))
    )
    if not counted or not counted[-1][1]:
        return 0.0
    wanted = 0.99 * counted[-1][1]
    return next(edge for edge, below in counted if below >= wanted) * 1000


def server_drift(asked: Iterable[Asked], samples: Sequence[Sample]) -> Drift:
    """Hold the mean time of an answer as the clients saw it against what the API itself counted of the same routes."""
    first, last = samples[0], samples[-1]

    def grown(name: str) -> float:
        return sum(
            value - first.metrics.get(key, 0.0)
            for key, value in last.metrics.items()
            if key.startswith(f"motcua_http_seconds_{name}") and not _NOT_ALIKE.search(key)
        )

    count, seconds = grown("count"), grown("sum")
    mine = [one.ms for one in asked if first.at <= one.at <= last.at and one.op not in _SPANS and not one.slow]
    counted = seconds / count * 1000 if count else 0.0
    return Drift(
        what="an answer as clients saw it, and as the API counted it",
        count=len(mine) if count else 0,
        http_ms=sum(mine) / len(mine) if mine else 0.0,
        database_ms=counted,
        stall=_stalled(first, last),
    )


def series(written: Written, samples: Sequence[Sample], began: float) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return what is plotted: users, requests a second, p95, signatures a second, processors, stall."""
    seconds: dict[int, list[float]] = defaultdict(list)
    for one in written.asked:
        seconds[int(one.at - began)].append(one.ms)
    pairs = list(pairwise(samples))
    return {
        "users": tuple((level.at - began, float(level.users)) for level in together(written.levels)),
        "requests/s": tuple((float(at), float(len(those))) for at, those in sorted(seconds.items())),
        "p95 ms": tuple((float(at), part(sorted(those), 0.95)) for at, those in sorted(seconds.items())),
        "signatures/s": tuple(
            (b.at - began, max(0, b.signatures - a.signatures) / max(b.at - a.at, 0.1)) for a, b in pairs
        ),
        "cores": tuple((b.at - began, _cores(a, b)) for a, b in pairs),
        "stalled": tuple((b.at - began, _stalled(a, b)) for a, b in pairs),
    }


def _cores(a: Sample, b: Sample) -> float:
    used = sum(one.cpu_s - a.parts[name].cpu_s for name, one in b.parts.items() if name in a.parts)
    return max(0.0, used) / max(b.at - a.at, 0.1)


def _stalled(a: Sample, b: Sample) -> float:
    return min(1.0, (b.stalled_us - a.stalled_us) / 1e6 / max(b.at - a.at, 1e-6))
