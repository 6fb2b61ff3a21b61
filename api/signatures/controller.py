"""The routes of signing: submit, lists, ask, ticket and its stream, send back."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import Parameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from api.dossiers.service import Dossiers
from api.http import idempotency
from api.http.auth.guards import NO_KEY, requires, signed_in
from api.http.edge import edge_of
from api.http.hot import HOT
from api.http.openapi.answers import ANSWERS, Answer
from api.kernel import Actor
from api.signatures import asking, contract, entering, returning, store, submitting, tickets
from api.signatures.tickets import Watch

Limit = Annotated[int, Parameter(ge=1, le=200, default=50)]
Cursor = Annotated[str | None, Parameter(query="after", max_length=200, default=None)]
AnyRequest = Request[Any, Any, Any]
_EVENTS: Final = Answer(status=200, media_type="text/event-stream", kind=contract.Event)


class ChainController(Controller):
    """Trình ký / submitting documents for signature."""

    path = "/documents/{document_id:uuid}/chains"
    tags: Sequence[str] | None = ("signatures",)

    @post(
        "/", guards=[requires("signature.submit")], opt={"work": "officers"}, summary="Trình ký / Submit for signature"
    )
    async def submit(
        self,
        request: AnyRequest,
        dossiers: Dossiers,
        document_id: UUID,
        data: contract.SubmitForSignature,
        actor: Actor,
        at: datetime,
    ) -> Response[contract.Submitted]:
        """Open the chain of a document; its requests appear in the lists once the places are laid."""
        return await idempotency.run(
            request, actor, lambda tx: submitting.submit(dossiers, tx, actor, document_id, data, at=at)
        )

    @get("/", guards=[requires("document.read")], opt={"work": "officers"}, summary="Các lượt trình ký / Chains")
    async def chains(self, request: AnyRequest, document_id: UUID, actor: Actor) -> list[contract.ChainLine]:
        """Return every request of a document, newest chain first."""
        async with edge_of(request).pools.reading() as tx:
            return await returning.chains(tx, actor, document_id)


class RequestController(Controller):
    """Chờ ký / what waits to be signed, and everything one may do instead of signing."""

    path = "/signature-requests"
    tags: Sequence[str] | None = ("signatures",)
    opt: Mapping[str, Any] | None = {"work": "signing"}

    @get("/", guards=[signed_in], opt={"seconds": 3.0, HOT: True}, summary="Danh sách chờ ký / What waits for me")
    async def waiting(self, request: AnyRequest, actor: Actor, after: Cursor, limit: Limit) -> contract.ToSignPage:
        """Return a page of what waits for the person, or for the seal of the clerk's agency."""
        async with edge_of(request).pools.reading() as tx:
            return await tickets.to_sign(tx, actor, after, limit)

    @post(
        "/{request_id:uuid}/send-back", guards=[requires("signature.send_back")], summary="Trả lại để sửa / Send back"
    )
    async def send_back(
        self,
        request: AnyRequest,
        dossiers: Dossiers,
        request_id: UUID,
        data: contract.Return,
        actor: Actor,
        at: datetime,
    ) -> Response[UUID]:
        """Send the document back to a named step."""
        return await idempotency.run(
            request, actor, lambda tx: returning.send_back(dossiers, tx, actor, request_id, data, at=at)
        )

    @post("/{request_id:uuid}/decline", guards=[requires("signature.decline")], summary="Không ký / Decline")
    async def decline(
        self,
        request: AnyRequest,
        dossiers: Dossiers,
        request_id: UUID,
        data: contract.Because,
        actor: Actor,
        at: datetime,
    ) -> Response[UUID]:
        """Decline to sign, with a reason."""
        return await idempotency.run(
            request, actor, lambda tx: returning.decline(dossiers, tx, actor, request_id, data, at=at)
        )

    @post("/{request_id:uuid}/take-back", guards=[requires("signature.take_back")], summary="Rút chữ ký / Take back")
    async def take_back(
        self,
        request: AnyRequest,
        dossiers: Dossiers,
        request_id: UUID,
        data: contract.Because,
        actor: Actor,
        at: datetime,
    ) -> Response[UUID]:
        """Take back one's own signature until a number is given."""
        return await idempotency.run(
            request, actor, lambda tx: returning.take_back(dossiers, tx, actor, request_id, data, at=at)
        )

    @post("/{request_id:uuid}/pass-on", guards=[requires("signature.pass_on")], summary="Chuyển người ký / Pass on")
    async def pass_on(
        self,
        request: AnyRequest,
        dossiers: Dossiers,
        request_id: UUID,
        data: contract.PassOn,
        actor: Actor,
        at: datetime,
    ) -> Response[UUID]:
        """Pass to another competent signatory."""
        return await idempotency.run(
            request, actor, lambda tx: returning.pass_on(dossiers, tx, actor, request_id, data, at=at)
        )

    @post("/{request_id:uuid}/release", guards=[requires("signature.send_back")], summary="Đưa lại chờ ký / Release")
    async def release(self, request: AnyRequest, request_id: UUID, actor: Actor, at: datetime) -> Response[UUID]:
        """Return a failed request to its list after a person has looked at it."""
        return await idempotency.run(request, actor, lambda tx: returning.release(tx, actor, request_id, at=at))

    @post(
        "/{request_id:uuid}/number",
        guards=[requires("number.enter_foreign")],
        summary="Nhập số của hệ thống khác / Enter a foreign register's number",
    )
    async def enter_number(
        self, request: AnyRequest, request_id: UUID, data: contract.EnterNumber, actor: Actor, at: datetime
    ) -> Response[contract.EnteredNumber]:
        """Enter the number that the document system gave; the sealing that follows carries it."""
        return await idempotency.run(
            request, actor, lambda tx: entering.enter_number(tx, actor, request_id, data, at=at)
        )

    @post(
        "/reassign",
        guards=[requires("signature.reassign")],
        opt={"seconds": 15.0},
        summary="Chuyển cả danh sách / Reassign a list",
    )
    async def reassign(
        self, request: AnyRequest, dossiers: Dossiers, data: contract.Reassign, actor: Actor, at: datetime
    ) -> Response[contract.Reassigned]:
        """Reassign an absent signatory's whole list, with a result per item."""
        return await idempotency.run(request, actor, lambda tx: returning.reassign(dossiers, tx, actor, data, at=at))


