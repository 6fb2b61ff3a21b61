"""`motcua audit verify | export`: what a superuser does to the audit is found, named, and told apart."""

import asyncio
import json
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
import pytest_asyncio

from api.audit import outside
from api.audit.chain import GENESIS, Notary, link
from api.embedded import auditing
from api.errors import Invalid
from tests.audit_ground import NEW, OLD, TABLES, act, acted, sealer, shared_db

__all__ = ["shared_db"]

MOTCUA = Path(sysconfig.get_path("scripts")) / "motcua"
PUBLIC = Notary({"c1": OLD}).public("c1")


class Evidence:
    """Twelve rows in three checkpoints, of which the file outside has the first two."""

    def __init__(self, db, room: Path) -> None:
        self.db, self.room = db, room
        self.file = room / outside.NAME

    async def lay(self) -> "Evidence":
        for _ in range(3):
            await acted(self.db, 4)
            kept = self.file.read_bytes() if self.file.exists() else b""
            await (await sealer(self.db, self.room)).step()
        self.file.write_bytes(kept)
        return self

    async def as_superuser(self, *statements: str) -> None:
        """What nothing in the database can prevent."""
        for statement in statements:
            await self.db.admin.execute(statement)

    async def recompute(self) -> None:
        """Make digests and links fit whatever the rows say now, as somebody can who has read our source."""
        await self.as_superuser("UPDATE audit SET digest = sha256(canonical)")
        reached = GENESIS
        for row in await self.db.admin.fetch(
            "SELECT c.position, a.id, a.xid, a.recorded_at, a.digest FROM audit_chain c JOIN audit a"
            " ON a.id = c.audit_id ORDER BY c.position"
        ):
            reached = link(
                reached, audit_id=row["id"], xid=row["xid"], recorded_at=row["recorded_at"], digest=row["digest"]
            )
            await self.db.admin.execute(
                "UPDATE audit_chain SET hash = $2 WHERE position = $1", row["position"], reached
            )

    async def verify(self, **more) -> tuple[int, dict]:
        """The status and the report of the command."""
        status, said = await self.say(as_json=True, **more)
        return status, json.loads(said)

    async def say(self, *, bundle=None, keys=(f"c1:{PUBLIC}",), as_json=False, file=True) -> tuple[int, str]:
        said: list[str] = []
        status = await asyncio.to_thread(
            auditing.verify,
            checkpoint=self.file if file else None,
            bundle=bundle,
            keys=keys,
            as_json=as_json,
            write=said.append,
            tell=said.append,
        )
        return status, "".join(said)

    async def found(self, **more) -> list[tuple]:
        """What is found: kind, first and last position, row."""
        status, report = await self.verify(**more)
        assert status == (0 if report["ok"] else 1)
        return [(f["kind"], f.get("position"), f.get("to"), f.get("audit_id")) for f in report["findings"]]


@pytest_asyncio.fixture(scope="module")
async def laid(shared_db, tmp_path_factory):
    laid = await Evidence(shared_db, tmp_path_factory.mktemp("laid")).lay()
    for table in TABLES:
        await shared_db.admin.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
    return laid


