"""The present state of a dossier: the columns of its row, and nothing that is not folded from the journal."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from api.dossiers.words import Delivery, Finance, Standing, Status, Sync


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """One dossier as its journal leaves it. Field by field the table `dossier`, in the same order."""

    id: UUID
    code: str
    seq: int
    procedure_code: str
    procedure_version_id: UUID
    calendar_version: int
    form_version: str
    fee_version: str
    channel: Literal["counter", "online", "post"]
    help_agency_id: UUID | None
    receipt_agency_id: UUID
    competent_agency_id: UUID | None
    step_agency_id: UUID
    step_unit: str | None = None
    transfer_agency_id: UUID | None = None
    transfer_unit: str | None = None
    owning_system: Literal["province", "ministry"]
    territory_code: str | None
    status: Status
    finance: Finance
    delivery: Delivery = Delivery.NONE
    sync: Sync
    step: str
    outcome: Literal["granted", "refused"] | None = None
    results: dict[UUID, Standing] = {}
    supplements: dict[str, int] = {}
    open_opinions: int = 0
    submitted_at: datetime
    received_at: datetime | None = None
    due_original_at: datetime | None = None
    due_at: datetime | None = None
    step_due_original_at: datetime | None = None
    step_due_at: datetime | None = None
    paused_at: datetime | None = None
    finished_at: datetime | None = None
    reappointments: int = 0
    urgent: bool = False
    part_signed: tuple[UUID, ...] = ()
    """Results still to be signed that bear a signature already; lines of earlier versions did not say so."""
