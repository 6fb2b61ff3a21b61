"""The registry's statements, one function each; nothing here decides anything."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from api.db.pools import Listener, Pools, Tx, as_struct, as_structs
from api.db.queries import load
from api.errors import Invalid
from api.kernel import AgencyId, PersonId, PostId
from api.registry.authority import Mandate
from api.registry.calendar import CalendarDay
from api.registry.competence import Competence
from api.registry.contract import Agency, AgencyName, LegalRule, ProcedureVersion, Signatory, Succession

q: Final = load("api.registry")

REREAD_S: Final = 1.5
"""Seconds between two looks at the version row: a lost NOTIFY is made good within two."""


async def procedure_version(tx: Tx, version_id: UUID) -> ProcedureVersion | None:
    """Return one version by its id."""
    return as_struct(await tx.fetchrow(q.procedure_version, version_id), ProcedureVersion)


async def procedure_versions(tx: Tx, code: str) -> list[ProcedureVersion]:
    """Return every version of a procedure, newest first."""
    return as_structs(await tx.fetch(q.procedure_versions, code), ProcedureVersion)


async def current_procedures(tx: Tx, day: date) -> list[ProcedureVersion]:
    """Return what is in force on a day, by name."""
    return as_structs(await tx.fetch(q.current_procedures, day), ProcedureVersion)


async def competence_of_procedure(tx: Tx, code: str) -> list[Competence]:
    """Return every row of competence of a procedure."""
    return as_structs(await tx.fetch(q.competence_of_procedure, code), Competence)


async def territory_parents(tx: Tx) -> dict[str, str | None]:
    """Return the territory around each territory."""
    return {row["code"]: row["parent_code"] for row in await tx.fetch(q.territory_parents)}


async def agency(tx: Tx, agency_id: UUID) -> Agency | None:
    """Return one agency, ended ones too."""
    return as_struct(await tx.fetchrow(q.agency, agency_id), Agency)


async def agency_names(tx: Tx, agency_id: UUID) -> list[AgencyName]:
    """Return the names an agency bore, oldest first."""
    return as_structs(await tx.fetch(q.agency_names, agency_id), AgencyName)


async def current_agencies(tx: Tx, day: date) -> list[Agency]:
    """Return the agencies that exist on a day, by name."""
    return as_structs(await tx.fetch(q.current_agencies, day), Agency)


async def agencies_by_code(tx: Tx, code: str, day: date) -> list[Agency]:
    """Return the agencies that any scheme knows by this code on a day."""
    return as_structs(await tx.fetch(q.agencies_by_code, code, day), Agency)


async def successors(tx: Tx, agency_id: UUID) -> list[Succession]:
    """Return who took over from an agency."""
    return as_structs(await tx.fetch(q.successors, agency_id), Succession)


async def legal_rules(tx: Tx) -> list[LegalRule]:
    """Return every dated rule."""
    return as_structs(await tx.fetch(q.legal_rules), LegalRule)


async def calendar_days(tx: Tx, version: int) -> list[CalendarDay]:
    """Return the days of a calendar version that differ from their place in the week."""
    return as_structs(await tx.fetch(q.calendar_days, version), CalendarDay)


async def latest_calendar(tx: Tx) -> int | None:
    """Return the newest calendar version, or None before the first is published."""
    return await tx.fetchval(q.latest_calendar)


async def mandates_of_post(tx: Tx, person_id: PersonId, post_id: PostId, agency_id: AgencyId) -> list[Mandate]:
    """Return every right to sign that a person has or had in a post at an agency."""
    return as_structs(await tx.fetch(q.mandates_of_post, person_id, post_id, agency_id), Mandate)


async def signatories_of_agency(tx: Tx, agency_id: AgencyId, at: datetime) -> list[Signatory]:
    """Return who holds a right to sign at an agency and still holds the post."""
    return as_structs(await tx.fetch(q.signatories_of_agency, agency_id, at), Signatory)


async def holds_post(tx: Tx, person_id: PersonId, post_id: PostId, agency_id: AgencyId, at: datetime) -> bool:
    """Tell whether a person holds a post of an agency."""
    return bool(await tx.fetchval(q.holds_post, person_id, post_id, agency_id, at))


async def lock_procedure(tx: Tx, code: str) -> None:
    """Let one publisher of a procedure in at a time."""
    await tx.execute(q.lock_procedure, code)


async def insert_procedure(
    tx: Tx, *, code: str, name: str, sort_key: str, field_code: str, field_name: str, code_checked: bool
) -> None:
    """Insert a procedure unless it is known."""
    await tx.execute(q.insert_procedure, code, name, sort_key, field_code, field_name, code_checked)


async def insert_version(tx: Tx, row: tuple[str, int, Any, str, str, str, date, datetime]) -> UUID:
    """Insert the next version and return its id; the row is in the order of the statement."""
    return await tx.fetchval(q.insert_version, row[0], row[1], msgspec.to_builtins(row[2]), *row[3:])


async def end_version(tx: Tx, version_id: UUID, day: date) -> None:
    """End a version on a day."""
    await tx.execute(q.end_version, version_id, day)


async def insert_competence_of_communes(tx: Tx, code: str, legal_basis: str, day: date) -> None:
    """Let every commune decide a procedure at home from a day on."""
    await tx.execute(q.insert_competence_of_communes, code, legal_basis, day)


async def insert_competence(tx: Tx, code: str, territory_code: str, agency_id: UUID, basis: str, day: date) -> None:
    """Let one agency decide a procedure in one territory from a day on.

    Raises:
        Invalid: there is no such territory or agency.
    """
    try:
        await tx.execute(q.insert_competence, code, territory_code, agency_id, basis, day)
    except asyncpg.ForeignKeyViolationError:
        raise Invalid(
            f"Không có địa bàn {territory_code!r} hoặc cơ quan {agency_id}.",
            f"There is no territory {territory_code!r} or agency {agency_id}.",
            code="no-territory-or-agency",
        ) from None


async def changes(pools: Pools) -> AsyncGenerator[object]:
    """Yield the registry's version whenever it has moved, and once after every time the connection was lost.

    Listens for the rare writer's NOTIFY and reads the version row again and again in case that was lost.
    """
    while True:
        try:
            async with pools.listening() as connection:
                async for version in _changes_on(connection):
                    yield version
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await asyncio.sleep(REREAD_S / 2)


async def _changes_on(connection: Listener) -> AsyncGenerator[object]:
    rung = asyncio.Event()

    def ring(*_: object) -> None:
        rung.set()

    known: int | None = None
    await connection.add_listener("registry", ring)
    while True:
        rung.clear()
        version = await connection.fetchval(q.registry_version, timeout=REREAD_S)
        if version != known:
            known = version
            yield version
        await _wait(rung)


async def _wait(rung: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(REREAD_S):
            await rung.wait()
    except TimeoutError:
        return
