"""Printing the national forms 01 to 06 at a desk: set by the worker, fetched once or twice, forgotten after a day."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Pools, Tx, as_struct
from api.db.privacy import Vault
from api.documents import store
from api.documents.blobs import Stored
from api.documents.contract import Finding, NewPrint, Print
from api.documents.letterhead import head_of
from api.documents.numbers import date_text
from api.documents.rendering import RENDER_LIMIT_S, words_of
from api.documents.rows import FileRow
from api.documents.templates.bodies import FORMS, check_body
from api.documents.typesetting import Sheet, render
from api.documents.workshop import Workshop
from api.errors import Invalid, NotFound
from api.jobs import JobContext, enqueue
from api.kernel import Actor, Sha256
from api.registry.service import Registry
from signing.errors import SigningError

_q: Final = queries.load("api.documents", "printing.sql")
PRINT: Final = "documents.print"
DATA: Final = "print.data"
KEPT: Final = timedelta(days=1)
_TIMES: Final = 3


class _PrintRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    template: str
    agency_id: UUID
    state: str
    sha256: Sha256 | None
    error: dict[str, str] | None


class _PrintToMake(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    template: str
    data_sealed: bytes
    state: str
    ordered_at: datetime


async def order(tx: Tx, vault: Vault, registry: Registry, actor: Actor, asked: NewPrint, at: datetime) -> Print:
    """Order a form under the letterhead of the actor's agency; its data is checked now.

    Raises:
        Invalid: the template is no form, or the data does not fit it.
    """
    if asked.template not in FORMS:
        raise Invalid("Không có biểu mẫu này.", "There is no such form.", code="no-template", templates=sorted(FORMS))
    body: dict[str, Any] = msgspec.to_builtins(check_body(asked.template, asked.data))
    head = await head_of(registry, actor.agency_id, at)
    code = str(body.get("dossier_code", ""))
    sheet = Sheet(head=head, body=body, number=asked.number or "", date=date_text(at), code=code)
    sealed = vault.seal(DATA, msgspec.json.encode(sheet).decode())
    row = (asked.template, sealed, actor.agency_id, actor.account_id, at)
    print_id: UUID = await tx.fetchval(_q.insert_print, *row)
    await enqueue(tx, PRINT, str(print_id), {"print": str(print_id)}, priority=20)
    return Print(id=print_id, template=asked.template)


async def show(pools: Pools, actor: Actor, print_id: UUID) -> Print:
    """Return where a print stands.

    Raises:
        NotFound: no such print at the actor's agency, or it was forgotten after a day.
    """
    async with pools.reading() as connection:
        row = as_struct(await connection.fetchrow(_q.print_view, print_id), _PrintRow)
    if row is None or row.agency_id != actor.agency_id:
        raise NotFound("Không có bản in này.", "There is no such print.", code="no-print")
    error = msgspec.convert(row.error, Finding) if row.error else None
    return msgspec.convert({"id": row.id, "template": row.template, "state": row.state, "error": error}, Print)


async def print_file(tx: Tx, print_id: UUID) -> FileRow | None:
    """Find the file of a print."""
    return as_struct(await tx.fetchrow(_q.print_file, print_id), FileRow)


async def forget_prints(tx: Tx, at: datetime) -> None:
    """Forget prints older than a day; the orphan sweeper then removes their bytes."""
    await tx.execute(_q.forget_prints, at - KEPT)


class Printer:
    """Handler of `documents.print`."""

    def __init__(self, workshop: Workshop) -> None:
        """Work with the worker's tools."""
        self._shop = workshop

    async def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        """Set one form; what cannot be set ends the order with a reason."""
        async with self._shop.pools.reading() as connection:
            row = as_struct(await connection.fetchrow(_q.print_to_make, UUID(payload["print"])), _PrintToMake)
        if row is None or row.state != "queued":
            return
        try:
            stored, fault = await self._set(row)
        except SigningError as error:
            if context.failures + 1 < _TIMES:
                raise
            stored, fault = None, Finding(code=error.code, vi=error.vi, en=error.en)
        async with self._shop.pools.transaction() as tx:
            if stored is not None:
                await store.insert_blob(tx, stored)
            why = None if fault is None else msgspec.to_builtins(fault)
            state, name = ("failed", None) if stored is None else ("done", stored.sha256)
            await tx.fetchval(_q.settle_print, row.id, state, name, why, self._shop.clock())

    async def _set(self, row: _PrintToMake) -> tuple[Stored | None, Finding | None]:
        sheet = msgspec.json.decode(self._shop.vault.open(DATA, row.data_sealed), type=Sheet)
        with self._shop.blobs.scratch() as directory:
            target = directory / "form.pdf"
            made = await self._shop.processes.run(
                render, row.template, sheet, row.ordered_at, str(target), timeout_s=RENDER_LIMIT_S
            )
            if made.fault:
                vi, en = words_of(made.fault)
                return None, Finding(code="not-printable", vi=vi, en=en)
            return await self._shop.blobs.put_file(target), None
