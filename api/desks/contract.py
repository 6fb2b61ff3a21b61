"""The lines of the work lists: no personal data, so that a list may be left open all day."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from api.dossiers.words import Status


class WorkLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an officer's list (danh sách việc)."""

    id: UUID
    kind: Literal["work", "hand_over", "opinion", "dispatch"]
    step: str
    unit: str | None
    role: str
    state: Literal["open", "claimed"]
    assignee_account_id: UUID | None
    due_at: datetime
    started_at: datetime
    version: int
    dossier_code: str
    status: Status
    dossier_due_at: datetime | None
    urgent: bool
    procedure_code: str
    procedure_name: str
    dossier_version: int


class WorkList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of work; `next` is the cursor of the following one."""

    items: tuple[WorkLine, ...]
    next: str | None


class StatusCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many dossiers stand in a status, and how many of them are late."""

    status: Status
    dossiers: int
    overdue: int
    due_soon: int


class LateLine(msgspec.Struct, frozen=True, kw_only=True):
    """A dossier that is overdue or soon will be."""

    id: UUID
    code: str
    status: Status
    due_at: datetime
    due_original_at: datetime
    step: str
    step_agency_id: UUID
    procedure_code: str
    procedure_name: str
    reappointments: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What stands where at one agency."""

    counts: tuple[StatusCount, ...]


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a key holder can be reached, as the signer last saw it; what is asked meanwhile waits and is not lost."""

    name: str
    state: Literal["reachable", "unreachable", "unknown"]
    state_vi: str
    since: datetime | None
    checked_at: datetime | None


class Holders(msgspec.Struct, frozen=True, kw_only=True):
    """Every key holder."""

    items: tuple[Holder, ...]


class LateList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of late dossiers; `next` is the cursor of the following one."""

    items: tuple[LateLine, ...]
    next: str | None
