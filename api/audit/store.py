"""One function per statement of `queries.sql`."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from api.audit.chain import Signed
from api.db import queries
from api.db.pools import Row, Tx, as_structs
from api.kernel import Actor

if TYPE_CHECKING:
    from api.audit.rows import Columns

_q = queries.load("api.audit")


class RowToChain(msgspec.Struct, frozen=True):
    """What a link covers of an audit row."""

    id: int
    xid: int
    recorded_at: datetime
    digest: bytes


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A right that somebody no longer has. `what`: factor, passkey, certificate, mandate, post, account, lock, loss."""

    what: str
    id: UUID
    account_id: UUID | None
    state: str
    """Of an account: locked or closed; empty for all else."""
    ended_at: datetime


class Waiting(msgspec.Struct, frozen=True):
    """How far the sealer is behind."""

    rows: int
    oldest_s: float
    next_xid: int


async def append_audit(tx: Tx, row: "Columns") -> None:
    """Insert one audit row."""
    await tx.execute(_q.append_audit, *row)


async def append_all(tx: Tx, rows: Iterable["Columns"]) -> None:
    """Insert many audit rows in one go."""
    await tx.executemany(_q.append_audit, rows)


async def append_view(tx: Tx, actor: Actor, subject_kind: str, subject_id: UUID, purpose: str, at: datetime) -> None:
    """Insert one row of the view log."""
    await tx.execute(_q.append_view, at, actor.account_id, actor.post_id, subject_kind, subject_id, purpose)


async def lock_sealer(tx: Tx) -> bool:
    """Become the one sealer until this transaction ends; False where another is."""
    return bool(await tx.fetchval(_q.lock_sealer))


async def last_checkpoint(tx: Tx) -> Signed | None:
    """Return the newest checkpoint in the database."""
    row = await tx.fetchrow(_q.last_checkpoint)
    return _signed(row) if row else None


async def checkpoint_body(tx: Tx, number: int) -> str | None:
    """Return the body of one checkpoint."""
    body: str | None = await tx.fetchval(_q.checkpoint_body, number)
    return body


async def checkpoints_after(tx: Tx, number: int, limit: int) -> list[Signed]:
    """Return the checkpoints that follow this number, in order."""
    return [_signed(row) for row in await tx.fetch(_q.checkpoints_after, number, limit)]


async def audit_keys(tx: Tx) -> list[Signed]:
    """Return the notes of the checkpoint keys, each signed by one before it."""
    return [_signed(row) for row in await tx.fetch(_q.audit_keys)]


async def insert_audit_key(tx: Tx, key_id: str, note: Signed) -> None:
    """Keep the note of a key."""
    await tx.execute(_q.insert_audit_key, key_id, note.body, bytes.fromhex(note.signature))


async def rows_to_chain(tx: Tx, xid: int, audit_id: int, limit: int) -> list[RowToChain]:
    """Return the next rows that are committed for good, in the order of the chain."""
    return as_structs(await tx.fetch(_q.rows_to_chain, xid, audit_id, limit), RowToChain)


async def insert_links(tx: Tx, positions: Sequence[int], ids: Sequence[int], hashes: Sequence[bytes]) -> None:
    """Write the links of these rows."""
    await tx.execute(_q.insert_links, positions, ids, hashes)


async def insert_checkpoint(tx: Tx, number: int, signed: Signed) -> None:
    """Keep a signed checkpoint."""
    await tx.execute(_q.insert_checkpoint, number, signed.body, bytes.fromhex(signed.signature))


async def unsealed(tx: Tx, xid: int, audit_id: int) -> Waiting:
    """Return how many rows follow this one, and for how long the oldest has waited."""
    return as_structs([await tx.fetchrow(_q.unsealed, xid, audit_id)], Waiting)[0]


def _signed(row: Row) -> Signed:
    return Signed(row["body"], row["signature"].hex())


async def chain(tx: Tx, after: int) -> AsyncIterator[Row]:
    """Go through the links after a position with their rows, a thousand at a time."""
    async for row in tx.cursor(_q.chain, after, prefetch=1_000):
        yield row


async def chain_length(tx: Tx) -> int:
    """Return the last position of the chain."""
    length: int = await tx.fetchval(_q.chain_length)
    return length


async def never_chained(tx: Tx, xid: int, audit_id: int) -> list[int]:
    """Return the rows that stand before this one without a link."""
    return [row["id"] for row in await tx.fetch(_q.never_chained, xid, audit_id)]


async def checkpoint_before(tx: Tx, at: datetime) -> Signed | None:
    """Return the last checkpoint signed at or before an instant."""
    row = await tx.fetchrow(_q.checkpoint_before, at)
    return _signed(row) if row else None


async def ended_rights(tx: Tx) -> list[Ended]:
    """Return every right that somebody no longer has."""
    return as_structs(await tx.fetch(_q.ended_rights), Ended)


async def in_force(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these are in force."""
    return {row["id"] for row in await tx.fetch(_q.in_force, ids)}
