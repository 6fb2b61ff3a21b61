"""What the registry gives and takes: Structs of its rows, its answers and its one request."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from api.http.text import Code, LongText, ShortText
from api.kernel import AgencyId
from api.registry.authority import Mandate
from api.registry.procedures import Definition, FormOfResult

AgencyKind = Literal["province", "office", "centre", "department", "commune", "commune_centre", "sector_counter"]
OwningSystem = Literal["province", "ministry"]


class Agency(msgspec.Struct, frozen=True, kw_only=True):
    """An agency (cơ quan) as it stands in the register; `valid_to` is the first day on which it no longer exists."""

    id: AgencyId
    code: str
    kind: AgencyKind
    name: str
    parent_id: AgencyId | None
    territory_code: str | None
    valid_from: date
    valid_to: date | None


class AgencyName(msgspec.Struct, frozen=True, kw_only=True):
    """A name an agency bore, from a day to the day before another."""

    name: str
    valid_from: date
    valid_to: date | None


class Succession(msgspec.Struct, frozen=True, kw_only=True):
    """Who took over from whom, at which instant; a moved competence names its procedure."""

    predecessor_id: AgencyId
    successor_id: AgencyId
    kind: Literal["merged", "split", "competence_moved"]
    procedure_code: str | None
    effective_at: datetime
    legal_basis: str


class ProcedureVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One published version of a procedure; immutable but for the day on which it ends."""

    id: UUID
    code: str
    version: int
    name: str
    field_code: str
    field_name: str
    code_checked: bool
    definition: Definition
    form_of_result: FormOfResult
    owning_system: OwningSystem
    legal_basis: str
    valid_from: date
    valid_to: date | None

    def holds(self, day: date) -> bool:
        """Tell whether new dossiers of this day begin with it."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class LegalRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of law as a dated row; `checked` is false where nobody has read the text itself."""

    key: str
    value: Any
    legal_basis: str
    checked: bool
    valid_from: date
    valid_to: date | None


class Signatory(Mandate, frozen=True, kw_only=True):
    """A right to sign with the name of who has it, to choose from when submitting for signature."""

    display_name: str


class ProcedureSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the public list of procedures."""

    code: str
    name: str
    field_name: str
    version: int
    form_of_result: FormOfResult
    level: Literal["full", "partial"]


class ProcedureList(msgspec.Struct, frozen=True, kw_only=True):
    """The procedures in force today and the cursor of the next page, if there is one."""

    items: tuple[ProcedureSummary, ...]
    next: str | None


class AgencyList(msgspec.Struct, frozen=True, kw_only=True):
    """The agencies that exist today and the cursor of the next page, if there is one."""

    items: tuple[Agency, ...]
    next: str | None


class CompetentAgency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who decides the procedure in which territory, by the national code of the territory."""

    territory_code: Code
    agency_id: UUID


class PublishVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version to publish. The first of a new procedure names it; `every_commune` lets each decide at home."""

    definition: Definition
    form_of_result: FormOfResult
    owning_system: OwningSystem
    legal_basis: LongText
    valid_from: date
    name: ShortText | None = None
    field_code: Code | None = None
    field_name: ShortText | None = None
    code_checked: bool = False
    every_commune: bool = False
    competence: Annotated[tuple[CompetentAgency, ...], msgspec.Meta(max_length=500)] = ()


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The version just published."""

    id: UUID
    code: str
    version: int
    valid_from: date
