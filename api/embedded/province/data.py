"""The demo province's data files, read strictly into Structs: an unknown or missing field stops the laying.

Nothing in the code names a province, an agency or a procedure: another province puts other files here.
"""

import tomllib
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from api.embedded.pki import CertificateWanted
from api.embedded.province.shapes import (
    Agencies,
    CalendarVersion,
    Commune,
    DemoPerson,
    People,
    PostLine,
    Procedure,
    ProcedureEntry,
    Rule,
    Series,
    Ward,
    Way,
)
from api.registry.calendar import CalendarDay
from api.registry.procedures import Channel, Definition


@cache
def agencies() -> Agencies:
    """Return the province, its agencies and their predecessors."""
    return msgspec.convert(_toml("agencies.toml"), Agencies)


@cache
def communes() -> tuple[Commune, ...]:
    """Return the communes and wards in the order of their codes."""
    return msgspec.convert(_toml("communes.toml")["communes"], tuple[Commune, ...])


def calendar() -> tuple[CalendarVersion, ...]:
    """Return the calendar's versions, oldest first, each whole."""
    whole: dict[date, CalendarDay] = {}
    versions: list[CalendarVersion] = []
    for version in msgspec.convert(_toml("calendar.toml")["version"], tuple[CalendarVersion, ...]):
        whole.update({day.day: day for day in version.days})
        days = tuple(whole[day] for day in sorted(whole))
        versions.append(CalendarVersion(version=version.version, note=version.note, days=days))
    return tuple(versions)


@cache
def rules() -> tuple[Rule, ...]:
    """Return the dated rules of law."""
    return msgspec.convert(_toml("rules.toml")["rule"], tuple[Rule, ...])


@cache
def series() -> tuple[Series, ...]:
    """Return the number series by kind of agency."""
    return msgspec.convert(_toml("series.toml")["series"], tuple[Series, ...])


@cache
def procedures() -> tuple[Procedure, ...]:
    """Return the procedures with their steps put together."""
    base = _toml("procedures.toml")
    ways = msgspec.convert(base["ways"], dict[str, Way])
    rows = msgspec.convert(
        [*base["procedure"], *_toml("procedures_more.toml")["procedure"]], tuple[ProcedureEntry, ...]
    )
    return tuple(_procedure(row, ways[row.way], base["fields"][row.field], base["bases"][row.basis]) for row in rows)


def _procedure(row: ProcedureEntry, way: Way, field_name: str, basis: str) -> Procedure:
    steps = [
        {**step, "duration": {"amount": hours, "unit": "hour"}}
        for step, hours in zip(way.steps, row.hours, strict=True)
    ]
    channels: tuple[Channel, ...] = ("counter", "online", "post") if row.level == "full" else ("counter", "post")
    result = msgspec.structs.replace(row.result, act="digitised_paper") if row.form == "b" else row.result
    definition = msgspec.convert(
        {
            "steps": steps,
            "chain": way.chain,
            "channels_in": ("counter", "online") if row.all_subjects_present and row.level == "full" else channels,
            "channels_out": ("counter",) if row.all_subjects_present else ("counter", "online", "post"),
            "result": result,
            **{
                name: getattr(row, name)
                for name in (
                    "total", "level", "parts", "authority", "fees", "subjects", "same_day", "appointment",
                    "all_subjects_present", "to_check",
                )
            },
        },
        Definition,
    )  # fmt: skip
    return Procedure(
        code=row.code,
        name=row.name,
        field_code=row.field,
        field_name=field_name,
        code_checked=row.code_checked,
        form=row.form,
        owning_system="ministry" if row.form == "c" else "province",
        legal_basis=basis,
        decided_by=row.decided_by,
        definition=definition,
    )


@cache
def people() -> tuple[DemoPerson, ...]:
    """Return everybody of the demo: the wards' certificate holders in the order of their posts, then the province's."""
    file = _people()
    found = [person for ward in file.ward for person in ward_staff(ward)]
    found += [
        DemoPerson(
            slug=row.slug, name=row.name, title=row.title, rank=row.rank, roles=row.roles, agency=row.agency,
            committee=None, unit=None, right=None, demo=True, certificate=False,
        )
        for row in file.official
    ]  # fmt: skip
    return tuple(found)


def ward_staff(ward: Ward) -> tuple[DemoPerson, ...]:
    """Return a ward's certificate holders: its names in the order of the posts that every ward has."""
    places = [(line, number) for line in _people().post for number in range(1, line.count + 1)]
    return tuple(
        _ward_person(ward, line, number, name) for (line, number), name in zip(places, ward.names, strict=True)
    )


@cache
def _people() -> People:
    return msgspec.convert(_toml("people.toml"), People)


def _ward_person(ward: Ward, line: PostLine, number: int, name: str) -> DemoPerson:
    slug = line.slug if line.count == 1 else f"{line.slug}{number}"
    committee = commune_code(ward.territory)
    return DemoPerson(
        slug=f"{slug}.{ward.slug}",
        name=name,
        title=line.title,
        rank=line.rank,
        roles=line.roles,
        agency=committee if line.at == "committee" else centre_code(committee),
        committee=committee,
        unit=line.unit,
        right=line.right,
        demo=line.demo,
        certificate=True,
    )


def commune_code(territory: str) -> str:
    """Return the demo's agency code of a commune's People's Committee: its place in the list of communes."""
    place = [commune.code for commune in communes()].index(territory) + 1
    return f"{agencies().province.communes_code}.{place:02}"


def centre_code(committee: str) -> str:
    """Return the demo's agency code of the centre of a commune's People's Committee."""
    return f"{committee}.01"


def committee_name(commune: str) -> str:
    """Return what the People's Committee of a commune is called; its name begins small in running text."""
    return "Ủy ban nhân dân " + commune[0].lower() + commune[1:]


def centre_name(commune: str) -> str:
    """Return what a commune's centre is called."""
    return "Trung tâm Phục vụ hành chính công " + commune[0].lower() + commune[1:]


def certificates_wanted(staff: Sequence[DemoPerson] | None = None) -> tuple[CertificateWanted, ...]:
    """Return the certificates to make: one for each holder among these people, and each ward's organisation."""
    staff = people() if staff is None else staff
    names = {commune_code(commune.code): committee_name(commune.name) for commune in communes()}
    wanted = [
        CertificateWanted(id=person.slug, common_name=person.name, organisation=names[person.committee])
        for person in staff
        if person.certificate and person.committee
    ]
    wanted += [
        CertificateWanted(id=f"seal.{code}", common_name=names[code], organisation=names[code], kind="seal")
        for code in sorted({person.committee for person in staff if person.committee})
    ]
    return tuple(wanted)


@cache
def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("api.embedded.province").joinpath(name).read_text(encoding="utf-8"))
