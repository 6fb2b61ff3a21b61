"""What an operator sets while the system runs: modes that say why and until when, and limits that fit an agency."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from api.cli import main
from api.errors import MotcuaError
from api.http.control import command, rules
from api.http.control.rules import Limit
from tests.journey.test_edge import is_problem
from tests.office import Office, SetClock, client_of, log_in, new_key, serving

HEARD_S = 2.0


def silent(_vi: str, _en: str) -> None:
    pass


@pytest_asyncio.fixture
async def web(db, tmp_path):
    await Office(db.admin).officer("an", "counter", "head_of_centre")
    async with serving(db.dsn("app"), tmp_path, clock=SetClock()) as (client, app):
        client.app = app
        await log_in(client)
        yield client


async def heard(ask, wanted) -> float:
    """Seconds until an answer is as wanted."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(15):
        while not wanted(await ask()):
            await asyncio.sleep(0.02)
    return loop.time() - began


async def test_modes_answer_explicitly_and_health_goes_on(web, db, tmp_path):
    owner, clock = db.dsn("admin"), web.app.state.edge.clock
    until = (clock() + timedelta(minutes=10)).isoformat()
    async with serving(db.dsn("app"), tmp_path, clock=clock) as (second, _):
        second.headers["Authorization"] = web.headers["Authorization"]
        await command.mode(owner, "read-only", reason="chuyển máy chủ", until=until, say=silent)
        for process in (web, second):
            took = await heard(
                lambda p=process: p.post("/dossiers", json={}, headers=new_key()), lambda a: a.status_code == 503
            )
            assert took < HEARD_S
    refused = await web.post("/dossiers", json={}, headers=new_key())
    problem = is_problem(refused, 503, "read-only")
    assert (problem["reason"], datetime.fromisoformat(problem["until"])) == (
        "chuyển máy chủ",
        datetime.fromisoformat(until),
    )
    assert refused.headers["retry-after"] == "600"
    assert "chuyển máy chủ" in problem["detail"]
    assert (await web.get("/session")).status_code == 200, "reading goes on"
    fresh = client_of(web.app)
    assert (await log_in(fresh)).status_code == 201, "nobody could come in to read"
    assert (await fresh.delete("/session")).status_code == 204

    await command.mode(owner, "maintenance", reason="nâng cấp", until=None, say=silent)
    await heard(lambda: web.get("/session"), lambda answer: answer.status_code == 503)
    is_problem(await web.get("/session"), 503, "maintenance")
    is_problem(await log_in(client_of(web.app)), 503, "maintenance")
    ready = await web.get("/readyz")
    assert (ready.status_code, ready.json()["ready"], ready.json()["mode"]["mode"]) == (200, True, "maintenance")
    assert [(await web.get(path)).status_code for path in ("/healthz", "/metrics", "/schema/openapi.json")] == [200] * 3

    await command.mode(owner, "normal", reason="", until=None, say=silent)
    await heard(lambda: web.get("/session"), lambda answer: answer.status_code == 200)
    told = [
        json.loads(row["detail"]) if isinstance(row["detail"], str) else row["detail"]
        for row in await db.admin.fetch("SELECT detail FROM audit WHERE action = 'service.mode' ORDER BY id")
    ]
    assert [one["mode"] for one in told] == ["read-only", "maintenance", "normal"]


async def test_a_mode_is_heard_also_when_the_bell_is_lost(web, db):
    await db.admin.execute("DROP TRIGGER service_mode_changed ON service_mode")
    await command.mode(db.dsn("admin"), "maintenance", reason="thử", until=None, say=silent)
    await db.admin.execute("UPDATE registry_version SET version = version + 1")
    took = await heard(lambda: web.get("/session"), lambda answer: answer.status_code == 503)
    assert took < HEARD_S


async def test_nobody_is_shut_out_without_a_reason(db, monkeypatch, capsys):
    with pytest.raises(MotcuaError) as refused:
        await command.mode(db.dsn("admin"), "maintenance", reason=" ", until=None, say=silent)
    assert refused.value.kind_code == "reason-missing"
    monkeypatch.setenv("DATABASE_URL", db.dsn("admin"))
    assert await asyncio.to_thread(main, ["mode", "read-only", "--reason", "x", "--until", "mai"]) == 1
    assert "ISO 8601" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["mode"]) == 0
    assert "Chế độ: normal" in capsys.readouterr().out


