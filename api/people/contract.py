"""What the routes of people take and give; names are the wire's names."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.people.changes import Change
from api.signatures.contract import Base64Url, HexDigest, SignedLine, WithFactor

ProposalState = Literal["checking", "waiting", "applied", "refused", "expired"]
Why = Annotated[str, Meta(min_length=3, max_length=2000)]
Attestation = Annotated[str, Meta(min_length=43, max_length=8192, pattern="^[A-Za-z0-9_-]+$")]
"""At least 32 bytes in base64url; the signer verifies it."""


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class AccountLine(msgspec.Struct, frozen=True, kw_only=True):
    """One account of the own agency; the posts are those held now."""

    id: UUID
    login: str
    display_name: str | None
    agency_id: UUID
    state: Literal["active", "locked", "closed"]
    passkeys: int
    factors_lost_at: datetime | None
    post_ids: tuple[UUID, ...]
    post_titles: tuple[str, ...]


class AccountPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts in the order of their log-ins; `next` is the cursor of the following one."""

    items: list[AccountLine]
    next: str | None


class OneTimePassword(msgspec.Struct, frozen=True, kw_only=True):
    """A password for one log-in that must change it; shown this once."""

    password: str
    expires_at: datetime


class Propose(WithFactor, frozen=True, kw_only=True):
    """Propose a change (đề xuất) with the own fresh second factor; nothing happens before a second person agrees."""

    change: Change


class ChallengeChange(_Request, frozen=True, kw_only=True):
    """The change that is about to be proposed, for the challenge that a passkey signs."""

    change: Change


class Approve(WithFactor, frozen=True, kw_only=True):
    """Agree to a proposal with the own fresh second factor; `digest` is that of the change that was shown."""

    digest: HexDigest


class Refuse(_Request, frozen=True, kw_only=True):
    """Refuse a proposal, with a reason; needs no factor."""

    reason: Why


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal, or an answer to one, that the signer judges next."""

    proposal_id: UUID
    digest: str


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said to a proposal, and how the signer judged it: None while it has not."""

    account_id: UUID
    purpose: Literal["propose", "approve", "refuse"]
    factor: str
    offered_at: datetime
    accepted: bool | None
    reason: str | None


class ProposalLine(msgspec.Struct, frozen=True, kw_only=True):
    """One proposal in a list."""

    id: UUID
    kind: str
    agency_id: UUID
    subject_account_id: UUID | None
    state: ProposalState
    why: dict[str, str] | None
    proposed_by_account_id: UUID
    created_at: datetime
    decided_at: datetime | None


class Proposal(ProposalLine, frozen=True, kw_only=True):
    """A proposal as both persons must see it: the whole change, its digest, and what was said."""

    change: Any
    digest: str
    made_id: UUID | None
    voices: tuple[Voice, ...]


class CertificateLine(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate of a person or, without `account_id`, of an organisation; unbound where `revoked_at` is set."""

    id: UUID
    account_id: UUID | None
    agency_id: UUID | None
    serial: str
    issuer: str
    subject: str
    holder: str
    not_before: datetime
    not_after: datetime
    bound_at: datetime
    revoked_at: datetime | None


class StartEnrolment(_Request, frozen=True, kw_only=True):
    """Begin to enrol a second factor of the own; for a TOTP the browser's one-time P-256 public key comes along."""

    kind: Literal["totp", "passkey"]
    public_key: Base64Url | None = None


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment: `spoken_code` is read out to the administrator, `challenge` is what a new passkey is made with."""

    id: UUID
    kind: Literal["totp", "passkey"]
    account_id: UUID
    challenge: str
    user_verification: Literal["required"] = "required"
    attestation: Literal["none"] = "none"
    spoken_code: str | None
    state: Literal["started", "proposed", "offered", "enrolled", "failed", "expired"]
    handed: str | None
    tries: int
    expires_at: datetime | None


class Registration(_Request, frozen=True, kw_only=True):
    """What the browser made as a new passkey, base64url: the `response` of `navigator.credentials.create`."""

    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    attestation_object: Attestation = msgspec.field(name="attestationObject")


class Lost(_Request, frozen=True, kw_only=True):
    """The telephone or key is lost: one step. `since` is the minute from which signatures are listed."""

    reason: Why
    since: datetime


class Lock(_Request, frozen=True, kw_only=True):
    """Lock an account at once; unlocking takes two persons."""

    reason: Why


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """What one block stopped: sessions that ended, requests that return to the list, and where to look through."""

    account_id: UUID
    what: Literal["account", "factors"]
    sessions_ended: int
    stopped_requests: list[UUID]


class LostFactors(Blocked, frozen=True, kw_only=True):
    """What was stopped, and all that was signed since the given minute, latest first."""

    signed: list[SignedLine]
