"""The routes that key holders lead to: their webhooks, and the return of a browser from their own page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter

from api.failpoints import reach
from api.http.auth.guards import NO_KEY, PUBLIC, signed_in
from api.http.edge import edge_of
from api.http.openapi.answers import ANSWERS, BODY, Answer
from api.kernel import Actor
from api.signatures import answering, contract, paging

Holder = Annotated[str, Parameter(max_length=64, pattern="^[!-~]+$")]
State = Annotated[str, Parameter(query="state", min_length=1, max_length=128, pattern="^[!-~]+$")]
GrantCode = Annotated[str, Parameter(query="code", max_length=4096, pattern="^[ -~]*$", default="")]
GrantError = Annotated[str, Parameter(query="error", max_length=128, pattern="^[ -~]*$", default="")]
Issuer = Annotated[str, Parameter(query="iss", max_length=1024, pattern="^[!-~]*$", default="")]
AnyRequest = Request[Any, Any, Any]
_PAGE: Final = Answer(status=200, media_type="text/html")
_PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class HolderController(Controller):
    """What key holders send by themselves (webhooks), and what browsers bring back from their pages."""

    path = "/holders"
    tags: Sequence[str] | None = ("signatures",)

    @post(
        "/{holder:str}/answers",
        opt={
            PUBLIC: True,
            NO_KEY: True,
            "work": "signing",
            BODY: ("application/json", "application/octet-stream"),
            ANSWERS: (Answer(status=202),),
        },
        status_code=202,
        summary="Trả lời của nơi giữ khóa / A key holder's answer",
    )
    async def answer(self, request: AnyRequest, holder: Holder) -> Response[bytes]:
        """Commit an answer before it is answered; the signer alone judges it."""
        body = await request.body()
        async with edge_of(request).pools.transaction() as tx:
            await answering.keep(tx, holder, dict(request.headers), body)
        await reach("committed", holder)
        return Response(b"", status_code=202, media_type="text/plain")

    @get(
        "/{holder:str}/page",
        opt={PUBLIC: True, "work": "signing", ANSWERS: (_PAGE,)},
        summary="Từ trang của nơi giữ khóa trở về / Back from a key holder's page",
    )
    async def back(
        self, holder: Holder, mark: State, grant: GrantCode, refusal: GrantError, issuer: Issuer
    ) -> Response[str]:
        """Lead a browser on to where its session counts; nothing is taken here (`redirect_uri` of the holder)."""
        brought = paging.Brought(state=mark, code=grant, error=refusal, issuer=issuer)
        address, page = paging.stepping_stone(holder, brought)
        return Response(page, media_type="text/html", headers={**_PRIVATE, "Refresh": f"0; url={address}"})

    @get(
        "/{holder:str}/page/taken",
        guards=[signed_in],
        opt={"work": "signing"},
        summary="Nhận xác nhận từ trang của nơi giữ khóa / Take what a key holder's page answered",
    )
    async def taken(
        self,
        request: AnyRequest,
        holder: Holder,
        mark: State,
        grant: GrantCode,
        refusal: GrantError,
        issuer: Issuer,
        actor: Actor,
        at: datetime,
    ) -> contract.PageTaken:
        """Take, once, what the page answered to the session that asked; what comes of it stands in the ticket."""
        brought = paging.Brought(state=mark, code=grant, error=refusal, issuer=issuer)
        async with edge_of(request).pools.transaction() as tx:
            told = await paging.take(tx, actor, holder, brought, at=at)
        await reach("committed", holder)
        return told
