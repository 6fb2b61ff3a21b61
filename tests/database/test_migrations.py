"""The migrations: two runners at once, a second run, the roles and the queue's tables."""

import asyncio

import asyncpg
import pytest
from pgqueuer.queries import Queries

from api.db import migrate as migrations
from api.db.migrate import MigrationFailed, for_go, migrate, packaged_versions, pending


@pytest.fixture
async def empty(cluster):
    """A database without any table, and its DSN."""
    connection = await asyncpg.connect(cluster.dsn("admin", "postgres"))
    await connection.execute("CREATE DATABASE migrations_empty")
    yield cluster.dsn("admin", "migrations_empty")
    await connection.execute("DROP DATABASE migrations_empty WITH (FORCE)")
    await connection.close()


async def test_two_runners_at_once_both_succeed_and_one_of_them_migrates(empty):
    results = await asyncio.gather(migrate(empty), migrate(empty))
    assert sorted(results, key=len) == [[], packaged_versions()]
    assert await pending(empty) == []


async def test_a_second_run_finds_nothing_to_do(empty):
    assert await pending(empty) == packaged_versions()
    await migrate(empty)
    assert await migrate(empty) == []


async def test_a_broken_migration_says_so_and_leaves_the_database_as_it_was(empty, tmp_path, monkeypatch):
    (tmp_path / "0001_pre_broken.sql").write_text(
        "-- migrate:up\nCREATE TABLE half (id int);\nSELECT nothing FROM nowhere;\n-- migrate:down\n"
    )
    monkeypatch.setattr(migrations, "MIGRATIONS", tmp_path)
    with pytest.raises(MigrationFailed, match="nowhere"):
        await migrate(empty)
    connection = await asyncpg.connect(empty)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    await connection.close()


async def test_a_migration_that_cannot_get_its_lock_gives_up(empty, tmp_path, monkeypatch):
    connection = await asyncpg.connect(empty)
    await connection.execute("CREATE TABLE busy (id int)")
    (tmp_path / "0001_pre_busy.sql").write_text(
        "-- migrate:up\nALTER TABLE busy ADD COLUMN note text;\n-- migrate:down\n"
    )
    monkeypatch.setattr(migrations, "MIGRATIONS", tmp_path)
    monkeypatch.setattr(migrations, "_LOCK_TIMEOUT", "-c lock_timeout=200ms")
    async with connection.transaction():
        await connection.execute("LOCK TABLE busy IN ACCESS SHARE MODE")
        with pytest.raises(MigrationFailed, match="lock timeout"):
            await migrate(empty)
    await connection.close()


class Files:
    """A folder of migrations in place of the product's."""

    def __init__(self, folder, monkeypatch) -> None:
        self._folder = folder
        monkeypatch.setattr(migrations, "MIGRATIONS", folder)

    def add(self, name, statement):
        (self._folder / f"{name}.sql").write_text(f"-- migrate:up\n{statement};\n-- migrate:down\n")


async def test_post_waits_until_the_old_version_is_said_to_be_gone(empty, tmp_path, monkeypatch):
    files = Files(tmp_path, monkeypatch)
    files.add("0001_pre_first", "CREATE TABLE paper (id int, old text)")
    assert await migrate(empty) == ["0001"]
    files.add("0002_pre_second", "ALTER TABLE paper ADD COLUMN new text")
    files.add("0003_post_second", "ALTER TABLE paper DROP COLUMN old")
    assert await migrate(empty) == ["0002"]
    assert (await pending(empty), await pending(empty, post=True)) == ([], ["0003"])
    assert await migrate(empty) == []
    assert await migrate(empty, post=True) == ["0003"]


async def test_a_post_before_a_pre_belongs_to_a_release_that_is_over(empty, tmp_path, monkeypatch):
    files = Files(tmp_path, monkeypatch)
    files.add("0001_pre_first", "CREATE TABLE paper (id int, old text)")
    await migrate(empty)
    files.add("0002_post_second", "ALTER TABLE paper DROP COLUMN old")
    files.add("0003_pre_third", "ALTER TABLE paper ADD COLUMN new text")
    files.add("0004_post_third", "ALTER TABLE paper DROP COLUMN id")
    assert await migrate(empty) == ["0002", "0003"]


async def test_on_an_empty_database_nothing_old_runs(empty, tmp_path, monkeypatch):
    files = Files(tmp_path, monkeypatch)
    files.add("0001_pre_first", "CREATE TABLE paper (id int, old text)")
    files.add("0002_post_first", "ALTER TABLE paper DROP COLUMN old")
    assert await migrate(empty) == ["0001", "0002"]


async def test_the_queue_is_silent_durable_and_granted(db):
    triggers = await db.admin.fetchval(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'pgqueuer'::regclass AND NOT tgisinternal"
    )
    assert triggers == 0
    kinds = await db.admin.fetch("SELECT relname, relpersistence FROM pg_class WHERE relname ~ '^pgqueuer[a-z_]*$'")
    assert {row["relpersistence"] for row in kinds} == {b"p"}
    may = await db.admin.fetchrow(
        """SELECT has_table_privilege('app', 'pgqueuer', 'INSERT') AS app_puts,
                  has_table_privilege('app', 'pgqueuer', 'UPDATE') AS app_changes,
                  has_table_privilege('signer', 'pgqueuer', 'UPDATE') AS signer_takes,
                  has_table_privilege('worker', 'pgqueuer_log', 'DELETE') AS worker_purges"""
    )
    assert dict(may) == {"app_puts": True, "app_changes": False, "signer_takes": True, "worker_purges": True}


async def test_every_role_can_do_its_part_in_the_queue(db):
    app = await asyncpg.connect(db.dsn("app"))
    async with app.transaction():
        await Queries.from_asyncpg_connection(app).enqueue("greet", b"hello")
    await app.close()
    for role in ("signer", "worker"):
        connection = await asyncpg.connect(db.dsn(role))
        queue = Queries.from_asyncpg_connection(connection)
        assert [size.entrypoint for size in await queue.queue_size()] == ["greet"]
        await connection.close()


@pytest.mark.parametrize(
    ("dsn", "url"),
    [
        (
            "postgresql://admin@/motcua?host=/run/pg&port=5433",
            "postgres://admin@:5433/motcua?socket=/run/pg&sslmode=disable",
        ),
        ("postgresql://o:p%40ss@db.example:6432/m", "postgres://o:p%40ss@db.example:6432/m?sslmode=require"),
        ("postgresql://o@localhost/m?sslmode=verify-full", "postgres://o@localhost:5432/m?sslmode=verify-full"),
    ],
)
def test_a_dsn_is_carried_over_to_dbmate(dsn, url):
    assert for_go(dsn)[0] == url
