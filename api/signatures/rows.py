"""The rows that the API's side of a signature reads and writes: one Struct per statement of `queries.sql`."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.signatures.contract import ChainLine, ItemLevel, TicketSummary, ToSign


class DocumentToSubmit(msgspec.Struct, frozen=True, kw_only=True):
    """A document with what its chain is made from."""

    id: UUID
    dossier_id: UUID
    result_id: UUID
    act: str
    head_revision_id: UUID | None
    head_sha256: bytes | None
    places: dict[str, Any] | None
    result_state: str
    refusal: bool
    dossier_code: str
    urgent: bool
    step_agency_id: UUID
    agency_id: UUID
    procedure_code: str
    due_at: datetime | None
    definition: dict[str, Any]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, or an organisation, that may fill a place in a chain."""

    person_id: UUID | None = None
    post_id: UUID | None = None
    mandate_id: UUID | None = None
    capacity: str | None = None
    title_lines: list[str] = []
    title: str | None = None
    display_name: str | None = None
    certificate_id: UUID | None = None
    certificate_serial: str | None = None
    holder: str | None = None
    certificate_class: str | None = None


class AskedItem(msgspec.Struct, frozen=True, kw_only=True):
    """What an ask must know of one request."""

    id: UUID
    state: str
    role: str
    act: str
    person_id: UUID | None
    agency_id: UUID
    document_id: UUID
    result_id: UUID
    dossier_id: UUID
    lane: str
    holder: str | None
    field: str
    dossier_code: str
    procedure_code: str
    head_sha256: bytes | None
    chain_state: str
    result_state: str
    kind_code: str
    book: str | None
    waits_for_others: bool
    already_asked: bool


class TicketHead(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket without its items."""

    id: UUID
    account_id: UUID
    person_id: UUID
    agency_id: UUID
    lane: str
    item_count: int
    complete: bool
    asked_at: datetime
    closed_at: datetime | None
    authorised_until: datetime
    trace_id: str | None
    factor_accepted: bool | None
    factor_reason: str | None
    codes: list[str]
    at: datetime
    session_id: UUID | None
    pages: list[str]


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Work of one ticket that waits for one turn."""

    lane: str
    turn: int
    batch_id: UUID
    person_id: UUID
    since: datetime
    items: int


class ItemLine(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a ticket as stored."""

    ordinal: int
    request_id: UUID
    document_id: UUID
    dossier_code: str
    role: str
    stage: str
    detail: dict[str, str] | None
    ended_at: datetime | None
    number_text: str | None
    recorded_sha256: bytes | None
    level: ItemLevel | None


class LockedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request with its chain, both locked."""

    id: UUID
    state: str
    role: str
    act: str
    person_id: UUID | None
    agency_id: UUID
    chain_id: UUID
    document_id: UUID
    dossier_id: UUID
    result_id: UUID
    group_no: int
    chain_state: str


class SignedOfChain(msgspec.Struct, frozen=True, kw_only=True):
    """How far the persons of a chain are, and whether its document has a number."""

    all_signed: bool
    signed_at: datetime | None
    numbered: bool


class ChainMember(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a locked chain."""

    id: UUID
    state: str
    role: str
    group_no: int
    person_id: UUID | None


class HolderShare(msgspec.Struct, frozen=True, kw_only=True):
    """How many documents of an ask go to one key holder, and what it allows."""

    holder: str
    documents: int
    hashes_per_authorisation: int
    window_s: int
    asks_person: bool
    shows_document_names: bool


class NewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to insert."""

    chain_id: UUID
    document: DocumentToSubmit
    group: int
    ordinal: int
    role: str
    pdf_signature: bool
    field: str
    who: Candidate
    lane: str
    at: datetime


class OpenChain(msgspec.Struct, frozen=True, kw_only=True):
    """A chain that has not ended, locked."""

    id: UUID
    result_id: UUID
    document_id: UUID


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {
    "lock_document": DocumentToSubmit,
    "signatory_candidates": Candidate,
    "role_candidates": Candidate,
    "seal_certificate": Candidate,
    "chain_view": ChainLine,
    "to_sign_page": ToSign,
    "clerks_page": ToSign,
    "items_to_ask": AskedItem,
    "ticket": TicketHead,
    "waiting": Waiting,
    "ticket_items": ItemLine,
    "my_tickets": TicketSummary,
    "lock_chain_of_request": LockedRequest,
    "requests_of_chain": ChainMember,
    "holders_of_requests": HolderShare,
    "open_chains_of_results": OpenChain,
}
"""Which Struct each reading statement fills; a test compares their columns."""
