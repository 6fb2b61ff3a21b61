"""What the signature routes take and give; names are the wire's names."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.http.text import ShortText
from api.signatures.chain import Signer

Lane = Literal["counter", "normal"]
HexDigest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
Code = Annotated[str, Meta(pattern="^[0-9]{6}$", description="Mã xác thực 6 số / six-digit code of the second factor")]
Why = Annotated[str, Meta(min_length=3, max_length=2000)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class SubmitForSignature(_Request, frozen=True, kw_only=True):
    """Submit a document for signature (trình ký); without `signers` the procedure's usual ones are named."""

    signers: Annotated[list[Signer], Meta(max_length=20)] = []
    lane: Lane = "normal"


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """The chain that was opened; its places are laid in the file next, then it appears in the first list."""

    chain_id: UUID
    document_id: UUID
    request_ids: list[UUID]


Base64Url = Annotated[str, Meta(min_length=1, max_length=4096, pattern="^[A-Za-z0-9_-]+$")]


class AssertionResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The `response` of an assertion, each part base64url, as `PublicKeyCredential.toJSON()` gives it."""

    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    authenticator_data: Base64Url = msgspec.field(name="authenticatorData")
    signature: Base64Url


class Assertion(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey's assertion (WebAuthn `PublicKeyCredential.toJSON()`); other members of it are not needed."""

    id: Base64Url
    type: Literal["public-key"]
    response: AssertionResponse


class PasskeyAnswer(_Request, frozen=True, kw_only=True):
    """What a passkey signed: the nonce that the challenge was made with, and the assertion."""

    nonce: UUID
    assertion: Assertion


class WithFactor(_Request, frozen=True, kw_only=True):
    """A second factor: either the six digits of the authenticator app, or a passkey's answer."""

    code: Code | None = None
    passkey: PasskeyAnswer | None = None

    def __post_init__(self) -> None:
        """Demand exactly one of the two."""
        if (self.code is None) == (self.passkey is None):
            raise ValueError("exactly one of `code` and `passkey` is needed")

    @property
    def factor(self) -> tuple[str, bytes]:
        """Return the kind of the factor and its answer as it is kept for the signer."""
        if self.passkey is not None:
            return "passkey", msgspec.json.encode(self.passkey)
        return "totp", (self.code or "").encode()


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a passkey is asked to sign for one act, as options for `navigator.credentials.get`.

    `challenge` is SHA-256("motcua/step-up/v1" 0 purpose 0 account nonce digest), so a page can compute it by itself.
    """

    nonce: UUID
    purpose: Literal["signature", "proposal", "enrolment"]
    digest: str
    challenge: str
    credential_ids: tuple[str, ...]
    user_verification: Literal["required"] = "required"


class AskItem(_Request, frozen=True, kw_only=True):
    """One request with the digest of the revision that the person was shown."""

    request_id: UUID
    sha256: HexDigest


class Ask(WithFactor, frozen=True, kw_only=True):
    """Sign or seal these (ký hàng loạt): at most 500, each with the digest shown, with a fresh second factor."""

    items: Annotated[list[AskItem], Meta(min_length=1, max_length=500)]
    lane: Lane = "normal"


class AskChallenge(_Request, frozen=True, kw_only=True):
    """The items that are about to be signed, for the challenge that a passkey signs."""

    items: Annotated[list[AskItem], Meta(min_length=1, max_length=500)]


class EnterNumber(_Request, frozen=True, kw_only=True):
    """The number and the day that a foreign register gave a document (nhập số của hệ thống quản lý văn bản)."""

    text: Annotated[ShortText, Meta(examples=["45/GCN"])]
    day: date


class EnteredNumber(msgspec.Struct, frozen=True, kw_only=True):
    """The number as it will be printed by the seal's revision."""

    number_id: UUID
    text: str
    day: date


class PlanAsk(_Request, frozen=True, kw_only=True):
    """Which requests somebody is about to ask, to be told how often they will confirm."""

    request_ids: Annotated[list[UUID], Meta(min_length=1, max_length=500)]


