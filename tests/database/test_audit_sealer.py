"""The sealer: committed rows only, once each, in one chain, signed, and copied out of the database."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from api.audit import outside
from api.audit.chain import GENESIS, Checkpoint, KeyNote, Ring, link
from api.errors import Broken
from tests.audit_ground import NEW, OLD, act, acted, db, sealer, shared_db, statements
from tests.office import SetClock

__all__ = ["db", "shared_db"]

REPOSITORY = Path(__file__).resolve().parents[2]


async def chain(db):
    return await db.admin.fetch(
        "SELECT c.position, c.audit_id, c.hash, a.xid, a.recorded_at, a.digest"
        " FROM audit_chain c JOIN audit a ON a.id = c.audit_id ORDER BY c.position"
    )


async def test_rows_are_chained_signed_and_copied(db, tmp_path):
    await acted(db, 3)
    seal = await sealer(db, tmp_path)
    assert await seal.step() == 3
    await acted(db, 2, "signer")
    assert await seal.step() == 2
    assert await seal.step() == 0
    reached = GENESIS
    for number, row in enumerate(await chain(db), 1):
        reached = link(
            reached, audit_id=row["audit_id"], xid=row["xid"], recorded_at=row["recorded_at"], digest=row["digest"]
        )
        assert (row["position"], row["hash"]) == (number, reached)
    said, _ = statements(tmp_path)
    assert [type(one) for one in said] == [KeyNote, Checkpoint, Checkpoint]
    assert [one.rows for one in said[1:]] == [3, 5]
    assert said[-1].hash == reached.hex()
    ring = Ring()
    lines, _ = outside.read(tmp_path / outside.NAME)
    assert [ring.check(line) for line in lines] == said


async def test_a_late_commit_with_a_low_id_is_neither_missed_nor_passed_over(db, tmp_path):
    """The fault this plants: `id > last` chains the quick row, and never again looks below it."""
    seal = await sealer(db, tmp_path)
    slow = (await db.pools("app")).transaction()
    tx = await slow.__aenter__()
    await act(tx, "slow")
    await acted(db, 1, "signer")
    assert await seal.step() == 0, "a running transaction may still put rows below"
    rolled_back = (await db.pools("worker")).transaction()
    other = await rolled_back.__aenter__()
    await act(other, "never")
    await rolled_back.__aexit__(ValueError, ValueError(), None)
    await slow.__aexit__(None, None, None)
    assert await seal.step() == 2
    assert [row["action"] for row in await db.admin.fetch("SELECT action FROM audit ORDER BY id")] == [
        "slow",
        "dossier.receive",
    ]
    assert len(await chain(db)) == 2


async def test_nobody_waits_for_another_or_for_the_sealer(db, tmp_path):
    """The fault this plants: a head row in the act's transaction, for which the second agency would wait."""
    async with (await db.pools("app")).transaction() as slow:
        await act(slow, "slow")
        async with (await db.pools("worker")).transaction() as sealing:
            await sealing.execute("SELECT pg_advisory_xact_lock(7463001)")
            async with (await db.pools("signer")).transaction() as quick:
                await quick.execute("SET LOCAL lock_timeout = '100ms'")
                await act(quick, "quick")
        assert await db.admin.fetchval("SELECT count(*) FROM audit") == 1
    assert await (await sealer(db, tmp_path)).step() == 2


async def test_many_sealers_make_one_chain(db, tmp_path):
    await acted(db, 3)
    sealers = [await sealer(db, tmp_path) for _ in range(6)]

    async def go_on(seal):
        for _ in range(8):
            await seal.step()

    await asyncio.gather(acted(db, 30), *(go_on(seal) for seal in sealers))
    while await sealers[0].step():
        pass
    await sealers[0].copy()
    assert [row["position"] for row in await chain(db)] == list(range(1, 34))
    said, torn = statements(tmp_path)
    numbers = [one.number for one in said if isinstance(one, Checkpoint)]
    assert (numbers, torn) == (list(range(numbers[0], numbers[0] + len(numbers))), 0)
    assert said[-1].rows == 33


async def test_a_clock_set_back_does_no_harm(db, tmp_path):
    clock = SetClock()
    seal = await sealer(db, tmp_path, clock=clock)
    await acted(db)
    await seal.step()
    clock.at -= timedelta(hours=1)
    await acted(db)
    assert await seal.step() == 1
    await seal.measure()
    said, _ = statements(tmp_path)
    assert said[-1].at < said[-2].at
    assert said[-1].number == 2


async def test_a_copy_that_could_not_be_written_is_made_good(db, tmp_path):
    gone = tmp_path / "mount"
    gone.write_text("a file where the directory should be")
    await acted(db, 2)
    seal = await sealer(db, gone)
    with pytest.raises(OSError, match="Not a directory"):
        await seal.step()
    assert len(await chain(db)) == 0, "whether the copy agrees cannot be known"
    gone.unlink()
    assert await seal.step() == 2
    said, _ = statements(gone)
    assert said[-1].rows == 2


