"""The registry's use cases: cached reads of what changes rarely, fresh reads of who may sign, and publishing."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import date, datetime, time
from typing import Any, TypeVar
from uuid import UUID

from api.db.pools import Pools, Tx
from api.errors import Broken, NotFound
from api.kernel import AgencyId, PersonId, PostId, vn_day
from api.registry import store
from api.registry.authority import Authority, authority
from api.registry.cache import SingleFlight
from api.registry.calendar import Session, WorkingCalendar, WorkingHours
from api.registry.competence import Competence, competent
from api.registry.contract import (
    Agency,
    AgencyName,
    LegalRule,
    ProcedureVersion,
    Signatory,
    Succession,
)

K = TypeVar("K")
V = TypeVar("V")


class Registry:
    """Reads of the registry, kept in the process; one per process, watching for changes while `watching` is open.

    Reads go to the read pool on a connection of their own, so they may be awaited inside a write transaction.
    """

    def __init__(self, pools: Pools) -> None:
        """Read through these pools; nothing is loaded before it is asked for."""
        self._pools = pools
        self._caches: list[SingleFlight[Any, Any]] = []
        self._version = self.cached(self._load_version)
        self._versions = self.cached(self._load_versions)
        self._current = self.cached(self._load_current)
        self._competence = self.cached(self._load_competence)
        self._parents = self.cached(self._load_parents)
        self._agency = self.cached(self._load_agency)
        self._names = self.cached(self._load_names)
        self._agencies = self.cached(self._load_agencies)
        self._rules = self.cached(self._load_rules)
        self._calendar = self.cached(self._load_calendar)
        self._latest = self.cached(self._load_latest)

    def cached(self, load: Callable[[K], Awaitable[V]]) -> SingleFlight[K, V]:
        """Keep what is made of the registry by key, until the registry changes."""
        cache = SingleFlight(load)
        self._caches.append(cache)
        return cache

    def invalidate(self) -> None:
        """Forget what was read; whoever publishes calls this after the commit, other processes hear of it."""
        for cache in self._caches:
            cache.clear()

    @contextlib.asynccontextmanager
    async def watching(self, heard: Callable[[], Awaitable[None]] | None = None) -> AsyncGenerator["Registry"]:
        """Follow changes made by any process for as long as the block is open: within 2 s at the latest.

        `heard` is awaited at each change, for what else is kept under the registry's version.
        """
        task = asyncio.create_task(self._watch(heard), name="registry-watch")
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self, heard: Callable[[], Awaitable[None]] | None) -> None:
        async with contextlib.aclosing(store.changes(self._pools)) as changes:
            async for _ in changes:
                self.invalidate()
                if heard is not None:
                    await heard()

    async def procedure_version(self, version_id: UUID) -> ProcedureVersion:
        """Return one version of a procedure, ended ones too.

        Raises:
            NotFound: there is no such version.
        """
        return await self._version.get(version_id)

    async def current_version(self, code: str, at: datetime) -> ProcedureVersion:
        """Return the version with which a dossier of this instant begins.

        Raises:
            NotFound: no version of such a procedure is in force.
        """
        day = vn_day(at)
        for version in await self._versions.get(code):
            if version.holds(day):
                return version
        raise NotFound(
            f"Không có thủ tục {code} đang có hiệu lực.", f"No procedure {code} is in force.", code="no-procedure"
        )

    async def versions(self, code: str) -> list[ProcedureVersion]:
        """Return every version of a procedure, newest first; empty if it is unknown."""
        return await self._versions.get(code)

    async def procedures(self, at: datetime) -> list[ProcedureVersion]:
        """Return the procedures in force, in the order of the Vietnamese alphabet."""
        return await self._current.get(vn_day(at))

    async def competent_agency(self, version_id: UUID, territory_code: str | None, at: datetime) -> AgencyId | None:
        """Return the agency that decides, or None where the authority is unknown: a dispatch queue, no error."""
        if territory_code is None:
            return None
        version = await self.procedure_version(version_id)
        territories = await self._outwards(territory_code)
        rows = await self._competence.get(version.code)
        row = competent(
            rows, procedure_code=version.code, version_id=version_id, territories=territories, day=vn_day(at)
        )
        return row.agency_id if row else None

    async def knows_territory(self, territory_code: str) -> bool:
        """Tell whether a territory of this national code stands in the register."""
        return territory_code in await self._parents.get(None)

    async def _outwards(self, territory_code: str) -> list[str]:
        parents = await self._parents.get(None)
        chain: list[str] = []
        code: str | None = territory_code
        while code is not None and code in parents and code not in chain:
            chain.append(code)
            code = parents[code]
        return chain

    async def calendar(self, version: int) -> WorkingCalendar:
        """Return one published version of the working calendar.

        Raises:
            NotFound: that version was never published.
        """
        return await self._calendar.get(version)

    async def current_calendar_version(self) -> int:
        """Return the calendar version that new dossiers begin with.

        Raises:
            Broken: no calendar was ever published.
        """
        return await self._latest.get(None)

    async def legal_rule(self, key: str, at: datetime) -> LegalRule:
        """Return the row of a rule of law that holds at this instant, with its basis.

        Raises:
            Broken: no such rule holds; a rule is never replaced by a constant in code.
        """
        day = vn_day(at)
        for row in (await self._rules.get(None)).get(key, ()):
            if row.valid_from <= day and (row.valid_to is None or day < row.valid_to):
                return row
        raise Broken(
            f"Chưa có quy định {key!r} cho ngày {day:%d/%m/%Y}.", f"No rule {key!r} holds on {day}.", code="no-rule"
        )

    async def rule(self, key: str, at: datetime) -> Any:
        """Return the value of the rule that holds at this instant (see `legal_rule`)."""
        return (await self.legal_rule(key, at)).value

    async def agency(self, agency_id: UUID) -> Agency:
        """Return one agency, ended ones too.

        Raises:
            NotFound: there is no such agency.
        """
        return await self._agency.get(agency_id)

    async def agency_name(self, agency_id: UUID, at: datetime) -> str:
        """Return the name the agency bore at this instant, as its papers of that day print it."""
        day = vn_day(at)
        for row in await self._names.get(agency_id):
            if row.valid_from <= day and (row.valid_to is None or day < row.valid_to):
                return row.name
        return (await self.agency(agency_id)).name

    async def agencies(self, at: datetime) -> list[Agency]:
        """Return the agencies that exist, in the order of the Vietnamese alphabet."""
        return await self._agencies.get(vn_day(at))

    async def agencies_by_code(self, code: str, at: datetime) -> list[Agency]:
        """Return the agencies known by a code under either scheme, new or old."""
        async with self._pools.reading() as connection:
            return await store.agencies_by_code(connection, code, vn_day(at))

    async def successors(self, agency_id: UUID) -> list[Succession]:
        """Return who took over from an agency, wholly or for one procedure."""
        async with self._pools.reading() as connection:
            return await store.successors(connection, agency_id)

    async def authority_of(self, person_id: PersonId, post_id: PostId, agency_id: AgencyId, at: datetime) -> Authority:
        """Return what the post may sign and in what capacity, read fresh (see the function `authority_of`)."""
        async with self._pools.reading() as connection:
            return await authority_of(connection, person_id, post_id, agency_id, at)

    async def signatories(self, agency_id: AgencyId, act: str, procedure_code: str, at: datetime) -> list[Signatory]:
        """Return who may sign this act of this procedure at an agency, to choose from; read fresh."""
        async with self._pools.reading() as connection:
            rows = await store.signatories_of_agency(connection, agency_id, at)
        return [row for row in rows if row.covers(act, procedure_code)]

    async def _load_version(self, version_id: UUID) -> ProcedureVersion:
        async with self._pools.reading() as connection:
            found = await store.procedure_version(connection, version_id)
        if found is None:
            raise NotFound("Không có phiên bản thủ tục này.", "There is no such version.", code="no-procedure")
        return found

    async def _load_versions(self, code: str) -> list[ProcedureVersion]:
        async with self._pools.reading() as connection:
            return await store.procedure_versions(connection, code)

    async def _load_current(self, day: date) -> list[ProcedureVersion]:
        async with self._pools.reading() as connection:
            return await store.current_procedures(connection, day)

    async def _load_competence(self, code: str) -> list[Competence]:
        async with self._pools.reading() as connection:
            return await store.competence_of_procedure(connection, code)

    async def _load_parents(self, _: None) -> dict[str, str | None]:
        async with self._pools.reading() as connection:
            return await store.territory_parents(connection)

    async def _load_agency(self, agency_id: UUID) -> Agency:
        async with self._pools.reading() as connection:
            found = await store.agency(connection, agency_id)
        if found is None:
            raise NotFound("Không có cơ quan này.", "There is no such agency.", code="no-agency")
        return found

    async def _load_names(self, agency_id: UUID) -> list[AgencyName]:
        async with self._pools.reading() as connection:
            return await store.agency_names(connection, agency_id)

    async def _load_agencies(self, day: date) -> list[Agency]:
        async with self._pools.reading() as connection:
            return await store.current_agencies(connection, day)

    async def _load_rules(self, _: None) -> dict[str, list[LegalRule]]:
        async with self._pools.reading() as connection:
            rows = await store.legal_rules(connection)
        by_key: dict[str, list[LegalRule]] = {}
        for row in rows:
            by_key.setdefault(row.key, []).append(row)
        return by_key

    async def _load_calendar(self, version: int) -> WorkingCalendar:
        async with self._pools.reading() as connection:
            days = await store.calendar_days(connection, version)
        if not days:
            raise NotFound("Không có phiên bản lịch này.", "There is no such calendar version.", code="no-calendar")
        return WorkingCalendar(
            version=version,
            covers_from=date(min(day.day for day in days).year, 1, 1),
            covers_to=date(max(day.day for day in days).year, 12, 31),
            days={day.day: day for day in days},
            hours=working_hours((await self._rules.get(None)).get("working_hours", [])),
        )

    async def _load_latest(self, _: None) -> int:
        async with self._pools.reading() as connection:
            version = await store.latest_calendar(connection)
        if version is None:
            raise Broken("Chưa công bố lịch làm việc.", "No calendar was published.", code="no-calendar")
        return version


def working_hours(rows: list[LegalRule]) -> tuple[WorkingHours, ...]:
    """Read the rule `working_hours` (a list of [opens, closes] in Vietnam's time) as dated rows, oldest first."""
    found = [
        WorkingHours(
            sessions=tuple(
                Session(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes))
                for opens, closes in row.value
            ),
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            legal_ref=row.legal_basis,
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda row: row.valid_from))


async def authority_of(tx: Tx, person_id: PersonId, post_id: PostId, agency_id: AgencyId, at: datetime) -> Authority:
    """Return what one person may sign in one post at one agency, out of rows read in this transaction.

    Somebody who no longer holds the post may sign nothing, whatever rows are left.
    """
    if not await store.holds_post(tx, person_id, post_id, agency_id, at):
        return authority((), person_id=person_id, post_id=post_id, agency_id=agency_id, at=at)
    rows = await store.mandates_of_post(tx, person_id, post_id, agency_id)
    return authority(rows, person_id=person_id, post_id=post_id, agency_id=agency_id, at=at)
