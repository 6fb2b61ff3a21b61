"""One function per statement of `queries.sql`; the only module of this package that knows the driver."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs

_q: Final = queries.load("api.jobs")
_COMMAND_TIMEOUT_S: Final = 30


class Beginning(msgspec.Struct, frozen=True):
    """Work that is about to begin; `alone` where nothing else runs beside it in its process. `run` tells jobs apart."""

    key: str
    kind: str
    run: int
    alone: bool = False


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The count of a piece of work after this beginning; what is suspect has not been counted and must run alone."""

    key: str
    claims: int
    failures: int
    parked: bool
    suspect: bool


class ParkedJob(msgspec.Struct, frozen=True, kw_only=True):
    """Work put aside (tạm giữ, cần người xem): `key` is `kind:key`, and `unpark` takes it up again."""

    key: str
    kind: str
    claims: int
    failures: int
    parked_at: datetime
    reason: str


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a kind waits and runs; `oldest_s` is how many seconds the oldest due job has waited."""

    kind: str
    queued: int
    running: int
    oldest_s: float


class _Released(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    payload: bytes
    priority: int


async def open_session(dsn: str) -> asyncpg.Connection:
    """Open the one session on which PgQueuer works: losing it, or its silence for 30 s, ends the runner."""
    return await asyncpg.connect(
        dsn, timeout=10, command_timeout=_COMMAND_TIMEOUT_S, server_settings={"application_name": "motcua-jobs"}
    )


async def close_session(session: asyncpg.Connection) -> None:
    """Close a session in order, or at once where it is broken; why the work ended must not be hidden by this."""
    try:
        await session.close(timeout=5)
    except Exception:  # noqa: BLE001 - whatever a broken connection raises, it is cut
        session.terminate()


async def insert(
    tx: Tx,
    priorities: Sequence[int],
    kinds: Sequence[str],
    payloads: Sequence[bytes],
    afters: Sequence[timedelta],
    dedupe_keys: Sequence[str | None],
) -> int:
    """Insert jobs; return how many were new."""
    return len(await tx.fetch(_q.enqueue, priorities, kinds, payloads, afters, dedupe_keys))


async def claim(tx: Tx, begun: Sequence[Beginning], suspect_from: int) -> dict[Beginning, Claim]:
    """Count these beginnings, each key once a statement; so many unfinished ones make work suspect."""
    found: dict[Beginning, Claim] = {}
    while left := {one.key: one for one in begun if one not in found}:
        keys, alone = sorted(left), [key for key, one in left.items() if one.alone]
        rows = await tx.fetch(_q.claim, keys, [left[key].kind for key in keys], alone, suspect_from)
        found |= {left[claim.key]: claim for claim in as_structs(rows, Claim)}
    return found


async def settle_done(tx: Tx, keys: Sequence[str]) -> dict[str, None]:
    """Forget the claims of finished work."""
    await tx.execute(_q.settle_done, keys)
    return {}


async def settle_failed(tx: Tx, key: str, *, counted: bool) -> int:
    """Take one claim back, and count it as a failure or not; return the number of failures."""
    return await tx.fetchval(_q.settle_failed, key, int(counted)) or 0


async def park(tx: Tx, key: str, reason: str, payload: bytes, priority: int) -> ParkedJob | None:
    """Put work aside; None when it already was."""
    return as_struct(await tx.fetchrow(_q.park, key, reason, payload, priority), ParkedJob)


async def unpark(tx: Tx, key: str) -> _Released | None:
    """Take parked work out again; None when nothing of that key is parked."""
    return as_struct(await tx.fetchrow(_q.unpark, key), _Released)


async def drop(tx: Tx, key: str) -> str | None:
    """Forget parked work; return its kind, or None when nothing of that key is parked."""
    return await tx.fetchval(_q.drop, key)


async def parked(tx: Tx, limit: int) -> list[ParkedJob]:
    """List parked work, oldest first."""
    return as_structs(await tx.fetch(_q.parked, limit), ParkedJob)


async def depths(tx: Tx) -> list[Depth]:
    """Count waiting and running jobs by kind."""
    return as_structs(await tx.fetch(_q.depths), Depth)


async def release_held(tx: Tx, kinds: Sequence[str]) -> int:
    """Queue held jobs again; return how many."""
    return len(await tx.fetch(_q.release_held, kinds))


async def purge(tx: Tx, log_age: timedelta, claim_age: timedelta) -> None:
    """Shorten the log and drop claims without a job."""
    await tx.execute(_q.purge_log, log_age)
    await tx.execute(_q.purge_claims, claim_age)


async def withdraw(tx: Tx, keys: Sequence[str]) -> None:
    """Take jobs out that nobody has begun."""
    await tx.execute(_q.withdraw, keys)
