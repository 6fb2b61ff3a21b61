"""Doing jobs: count the beginning, do the work, settle; try again with growing pauses; park what cannot be done.

PgQueuer hands out jobs at least once and cannot see that a job killed its process: it would be taken up for ever. So
each beginning is counted in `job_claim` and committed before the work begins. Work that was begun twice and never
ended is suspect and runs alone in its process, so that it takes no innocent neighbour with it; after the third it is
parked under its name. A lost database connection ends `run`, and the process with it: the supervisor starts it again.
Work that fails for want of its surroundings, such as room on a disk, waits for them and is never parked for it.
"""

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

import msgspec
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job as QueuedJob
from pgqueuer.domain.types import QueueExecutionMode
from pgqueuer.queries import Queries
from prometheus_client import Counter, Histogram

from api.db.faults import as_kind
from api.db.gathering import Gathered
from api.db.pools import Pools, Tx, open_pools
from api.errors import Broken, MotcuaError
from api.failpoints import reach
from api.jobs import store
from api.jobs.queue import Envelope, ParkedJob, claim_key
from api.jobs.work import Handler, JobContext, Park
from api.telemetry import spans

_log: Final = structlog.get_logger("jobs")
_ENDED: Final = Counter("motcua_jobs", "Jobs by kind and how their run ended.", ["kind", "outcome"])
_SECONDS: Final = Histogram(
    "motcua_job_seconds", "Seconds of work per run of a job.", ["kind"], buckets=(0.01, 0.05, 0.2, 1, 5, 20, 60, 300)
)
_SURROUNDINGS: Final = frozenset({"database-full", "database-away", "store-unavailable"})
"""Failures that say nothing about the work."""
_PAUSE_AS_AFTER: Final = 4
"""Such work pauses as after so many failures of its own: 8 s."""
_UPKEEP_S: Final = 60.0
_LOG_AGE: Final = timedelta(hours=6)
_CLAIM_AGE: Final = timedelta(days=7)


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often work may fail in order, how often it may take its process with it, the pauses, the time of one run."""

    max_failures: int = 8
    max_claims: int = 3
    first_pause: timedelta = timedelta(seconds=1)
    longest_pause: timedelta = timedelta(minutes=5)
    time_limit: timedelta = timedelta(minutes=15)

    def pause(self, failures: int) -> timedelta:
        """Return the pause after this many failures: doubled each time, spread by a quarter either way."""
        doubled = self.first_pause * 2 ** min(max(failures - 1, 0), 20)
        return min(doubled, self.longest_pause) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing


class ConnectionLost(ConnectionError):
    """The queue's session to the database is gone; the process ends and its supervisor starts it again."""


OnParked = Callable[[Tx, ParkedJob], Awaitable[None]]


class _Books:
    """Which work has begun and which has ended: what comes at the same moment is written in one statement."""

    def __init__(self, pools: Pools, suspect_from: int) -> None:
        self.pools = pools
        self.beginnings: Gathered[store.Beginning, store.Claim] = Gathered(
            pools, lambda tx, begun: store.claim(tx, begun, suspect_from), writes=True
        )
        self.ends: Gathered[str, None] = Gathered(pools, store.settle_done, writes=True)


