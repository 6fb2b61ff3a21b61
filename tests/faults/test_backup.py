"""The drill: a base backup under load, followed, restored to a moment in the middle, and held against the ledger."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from api.audit.revocations import Cut
from api.backup.commands import tell
from api.backup.faults import BackupError
from api.backup.following import follow
from api.backup.taking import take
from tests.backup_ground import SERIES, Office, brought_back, opened_office, quiet, read_report

REPOSITORY = Path(__file__).resolve().parents[2]
MOTCUA = Path(sysconfig.get_path("scripts")) / "motcua"


class Drilled:
    """An office that was backed up while it worked: the moment in the middle, and how long things took."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.took: dict[str, float] = {}
        self.middle = datetime.now(UTC)
        self.counter_at_end = 0
        self.locked = UUID(int=0)

    async def run(self) -> None:
        office, stop = self.office, asyncio.Event()
        await office.write(1)
        following = asyncio.create_task(follow(office.place, office.dsn, office.blobs, quiet, every_s=0.3))
        load = asyncio.create_task(office.keep_writing(stop, 2))
        began = time.monotonic()
        await until(office.place.names, following)
        self.took["base backup under load"] = time.monotonic() - began
        await more(office, 10, load)
        self.middle = datetime.now(UTC)
        self.locked = await office.lock_the_chairman()
        other = await asyncpg.connect(office.dsn)
        for _ in range(3):
            await more(office, 5, load)
            await other.execute("SELECT pg_switch_wal()")
        await other.close()
        stop.set()
        await load
        self.counter_at_end = await office.admin.fetchval("SELECT n FROM number_counter")
        done = datetime.now(UTC)
        await until(lambda: (office.place.followed() or self.middle) > done, following)
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def until(condition, running: asyncio.Task[None]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert not running.done(), running.result()
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def more(office: Office, count: int, load: asyncio.Task[None]) -> None:
    wanted = len(office.ledger) + count
    await until(lambda: len(office.ledger) >= wanted, load)


@pytest_asyncio.fixture(scope="module")
async def drilled():
    async with opened_office() as office:
        drill = Drilled(office)
        await drill.run()
        yield drill


async def test_the_drill_brings_back_everything_before_the_moment_and_nothing_after(drilled, capsys):
    office = drilled.office
    began = time.monotonic()
    report = await office.restore("middle", target=drilled.middle, number_margin=5)
    drilled.took["restore to the middle"] = time.monotonic() - began
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(f"{what:26} {seconds:6.1f} s\n" for what, seconds in drilled.took.items()))

    before = {entry.number: entry for entry in office.ledger if entry.acknowledged < drilled.middle}
    after = {entry.number for entry in office.ledger if entry.began > drilled.middle}
    assert len(before) > 10
    assert len(after) > 5
    async with brought_back(office, "middle") as connection:
        rows = await connection.fetch("SELECT id FROM dossier")
        digests = {bytes(row["sha256"]) for row in await connection.fetch("SELECT sha256 FROM blob")}
        n = await connection.fetchval("SELECT n FROM number_counter")
        gap = await connection.fetchrow("SELECT first, last, reason FROM number_gap")
        (block,) = await connection.fetch("SELECT id, what FROM account_block WHERE lifted_at IS NULL")
        trail = await connection.fetchval("SELECT count(*) FROM audit WHERE action = 'system.restore'")
        await connection.execute("CREATE TABLE writable AS SELECT 1")
    there = {row["id"].int - (1 << 76) * 7 for row in rows}
    assert set(before) <= there
    assert not after & there
    assert {entry.sha256 for entry in before.values()} <= digests
    for sha256 in digests:
        name = sha256.hex()
        content = (office.room / "middle" / "blobs" / name[:2] / name[2:4] / name).read_bytes()
        assert hashlib.sha256(content).digest() == sha256
    assert report.proof.whole
    assert report == read_report(office, "middle")
    # What was given after the moment is known, and is not given again.
    assert report.lost.known_until is not None
    assert len(report.lost.lines) > len(after)
    assert n == drilled.counter_at_end + 5
    assert (gap["first"], gap["last"]) == (len(there) + 1, n)
    assert "Restored to" in gap["reason"]
    assert trail == 1
    # Who was locked after the moment is locked, and the report says so.
    assert (block["id"], block["what"]) == (drilled.locked, "account")
    assert [(each.what, each.id) for each in report.carried] == [("lock", drilled.locked)]


