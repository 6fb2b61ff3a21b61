"""What is around the API fails: database, disk, store, clock. Each ends in a clear answer, and mends by itself."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import asyncpg
import httpx
import pytest
import pytest_asyncio

from api.documents.blobs import FileStore
from api.embedded.walk import CITIZEN, PROCEDURE, TERRITORY
from api.jobs import store
from tests.api_process import api_process
from tests.office import log_in, new_key, serving
from tests.signer_process import ROOT
from tests.signing_ground import Ground

FILING = {
    "procedure_code": PROCEDURE,
    "filer": dict(CITIZEN),
    "territory_code": TERRITORY,
    "parts": [{"part_code": "TK", "name": "Tờ khai", "originals": 1}],
}
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
JUMP_S = 90


@pytest_asyncio.fixture(scope="module")
async def ground(durable, province):
    async with durable.database() as database:
        ground = await Ground(database, province).open()
        yield ground
        await ground.close()


def file_dossier(web: httpx.AsyncClient, key: dict[str, str] | None = None):
    return web.post("/dossiers", json=FILING, headers=key or new_key())


def clear(answer: httpx.Response) -> str:
    """A refusal that a person can act on: kind, both languages, what to do, and when to come again."""
    problem = answer.json()
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert all(problem[member] for member in ("code", "detail", "detail_en", "next_step", "reference"))
    return problem["code"]


async def until_done(web: httpx.AsyncClient, key: dict[str, str]) -> tuple[httpx.Response, set[str]]:
    """Repeat a filing with its key until it is answered for good; the refusals on the way."""
    told = set()
    async with asyncio.timeout(60):
        while not (answer := await file_dossier(web, key)).is_success:
            told.add(clear(answer))
            await asyncio.sleep(0.1)
    return answer, told


async def test_a_lost_database_is_told_and_comes_back_by_itself(ground, durable, province, tmp_path):
    count = "SELECT count(*) FROM dossier"
    async with api_process(ground.db, province, tmp_path) as api, api.client("tiepnhan.kinhbac") as web:
        assert (await file_dossier(web)).is_success
        before = await ground.db.admin.fetchval(count)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND datname = $1"
        filings = [asyncio.create_task(until_done(web, new_key())) for _ in range(20)]
        for _ in range(5):
            await ground.db.admin.execute(cut, ground.db.name)
            await asyncio.sleep(0.02)
        ended = await asyncio.gather(*filings)
        assert len({answer.json()["id"] for answer, _ in ended}) == 20
        key = new_key()
        death = asyncio.create_task(durable.kill())
        told = set()
        while not death.done():
            answer = await file_dossier(web, key)
            if answer.is_success:
                break
            told.add(clear(answer))
        await death
        answer, more = await until_done(web, key)
        assert told | more <= {"database-away", "database-contended", "busy"}
        assert await ground.db.admin.fetchval(count) == before + 21


@pytest.mark.parametrize("crashed", ["postmaster", "one backend"])
async def test_what_the_databases_end_broke_off_is_not_held_against_the_work(durable, crashed):
    async with durable.database() as database:

        async def begun() -> tuple[int, bool]:
            """How often it has been begun without an end, and whether it is suspect of having killed its process."""
            worker = await asyncpg.connect(database.dsn("worker"))
            try:
                beginning = store.Beginning("k", "test.file", 1)
                claim = (await store.claim(worker, [beginning], 2))[beginning]
                return claim.claims, claim.suspect
            finally:
                worker.terminate()

        assert [await begun() for _ in range(3)] == [(1, False), (2, False), (2, True)]
        await (durable.kill() if crashed == "postmaster" else durable.crash_one_backend())
        assert [await begun() for _ in range(3)] == [(1, False), (2, False), (2, True)]


async def test_a_forgotten_transaction_ends_by_itself_and_whoever_waited_goes_on(ground, province, tmp_path):
    _, dossier = await ground.draft()
    code = await ground.db.admin.fetchval("SELECT code FROM dossier WHERE id = $1", dossier)
    forgotten = await asyncpg.connect(ground.db.dsn("app"))
    limit = await forgotten.fetchval("SELECT setting::int FROM pg_settings WHERE name = $1", LIMIT)
    assert 0 < limit <= 60_000, "no session may stand open without end"
    await forgotten.execute(f"SET {LIMIT} = '2s'")
    await forgotten.execute("BEGIN")
    await forgotten.execute("SELECT id FROM dossier WHERE id = $1 FOR UPDATE".replace("$1", f"'{dossier}'"))
    async with api_process(ground.db, province, tmp_path) as api, api.client("thuly.kinhbac") as web:
        facts = {"items": [{"part_code": "TK", "originals": 1}], "reason": "thiếu chữ ký"}
        path, key = f"/dossiers/{code}/steps/ask_supplement", new_key()
        async with asyncio.timeout(30):
            while not (answer := await web.post(path, json={"facts": facts}, headers=key)).is_success:
                clear(answer)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await forgotten.execute("COMMIT")
    forgotten.terminate()


LIMIT = "idle_in_transaction_session_timeout"


async def test_a_full_disk_under_the_store_is_told_and_nothing_half_stored(ground, province, tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    apart = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--mount")
    small = (*apart, "sh", "-c", f'mount -t tmpfs -o size=1m none {blobs} && exec "$@"', "sh")
    async with (
        api_process(ground.db, province, tmp_path, inside=small) as api,
        api.client("tiepnhan.kinhbac") as web,
    ):
        uploads = "SELECT count(*) FROM upload"
        before, key = await ground.db.admin.fetchval(uploads), new_key()
        large = await web.post("/uploads?profile=handed_in", content=b"%PDF-1.7\n" + bytes(3 << 20), headers=key)
        assert clear(large)
        assert await ground.db.admin.fetchval(uploads) == before
        fits = await web.post("/uploads?profile=handed_in", content=b"%PDF-1.7\n" + bytes(1 << 10), headers=new_key())
        assert fits.is_success, "what the large file took is free again"
        assert (await file_dossier(web)).is_success


@pytest.mark.timeout(400)
async def test_a_full_disk_under_the_database_is_told_and_nothing_acknowledged_is_lost(capsys):
    """The whole product under load, its database on a small disk; first no room for rows, then none for WAL either."""
    apart = ("unshare", "--mount") if os.geteuid() == 0 else USER_APART
    room = Path(tempfile.mkdtemp(prefix="motcua-full-"))  # the database's user has to enter it
    try:
        process = await asyncio.create_subprocess_exec(
            *apart, sys.executable, "-m", "loadtests.chaos.fullness", room,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        told = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        shutil.rmtree(room)
    with capsys.disabled():
        sys.stdout.write("\n" + "".join(line for line in told.splitlines(keepends=True) if "acknowledged" in line))
    assert process.returncode == 0, told
    assert "0 lost, 0 doubled, 0 dangling" in told


USER_APART = ("unshare", "--user", "--map-current-user", "--keep-caps", "--mount")


class SlowStore(FileStore):
    """The store behind a slow disk."""

    async def put_stream(self, stream, *, limit):
        await asyncio.sleep(3)
        return await super().put_stream(stream, limit=limit)


async def test_a_slow_store_keeps_nobody_else_waiting(ground, province, tmp_path):
    keys = {"data_keys": {"test1": province.data_key}, "data_key": "test1", "pool_write": 4}
    async with serving(ground.db.dsn("app"), tmp_path, clock=ground.clock, **keys) as (web, app):
        account = province.accounts.of("tiepnhan.kinhbac")
        assert (await log_in(web, account.login, account.password)).status_code == 201
        app.state.blobs = SlowStore(tmp_path)
        content = [b"%%PDF-1.7\n%d" % n for n in range(12)]
        slow = [
            asyncio.create_task(web.post("/uploads?profile=handed_in", content=one, headers=new_key()))
            for one in content
        ]
        await asyncio.sleep(0.2)
        began = time.perf_counter()
        assert (await file_dossier(web)).is_success
        assert time.perf_counter() - began < 2, "a slow store holds neither the loop nor connections"
        assert not any(task.done() for task in slow)
        assert all(answer.is_success for answer in await asyncio.gather(*slow))


@contextlib.contextmanager
def jumped(place, seconds: int):
    """Put the clock of whoever reads this file ahead."""
    place.write_text(f"+{seconds}")
    try:
        yield
    finally:
        place.write_text("+0")


async def test_a_clock_that_jumps_ahead_and_back_loses_nothing(ground, province, tmp_path):
    assert FAKETIME.exists(), "make test-tools"
    place = tmp_path / "faketime"
    place.write_text("+0")
    fake = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(place),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    step = "/dossiers/{}/steps/{}".format
    ward = ground.actor("thuly").agency_id
    async with (
        api_process(ground.db, province, tmp_path, **fake) as api,
        api.client("tiepnhan.kinhbac") as counter,
        api.client("thuly.kinhbac") as officer,
    ):
        with jumped(place, JUMP_S):
            filed = (await file_dossier(counter)).json()
            ahead = await ground.db.admin.fetchval(
                "SELECT extract(epoch FROM submitted_at - now())::float8 FROM dossier WHERE id = $1::text::uuid",
                filed["id"],
            )
            assert ahead > JUMP_S / 2, "the clock did jump"
            order = {"facts": {"agency_id": str(ward)}}
            handed = await counter.post(step(filed["code"], "hand_over"), json=order, headers=new_key())
            assert handed.is_success, handed.text
        for action in ("confirm_hand_over", "appraise"):
            answer = await officer.post(step(filed["code"], action), json={"facts": {}}, headers=new_key())
            assert answer.is_success, answer.text
        seen = await officer.get(f"/dossiers/{filed['code']}")
        assert seen.json()["status"] == "drafting"
    numbers = await ground.db.admin.fetch(
        "SELECT seq FROM journal WHERE dossier_id = $1::text::uuid ORDER BY recorded_at, seq", filed["id"]
    )
    assert sorted(row["seq"] for row in numbers) == list(range(1, len(numbers) + 1))
