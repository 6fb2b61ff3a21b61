"""What the dossiers' slice takes and answers: requests, answers, and the rows behind them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from api.dossiers.facts import Channel, Code, Instant, LongText, PartIn, ShortText, refuse_absurd_instants
from api.dossiers.holding import Held
from api.dossiers.words import Action, Delivery, Finance, Standing, Status, Sync

Phone = Annotated[str, msgspec.Meta(min_length=8, max_length=20, pattern=r"^\+?[0-9 .-]+(?!\n)$")]
IdNumber = Annotated[str, msgspec.Meta(min_length=6, max_length=20, pattern=r"^[0-9A-Za-z]+(?!\n)$")]
Email = Annotated[str, msgspec.Meta(min_length=3, max_length=200, pattern=r"^[^@\s]+@[^@\s]+(?!\n)$")]
Version = Annotated[
    int, msgspec.Meta(ge=1, description="Phiên bản hồ sơ đã xem / version of the dossier that was seen")
]


class _In(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What comes in: an unknown field is refused, so that a misspelt one is not lost."""

    def __post_init__(self) -> None:
        """Refuse instants that no dossier can have."""
        refuse_absurd_instants(self)


class _Out(msgspec.Struct, frozen=True, kw_only=True):
    """What goes out."""


class PersonIn(_In, frozen=True, kw_only=True):
    """Somebody as handed in: sealed at once, never logged."""

    name: ShortText
    kind: Literal["citizen", "organisation"] = "citizen"
    id_number: IdNumber | None = None
    phone: Phone | None = None
    email: Email | None = None
    address: ShortText | None = None


class ForeignCode(_In, frozen=True, kw_only=True):
    """The code an outside system gave the dossier, unique per issuer."""

    issuer: Code
    code: Code


class NewDossier(_In, frozen=True, kw_only=True):
    """A dossier handed in (nộp hồ sơ): the person who files, the subjects, and the basis of representation apart."""

    procedure_code: Code
    filer: PersonIn
    subjects: Annotated[tuple[PersonIn, ...], msgspec.Meta(max_length=20)] = ()
    owner: PersonIn | None = None
    representation_basis: ShortText | None = None
    territory_code: Code | None = None
    parts: Annotated[tuple[PartIn, ...], msgspec.Meta(max_length=100)] = ()
    channel: Literal["counter", "post"] = "counter"
    receive: bool = True
    help_agency_id: UUID | None = None
    foreign_code: ForeignCode | None = None
    fees_exempt: bool = False
    urgent: bool = False
    occurred_at: Instant | None = None


class OnlineDossier(_In, frozen=True, kw_only=True):
    """A dossier handed in online, through the portal or the citizen's page: to be received by an officer."""

    procedure_code: Code
    receipt_agency_code: Code
    filer: PersonIn
    subjects: Annotated[tuple[PersonIn, ...], msgspec.Meta(max_length=20)] = ()
    representation_basis: ShortText | None = None
    territory_code: Code | None = None
    parts: Annotated[tuple[PartIn, ...], msgspec.Meta(max_length=100)] = ()
    foreign_code: ForeignCode | None = None


class Imported(_In, frozen=True, kw_only=True):
    """A dossier as another system left it, opened by one `imported` line."""

    procedure_code: Code
    filer: PersonIn
    status: Status
    foreign_code: ForeignCode
    submitted_at: Instant
    subjects: Annotated[tuple[PersonIn, ...], msgspec.Meta(max_length=20)] = ()
    territory_code: Code | None = None
    received_at: Instant | None = None
    due_at: Instant | None = None
    finished_at: Instant | None = None
    history: Annotated[tuple["ForeignLine", ...], msgspec.Meta(max_length=500)] = ()


class ForeignLine(_In, frozen=True, kw_only=True):
    """One line of another system's history, as received: code and time, no names."""

    at: Instant
    code: Code


class StepIn(_In, frozen=True, kw_only=True):
    """One step: its facts by action, the version that was seen, and when it happened if it is recorded afterwards."""

    facts: dict[str, Any] = {}
    version: Version | None = None
    occurred_at: Instant | None = None


