"""One function per statement of `queries.sql`."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from api.db import queries
from api.db.pools import Tx
from api.kernel import Actor

if TYPE_CHECKING:
    from api.audit.rows import Entry

_q = queries.load("api.audit")


async def append_audit(tx: Tx, entry: "Entry", canonical: bytes, digest: bytes) -> None:
    """Insert one audit row."""
    await tx.execute(
        _q.append_audit,
        entry.at,
        entry.actor_account_id,
        entry.actor_post_id,
        entry.actor_agency_id,
        entry.process,
        entry.action,
        entry.subject_kind,
        entry.subject_id,
        entry.detail,
        entry.source,
        entry.trace_id,
        canonical,
        digest,
    )


async def append_view(tx: Tx, actor: Actor, subject_kind: str, subject_id: UUID, purpose: str, at: datetime) -> None:
    """Insert one row of the view log."""
    await tx.execute(_q.append_view, at, actor.account_id, actor.post_id, subject_kind, subject_id, purpose)
