"""What the web process counts: requests by route template (never by path), in-flight work.

With several workers each is a process of its own: `PROMETHEUS_MULTIPROC_DIR` (set by `api.http.server.main` before
the first import) makes one page of them all.
"""

import os
from functools import cache
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)

requests = Counter("motcua_http_requests_total", "Requests answered.", ["method", "route", "status"])
seconds = Histogram("motcua_http_seconds", "Time to answer, in seconds.", ["method", "route"], buckets=_BUCKETS)
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


@cache
def _bound_count(method: str, route: str, status: int) -> Counter:
    return requests.labels(method, route, str(status))


@cache
def _bound_seconds(method: str, route: str) -> Histogram:
    return seconds.labels(method, route)


def observe(method: str, route: str, status: int, took_s: float) -> None:
    """Count one answer; the label children are bound once and kept."""
    known = method if method in _METHODS else "other"
    _bound_count(known, route, status).inc()
    _bound_seconds(known, route).observe(took_s)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def page() -> bytes:
    """Return the page Prometheus reads: of all workers where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)
    return generate_latest(REGISTRY)
