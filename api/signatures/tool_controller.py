"""The routes of a signatory's own program (the desktop tool of a USB token): fetch what waits, hand it back signed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter
from litestar.response import Stream
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from api import audit
from api.db.pools import Pools
from api.documents.blobs import BlobStore
from api.documents.controller import ANY_FILE, body_of, refuse_declared_excess
from api.errors import Invalid
from api.failpoints import reach
from api.http.auth.guards import NO_KEY, signed_in
from api.http.hot import HOT
from api.http.openapi.answers import ANSWERS, BODY, FILE, Answer
from api.kernel import Actor, Sha256
from api.settings import Settings
from api.signatures import handing
from api.signatures.tool_contract import FileTaken, HandedItem, SigningTransaction, ValuesBack

AnyRequest = Request[Any, Any, Any]
TransactionId = Annotated[str, Parameter(max_length=64, pattern="^[!-~]+$")]
_FORM: Final = "multipart/form-data"
_TAKES: Final = (*ANY_FILE, _FORM)
_GIVEN_OUT: Final = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
}


class ToolController(Controller):
    """Công cụ ký của người ký / the signatory's own program."""

    path = handing.PATH
    tags: Sequence[str] | None = ("signatures",)
    opt: Mapping[str, Any] | None = {"work": "signing"}

    @get("/", guards=[signed_in], opt={HOT: True}, summary="Văn bản chờ công cụ ký / What waits for my signing tool")
    async def waiting(self, pools: Pools, settings: Settings, actor: Actor, at: datetime) -> list[SigningTransaction]:
        """Return all that waits, with everything the program needs: one call for a whole batch."""
        async with pools.reading() as tx:
            return await handing.to_sign(tx, actor, settings.public_url, at)

    @get(
        "/{transaction_id:str}/items/{request_id:uuid}/{what:str}",
        guards=[signed_in],
        opt={ANSWERS: FILE},
        summary="Bản gốc hoặc bản đã chuẩn bị để ký / The base or the prepared file",
    )
    async def give_out(
        self,
        pools: Pools,
        blobs: BlobStore,
        actor: Actor,
        at: datetime,
        transaction_id: TransactionId,
        request_id: UUID,
        what: Literal["base", "prepared"],
    ) -> Response[Any]:
        """Return the document as it is signed.

        `base` has the laid fields alone: the program signs in the named one, by a revision of its own. `prepared` has
        appearance, number and date in place, and a room for the program's own CMS.
        """
        async with pools.transaction() as tx:
            row = await handing.file_out(tx, actor, transaction_id, request_id, at)
            await audit.log_view(tx, actor, "document", row.document_id, "document.read", at=at)
        increment = row.increment if what == "prepared" else b""

        async def content() -> AsyncIterator[bytes]:
            async for piece in blobs.open_range(Sha256(row.base_sha256), 0, row.base_size):
                yield piece
            yield increment

        headers = {**_GIVEN_OUT, "Content-Length": str(row.base_size + len(increment))}
        return Stream(content(), media_type="application/pdf", headers=headers)

    @post(
        "/{transaction_id:str}/items/{request_id:uuid}/file",
        guards=[signed_in],
        opt={
            NO_KEY: True,
            "work": "uploads",
            BODY: _TAKES,
            ANSWERS: tuple(Answer(status=status, kind=FileTaken) for status in (200, 202)),
        },
        status_code=200,
        request_max_body_size=None,
        summary="Gửi trả tệp đã ký / Hand back a signed file",
    )
    async def hand_back_file(
        self,
        request: AnyRequest,
        pools: Pools,
        blobs: BlobStore,
        settings: Settings,
        actor: Actor,
        at: datetime,
        transaction_id: TransactionId,
        request_id: UUID,
    ) -> Response[FileTaken]:
        """Take a whole signed file, committed before it is answered; 202 where it is still being checked."""
        limit = settings.max_upload_mb << 20
        refuse_declared_excess(request, limit)
        async with pools.reading() as tx:
            await handing.demand_own(tx, actor, transaction_id, request_id)
        stored = await blobs.put_stream(signed_file(request), limit=limit)
        handed = await pools.run(lambda tx: handing.take_file(tx, actor, transaction_id, request_id, stored, at=at))
        await reach("committed", transaction_id)
        (item,) = await handing.judged(pools, [handed])
        return Response(handing.file_taken(item), status_code=202 if item.state == "checking" else 200)

    @post(
        "/{transaction_id:str}/values",
        guards=[signed_in],
        opt={NO_KEY: True},
        status_code=200,
        summary="Gửi trả giá trị ký / Hand back raw values",
    )
    async def hand_back_values(
        self, pools: Pools, actor: Actor, at: datetime, transaction_id: TransactionId, data: ValuesBack
    ) -> list[HandedItem]:
        """Take the raw values of a whole batch in one call, committed before they are answered; a result for each."""
        given = handing.given_values(data.values)
        kept, faults = await pools.run(lambda tx: handing.take(tx, actor, transaction_id, given, at=at))
        await reach("committed", transaction_id)
        told = await handing.judged(pools, list(kept.values()))
        return told + [handing.refused_item(request, fault) for request, fault in faults.items()]

    @post(
        "/{transaction_id:str}/refusal",
        guards=[signed_in],
        opt={NO_KEY: True},
        status_code=202,
        summary="Từ chối ký trên công cụ / Refuse at the tool",
    )
    async def refuse(self, pools: Pools, actor: Actor, at: datetime, transaction_id: TransactionId) -> UUID:
        """Give everything of a transaction back unsigned; the documents return to the list. Returns the ticket."""
        return await pools.run(lambda tx: handing.refuse(tx, actor, transaction_id, at=at))


async def signed_file(request: AnyRequest) -> AsyncIterator[bytes]:
    """Yield a handed back file as it comes: the body itself, or the first file of a form, as desktop tools send it.

    Raises:
        Invalid: the form is not legible.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != _FORM:
        async for piece in body_of(request):
            yield piece
        return
    taking, seen = False, False
    try:
        with PushMultipartParser(options.get("boundary", ""), strict=True) as parser:
            async for chunk in body_of(request):
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        taking = not seen and event.filename is not None
                        seen = seen or taking
                    elif event is None:
                        taking = False
                    elif taking:
                        yield bytes(event)
    except (MultipartError, ValueError) as error:
        raise Invalid(
            "Biểu mẫu gửi tệp không đọc được.", "The form with the file is not legible.", code="form-illegible"
        ) from error
