"""Rotation of keys on a live database: all stays readable and findable, nothing is lost, and no key goes early."""

import asyncio
import base64
import os
import signal
import subprocess
import sysconfig
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from api.db.privacy import Vault
from api.dossiers import access
from api.embedded import rotating
from api.embedded.province import data as demo
from api.errors import Conflict, MotcuaError, NotFound
from api.rotation import reseal, store
from api.rotation.columns import PLACES
from tests.audit_ground import acted, sealer
from tests.office import Office, SetClock, log_in, serving

MOTCUA = Path(sysconfig.get_path("scripts")) / "motcua"
NEW = b"\x0a" * 32
LATER = datetime(2026, 7, 2, tzinfo=UTC)


class House:
    """The demo province with one row more in each place that is sealed, and the settings of worker and signer."""

    def __init__(self, db, province, room: Path) -> None:
        self.db, self.province, self.room = db, province, room
        self.old = province.vault
        self.both = Vault({"new": NEW, "test1": province.data_key}, "new")
        self.new = Vault({"new": NEW}, "new")
        self.factors = Vault({"new": NEW, "test1": province.factor_key}, "new")

    def environment(self, process: str) -> dict[str, str]:
        holders = self.room / "holders.json"
        holders.write_text("[]")
        own = {
            "worker": {
                "DATABASE_URL_WORKER": self.db.dsn("worker"),
                "MOTCUA_CHECKPOINT_KEYS": f"new:{NEW.hex()},test1:{(b'1' * 32).hex()}",
                "MOTCUA_CHECKPOINT_DIR": str(self.room),
            },
            "signer": {
                "DATABASE_URL_SIGNER": self.db.dsn("signer"),
                "MOTCUA_FACTOR_KEYS": f"new:{NEW.hex()},test1:{self.province.factor_key.hex()}",
                "MOTCUA_HOLDERS_FILE": str(holders),
            },
            "api": {
                "DATABASE_URL_APP": self.db.dsn("app"),
                "MOTCUA_SESSION_KEYS": f"s2:{NEW.hex()},s1:{(b'1' * 32).hex()}",
            },
        }
        shared = {
            "MOTCUA_DATA_KEYS": f"new:{NEW.hex()},test1:{self.province.data_key.hex()}",
            "MOTCUA_BLOB_DIR": str(self.room),
            "MOTCUA_TRUST_DIR": str(self.room),
            "MOTCUA_PUBLIC_URL": "https://motcua.example",
        }
        return {**shared, **own[process]}

    async def lay(self) -> "House":
        seal = self.old.seal
        admin = self.db.admin
        await admin.execute("SET session_replication_role = replica")
        for number in range(3):
            await admin.execute(
                "INSERT INTO dossier_note VALUES ($1, $2, $3)", UUID(int=1), number, seal("dossier.note", "{}")
            )
        foreign = base64.b64encode(seal("upload.report", "[]")).decode()
        await admin.execute("INSERT INTO blob (sha256, size, media_type) VALUES ($1, 1, 'x')", bytes(32))
        await admin.execute(
            "INSERT INTO upload (sha256, profile, file_name_sealed, report) VALUES ($1, 'handed_in', $2, $3)",
            bytes(32), seal("upload.file_name", "đơn.pdf"), {"foreign_sealed": foreign, "pages": 2},
        )  # fmt: skip
        await admin.execute(
            "INSERT INTO draft_order (document_id, template, data_sealed, reason, ordered_at)"
            " VALUES ($1, 'x', $2, 'x', now())",
            uuid4(), seal("draft.data", "{}"),
        )  # fmt: skip
        await admin.execute(
            "INSERT INTO print_order (template, data_sealed, agency_id, account_id, ordered_at)"
            " VALUES ('x', $1, $2, $2, now())",
            seal("print.data", "{}"), uuid4(),
        )  # fmt: skip
        await admin.execute(
            "INSERT INTO proposal (kind, agency_id, content_sealed, digest, proposed_by_account_id)"
            " VALUES ('open_account', $1, $2, $3, $1)",
            uuid4(), seal("proposal", "{}"), bytes(32),
        )  # fmt: skip
        await admin.execute(
            "INSERT INTO enrolment_offer (enrolment_id, proposal_id, secret_sealed, made_at, expires_at)"
            " VALUES ($1, $1, $2, now(), now())",
            uuid4(), self.province.factors.seal("second-factor", "JBSWY3DPEHPK3PXP"),
        )  # fmt: skip
        report = {"sealed": base64.b64encode(seal("check.report", "{}")).decode()}
        await admin.execute(
            "INSERT INTO file_check (sha256, state, report, done_at) VALUES ($1, 'done', $2, now())", bytes(32), report
        )
        await admin.execute(
            "UPDATE person_private SET contact_sealed = $1, phone_fingerprint = $2, details_sealed = $3"
            " WHERE person_id = (SELECT min(person_id::text)::uuid FROM person_private)",
            seal("person.contact", '{"phone":"0912 345 678"}'),
            self.old.fingerprint("person.phone", "0912345678"),
            seal("person.details", "{}"),
        )
        await admin.execute("SET session_replication_role = origin")
        return self

    async def find(self, vault: Vault, name: str) -> list[str]:
        """Search as the desks do: by the hashes under every key the process knows, then unseal what is found."""
        rows = await self.db.admin.fetch(
            "SELECT name_sealed FROM person_private WHERE name_fingerprint = ANY ($1)",
            vault.fingerprints("person.name", name),
        )
        return [vault.open("person.name", row["name_sealed"]) for row in rows]

    async def everything_opens(self, vault: Vault, factors: Vault) -> int:
        """Open every sealed value there is."""
        opened = 0
        for column, purpose in OPENS.items():
            table, _, name = column.partition(".")
            keys = factors if table in {"second_factor", "enrolment_offer"} else vault
            for row in await self.db.admin.fetch(f"SELECT {name} AS sealed FROM {table} WHERE {name} IS NOT NULL"):
                keys.open(purpose, row["sealed"])
                opened += 1
        for table, name, purpose in (
            ("upload", "foreign_sealed", "upload.report"),
            ("file_check", "sealed", "check.report"),
        ):
            text = await self.db.admin.fetchval(f"SELECT report->>'{name}' FROM {table}")
            vault.open(purpose, base64.b64decode(text))
        return opened


