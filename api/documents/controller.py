"""The document routes: uploads, results, documents, drafts, files, registers."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter

from api.db.pools import Pools
from api.db.privacy import Vault
from api.documents import drafts, numbering, printing, results, uploads
from api.documents.blobs import BlobStore
from api.documents.contract import (
    Document,
    DocumentMade,
    Draft,
    NewDocument,
    NewDraft,
    NewPrint,
    NewResult,
    Ordered,
    Print,
    Profile,
    Received,
    Register,
    ResultMade,
    Results,
    SeriesList,
    Upload,
    VoidNumber,
)
from api.errors import TooLarge
from api.http import idempotency
from api.http.auth.guards import requires
from api.http.bodies import in_time
from api.http.openapi.answers import ANSWERS, BODY, Answer
from api.http.text import clean, utf8
from api.kernel import Actor
from api.registry.service import Registry
from api.settings import Settings

FileName = Annotated[str | None, Parameter(header="X-File-Name", max_length=1000, required=False)]
"""The name of the file, percent-encoded UTF-8; it may name a person, so it stands in no address and is sealed."""
ANY_FILE: Final = ("application/pdf", "application/octet-stream")
"""What an upload may call itself; what it is, the worker finds out."""
_READ: Final = [requires("document.read")]
_DRAFT: Final = [requires("result.draft")]


class UploadController(Controller):
    """Tải tệp lên / uploads."""

    path = "/uploads"
    tags: Sequence[str] | None = ("documents",)

    @post(
        "/",
        guards=[requires("document.upload")],
        opt={
            "work": "uploads",
            BODY: ANY_FILE,
            ANSWERS: tuple(Answer(status=status, kind=Received, headers=("Location",)) for status in (201, 202)),
        },
        status_code=202,
        request_max_body_size=None,
        summary="Tải tệp lên / Upload a file",
    )
    async def upload(
        self,
        request: Request[Any, Any, Any],
        blobs: BlobStore,
        vault: Vault,
        pools: Pools,
        settings: Settings,
        actor: Actor,
        at: datetime,
        profile: Profile,
        dossier_id: UUID | None = None,
        file_name: FileName = None,
    ) -> Response[Received]:
        """Store the body as it comes; 201 when its check ends within two seconds, else 202: ask for its state."""
        limit = settings.max_upload_mb << 20
        refuse_declared_excess(request, limit)
        stored = await blobs.put_stream(body_of(request), limit=limit)
        name = clean(utf8(unquote_to_bytes(file_name))) if file_name else None
        answer = await idempotency.run(
            request,
            actor,
            lambda tx: uploads.receive(
                tx, vault, actor, stored, profile=profile, file_name=name, dossier_id=dossier_id, at=at
            ),
            body_sha256=stored.sha256,
            lasting=True,
        )
        return await uploads_answer(pools, answer)

    @get("/{upload_id:uuid}", guards=_READ, summary="Trạng thái tệp / State of an upload")
    async def show(self, pools: Pools, vault: Vault, actor: Actor, upload_id: UUID) -> Upload:
        """Return checking, accepted, or refused with reason and remedy."""
        return await uploads.look(pools, vault, actor, upload_id)


class ResultController(Controller):
    """Kết quả và văn bản / results and documents."""

    path = "/"
    tags: Sequence[str] | None = ("documents",)

    @post("/dossiers/{dossier_id:uuid}/results", guards=_DRAFT, summary="Lập kết quả / Make a result")
    async def make(
        self,
        request: Request[Any, Any, Any],
        result_drafted: results.Drafted,
        data: NewResult,
        actor: Actor,
        at: datetime,
        dossier_id: UUID,
    ) -> Response[ResultMade]:
        """Make a draft result in the form that the dossier's procedure version states."""
        return await idempotency.run(
            request,
            actor,
            lambda tx: results.create_result(tx, actor, dossier_id, data, at, drafted=result_drafted),
        )

    @get("/dossiers/{dossier_id:uuid}/results", guards=_READ, summary="Các kết quả / Results of a dossier")
    async def of_dossier(self, pools: Pools, actor: Actor, dossier_id: UUID) -> Results:
        """List the results with their documents."""
        return await results.list_results(pools, actor, dossier_id)

    @post("/results/{result_id:uuid}/documents", guards=_DRAFT, summary="Thêm văn bản / Add a document")
    async def add(
        self, request: Request[Any, Any, Any], data: NewDocument, actor: Actor, at: datetime, result_id: UUID
    ) -> Response[DocumentMade]:
        """Add a document to a draft result."""
        return await idempotency.run(request, actor, lambda tx: results.add_document(tx, actor, result_id, data, at))

    @get("/documents/{document_id:uuid}", guards=_READ, summary="Văn bản / A document")
    async def show(self, pools: Pools, actor: Actor, document_id: UUID) -> Document:
        """Return a document with its revisions."""
        return await results.show_document(pools, actor, document_id)

    @post(
        "/documents/{document_id:uuid}/drafts",
        guards=_DRAFT,
        status_code=202,
        summary="Soạn dự thảo / Order a draft",
    )
    async def draft(
        self,
        request: Request[Any, Any, Any],
        data: NewDraft,
        vault: Vault,
        registry: Registry,
        settings: Settings,
        actor: Actor,
        at: datetime,
        document_id: UUID,
    ) -> Response[Ordered]:
        """Order a draft from a template or of an accepted upload; ask for its state under /drafts/{id}."""
        return await idempotency.run(
            request,
            actor,
            lambda tx: drafts.order(
                tx, vault, registry, actor, document_id, data, public_url=settings.public_url, at=at
            ),
        )

    @get("/drafts/{draft_id:uuid}", guards=_READ, summary="Trạng thái dự thảo / State of a draft")
    async def show_draft(self, pools: Pools, actor: Actor, draft_id: UUID) -> Draft:
        """Return queued, done with its revision, or failed with the reason."""
        return await drafts.show_draft(pools, actor, draft_id)