async def test_without_a_moment_the_last_whole_one_is_restored(drilled):
    office = drilled.office
    report = await office.restore("last", look_ahead=False, number_margin=0, number_floors={SERIES: 900})
    assert report.proof.counts["dossiers"] == len(office.ledger)
    assert report.lost.known_until is None
    said: list[str] = []
    tell(report, office.room, lambda _, en: said.append(en))
    assert any(line.startswith("NOT KNOWN what was revoked") for line in said)
    async with brought_back(office, "last") as connection:
        assert await connection.fetchval("SELECT n FROM number_counter") == 900


async def test_a_restored_database_is_not_backed_up_into_the_same_directory(drilled):
    office = drilled.office
    async with brought_back(office, "last") as connection:
        host = await connection.fetchval("SHOW unix_socket_directories")
        dsn = f"postgresql://admin@/motcua?host={host}&port=5432"
        with pytest.raises(BackupError, match="another database, or of this one before it was restored"):
            await take(office.place, dsn, office.blobs, keep=0, say=quiet)


@pytest.mark.parametrize(
    ("offset", "said"), [(timedelta(days=-1), "this backup reaches"), (timedelta(hours=1), "this backup reaches")]
)
async def test_a_moment_out_of_reach_is_said_with_the_span(drilled, offset, said):
    with pytest.raises(BackupError, match=said) as refused:
        await drilled.office.restore("never", target=datetime.now(UTC) + offset)
    assert refused.value.kind_code == "restore-out-of-reach"
    assert not (drilled.office.room / "never").exists()


async def test_nothing_is_restored_over_what_is_there(drilled):
    (drilled.office.room / "lived-in").mkdir()
    (drilled.office.room / "lived-in" / "thesis.txt").write_text("do not touch")
    with pytest.raises(BackupError, match="not empty"):
        await drilled.office.restore("lived-in")
    assert (drilled.office.room / "lived-in" / "thesis.txt").read_text() == "do not touch"


# --- what is damaged is named, and nothing stands at the place ---


