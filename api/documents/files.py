"""Documents on their way out: who may have which file. Nothing about a PDF is recomputed to serve it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from api import audit
from api.db.pools import Pools, Tx
from api.documents import store
from api.documents.access import may_read
from api.documents.results import no_document
from api.documents.rows import FileRow
from api.kernel import Actor

_Find = Callable[[Tx, UUID], Awaitable[FileRow | None]]


async def file_for(pools: Pools, actor: Actor, find: _Find, row_id: UUID) -> FileRow:
    """Find a file that this official may read.

    Raises:
        NotFound: no such file, or none that this actor may know of.
    """
    async with pools.reading() as connection:
        row = await find(connection, row_id)
    if row is None or not may_read(actor, row.agencies):
        raise no_document()
    return row


async def note_view(pools: Pools, actor: Actor, row: FileRow, at: datetime, *, kind: str = "document") -> None:
    """Record that an official saw this document or print; a browser that has it already sees nothing new."""
    async with pools.writing() as connection:
        await audit.log_view(connection, actor, kind, row.document_id, f"{kind}.read", at=at)


async def released(tx: Tx, result_id: UUID, dossier_id: UUID, ordinal: int | None = None) -> FileRow:
    """Find what a citizen may be given: a result's main document, or that of this number (an annex, a copy).

    The caller has checked the citizen's secret.

    Raises:
        NotFound: no such result in this dossier, none of this number in it, or not issued.
    """
    row = await store.released_file(tx, result_id, dossier_id, ordinal)
    if row is None:
        raise no_document()
    return row