class Confirmations(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch will be cut for one key holder: "3 lần xác nhận, mỗi lần 50"."""

    holder: str
    documents: int
    times: int
    at_most_each: int
    asks_person: bool
    window_s: int
    vi: str
    en: str


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The durable ticket (mã lượt ký) of an ask."""

    ticket: UUID
    items: int
    stage: str
    position: int
    estimate_s: int
    authorised_until: datetime


class ItemLevel(msgspec.Struct, frozen=True, kw_only=True):
    """The level (mức chữ ký) that a sealed document owes or has reached.

    With `held_basis` nobody is given the result before. `problem` is why the last try failed, by code. Without
    `next_try_at` an open debt waits for a person; without `expected_at` nobody can know, as in an authority's outage.
    """

    wanted: str
    reached: str
    due_at: datetime
    paid_at: datetime | None
    problem: str | None
    held_basis: str | None
    next_try_at: datetime | None
    expected_at: datetime | None


class TicketItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a ticket. `stage` is a state, or the terminal outcome once there is one."""

    ordinal: int
    request_id: UUID
    document_id: UUID
    dossier_code: str
    role: str
    stage: str
    detail: dict[str, str] | None
    ended_at: datetime | None
    number_text: str | None
    recorded_sha256: str | None
    level: ItemLevel | None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """Where a ticket stands: `version` grows with every change and is the event id of the stream.

    `finished_at` is when the last item was signed or ended; after it the stage is `timestamp` while a sealed document
    owes its level, and `finished` once none does. `estimate_s` counts to the end of the stage's work; where nobody can
    know when an authority is back, to the day on which the level is owed.
    """

    ticket: UUID
    version: int
    trace_id: str | None
    """What logs, audit and traces of every stage name it by; a person quotes it to the support."""
    stage: str
    stage_vi: str
    asked_at: datetime
    finished_at: datetime | None
    position: int
    estimate_s: int
    counts: dict[str, int]
    codes: list[str]
    """What the key holder's app shows for what waits to be confirmed; whoever sees another code must not confirm."""
    pages: list[str]
    """Pages of key holders on which what waits is authorised, for the browser of the session that asked alone."""
    items: list[TicketItem]


class PageTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What a key holder's page answered has been taken; what comes of it stands in the ticket."""

    ticket: UUID
    vi: str
    en: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a ticket's stream: the whole ticket, or only its place, as JSON in `data`; `id` is the version."""

    event: Literal["ticket", "place"]
    data: str
    id: str | None = None
    retry: int | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a waiting ticket stands in the queue, and the seconds it may still take."""

    position: int
    estimate_s: int


class TicketSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a person's own tickets."""

    id: UUID
    asked_at: datetime
    item_count: int
    complete: bool
    closed_at: datetime | None
    lane: str


class SignedLine(msgspec.Struct, frozen=True, kw_only=True):
    """One signature that an account has given: what is looked through after a telephone was lost."""

    id: UUID
    document_id: UUID
    dossier_code: str
    role: str
    recorded_at: datetime
    sha256: str


class ToSign(msgspec.Struct, frozen=True):
    """One line of a list "chờ ký": `sha256` is what must be shown and sent back. The statement's columns, in order."""

    id: UUID
    document_id: UUID
    dossier_id: UUID
    dossier_code: str
    title: str
    role: str
    act: str
    capacity: str | None
    title_lines: list[str]
    lane: str
    due_at: datetime | None
    sha256: str
    holder: str | None
    procedure_code: str
    submitted_at: datetime


class ToSignPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list; `next` is the cursor of the following one."""

    items: list[ToSign]
    next: str | None


class Return(_Request, frozen=True, kw_only=True):
    """Send a document back to a named step, with a reason (trả lại để sửa)."""

    reason: Why
    to_step: Literal["receive", "appraise", "draft"] = "draft"


class Because(_Request, frozen=True, kw_only=True):
    """A reason: for declining (không ký) or taking back one's own signature."""

    reason: Why


class PassOn(_Request, frozen=True, kw_only=True):
    """Pass to another competent signatory: the title and name are printed, so a new revision is made."""

    to_person_id: UUID
    to_post_id: UUID
    reason: Why


class Reassign(_Request, frozen=True, kw_only=True):
    """Reassign an absent signatory's whole list to another."""

    from_person_id: UUID
    to_person_id: UUID
    to_post_id: UUID
    reason: Why


class Reassigned(msgspec.Struct, frozen=True, kw_only=True):
    """The result per item of reassigning a list."""

    done: list[UUID]
    failed: dict[str, str]


class ChainLine(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a document's chains, newest chain first; `chain_error` says why the places could not be laid."""

    id: UUID
    chain_id: UUID
    chain_state: str
    chain_error: dict[str, str] | None
    group_no: int
    ordinal: int
    role: str
    state: str
    field: str
    person_id: UUID | None
    person_name: str | None
    capacity: str | None
    title_lines: list[str]
    agency_id: UUID
    due_at: datetime | None
    recorded_at: datetime | None
    reason: str | None
    batch_id: UUID | None
