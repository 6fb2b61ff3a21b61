"""One function per statement of `queries.sql`, on one connection of the owner."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Final, cast
from uuid import UUID

import asyncpg
import msgspec

from api.audit.chain import Signed
from api.audit.store import Ended, audit_keys, ended_rights, last_checkpoint
from api.backup.faults import BackupError, no_rights
from api.db import queries
from api.db.faults import as_kind
from api.db.pools import Tx, as_structs
from api.kernel import Sha256, vn_day

_q: Final = queries.load("api.backup")
PAGE: Final = 2000
SLOT: Final = "motcua_backup"
Connection = Tx
"""One of our own, too: it does all that a pooled one does."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is a backup of."""

    system_id: str
    server: str
    superuser: str
    database: str
    segment_bytes: int
    at: datetime
    bytes: int
    timeline: str
    """Changes when a server is restored or a standby takes over; empty on a standby."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document that a row names."""

    sha256: Sha256
    size: int


@asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[Connection]:
    """Hold one connection of the owner.

    Raises:
        BackupError: the database cannot be reached.
    """
    try:
        connection = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "motcua backup"})
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise BackupError(
            f"Không nối được với cơ sở dữ liệu: {error}",
            f"The database cannot be reached: {error}",
            next_step=("Kiểm tra DATABASE_URL và máy chủ.", "Check DATABASE_URL and the server."),
        ) from None
    try:
        yield cast("Tx", connection)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError) as error:
        if (kind := as_kind(error)) is not None:
            raise kind from error
        raise
    finally:
        await connection.close()


async def server_facts(connection: Connection) -> Facts:
    """Return whose backup this will be.

    Raises:
        BackupError: the role has too few rights, which would show only after a part of the work.
    """
    if not await connection.fetchval(_q.may_back_up):
        raise no_rights()
    row = await connection.fetchrow(_q.server_facts)
    return msgspec.convert(dict(row), Facts)


async def counts(connection: Connection) -> dict[str, int]:
    """Return what the rows at this moment amount to."""
    return dict(await connection.fetchrow(_q.counts))


async def now(connection: Connection) -> datetime:
    """Return this moment by the server's clock."""
    return await connection.fetchval(_q.now)


async def mark(connection: Connection) -> tuple[datetime, int]:
    """Return this moment and the WAL position by which it has been passed, also where nobody else commits."""
    at = await now(connection)
    await connection.execute(_q.leave_mark)
    return at, await connection.fetchval(_q.flushed)


async def received(connection: Connection, lsn: int) -> bool:
    """Tell whether the follower has flushed the WAL up to a position."""
    return await connection.fetchval(_q.received, lsn)


async def documents(connection: Connection) -> AsyncGenerator[list[Document]]:
    """Give the documents of all rows, page by page in the order of their digests."""
    after = Sha256(b"")
    while page := as_structs(await connection.fetch(_q.documents_after, after, PAGE), Document):
        after = page[-1].sha256
        yield page


async def documents_since(connection: Connection, since: datetime) -> list[Document]:
    """Return the documents whose rows are not older than this."""
    return as_structs(await connection.fetch(_q.documents_since, since), Document)


async def document_exists(connection: Connection, sha256: Sha256) -> bool:
    """Tell whether a document still has its row."""
    return await connection.fetchval(_q.document_exists, sha256)


async def has_slot(connection: Connection) -> bool:
    """Tell whether the server keeps WAL for the follower."""
    return await connection.fetchval(_q.has_slot, SLOT)


class Counter(msgspec.Struct, frozen=True, kw_only=True):
    """The last number of a series in a year, with what a person knows the series by."""

    series_id: UUID
    year: int
    n: int
    agency: str
    pattern: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a journal, without its facts."""

    dossier_id: UUID
    seq: int
    action: str
    recorded_at: datetime


class KeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """A key was used: whose value may be out in the world."""

    id: UUID
    request_id: UUID
    holder: str
    transaction_id: str
    at: datetime


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A number of a register, as it is printed."""

    series_id: UUID
    year: int
    n: int
    text: str
    state: str
    document_id: UUID


