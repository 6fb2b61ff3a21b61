"""Rows of the operators' queries, one Struct for each."""

from datetime import datetime
from uuid import UUID

import msgspec


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every row."""


class Stage(_Row, frozen=True, kw_only=True):
    """How much stands in an open stage, and the seconds the oldest has stood in it."""

    stage: str
    items: int
    oldest_s: float


class OpenTickets(_Row, frozen=True, kw_only=True):
    """Open tickets, and the seconds since the oldest was asked."""

    tickets: int
    oldest_s: float


class ParkedKind(_Row, frozen=True, kw_only=True):
    """Parked work of one kind."""

    kind: str
    jobs: int


class Expiring(_Row, frozen=True, kw_only=True):
    """A certificate that ends soon and has no successor."""

    id: UUID
    holder: str
    serial: str
    agency_id: UUID | None
    person_id: UUID | None
    not_after: datetime


class LevelDebt(_Row, frozen=True, kw_only=True):
    """What sealed documents owe of their level, what was raised lately in how many seconds, and what quotas allow."""

    owed: int
    oldest_s: float
    overdue: int
    paid: int
    paid_in_s: float
    quota_s: float
    quota_waits: bool


class Ticket(_Row, frozen=True, kw_only=True):
    """A ticket's head; people are ids."""

    id: UUID
    trace_id: str | None
    account_id: UUID
    person_id: UUID
    post_id: UUID
    agency_id: UUID
    lane: str
    item_count: int
    complete: bool
    asked_at: datetime
    authorised_until: datetime
    closed_at: datetime | None
    accepted: bool | None
    reason: str | None
    judged_at: datetime | None


class Item(_Row, frozen=True, kw_only=True):
    """One item with when it came to each stage."""

    ordinal: int
    request_id: UUID
    outcome: str | None
    cause: str | None
    ended_at: datetime | None
    state: str
    state_at: datetime
    attempt: int
    role: str
    holder: str | None
    transaction_id: str | None
    prepared_at: datetime | None
    sent_at: datetime | None
    key_uses: int
    received_at: datetime | None
    source: str | None
    recorded_at: datetime | None
    deadline_at: datetime | None
    level_owed: str | None
    level: str | None
    raised_at: datetime | None
    level_problem: str | None


class Transaction(_Row, frozen=True, kw_only=True):
    """One authorisation asked of a key holder."""

    id: str
    holder: str
    state: str
    outcome: str | None
    item_count: int
    started_at: datetime
    expires_at: datetime
    polls: int
    ended_at: datetime | None
    found: str | None


class JobLine(_Row, frozen=True, kw_only=True):
    """A piece of work that was begun and has not ended well."""

    key: str
    kind: str
    claims: int
    failures: int
    parked_at: datetime | None
    reason: str | None
    status: str | None
    execute_after: datetime | None


class AuditLine(_Row, frozen=True, kw_only=True):
    """One audit row without its detail."""

    at: datetime
    process: str
    action: str
    subject_kind: str
    subject_id: UUID | None
    actor_account_id: UUID | None
    trace_id: str | None


class Failure(_Row, frozen=True, kw_only=True):
    """An item that ended without a signature."""

    ticket: UUID
    ordinal: int
    request_id: UUID
    account_id: UUID
    trace_id: str | None
    outcome: str
    detail: dict[str, str] | None
    ended_at: datetime
