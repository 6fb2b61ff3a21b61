"""Dossiers over HTTP: hand in, read, take steps, deliver; and the work that hangs on them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import PathParameter, QueryParameter

from api.db.pools import Pools, Row, Tx
from api.db.privacy import Vault
from api.dossiers import access, store
from api.dossiers import facts as f
from api.dossiers.codes import looks_like_code
from api.dossiers.contract import (
    DeliverIn,
    DeliveryRow,
    Dossier,
    Filed,
    FiledWithSecret,
    Imported,
    Journal,
    NewDossier,
    StepIn,
    Stepped,
    TaskAnswer,
    TaskAssign,
    TaskHandOver,
    TaskIn,
    step_body,
)
from api.dossiers.forms import Form
from api.dossiers.intake import Intake
from api.dossiers.proof import proof_of
from api.dossiers.recording import no_dossier
from api.dossiers.service import Dossiers
from api.dossiers.views import Views
from api.dossiers.words import Action
from api.errors import Invalid
from api.http import idempotency
from api.http.auth.guards import requires, signed_in
from api.http.edge import edge_of
from api.http.hot import HOT
from api.http.lighter import Json
from api.http.openapi.answers import BODIES
from api.http.validation import field_fault
from api.kernel import Actor
from api.settings import Settings

AnyRequest = Request[Any, Any, Any]
_OFFICERS: Mapping[str, Any] = MappingProxyType({"work": "officers"})
Code = Annotated[str, PathParameter(max_length=64)]
After = Annotated[int, QueryParameter(name="after", ge=0, le=1_000_000, required=False)]

ELSEWHERE: dict[Action, str] = {
    Action.SUBMIT: "POST /dossiers",
    Action.IMPORT: "POST /dossiers/imported",
    Action.CLAIM: "POST /tasks/{task_id}/claim",
    Action.RELEASE: "POST /tasks/{task_id}/release",
    Action.ASSIGN: "POST /tasks/{task_id}/assign",
    Action.ANSWER_OPINION: "POST /tasks/{task_id}/answer",
    Action.DELIVER: "POST /dossiers/{code}/deliveries",
    Action.DRAFT_RESULT: "POST /dossiers/{code}/results",
    Action.SUBMIT_FOR_SIGNATURE: "POST /documents/{document_id}/chains",
    Action.RECORD_SIGNATURE: "the signer",
    Action.TAKE_BACK_SIGNATURE: "POST /signature-requests/{request_id}/take-back",
    Action.PASS_SIGNATURE: "POST /signature-requests/{request_id}/pass-on",
    Action.ISSUE: "the signer",
    Action.CONFIRM_SYNC: "the exchange",
    Action.FAIL_SYNC: "the exchange",
}
"""Actions that are more than a line of the journal, and where each is asked for."""

STEP_BODIES: dict[str, type[msgspec.Struct]] = {
    str(action): step_body(action, kind) for action, kind in f.FACTS.items() if action not in ELSEWHERE
}
"""The body of each step that is asked for here."""


class DossierController(Controller):
    """Hồ sơ / dossiers."""

    path = "/dossiers"
    tags: Sequence[str] | None = ("dossiers",)

    @post("/", guards=[requires("dossier.submit")], opt={**_OFFICERS, HOT: True}, summary="Nộp, tiếp nhận / Hand in")
    async def submit(
        self, request: AnyRequest, dossiers: Dossiers, vault: Vault, data: NewDossier, actor: Actor, at: datetime
    ) -> Response[FiledWithSecret]:
        """Hand a dossier in at the own counter; the citizen's secret is told in this answer only."""
        answer = await idempotency.run(
            request, actor, lambda tx: Intake(dossiers).submit(tx, actor, data, at=at), lasting=True
        )
        return await with_secret(answer, vault, edge_of(request).pools)

    @post("/imported", guards=[requires("dossier.import")], opt=_OFFICERS, summary="Nhập / Take over")
    async def take_over(
        self, request: AnyRequest, dossiers: Dossiers, vault: Vault, data: Imported, actor: Actor, at: datetime
    ) -> Response[FiledWithSecret]:
        """Take a dossier over from another system in the state it has there."""
        answer = await idempotency.run(
            request, actor, lambda tx: Intake(dossiers).take_over(tx, actor, data, at=at), lasting=True
        )
        return await with_secret(answer, vault, edge_of(request).pools)

    @get(
        "/{code:str}",
        guards=[requires("dossier.read")],
        opt={**_OFFICERS, HOT: True},
        summary="Một hồ sơ / One dossier",
    )
    async def show(self, request: AnyRequest, dossiers: Dossiers, code: Code, actor: Actor, at: datetime) -> Dossier:
        """Show a dossier with what may be done now; the view is logged."""
        async with edge_of(request).pools.writing() as connection:
            return await Views(dossiers).show(connection, actor, code, at=at)

    @get(
        "/{code:str}/journal",
        guards=[requires("dossier.read")],
        opt={**_OFFICERS, HOT: True},
        summary="Nhật ký / Journal",
    )
    async def journal(
        self, request: AnyRequest, dossiers: Dossiers, code: Code, actor: Actor, at: datetime, after: After = 0
    ) -> Journal:
        """Read the journal, a hundred lines at a time; the view is logged."""
        async with edge_of(request).pools.writing() as connection:
            return await Views(dossiers).journal(connection, actor, code, after, at=at)

    @get(
        "/{code:str}/forms/{form:str}",
        guards=[requires("dossier.read")],
        opt=_OFFICERS,
        summary="Dữ liệu biểu mẫu 01-06 / Data of a form",
    )
    async def form(
        self, request: AnyRequest, dossiers: Dossiers, settings: Settings, code: Code, form: Form, actor: Actor,
        at: datetime,
    ) -> dict[str, Any]:  # fmt: skip
        """Fill one of the national forms 01 to 06 from what the dossier knows; the view is logged."""
        async with edge_of(request).pools.transaction() as tx:
            return await Views(dossiers).form(tx, actor, code, form, settings.public_url, at=at)

    @post(
        "/{code:str}/steps/{action:str}",
        guards=[signed_in],
        opt={**_OFFICERS, BODIES: STEP_BODIES, HOT: True},
        status_code=200,
        summary="Một bước / One step",
    )
    async def take_step(
        self, request: AnyRequest, dossiers: Dossiers, code: Code, action: str, data: StepIn, actor: Actor, at: datetime
    ) -> Response[Stepped]:
        """Take one step; 409 says which steps are allowed. The facts that each action asks for are in the manual."""
        known, facts = decode_step(action, data)

        async def work(tx: Tx, row: Row) -> Stepped:
            return await dossiers.take_step(
                tx, actor, await dossiers.locked_once(tx, row), known, facts, at=at, expected_version=data.version,
                occurred_at=data.occurred_at,
            )  # fmt: skip

        return await idempotency.run_with(request, actor, dossiers.lock_once(looked_for(code)), work)

    @post(
        "/{code:str}/deliveries",
        guards=[requires("dossier.deliver")],
        opt=_OFFICERS,
        summary="Trả kết quả / Hand over a result",
    )
    async def deliver(
        self, request: AnyRequest, dossiers: Dossiers, code: Code, data: DeliverIn, actor: Actor, at: datetime
    ) -> Response[Stepped]:
        """Hand over one result with the proof its channel asks for."""
        proof = proof_of(data)
        facts = f.Deliver(result_id=data.result_id, channel=data.channel, all_present=data.all_present, note=data.note)

        async def work(tx: Tx, row: Row) -> Stepped:
            return await dossiers.deliver_result(
                tx, actor, await dossiers.locked_once(tx, row), facts, proof, at=at, expected_version=data.version,
                occurred_at=data.occurred_at,
            )  # fmt: skip

        return await idempotency.run_with(request, actor, dossiers.lock_once(looked_for(code)), work)

    @get(
        "/{code:str}/deliveries",
        guards=[requires("dossier.read")],
        opt=_OFFICERS,
        summary="Các lần trả kết quả / Hand-overs",
    )
    async def deliveries(self, request: AnyRequest, dossiers: Dossiers, code: Code, actor: Actor) -> list[DeliveryRow]:
        """List the hand-overs with their proofs."""
        async with edge_of(request).pools.reading() as tx:
            return await Views(dossiers).deliveries(tx, actor, code)