class RegisterController(Controller):
    """Sổ đăng ký văn bản đi / registers of numbers."""

    path = "/"
    tags: Sequence[str] | None = ("documents",)

    @get("/series", guards=[requires("number.read")], summary="Các dãy số / Number series")
    async def series(self, pools: Pools, actor: Actor, at: datetime) -> SeriesList:
        """List the number series of the own agency."""
        return await numbering.list_series(pools, actor, at)

    @get("/series/{series_id:uuid}/register", guards=[requires("number.read")], summary="Sổ số / The register")
    async def register(
        self,
        pools: Pools,
        actor: Actor,
        at: datetime,
        series_id: UUID,
        year: Annotated[int | None, Parameter(ge=1945, le=9999, required=False)] = None,
        after: Annotated[int, Parameter(ge=0, le=2_000_000_000)] = 0,
    ) -> Register:
        """Return a page of the register of a year, gaps printed."""
        return await numbering.register(pools, actor, series_id, year, after, at)

    @post(
        "/numbers/{number_id:uuid}/void",
        guards=[requires("number.void")],
        status_code=204,
        summary="Hủy số / Void a number",
    )
    async def void(
        self, request: Request[Any, Any, Any], data: VoidNumber, actor: Actor, at: datetime, number_id: UUID
    ) -> Response[None]:
        """Void a reserved number with a reason; its row stays in the register."""
        return await idempotency.run(
            request, actor, lambda tx: numbering.void_by_clerk(tx, actor, number_id, data.reason, at)
        )


class PrintController(Controller):
    """In biểu mẫu / printing of forms."""

    path = "/prints"
    tags: Sequence[str] | None = ("documents",)

    @post("/", guards=_READ, status_code=202, summary="In biểu mẫu 01-06 / Print a form")
    async def order(
        self,
        request: Request[Any, Any, Any],
        data: NewPrint,
        vault: Vault,
        registry: Registry,
        actor: Actor,
        at: datetime,
    ) -> Response[Print]:
        """Order one of the national forms under the own agency's letterhead."""
        return await idempotency.run(request, actor, lambda tx: printing.order(tx, vault, registry, actor, data, at))

    @get("/{print_id:uuid}", guards=_READ, summary="Trạng thái bản in / State of a print")
    async def show(self, pools: Pools, actor: Actor, print_id: UUID) -> Print:
        """Return queued, done, or failed with the reason."""
        return await printing.show(pools, actor, print_id)


async def body_of(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """Yield the request's body as it comes."""
    async for chunk in in_time(aiter(request.stream())):
        yield chunk


def refuse_declared_excess(request: Request[Any, Any, Any], limit: int) -> None:
    """Refuse a body that says itself that it is too large, before a byte of it is read.

    Raises:
        TooLarge: the declared length is over the limit.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise TooLarge(
            f"Tệp lớn hơn giới hạn {limit >> 20} MB.",
            f"The file is larger than the limit of {limit >> 20} MB.",
            limit_bytes=limit,
        )


async def uploads_answer(pools: Pools, answer: Response[Any]) -> Response[Any]:
    """Turn 202 into 201 where the check has ended within two seconds."""
    upload_id = uploads.id_in(answer.content)
    if await uploads.wait_checked(pools, upload_id):
        answer.status_code = 201
    answer.headers["Location"] = f"/uploads/{upload_id}"
    return answer