OPENS = {
    "person_private.name_sealed": "person.name",
    "person_private.id_number_sealed": "person.id_number",
    "person_private.contact_sealed": "person.contact",
    "person_private.details_sealed": "person.details",
    "dossier_note.text_sealed": "dossier.note",
    "upload.file_name_sealed": "upload.file_name",
    "draft_order.data_sealed": "draft.data",
    "print_order.data_sealed": "print.data",
    "certificate.owner_sealed": "holder-owner",
    "proposal.content_sealed": "proposal",
    "enrolment_offer.secret_sealed": "second-factor",
    "second_factor.secret_sealed": "second-factor",
}


@pytest_asyncio.fixture
async def house(province_db, province, tmp_path):
    return await House(province_db, province, tmp_path).lay()


def told(monkeypatch, *environments: dict[str, str]) -> None:
    for environment in environments:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)


async def run(command, *arguments) -> tuple[int, str]:
    said: list[str] = []
    status = await asyncio.to_thread(command, *arguments, write=said.append)
    return status, "".join(said)


async def test_every_sealed_column_is_known_to_the_rotation(db):
    columns = await db.admin.fetch(
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name LIKE '%sealed'"
    )
    known = {column for place in PLACES for column in place.columns}
    assert {row["name"] for row in columns} == known == set(OPENS)


