"""What the tests of the audit start from: acts of each role, a sealer with known keys, and what lies outside."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from api import audit
from api.audit import outside
from api.audit.chain import Notary
from api.audit.outside import CheckpointFile
from api.audit.sealer import Sealer
from tests.conftest import Database, _copy
from tests.office import MORNING, SetClock

OLD, NEW = b"\x01" * 32, b"\x02" * 32
TABLES = ("audit", "audit_chain", "audit_checkpoint", "audit_key")


@pytest_asyncio.fixture(scope="module")
async def shared_db(cluster, template) -> AsyncIterator[Database]:
    """One database for the tests of a module; its owner may do what no trigger prevents."""
    async with _copy(cluster, template) as database:
        await database.admin.execute("SET session_replication_role = replica")
        yield database


@pytest_asyncio.fixture
async def db(shared_db) -> Database:
    """The module's database with no audit row in it."""
    await shared_db.admin.execute(f"TRUNCATE {', '.join(TABLES)}")
    return shared_db


async def act(tx, action="dossier.receive", **detail):
    """Write one audit row."""
    await audit.append(
        tx, None, process="api", action=action, subject_kind="dossier", subject_id=uuid4(), detail=detail, at=MORNING
    )


async def acted(db, times=1, role="app"):
    """Write rows, each in a transaction of its own, and wait a moment until no older one runs that bars the sealer.

    The server's own maintenance may, anywhere in the cluster; what a test holds open itself is not waited for long.
    """
    for _ in range(times):
        async with (await db.pools(role)).transaction() as tx:
            await act(tx)
    for _ in range(50):
        if await db.admin.fetchval("SELECT max(xid) < pg_snapshot_xmin(pg_current_snapshot()) FROM audit"):
            return
        await asyncio.sleep(0.02)


async def sealer(db, directory, keys=None, clock=None):
    """A sealer of a worker; its key is `c1` unless told otherwise."""
    return Sealer(await db.pools("worker"), Notary(keys or {"c1": OLD}), CheckpointFile(directory), clock or SetClock())


def statements(directory):
    """What the file outside says, and how many lines are torn."""
    lines, torn = outside.read(directory / outside.NAME)
    return [line.read() for line in lines], torn
