"""What many tests start from: one PostgreSQL for the session, a migrated template, and a fresh database per test."""

import contextlib
import dataclasses
import itertools
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from api.db.migrate import migrate
from api.db.pools import Pools, open_pools, prepare_connection
from api.db.privacy import Vault
from api.embedded.pki import lay_pki
from api.embedded.postgres import Cluster
from api.embedded.province import Accounts, certificates_wanted, lay_province, new_accounts

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "pdfs"
"""Real PDF files, kept beside the repository; without them the corpus module is not collected."""

collect_ignore_glob = [] if CORPUS.is_dir() else ["*corpus*"]

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of a parallel run: its controller counts
        return
    skipped = reporter.stats.get("skipped", []) + reporter.stats.get("xfailed", [])
    if session.config.getoption("--no-skips") and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"\n{len(skipped)} skipped: that fails this run", red=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    files = sum(1 for _ in CORPUS.rglob("*.pdf")) if CORPUS.is_dir() else 0
    terminalreporter.write_line(f"corpus: {files} files")


class Database:
    """One test's own database: `admin` is the owner's connection, `pools` and `dsn` are per role."""

    def __init__(self, cluster: Cluster, name: str, admin: asyncpg.Connection) -> None:
        self.cluster = cluster
        self.name = name
        self.admin = admin
        self._pools: dict[str, Pools] = {}

    def dsn(self, role: str) -> str:
        """asyncpg's DSN of `admin`, `app`, `signer` or `worker`."""
        return self.cluster.dsn(role, self.name)

    async def pools(self, role: str) -> Pools:
        """The pools of a role, opened at the first call; use as `(await db.pools("app")).transaction()`."""
        if role not in self._pools:
            self._pools[role] = await open_pools(self.dsn(role))
        return self._pools[role]

    async def close(self) -> None:
        for pools in self._pools.values():
            pools.read.terminate()
            pools.write.terminate()
        await self.admin.close()


@pytest_asyncio.fixture(scope="session")
async def cluster() -> AsyncIterator[Cluster]:
    """A server for plain database tests; fault tests start their own, with fsync on."""
    root = Path(tempfile.mkdtemp(prefix="motcua-test-"))
    tuning = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "64MB"}
    server = Cluster(root, tuning=tuning)
    await server.start(lambda _vi, _en: None)
    try:
        yield server
    finally:
        await server.stop()
        shutil.rmtree(root)


@pytest_asyncio.fixture(scope="session")
async def template(cluster: Cluster) -> str:
    """The name of a database to which every migration has been applied, and nothing else."""
    await _run_on(cluster, "CREATE DATABASE template_migrated")
    await migrate(cluster.dsn("admin", "template_migrated"))
    return "template_migrated"


@pytest_asyncio.fixture
async def db(cluster: Cluster, template: str) -> AsyncIterator[Database]:
    """A fresh, migrated, empty database."""
    async with _copy(cluster, template) as database:
        yield database


@dataclasses.dataclass(frozen=True)
class Province:
    """What tests need to know of the demo province: its certificates, the keys that sealed it, every log-in."""

    pki: Path
    vault: Vault
    factors: Vault
    accounts: Accounts
    database: str
    data_key: bytes
    factor_key: bytes


@pytest_asyncio.fixture(scope="session")
async def province(cluster: Cluster, template: str, tmp_path_factory: pytest.TempPathFactory) -> Province:
    """The demo province, laid once into a template of its own."""
    pki = tmp_path_factory.mktemp("demo") / "pki"
    now = datetime.now(UTC)
    lay_pki(pki, certificates_wanted(), at=now - timedelta(days=1), demo=True)
    data_key, factor_key = secrets.token_bytes(32), secrets.token_bytes(32)
    vault, factors = (Vault({"test1": key}, "test1") for key in (data_key, factor_key))
    await _run_on(cluster, f"CREATE DATABASE template_province TEMPLATE {template}")
    owner = await asyncpg.connect(cluster.dsn("admin", "template_province"))
    try:
        laid = await lay_province(
            owner, pki=pki, vault=vault, factors=factors, at=now, accounts=new_accounts(everyone=True)
        )
    finally:
        await owner.close()
    return Province(pki, vault, factors, laid, "template_province", data_key, factor_key)


@pytest_asyncio.fixture
async def province_db(cluster: Cluster, province: Province) -> AsyncIterator[Database]:
    """A fresh database that holds the demo province; its secrets are in the fixture `province`."""
    async with _copy(cluster, province.database) as database:
        yield database


async def _run_on(cluster: Cluster, statement: str) -> None:
    connection = await asyncpg.connect(cluster.dsn("admin", "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def _copy(cluster: Cluster, template: str) -> AsyncIterator[Database]:
    name = f"test_{next(_numbers)}"
    await _run_on(cluster, f"CREATE DATABASE {name} TEMPLATE {template}")
    admin = await asyncpg.connect(cluster.dsn("admin", name))
    await prepare_connection(admin)
    database = Database(cluster, name, admin)
    try:
        yield database
    finally:
        await database.close()
        await _run_on(cluster, f"DROP DATABASE {name} WITH (FORCE)")
