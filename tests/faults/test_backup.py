"""The drill: a base backup under load, followed, restored to a moment in the middle, and held against the ledger."""

import asyncio
import contextlib
import hashlib
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from api.backup.faults import BackupError
from api.backup.following import follow
from api.backup.taking import take
from tests.backup_ground import SERIES, Office, brought_back, opened_office, quiet, read_report


class Drilled:
    """An office that was backed up while it worked: the moment in the middle, and how long things took."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.took: dict[str, float] = {}
        self.middle = datetime.now(UTC)
        self.counter_at_end = 0

    async def run(self) -> None:
        office, stop = self.office, asyncio.Event()
        await office.write(1)
        following = asyncio.create_task(follow(office.place, office.dsn, office.blobs, quiet, every_s=0.3))
        load = asyncio.create_task(office.keep_writing(stop, 2))
        began = time.monotonic()
        await until(lambda: office.place.names(), following)
        self.took["base backup under load"] = time.monotonic() - began
        await more(office, 10)
        self.middle = datetime.now(UTC)
        await more(office, 10)
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


async def more(office: Office, count: int) -> None:
    wanted = len(office.ledger) + count
    while len(office.ledger) < wanted:
        await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module")
async def drilled():
    async with opened_office() as office:
        drill = Drilled(office)
        await drill.run()
        yield drill


async def test_the_drill_brings_back_everything_before_the_moment_and_nothing_after(drilled):
    office = drilled.office
    began = time.monotonic()
    report = await office.restore("middle", target=drilled.middle, number_margin=5)
    drilled.took["restore to the middle"] = time.monotonic() - began
    print({what: f"{seconds:.1f} s" for what, seconds in drilled.took.items()})

    before = {entry.number: entry for entry in office.ledger if entry.acknowledged < drilled.middle}
    after = {entry.number for entry in office.ledger if entry.began > drilled.middle}
    assert len(before) > 10
    assert len(after) > 5
    async with brought_back(office, "middle") as connection:
        rows = await connection.fetch("SELECT id FROM dossier")
        digests = {bytes(row["sha256"]) for row in await connection.fetch("SELECT sha256 FROM blob")}
        n = await connection.fetchval("SELECT n FROM number_counter")
        gap = await connection.fetchrow("SELECT first, last, reason FROM number_gap")
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


async def test_without_a_moment_the_last_whole_one_is_restored(drilled):
    office = drilled.office
    report = await office.restore("last", look_ahead=False, number_margin=0, number_floors={SERIES: 900})
    assert report.proof.counts["dossiers"] == len(office.ledger)
    assert report.lost.known_until is None
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
