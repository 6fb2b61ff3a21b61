"""The log of revocations outside the database: complete, signed, and what a restore carries over from it."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio

from api.audit import outside
from api.audit.chain import Checkpoint, Notary, Taken, body_of, newest
from api.audit.outside import CheckpointFile
from api.audit.revocations import Cut, RevocationLog, read_log
from api.audit.sealer import Sealer
from api.audit.store import audit_keys, ended_rights, last_checkpoint
from api.backup.fencing import carry_over
from api.embedded import auditing
from api.embedded.province import data, rows
from api.errors import Broken, Invalid
from tests.audit_ground import OLD, act, acted, sealer
from tests.office import MORNING, SetClock

AT = datetime.now(UTC)
WHO = next(p for p in data.people() if p.slug == "chutich.kinhbac")
OTHER = next(p for p in data.people() if p.slug == "thuly.kinhbac")
END = {
    "factor": "UPDATE second_factor SET revoked_at = now() WHERE account_id = $1 RETURNING id",
    "passkey": "UPDATE passkey SET revoked_at = now() WHERE account_id = $1 RETURNING id",
    "certificate": "UPDATE certificate SET revoked_at = now() WHERE person_id = (SELECT person_id FROM account"
    " WHERE id = $1) RETURNING id",
    "mandate": "UPDATE mandate SET revoked_at = now() WHERE id = (SELECT m.id FROM mandate m JOIN account a"
    " USING (person_id) WHERE a.id = $1 LIMIT 1) RETURNING id",
    "post": "UPDATE post_holding SET valid_to = now() WHERE id = (SELECT h.id FROM post_holding h JOIN account a"
    " USING (person_id) WHERE a.id = $1 AND valid_to IS NULL LIMIT 1) RETURNING id",
    "loss": "INSERT INTO account_block (account_id, what, reason, by_account_id) VALUES ($1, 'factors', 'mất', $1)"
    " RETURNING id",
    "lock": "INSERT INTO account_block (account_id, what, reason, by_account_id) VALUES ($1, 'account', 'nghỉ', $1)"
    " RETURNING id",
}  # fmt: skip
"""How each kind of right ends, of one account."""


@pytest_asyncio.fixture
async def written(province_db, tmp_path):
    """A province whose sealer has begun, and the log beside its checkpoints."""
    await province_db.admin.execute(
        "INSERT INTO passkey (account_id, credential_id, public_key, sign_count) VALUES ($1, 'c', 'k', 0)",
        rows.account_id(WHO),
    )
    log = RevocationLog(await province_db.pools("worker"), Notary({"c1": OLD}), tmp_path, SetClock())
    assert await log.note() == 0, "without a checkpoint there is no key that is vouched for"
    await acted(province_db)
    await (await sealer(province_db, tmp_path)).step()
    return province_db, log


async def ended(db) -> dict[str, UUID]:
    """End one right of each kind, and close an account."""
    one = {what: await db.admin.fetchval(statement, rows.account_id(WHO)) for what, statement in END.items()}
    await db.admin.execute("UPDATE account SET state = 'closed' WHERE id = $1", rows.account_id(OTHER))
    return {**one, "account": rows.account_id(OTHER)}


async def read(db, log):
    """What the log says is taken, and of when its last line is."""
    said, _ = read_log(log.file.path, await audit_keys(db.admin))
    return said.standing(), said.until


async def test_each_right_that_ends_is_written_once_and_a_restore_takes_it_again(written, cluster, province):
    db, log = written
    before = {(each.what, each.id) for each in await ended_rights(db.admin)}
    await log.note()
    gone = await ended(db)
    assert await log.note() == len(gone)
    assert await log.note() == 0
    again = RevocationLog(await db.pools("worker"), Notary({"c1": OLD}), log.file.path.parent, SetClock())
    assert await again.note() == 0, "another worker reads what the first one wrote"
    taken, until = await read(db, log)
    assert until == MORNING
    assert {(each.what, each.id) for each in taken} - before == set(gone.items())

    # The moment before: everything is there again, and an account that was made later is in no row.
    await db.admin.execute("DELETE FROM account_block")
    for table in ("second_factor", "passkey", "certificate", "mandate"):
        await db.admin.execute(f"UPDATE {table} SET revoked_at = NULL WHERE id = ANY ($1::uuid[])", list(gone.values()))
    await db.admin.execute("UPDATE post_holding SET valid_to = NULL WHERE id = $1", gone["post"])
    await db.admin.execute("UPDATE account SET state = 'active'")
    stranger = msgspec.structs.replace(taken[0], what="lock", id=uuid4(), account_id=uuid4())
    with pytest.raises(Broken) as told:
        await log.note()
    assert told.value.kind_code == "revocation-undone", "without carrying over, the worker says so"
    async with (await db.pools("admin")).transaction() as tx:
        carried = await carry_over(tx, [*taken, stranger], AT, "Khôi phục")
    assert {(each.what, each.id) for each in carried} == set(gone.items())
    assert {(each.what, each.id) for each in await ended_rights(db.admin)} == before | set(gone.items())
    assert await db.admin.fetchval("SELECT state FROM account WHERE id = $1", gone["account"]) == "closed"
    at = "SELECT at FROM account_block WHERE id = $1"
    assert await db.admin.fetchval(at, gone["loss"]) == next(e.ended_at for e in taken if e.what == "loss")
    async with (await db.pools("admin")).transaction() as tx:
        assert await carry_over(tx, taken, AT + timedelta(minutes=1), "Khôi phục") == [], (
            "a second time changes nothing"
        )
    assert await log.note() == 0


async def test_what_two_persons_gave_back_is_not_taken_again(written):
    db, log = written
    gone = await ended(db)
    await log.note()
    await db.admin.execute("UPDATE account_block SET lifted_at = now() WHERE id = $1", gone["lock"])
    await db.admin.execute("UPDATE account SET state = 'active' WHERE id = $1", gone["account"])
    assert await log.note() == 2
    taken, _ = await read(db, log)
    left = {each.what for each in taken if each.id in set(gone.values())}
    assert left == set(gone) - {"lock", "account"}


@pytest.mark.parametrize("fault", ["altered", "removed", "another key"])
async def test_a_log_that_was_tampered_with_is_refused(written, fault):
    db, log = written
    await ended(db)
    await log.note()
    lines = log.file.path.read_bytes().splitlines(keepends=True)
    if fault == "altered":
        lines[2] = lines[2].replace(b'\\"back\\":false', b'\\"back\\":true')
    if fault == "removed":
        del lines[2]
    if fault == "another key":
        forger = Notary({"c1": b"\x07" * 32})
        said = outside.read_statements(log.file.path)[0][2].read()
        assert isinstance(said, Taken)
        lines[2] = forger.sign(said).line()
    log.file.path.write_bytes(b"".join(lines))
    with pytest.raises(Invalid) as told:
        await read(db, log)
    assert told.value.kind_code == "revocations-damaged"


async def test_a_line_that_a_crash_tore_is_written_again(written):
    db, log = written
    await ended(db)
    await log.note()
    whole = log.file.path.read_bytes()
    log.file.path.write_bytes(whole[:-40])
    assert await log.note() == 1
    async with (await db.pools("app")).transaction() as tx:
        await act(tx)
    assert len((await read(db, log))[0]) >= len(END) + 1


async def test_two_workers_do_not_write_the_same_lines(written, tmp_path, monkeypatch):
    db, log = written
    other = RevocationLog(await db.pools("worker"), Notary({"c1": OLD}), tmp_path, SetClock())
    await ended(db)
    append, writing, go_on = log.file.append, threading.Event(), threading.Event()

    def slow(lines):
        writing.set()
        go_on.wait(10)
        append(lines)

    monkeypatch.setattr(log.file, "append", slow)
    first = asyncio.create_task(log.note())
    await asyncio.to_thread(writing.wait, 10)
    assert await other.note() == 0
    go_on.set()
    assert await first > 0
    assert await other.note() == 0, "it reads what the first one wrote"
    await read(db, log)


@pytest_asyncio.fixture
async def named(written, tmp_path, monkeypatch):
    """A log with a line for each kind of right, whose last line a checkpoint names; with its worker."""
    db, log = written
    monkeypatch.setenv("DATABASE_URL_WORKER", db.dsn("worker"))
    worker = Sealer(await db.pools("worker"), Notary({"c1": OLD}), CheckpointFile(tmp_path), SetClock(), log)
    await ended(db)
    await log.note()
    assert await worker.step() == 0, "no row was sealed, and yet there is a checkpoint"
    return db, log, worker


async def verified(log) -> tuple[int, str]:
    """What `motcua audit verify` says of the files in the log's directory."""
    said: list[str] = []
    file = log.file.path.with_name(outside.NAME)
    status = await asyncio.to_thread(
        auditing.verify, checkpoint=file, bundle=None, keys=(), as_json=False, write=said.append, tell=said.append
    )
    return status, "".join(said)


