"""Lay the fields of a submitted document in the worker: number, date and every signature, before the first of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

import signing
from api.db import queries
from api.db.pools import Pools, Tx, as_struct
from api.documents.blobs import BlobStore
from api.documents.laying import lay_document
from api.documents.workshop import ProcessPool
from api.jobs import Handler, JobContext, Park
from api.kernel import Clock, Sha256
from api.registry.procedures import LAYOUT_OF, Certification
from signing.contract import FieldPlan
from signing.errors import Crashed, NotSignable, SigningError, TimedOut

_q: Final = queries.load("api.signatures", "laying.sql")
LAY: Final = "signatures.lay"
TIME_LIMIT_S: Final = 60.0
_TIMES: Final = 3
"""How often a file may end or exhaust its process before it is put aside."""


class ChainToLay(msgspec.Struct, frozen=True, kw_only=True):
    """What laying needs to know of a chain."""

    id: UUID
    state: str
    document_id: UUID
    dossier_id: UUID
    mark: str | None
    submitted_by_account_id: UUID
    head_sha256: bytes
    act: str
    places: dict[str, Any] | None
    fields: list[str]
    certification: Certification


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {"chain_to_lay": ChainToLay}


def handler(pools: Pools, workshop: ProcessPool, blobs: BlobStore, clock: Clock) -> Handler:
    """Return the handler of `signatures.lay` jobs."""

    async def lay(context: JobContext, ids: dict[str, Any]) -> None:
        chain_id = UUID(ids["chain"])
        async with pools.reading() as connection:
            chain = as_struct(await connection.fetchrow(_q.chain_to_lay, chain_id), ChainToLay)
        if chain is None or chain.state != "laying":
            return
        head = Sha256(chain.head_sha256)
        try:
            plan = await _plan(chain, workshop, str(await blobs.local_path(head)))
            laid = await lay_document(workshop, blobs, head, plan, chain.mark)
        except (TimedOut, Crashed) as error:
            if context.failures + 1 < _TIMES:
                raise
            raise Park(f"the file ended its process {_TIMES} times ({error.code})") from None
        except SigningError as error:
            async with pools.transaction() as tx:
                why = {"code": error.code, "vi": error.vi, "en": error.en}
                await tx.fetchval(_q.fail_chain, chain.id, why, clock())
            return
        async with pools.transaction() as tx:
            await _open(tx, chain, laid.sha256, laid.size, plan, clock())

    return lay


async def give_up(tx: Tx, chain_id: UUID, reason: str, at: datetime) -> None:
    """End a chain whose laying is parked, in the transaction that parks it: the document may be submitted again."""
    why = {
        "code": "parked",
        "vi": f"Chưa đặt được chỗ ký trên tệp này, cần người xem: {reason}",
        "en": f"The places could not be laid on this file, a person must look: {reason}",
    }
    await tx.fetchval(_q.fail_chain, chain_id, why, at)


async def _plan(chain: ChainToLay, workshop: ProcessPool, source: str) -> FieldPlan:
    """Return the places of this chain: those its template printed, or chosen ones for an uploaded draft."""
    if chain.places is None:
        layout = LAYOUT_OF[chain.act]
        plan = await workshop.run(signing.default_plan, source, tuple(chain.fields), layout, timeout_s=TIME_LIMIT_S)
    else:
        plan = chosen(msgspec.convert(chain.places, FieldPlan, strict=False), chain.fields)
    return msgspec.structs.replace(plan, certification=chain.certification)


def chosen(places: FieldPlan, fields: Sequence[str]) -> FieldPlan:
    """Return the printed places that a chain uses, in its order.

    Raises:
        NotSignable: the template printed no place for one of them.
    """
    printed = {field.name: field for field in places.signatures}
    missing = [name for name in fields if name not in printed]
    if missing:
        raise NotSignable(
            f"Mẫu văn bản không có chỗ cho: {', '.join(missing)}",
            f"The template has no place for: {', '.join(missing)}",
        )
    return msgspec.structs.replace(places, signatures=tuple(printed[name] for name in fields))


async def _open(tx: Tx, chain: ChainToLay, sha256: bytes, size: int, plan: FieldPlan, at: datetime) -> None:
    await tx.fetchval(_q.lock_dossier_of_chain, chain.id)
    if await tx.fetchval(_q.open_chain, chain.id, msgspec.to_builtins(plan)) is None:
        return
    await tx.execute(_q.insert_laid_blob, sha256, size, at)
    revision_id = await tx.fetchval(
        _q.insert_laid_revision,
        chain.document_id,
        sha256,
        chain.head_sha256,
        "Đặt chỗ cho số, ngày và chữ ký",
        chain.submitted_by_account_id,
        msgspec.to_builtins(plan),
        at,
    )
    await tx.execute(_q.move_head_to_laid, chain.document_id, revision_id, sha256)
