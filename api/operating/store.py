"""One function per statement of `queries.sql`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from api.operating import rows

_q: Final = queries.load("api.operating")


async def open_stages(tx: Tx) -> list[rows.Stage]:
    """Count what stands in each open stage."""
    return as_structs(await tx.fetch(_q.open_stages), rows.Stage)


async def open_tickets(tx: Tx) -> rows.OpenTickets:
    """Count the open tickets."""
    return msgspec.convert(dict(await tx.fetchrow(_q.open_tickets)), rows.OpenTickets)


async def parked_kinds(tx: Tx) -> list[rows.ParkedKind]:
    """Count what lies parked."""
    return as_structs(await tx.fetch(_q.parked_kinds), rows.ParkedKind)


async def key_use_differences(tx: Tx) -> int:
    """Count the transactions of the last day that the key holders' own accounts tell otherwise."""
    return await tx.fetchval(_q.key_use_differences)


async def level_debt(tx: Tx) -> rows.LevelDebt:
    """Sum up what sealed documents owe."""
    return msgspec.convert(dict(await tx.fetchrow(_q.level_debt)), rows.LevelDebt)


async def expiring_certificates(tx: Tx, within: timedelta, limit: int) -> list[rows.Expiring]:
    """Return the certificates that end within this time and have no successor."""
    return as_structs(await tx.fetch(_q.expiring_certificates, within, limit), rows.Expiring)


async def ticket(tx: Tx, ticket_id: UUID) -> rows.Ticket | None:
    """Return a ticket's head."""
    return as_struct(await tx.fetchrow(_q.ticket, ticket_id), rows.Ticket)


async def items(tx: Tx, ticket_id: UUID) -> list[rows.Item]:
    """Return a ticket's items with their stages."""
    return as_structs(await tx.fetch(_q.items, ticket_id), rows.Item)


async def transactions(tx: Tx, ticket_id: UUID) -> list[rows.Transaction]:
    """Return what was asked of key holders."""
    return as_structs(await tx.fetch(_q.transactions, ticket_id), rows.Transaction)


async def jobs_of(tx: Tx, ids: Sequence[str]) -> list[rows.JobLine]:
    """Return the unfinished jobs whose key names one of these ids."""
    return as_structs(await tx.fetch(_q.jobs_of, ids), rows.JobLine)


async def audit_of(tx: Tx, ticket: rows.Ticket, request_ids: Sequence[UUID]) -> list[rows.AuditLine]:
    """Return the audit rows of a ticket."""
    whose = (ticket.account_id, ticket.trace_id)
    return as_structs(await tx.fetch(_q.audit_of, ticket.id, request_ids, *whose), rows.AuditLine)


async def failures(tx: Tx, account_id: UUID | None, ticket_id: UUID | None, limit: int) -> list[rows.Failure]:
    """Return the last items that ended without a signature."""
    return as_structs(await tx.fetch(_q.failures, account_id, ticket_id, limit), rows.Failure)


async def account_id(tx: Tx, login: str) -> UUID | None:
    """Return whose log-in this is, or None."""
    return await tx.fetchval(_q.account_id, login)


async def forget_attempts(tx: Tx, before: datetime, limit: int) -> int:
    """Forget old attempts to log in; return how many."""
    return int((await tx.execute(_q.forget_attempts, before, limit)).rpartition(" ")[2])
