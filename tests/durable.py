"""A server of its own with fsync on, kept alive like the launcher's, that a test may kill at any moment."""

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from api.db.migrate import migrate
from api.db.pools import prepare_connection
from api.embedded.postgres import Cluster
from api.embedded.province import lay_province
from tests.conftest import Database, Province

_TEMPLATE = "template_province"
_numbers = itertools.count(1)


def quiet(_vi: str, _en: str) -> None:
    """Say nothing."""


class DurableServer:
    """PostgreSQL with every durability setting on, and the demo province in a template."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.deaths = 0
        self._lent: list[Database] = []

    async def kill(self) -> None:
        """Kill the postmaster as a power cut would; return once its successor answers."""
        victim = self.cluster.pid
        os.kill(victim, signal.SIGKILL)
        self.deaths += 1
        async with asyncio.timeout(60):
            while self.cluster.pid in (victim, None) or not await self.cluster._answers():
                await asyncio.sleep(0.05)
        await self._open_again()

    async def crash_one_backend(self) -> None:
        """Kill one session's process: PostgreSQL ends all others and recovers, under the same postmaster."""
        victim = await asyncpg.connect(self.cluster.dsn("admin", "postgres"))
        witness = await asyncpg.connect(self.cluster.dsn("admin", "postgres"))
        os.kill(await victim.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)
        victim.terminate()
        async with asyncio.timeout(60):
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                while True:
                    await witness.fetchval("SELECT 1")
            while not await self.cluster._answers():
                await asyncio.sleep(0.05)
        await self._open_again()

    async def _open_again(self) -> None:
        """Give every database that is lent a new session of its owner: the death ended them all."""
        for database in self._lent:
            database.admin.terminate()
            database.admin = await _owner_of(self.cluster, database.name)

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """A fresh database that holds the demo province; it goes with the server."""
        name = f"durable_{next(_numbers)}"
        owner = await asyncpg.connect(self.cluster.dsn("admin", "postgres"))
        await owner.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        await owner.close()
        database = Database(self.cluster, name, await _owner_of(self.cluster, name))
        self._lent.append(database)
        try:
            yield database
        finally:
            self._lent.remove(database)
            await database.close()


async def _owner_of(cluster: Cluster, name: str) -> asyncpg.Connection:
    owner = await asyncpg.connect(cluster.dsn("admin", name))
    await prepare_connection(owner)
    return owner


@contextlib.asynccontextmanager
async def durable_server(province: Province) -> AsyncIterator[DurableServer]:
    """Run one; its data go with it."""
    root = Path(tempfile.mkdtemp(prefix="motcua-durable-"))
    cluster = Cluster(root, tuning={"shared_buffers": "64MB"})
    await cluster.start(quiet)
    keeper = asyncio.create_task(cluster.keep(quiet))
    try:
        owner = await asyncpg.connect(cluster.dsn("admin", "postgres"))
        assert await owner.fetchval("SHOW fsync") == "on"
        await owner.execute(f"CREATE DATABASE {_TEMPLATE}")
        await owner.close()
        await migrate(cluster.dsn("admin", _TEMPLATE))
        owner = await asyncpg.connect(cluster.dsn("admin", _TEMPLATE))
        await lay_province(
            owner,
            pki=province.pki,
            vault=province.vault,
            factors=province.factors,
            at=datetime.now(UTC),
            accounts=province.accounts,
        )
        await owner.close()
        yield DurableServer(cluster)
    finally:
        keeper.cancel()
        await cluster.stop()
        shutil.rmtree(root, ignore_errors=True)
