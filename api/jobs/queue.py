"""Putting jobs in, and looking at what waits or lies parked."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import msgspec

from api.db.pools import Tx
from api.errors import NotFound
from api.jobs import store
from api.jobs.store import Depth, ParkedJob
from api.telemetry import spans

__all__ = ["Depth", "Job", "ParkedJob", "depths", "drop", "enqueue", "enqueue_many", "parked", "unpark", "withdraw"]

_AT_ONCE: Final = timedelta()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work. `key` is its natural key within the kind; `payload` holds ids only, never personal data."""

    kind: str
    key: str
    payload: Mapping[str, Any]
    priority: int = 0
    dedupe: bool = True
    after: timedelta = _AT_ONCE


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in PgQueuer's payload column."""

    key: str
    ids: dict[str, Any]
    trace: str | None = None
    """The traceparent of what ordered the work."""


def claim_key(kind: str, key: str) -> str:
    """Return the name under which the claims of a piece of work are counted and under which it is parked."""
    return f"{kind}:{key}"


async def enqueue(
    tx: Tx,
    kind: str,
    key: str,
    payload: Mapping[str, Any],
    *,
    priority: int = 0,
    dedupe: bool = True,
    after: timedelta = _AT_ONCE,
) -> bool:
    """Put one job in within the caller's transaction; return whether it is new.

    Args:
        tx: the caller's transaction; a rollback takes the job with it.
        kind: `slice.verb`; some process must have a handler for it.
        key: natural key of the work within the kind: claims are counted and the work is parked under it.
        payload: ids only.
        priority: higher goes first within a kind.
        dedupe: leave it out while a job of the same kind and key waits *or runs*. Work that can arise again while an
            earlier job of its key runs needs False or a key of its own, or the news is lost.
        after: not before this long from now.
    """
    return (
        await enqueue_many(
            tx, [Job(kind=kind, key=key, payload=payload, priority=priority, dedupe=dedupe, after=after)]
        )
        == 1
    )


async def enqueue_many(tx: Tx, jobs: Sequence[Job]) -> int:
    """Put many jobs in with one statement; return how many are new."""
    if not jobs:
        return 0
    return await store.insert(
        tx,
        [job.priority for job in jobs],
        [job.kind for job in jobs],
        [msgspec.json.encode(Envelope(key=job.key, ids=dict(job.payload), trace=spans.origin())) for job in jobs],
        [job.after for job in jobs],
        [claim_key(job.kind, job.key) if job.dedupe else None for job in jobs],
    )


async def withdraw(tx: Tx, kind: str, keys: Sequence[str]) -> None:
    """Take out jobs of a kind whose work was done together with another's; one that was begun goes on."""
    await store.withdraw(tx, [claim_key(kind, key) for key in keys])


async def unpark(tx: Tx, key: str) -> str:
    """Put parked work back into the queue with its counts at nought; return its kind.

    Raises:
        NotFound: nothing is parked under that key.
    """
    released = await store.unpark(tx, key)
    if released is None:
        raise _not_parked(key)
    await store.insert(tx, [released.priority], [released.kind], [released.payload], [_AT_ONCE], [key])
    return released.kind


async def drop(tx: Tx, key: str) -> str:
    """Forget parked work for good; return its kind.

    Raises:
        NotFound: nothing is parked under that key.
    """
    kind = await store.drop(tx, key)
    if kind is None:
        raise _not_parked(key)
    return kind


def _not_parked(key: str) -> NotFound:
    return NotFound("Không có việc nào đang tạm giữ với khóa này.", "Nothing is parked under this key.", key=key)


async def parked(tx: Tx, limit: int = 100) -> list[ParkedJob]:
    """List parked work, oldest first."""
    return await store.parked(tx, limit)


async def depths(tx: Tx) -> list[Depth]:
    """Count waiting and running jobs by kind."""
    return await store.depths(tx)