def cut_off(log, lines: int) -> None:
    kept = log.file.path.read_bytes().splitlines(keepends=True)[:-lines]
    log.file.path.write_bytes(b"".join(kept))


async def test_a_checkpoint_names_the_last_line_though_no_row_was_sealed_and_names_it_once(named):
    db, log, worker = named
    last = newest([await last_checkpoint(db.admin)])
    said, cut = read_log(log.file.path, await audit_keys(db.admin))
    assert last.revocations == said.end
    assert (last.number, last.rows, cut) == (2, 1, None)
    assert await worker.step() == 0
    assert newest([await last_checkpoint(db.admin)]) == last, "what has not changed is not signed again"
    status, words = await verified(log)
    assert (status, "revocations" in words) == (0, False), words


async def test_lines_cut_off_at_the_end_are_noticed_by_restore_and_by_verification(named):
    db, log, worker = named
    whole = len(log.file.path.read_bytes().splitlines()) - 1  # the first line is the key's
    cut_off(log, 2)
    beside, inside = outside.read_statements(log.file.path.with_name(outside.NAME))[0], await audit_keys(db.admin)
    told = Cut(has=whole - 2, line=whole, checkpoint=2)
    said, cut = read_log(log.file.path, inside)
    assert (len(said.lines), cut) == (whole - 2, told), "by the file beside it"
    log.file.path.with_name(outside.NAME).unlink()
    assert read_log(log.file.path, inside)[1] is None
    assert read_log(log.file.path, [*inside, await last_checkpoint(db.admin)])[1] == told, "by the database"
    CheckpointFile(log.file.path.parent).append(beside)
    status, words = await verified(log)
    assert status == 1
    assert f"({whole - 2} lines left): the signed checkpoint 2 names line {whole}" in words
    assert "put a whole copy back" in words
    # The worker does not write on, and what it signs goes on naming what is gone.
    with pytest.raises(Broken) as broken:
        await log.note()
    assert broken.value.kind_code == "revocations-cut"
    await acted(db)
    await worker.step()
    assert newest([await last_checkpoint(db.admin)]).revocations.number == whole
    assert (await verified(log))[0] == 1, "a later checkpoint does not make it whole"


