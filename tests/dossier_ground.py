"""The ground dossier tests stand on: the demo province's law and people, officials as actors, and the use cases."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from api.db.pools import prepare_connection
from api.db.privacy import Vault
from api.dossiers.intake import Intake
from api.dossiers.service import Dossiers
from api.embedded.province import data, laying, rows
from api.kernel import AccountId, Actor, AgencyId, PersonId, PostId
from api.registry.service import Registry
from tests.conftest import Database

VAULT = Vault({"k1": b"7" * 32}, "k1")
MARITAL_STATUS = "1.004873"
MONDAY = datetime(2026, 3, 9, 2, 0, tzinfo=UTC)
"""Monday 9 March 2026, 09:00 in Vietnam: a plain working day."""


_numbers = itertools.count(1)


@contextlib.asynccontextmanager
async def copied(cluster, template: str) -> AsyncIterator[Database]:
    """A database of its own, copied from a template."""
    name = f"dossiers_{next(_numbers)}"
    owner = await asyncpg.connect(cluster.dsn("admin", "postgres"))
    await owner.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    admin = await asyncpg.connect(cluster.dsn("admin", name))
    await prepare_connection(admin)
    database = Database(cluster, name, admin)
    try:
        yield database
    finally:
        await database.close()
        await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await owner.close()


@contextlib.asynccontextmanager
async def province_template(cluster, template: str) -> AsyncIterator[str]:
    """The name of a database in which the province lies, to copy from: nobody is connected to it."""
    async with copied(cluster, template) as database:
        await lay(database.admin)
        await database.admin.close()
        yield database.name


async def lay(admin):
    """Lay agencies, law and people; no passwords, no certificates."""
    async with admin.transaction():
        await laying._lay_agencies(admin)
        await laying._lay_law(admin, MONDAY)
        await laying._lay_people(admin, data.people(), VAULT, MONDAY)


def actor(slug: str) -> Actor:
    """The official of this log-in name, as a session would give it."""
    person = next(person for person in data.people() if person.slug == slug)
    return Actor(
        account_id=AccountId(rows.account_id(person)),
        person_id=PersonId(rows.person_id(person)),
        post_id=PostId(rows.post_id(person)),
        agency_id=AgencyId(rows.agency_id(person.agency)),
        roles=frozenset(role.value for role in person.roles),
    )


class Ground:
    """One test's database with the use cases over it."""

    def __init__(self, db, pools):
        self.db = db
        self.pools = pools
        self.registry = Registry(pools)
        self.dossiers = Dossiers(self.registry, VAULT)
        self.intake = Intake(self.dossiers)

    async def step(self, slug, dossier_id, action, facts, at, **more):
        async with self.pools.transaction() as tx:
            return await self.dossiers.take_step(
                tx, actor(slug), await self.dossiers.locked(tx, dossier_id), action, facts, at=at, **more
            )

    async def result(self, dossier_id: UUID, ordinal: int = 1) -> UUID:
        """A result row as the documents' slice would insert it."""
        return await self.db.admin.fetchval(
            """INSERT INTO result (dossier_id, ordinal, form, kind_code, title, verify_code)
               VALUES ($1, $2::smallint, 'a', 'XNTTHN', 'Giấy xác nhận', gen_random_uuid()::text) RETURNING id""",
            dossier_id,
            ordinal,
        )

    async def code_of(self, slug: str) -> str:
        """The code of the agency at which an official works."""
        return await self.db.admin.fetchval("SELECT code FROM agency WHERE id = $1", actor(slug).agency_id)
