"""One function per statement of `handing.sql`: what a signatory's own program handed back, and its judgement."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Tx, as_structs
from api.signatures.engine.rows import Preparation
from api.signatures.engine.store import Detail

_q: Final = queries.load("api.signatures.engine", "handing.sql")


class Handed(Preparation, frozen=True, kw_only=True):
    """One item as it was handed back, with the preparation that it is for.

    `said_certificate` is what came with a raw value; `waited_for` says whether its transaction still waits for it.
    """

    handed_id: UUID
    value: bytes | None
    said_certificate: bytes | None
    file_sha256: bytes | None
    id: UUID
    attempt: int
    batch_id: UUID
    number_id: UUID | None
    lane: str
    waited_for: bool


async def to_judge(tx: Tx, ids: Sequence[UUID]) -> list[Handed]:
    """Return what nobody has judged yet, in the order in which it came."""
    return as_structs(await tx.fetch(_q.handed_to_judge, ids), Handed)


async def lock_waiting(tx: Tx, transaction_id: str) -> set[UUID]:
    """Lock a transaction with what it still waits for; return which, none where it has ended."""
    return {row["id"] for row in await tx.fetch(_q.lock_waiting, transaction_id)}


async def insert_verdict(
    tx: Tx, handed_id: UUID, code: str, detail: Detail | None, verdict: Mapping[str, Any] | None, at: datetime
) -> None:
    """Write a judgement; the first one stays."""
    await tx.execute(_q.insert_handed_verdict, handed_id, code, detail, verdict, at)


async def insert_late_verdicts(tx: Tx, ids: Sequence[UUID], code: str, at: datetime) -> None:
    """Judge the rest of a call, for which nothing waits."""
    await tx.execute(_q.insert_late_verdicts, ids, code, at)


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {"handed_to_judge": Handed}
"""Which Struct each reading statement fills; a test compares their columns."""
