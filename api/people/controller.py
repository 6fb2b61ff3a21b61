"""The routes of people: accounts of the own agency, proposals, and one's own second factors."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post, put
from litestar.openapi.spec.enums import OpenAPIFormat
from litestar.params import QueryParameter

from api.db.privacy import Vault
from api.http import idempotency
from api.http.auth import service as sessions
from api.http.auth.guards import NO_KEY, requires, signed_in
from api.http.auth.rules import ONE_TIME_PASSWORD
from api.http.edge import edge_of
from api.http.validation import instant
from api.kernel import Actor
from api.people import accounts, contract, enrolling, proposing
from api.signatures import losing
from api.signatures.contract import Challenge, SignedLine, WithFactor

AnyRequest = Request[Any, Any, Any]
After = Annotated[str | None, QueryParameter(name="after", max_length=100, required=False)]
Before = Annotated[UUID | None, QueryParameter(name="before", required=False)]
Since = Annotated[str, QueryParameter(name="since", max_length=40, format=OpenAPIFormat.DATE_TIME)]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, required=False)]


class AccountController(Controller):
    """Tài khoản của cơ quan / accounts, as their local administrator sees them."""

    path = "/accounts"
    tags: Sequence[str] | None = ("people",)
    opt: Mapping[str, Any] | None = {"work": "officers"}

    @get("/", guards=[requires("account.read")], summary="Tài khoản của cơ quan / Accounts of the agency")
    async def accounts(
        self, request: AnyRequest, actor: Actor, at: datetime, after: After = None, limit: Limit = 50
    ) -> contract.AccountPage:
        """List the accounts that one looks after; those of the whole province for its administrators."""
        async with edge_of(request).pools.reading() as tx:
            return await accounts.page(tx, actor, after, limit, at)

    @put(
        "/{account_id:uuid}/password",
        guards=[requires("account.block")],
        opt={NO_KEY: True, "work": "login"},
        summary="Đặt lại mật khẩu / Reset the password",
    )
    async def reset_password(
        self, request: AnyRequest, account_id: UUID, actor: Actor, at: datetime
    ) -> contract.OneTimePassword:
        """Give a one-time password, shown this once; its first log-in must change it, and every session ends."""
        edge = edge_of(request)
        async with edge.pools.reading() as tx:
            await accounts.administered(tx, actor, account_id, at)
        password = await sessions.reset_password(edge, actor, account_id, at)
        return contract.OneTimePassword(password=password, expires_at=at + ONE_TIME_PASSWORD)

    @post("/{account_id:uuid}/lock", guards=[requires("account.block")], summary="Khóa tài khoản / Lock an account")
    async def lock(
        self, request: AnyRequest, account_id: UUID, data: contract.Lock, actor: Actor, at: datetime
    ) -> Response[contract.Blocked]:
        """Lock at once and alone; unlocking is a proposal that takes a second person."""

        async def work(tx: Any) -> contract.Blocked:
            await accounts.administered(tx, actor, account_id, at)
            return await accounts.block(tx, actor, account_id, "account", data.reason, at)

        return await idempotency.run(request, actor, work)

    @post(
        "/{account_id:uuid}/lost", guards=[requires("account.block")], summary="Báo mất cho người khác / Report a loss"
    )
    async def lost(
        self, request: AnyRequest, account_id: UUID, data: contract.Lost, actor: Actor, at: datetime
    ) -> Response[contract.LostFactors]:
        """Block every factor of an account, end its sessions, stop what it asked, list all it signed since a minute."""

        async def work(tx: Any) -> contract.LostFactors:
            await accounts.administered(tx, actor, account_id, at)
            return await accounts.lose_factors(tx, actor, account_id, data.reason, data.since, at)

        return await idempotency.run(request, actor, work)

    @get("/{account_id:uuid}/signed", guards=[requires("account.read")], summary="Đã ký từ lúc / Signed since")
    async def signed(
        self, request: AnyRequest, account_id: UUID, actor: Actor, at: datetime, since: Since
    ) -> list[SignedLine]:
        """List what an account has signed since an instant, latest first."""
        async with edge_of(request).pools.reading() as tx:
            await accounts.administered(tx, actor, account_id, at)
            return await losing.signed_since(tx, account_id, instant(since, "since"))


class CertificateController(Controller):
    """Chứng thư chữ ký số / certificates, bound and unbound by proposals."""

    path = "/certificates"
    tags: Sequence[str] | None = ("people",)
    opt: Mapping[str, Any] | None = {"work": "officers"}

    @get("/", guards=[signed_in], summary="Chứng thư đã gắn / Certificates that are bound")
    async def certificates(
        self, request: AnyRequest, actor: Actor, at: datetime, before: Before = None, limit: Limit = 50
    ) -> list[contract.CertificateLine]:
        """List the own certificates; for who is in charge of an agency those of its people and its seals, too."""
        async with edge_of(request).pools.reading() as tx:
            return await accounts.certificates(tx, actor, before, limit, at)


class ProposalController(Controller):
    """Đề xuất cần hai người / changes that take two persons."""

    path = "/proposals"
    tags: Sequence[str] | None = ("people",)
    opt: Mapping[str, Any] | None = {"work": "officers"}

    @get("/", guards=[signed_in], summary="Các đề xuất / Proposals")
    async def proposals(
        self,
        request: AnyRequest,
        actor: Actor,
        at: datetime,
        status: Annotated[contract.ProposalState | None, QueryParameter(name="state", required=False)] = None,
        before: Before = None,
        limit: Limit = 50,
    ) -> list[contract.ProposalLine]:
        """List the latest proposals of one's agency, or that one made or is the subject of; `before` pages back."""
        async with edge_of(request).pools.reading() as tx:
            return await proposing.listed(tx, actor, status, before, limit, at=at)

    @post("/", guards=[signed_in], status_code=202, summary="Đề xuất / Propose")
    async def propose(
        self, request: AnyRequest, vault: Vault, data: contract.Propose, actor: Actor, at: datetime
    ) -> Response[contract.Proposed]:
        """Propose a change with the own second factor; the signer judges it, then it waits for a second person."""
        return await idempotency.run(request, actor, lambda tx: proposing.propose(tx, vault, actor, data, at=at))

    @post(
        "/challenge",
        guards=[signed_in],
        status_code=200,
        opt={NO_KEY: True},
        summary="Thử thách để đề xuất / What a passkey signs to propose",
    )
    async def challenge(
        self, request: AnyRequest, data: contract.ChallengeChange, actor: Actor, at: datetime
    ) -> Challenge:
        """Return the challenge that binds exactly this change."""
        async with edge_of(request).pools.reading() as tx:
            return await proposing.challenge(tx, actor, data.change, at=at)

    @get("/{proposal_id:uuid}", guards=[signed_in], summary="Một đề xuất / A proposal")
    async def proposal(
        self, request: AnyRequest, vault: Vault, proposal_id: UUID, actor: Actor, at: datetime
    ) -> contract.Proposal:
        """Return the change with its digest and what was said; a view of personal data is logged."""
        async with edge_of(request).pools.transaction() as tx:
            return await proposing.show(tx, vault, actor, proposal_id, at=at)

    @get(
        "/{proposal_id:uuid}/challenge",
        guards=[signed_in],
        summary="Thử thách để đồng ý / What a passkey signs to agree",
    )
    async def challenge_of(self, request: AnyRequest, proposal_id: UUID, actor: Actor, at: datetime) -> Challenge:
        """Return the challenge that binds exactly this proposal."""
        async with edge_of(request).pools.reading() as tx:
            return await proposing.challenge_of(tx, actor, proposal_id, at=at)

    @post("/{proposal_id:uuid}/approval", guards=[signed_in], status_code=202, summary="Đồng ý / Agree")
    async def approve(
        self, request: AnyRequest, vault: Vault, proposal_id: UUID, data: contract.Approve, actor: Actor, at: datetime
    ) -> Response[contract.Proposed]:
        """Agree as the second person, with the own second factor; the signer judges it and applies the change."""
        return await idempotency.run(
            request, actor, lambda tx: proposing.approve(tx, vault, actor, proposal_id, data, at=at)
        )

    @post("/{proposal_id:uuid}/refusal", guards=[signed_in], status_code=202, summary="Từ chối / Refuse")
    async def refuse(
        self, request: AnyRequest, proposal_id: UUID, data: contract.Refuse, actor: Actor, at: datetime
    ) -> Response[contract.Proposed]:
        """Refuse it, or withdraw one's own; needs no factor."""
        return await idempotency.run(request, actor, lambda tx: proposing.refuse(tx, actor, proposal_id, data, at=at))