async def test_the_roles_of_processes_set_neither_mode_nor_limit(db):
    for role in ("app", "signer", "worker"):
        pools = await db.pools(role)
        for statement in ("UPDATE service_mode SET mode = 'normal'", "DELETE FROM rate_limit"):
            with pytest.raises(Exception, match="permission denied"):
                async with pools.transaction() as tx:
                    await tx.execute(statement)


async def ask(web, times: int, path: str = "/desk/head") -> list[int]:
    return [answer.status_code for answer in [await web.get(path) for _ in range(times)]]


async def test_an_agency_is_limited_and_its_override_holds_without_restart(web, db, monkeypatch):
    monkeypatch.setitem(rules.AGENCY, "officers", Limit(per_second=0.01, burst=5))
    office = Office(db.admin)
    ward = await office.agency("A2", "UBND phường Hai")
    post = await office.post(ward, "counter")
    for login in ("binh", "cuc"):
        await office.person(login, ward, post)
    binh, cuc = client_of(web.app), client_of(web.app)
    await log_in(binh, "binh")
    await log_in(cuc, "cuc")
    assert await ask(binh, 5, "/session") == [200] * 5
    refused = await cuc.get("/session")
    problem = is_problem(refused, 429, "rate-limited")
    assert problem["limit_of"] == "agency", "the whole agency has used up its tokens"
    assert int(refused.headers["retry-after"]) > 1
    assert await ask(web, 3, "/session") == [200] * 3, "another agency behind the same address is not touched"
    await command.limit(db.dsn("admin"), "A2", "officers", (1000.0, 1000), reason="cao điểm", say=silent)
    assert await heard(lambda: cuc.get("/session"), lambda answer: answer.status_code == 200) < HEARD_S
    assert set(await ask(binh, 20, "/session")) == {200}
    await command.limit(db.dsn("admin"), "A2", "officers", None, reason="", say=silent)
    assert await heard(lambda: cuc.get("/session"), lambda answer: answer.status_code == 429) < HEARD_S + 2


async def test_one_runaway_page_does_not_use_up_what_its_agency_may(web, db, monkeypatch):
    monkeypatch.setitem(rules.ACCOUNT, "officers", Limit(per_second=0.01, burst=3))
    agency = await db.admin.fetchval("SELECT id FROM agency")
    await Office(db.admin).person("binh", agency, await db.admin.fetchval("SELECT id FROM post"))
    binh = client_of(web.app)
    await log_in(binh, "binh")
    assert await ask(web, 4, "/session") == [200, 200, 200, 429]
    assert (await binh.get("/session")).status_code == 200


async def test_citizens_behind_one_address_ask_for_different_dossiers(web, monkeypatch):
    monkeypatch.setitem(rules.CALLER, "citizens", Limit(per_second=0.01, burst=2))
    secret = {"X-Dossier-Secret": "khong-dung"}
    kiosk = client_of(web.app, "10.9.9.9", **secret)
    assert (await ask(kiosk, 3, "/track/H21.01-1"))[2:] == [429]
    assert 429 not in await ask(kiosk, 2, "/track/H21.01-2"), "the next in the queue was taken for the one before"
    assert 429 not in await ask(client_of(web.app, "10.9.9.8", **secret), 2, "/track/H21.01-1")


@pytest.mark.parametrize(
    ("agency", "work", "rate", "code"),
    [
        ("A9", "officers", (1.0, 1), "no-agency"),
        ("all", "coffee", (1.0, 1), "unknown-work"),
        ("all", "officers", (0.0, 1), "limit-incomplete"),
    ],
)
async def test_a_limit_that_means_nothing_is_refused(db, agency, work, rate, code):
    with pytest.raises(MotcuaError) as refused:
        await command.limit(db.dsn("admin"), agency, work, rate, reason="x", say=silent)
    assert refused.value.kind_code == code