async def test_data_and_factors_are_sealed_again_under_readers_and_the_old_key_goes_last(house, monkeypatch):
    told(monkeypatch, house.environment("worker"), house.environment("signer"))
    name = demo.people()[0].name
    for kind in ("data", "factors"):
        with pytest.raises(Conflict) as refused:
            await run(rotating.retire, kind, "test1")
        assert "still needed for:" in refused.value.en
        assert refused.value.next_step == (f"Chạy: motcua keys rotate {kind}", f"Run: motcua keys rotate {kind}")
    done = asyncio.Event()
    looks = 0

    async def read_on() -> None:
        nonlocal looks
        while not done.is_set():
            assert await house.find(house.both, name) == [name]
            looks += 1

    reader = asyncio.create_task(read_on())
    for kind in ("data", "factors"):
        status, said = await run(rotating.rotate, kind)
        assert (status, "everything is under new" in said) == (0, True)
    done.set()
    await reader
    assert looks > 0
    only_new = Vault({"new": NEW}, "new")
    assert await house.everything_opens(house.new, only_new) > 100
    assert await house.find(house.new, name) == [name]
    found = await house.db.admin.fetchval(
        "SELECT count(*) FROM person_private WHERE phone_fingerprint = $1 AND key_id = 'new'",
        house.new.fingerprint("person.phone", "+84 912 345 678"),
    )
    assert found == 1
    assert await house.db.admin.fetchval("SELECT report->>'pages' FROM upload") == "2"
    for kind in ("data", "factors"):
        status, said = await run(rotating.retire, kind, "test1")
        assert (status, "Nothing needs the key test1" in said) == (0, True)
        with pytest.raises(Conflict, match="comes first"):
            await run(rotating.retire, kind, "new")
        with pytest.raises(NotFound, match="names no key"):
            await run(rotating.retire, kind, "k9")
    noted = await house.db.admin.fetch("SELECT process, detail FROM audit WHERE action = 'keys.resealed' ORDER BY id")
    assert [row["process"] for row in noted] == ["worker", "signer", "signer"]
    before = await house.db.admin.fetchval("SELECT min(name_sealed) FROM person_private")
    status, said = await run(rotating.rotate, "data")
    assert await house.db.admin.fetchval("SELECT min(name_sealed) FROM person_private") == before, "nothing to do twice"


async def test_killed_in_the_middle_it_goes_on(house, monkeypatch):
    orders = house.room / "failpoints"
    orders.mkdir()
    (orders / "keys-page").touch()
    environment = {"PATH": os.environ["PATH"], **house.environment("worker")}
    words = [MOTCUA, "keys", "rotate", "data"]

    def command(**more) -> subprocess.CompletedProcess:
        return subprocess.run(
            words, env={**environment, **more}, capture_output=True, text=True, check=False, timeout=120
        )

    killed = await asyncio.to_thread(command, MOTCUA_DEMO="1", MOTCUA_FAILPOINTS=str(orders))
    assert killed.returncode == -signal.SIGKILL
    told(monkeypatch, house.environment("worker"))
    used = await reseal.uses_of(await house.db.pools("worker"), "data", house.both, "worker", LATER)
    assert set(used) == {"new", "test1"}, "some are done and some are not"
    assert await house.everything_opens(house.both, house.province.factors) > 100
    resumed = await asyncio.to_thread(command)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "run it again with the settings of signer" in resumed.stdout
    used = await reseal.uses_of(await house.db.pools("worker"), "data", house.both, "worker", LATER)
    assert set(used["test1"]) == {"owners of certificates"}, "the signer's part is left, and is said"


async def test_what_changes_meanwhile_is_left_to_whoever_changed_it(house):
    place = next(place for place in PLACES if place.en == "notes")
    async with (await house.db.pools("worker")).transaction() as tx:
        (row, *_) = await store.page(tx, place.page, place.before, 1)
        newer = house.both.seal("dossier.note", '{"newer":"1"}')
        await tx.execute("UPDATE dossier_note SET text_sealed = $1 WHERE seq = 0", newer)
        await store.write(tx, place.renew(house.both, row))
        assert await tx.fetchval("SELECT text_sealed FROM dossier_note WHERE seq = 0") == newer


async def test_each_role_seals_again_only_what_is_its_own(house):
    nothing = lambda *_: None  # noqa: E731
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reseal.reseal(await house.db.pools("worker"), house.factors, "factors", "signer", LATER, nothing)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reseal.reseal(await house.db.pools("signer"), house.both, "data", "worker", LATER, nothing)
    with pytest.raises(MotcuaError, match="not among this process's keys"):
        await reseal.reseal(await house.db.pools("worker"), house.new, "data", "worker", LATER, nothing)


