"""What a citizen sees without an account."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from api.dossiers.holding import Held
from api.dossiers.words import Action, Delivery, Finance, Status


class TrackRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dossier as anybody may see it who has its code."""

    code: str
    status: Status
    procedure_code: str
    procedure_name: str
    received_at: datetime | None
    due_at: datetime | None
    finished_at: datetime | None
    seq: int


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """Stage and dates (tra cứu theo mã): nothing that names a person."""

    code: str
    status: Status
    status_vi: str
    national_status: int
    procedure_name: str
    received_at: datetime | None
    due_at: datetime | None
    finished_at: datetime | None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, by which agency; never by whom."""

    at: datetime
    action: Action
    agency_name: str | None
    action_vi: str = ""


class PauseSeen(msgspec.Struct, frozen=True, kw_only=True):
    """When the clock stood and what was asked for."""

    from_at: datetime
    to_at: datetime | None
    reason: Literal["supplement", "financial_duty"]
    items: list[dict[str, Any]]


class FeeSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An amount in đồng."""

    code: str
    name: str
    amount_vnd: int
    state: str


class DocumentSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A document of an issued result, by whose number its file is fetched."""

    ordinal: int
    title: str
    act: str


class ResultSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An issued result: it is fetched with the secret, verified with the code it prints."""

    id: UUID
    title: str
    effect: str
    verify_code: str
    issued_at: datetime
    documents: tuple[DocumentSeen, ...] = ()


class SecretRow(TrackRow, frozen=True, kw_only=True):
    """What the holder of the secret may see, with the hash to compare."""

    id: UUID
    submitted_at: datetime
    due_original_at: datetime | None
    finance: Finance
    delivery: Delivery
    outcome: str | None
    paused_at: datetime | None
    secret_sha256: bytes
    progress: tuple[Progress, ...]
    pauses: tuple[PauseSeen, ...]
    fees: tuple[FeeSeen, ...]
    results: tuple[ResultSeen, ...]
    held: tuple[Held, ...]


class TrackedWithSecret(Tracked, frozen=True, kw_only=True):
    """The rest, for the citizen who holds the secret."""

    submitted_at: datetime
    due_original_at: datetime | None
    finance: Finance
    delivery: Delivery
    outcome: str | None
    paused_at: datetime | None
    progress: tuple[Progress, ...]
    pauses: tuple[PauseSeen, ...]
    fees: tuple[FeeSeen, ...]
    results: tuple[ResultSeen, ...]
    held: tuple[Held, ...]
