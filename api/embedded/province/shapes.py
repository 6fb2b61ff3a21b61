"""What the demo province's data files hold, as Structs; an unknown or missing field is an error."""

from datetime import date
from typing import Any, Final, Literal

import msgspec

from api.registry.authority import Basis, Capacity, Role
from api.registry.calendar import CalendarDay
from api.registry.contract import AgencyKind, OwningSystem
from api.registry.procedures import ChainEntry, Definition, Fee, FormOfResult, Part, ResultKind

BEGAN: Final = date(2025, 7, 1)
"""The two-level model and the demo's data begin on this day; rules without a day of their own hold from it."""


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Part of a data file."""


class Province(File, frozen=True, kw_only=True):
    """The province itself."""

    territory: str
    territory_name: str
    code: str
    communes_code: str
    name: str
    since: date
    legal_basis: str
    communes_legal_basis: str


class NamedAgency(File, frozen=True, kw_only=True):
    """An agency of the province with its sites as pairs of name and address."""

    code: str
    kind: AgencyKind
    name: str
    parent: str | None = None
    sites: tuple[tuple[str, str], ...] = ()


class Predecessor(File, frozen=True, kw_only=True):
    """An agency that ended, who took over from it, and the procedures whose competence moved by name."""

    key: str
    code: str
    kind: AgencyKind
    name: str
    since: date
    until: date
    successors: tuple[str, ...]
    link: Literal["merged", "split"]
    parent: str | None = None
    competence_moved: tuple[str, ...] = ()


class MergedWards(File, frozen=True, kw_only=True):
    """Old wards that became one."""

    into: str
    parent: str
    names: tuple[str, ...]


class Agencies(File, frozen=True, kw_only=True):
    """`agencies.toml`."""

    province: Province
    agency: tuple[NamedAgency, ...]
    departments: dict[str, str]
    counters: dict[str, str]
    predecessor: tuple[Predecessor, ...]
    merged_wards: tuple[MergedWards, ...]


class Commune(File, frozen=True, kw_only=True):
    """A commune or ward by its national code."""

    code: str
    name: str


class CalendarVersion(File, frozen=True, kw_only=True):
    """One version of the calendar: the days it puts over those of the version before."""

    version: int
    note: str
    days: tuple[CalendarDay, ...]


class Rule(File, frozen=True, kw_only=True):
    """One dated rule of law."""

    key: str
    value: Any
    basis: str
    checked: bool = True
    valid_from: date = date(2025, 1, 1)
    valid_to: date | None = None


class Series(File, frozen=True, kw_only=True):
    """A number series of every agency of a kind."""

    at: AgencyKind
    pattern: str
    kinds: tuple[str, ...]
    legal_basis: str
    book: str = ""
    foreign_system: str | None = None


class Right(File, frozen=True, kw_only=True):
    """A right to sign that comes with a post."""

    kind: Basis
    capacity: Capacity
    acts: tuple[str, ...]
    legal_basis: str
    procedures: tuple[str, ...] | None = None


class PostLine(File, frozen=True, kw_only=True):
    """A post of a ward's committee or centre, filled by `count` of the ward's people in order."""

    slug: str
    title: str
    at: Literal["committee", "centre"]
    rank: str
    roles: tuple[Role, ...]
    unit: str | None = None
    count: int = 1
    demo: bool = False
    right: Right | None = None


class Ward(File, frozen=True, kw_only=True):
    """A ward whose people are known by name."""

    territory: str
    slug: str
    names: tuple[str, ...]


class Official(File, frozen=True, kw_only=True):
    """An official of the province."""

    slug: str
    name: str
    title: str
    agency: str
    rank: str
    roles: tuple[Role, ...]


class People(File, frozen=True, kw_only=True):
    """`people.toml`."""

    since: date
    ward: tuple[Ward, ...]
    post: tuple[PostLine, ...]
    official: tuple[Official, ...]


class ProcedureEntry(File, frozen=True, kw_only=True):
    """A procedure as the files state it; `way` and `hours` give its steps."""

    code: str
    name: str
    field: str
    form: FormOfResult
    basis: str
    way: str
    hours: tuple[int, ...]
    total: dict[str, Any]
    level: Literal["full", "partial"]
    result: ResultKind
    parts: tuple[Part, ...]
    code_checked: bool = True
    authority: Literal["commune", "province"] = "commune"
    decided_by: str | None = None
    fees: tuple[Fee, ...] = ()
    subjects: int = 1
    same_day: bool = False
    appointment: bool = False
    all_subjects_present: bool = False
    to_check: tuple[str, ...] = ()


class Way(File, frozen=True, kw_only=True):
    """The steps a form of result goes through, without their durations, and its chain of signatures."""

    steps: tuple[dict[str, Any], ...]
    chain: tuple[ChainEntry, ...]


class Procedure(msgspec.Struct, frozen=True, kw_only=True):
    """A procedure ready to be laid."""

    code: str
    name: str
    field_code: str
    field_name: str
    code_checked: bool
    form: FormOfResult
    owning_system: OwningSystem
    legal_basis: str
    decided_by: str | None
    definition: Definition


class DemoPerson(msgspec.Struct, frozen=True, kw_only=True):
    """One person of the demo: `slug` is the log-in and the id of the certificate."""

    slug: str
    name: str
    title: str
    rank: str
    roles: tuple[Role, ...]
    agency: str
    committee: str | None
    unit: str | None
    right: Right | None
    demo: bool
    certificate: bool