async def test_a_log_moved_aside_is_begun_anew_and_a_forger_cannot_begin_one(named, tmp_path):
    _, log, worker = named
    log.file.path.rename(tmp_path / "aside.jsonl")
    later = RevocationLog(log._pools, log._notary, tmp_path, lambda: MORNING + timedelta(hours=1))
    assert await later.note() > len(END)
    worker._revocations = later
    await worker.step()
    assert (await verified(later))[0] == 0
    # Put back the old one, whole: it is not what the checkpoint names, and it began earlier.
    (tmp_path / "aside.jsonl").rename(log.file.path)
    assert (await verified(log))[0] == 1


async def test_what_follows_the_last_named_line_is_said_to_be_unknown(named):
    db, log, worker = named
    await db.admin.execute("UPDATE account SET state = 'active' WHERE id = $1", rows.account_id(OTHER))
    assert await log.note() == 1
    status, words = await verified(log)
    assert status == 0
    assert "whether more was cut off after it cannot be told" in words
    await worker.step()
    assert "cannot be told" not in (await verified(log))[1]
    log.file.path.unlink()
    assert "There is no revocations.jsonl beside the file" in (await verified(log))[1]


def test_checkpoints_that_named_no_log_are_read_as_ever_and_still_written_so():
    old = Checkpoint(number=1, rows=1, hash="", audit_id=1, xid=1, at=MORNING, previous="", key="c1")
    assert "revocations" not in body_of(old)
    assert msgspec.json.decode(body_of(old), type=Checkpoint) == old