async def test_a_session_lives_on_under_its_key_and_a_row_alone_opens_none(db, tmp_path, monkeypatch):
    office = Office(db.admin)
    await office.officer("an")
    one, both = {"s1": b"1" * 32}, {"s2": NEW, "s1": b"1" * 32}
    clock = SetClock(datetime.now(UTC))
    async with serving(db.dsn("app"), tmp_path, session_keys=one, clock=clock) as (web, _):
        assert (await log_in(web)).status_code == 201
        opened = web.headers["Authorization"]
    house = House(db, type("P", (), {"data_key": bytes(32), "factor_key": bytes(32), "vault": None})(), tmp_path)
    told(monkeypatch, house.environment("api"))
    async with serving(db.dsn("app"), tmp_path, session_keys=both, clock=clock) as (web, _):
        web.headers["Authorization"] = opened
        assert (await web.get("/session")).status_code == 200
        with pytest.raises(Conflict, match="1 sessions") as refused:
            await run(rotating.retire, "sessions", "s1")
        assert "have ended" in refused.value.next_step[1]
        assert (await log_in(web)).json()["token"].startswith("s2.")
        forged = "s2.guessed"
        await db.admin.execute(
            "INSERT INTO session (token_sha256, key_id, account_id, post_id, expires_at)"
            " SELECT $1, 's2', account_id, post_id, expires_at FROM session LIMIT 1",
            sha256(forged.encode()).digest(),
        )
        assert (await web.get("/session", headers={"Authorization": f"Bearer {forged}"})).status_code == 401
        await db.admin.execute("UPDATE session SET ended_at = now() WHERE key_id = 's1'")
        assert (await run(rotating.retire, "sessions", "s1"))[0] == 0
        assert (await run(rotating.rotate, "sessions"))[0] == 0
    async with serving(db.dsn("app"), tmp_path, session_keys={"s2": NEW}, clock=clock) as (web, _):
        web.headers["Authorization"] = opened
        assert (await web.get("/session")).status_code == 401


async def test_guesses_are_counted_across_a_rotation_of_the_data_key(db, tmp_path):
    await Office(db.admin).officer("an")
    clock = SetClock()
    for data_keys in ({"k1": b"1" * 32}, {"k2": b"2" * 32, "k1": b"1" * 32}):
        current = next(iter(data_keys))
        async with serving(db.dsn("app"), tmp_path, data_keys=data_keys, data_key=current, clock=clock) as (web, _):
            answers = [await log_in(web, password="wrong") for _ in range(3)]
    assert answers[-1].json()["code"] == "locked-out", "six guesses are six, whatever key counted them"


async def test_a_citizen_is_told_the_same_secret_again_and_its_key_stays_for_a_day(house, monkeypatch):
    told(monkeypatch, house.environment("worker"), house.environment("signer"))
    dossier = uuid4()
    secret = access.secret_of(house.old, dossier)
    await house.db.admin.execute("SET session_replication_role = replica")
    await house.db.admin.execute("INSERT INTO dossier_access VALUES ($1, $2, now())", dossier, access.digest(secret))
    assert access.secret_of(house.both, dossier, access.digest(secret)) == secret
    await run(rotating.rotate, "data")
    with pytest.raises(Conflict, match="1 secrets told within a day"):
        await run(rotating.retire, "data", "test1")
    await house.db.admin.execute("UPDATE dossier_access SET given_at = $1", datetime.now(UTC) - timedelta(hours=25))
    assert (await run(rotating.retire, "data", "test1"))[0] == 0


async def test_a_checkpoint_key_goes_when_the_new_one_is_vouched_for(house, monkeypatch):
    told(monkeypatch, house.environment("worker"))
    await acted(house.db)
    await (await sealer(house.db, house.room, {"test1": b"1" * 32})).step()
    with pytest.raises(Conflict, match="1 the newest checkpoint") as refused:
        await run(rotating.retire, "checkpoints", "test1")
    assert "first checkpoint with the new key" in refused.value.next_step[1]
    await acted(house.db)
    await (await sealer(house.db, house.room, {"new": NEW, "test1": b"1" * 32})).step()
    assert (await run(rotating.retire, "checkpoints", "test1"))[0] == 0
    status, said = await run(rotating.rotate, "checkpoints")
    assert (status, "new is used from now on" in said) == (0, True)


async def test_keys_are_drawn_and_listed(house, monkeypatch):
    told(monkeypatch, house.environment("worker"))
    drawn: list[str] = []
    hints: list[str] = []
    rotating.new("data", None, write=drawn.append, tell=hints.append)
    key_id, _, text = drawn[0].strip().partition(":")
    assert (key_id[:3], len(bytes.fromhex(text))) == ("k20", 32)
    assert "at the END of MOTCUA_DATA_KEYS" in hints[0]
    said: list[str] = []
    assert await asyncio.to_thread(lambda: rotating.show("data", as_json=False, write=said.append)) == 0
    assert "▶ new: –" in "".join(said)
    assert "personal data" in "".join(said)