class TaskController(Controller):
    """Việc / work on the lists."""

    path = "/tasks/{task_id:uuid}"
    tags: Sequence[str] | None = ("dossiers",)

    @post("/claim", guards=[requires("dossier.claim")], opt=_OFFICERS, status_code=200, summary="Nhận việc / Claim")
    async def claim(
        self, request: AnyRequest, dossiers: Dossiers, task_id: UUID, data: TaskIn, actor: Actor, at: datetime
    ) -> Response[Stepped]:
        """Take work that nobody has; the second of two gets 409 and learns who was first."""
        work = dossiers.claim
        return await idempotency.run(
            request, actor, lambda tx: work(tx, actor, task_id, expected_version=data.version, at=at)
        )

    @post(
        "/release", guards=[requires("dossier.release")], opt=_OFFICERS, status_code=200, summary="Trả việc / Release"
    )
    async def release(
        self, request: AnyRequest, dossiers: Dossiers, task_id: UUID, data: TaskIn, actor: Actor, at: datetime
    ) -> Response[Stepped]:
        """Put one's own work back on the list."""
        work = dossiers.release
        return await idempotency.run(
            request, actor, lambda tx: work(tx, actor, task_id, expected_version=data.version, at=at)
        )

    @post("/assign", guards=[requires("dossier.assign")], opt=_OFFICERS, status_code=200, summary="Phân công / Assign")
    async def assign(
        self, request: AnyRequest, dossiers: Dossiers, task_id: UUID, data: TaskAssign, actor: Actor, at: datetime
    ) -> Response[Stepped]:
        """Give work to an officer of the task's agency."""
        return await idempotency.run(
            request,
            actor,
            lambda tx: dossiers.assign(tx, actor, task_id, data.account_id, expected_version=data.version, at=at),
        )

    @post(
        "/hand-over",
        guards=[requires("dossier.hand_over")],
        opt=_OFFICERS,
        status_code=200,
        summary="Chuyển hồ sơ / Hand over",
    )
    async def hand_over(
        self, request: AnyRequest, dossiers: Dossiers, task_id: UUID, data: TaskHandOver, actor: Actor, at: datetime
    ) -> Response[Stepped]:
        """Hand the work over to another unit, which confirms; until then the sender stays responsible."""
        facts = f.HandOver(agency_id=data.agency_id, unit=data.unit, note=data.note)
        return await idempotency.run(
            request,
            actor,
            lambda tx: dossiers.hand_over(tx, actor, task_id, facts, expected_version=data.version, at=at),
        )

    @post(
        "/answer",
        guards=[requires("dossier.answer_opinion")],
        opt=_OFFICERS,
        status_code=200,
        summary="Cho ý kiến / Give an opinion",
    )
    async def answer(
        self, request: AnyRequest, dossiers: Dossiers, task_id: UUID, data: TaskAnswer, actor: Actor, at: datetime
    ) -> Response[Stepped]:
        """Give the opinion that was asked for; it gives no other right to the dossier."""
        facts = f.AnswerOpinion(task_id=task_id, opinion=data.opinion, verdict=data.verdict)
        return await idempotency.run(
            request, actor, lambda tx: dossiers.answer_opinion(tx, actor, task_id, facts, at=at)
        )