@pytest_asyncio.fixture
async def evidence(laid, tmp_path, monkeypatch):
    """The same rows, checkpoints and file for each test, whatever the one before did to them."""
    monkeypatch.setenv("DATABASE_URL_WORKER", laid.db.dsn("worker"))
    await laid.db.admin.execute(f"TRUNCATE {', '.join(TABLES)}")
    for table in TABLES:
        await laid.db.admin.execute(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE kept_{table}")
    fresh = Evidence(laid.db, tmp_path)
    fresh.file.write_bytes(laid.file.read_bytes())
    return fresh


async def test_what_nobody_touched_is_as_it_was_sealed(evidence):
    async with (await evidence.db.pools("app")).transaction() as tx:
        await act(tx, number=1.5, text="Đã nhận — hồ sơ", deep={"b": [1, None], "a": True})
    status, report = await evidence.verify()
    assert status == 0
    assert (report["rows"], report["checkpoints"], report["unsealed"]) == (12, 3, 1)
    await (await sealer(evidence.db, evidence.room)).step()
    assert await evidence.found() == []
    status, said = await evidence.say(keys=())
    assert status == 0
    assert "13 rows are as they were sealed, up to checkpoint 4" in said
    assert f"c1:{PUBLIC}" in said


REWRITTEN = "action = 'x.y', canonical = replace(convert_from(canonical, 'UTF8'), 'dossier.receive', 'x.y')::bytea"
ROW_5 = "(SELECT audit_id FROM audit_chain WHERE position = 5)"


@pytest.mark.parametrize(
    ("tampering", "columns"),
    [
        ("action = 'nothing.at.all'", ["action"]),
        ("detail = '{\"x\": 1}', subject_kind = 'y'", ["detail", "subject_kind"]),
        ("canonical = replace(convert_from(canonical, 'UTF8'), 'receive', 'refuse')::bytea", ["action"]),
        ("recorded_at = recorded_at - interval '1 day'", []),
        ("digest = sha256('x')", ["digest"]),
    ],
)
async def test_an_altered_row_is_named_with_its_columns(evidence, tampering, columns):
    await evidence.as_superuser(f"UPDATE audit SET {tampering} WHERE id = {ROW_5}")
    status, report = await evidence.verify()
    assert status == 1
    (finding,) = report["findings"]
    assert (finding["kind"], finding["position"]) == ("altered", 5)
    assert finding.get("columns", []) == columns


async def test_an_altered_row_whose_own_digest_fits_again_is_found_by_its_link(evidence):
    await evidence.as_superuser(
        f"UPDATE audit SET {REWRITTEN} WHERE id = {ROW_5}",
        "UPDATE audit SET digest = sha256(canonical)",
    )
    assert [found[:2] for found in await evidence.found()] == [("altered", 5)]


async def test_a_removed_row_is_named(evidence):
    row = await evidence.db.admin.fetchval(f"SELECT {ROW_5}")
    await evidence.as_superuser(f"DELETE FROM audit WHERE id = {row}")
    assert await evidence.found() == [("removed", 5, None, row)]
    status, said = await evidence.say()
    assert status == 1
    assert f"Row {row} (position 5) was removed." in said
    assert "→ Restore the last backup from before" in said


async def test_a_row_removed_with_its_link_is_found(evidence):
    await evidence.as_superuser(f"DELETE FROM audit WHERE id = {ROW_5}", "DELETE FROM audit_chain WHERE position = 5")
    assert await evidence.found() == [("removed", 5, 5, None)]


async def test_a_removed_tail_is_found_by_the_file_outside(evidence):
    await evidence.as_superuser(
        "DELETE FROM audit WHERE id IN (SELECT audit_id FROM audit_chain WHERE position > 6)",
        "DELETE FROM audit_chain WHERE position > 6",
        "DELETE FROM audit_checkpoint WHERE number > 1",
    )
    assert await evidence.found() == [("tail-removed", 7, 8, None)]


async def test_an_inserted_row_is_found(evidence):
    row = await evidence.db.admin.fetchval(
        "INSERT INTO audit (at, process, action, subject_kind, detail, canonical, digest, xid) SELECT at, process, 'x',"
        f" subject_kind, detail, canonical, digest, xid FROM audit WHERE id = {ROW_5} RETURNING id"
    )
    assert await evidence.found() == [("inserted", None, None, row)]


async def test_links_that_the_sealer_did_not_write_are_found(evidence):
    await acted(evidence.db)
    await evidence.as_superuser(
        "INSERT INTO audit_chain SELECT 13, max(id), sha256('x') FROM audit",
    )
    assert [found[:3] for found in await evidence.found()][-1] == ("unsigned", 13, 13)


@pytest.mark.parametrize("row", [2, 6])
async def test_a_chain_recomputed_by_a_superuser_is_found_and_its_range_named(evidence, row):
    await evidence.as_superuser(
        f"UPDATE audit SET {REWRITTEN} WHERE id = (SELECT audit_id FROM audit_chain WHERE position = {row})"
    )
    await evidence.recompute()
    first = 1 if row < 5 else 5
    assert await evidence.found() == [("recomputed", first, first + 3, None)]


async def test_checkpoints_signed_by_the_superusers_own_key_prove_nothing(evidence):
    """The whole database is made anew, with a key of the attacker's under the old name: the file knows better."""
    await evidence.as_superuser("DELETE FROM audit WHERE id = " + ROW_5)
    await evidence.as_superuser("TRUNCATE audit_chain, audit_checkpoint, audit_key")
    forged = evidence.room / "forged"
    for _ in range(3):
        await (await sealer(evidence.db, forged, {"c1": NEW})).step()
    kinds = {found[0] for found in await evidence.found()}
    assert {"recomputed", "checkpoint-altered", "tail-removed"} & kinds
    status, said = await evidence.say()
    assert status == 1
    assert "NOT as it was sealed" in said
    evidence.file = forged / outside.NAME
    assert "checkpoint-unproven" in {found[0] for found in await evidence.found()}, "the public key on record knows"


async def test_an_altered_checkpoint_in_the_database_is_named(evidence):
    await evidence.as_superuser(
        "UPDATE audit_checkpoint SET signature = repeat('x', 64)::bytea WHERE number = 3",
    )
    kinds = [found[0] for found in await evidence.found()]
    assert kinds == ["checkpoint-altered", "unsigned"]


async def test_an_altered_line_of_the_file_is_named(evidence):
    text = evidence.file.read_text()
    evidence.file.write_text(text.replace('\\"rows\\":8', '\\"rows\\":7'))
    assert "checkpoint-unproven" in {found[0] for found in await evidence.found()}


async def test_a_bundle_is_verified_without_any_database(evidence):
    bundle, later = evidence.room / "bundle.jsonl", evidence.room / "later.jsonl"
    said: list[str] = []
    assert await asyncio.to_thread(auditing.export, bundle, None, write=said.append, tell=said.append) == 0
    assert "12 rows" in said[-1]
    told = {"PATH": os.environ["PATH"], "HOME": str(evidence.room)}

    def alone(*words) -> tuple[int, str]:
        done = subprocess.run(
            [MOTCUA, "audit", "verify", *words], env=told, capture_output=True, text=True, check=False, timeout=120
        )
        return done.returncode, done.stdout + done.stderr

    status, words = await asyncio.to_thread(alone, "--bundle", bundle, "--key", f"c1:{PUBLIC}")
    assert (status, "12 rows are as they were sealed" in words) == (0, True), words
    assert await evidence.found(bundle=bundle) == []
    assert await evidence.found(bundle=bundle, keys=(f"c1:{'22' * 32}",)) != []
    lines = bundle.read_text().splitlines(keepends=True)
    for at, (old, new) in {-8: ("dossier.receive", "dossier.refuse"), -3: ('"xid":', '"xid":1')}.items():
        changed = [*lines]
        changed[at] = changed[at].replace(old, new)
        later.write_text("".join(changed))
        assert {found[0] for found in await evidence.found(bundle=later, file=False)} == {"altered"}
    later.write_text("".join(lines[:-2]))
    assert [found[0] for found in await evidence.found(bundle=later)] == ["tail-removed"]
    later.write_text("".join(lines[:-4] + lines[-3:]))
    assert [found[0] for found in await evidence.found(bundle=later)] == ["removed"]
    with pytest.raises(Invalid, match="exists"):
        await asyncio.to_thread(auditing.export, bundle, None, write=said.append, tell=said.append)


async def test_a_bundle_may_begin_at_a_checkpoint(evidence):
    bundle = evidence.room / "since.jsonl"
    said: list[str] = []
    await asyncio.to_thread(auditing.export, bundle, "2026-07-01T08:00", write=said.append, tell=said.append)
    assert "0 rows" in said[-1]
    assert await evidence.found(bundle=bundle) == []
    head, _, rest = bundle.read_text().partition("\n")
    bundle.write_text(head.replace('"after":12', '"after":8') + "\n" + rest)
    assert "checkpoint-unproven" in {found[0] for found in await evidence.found(bundle=bundle)}
    bundle.write_text("not a bundle\n")
    with pytest.raises(Invalid, match="no audit bundle"):
        await evidence.verify(bundle=bundle)


async def test_what_is_missing_is_said(evidence, tmp_path, monkeypatch):
    with pytest.raises(Invalid, match="--checkpoint FILE or --bundle FILE"):
        await evidence.verify(file=False)
    evidence.file.write_text("\n")
    with pytest.raises(Invalid, match="no checkpoint"):
        await evidence.verify()
    monkeypatch.delenv("DATABASE_URL_WORKER")
    monkeypatch.setenv("MOTCUA_VAR", str(tmp_path / "nothing"))
    with pytest.raises(Invalid, match="Which database"):
        auditing.dsn()
