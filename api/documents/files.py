"""Documents on their way out: streamed from the store as they lie there; nothing about a PDF is recomputed."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response
from litestar.response import Stream

from api import audit
from api.db.pools import Pools, Tx
from api.documents import store
from api.documents.access import may_read
from api.documents.blobs import BlobStore
from api.documents.ranges import Unsatisfiable, matches, pick
from api.documents.results import no_document
from api.documents.rows import FileRow
from api.kernel import Actor

IMMUTABLE: Final = "private, immutable, max-age=31536000"
"""A revision never changes."""
CHECKED: Final = "private, no-cache"
"""A document's head moves: a browser keeps the file and asks each time whether it is still the one."""
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


async def note_view(pools: Pools, actor: Actor, row: FileRow, at: datetime) -> None:
    """Record that an official saw this document; a browser that has it already sees nothing new."""
    async with pools.transaction() as tx:
        await audit.log_view(tx, actor, "document", row.document_id, "document.read", at=at)


async def released(pools: Pools, document_id: UUID, dossier_id: UUID) -> FileRow:
    """Find what a citizen may be given; the caller has checked the citizen's secret.

    Raises:
        NotFound: no such document in this dossier, or not issued.
    """
    async with pools.reading() as connection:
        row = await store.released_file(connection, document_id, dossier_id)
    if row is None:
        raise no_document()
    return row


def is_known(request: Request[Any, Any, Any], row: FileRow) -> bool:
    """Tell whether the asker has this very file already (304)."""
    return matches(request.headers.get("if-none-match"), row.sha256.hex())


def serve(request: Request[Any, Any, Any], blobs: BlobStore, row: FileRow, caching: str) -> Response[Any]:
    """Answer with the file, a part of it (206), nothing new (304), or that there is no such part (416)."""
    tag = row.sha256.hex()
    headers = {
        "ETag": f'"{tag}"',
        "Cache-Control": caching,
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'inline; filename="{tag[:16]}.pdf"',
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    if is_known(request, row):
        return Response(content=None, status_code=304, headers=headers)
    unchanged = request.headers.get("if-range") in (None, f'"{tag}"')
    try:
        wanted = pick(request.headers.get("range"), row.size) if unchanged else None
    except Unsatisfiable:
        return Response(content=None, status_code=416, headers={**headers, "Content-Range": f"bytes */{row.size}"})
    start, end = wanted or (0, row.size)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    return _stream(blobs, row, start, end, headers, 206 if wanted else 200)


def _stream(
    blobs: BlobStore, row: FileRow, start: int, end: int, headers: Mapping[str, str], status: int
) -> Response[Any]:
    content = blobs.open_range(row.sha256, start, end)
    length = {"Content-Length": str(end - start)}
    return Stream(content, status_code=status, media_type=row.media_type, headers={**headers, **length})