class Runner:
    """Takes jobs of the given kinds from the queue, under the role of its DSN, until stopped."""

    def __init__(
        self,
        dsn: str,
        handlers: Mapping[str, Handler],
        *,
        on_parked: OnParked | None = None,
        batch_size: int = 10,
        max_concurrent_tasks: int = 20,
        policy: RetryPolicy | None = None,
        heartbeat_timeout: timedelta = timedelta(seconds=10),
        poll: timedelta = timedelta(milliseconds=200),
    ) -> None:
        """Bind handlers to kinds.

        Args:
            dsn: asyncpg DSN of the role that may take jobs (`signer` or `worker`).
            handlers: one per kind; each idempotent.
            on_parked: called in the transaction that parks, to write the audit row.
            batch_size: jobs claimed at once.
            max_concurrent_tasks: most jobs held at once, at least twice the batch.
            policy: how failures are counted, and how long a run may take.
            heartbeat_timeout: a process silent for so long has lost its jobs to others.
            poll: how often an empty queue is looked at, since nothing rings.
        """
        if max_concurrent_tasks < 2 * batch_size:
            raise ValueError("max_concurrent_tasks is at least twice the batch size")
        self._dsn = dsn
        self._handlers = dict(handlers)
        self._on_parked = on_parked
        self._batch_size = batch_size
        self._max_tasks = max_concurrent_tasks
        self._policy = policy or RetryPolicy()
        self._heartbeat_timeout = heartbeat_timeout
        self._poll = poll
        self._suspects = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._books: _Books | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds this runner does."""
        return frozenset(self._handlers)

    async def run(self) -> None:
        """Do jobs until `stop`; what runs then is finished first.

        Raises:
            ConnectionLost: the session to the database is gone.
        """
        await self._work(QueueExecutionMode.continuous)

    async def drain(self) -> None:
        """Do jobs until none waits, also none that is put off."""
        await self._work(QueueExecutionMode.drain)

    def stop(self) -> None:
        """Take no further job; `run` returns once the running ones have ended."""
        self._stopping.set()

    async def _work(self, mode: QueueExecutionMode) -> None:
        async with AsyncExitStack() as stack:
            session = await store.open_session(self._dsn)
            stack.push_async_callback(store.close_session, session)
            pools = await open_pools(self._dsn, read_size=1, write_size=4, budget_s=30)
            stack.push_async_callback(pools.close)
            self._books = _Books(pools, self._policy.max_claims - 1)
            manager = QueueManager(Queries(AsyncpgDriver(session)))
            for kind in self._handlers:
                manager.entrypoint(kind, accepts_context=False, on_failure="hold")(self._do)
            tasks = [asyncio.create_task(self._relay_stop(manager)), asyncio.create_task(self._upkeep())]
            stack.push_async_callback(_cancel, tasks)
            try:
                await manager.run(
                    dequeue_timeout=self._poll,
                    batch_size=self._batch_size,
                    mode=mode,
                    max_concurrent_tasks=self._max_tasks,
                    heartbeat_timeout=self._heartbeat_timeout,
                    log_aggregation_interval=timedelta(),
                )
            except Exception as error:
                if session.is_closed():
                    raise ConnectionLost("the queue's database connection was lost") from error
                raise

    async def _relay_stop(self, manager: QueueManager) -> None:
        await self._stopping.wait()
        manager.shutdown.set()

    async def _upkeep(self) -> None:
        while True:
            try:
                async with self._open_books().pools.transaction() as tx:
                    await store.release_held(tx, sorted(self._handlers))
                    await store.purge(tx, _LOG_AGE, _CLAIM_AGE)
            except Exception:  # noqa: BLE001 - upkeep is tried again in a minute; the work itself must go on
                _log.warning("job_upkeep_failed", exc_info=True)
            await asyncio.sleep(_UPKEEP_S)

    def _open_books(self) -> _Books:
        if self._books is None:
            raise Broken("Bộ chạy việc chưa khởi động.", "The runner has not been started.")
        return self._books

    async def _do(self, job: QueuedJob) -> None:
        envelope = msgspec.json.decode(job.payload or b"", type=Envelope)
        key = claim_key(job.entrypoint, envelope.key)
        begun = store.Beginning(key, job.entrypoint, int(job.id))
        try:
            claim = await self._counted(begun)
            if not claim.suspect:
                await self._do_claimed(job, envelope, key, claim)
                return
            async with self._suspects:
                claim = await self._counted(msgspec.structs.replace(begun, alone=True))
                await self._do_claimed(job, envelope, key, claim)
        except RetryRequested:
            raise
        except Exception:  # noqa: BLE001 - an error let out would end the job for good
            # Our own book-keeping failed, mostly for want of a database: nothing is known to be wrong with the work.
            _log.exception("job_bookkeeping_failed", kind=job.entrypoint, key=envelope.key)
            raise RetryRequested(self._policy.first_pause, "book-keeping failed") from None

    async def _counted(self, begun: store.Beginning) -> store.Claim:
        """Count a beginning, together with those of the same moment."""
        claim = await self._open_books().beginnings.get(begun)
        if claim is None:
            raise Broken("Không đếm được lượt nhận việc.", "A claim could not be counted.")
        return claim

    async def _do_claimed(self, job: QueuedJob, envelope: Envelope, key: str, claim: store.Claim) -> None:
        if claim.parked:
            _ENDED.labels(job.entrypoint, "parked_before").inc()
            _log.warning("job_is_parked", key=key)
            return
        if claim.claims > self._policy.max_claims:
            times = self._policy.max_claims
            async with self._open_books().pools.transaction() as tx:
                await self._park(tx, job, key, f"begun {times} times, and each time its process died")
            return
        context = JobContext(
            kind=job.entrypoint,
            key=envelope.key,
            claim=claim.claims,
            failures=claim.failures,
            ends_at=time.monotonic() + self._policy.time_limit.total_seconds(),
        )
        with spans.job(job.entrypoint, key, envelope.trace, run=claim.claims + claim.failures) as span:
            await self._run_handler(job, context, envelope.ids, key, span)

    async def _run_handler(
        self, job: QueuedJob, context: JobContext, ids: dict[str, Any], key: str, span: spans.Span
    ) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._policy.time_limit.total_seconds()):
                await self._handlers[job.entrypoint](context, ids)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is a failure of this job alone
            span.failed = type(error).__name__
            # The frames say where; the message of a strange error could hold somebody's data.
            frames = traceback.format_tb(error.__traceback__)[-3:]
            _log.warning("job_failed", key=key, failures=context.failures + 1, error=_name(error), frames=frames)
            await self._settle_failure(job, key, error)
        else:
            await self._open_books().ends.get(key)
            await reach("settled", key)
            _ENDED.labels(job.entrypoint, "done").inc()
            _log.info("job", key=key, ms=round((time.perf_counter() - began) * 1000, 1))
        finally:
            _SECONDS.labels(job.entrypoint).observe(time.perf_counter() - began)

    async def _settle_failure(self, job: QueuedJob, key: str, error: Exception) -> None:
        own = not _of_the_surroundings(error)
        async with self._open_books().pools.transaction() as tx:
            failures = await store.settle_failed(tx, key, counted=own)
            if own and (isinstance(error, Park) or failures >= self._policy.max_failures):
                await self._park(tx, job, key, _reason(error, failures))
                return
        _ENDED.labels(job.entrypoint, "failed" if own else "put_off").inc()
        pause = self._policy.pause(failures if own else _PAUSE_AS_AFTER)
        raise RetryRequested(pause, type(error).__name__) from None

    async def _park(self, tx: Tx, job: QueuedJob, key: str, reason: str) -> None:
        parked = await store.park(tx, key, reason, job.payload or b"", job.priority)
        _ENDED.labels(job.entrypoint, "parked").inc()
        _log.error("job_parked", key=key, reason=reason)
        if parked is not None and self._on_parked is not None:
            await self._on_parked(tx, parked)


def _of_the_surroundings(error: Exception) -> bool:
    kind = error if isinstance(error, MotcuaError) else as_kind(error)
    return kind is not None and kind.kind_code in _SURROUNDINGS


def _reason(error: Exception, failures: int) -> str:
    """Name what went wrong without quoting a text that could hold somebody's data."""
    if isinstance(error, Park):
        return str(error) or "parked by its handler"
    return f"failed {failures} times, at last with {_name(error)}"


def _name(error: Exception) -> str:
    return f"{type(error).__name__} ({error.kind_code})" if isinstance(error, MotcuaError) else type(error).__name__


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
