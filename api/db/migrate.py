"""Migrations: plain SQL run by dbmate under an advisory lock, then PgQueuer's own tables.

Any number of runners may start at once: one migrates, the others wait and find nothing to do. A migration that cannot
get its lock within 4 s gives up rather than stop the service (see the head of each file).

A `pre` file is applied while the old version still runs, a `post` file once it is gone. Since versions are not skipped,
a `post` file that stands before a `pre` file belongs to a release whose old version has long ended; only the last ones
have to wait until somebody says so (`motcua migrate --post`).
"""

import asyncio
import os
import re
import shutil
import sysconfig
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries as QueueTables

from api.db import queries
from api.errors import Broken

_SQL: Final = queries.load("api.db")
MIGRATIONS: Final = Path(str(resources.files("api.db"))) / "migrations"
SCHEMA_FILE: Final = Path(str(resources.files("api.db"))) / "schema.sql"
_LOCK_TIMEOUT: Final = "-c lock_timeout=4s"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class MigrationFailed(Broken):
    """A migration did not apply; the database stays as it was before that file."""

    code = "migration-failed"


async def migrate(admin_dsn: str, *, post: bool = False) -> list[str]:
    """Bring the database of an asyncpg DSN up to date; return the versions that were applied now.

    Args:
        admin_dsn: asyncpg DSN of the owner.
        post: the old version is gone, so what it needed may be removed.

    Raises:
        MigrationFailed: a file did not apply; the text holds dbmate's words.
    """
    async with _sole_runner(admin_dsn) as connection:
        await connection.execute(_SQL.ensure_roles)
        before = await _applied(connection)
        files = due(_files(), before, post=post)
        if files:
            with _directory_of(files) as directory:
                await _dbmate(admin_dsn, directory)
        await _install_queue(connection)
        return [version for version in await _applied(connection) if version not in before]


async def applied(admin_dsn: str) -> list[str]:
    """Return the versions that the database has seen, in order."""
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        return await _applied(connection)
    finally:
        await connection.close()


async def pending(admin_dsn: str, *, post: bool = False) -> list[str]:
    """Return the versions that `migrate` would apply now."""
    return [_version(file) for file in due(_files(), await applied(admin_dsn), post=post)]


def packaged_versions() -> list[str]:
    """Return the version of every migration file, in order."""
    return [_version(file) for file in _files()]


def due(files: Sequence[Path], applied: Sequence[str], *, post: bool) -> list[Path]:
    """Return the files to apply, in order.

    Without `post`, the `post` files after the last `pre` file are left for later; on an empty database nothing old
    runs, so there everything is due.
    """
    lacking = [file for file in files if _version(file) not in applied]
    if post or not applied:
        return lacking
    last = max((file.name for file in files if "_pre_" in file.name), default="")
    return [file for file in lacking if file.name <= last]


def _files() -> list[Path]:
    return sorted(MIGRATIONS.glob("*.sql"))


def _version(file: Path) -> str:
    return file.name.partition("_")[0]


@contextmanager
def _directory_of(files: Sequence[Path]) -> Generator[Path]:
    """Lend dbmate a directory that holds these files and no others."""
    with tempfile.TemporaryDirectory(prefix="motcua-migrations-") as name:
        for file in files:
            shutil.copyfile(file, Path(name) / file.name)
        yield Path(name)


async def dump(admin_dsn: str, bindir: Path) -> str:
    """Return the schema of a migrated database as text that is equal whenever the schema is.

    Args:
        admin_dsn: asyncpg DSN of the owner.
        bindir: directory of a `pg_dump` of the server's major version.

    Raises:
        MigrationFailed: pg_dump refused.
    """
    url, environment = for_go(admin_dsn)
    url = url.replace("socket=", "host=")
    code, out, err = await _run([str(bindir / "pg_dump"), "--schema-only", "--no-owner", "--dbname", url], environment)
    if code != 0:
        raise MigrationFailed(f"pg_dump không đọc được cơ sở dữ liệu: {err}", f"pg_dump could not read: {err}")
    noise = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)\n", re.MULTILINE)
    body = re.sub(r"\n{3,}", "\n\n", noise.sub("", out)).strip()
    head = "-- The schema that the migrations add up to. Written by `motcua migrate --dump`; never edited by hand."
    return f"{head}\n\n{body}\n"


def for_go(dsn: str) -> tuple[str, dict[str, str]]:
    """Turn asyncpg's DSN into dbmate's URL and the environment that goes with it."""
    parts = urlsplit(dsn)
    options = dict(parse_qsl(parts.query))
    environment = {"PGOPTIONS": _LOCK_TIMEOUT}
    if "passfile" in options:
        environment["PGPASSFILE"] = options.pop("passfile")
    host = options.pop("host", None) or parts.hostname or "localhost"
    port = options.pop("port", None) or parts.port or 5432
    user = quote(unquote(parts.username or options.pop("user", "")), safe="")
    if parts.password:
        user += f":{quote(unquote(parts.password), safe='')}"
    if host.startswith("/"):
        query = {"socket": host, "sslmode": "disable"}
        return f"postgres://{user}@:{port}{parts.path}?{urlencode(query, safe='/')}", environment
    query = {"sslmode": options.get("sslmode", "disable" if host in _LOOPBACK else "require")}
    return f"postgres://{user}@{host}:{port}{parts.path}?{urlencode(query)}", environment


@asynccontextmanager
async def _sole_runner(admin_dsn: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(admin_dsn, timeout=10)
    try:
        await connection.execute(_SQL.take_migration_lock)
        yield connection
        await connection.execute(_SQL.release_migration_lock)
    finally:
        await connection.close()  # ends the session, and with it the lock


async def _applied(connection: asyncpg.Connection) -> list[str]:
    if await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return []
    return [row["version"] for row in await connection.fetch(_SQL.applied_versions)]


async def _dbmate(admin_dsn: str, migrations: Path) -> None:
    url, environment = for_go(admin_dsn)
    program = Path(sysconfig.get_path("scripts")) / "dbmate"
    found = str(program) if program.exists() else shutil.which("dbmate")
    if found is None:
        raise MigrationFailed(
            "Không tìm thấy chương trình dbmate; chạy lại `make run`.", "dbmate is not installed; run `make run` again."
        )
    words = [found, "--env-file", os.devnull, "--migrations-dir", str(migrations), "--no-dump-schema", "migrate"]
    code, out, err = await _run(words, {**environment, "DATABASE_URL": url})
    if code != 0:
        said = (err or out).strip()
        raise MigrationFailed(f"Nâng cấp cơ sở dữ liệu không thành: {said}", f"The migration failed: {said}")


async def _run(words: list[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    # The URL may hold a password, so it travels in the environment and not among the arguments.
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/"), **environment},
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


async def _install_queue(connection: asyncpg.Connection) -> None:
    """Install or upgrade PgQueuer's tables, without the bell, and grant them."""
    tables = QueueTables(AsyncpgDriver(connection))
    async with connection.transaction():
        if not await tables.schema_is_installed():
            await tables.install()
            await connection.execute(_SQL.silence_queue_bell)
    plan = await tables.plan_upgrade()
    for statement in plan.statements:
        if tables.qbe.settings.trigger not in statement:  # an upgrade would ring the bell again
            await connection.execute(statement)
    async with connection.transaction():
        await connection.execute(_SQL.silence_queue_bell)
        await connection.execute(_SQL.grant_enqueue)
        await connection.execute(_SQL.grant_work)
        await connection.execute(_SQL.grant_queue_sequences)
