"""The file routes: streamed from the store as they lie there, whole or in part; a browser keeps what cannot change."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.response import Stream

from api.db.pools import Pools
from api.documents import files, printing, store
from api.documents.blobs import BlobStore
from api.documents.ranges import Unsatisfiable, matches, pick
from api.documents.rows import FileRow
from api.errors import Invalid
from api.http.auth.guards import requires
from api.http.hot import HOT
from api.http.openapi.answers import ANSWERS, FILE
from api.kernel import Actor

_READ: Final = [requires("document.read")]
IMMUTABLE: Final = "private, immutable, max-age=31536000"
"""A revision never changes."""
CHECKED: Final = "private, no-cache"
"""A document's head moves: a browser keeps the file and asks each time whether it is still the one."""


class FileController(Controller):
    """Tệp văn bản / files of documents."""

    path = "/"
    tags: Sequence[str] | None = ("documents",)
    opt: Mapping[str, Any] | None = {ANSWERS: FILE}

    @get(
        "/documents/{document_id:uuid}/file", guards=_READ, opt={HOT: True}, summary="Tệp hiện hành / The current file"
    )
    async def head(
        self,
        request: Request[Any, Any, Any],
        pools: Pools,
        blobs: BlobStore,
        actor: Actor,
        at: datetime,
        document_id: UUID,
    ) -> Response[Any]:
        """Return the file of the document's head revision."""
        row = await files.file_for(pools, actor, store.document_file, document_id)
        if not is_known(request, row):
            await files.note_view(pools, actor, row, at)
        return serve(request, blobs, row, CHECKED)

    @get("/revisions/{revision_id:uuid}/file", guards=_READ, summary="Tệp của bản / A revision's file")
    async def revision(
        self,
        request: Request[Any, Any, Any],
        pools: Pools,
        blobs: BlobStore,
        actor: Actor,
        at: datetime,
        revision_id: UUID,
    ) -> Response[Any]:
        """Return the file of one revision, which never changes."""
        row = await files.file_for(pools, actor, store.revision_file, revision_id)
        if not is_known(request, row):
            await files.note_view(pools, actor, row, at)
        return serve(request, blobs, row, IMMUTABLE)

    @get("/prints/{print_id:uuid}/file", guards=_READ, summary="Tệp của bản in / A print's file")
    async def printed(
        self,
        request: Request[Any, Any, Any],
        pools: Pools,
        blobs: BlobStore,
        actor: Actor,
        at: datetime,
        print_id: UUID,
    ) -> Response[Any]:
        """Return the form that was set, for a day; the view is logged, since it bears a citizen's name."""
        row = await files.file_for(pools, actor, printing.print_file, print_id)
        if not is_known(request, row):
            await files.note_view(pools, actor, row, at, kind="print")
        return serve(request, blobs, row, CHECKED)


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
        raise Invalid(
            "Tệp không có phần được yêu cầu.", "The file has no such part.", code="range-not-satisfiable", size=row.size
        ) from None
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
