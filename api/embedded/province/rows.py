"""The rows of the demo province, made from its data files: pure but for randomness in sealing.

Every id is derived from what the row stands for, so that tests and load scripts find an agency or a person by its code.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec

from api.db.privacy import Vault
from api.embedded.province import data
from api.embedded.province.shapes import DemoPerson, MergedWards, Predecessor
from api.kernel import VIETNAM, sort_key
from api.registry.authority import Basis, title_lines

Row = tuple[Any, ...]

_NAMESPACE: Final = UUID("7c0a3b52-6a0e-5d3b-9b1c-2f4d8e6a1b90")


def id_of(kind: str, key: str) -> UUID:
    """Return the id of a thing of the demo: `agency`, `person`, `post`, `account`, `procedure`, ... and its key."""
    return uuid5(_NAMESPACE, f"{kind}:{key}")


def agency_id(code: str) -> UUID:
    """Return the id of a present agency by its code."""
    return id_of("agency", code)


def midnight(day: date) -> datetime:
    """Return the beginning of a day in Vietnam."""
    return datetime.combine(day, time(0), VIETNAM)


def territories() -> Iterator[Row]:
    """Give (code, name, level, parent_code, valid_from)."""
    province = data.agencies().province
    yield province.territory, province.territory_name, "province", None, province.since
    for commune in data.communes():
        yield commune.code, commune.name, "commune", province.territory, province.since


class AgencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """An agency before it becomes rows of four tables."""

    id: UUID
    code: str
    kind: str
    name: str
    parent_id: UUID | None
    territory: str | None
    since: date
    until: date | None
    basis: str


def agencies() -> list[AgencyRow]:
    """Return every agency: present ones from the top down, then those that ended."""
    return [*_present(), *_ended()]


def _present() -> Iterator[AgencyRow]:
    file = data.agencies()
    top = file.province

    def row(code: str, kind: str, name: str, parent: str | None, *, territory: str | None = None) -> AgencyRow:
        return AgencyRow(
            id=agency_id(code),
            code=code,
            kind=kind,
            name=name,
            parent_id=agency_id(parent) if parent else None,
            territory=territory,
            since=top.since,
            until=None,
            basis=top.communes_legal_basis if territory and kind != "province" else top.legal_basis,
        )

    yield row(top.code, "province", top.name, None, territory=top.territory)
    for one in file.agency:
        yield row(one.code, one.kind, one.name, one.parent or top.code)
    for code, name in file.departments.items():
        yield row(code, "department", name, top.code)
    for code, name in file.counters.items():
        yield row(code, "sector_counter", name, top.code)
    for commune in data.communes():
        code = data.commune_code(commune.code)
        yield row(code, "commune", data.committee_name(commune.name), top.code, territory=commune.code)
        centre = data.centre_code(code)
        yield row(centre, "commune_centre", data.centre_name(commune.name), code, territory=commune.code)


def _ended() -> Iterator[AgencyRow]:
    file = data.agencies()
    for one in file.predecessor:
        yield AgencyRow(
            id=_ended_id(one.key),
            code=one.code,
            kind=one.kind,
            name=one.name,
            parent_id=_ended_id(one.parent) if one.parent else None,
            territory=None,
            since=one.since,
            until=one.until,
            basis=file.province.legal_basis,
        )
    for code, name, wards, parent in _old_wards():
        yield AgencyRow(
            id=_ended_id(f"{wards.into}/{name}"),
            code=code,
            kind="commune",
            name=data.committee_name(f"Phường {name}"),
            parent_id=_ended_id(wards.parent),
            territory=None,
            since=parent.since,
            until=parent.until,
            basis=file.province.communes_legal_basis,
        )


def _old_wards() -> Iterator[tuple[str, str, MergedWards, Predecessor]]:
    file = data.agencies()
    parents = {one.key: one for one in file.predecessor}
    counted: dict[str, int] = {}
    for wards in file.merged_wards:
        for name in wards.names:
            counted[wards.parent] = counted.get(wards.parent, 0) + 1
            parent = parents[wards.parent]
            yield f"{parent.code}.{counted[wards.parent]:02}", name, wards, parent


def _ended_id(key: str) -> UUID:
    return id_of("ended-agency", key)


def agency_codes(agency: AgencyRow) -> Iterator[Row]:
    """Give (agency_id, scheme, code, valid_from, valid_to) for each scheme that knows the agency."""
    if agency.until is not None:
        yield agency.id, "predecessor", agency.code, agency.since, agency.until
        return
    yield agency.id, "decision-20-2020", agency.code, agency.since, None
    yield agency.id, "qcvn-102-2016", _qcvn(agency.code), agency.since, None


def _qcvn(code: str) -> str:
    """Turn `H05.30.07` round into the older form `000.07.30.H05` (QCVN 102:2016/BTTTT)."""
    top, *below = code.split(".")
    second, third, fourth = (*below, "00", "00", "00")[:3]
    return f"{int(fourth):03}.{third}.{second}.{top}"


def successions() -> Iterator[Row]:
    """Give (predecessor_id, successor_id, kind, procedure_code, effective_at, legal_basis)."""
    file = data.agencies()
    top = file.province
    for one in file.predecessor:
        for successor in one.successors:
            heir = agency_id(top.code if successor == top.code else data.commune_code(successor))
            at = midnight(one.until)
            yield _ended_id(one.key), heir, one.link, None, at, top.legal_basis
            for procedure in one.competence_moved:
                yield _ended_id(one.key), heir, "competence_moved", procedure, at, top.communes_legal_basis
    for _, name, wards, parent in _old_wards():
        heir = agency_id(data.commune_code(wards.into))
        at = midnight(parent.until)
        yield _ended_id(f"{wards.into}/{name}"), heir, "merged", None, at, top.communes_legal_basis


def competences() -> Iterator[Row]:
    """Give (procedure_code, territory_code, agency_id, legal_basis, valid_from)."""
    top = data.agencies().province
    for procedure in data.procedures():
        if procedure.decided_by:
            yield procedure.code, top.territory, agency_id(procedure.decided_by), procedure.legal_basis, top.since
            continue
        for commune in data.communes():
            decider = agency_id(data.commune_code(commune.code))
            yield procedure.code, commune.code, decider, procedure.legal_basis, top.since


def number_series(agencies: list[AgencyRow]) -> Iterator[Row]:
    """Give (agency_id, kind_code, book, pattern, owner, foreign_system, legal_basis, valid_from)."""
    for series in data.series():
        owner = "foreign" if series.foreign_system else "own"
        for agency in agencies:
            if agency.kind == series.at and agency.until is None:
                for kind in series.kinds:
                    yield (
                        agency.id, kind, series.book, series.pattern, owner, series.foreign_system,
                        series.legal_basis, agency.since,
                    )  # fmt: skip


def person_id(person: DemoPerson) -> UUID:
    """Return the id of a person of the demo."""
    return id_of("person", person.slug)


def post_id(person: DemoPerson) -> UUID:
    """Return the id of the post that a person of the demo holds."""
    return id_of("post", person.slug)


def account_id(person: DemoPerson) -> UUID:
    """Return the id of the account of a person of the demo."""
    return id_of("account", person.slug)


def private(person: DemoPerson, number: int, vault: Vault) -> Row:
    """Return (person_id, key_id, name_sealed, name_fingerprint, id_number_sealed, id_number_fingerprint), made up."""
    citizen = f"0{(24, 27)[number % 2]}{number % 2}{70 + number % 30:02}{900000 + number:06}"
    return (
        person_id(person),
        vault.current,
        vault.seal("person.name", person.name),
        vault.fingerprint("person.name", person.name),
        vault.seal("person.id_number", citizen),
        vault.fingerprint("person.id_number", citizen),
    )


def official(person: DemoPerson) -> Row:
    """Return (person_id, display_name, sort_key): officials are listed by given name first, then by family name."""
    family, *middle, given = person.name.split()
    return person_id(person), person.name, sort_key(" ".join((given, family, *middle)))


def mandates(people: Sequence[DemoPerson], at: datetime) -> Iterator[Row]:
    """Give the rights to sign; a written mandate ends in the middle of next year.

    The columns: id, kind, capacity, person_id, post_id, agency_id, given_by_post_id, acts, procedure_codes,
    title_lines, legal_basis, valid_from, valid_to.
    """
    since = midnight(data.agencies().province.since)
    heads = {person.agency: person for person in people if person.right and person.rank == "head"}
    for person in people:
        right = person.right
        if right is None:
            continue
        head = heads[person.agency]
        ends = midnight(date(at.astimezone(VIETNAM).year + 1, 7, 1)) if right.kind is Basis.MANDATE else None
        yield (
            id_of("mandate", person.slug), right.kind.value, right.capacity.value, person_id(person),
            post_id(person), agency_id(person.agency), None if person is head else post_id(head), list(right.acts),
            list(right.procedures) if right.procedures is not None else None,
            list(title_lines(right.capacity, own_title=person.title, head_title=head.title)),
            right.legal_basis, since, ends,
        )  # fmt: skip
