"""Verifying what was issued: by the code printed on it, by a file sent in, or a file on the command line.

The verdict on a file was made by the signer when it recorded the seal and stands beside the revision; only its state in
the register is read now. A file from outside is judged in the worker's process pool, never in a request.
"""

import base64
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

import signing
from api.db import queries
from api.db.pools import Pools, Tx, as_struct, as_structs
from api.db.privacy import Vault
from api.documents import store
from api.documents.blobs import Stored
from api.documents.facts import Change, Facts, Issued, Link, Signer, of_file, of_register
from api.documents.results import canonical_code
from api.documents.workshop import Workshop
from api.errors import NotFound
from api.jobs import JobContext, Park, enqueue
from api.kernel import Sha256
from signing.contract import Verdict
from signing.errors import Crashed, SigningError, TimedOut

_q: Final = queries.load("api.documents", "verification.sql")
VERIFY: Final = "documents.verify"
REPORT: Final = "check.report"
VERIFY_LIMIT_S: Final = 60.0
KEPT: Final = timedelta(days=1)
_TIMES: Final = 3


class FileCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Where the verification of a file stands; `facts` once it is done, `refused` where it cannot be read."""

    id: UUID
    state: str
    sha256: str
    facts: Facts | None = None
    refused_vi: str | None = None
    refused_en: str | None = None


class _CheckRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    sha256: Sha256
    state: str
    report: dict[str, str] | None
    created_at: datetime


async def by_code(pools: Pools, code: str) -> Facts:
    """Return the four facts of the document that bears this code.

    Raises:
        NotFound: no document bears it.
    """
    async with pools.reading() as connection:
        facts = await _by_code(connection, canonical_code(code), None)
    if facts is None:
        raise NotFound(
            "Không có văn bản nào mang mã này; hãy kiểm tra lại từng ký tự.",
            "No document bears this code; check each character.",
            code="no-such-code",
        )
    return facts


async def _by_code(tx: Tx, code: str, judged: Verdict | None) -> Facts | None:
    issued = as_struct(await tx.fetchrow(_q.issued_by_code, code), Issued)
    if issued is None:
        return None
    verdict = judged or (msgspec.convert(issued.verdict, Verdict, strict=False) if issued.verdict else None)
    signers = as_structs(await tx.fetch(_q.signers_of_document, issued.document_id), Signer)
    links = as_structs(await tx.fetch(_q.links_of_result, issued.result_id), Link)
    history = as_structs(await tx.fetch(_q.effects_of_result, issued.result_id), Change)
    return msgspec.structs.replace(of_register(issued, code, verdict, signers, links), history=tuple(history))


async def order_check(tx: Tx, stored: Stored, at: datetime) -> FileCheck:
    """Order the verification of a stored file; ask for its result under the id."""
    await store.insert_blob(tx, stored)
    check_id: UUID = await tx.fetchval(_q.insert_file_check, stored.sha256, at)
    await enqueue(tx, VERIFY, str(check_id), {"check": str(check_id)})
    return FileCheck(id=check_id, state="checking", sha256=stored.sha256.hex())


async def show_check(pools: Pools, vault: Vault, check_id: UUID) -> FileCheck:
    """Return where the verification of a file stands.

    Raises:
        NotFound: no such verification, or it was forgotten after a day.
    """
    async with pools.reading() as connection:
        row = as_struct(await connection.fetchrow(_q.file_check, check_id), _CheckRow)
    if row is None:
        raise NotFound("Không có lần kiểm tra này.", "There is no such verification.", code="no-check")
    known = FileCheck(id=row.id, state=row.state, sha256=row.sha256.hex())
    if row.report is None:
        return known
    text = vault.open(REPORT, base64.b64decode(row.report["sealed"]))
    return msgspec.json.decode(text, type=FileCheck)


class FileVerifier:
    """Handler of `documents.verify`: judges a file from outside and asks the register about its signed revisions."""

    def __init__(self, workshop: Workshop) -> None:
        """Work with the worker's tools."""
        self._shop = workshop

    async def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        """Judge one file.

        Raises:
            Park: the file ended or exhausted its process for the third time.
        """
        async with self._shop.pools.reading() as connection:
            row = as_struct(await connection.fetchrow(_q.file_check, UUID(payload["check"])), _CheckRow)
        if row is None or row.state != "checking":
            return
        try:
            path = await self._shop.blobs.local_path(row.sha256)
            verdict = await self._shop.processes.run(
                signing.verify, str(path), self._shop.trust, at=self._shop.clock(), timeout_s=VERIFY_LIMIT_S
            )
        except SigningError as error:
            if isinstance(error, Crashed | TimedOut) and context.failures + 1 < _TIMES:
                raise
            await self._settle(row, None, error)
            if isinstance(error, Crashed | TimedOut):
                raise Park(f"the file ended its process {_TIMES} times ({error.code})") from None
            return
        async with self._shop.pools.reading() as connection:
            facts = await facts_of_file(connection, verdict, row.sha256)
        await self._settle(row, facts, None)

    async def _settle(self, row: _CheckRow, facts: Facts | None, error: SigningError | None) -> None:
        done = FileCheck(
            id=row.id,
            state="done",
            sha256=row.sha256.hex(),
            facts=facts,
            refused_vi=error.vi if error else None,
            refused_en=error.en if error else None,
        )
        sealed = self._shop.vault.seal(REPORT, msgspec.json.encode(done).decode())
        report = {"sealed": base64.b64encode(sealed).decode()}
        async with self._shop.pools.transaction() as tx:
            await tx.fetchval(_q.settle_file_check, row.id, report, self._shop.clock())


async def facts_of_file(tx: Tx, verdict: Verdict, sha256: bytes) -> Facts:
    """Return the facts of a judged file: all four where the register knows one of its signed revisions."""
    digests = [sha256, *(one.revision_sha256 for one in verdict.signatures)]
    code = await tx.fetchval(_q.code_by_sha256, digests)
    known = None if code is None else await _by_code(tx, code, verdict)
    if known is None:
        return of_file(verdict, sha256)
    return msgspec.structs.replace(known, sha256=sha256.hex(), ok=known.ok and verdict.ok)


async def forget_checks(tx: Tx, at: datetime) -> None:
    """Forget files that somebody had verified more than a day ago; the orphan sweeper then removes their bytes."""
    await tx.execute(_q.forget_file_checks, at - KEPT)
