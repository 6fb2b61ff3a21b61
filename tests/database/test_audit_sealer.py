"""The sealer: committed rows only, once each, in one chain, signed, and copied out of the database."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from api import audit
from api.audit import outside
from api.audit.chain import GENESIS, Checkpoint, KeyNote, Notary, Ring, link
from api.audit.outside import CheckpointFile
from api.audit.sealer import Sealer
from api.errors import Broken
from tests.office import MORNING, SetClock

OLD, NEW = b"\x01" * 32, b"\x02" * 32


async def act(tx, action="dossier.receive", **detail):
    await audit.append(
        tx, None, process="api", action=action, subject_kind="dossier", subject_id=uuid4(), detail=detail, at=MORNING
    )


async def acted(db, times=1, role="app"):
    for _ in range(times):
        async with (await db.pools(role)).transaction() as tx:
            await act(tx)


async def sealer(db, directory, keys=None, clock=None):
    return Sealer(await db.pools("worker"), Notary(keys or {"c1": OLD}), CheckpointFile(directory), clock or SetClock())


async def chain(db):
    return await db.admin.fetch(
        "SELECT c.position, c.audit_id, c.hash, a.xid, a.recorded_at, a.digest"
        " FROM audit_chain c JOIN audit a ON a.id = c.audit_id ORDER BY c.position"
    )


def statements(directory):
    lines, torn = outside.read(directory / outside.NAME)
    return [line.read() for line in lines], torn


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