def decode_step(action: str, data: StepIn) -> tuple[Action, f.Facts]:
    """Return the action and its facts.

    Raises:
        Invalid: no such action, one that is asked for elsewhere, or facts that cannot be right.
    """
    try:
        known = Action(action)
    except ValueError:
        raise Invalid("Không có bước này.", "There is no such step.", code="unknown-step") from None
    if known in ELSEWHERE:
        raise Invalid(
            "Bước này thực hiện ở chỗ khác.", f"This step is asked for at: {ELSEWHERE[known]}.", code="step-elsewhere",
            at=ELSEWHERE[known],
        )  # fmt: skip
    try:
        return known, msgspec.convert(data.facts, f.FACTS[known])
    except msgspec.ValidationError as fault:
        raise field_fault([(str(fault), "facts")], where="body") from None


def looked_for(code: str) -> str:
    """Return a code that can be one.

    Raises:
        NotFound: no dossier can have it, so the database is not asked.
    """
    if not looks_like_code(code):
        raise no_dossier()
    return code


async def with_secret(answer: Response[Filed], vault: Vault, pools: Pools) -> Response[FiledWithSecret]:
    """Add the citizen's secret to an answer that is kept without it; a repeat tells the same secret."""
    filed = msgspec.json.decode(answer.content, type=Filed) if isinstance(answer.content, bytes) else answer.content
    stored = None
    if vault.is_rotating:  # a repeat may ask for what an older key told
        async with pools.reading() as tx:
            stored = await store.access_digest(tx, filed.id)
    told = FiledWithSecret(**msgspec.structs.asdict(filed), secret=access.secret_of(vault, filed.id, stored))
    return Json(told, status_code=answer.status_code, headers=answer.headers)
