"""`motcua doctor`: what is wrong is named in plain words with its mending, and only what is broken fails it."""

import asyncio
import socket

import asyncpg
import pytest

from api.embedded import doctor
from api.embedded.doctor import examine


@pytest.fixture
def outside(monkeypatch, tmp_path):
    """A machine on which nothing has been started: no settings, an empty directory."""
    for name in ("DATABASE_URL", "MOTCUA_LISTEN", "MOTCUA_HOLDERS_FILE", "PG_BINDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MOTCUA_VAR", str(tmp_path / "var"))
    return monkeypatch


async def report() -> tuple[int, str]:
    lines: list[str] = []
    status = await asyncio.to_thread(examine, lines.append)
    return status, "".join(lines)


async def test_a_machine_on_which_nothing_runs_yet_is_not_broken(outside):
    status, said = await report()
    assert status == 0, said
    assert "There is no database yet; `make run` makes one" in said
    assert "✗" not in said
    for word in ("PostgreSQL programs", "Port", "disk free", "Clock", "Open files", "Vietnamese fonts"):
        assert word in said


async def test_a_taken_port_that_was_asked_for_is_broken(outside):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outside.setenv("MOTCUA_LISTEN", f"127.0.0.1:{port}")
        status, said = await report()
    assert status == 1
    assert f"✗ Cổng {port} đang bị chương trình khác dùng" in said
    assert "set MOTCUA_LISTEN" in said


async def test_a_full_disk_a_wrong_clock_and_missing_fonts_are_named(outside):
    outside.setattr(doctor, "_LEAST_DISK_MB", 10**9)
    outside.setattr(doctor, "_RELEASED", doctor.datetime(2999, 1, 1, tzinfo=doctor.UTC))
    outside.setattr(doctor, "missing_fonts", lambda: ["Liberation Serif Bold"])
    status, said = await report()
    assert status == 1
    assert "3 to mend" in said
    assert "The disk is nearly full" in said
    assert "The clock is wrong" in said
    assert "Fonts are missing: Liberation Serif Bold" in said


async def test_missing_programs_are_named(outside, tmp_path):
    outside.setenv("PG_BINDIR", str(tmp_path))
    status, said = await report()
    assert status == 1
    assert "No PostgreSQL programs found" in said


async def test_the_database_is_asked_about_itself(outside, db):
    outside.setenv("DATABASE_URL", db.dsn("admin"))
    for role, variable in (("app", "DATABASE_URL_APP"), ("signer", "DATABASE_URL_SIGNER")):
        outside.setenv(variable, db.dsn(role))
    outside.setenv("DATABASE_URL_WORKER", db.dsn("worker").replace("worker.pgpass", "nobody.pgpass"))
    await db.admin.execute("DELETE FROM schema_migrations WHERE version = '0005'")
    status, said = await report()
    assert status == 1
    assert "PostgreSQL 18" in said
    assert "The role app can log in" in said
    assert "The role signer can log in" in said
    assert "DATABASE_URL_WORKER: cannot log in" in said
    assert "Migrations not applied: 0005" in said
    assert "Unsafe: fsync, full_page_writes, synchronous_commit is off" in said  # true of the tests' own server


async def test_a_database_that_does_not_answer_is_broken_when_it_was_named(outside, tmp_path):
    outside.setenv("DATABASE_URL", f"postgresql://owner@/motcua?host={tmp_path}")
    status, said = await report()
    assert status == 1
    assert "The database does not answer" in said
    assert asyncpg.__name__ not in said


async def test_keys_that_cannot_be_opened_are_broken(outside, tmp_path):
    outside.setenv("MOTCUA_HOLDERS_FILE", str(tmp_path / "none.json"))
    status, said = await report()
    assert status == 1
    assert "Signing keys fail" in said


async def test_a_place_for_checkpoints_that_cannot_be_written_is_broken(outside, tmp_path):
    outside.setenv("MOTCUA_CHECKPOINT_DIR", str(tmp_path / "not-mounted"))
    status, said = await report()
    assert status == 1
    assert "✗ Không ghi được điểm kiểm tra vào" in said
    (tmp_path / "not-mounted").mkdir()
    status, said = await report()
    assert (status, "Checkpoints are copied to" in said) == (0, True), said
