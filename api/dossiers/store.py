"""The dossiers' statements, one function each; nothing here decides anything."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from api import audit
from api.db.pools import Row, Tx, as_struct, as_structs
from api.db.queries import load
from api.dossiers.codes import CodeForm
from api.dossiers.contract import DeadlineGiven, DeliveryRow, LineRow, Task
from api.dossiers.lifecycle import Entry
from api.dossiers.projection import Projection
from api.dossiers.rows import FeeOwed, Filing, Holder, LockedRow, Source, ViewRow, Work
from api.errors import Conflict

q: Final = load("api.dossiers")

COLUMNS: Final = Projection.__struct_fields__
"""The columns of a dossier row in the order in which they are written."""
_FIXED: Final = frozenset(
    {
        "id", "code", "seq", "procedure_code", "calendar_version", "form_version",
        "fee_version", "channel", "help_agency_id", "receipt_agency_id", "owning_system", "territory_code",
        "submitted_at",
    }
)  # fmt: skip
MOVING: Final = tuple(name for name in COLUMNS if name not in _FIXED)
"""The columns that a step may change."""


async def lock_dossier(tx: Tx, dossier: UUID | str) -> LockedRow | None:
    """Lock and return one dossier, by its id or its code, with who has taken its work."""
    id_, code = (dossier, None) if isinstance(dossier, UUID) else (None, dossier)
    return await as_locked(tx, await tx.fetchrow(q.lock_dossier, id_, code))


async def lock_dossier_once(tx: Tx, code: str, intent: tuple[str, str, str]) -> Row:
    """Take an intent and, if it is ours and new, lock a dossier with it; `as_locked` reads what this returns."""
    return await tx.fetchrow(q.lock_dossier_once, code, *intent)


async def as_locked(tx: Tx, found: Row | None) -> LockedRow | None:
    """Return a dossier that was locked, or None where there is none."""
    row = as_struct(found if found and found["id"] else None, LockedRow)
    if row is None or row.seen == row.seq:
        return row
    # The lock was waited for, and whoever had it may have given the work to another.
    return msgspec.structs.replace(row, holders=tuple(as_structs(await tx.fetch(q.holders, row.id), Holder)))


async def dossier_by_code(tx: Tx, code: str) -> Projection | None:
    """Return one dossier by its code."""
    return as_struct(await tx.fetchrow(q.dossier_by_code, code), Projection)


async def dossier_view(tx: Tx, code: str) -> ViewRow | None:
    """Return all that an officer's page shows."""
    return as_struct(await tx.fetchrow(q.dossier_view, code), ViewRow)


async def dossiers_after(tx: Tx, after: UUID, limit: int) -> list[asyncpg.Record]:
    """Return the next dossier rows by id, as they stand in the table."""
    return await tx.fetch(q.dossiers_after, after, limit)


async def effects_between(tx: Tx, first: UUID, last: UUID) -> list[asyncpg.Record]:
    """Return dossier, line number and effect of every journal line of a range of dossiers, in order."""
    return await tx.fetch(q.effects_between, first, last)


async def journals_without_dossier(tx: Tx) -> list[UUID]:
    """Return dossiers that have a journal and no row."""
    return [row["dossier_id"] for row in await tx.fetch(q.journals_without_dossier)]


async def open_dossier(
    tx: Tx, dossier: Projection, lines: Sequence[Entry], source: Source, recorded_at: datetime, *, number: CodeForm
) -> str:
    """Write a new dossier's row and its first lines under the next code of its agency and day, and return that code.

    The counter is locked from here to the commit.
    """
    row = (getattr(dossier, name) for name in COLUMNS if name != "code")
    counter = (dossier.receipt_agency_id, number.day, number.before, number.width, number.after)
    code: str = await tx.fetchval(q.open_dossier, *row, recorded_at, *source.columns(), *counter, lines)
    return code


async def record_step(
    tx: Tx, dossier: Projection, before_seq: int, entry: Entry, source: Source, recorded_at: datetime, *, work: Work,
    audited: audit.Columns,
) -> None:  # fmt: skip
    """Write what every step writes: the dossier's row, its journal line, the work on the lists, the audit row.

    Raises:
        Conflict: somebody stepped in between.
    """
    values = [getattr(dossier, name) for name in MOVING]
    line = (str(entry.action), entry.occurred_at, recorded_at, *source.columns(), entry.data, entry.effect)
    tasks = (work.ended, work.as_what, work.begun)
    if await tx.fetchval(q.record_step, dossier.id, before_seq, entry.seq, *values, *line, *tasks, *audited) is None:
        raise Conflict(
            "Hồ sơ vừa được người khác xử lý.", "Somebody else has just worked on this dossier.", code="dossier-moved"
        )


async def insert_note(tx: Tx, dossier_id: UUID, seq: int, sealed: bytes) -> None:
    """Keep the sealed words of a line."""
    await tx.execute(q.insert_note, dossier_id, seq, sealed)


async def insert_deadline(tx: Tx, dossier_id: UUID, seq: int, due_at: datetime, reason: str) -> None:
    """Keep a due date that was given."""
    await tx.execute(q.insert_deadline, dossier_id, seq, due_at, reason)


async def open_pause(
    tx: Tx, dossier_id: UUID, reason: str, stage: str, items: list[dict[str, Any]], legal_basis: str, at: datetime
) -> None:
    """Record that the clock stands."""
    await tx.execute(q.open_pause, dossier_id, reason, stage, items, legal_basis, at)


async def close_pause(tx: Tx, dossier_id: UUID, at: datetime) -> None:
    """Record that the clock runs on."""
    await tx.execute(q.close_pause, dossier_id, at)


