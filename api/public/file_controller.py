"""A citizen's files: what is handed in to the own dossier, and the issued result; the secret opens both."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final
from urllib.parse import unquote
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter

from api.db.pools import Pools
from api.db.privacy import Vault
from api.documents import files, uploads
from api.documents.blobs import BlobStore
from api.documents.contract import Received, Upload
from api.documents.controller import ANY_FILE, FileName, body_of, refuse_declared_excess
from api.documents.file_controller import CHECKED, serve
from api.http import idempotency
from api.http.auth.guards import PUBLIC
from api.http.openapi.answers import ANSWERS, BODY, FILE
from api.http.text import clean
from api.public import service
from api.settings import Settings

Code = Annotated[str, Parameter(max_length=64)]
Secret = Annotated[str, Parameter(header="X-Dossier-Secret", min_length=1, max_length=64)]
_CITIZENS: Final[Mapping[str, Any]] = MappingProxyType({PUBLIC: True, "work": "citizens"})


class CitizenFileController(Controller):
    """Tệp của công dân / a citizen's files."""

    path = "/track"
    tags: Sequence[str] | None = ("public",)

    @get(
        "/{code:str}/results/{result_id:uuid}/file",
        opt={**_CITIZENS, ANSWERS: FILE},
        summary="Tải kết quả / Fetch a result",
    )
    async def result(
        self,
        request: Request[Any, Any, Any],
        pools: Pools,
        blobs: BlobStore,
        code: Code,
        result_id: UUID,
        secret: Secret,
        ordinal: Annotated[int | None, Parameter(ge=1, le=999, required=False)] = None,
    ) -> Response[Any]:
        """Return the sealed, issued main document, or that of this number; nothing else ever leaves this way."""
        async with pools.reading() as tx:
            dossier = await service.holder(tx, code, secret)
            row = await files.released(tx, result_id, dossier.id, ordinal)
        return serve(request, blobs, row, CHECKED)

    @post(
        "/{code:str}/uploads",
        opt={PUBLIC: True, "work": "uploads", BODY: ANY_FILE},
        status_code=202,
        request_max_body_size=None,
        summary="Nộp tệp vào hồ sơ / Hand a file in",
    )
    async def hand_in(
        self,
        request: Request[Any, Any, Any],
        pools: Pools,
        blobs: BlobStore,
        vault: Vault,
        settings: Settings,
        at: datetime,
        code: Code,
        secret: Secret,
        file_name: FileName = None,
    ) -> Response[Received]:
        """Store the body as it comes, kept byte for byte; ask for its state under the id."""
        async with pools.reading() as tx:
            dossier = await service.holder(tx, code, secret)
        limit = settings.max_upload_mb << 20
        refuse_declared_excess(request, limit)
        stored = await blobs.put_stream(body_of(request), limit=limit)
        name = clean(unquote(file_name)) if file_name else None
        return await idempotency.run(
            request,
            f"citizen:{dossier.id}",
            lambda tx: uploads.receive(
                tx, vault, None, stored, profile="handed_in", file_name=name, dossier_id=dossier.id, at=at
            ),
            body_sha256=stored.sha256,
            lasting=True,
        )

    @get("/{code:str}/uploads/{upload_id:uuid}", opt=_CITIZENS, summary="Trạng thái tệp đã nộp / State of a file")
    async def handed_in(self, pools: Pools, vault: Vault, code: Code, upload_id: UUID, secret: Secret) -> Upload:
        """Return checking, accepted, or refused with reason and remedy."""
        async with pools.reading() as tx:
            dossier = await service.holder(tx, code, secret)
        return await uploads.look_as_citizen(pools, vault, dossier.id, upload_id)