def command(office: Office, *words: str | Path) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"], "DATABASE_URL": office.dsn, "MOTCUA_BLOB_DIR": str(office.room / "blobs"),
        "MOTCUA_VAR": str(office.room / "var"),
    }  # fmt: skip
    return subprocess.Popen(
        [MOTCUA, *words], env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = await asyncio.to_thread(process.communicate, timeout=120)
    return process.returncode, out + err


@contextlib.contextmanager
def flipped(path: Path, at: int = 100):
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    yield
    path.write_bytes(whole)


async def test_a_damaged_file_of_the_base_is_named(drilled):
    office = drilled.office
    base = office.place.bases / office.place.names()[0]
    for name in ("data/global/pg_control", "data/backup_manifest", "documents.txt", "manifest.json"):
        with flipped(base / name), pytest.raises(BackupError, match=Path(name).name) as refused:
            await office.restore("damaged")
        assert refused.value.kind_code == "backup-damaged", name
        assert not list(office.room.glob("damaged*"))


async def test_a_hole_in_the_wal_is_named(drilled):
    office = drilled.office
    lost = office.place.wal / office.place.segments()[-2]
    lost.rename(office.room / "lost")
    with pytest.raises(BackupError, match=f"WAL {lost.name[8:]} is missing"):
        await office.restore("holed")
    (office.room / "lost").rename(lost)


async def test_wal_that_ends_early_does_not_pass_for_the_moment(drilled):
    office = drilled.office
    aside = office.room / "aside"
    aside.mkdir()
    tail = office.place.segments()[-3:]
    for name in tail:
        (office.place.wal / name).rename(aside / name)
    with pytest.raises(BackupError, match="ends before the chosen moment"):
        await office.restore("short", target=office.place.followed(), look_ahead=False)
    assert not list(office.room.glob("short*"))
    for name in tail:
        (aside / name).rename(office.place.wal / name)


async def test_a_missing_document_is_named_by_check_and_by_restore(drilled):
    office = drilled.office
    name = office.ledger[0].sha256.hex()
    path = office.place.documents / name[:2] / name[2:4] / name
    content = path.read_bytes()
    path.unlink()
    checked = command(office, "backup", office.place.root, "--check")
    words = ("--to", drilled.middle.isoformat(), "--into", office.room / "bare", "--no-look-ahead")
    words += ("--revocations", office.room / "outside" / "revocations.jsonl")
    restored = command(office, "restore", office.place.root, *words)
    (code, said), (restored_code, restored_said) = await asyncio.gather(ended(checked), ended(restored))
    path.write_bytes(content)
    assert (code, name in said) == (1, True)
    assert (restored_code, f"NOT WHOLE: {name}" in restored_said) == (1, True), restored_said
    assert read_report(office, "bare").proof.documents_missing == (name,)
    # The log outside alone is enough: nothing after the moment was looked at here.
    assert "Carried over 1 revocations" in restored_said
    assert f"lock of an account {drilled.locked}" in restored_said
    assert "NOT KNOWN" not in restored_said


async def test_a_log_of_revocations_that_was_cut_off_is_said_and_the_restore_is_not_whole(drilled):
    office = drilled.office
    log = shutil.copytree(office.room / "outside", office.room / "cut") / "revocations.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    words = ("--to", drilled.middle.isoformat(), "--into", office.room / "after-a-cut", "--no-look-ahead")
    code, said = await ended(command(office, "restore", office.place.root, *words, "--revocations", log))
    assert code == 1, said
    assert "THE LOG OF REVOCATIONS WAS CUT OFF: 0 lines are left, the signed checkpoint 2 names line 1." in said
    report = read_report(office, "after-a-cut")
    assert report.revocations_cut == Cut(has=0, line=1, checkpoint=2)
    assert report.proof.whole, "what stands in the database is, and is there to be looked at"


async def test_what_cannot_be_read_is_said(drilled):
    office = drilled.office
    code, said = await ended(command(office, "restore", office.place.root, "--to", "10:00"))
    assert (code, "For example: 2026-11-24T10:00:00+07:00" in said) == (1, True)
    code, said = await ended(command(office, "backup", office.room / "pg"))
    assert (code, "already holds other files" in said) == (1, True)


# --- two at once, kill -9, a full disk ---


async def test_two_at_once_are_refused_and_a_kill_leaves_nothing_that_looks_whole(drilled):
    office = drilled.office
    before = office.place.names()
    killed = command(office, "backup", office.place.root)
    while not list(office.place.bases.glob("*.partial/data/base")):
        assert killed.poll() is None, killed.communicate()
        await asyncio.sleep(0.01)
    with pytest.raises(BackupError, match=f"PID {killed.pid}"):
        await take(office.place, office.dsn, office.blobs, keep=0, say=quiet)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert office.place.names() == before

    segments, documents = office.place.segments(), list(office.place.documents.glob("??/??/*"))
    code, said = await ended(command(office, "backup", office.place.root, "--keep", "1"))
    assert code == 0, said
    assert "Removed the unfinished" in said
    assert "database 100 %" in said
    (kept,) = office.place.names()
    assert kept not in before
    assert [entry.name for entry in office.place.bases.iterdir()] == [kept]
    assert set(office.place.segments()) < set(segments)
    assert list(office.place.documents.glob("??/??/*")) == documents


_ON_A_SMALL_DISK = """
import asyncio, subprocess, sys
from pathlib import Path
from api.backup import taking
from api.backup.place import Place
from api.documents.blobs import FileStore
from api.errors import MotcuaError
from api.backup.restoring import Wish, restore
from api.kernel import system_clock

disk, dsn, blobs = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0755", "tmpfs", disk], check=True)
place, quiet, require_room = Place(disk / "backup"), lambda vi, en: None, taking._require_room

async def attempt():
    try:
        await taking.take(place, dsn, FileStore(blobs), keep=0, say=quiet)
    except MotcuaError as error:
        print(error.kind_code, "|", error.en, flush=True)
    else:
        print("whole", flush=True)

async def main():
    await attempt()                                   # 1: refused beforehand, with the figures
    taking._require_room = lambda *_: None
    await attempt()                                   # 2: the copy meets the end of the disk
    assert place.names() == []
    taking._require_room = require_room
    subprocess.run(["mount", "-o", "remount,size=900m", disk], check=True)
    await attempt()                                   # 3: mended, the same directory is good
    wish = Wish(into=disk / "back", number_margin=0)  # 4: and alone, without any WAL after it, it can be restored
    report = await restore(place, wish, None, system_clock, quiet)
    print("proved", report.proof.whole, report.lost.known_until, report.proof.counts["dossiers"], flush=True)

asyncio.run(main())
"""


async def test_a_full_disk_is_named_and_leaves_nothing_that_looks_whole(drilled):
    office, apart = drilled.office, ["unshare", "--mount"]
    if os.geteuid() != 0:
        apart = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount"]
    disk = office.room / "disk"
    disk.mkdir()
    words = [*apart, sys.executable, "-c", _ON_A_SMALL_DISK, disk, office.dsn, office.room / "blobs"]
    done = await asyncio.to_thread(
        subprocess.run, words, capture_output=True, text=True, timeout=120, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.partition(" ")[0] for line in said] == ["backup-disk-full", "backup-disk-full", "whole", "proved"]
    assert said[3] == f"proved True None {len(office.ledger)}"
    assert "MB left, about" in said[0]