async def access_digest(tx: Tx, dossier_id: UUID) -> bytes | None:
    """Return the hash of the secret that a dossier's citizen was told."""
    stored: bytes | None = await tx.fetchval(q.access_digest, dossier_id)
    return stored


async def insert_foreign_code(tx: Tx, issuer: str, code: str, dossier_id: UUID) -> None:
    """Keep an outside system's code.

    Raises:
        Conflict: that code of that issuer belongs to another dossier.
    """
    try:
        await tx.execute(q.insert_foreign_code, issuer, code, dossier_id)
    except asyncpg.UniqueViolationError:
        raise Conflict(
            "Mã hồ sơ của hệ thống ngoài đã có.", "This outside code is known already.", code="foreign-code-known"
        ) from None


async def dossier_by_foreign_code(tx: Tx, issuer: str, code: str) -> tuple[UUID, str] | None:
    """Return id and code of the dossier an outside system means."""
    row = await tx.fetchrow(q.dossier_by_foreign_code, issuer, code)
    return (row["id"], row["code"]) if row else None


async def file_dossier(tx: Tx, dossier: Projection, filed: Filing, recorded_at: datetime) -> None:
    """Write all of a new dossier that does not wait for its code."""
    people = map(list, zip(*filed.people, strict=True))
    due = (dossier.seq, dossier.due_at, filed.due_reason)
    work = (dossier.submitted_at, filed.begun)
    await tx.execute(
        q.file_dossier, dossier.id, *people, filed.secret_sha256, recorded_at, filed.parts, filed.fees, *due, *work,
        *filed.audited,
    )  # fmt: skip


async def insert_parts(tx: Tx, dossier_id: UUID, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write parts handed in."""
    await tx.executemany(q.insert_part, [(dossier_id, *row) for row in rows])


async def take_uploads(tx: Tx, uploads: Sequence[UUID], dossier_id: UUID, account_id: UUID | None) -> set[UUID]:
    """Make uploads this dossier's; return which are."""
    return {row["id"] for row in await tx.fetch(q.take_uploads, uploads, dossier_id, account_id)}


async def insert_fees(tx: Tx, dossier_id: UUID, fees: Iterable[FeeOwed]) -> None:
    """Write amounts owed."""
    await tx.executemany(q.insert_fee, [(dossier_id, *msgspec.structs.astuple(fee)) for fee in fees])


async def settle_fees(tx: Tx, dossier_id: UUID, old: str, new: str, receipt_no: str | None, at: datetime) -> None:
    """Move amounts from one state to another."""
    await tx.execute(q.settle_fees, dossier_id, old, new, receipt_no, at)


async def task(tx: Tx, task_id: UUID) -> Task | None:
    """Return one piece of work."""
    return as_struct(await tx.fetchrow(q.task, task_id), Task)


async def open_tasks(tx: Tx, dossier_id: UUID) -> list[Task]:
    """Return the open work of a dossier."""
    return as_structs(await tx.fetch(q.open_tasks, dossier_id), Task)


async def claim_task(tx: Tx, task_id: UUID, account_id: UUID, at: datetime) -> bool:
    """Take open work; False when somebody was first."""
    return await tx.fetchval(q.claim_task, task_id, account_id, at) is not None


async def release_task(tx: Tx, task_id: UUID) -> bool:
    """Put work back; False when nobody had it."""
    return await tx.fetchval(q.release_task, task_id) is not None


async def assign_task(tx: Tx, task_id: UUID, account_id: UUID, at: datetime) -> bool:
    """Give work to an officer; False when it has ended."""
    return await tx.fetchval(q.assign_task, task_id, account_id, at) is not None


async def end_task(
    tx: Tx, task_id: UUID, state: str, at: datetime, outcome: str, answer_seq: int | None = None
) -> bool:
    """End one piece of work; False when it has ended already."""
    return await tx.fetchval(q.end_task, task_id, state, at, outcome, answer_seq) is not None


async def move_tasks(tx: Tx, dossier_id: UUID, due_at: datetime) -> None:
    """Give running work its new due time."""
    await tx.execute(q.move_tasks, dossier_id, due_at)


async def account_in_agency(tx: Tx, account_id: UUID, agency_id: UUID, at: datetime) -> bool:
    """Tell whether an account holds a post at an agency."""
    return await tx.fetchval(q.account_in_agency, account_id, agency_id, at)


async def journal_lines(tx: Tx, dossier_id: UUID, after: int, limit: int) -> list[LineRow]:
    """Return journal lines after a line."""
    return as_structs(await tx.fetch(q.journal_lines, dossier_id, after, limit), LineRow)


async def deadlines(tx: Tx, dossier_id: UUID) -> list[DeadlineGiven]:
    """Return every due date given."""
    return as_structs(await tx.fetch(q.deadlines, dossier_id), DeadlineGiven)


async def results_of_dossier(tx: Tx, dossier_id: UUID, results: Sequence[UUID]) -> set[UUID]:
    """Return which of these results are the dossier's."""
    return {row["id"] for row in await tx.fetch(q.results_of_dossier, dossier_id, results)}


async def insert_delivery(tx: Tx, row: tuple[Any, ...]) -> None:
    """Record a hand-over."""
    await tx.execute(q.insert_delivery, *row)


async def deliveries(tx: Tx, dossier_id: UUID) -> list[DeliveryRow]:
    """Return the hand-overs of a dossier."""
    return as_structs(await tx.fetch(q.deliveries, dossier_id), DeliveryRow)


async def officials(tx: Tx, accounts: Sequence[UUID]) -> dict[UUID, str]:
    """Return the public names of accounts."""
    return {row["id"]: row["display_name"] for row in await tx.fetch(q.officials, accounts)}
