"""The rows that the signer decides proposals and enrolments by."""

from datetime import datetime
from uuid import UUID

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said to a proposal, and the proposal as it stands."""

    id: UUID
    purpose: str
    account_id: UUID
    post_id: UUID
    kind: str
    response: bytes
    digest: bytes
    offered_at: datetime
    proposal_id: UUID
    state: str
    created_at: datetime
    content_sealed: bytes
    proposal_digest: bytes
    proposed_by_account_id: UUID
    proposer_person_id: UUID
    accepted: bool | None


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What the person's browser made."""

    id: UUID
    account_id: UUID
    kind: str
    public_part: bytes
    client_data: bytes | None


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """The first answer of a new factor, and what it must fit."""

    id: UUID
    factor: str
    response: bytes
    digest: bytes
    offered_at: datetime
    account_id: UUID
    owner_account_id: UUID
    kind: str
    enrolment_id: UUID
    secret_sealed: bytes | None
    credential_id: bytes | None
    public_key: bytes | None
    sign_count: int | None
    tries: int
    made_at: datetime
    expires_at: datetime
    outcome: str | None
    accepted: bool | None
    blocked: bool
