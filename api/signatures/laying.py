"""Lay the fields of a submitted document in the worker: number, date and every signature, before the first of them."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Pools, Tx, as_struct
from api.documents.blobs import BlobStore
from api.documents.laying import lay_document
from api.documents.workshop import ProcessPool
from api.jobs.runner import Handler, JobContext
from api.kernel import Clock, Sha256
from signing.contract import FieldPlan
from signing.errors import Crashed, SigningError, TimedOut

_q: Final = queries.load("api.signatures", "laying.sql")
LAY: Final = "signatures.lay"


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


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {"chain_to_lay": ChainToLay}


def handler(pools: Pools, workshop: ProcessPool, blobs: BlobStore, clock: Clock) -> Handler:
    """Return the handler of `signatures.lay` jobs."""

    async def lay(_context: JobContext, ids: dict[str, Any]) -> None:
        chain_id = UUID(ids["chain"])
        async with pools.reading() as connection:
            chain = as_struct(await connection.fetchrow(_q.chain_to_lay, chain_id), ChainToLay)
        if chain is None or chain.state != "laying":
            return
        drawn = None if chain.places is None else msgspec.convert(chain.places, FieldPlan, strict=False)
        try:
            laid, plan = await lay_document(
                workshop, blobs, Sha256(chain.head_sha256), drawn, chain.fields, mark=chain.mark
            )
        except (TimedOut, Crashed):
            raise
        except SigningError as error:
            async with pools.transaction() as tx:
                why = {"code": error.code, "vi": error.vi, "en": error.en}
                await tx.fetchval(_q.fail_chain, chain.id, why, clock())
            return
        async with pools.transaction() as tx:
            await _open(tx, chain, laid.sha256, laid.size, plan, clock())

    return lay


async def _open(tx: Tx, chain: ChainToLay, sha256: bytes, size: int, plan: FieldPlan, at: datetime) -> None:
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
