"""Log-in and sessions over the real app and a real database: who gets in, who does not, and what they are told."""

import asyncio
import statistics
import time
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from argon2 import PasswordHasher
from litestar import get, post

from api.errors import Busy
from api.http.auth.guards import requires
from api.http.auth.passwords import PasswordPool
from api.kernel import Actor
from tests.office import PASSWORD, Office, SetClock, client_of, log_in, new_key, serving


@get("/probe/read", guards=[requires("dossier.read")])
async def read_probe(actor: Actor) -> dict[str, str]:
    return {"account": str(actor.account_id), "agency": str(actor.agency_id)}


@post("/probe/publish", guards=[requires("procedure.publish")])
async def publish_probe() -> None:
    return None


EXTRA = [read_probe, publish_probe]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest_asyncio.fixture
async def web(db, tmp_path, clock):
    async with serving(db.dsn("app"), tmp_path, clock=clock, extra=EXTRA) as (client, app):
        client.app = app
        yield client


@pytest.fixture
def office(db) -> Office:
    return Office(db.admin)


async def test_log_in_look_and_log_out(web, office, db):
    account = await office.officer("an")
    opened = await log_in(web, " AN ")
    assert opened.status_code == 201
    me = (await web.get("/session")).json()
    assert me["account_id"] == str(account)
    assert me["display_name"] == "Nguyễn Văn An"
    assert "dossier.receive" in me["actions"]
    assert "token" not in me
    assert (await web.get("/probe/read")).json()["account"] == str(account)
    assert (await web.delete("/session")).status_code == 204
    assert (await web.get("/probe/read")).json()["code"] == "no-session"
    assert await db.admin.fetchval("SELECT count(*) FROM audit WHERE action LIKE 'session.%'") == 2


async def test_ones_own_sessions_are_listed_and_ended_one_by_one(web, office, db, clock):
    account = await office.officer("an")
    await office.officer("binh")
    there = (await log_in(web)).json()["token"]
    clock.move(seconds=120)
    browser = {"User-Agent": "Trinh duyet " + "x" * 300}
    stranger = client_of(web.app)
    await log_in(stranger, "binh")
    here = client_of(web.app)
    here.headers.update(browser)
    await log_in(here)
    listed = await here.get("/sessions")
    one, other = listed.json()
    assert (one["this"], other["this"]) == (True, False)
    assert (one["seen_at"], other["seen_at"]) == (one["began_at"], other["began_at"])
    assert one["began_at"] > other["began_at"]
    assert one["user_agent"] == browser["User-Agent"][:200]
    assert one["source"] is not None
    assert there not in listed.text
    assert "token" not in listed.text

    ids = {session["session_id"] for session in (one, other)}
    (foreign,) = (await stranger.get("/sessions")).json()
    assert foreign["session_id"] not in ids
    for nobodys in (foreign["session_id"], str(uuid4())):
        refused = await here.delete(f"/sessions/{nobodys}")
        assert (refused.status_code, refused.json()["code"]) == (404, "no-such-session")
    assert (await stranger.get("/session")).status_code == 200

    assert (await here.delete(f"/sessions/{other['session_id']}")).status_code == 204
    assert (await web.get("/session")).json()["code"] == "no-session", "the token is worth nothing at once"
    assert (await here.delete(f"/sessions/{other['session_id']}")).status_code == 404
    assert [session["session_id"] for session in (await here.get("/sessions")).json()] == [one["session_id"]]
    said = await db.admin.fetch("SELECT actor_account_id, detail FROM audit WHERE action = 'session.end_one'")
    assert [(row["actor_account_id"], row["detail"]["session_id"]) for row in said] == [(account, other["session_id"])]

    await log_in(web)
    clock.move(seconds=8 * 3600 - 60)
    await log_in(here)
    clock.move(seconds=120)
    (left,) = (await here.get("/sessions")).json()
    assert left["this"], "what has been idle for too long is no longer listed"
    assert (await here.delete(f"/sessions/{left['session_id']}")).status_code == 204
    assert (await here.get("/sessions")).json()["code"] == "no-session"


async def test_only_the_hash_of_the_token_is_kept(web, office, db):
    await office.officer("an")
    token = (await log_in(web)).json()["token"]
    row = await db.admin.fetchrow("SELECT * FROM session")
    assert len(token) >= 43
    assert token not in repr(dict(row))
    assert token.encode() not in row["token_sha256"]


