"""What every process tells of itself: how late its event loop is, its database connections, its disks, its PDF pool."""

import asyncio
import gc
import shutil
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import structlog
from prometheus_client import Counter, Gauge, Histogram

from api.telemetry import spans

_log: Final = structlog.get_logger("telemetry")

_LAG: Final = Histogram(
    "motcua_event_loop_lag_seconds",
    "How late the event loop was at each of its ticks, in seconds.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5),
)
_POOL_IN_USE: Final = Gauge(
    "motcua_pool_in_use", "Database connections in use, by pool.", ["pool"], multiprocess_mode="livesum"
)
_POOL_PEAK: Final = Gauge(
    "motcua_pool_peak",
    "Most connections of one process in use at once within the last minute or two, by pool.",
    ["pool"],
    multiprocess_mode="livemax",
)
_POOL_SIZE: Final = Gauge(
    "motcua_pool_size", "Database connections that a pool may open.", ["pool"], multiprocess_mode="livesum"
)
_POOL_BUSY: Final = Counter(
    "motcua_pool_busy_seconds", "Seconds for which connections were in use, added up, by pool.", ["pool"]
)
_DISK_FREE: Final = Gauge("motcua_disk_free_bytes", "Free bytes of the disk on which these files lie.", ["files"])
_DISK_SIZE: Final = Gauge("motcua_disk_size_bytes", "Size in bytes of the disk on which these files lie.", ["files"])
_PDF: Final = Gauge("motcua_pdf_processes", "PDF processes: busy, the most at once, lost since the start.", ["what"])

COLLECT_AFTER: Final = (20_000, 10, 10)
"""Objects made and not freed before the youngest are looked through (some 5 MB); every how many times the older are."""
SAMPLE_EVERY_S: Final = 15.0
_TICK_S: Final = 0.25


class _Pool(Protocol):
    """What is asked of a pool of connections."""

    @property
    def name(self) -> str: ...
    @property
    def in_use(self) -> int: ...
    @property
    def size(self) -> int: ...
    def peak(self) -> int: ...
    def take_busy_s(self) -> float: ...


class _Processes(Protocol):
    """What is asked of a pool of PDF processes."""

    @property
    def size(self) -> int: ...
    @property
    def busy(self) -> int: ...
    @property
    def lost(self) -> int: ...


def spare_the_collector() -> None:
    """Keep what stands since the start out of garbage collection, and let it come less often: for the end of a start.

    Looking through a hundred thousand objects that never die, some seventy times a second, took a quarter of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


@contextmanager
def sending_spans(process: str, otlp_url: str) -> Generator[None]:
    """Send spans to a collector while the block runs; without an address nothing is loaded and nothing is sent."""
    if not otlp_url:
        yield
        return
    from api.telemetry.otlp import Sender  # noqa: PLC0415 - OpenTelemetry costs start-up time and memory

    sender = Sender(otlp_url, process)
    spans.send_to(sender)
    try:
        yield
    finally:
        spans.send_to(None)
        sender.close()


async def watch_loop(pools: Iterable[_Pool]) -> None:
    """Measure for ever how late the event loop wakes up and how full the pools are; cancel to stop."""
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(_TICK_S)
        _LAG.observe(max(time.perf_counter() - asked - _TICK_S, 0.0))
        note_pools(pools)


def note_pools(pools: Iterable[_Pool]) -> None:
    """Say how many connections of each pool are in use, and were at most."""
    for pool in pools:
        _POOL_IN_USE.labels(pool.name).set(pool.in_use)
        _POOL_PEAK.labels(pool.name).set(pool.peak())
        _POOL_BUSY.labels(pool.name).inc(pool.take_busy_s())
        _POOL_SIZE.labels(pool.name).set(pool.size)


def note_disks(places: Mapping[str, Path | None]) -> None:
    """Say how full the disks are on which these files lie; a place that is not there is left out."""
    for name, place in places.items():
        if place is not None and place.is_dir():
            disk = shutil.disk_usage(place)
            _DISK_FREE.labels(name).set(disk.free)
            _DISK_SIZE.labels(name).set(disk.total)


def note_processes(processes: _Processes) -> None:
    """Say how many PDF processes work, and how many died in mid-task or took too long."""
    _PDF.labels("busy").set(processes.busy)
    _PDF.labels("most").set(processes.size)
    _PDF.labels("lost").set(processes.lost)


async def sampling(*samples: Callable[[], Awaitable[None]]) -> None:
    """Take each sample every 15 s for ever; one that fails leaves its gauges as they were and is taken again."""
    while True:
        for sample in samples:
            try:
                await sample()
            except Exception:  # noqa: BLE001 - a gauge that is stale is no reason to stop working
                _log.warning("sample_failed", exc_info=True)
        await asyncio.sleep(SAMPLE_EVERY_S)
