"""What the web process counts: requests by route template (never by path), in-flight work.

With several workers each is a process of its own: `PROMETHEUS_MULTIPROC_DIR` (set by `api.http.server.main` before
the first import) makes one page of them all.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from itertools import accumulate
from math import inf
from typing import Final

import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)

_admitted = Gauge("motcua_admitted", "Requests inside, by class of work.", ["work"], multiprocess_mode="livesum")
_in_flight = Gauge("motcua_http_in_flight", "Requests being worked on.", multiprocess_mode="livesum")
shed = Counter("motcua_shed_total", "Requests turned away with 503, by class of work.", ["work"])
callers_gone = Counter("motcua_callers_gone_total", "Requests ended because their caller had gone.", ["route"])


class Level:
    """How many there are at present: a plain number, since it moves twice with every request."""

    def __init__(self) -> None:
        """Begin with none."""
        self.now = 0

    def inc(self) -> None:
        """One more."""
        self.now += 1

    def dec(self) -> None:
        """One less."""
        self.now -= 1


def _level(gauge: Gauge) -> Level | Gauge:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return gauge  # others read its value in a file that is written at each change
    level = Level()
    gauge.set_function(lambda: level.now)
    return level


in_flight: Final = _level(_in_flight)


@cache
def admitted(work: str) -> Level | Gauge:
    """Return the level of those inside of one class of work."""
    return _level(_admitted.labels(work))


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUESTS: Final = ("motcua_http_requests", "Requests answered.", ("method", "route", "status"))
_SECONDS: Final = ("motcua_http_seconds", "Time to answer, in seconds.", ("method", "route"))


class _Tally(msgspec.Struct):
    """The answers of one route in plain numbers: how long they took by bucket, and how they ended."""

    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    seconds: float = 0.0
    by_status: dict[int, int] = {}


class _Tallies(Collector):
    """The answers of a process that is alone: the library's own counters take a lock each, three with every answer."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], _Tally] = {}

    def observe(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one answer."""
        tally = self._of.get((method, route))
        if tally is None:
            tally = self._of[method, route] = _Tally()
        tally.buckets[bisect_left(_BUCKETS, took_s)] += 1
        tally.seconds += took_s
        tally.by_status[status] = tally.by_status.get(status, 0) + 1

    def collect(self) -> Iterable[Metric]:
        """Return what the library would have counted."""
        requests, seconds = (
            CounterMetricFamily(*_REQUESTS[:2], labels=_REQUESTS[2]),
            HistogramMetricFamily(*_SECONDS[:2], labels=_SECONDS[2]),
        )
        bounds = [*map(floatToGoString, (*_BUCKETS, inf))]
        for (method, route), tally in list(self._of.items()):  # a copy: the page is made beside the event loop
            for status, count in list(tally.by_status.items()):
                requests.add_metric((method, route, str(status)), count)
            told = [*zip(bounds, accumulate(tally.buckets), strict=True)]
            seconds.add_metric((method, route), told, tally.seconds)
        return requests, seconds


class _Shared:
    """The answers of several processes, in the library's counters, whose values stand in files for one page."""

    def __init__(self) -> None:
        self._requests = Counter(*_REQUESTS)
        self._seconds = Histogram(*_SECONDS, buckets=_BUCKETS)
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one answer."""
        bound = self._bound.get((method, route, status))
        if bound is None:
            bound = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
            self._bound[method, route, status] = bound
        bound[0].inc()
        bound[1].observe(took_s)


def _answers() -> _Tallies | _Shared:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return _Shared()
    tallies = _Tallies()
    REGISTRY.register(tallies)
    return tallies


_observe: Final = _answers().observe


def observe(method: str, route: str, status: int, took_s: float) -> None:
    """Count one answer by its route's template; methods that nobody has named are one."""
    _observe(method if method in _METHODS else "other", route, status, took_s)


def page() -> bytes:
    """Return the page Prometheus reads: of all workers where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)
    return generate_latest(REGISTRY)