async def test_the_cookie_alone_is_a_session_too(web, office):
    await office.officer("an")
    answer = await log_in(web)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    browser = client_of(web.app, cookie=cookie.partition(";")[0])
    assert (await browser.get("/session")).status_code == 200
    foreign = await browser.delete("/session", headers={"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "cross-site")
    assert (await browser.delete("/session", headers={"Sec-Fetch-Site": "same-origin"})).status_code == 204


async def test_behind_tls_the_cookie_is_bound_to_the_host(db, tmp_path, office):
    await office.officer("an")
    async with serving(db.dsn("app"), tmp_path, public_url="https://motcua.test") as (web, _):
        answer = await log_in(web)
        assert answer.headers["set-cookie"].startswith("__Host-motcua=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]


async def test_a_session_outlives_a_restart(db, tmp_path, office, clock):
    await office.officer("an")
    async with serving(db.dsn("app"), tmp_path, clock=clock) as (web, _):
        token = (await log_in(web)).json()["token"]
    async with serving(db.dsn("app"), tmp_path, clock=clock) as (web, _):
        web.headers["Authorization"] = f"Bearer {token}"
        assert (await web.get("/session")).status_code == 200


async def test_a_session_ends_when_idle_and_when_old(db, tmp_path, office, clock):
    await office.officer("an")
    limits = {"session_idle_s": 600, "session_absolute_s": 1500}
    async with serving(db.dsn("app"), tmp_path, clock=clock, **limits) as (web, _):
        await log_in(web)
        clock.move(seconds=590)
        assert (await web.get("/session")).status_code == 200
        clock.move(seconds=590)
        assert (await web.get("/session")).status_code == 200, "use keeps it alive"
        clock.move(seconds=590)
        expired = await web.get("/session")
        assert (expired.status_code, expired.json()["code"]) == (401, "session-expired")
        await log_in(web)
        clock.move(seconds=601)
        assert (await web.get("/session")).json()["code"] == "session-expired"


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE account SET state = 'locked'",
        "UPDATE post_holding SET valid_to = '2026-01-01'",
        "UPDATE post SET valid_to = '2026-01-01'",
    ],
)
async def test_a_right_taken_away_works_at_the_next_request(web, office, db, spoil):
    await office.officer("an")
    await log_in(web)
    await db.admin.execute(spoil)
    answer = await web.get("/probe/read")
    assert (answer.status_code, answer.json()["code"]) == (403, "not-entitled")


async def test_every_refusal_at_the_door_sounds_the_same(web, office, db):
    await office.officer("an")
    closed = await office.officer("dong")
    await db.admin.execute("UPDATE account SET state = 'closed' WHERE id = $1", closed)
    answers = [
        await log_in(web, "an", "sai mat khau"),
        await log_in(web, "khong-co-ai", PASSWORD),
        await log_in(web, "dong", PASSWORD),
        await log_in(web, "dong", "sai mat khau"),
    ]
    bodies = [answer.json() | {"reference": ""} for answer in answers]
    assert all(answer.status_code == 401 for answer in answers)
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["code"] == "wrong-login"


async def test_a_locked_account_is_told_so_only_with_the_right_password(web, office, db):
    account = await office.officer("an")
    await db.admin.execute("UPDATE account SET state = 'locked' WHERE id = $1", account)
    assert (await log_in(web, "an", "sai")).json()["code"] == "wrong-login"
    told = await log_in(web, "an")
    assert (told.status_code, told.json()["code"]) == (403, "account-locked")


async def test_an_unknown_account_takes_as_long_as_a_known_one(web, office):
    await office.officer("an")

    async def took(login: str) -> float:
        began = time.perf_counter()
        await log_in(web, login, "sai mat khau")
        return time.perf_counter() - began

    known, unknown = [], []
    for _ in range(4):
        known.append(await took("an"))
        unknown.append(await took("ma"))
    ratio = statistics.median(unknown) / statistics.median(known)
    assert 0.4 < ratio < 2.5, "argon2 runs either way; without it the ratio would be below 0.2"


async def test_five_failures_lock_this_account_from_this_source_only(web, office, clock):
    await office.officer("an")
    await office.officer("binh")
    for _ in range(5):
        assert (await log_in(web, "an", "sai")).json()["code"] == "wrong-login"
    locked = await log_in(web, "an")
    assert (locked.status_code, locked.json()["code"]) == (429, "locked-out")
    assert 0 < int(locked.headers["retry-after"]) <= 61
    assert "1 phút" in locked.json()["detail"] or "2 phút" in locked.json()["detail"]
    assert "quản trị" in locked.json()["next_step"]
    assert (await log_in(web, "binh")).status_code == 201, "the ward behind one address is not locked"
    elsewhere = client_of(web.app, "10.9.9.9")
    assert (await log_in(elsewhere, "an")).status_code == 201, "nobody locks a chairman out from outside"
    clock.move(seconds=61)
    assert (await log_in(web, "an")).status_code == 201
    assert (await log_in(web, "an", "sai")).json()["code"] == "wrong-login", "success forgets the failures"


async def test_an_unknown_account_is_locked_just_the_same(web):
    codes = [(await log_in(web, "khong-co-ai", "sai")).json()["code"] for _ in range(6)]
    assert codes == ["wrong-login"] * 5 + ["locked-out"]


async def test_parallel_guesses_are_counted_too(web, office):
    await office.officer("an")
    answers = await asyncio.gather(*(log_in(client_of(web.app), "an", f"sai {n}") for n in range(12)))
    codes = [answer.json()["code"] for answer in answers]
    assert codes.count("wrong-login") == 5
    assert codes.count("locked-out") == 7


async def test_who_holds_several_posts_chooses_and_switches(web, office):
    ward, department = await office.agency("A1"), await office.agency("A2", "Sở Tư pháp")
    posts = [await office.post(ward, "counter"), await office.post(department, "registrar")]
    await office.person("an", ward, *posts)
    asked = await log_in(web)
    assert (asked.status_code, asked.json()["code"]) == (409, "choose-post")
    assert [item["post_id"] for item in asked.json()["posts"]] == [str(post_id) for post_id in posts]
    assert (await log_in(web, post_id=str(posts[0]))).status_code == 201
    assert (await web.post("/probe/publish", headers=new_key())).json()["code"] == "forbidden"
    switched = await web.put("/session", json={"post_id": str(posts[1])})
    assert switched.json()["post_id"] == str(posts[1])
    assert (await web.post("/probe/publish", headers=new_key())).status_code == 201
    assert (await web.get("/probe/read")).status_code == 403
    foreign = await web.put("/session", json={"post_id": str(uuid4())})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "not-your-post")


