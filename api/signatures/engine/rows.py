"""The rows that the signer reads: one Struct per reading statement of `queries.sql`."""

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.registry.procedures import HeldUntil
from signing.contract import Mechanism


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket with the second factor that was offered for it."""

    batch_id: UUID
    step_up_id: UUID | None


class Batch(_Row, frozen=True, kw_only=True):
    """A locked ticket with the answer to its second factor and the judgement of it, if any."""

    id: UUID
    account_id: UUID
    person_id: UUID
    post_id: UUID
    agency_id: UUID
    lane: str
    complete: bool
    asked_at: datetime
    authorised_until: datetime
    closed_at: datetime | None
    item_count: int
    step_up_id: UUID | None
    step_up_kind: str | None
    step_up_account_id: UUID | None
    response: bytes | None
    digest: bytes | None
    offered_at: datetime | None
    accepted: bool | None
    trace_id: str | None


class FactorRow(_Row, frozen=True, kw_only=True):
    """A TOTP factor as stored."""

    id: UUID
    key_id: str
    secret_sealed: bytes
    last_counter: int
    failures: int
    last_failure_at: datetime | None
    blocked: bool


class PasskeyRow(_Row, frozen=True, kw_only=True):
    """A passkey as stored."""

    id: UUID
    public_key: bytes
    sign_count: int
    failures: int
    last_failure_at: datetime | None
    blocked: bool


class Asked(_Row, frozen=True, kw_only=True):
    """A request that was asked and not sent."""

    id: UUID
    batch_id: UUID
    number_id: UUID | None


class OpenItem(_Row, frozen=True, kw_only=True):
    """An item that nobody has judged yet."""

    ordinal: int
    request_id: UUID
    shown_sha256: bytes
    number_id: UUID | None
    dossier_id: UUID


class LockedRequest(_Row, frozen=True, kw_only=True):
    """A request with everything the signer decides by."""

    id: UUID
    state: str
    role: str
    pdf_signature: bool
    act: str
    person_id: UUID | None
    post_id: UUID | None
    agency_id: UUID
    mandate_id: UUID | None
    document_id: UUID
    dossier_id: UUID
    result_id: UUID
    chain_id: UUID
    certificate_id: UUID | None
    attempt: int
    lane: str
    field: str
    group_no: int
    head_sha256: bytes | None
    chain_state: str
    procedure_code: str
    step_agency_id: UUID
    post_roles: list[str] | None
    waits_for_others: bool
    document_busy: bool
    head_is_signed: bool
    head_is_certified: bool
    main_at_hand: bool


class Certificate(_Row, frozen=True, kw_only=True):
    """A certificate that is valid now."""

    id: UUID
    serial: str
    holder: str
    credential_id: str
    mechanism: Mechanism
    class_: str = msgspec.field(name="class")
    not_after: datetime


class ToPrepare(_Row, frozen=True, kw_only=True):
    """Everything one preparation needs."""

    id: UUID
    state: str
    attempt: int
    turn: int
    role: str
    field: str
    act: str
    batch_id: UUID
    document_id: UUID
    person_id: UUID | None
    post_id: UUID | None
    agency_id: UUID
    mandate_id: UUID | None
    title_lines: list[str]
    number_id: UUID | None
    shown_sha256: bytes
    plan: dict[str, Any]
    mark: str | None
    head_sha256: bytes
    procedure_code: str
    certificate_id: UUID
    certificate: bytes
    chain: list[bytes]
    mechanism: Mechanism
    image_png: bytes | None
    revoked_at: datetime | None
    not_after: datetime
    class_: str = msgspec.field(name="class")
    number_text: str | None
    number_day: date | None
    number_document_id: UUID | None
    signed_at: datetime | None
    authorised_until: datetime
    lane: str
    agency_name: str
    printed_places: bool
    person_name: str | None
    copy_form: str | None
    main_number_text: str | None
    main_number_day: date | None


class Ready(_Row, frozen=True, kw_only=True):
    """A preparation that may leave for its holder."""

    id: UUID
    attempt: int
    holder: str
    person_id: UUID
    agency_id: UUID
    role: str
    mandate_id: UUID | None
    act: str
    post_id: UUID | None
    number_id: UUID | None
    tbs_sha256: bytes
    prepared_at: datetime
    mechanism: Mechanism
    credential_id: str
    certificate_id: UUID
    revoked_at: datetime | None
    not_after: datetime
    dossier_code: str
    procedure_code: str
    title: str
    ordinal: int
    authorised_until: datetime
    trace_id: str | None
    hashes_per_authorisation: int
    window_s: int
    parallel_limit: int
    stopped: bool
    main_at_hand: bool


class Transaction(_Row, frozen=True, kw_only=True):
    """One authorisation asked of a holder."""

    id: str
    holder: str
    batch_id: UUID
    credential_id: str
    person_id: UUID
    state: str
    started_at: datetime
    expires_at: datetime
    polls: int
    trace_id: str | None


class SentItem(_Row, frozen=True, kw_only=True):
    """One hash of a transaction with what its value must fit."""

    id: UUID
    attempt: int
    state: str
    tbs_sha256: bytes
    signed_attrs: bytes
    mechanism: Mechanism
    certificate: bytes
    owner_sealed: bytes
    dossier_code: str
    title: str
    lane: str
    number_id: UUID | None


class Preparation(_Row, frozen=True, kw_only=True):
    """What survives the wait for a value, and the certificate that it must fit."""

    field: str
    base_sha256: bytes
    base_size: int
    increment: bytes
    document_digest: bytes
    reserved_start: int
    reserved_end: int
    signed_attrs: bytes
    tbs_sha256: bytes
    mechanism: Mechanism
    prepared_at: datetime
    certificate: bytes


class ToFinish(Preparation, frozen=True, kw_only=True):
    """Everything that finishing one signature needs; where a whole file was handed back, that file as it was judged."""

    id: UUID
    state: str
    attempt: int
    role: str
    batch_id: UUID
    document_id: UUID
    dossier_id: UUID
    result_id: UUID
    chain_id: UUID
    person_id: UUID | None
    post_id: UUID | None
    agency_id: UUID
    act: str
    mandate_id: UUID | None
    group_no: int
    number_id: UUID | None
    chain: list[bytes]
    value: bytes
    procedure_code: str
    account_id: UUID
    actor_post_id: UUID
    actor_agency_id: UUID
    actor_person_id: UUID
    trace_id: str | None
    asked_at: datetime
    sent_at: datetime | None
    received_at: datetime
    holder: str | None
    held_until: HeldUntil | None
    file_sha256: bytes | None
    file_size: int | None
    file_verdict: dict[str, Any] | None
    main_at_hand: bool
    main_sealed: bool


class Received(_Row, frozen=True, kw_only=True):
    """A request that has its value, and the turn in which that is embedded."""

    id: UUID
    attempt: int
    lane: str
    turn: int


class Turns(_Row, frozen=True, kw_only=True):
    """The turn being served, and the last one of a person."""

    floor: int
    own_last: int | None


class Left(_Row, frozen=True, kw_only=True):
    """How many requests of a chain are not recorded."""

    requests: int
    persons: int


class Stuck(_Row, frozen=True, kw_only=True):
    """An open request that has not moved."""

    id: UUID
    state: str
    attempt: int
    batch_id: UUID
    state_at: datetime
    deadline_at: datetime | None
    lane: str
    number_id: UUID | None
    trace_id: str | None


class WaitingTicket(_Row, frozen=True, kw_only=True):
    """A ticket that is to go on, with the trace that its work belongs to."""

    batch_id: UUID
    trace_id: str | None


class ParkedRequest(_Row, frozen=True, kw_only=True):
    """An open request whose work is parked."""

    id: UUID
    attempt: int
    batch_id: UUID
    number_id: UUID | None


class Answer(_Row, frozen=True, kw_only=True):
    """One answer from outside."""

    id: UUID
    holder: str
    transaction_id: str | None
    body: bytes
    headers: dict[str, str]
    verdict: str | None


class Freed(_Row, frozen=True, kw_only=True):
    """An item that ended without a signature, with the number it had reserved."""

    request_id: UUID
    number_id: UUID | None


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {
    "lock_batch": Batch,
    "lock_factor": FactorRow,
    "open_items": OpenItem,
    "lock_requests": LockedRequest,
    "usable_certificates": Certificate,
    "to_prepare": ToPrepare,
    "prepared_of_batch": Ready,
    "claim_transactions": Transaction,
    "transaction": Transaction,
    "items_of_transaction": SentItem,
    "to_finish": ToFinish,
    "receive_values": Received,
    "annexes_beside": Received,
    "queued_turns": Turns,
    "left_in_chain": Left,
    "stuck_requests": Stuck,
    "parked_work": ParkedRequest,
    "answer": Answer,
    "end_unjudged_items": Freed,
    "offered_while_resting": Offered,
}
"""Which Struct each reading statement fills; a test compares their columns."""