class BatchController(Controller):
    """Mã lượt ký / tickets: ask, look, watch."""

    path = "/signature-batches"
    tags: Sequence[str] | None = ("signatures",)
    opt: Mapping[str, Any] | None = {"work": "signing"}

    @post("/", guards=[signed_in], opt={"seconds": 10.0, HOT: True}, status_code=202, summary="Ký / Sign or seal these")
    async def ask(
        self, request: AnyRequest, watch: Watch, data: contract.Ask, actor: Actor, at: datetime
    ) -> Response[contract.Accepted]:
        """Commit what a person wants signed and return a durable ticket, also when every key holder is down."""
        trace_id: str | None = request.scope["state"].get("trace_id")
        line = await watch.line()
        return await idempotency.run(
            request, actor, lambda tx: asking.ask(tx, actor, data, line, at=at, trace_id=trace_id)
        )

    @post(
        "/challenge",
        guards=[signed_in],
        status_code=200,
        opt={NO_KEY: True},
        summary="Thử thách cho khóa truy cập / What a passkey signs",
    )
    async def challenge(
        self, request: AnyRequest, data: contract.AskChallenge, actor: Actor, at: datetime
    ) -> contract.Challenge:
        """Return the challenge that binds exactly these digests, this account and this act."""
        async with edge_of(request).pools.reading() as tx:
            return await asking.challenge(tx, actor, data, at=at)

    @post("/plan", guards=[signed_in], status_code=200, opt={NO_KEY: True}, summary="Số lần xác nhận / How it is cut")
    async def plan(self, request: AnyRequest, data: contract.PlanAsk, actor: Actor) -> list[contract.Confirmations]:
        """Say how often the person will be asked to confirm, before anybody confirms anything."""
        async with edge_of(request).pools.reading() as tx:
            return await asking.plan(tx, actor, data)

    @get("/", guards=[signed_in], summary="Các lượt ký của tôi / My tickets")
    async def mine(self, request: AnyRequest, actor: Actor) -> list[contract.TicketSummary]:
        """Return the latest tickets of the account, so that a second device shows the same ones."""
        async with edge_of(request).pools.reading() as tx:
            return await store.my_tickets(tx, actor.account_id, 20)

    @get("/{batch_id:uuid}", guards=[signed_in], opt={HOT: True}, summary="Một lượt ký / A ticket")
    async def ticket(self, request: AnyRequest, watch: Watch, batch_id: UUID, actor: Actor) -> contract.Ticket:
        """Return stage, position, estimate and the result of each item."""
        line = await watch.line()
        async with edge_of(request).pools.reading() as tx:
            return await tickets.ticket(tx, line, actor, batch_id)

    @get(
        "/{batch_id:uuid}/events",
        guards=[signed_in],
        opt={"work": "streams", ANSWERS: (_EVENTS,)},
        summary="Theo dõi lượt ký / Watch a ticket",
    )
    async def events(
        self,
        request: AnyRequest,
        watch: Watch,
        batch_id: UUID,
        actor: Actor,
        last_event_id: Annotated[int, Parameter(header="Last-Event-ID", ge=0, le=2_000_000_000, default=0)],
    ) -> ServerSentEvent:
        """Stream the whole ticket at each change; with Last-Event-ID it goes on from there."""
        async with edge_of(request).pools.reading() as tx:
            rows = await tickets.read(tx, actor, batch_id)

        async def messages() -> AsyncGenerator[ServerSentEventMessage]:
            async for now in tickets.stream(watch, actor, rows, last_event_id):
                if now is None:
                    yield ServerSentEventMessage(comment="alive", data=None)
                elif isinstance(now, contract.Place):
                    # Without an id: it says nothing of which changes have been seen.
                    yield ServerSentEventMessage(event="place", data=msgspec.json.encode(now).decode())
                else:
                    yield ServerSentEventMessage(
                        event="ticket", id=str(now.version), data=msgspec.json.encode(now).decode(), retry=2000
                    )

        return ServerSentEvent(messages())
