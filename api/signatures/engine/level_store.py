"""One function per statement of `levels.sql`: debts, renditions, and what is known of revocation."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from api.signatures.levels import Level, Owed
from signing.contract import Der
from signing.levels import CertificateStatus, CertPath

_q: Final = queries.load("api.signatures.engine", "levels.sql")


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate that signed, with its chain."""

    certificate: bytes
    chain: tuple[bytes, ...]


class Debt(msgspec.Struct, frozen=True, kw_only=True):
    """What one sealed revision owes, or has reached."""

    revision_id: UUID
    document_id: UUID
    request_id: UUID
    wanted: Level
    level: Level
    sha256: bytes
    signed_at: datetime
    attempts: int
    paid_at: datetime | None
    authority: str | None
    held_basis: str | None
    result_id: UUID
    dossier_id: UUID
    trace_id: str | None
    batch_id: UUID | None
    paths: list[dict[str, Any]]
    handed_back: bool

    def signers(self) -> tuple[CertPath, ...]:
        """Return the paths of those who signed."""
        held = msgspec.convert(self.paths, list[Signer], strict=False)
        return tuple(tuple(Der(der) for der in (one.certificate, *one.chain)) for one in held)


class SealedBy(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded seal whose result waited, and who asked for it."""

    id: UUID
    dossier_id: UUID
    result_id: UUID
    number_id: UUID | None
    act: str
    account_id: UUID
    actor_person_id: UUID
    actor_post_id: UUID
    actor_agency_id: UUID


class ToAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate whose state is to be asked."""

    certificate_id: UUID
    certificate: bytes
    chain: list[bytes]

    def path(self) -> CertPath:
        """Return the certificate and those above it."""
        return tuple(Der(der) for der in (self.certificate, *self.chain))


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {
    "level_debt": Debt,
    "sealed_by": SealedBy,
    "certificates_to_ask": ToAsk,
}
"""Which Struct each reading statement fills; a test compares their columns."""


async def owe_level(
    tx: Tx, revision_id: UUID, document_id: UUID, request_id: UUID, wish: Owed, sha256: bytes, at: datetime
) -> None:
    """Write that a sealed revision owes a level."""
    due_at = at + timedelta(hours=wish.within_hours)
    row = (revision_id, document_id, request_id, wish.level, sha256, at, due_at, wish.held_basis)
    await tx.execute(_q.owe_level, *row)


async def levels_to_pay(tx: Tx, at: datetime, limit: int) -> list[UUID]:
    """Return what may be tried now, what is due first at the head."""
    return [row["revision_id"] for row in await tx.fetch(_q.levels_to_pay, at, limit)]


async def level_debt(tx: Tx, revision_id: UUID) -> Debt | None:
    """Return one debt."""
    return as_struct(await tx.fetchrow(_q.level_debt, revision_id), Debt)


async def sealed_by(tx: Tx, request_id: UUID) -> SealedBy | None:
    """Return the seal behind a debt."""
    return as_struct(await tx.fetchrow(_q.sealed_by, request_id), SealedBy)


async def insert_rendition(tx: Tx, revision_id: UUID, sha256: bytes, level: Level, at: datetime) -> None:
    """Write a raised file beside its revision."""
    await tx.execute(_q.insert_rendition, revision_id, sha256, level, at)


async def pay_level(
    tx: Tx, debt: Debt, level: Level, sha256: bytes, at: datetime, authority: str | None, renew_at: datetime | None
) -> bool:
    """Pay a debt; False when somebody else was first."""
    row = (debt.revision_id, debt.sha256, level, sha256, at, authority, renew_at)
    return await tx.fetchval(_q.pay_level, *row) is not None


async def put_level_off(tx: Tx, revision_id: UUID, until: datetime, problem: str) -> None:
    """Try a debt again at this time."""
    await tx.execute(_q.put_level_off, revision_id, until, problem)


async def owe_renewals(tx: Tx, at: datetime, within: timedelta, limit: int) -> None:
    """Have archived documents whose last timestamp ends before long owe another one."""
    await tx.execute(_q.owe_renewals, at, within, limit)


async def kept_answer(tx: Tx, key: str) -> bytes | None:
    """Return a kept answer."""
    return await tx.fetchval(_q.kept_answer, key)


async def keep_answer(tx: Tx, key: str, value: bytes, until: datetime, at: datetime) -> None:
    """Keep an answer."""
    await tx.execute(_q.keep_answer, key, value, until, at)


async def certificates_to_ask(tx: Tx, at: datetime, asked_before: datetime, limit: int) -> Sequence[ToAsk]:
    """Take certificates to ask about."""
    return as_structs(await tx.fetch(_q.certificates_to_ask, at, asked_before, limit), ToAsk)


async def write_status(tx: Tx, certificate_id: UUID, status: CertificateStatus, at: datetime) -> None:
    """Write what the authorities said."""
    problem = status.problem.code if status.problem else None
    await tx.execute(_q.write_status, certificate_id, status.state, status.known_at, at, problem)


async def certificate_revoked(tx: Tx, certificate_id: UUID, since: datetime) -> bool:
    """Note that a certificate was revoked; False when that is known."""
    return await tx.fetchval(_q.certificate_revoked, certificate_id, since) is not None


async def declare_authority(tx: Tx, name: str, quota: int, window_s: float, at: datetime) -> None:
    """Tell of an authority that a signer asks."""
    await tx.execute(_q.declare_authority, name, quota, window_s, at)


async def take_request(tx: Tx, name: str, quota: int, window_s: float) -> float:
    """Take one request of an authority's quota; return after how many seconds one is free, 0 where it was taken."""
    return await tx.fetchval(_q.take_request, name, quota, window_s)


async def requests_left(tx: Tx, name: str, quota: int) -> int:
    """Return what is left of an authority's quota now."""
    return max(0, await tx.fetchval(_q.requests_left, name, quota))