class DayCounter(msgspec.Struct, frozen=True, kw_only=True):
    """The last dossier code of an agency on a day."""

    agency_id: UUID
    day: date
    n: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a database holds from a while before a moment on; two of these, compared, say what lies between them."""

    counters: tuple[Counter, ...]
    day_counters: tuple[DayCounter, ...]
    lines: tuple[Line, ...]
    key_uses: tuple[KeyUse, ...]
    numbers: tuple[Given, ...]
    last_audit: int
    ended: tuple[Ended, ...]
    sealed: tuple[Signed, ...]
    """The notes of the checkpoint keys and the last checkpoint."""


async def seen(connection: Connection, since: datetime) -> Seen:
    """Return what the database holds since then."""
    day_counters = await connection.fetch(_q.dossier_counters, vn_day(since))
    return Seen(
        counters=tuple(as_structs(await connection.fetch(_q.number_counters), Counter)),
        day_counters=tuple(as_structs(day_counters, DayCounter)),
        lines=tuple(as_structs(await connection.fetch(_q.lines_since, since), Line)),
        key_uses=tuple(as_structs(await connection.fetch(_q.key_uses_since, since), KeyUse)),
        numbers=tuple(as_structs(await connection.fetch(_q.numbers_since, since), Given)),
        last_audit=await connection.fetchval(_q.last_audit),
        ended=tuple(await ended_rights(connection)),
        sealed=(*await audit_keys(connection), *([last] if (last := await last_checkpoint(connection)) else ())),
    )


async def end_sessions(tx: Tx, at: datetime) -> None:
    """Log everybody out."""
    await tx.execute(_q.end_sessions, at)


async def spend_codes(tx: Tx, step: int) -> None:
    """Count every one-time code up to this step as used."""
    await tx.execute(_q.spend_codes, step)


async def end_authorisations(tx: Tx, at: datetime) -> None:
    """Let what was asked and not sent expire."""
    await tx.execute(_q.end_authorisations, at)
    await tx.execute(_q.end_open_requests, at)


async def end(tx: Tx, what: str, ended: Sequence[Ended], at: datetime, reason: str) -> set[UUID]:
    """Let these rights of one kind end in this database, too; return which had not."""
    ids = [each.id for each in ended]
    moments = [each.ended_at for each in ended]
    statement, arguments = {
        "factor": (_q.end_factors, (at, ids)),
        "passkey": (_q.end_passkeys, (at, ids)),
        "certificate": (_q.end_certificates, (at, ids)),
        "mandate": (_q.end_mandates, (at, ids)),
        "post": (_q.end_posts, (ids, moments)),
        "account": (_q.close_accounts, (ids, [each.state for each in ended])),
        "lock": (_q.carry_blocks, (ids, [each.account_id for each in ended], moments, "account", reason)),
        "loss": (_q.carry_blocks, (ids, [each.account_id for each in ended], moments, "factors", reason)),
    }[what]
    return {row["id"] for row in await tx.fetch(statement, *arguments)}


async def pass_over_numbers(tx: Tx, counter: Counter, to: int, reason: str, at: datetime) -> bool:
    """Raise a counter and write the reason into the register; tell whether it was lower."""
    if await tx.fetchval(_q.raise_number_counter, counter.series_id, counter.year, to) is None:
        return False
    await tx.execute(_q.explain_gap, counter.series_id, counter.year, counter.n + 1, to, reason, at)
    return True


async def pass_over_codes(tx: Tx, counter: DayCounter, to: int) -> None:
    """Raise the counter of dossier codes of an agency and day."""
    await tx.execute(_q.raise_dossier_counter, counter.agency_id, counter.day, to)


async def raise_audit(tx: Tx, to: int) -> None:
    """Have the next audit row bear a higher id."""
    await tx.execute(_q.raise_audit, to)


async def counters_behind(tx: Tx) -> int:
    """Count series whose counter is behind their register."""
    return await tx.fetchval(_q.counters_behind)


async def altered_audit(tx: Tx) -> int:
    """Count audit rows that are not what they were."""
    return await tx.fetchval(_q.altered_audit)


async def last_line(connection: Connection) -> datetime | None:
    """Return when the last line of a journal was written."""
    return await connection.fetchval(_q.last_line)
