"""Audit rows: in the act's transaction, canonical, free of personal data, and nobody's to change."""

from hashlib import sha256
from uuid import uuid4

import asyncpg
import pytest
import structlog

from api import audit
from api.errors import Broken
from api.kernel import AccountId, Actor, AgencyId, PersonId, PostId
from tests.office import MORNING

ACTOR = Actor(
    account_id=AccountId(uuid4()),
    person_id=PersonId(uuid4()),
    post_id=PostId(uuid4()),
    agency_id=AgencyId(uuid4()),
    roles=frozenset({"counter"}),
)


async def write(tx, **change):
    row = {
        "process": "api",
        "action": "dossier.receive",
        "subject_kind": "dossier",
        "subject_id": uuid4(),
        "detail": {"version": 2, "codes": ["b", "a"], "task_id": uuid4()},
        "at": MORNING,
        "source": "10.0.0.1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    await audit.append(tx, ACTOR, **(row | change))


async def entries(db) -> list[tuple[audit.Entry, bytes, bytes]]:
    rows = await db.admin.fetch("SELECT * FROM audit ORDER BY id")
    fields = audit.Entry.__struct_fields__
    plain = [{name: row[name] for name in fields} for row in rows]
    for row in plain:
        row["source"] = str(row["source"]) if row["source"] else None
    return [(audit.Entry(**row), raw["canonical"], raw["digest"]) for row, raw in zip(plain, rows, strict=True)]


@pytest.mark.parametrize("role", ["app", "signer", "worker"])
async def test_a_row_read_back_gives_the_same_bytes(db, role):
    async with (await db.pools(role)).transaction() as tx:
        await write(tx)
    ((entry, canonical, digest),) = await entries(db)
    assert audit.canonical_bytes(entry) == canonical
    assert sha256(canonical).digest() == digest
    assert await db.admin.fetchval("SELECT xid IS NOT NULL FROM audit")


async def test_another_word_gives_another_digest(db):
    async with (await db.pools("app")).transaction() as tx:
        await write(tx)
    ((entry, canonical, _),) = await entries(db)
    changed = audit.Entry(**{name: getattr(entry, name) for name in entry.__struct_fields__} | {"action": "x"})
    assert audit.canonical_bytes(changed) != canonical


async def test_a_row_goes_with_its_transaction(db):
    pools = await db.pools("app")

    async def act_and_fail():
        async with pools.transaction() as tx:
            await write(tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await act_and_fail()
    assert await entries(db) == []


@pytest.mark.parametrize("detail", [{"full_name": "An"}, {"person": {"phone": "0912"}}, {"token": "x"}])
async def test_personal_data_is_refused_before_it_is_written(db, detail):
    async with (await db.pools("app")).transaction() as tx:
        with pytest.raises(Broken):
            await write(tx, detail=detail)
    assert await entries(db) == []


CHANGES = {
    "audit": "action = 'x'",
    "view_log": "purpose = 'x'",
    "audit_chain": "hash = sha256('x')",
    "audit_checkpoint": "body = 'x'",
    "audit_key": "body = 'x'",
}


@pytest.mark.parametrize("role", ["app", "signer", "worker", "admin"])
async def test_nobody_changes_a_row(db, role):
    async with (await db.pools("app")).transaction() as tx:
        await write(tx)
        await audit.log_view(tx, ACTOR, "dossier", uuid4(), "counter", MORNING)
    connection = await asyncpg.connect(db.dsn(role))
    try:
        for table, change in CHANGES.items():
            for statement in (f"UPDATE {table} SET {change}", f"DELETE FROM {table}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
    finally:
        await connection.close()
    assert len(await entries(db)) == 1


async def test_trace_and_source_come_from_the_context_when_not_given(db):
    with structlog.contextvars.bound_contextvars(trace_id="t" * 32, source="2001:db8::1"):
        async with (await db.pools("app")).transaction() as tx:
            await write(tx, source=None, trace_id=None)
    ((entry, canonical, _),) = await entries(db)
    assert (entry.trace_id, entry.source) == ("t" * 32, "2001:db8::1")
    assert audit.canonical_bytes(entry) == canonical


async def test_a_view_names_who_what_and_why(db):
    dossier = uuid4()
    async with (await db.pools("app")).transaction() as tx:
        await audit.log_view(tx, ACTOR, "dossier", dossier, "counter", MORNING)
    row = await db.admin.fetchrow("SELECT account_id, subject_kind, subject_id, purpose, at FROM view_log")
    assert tuple(row) == (ACTOR.account_id, "dossier", dossier, "counter", MORNING)