async def test_a_post_of_another_person_is_refused_at_log_in(web, office):
    await office.officer("an")
    ward = await office.agency("A9")
    other = await office.post(ward, "registrar")
    assert (await log_in(web, post_id=str(other))).json()["code"] == "not-your-post"


async def test_without_a_post_nobody_gets_in(web, office):
    await office.person("an", await office.agency())
    assert (await log_in(web)).json()["code"] == "no-post"


async def test_changing_the_password_ends_the_other_sessions(web, office):
    await office.officer("an")
    await log_in(web)
    other = client_of(web.app, "10.0.0.2")
    await log_in(other)
    new = "một mật khẩu dài hơn"
    wrong = await web.put("/session/password", json={"current": "sai", "new": new})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong-password")
    short = await web.put("/session/password", json={"current": PASSWORD, "new": "ngắn"})
    assert (short.status_code, short.json()["errors"][0]["field"]) == (422, "new")
    changed = await web.put("/session/password", json={"current": PASSWORD, "new": new})
    assert changed.status_code == 204
    assert (await web.get("/session")).status_code == 200
    assert (await other.get("/session")).json()["code"] == "no-session"
    assert (await log_in(other, "an", PASSWORD)).json()["code"] == "wrong-login"
    assert (await log_in(other, "an", new)).status_code == 201


async def test_an_old_hash_is_made_anew_at_log_in(web, office, db):
    account = await office.officer("an")
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    await db.admin.execute("UPDATE account_password SET argon2 = $2 WHERE account_id = $1", account, old)
    assert (await log_in(web)).status_code == 201
    renewed = await db.admin.fetchval("SELECT argon2 FROM account_password")
    assert "m=19456,t=2,p=1" in renewed
    assert (await log_in(web)).status_code == 201


@pytest.mark.parametrize("token", ["", "x", "Bearer", "Basic YTpi", "Bearer \x00", "Bearer " + "a" * 5000])
async def test_a_made_up_token_is_nobody(web, token):
    answer = await web.get("/probe/read", headers={"Authorization": token})
    assert (answer.status_code, answer.json()["code"]) == (401, "no-session")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_guarded_write_without_a_key_does_no_work(web, office):
    ward = await office.agency()
    await office.person("an", ward, await office.post(ward, "registrar"))
    await log_in(web)
    answer = await web.post("/probe/publish")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")
    long = await web.post("/probe/publish", headers={"Idempotency-Key": "k" * 256})
    assert (long.status_code, long.json()["code"]) == (400, "idempotency-key-invalid")


async def test_the_actor_is_of_the_agency_of_the_post_in_use(web, office):
    ward, other = await office.agency("A1"), await office.agency("A2", "UBND phường Hai")
    await office.person("an", ward, await office.post(other, "counter"))
    await log_in(web)
    assert UUID((await web.get("/probe/read")).json()["agency"]) == other


async def test_the_queue_of_password_hashing_is_bounded():
    pool = PasswordPool(threads=1, queue=3)
    try:
        waiting = [asyncio.create_task(pool.check(None, "x")) for _ in range(3)]
        await asyncio.sleep(0)
        assert pool.waiting == 3
        with pytest.raises(Busy) as caught:
            await pool.check(None, "x")
        assert caught.value.kind_code == "login-queue-full"
        assert await asyncio.gather(*waiting) == [False] * 3
        assert pool.waiting == 0
    finally:
        pool.close()
