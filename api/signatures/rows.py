"""The rows that the API's side of a signature reads and writes: one Struct per statement of `queries.sql`."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.signatures.contract import ChainLine, TicketSummary, ToSign


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


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as far as its place in the line goes."""

    id: UUID
    person_id: UUID
    lane: str
    asked_at: datetime


class TicketRow(Asked, frozen=True, kw_only=True):
    """A ticket as it was at one moment; `items` is JSON, as the database puts it together."""

    account_id: UUID
    closed_at: datetime | None
    trace_id: str | None
    session_id: UUID | None
    at: datetime
    version: int
    codes: list[str]
    pages: list[str]
    items: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Work of one ticket that waits for one turn."""

    lane: str
    turn: int
    batch_id: UUID
    person_id: UUID
    since: datetime
    items: int


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
    "insert_batch": Asked,
    "waiting": Waiting,
    "tickets_moved": TicketRow,
    "my_tickets": TicketSummary,
    "lock_chain_of_request": LockedRequest,
    "requests_of_chain": ChainMember,
    "holders_of_requests": HolderShare,
    "open_chains_of_results": OpenChain,
}
"""Which Struct each reading statement fills; a test compares their columns."""