class FactorController(Controller):
    """Yếu tố xác thực của tôi / one's own second factors."""

    path = "/factors"
    tags: Sequence[str] | None = ("people",)
    opt: Mapping[str, Any] | None = {"work": "officers"}

    @post("/lost", guards=[signed_in], summary="Tôi mất điện thoại / My telephone is lost")
    async def lost(
        self, request: AnyRequest, data: contract.Lost, actor: Actor, at: datetime
    ) -> Response[contract.LostFactors]:
        """Block every own factor, end other sessions, stop what was asked, list all signed since a minute."""
        return await idempotency.run(
            request,
            actor,
            lambda tx: accounts.lose_factors(tx, actor, actor.account_id, data.reason, data.since, at),
        )

    @get("/signed", guards=[signed_in], summary="Tôi đã ký từ lúc / What I signed since")
    async def signed(self, request: AnyRequest, actor: Actor, since: Since) -> list[SignedLine]:
        """List what the own account has signed since an instant, latest first."""
        async with edge_of(request).pools.reading() as tx:
            return await losing.signed_since(tx, actor.account_id, instant(since, "since"))

    @post("/enrolments", guards=[signed_in], summary="Đăng ký yếu tố mới / Enrol a factor")
    async def start(
        self, request: AnyRequest, data: contract.StartEnrolment, actor: Actor, at: datetime
    ) -> Response[contract.Enrolment]:
        """Begin an enrolment: the code is read out to the administrator, who proposes it."""
        return await idempotency.run(request, actor, lambda tx: enrolling.start(tx, actor, data, at=at))

    @get("/enrolments/{enrolment_id:uuid}", guards=[signed_in], summary="Một lượt đăng ký / An enrolment")
    async def enrolment(self, request: AnyRequest, enrolment_id: UUID, actor: Actor) -> contract.Enrolment:
        """Return how far an own enrolment has come; `handed` is the secret, sealed to the browser's key."""
        async with edge_of(request).pools.reading() as tx:
            return await enrolling.show(tx, actor, enrolment_id)

    @post(
        "/enrolments/{enrolment_id:uuid}/passkey", guards=[signed_in], summary="Nộp khóa truy cập / Register a passkey"
    )
    async def register(
        self, request: AnyRequest, enrolment_id: UUID, data: contract.Registration, actor: Actor, at: datetime
    ) -> Response[contract.Enrolment]:
        """Keep the passkey that the browser made for this enrolment."""
        return await idempotency.run(
            request, actor, lambda tx: enrolling.register(tx, actor, enrolment_id, data, at=at)
        )

    @get(
        "/enrolments/{enrolment_id:uuid}/challenge", guards=[signed_in], summary="Thử thách đầu tiên / First challenge"
    )
    async def challenge(self, request: AnyRequest, enrolment_id: UUID, actor: Actor, at: datetime) -> Challenge:
        """Return what the new passkey signs once before it counts."""
        async with edge_of(request).pools.reading() as tx:
            return await enrolling.challenge(tx, actor, enrolment_id, at=at)

    @post(
        "/enrolments/{enrolment_id:uuid}/confirmation",
        guards=[signed_in],
        status_code=202,
        summary="Xác nhận lần đầu / First answer",
    )
    async def confirm(
        self, request: AnyRequest, enrolment_id: UUID, data: WithFactor, actor: Actor, at: datetime
    ) -> Response[contract.Enrolment]:
        """Give the first code or assertion of the new factor; the signer judges it, and only then it counts."""
        return await idempotency.run(request, actor, lambda tx: enrolling.confirm(tx, actor, enrolment_id, data, at=at))