async def test_a_torn_line_and_a_file_moved_aside_are_gone_on_from(db, tmp_path):
    await acted(db)
    seal = await sealer(db, tmp_path)
    await seal.step()
    file = tmp_path / outside.NAME
    with file.open("ab") as stream:
        stream.write(b'{"body":"{\\"kind\\":\\"chec')
    await acted(db)
    assert await seal.step() == 1
    said, torn = statements(tmp_path)
    assert ([one.number for one in said[1:]], torn) == ([1, 2], 1)
    file.rename(tmp_path / "kept.jsonl")
    await acted(db)
    assert await seal.step() == 1
    said, _ = statements(tmp_path)
    assert [type(one) for one in said] == [KeyNote, Checkpoint]
    assert said[-1].number == 3


@pytest.mark.parametrize(
    "tampering",
    [
        "DELETE FROM audit_checkpoint WHERE number = 2",
        "UPDATE audit_checkpoint SET body = replace(body, '\"rows\":2', '\"rows\":1') WHERE number = 2",
        "TRUNCATE audit_checkpoint, audit_chain",
    ],
)
async def test_nothing_is_signed_on_top_of_another_history(db, tmp_path, tampering):
    seal = await sealer(db, tmp_path)
    for _ in range(2):
        await acted(db)
        await seal.step()
    before = (tmp_path / outside.NAME).read_bytes()
    await db.admin.execute(tampering)
    await acted(db)
    with pytest.raises(Broken) as refused:
        await seal.step()
    assert refused.value.kind_code == "audit-other-history"
    assert (tmp_path / outside.NAME).read_bytes() == before


async def test_a_new_key_is_vouched_for_by_the_old_one(db, tmp_path):
    await acted(db)
    await (await sealer(db, tmp_path)).step()
    await acted(db)
    with pytest.raises(Broken, match="vouches") as refused:
        await (await sealer(db, tmp_path, {"c2": NEW})).step()
    assert "c1" in refused.value.next_step[1]
    with pytest.raises(Broken, match="another than"):
        await (await sealer(db, tmp_path, {"c1": NEW})).step()
    await (await sealer(db, tmp_path, {"c2": NEW, "c1": OLD})).step()
    await acted(db)
    await (await sealer(db, tmp_path, {"c2": NEW})).step()
    lines, _ = outside.read(tmp_path / outside.NAME)
    ring = Ring()
    said = [ring.check(line) for line in lines]
    assert None not in said
    assert [one.key for one in said if isinstance(one, Checkpoint)] == ["c1", "c2", "c2"]
    assert set(ring.known()) == {"c1", "c2"}


async def test_a_restore_from_a_logical_dump_is_said(db, tmp_path):
    """There the transactions begin anew, below the chain: rows would wait for ever without a word."""
    await acted(db)
    await db.admin.execute("UPDATE audit SET xid = (xid::text::bigint - 1)::text::xid8")
    seal = await sealer(db, tmp_path)
    await seal.step()
    await seal.measure()
    await db.admin.execute(
        "UPDATE audit_checkpoint SET body = regexp_replace(body, '\"xid\":\\d+', '\"xid\":9000000000')"
    )
    with pytest.raises(Broken) as said:
        await seal.measure()
    assert said.value.kind_code == "audit-below-chain"


SEAL_ONCE = """
import asyncio, sys
from pathlib import Path
from api.audit.chain import Notary
from api.audit.outside import CheckpointFile
from api.audit.sealer import Sealer
from api.db.pools import open_pools
from api.kernel import system_clock

async def main():
    pools = await open_pools(sys.argv[1], read_size=1, write_size=2)
    seal = Sealer(pools, Notary({"c1": b"\\x01" * 32}), CheckpointFile(Path(sys.argv[2])), system_clock)
    while await seal.step():
        pass

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["audit-chained", "audit-sealed", "audit-copied"])
async def test_killed_at_each_boundary_nothing_is_lost_or_doubled(db, tmp_path, point):
    orders = tmp_path / "failpoints"
    orders.mkdir()
    (orders / point).touch()
    await acted(db, 3)
    words = [sys.executable, "-c", SEAL_ONCE, db.dsn("worker"), str(tmp_path)]
    told = {**os.environ, "MOTCUA_FAILPOINTS": str(orders)}
    done = await asyncio.to_thread(subprocess.run, words, env=told, cwd=REPOSITORY, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not (orders / point).exists()
    await acted(db, 2)
    while await (await sealer(db, tmp_path)).step():
        pass
    assert [row["position"] for row in await chain(db)] == [1, 2, 3, 4, 5]
    said, torn = statements(tmp_path)
    numbers = [one.number for one in said if isinstance(one, Checkpoint)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert (said[-1].rows, torn) == (5, 0)
