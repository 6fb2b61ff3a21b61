"""Rows of people as the API and the signer read them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class AgencyParent(msgspec.Struct, frozen=True, kw_only=True):
    """An agency and the one above it."""

    id: UUID
    parent_id: UUID | None


class SubjectAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account, its person, and the agency that looks after it."""

    agency_id: UUID
    account_id: UUID
    person_id: UUID


class ProposalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal with its sealed content."""

    id: UUID
    kind: str
    agency_id: UUID
    subject_account_id: UUID | None
    state: str
    why: dict[str, Any] | None
    proposed_by_account_id: UUID
    created_at: datetime
    decided_at: datetime | None
    made_id: UUID | None
    content_sealed: bytes
    digest: bytes


class EnrolmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment as far as it has come."""

    id: UUID
    account_id: UUID
    kind: str
    public_part: bytes | None
    handed: bytes | None
    tries: int | None
    expires_at: datetime | None
    outcome: str | None
    offered: bool
