"""Knowing of a revoked certificate before anybody is asked to sign with it, and while its authority is silent.

Every certificate in use is asked about ahead of time, by one signer at a time; before a preparation the answer is at
most a minute old where the authority answers within two seconds. Silence and garbage refuse nobody and are told by
name: only a signed answer that says "revoked" ends a certificate, and it does so for good. One on hold signs nothing
until its authority lifts that.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter

from api.audit import append
from api.db.pools import Pools
from api.kernel import Clock
from api.signatures.engine import level_store
from api.signatures.engine.context import Engine, detail
from api.signatures.engine.store import Detail
from signing.deadlines import WITHOUT_END, Deadline
from signing.levels import CertificateStatus, CertPath

_log: Final = structlog.get_logger("signer.revocation")
_STATUS: Final = Counter("motcua_certificate_status", "Certificates asked about, by what was answered.", ["answer"])

EVERY: Final = timedelta(minutes=5)
FRESH: Final = timedelta(minutes=1)
PATIENCE_S: Final = 2.0
AT_ONCE: Final = 100
TOGETHER: Final = 8


class AnswerShelf:
    """Keeps fetched answers in the database, for all signers and across restarts."""

    def __init__(self, pools: Pools, clock: Clock) -> None:
        self._pools = pools
        self._clock = clock

    async def get(self, key: str) -> bytes | None:
        """Return what was kept."""
        async with self._pools.reading() as connection:
            return await level_store.kept_answer(connection, key)

    async def put(self, key: str, value: bytes, until: datetime) -> None:
        """Keep an answer."""
        async with self._pools.writing() as connection:
            await level_store.keep_answer(connection, key, value, until, self._clock())


async def look(engine: Engine) -> None:
    """Ask about the certificates that were asked about longest ago; a sweep, safe to repeat."""
    if engine.revocation is None:
        return
    source, at = engine.revocation, engine.clock()
    async with engine.pools.writing() as connection:
        due = await level_store.certificates_to_ask(connection, at, at - EVERY, AT_ONCE)
    together = asyncio.Semaphore(TOGETHER)

    async def one(asked: level_store.ToAsk) -> None:
        async with together:
            status = await source.status(asked.path(), newer_than=at - FRESH)
            await _write(engine, asked.certificate_id, status)

    await asyncio.gather(*(one(each) for each in due))


async def refusal_now(
    engine: Engine, certificate_id: UUID, path: CertPath, deadline: Deadline = WITHOUT_END
) -> Detail | None:
    """Say why its authority lets nothing be signed with a certificate, by an answer of the last minute.

    None where it lets, or where no answer is to be had in two seconds.
    """
    if engine.revocation is None:
        return None
    soon = Deadline(min(deadline.ends, Deadline.within(PATIENCE_S).ends))
    status = await engine.revocation.status(path, newer_than=engine.clock() - FRESH, deadline=soon)
    if status.problem is not None:
        _log.info("revocation_not_asked_anew", certificate=str(certificate_id), why=status.problem.code)
    why = _REFUSED_BY.get(status.state)
    if why is not None:
        await _write(engine, certificate_id, status)
    return why


_REFUSED_BY: Final = {
    "revoked": detail(
        "certificate-revoked",
        "Chứng thư đã bị tổ chức chứng thực thu hồi.",
        "The certificate was revoked by its authority.",
    ),
    "on_hold": detail(
        "certificate-on-hold",
        "Chứng thư đang bị tổ chức chứng thực tạm dừng.",
        "The certificate is on hold by its authority.",
    ),
}


async def _write(engine: Engine, certificate_id: UUID, status: CertificateStatus) -> None:
    """Write what was answered; a certificate that was revoked signs nothing from now on."""
    _STATUS.labels(status.problem.code if status.problem else status.state).inc()
    at = engine.clock()
    if status.state != "revoked":
        async with engine.pools.writing() as connection:
            await level_store.write_status(connection, certificate_id, status, at)
        return
    async with engine.pools.transaction() as tx:
        await level_store.write_status(tx, certificate_id, status, at)
        since = status.revoked_at or at
        if not await level_store.certificate_revoked(tx, certificate_id, since):
            return
        _log.warning("certificate_revoked", certificate=str(certificate_id))
        await append(
            tx,
            None,
            process="signer",
            action="certificate.revoked",
            subject_kind="certificate",
            subject_id=certificate_id,
            detail={"since": since.isoformat()},
            at=at,
        )