def step_body(action: str, facts: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return the body of one action's step, as the API's description shows it."""
    may_be_empty = all(not field.required for field in msgspec.structs.fields(facts))
    given = ("facts", facts, msgspec.field(default_factory=facts)) if may_be_empty else ("facts", facts)
    name = "Step" + action.title().replace("_", "")
    return msgspec.defstruct(
        name,
        [given],
        bases=(StepIn,),
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": facts.__doc__},
    )


class TaskIn(_In, frozen=True, kw_only=True):
    """Something done to one task."""

    version: Version | None = None


class TaskHandOver(_In, frozen=True, kw_only=True):
    """Where work is handed over to."""

    agency_id: UUID
    unit: ShortText | None = None
    note: LongText | None = None
    version: Version | None = None


class TaskAssign(_In, frozen=True, kw_only=True):
    """To whom work is given."""

    account_id: UUID
    version: Version | None = None


class TaskAnswer(_In, frozen=True, kw_only=True):
    """An opinion given."""

    opinion: LongText
    verdict: Literal["agree", "disagree", "other"]


class DeliverIn(_In, frozen=True, kw_only=True):
    """A result handed over with the proof its channel asks for.

    Counter: who took it and on what basis; post: the tracking number; online: when and where it was opened.
    """

    result_id: UUID
    channel: Channel
    received_by: Literal["filer", "owner", "representative"] | None = None
    signed_for: bool = False
    all_present: bool = False
    tracking_no: Code | None = None
    opened_at: Instant | None = None
    version: Version | None = None
    note: LongText | None = None
    occurred_at: Instant | None = None


class Filed(_Out, frozen=True, kw_only=True):
    """The answer to a submission, without anything personal: kept as the answer to the intent."""

    id: UUID
    code: str
    status: Status
    version: int
    due_at: datetime | None


class FiledWithSecret(Filed, frozen=True, kw_only=True):
    """The same with the citizen's secret, which is told once and not kept."""

    secret: str


class Stepped(_Out, frozen=True, kw_only=True):
    """Where a dossier stands after a step."""

    id: UUID
    code: str
    status: Status
    status_vi: str
    step: str
    version: int
    due_at: datetime | None
    step_due_at: datetime | None
    allowed: tuple[Action, ...]
    task_id: UUID | None = None


class Task(_Out, frozen=True, kw_only=True):
    """Open or ended work."""

    id: UUID
    dossier_id: UUID
    kind: Literal["work", "hand_over", "opinion", "dispatch"]
    step: str
    agency_id: UUID
    unit: str | None
    role: str
    assignee_account_id: UUID | None
    state: Literal["open", "claimed", "done", "cancelled"]
    due_original_at: datetime
    due_at: datetime
    started_at: datetime
    claimed_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    asked_by_account_id: UUID | None
    asked_by_agency_id: UUID | None
    question_seq: int | None
    answer_seq: int | None
    version: int


class PartyRow(_Out, frozen=True, kw_only=True):
    """A party with its sealed data."""

    role: Literal["filer", "subject", "owner"]
    ordinal: int
    person_id: UUID
    representation_basis: str | None
    name_sealed: bytes
    id_number_sealed: bytes | None
    contact_sealed: bytes | None


class Party(_Out, frozen=True, kw_only=True):
    """A party as an officer may see it; each view is logged."""

    role: Literal["filer", "subject", "owner"]
    person_id: UUID
    name: str
    representation_basis: str | None = None
    id_number: str | None = None
    phone: str | None = None
    email: str | None = None
    address: str | None = None


class PartRow(_Out, frozen=True, kw_only=True):
    """A part handed in."""

    id: UUID
    part_code: str
    name: str
    originals: int
    certified_copies: int
    plain_copies: int
    upload_id: UUID | None
    origin: str
    given_back_at: datetime | None


class FeeRow(_Out, frozen=True, kw_only=True):
    """An amount in đồng."""

    code: str
    name: str
    amount_vnd: int
    state: Literal["due", "paid", "exempt", "refunded"]
    receipt_no: str | None
    paid_at: datetime | None


class LineRow(_Out, frozen=True, kw_only=True):
    """A journal line with its sealed words."""

    seq: int
    action: Action
    occurred_at: datetime
    recorded_at: datetime
    source: str
    actor_account_id: UUID | None
    actor_post_id: UUID | None
    actor_agency_id: UUID | None
    agency_name: str | None
    data: dict[str, Any]
    text_sealed: bytes | None


class Line(_Out, frozen=True, kw_only=True):
    """A journal line as an officer reads it."""

    seq: int
    action: Action
    action_vi: str
    occurred_at: datetime
    recorded_at: datetime
    source: str
    actor_account_id: UUID | None
    actor_name: str | None
    agency_name: str | None
    data: dict[str, Any]
    words: dict[str, str]


class Journal(_Out, frozen=True, kw_only=True):
    """A page of the journal; `next` is the line to go on after."""

    lines: tuple[Line, ...]
    next: int | None


class DeadlineGiven(_Out, frozen=True, kw_only=True):
    """A due date that was given, and why."""

    seq: int
    due_at: datetime
    reason: str


class Pause(_Out, frozen=True, kw_only=True):
    """An interval in which the clock stood."""

    ordinal: int
    reason: Literal["supplement", "financial_duty"]
    stage: str
    items: list[dict[str, Any]]
    legal_basis: str
    from_at: datetime
    to_at: datetime | None


class DeliveryRow(_Out, frozen=True, kw_only=True):
    """A hand-over of a result with its proof."""

    id: UUID
    result_id: UUID
    channel: Channel
    state: str
    proof: dict[str, Any] | None
    by_account_id: UUID | None
    planned_at: datetime
    delivered_at: datetime | None


class Dossier(_Out, frozen=True, kw_only=True):
    """A dossier as an officer reads it, with what may be done now."""

    id: UUID
    code: str
    version: int
    procedure_code: str
    procedure_name: str
    status: Status
    status_vi: str
    national_status: int
    finance: Finance
    delivery: Delivery
    sync: Sync
    step: str
    step_agency_id: UUID
    receipt_agency_id: UUID
    competent_agency_id: UUID | None
    competent_agency_name: str | None
    transfer_agency_id: UUID | None
    channel: Channel
    outcome: str | None
    results: dict[UUID, Standing]
    submitted_at: datetime
    received_at: datetime | None
    due_original_at: datetime | None
    due_at: datetime | None
    step_due_at: datetime | None
    paused_at: datetime | None
    finished_at: datetime | None
    urgent: bool
    parties: tuple[Party, ...]
    parts: tuple[PartRow, ...]
    fees: tuple[FeeRow, ...]
    tasks: tuple[Task, ...]
    pauses: tuple[Pause, ...]
    held: tuple[Held, ...]
    allowed: tuple[Action, ...]
