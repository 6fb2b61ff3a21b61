"""One intent, one effect: twins, repeats, other bodies, deaths between effect and answer."""

import asyncio
import contextlib
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
import pytest
import pytest_asyncio
from litestar import Request, Response, delete, post

from api import audit
from api.errors import Busy, Refused
from api.http import idempotency
from api.http.auth.guards import requires
from api.http.idempotency import store
from api.kernel import Actor
from tests.office import Office, SetClock, client_of, log_in, new_key, serving


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    note: Annotated[str, msgspec.Meta(max_length=50)]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    zulu: str
    id: UUID
    alpha: int = 1


class Gate:
    """Holds every piece of work until it is opened, and can make the next ones fail."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()
        self.fail: Exception | None = None


gate = Gate()


async def work(tx: Any, actor: Actor, at: datetime) -> Done:
    gate.entered.set()
    await gate.open.wait()
    if gate.fail is not None:
        raise gate.fail
    made = uuid4()
    await audit.append(
        tx, actor, process="api", action="probe", subject_kind="probe", subject_id=made, detail={}, at=at
    )
    return Done(zulu="z", id=made)


@post("/probe/things/{thing_id:uuid}", guards=[requires("dossier.receive")], status_code=202)
async def make_thing(
    request: Request[Any, Any, Any], thing_id: UUID, data: Order, actor: Actor, at: datetime
) -> Response[Done]:
    return await idempotency.run(request, actor, lambda tx: work(tx, actor, at))


@post("/probe/uploads", guards=[requires("dossier.receive")])
async def upload(request: Request[Any, Any, Any], actor: Actor, at: datetime) -> Response[Done]:
    hashed = sha256()
    async for chunk in request.stream():
        hashed.update(chunk)
    return await idempotency.run(request, actor, lambda tx: work(tx, actor, at), body_sha256=hashed.digest())


@delete("/probe/things/{thing_id:uuid}", guards=[requires("dossier.receive")])
async def remove_thing(request: Request[Any, Any, Any], thing_id: UUID, actor: Actor, at: datetime) -> Response[None]:
    return await idempotency.run(request, actor, lambda tx: work(tx, actor, at))


@pytest_asyncio.fixture
async def web(db, tmp_path):
    gate.__init__()
    await Office(db.admin).officer("an")
    async with serving(
        db.dsn("app"), tmp_path, clock=SetClock(), extra=[make_thing, upload, remove_thing], pool_write=4
    ) as (client, app):
        client.app, client.clock = app, app.state.edge.clock
        await log_in(client)
        yield client


THING = "/probe/things/0191f3c2-7a4e-7c1b-9d7e-0b1a2c3d4e5f"
OTHER = "/probe/things/0191f3c2-7a4e-7c1b-9d7e-0b1a2c3d4e60"


async def effects(db) -> int:
    return await db.admin.fetchval("SELECT count(*) FROM audit WHERE action = 'probe'")


async def test_a_repeat_gets_the_same_answer_byte_for_byte(web, db):
    key = new_key()
    first = await web.post(THING, json={"note": "a"}, headers=key)
    again = await web.post(THING, json={"note": "a"}, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert await effects(db) == 1


async def test_a_hundred_parallel_twins_have_one_effect(web, db):
    key = new_key()
    answers = await asyncio.gather(*(web.post(THING, json={"note": "a"}, headers=key) for _ in range(100)))
    done = [answer for answer in answers if answer.status_code == 202]
    twins = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(twins) == 100
    assert done
    assert all(twin.json()["code"] == "request-in-flight" and twin.headers["retry-after"] == "1" for twin in twins)
    assert len({answer.content for answer in done}) == 1
    assert await effects(db) == 1
    assert (await web.post(THING, json={"note": "a"}, headers=key)).headers["idempotency-replayed"] == "true"


async def test_a_twin_in_flight_holds_no_connection(web, db):
    gate.open.clear()
    key = new_key()
    first = asyncio.create_task(web.post(THING, json={"note": "a"}, headers=key))
    await gate.entered.wait()
    twins = await asyncio.gather(*(web.post(THING, json={"note": "a"}, headers=key) for _ in range(20)))
    assert {twin.status_code for twin in twins} == {409}
    pool = web.app.state.edge.pools.write
    assert pool.get_size() - pool.get_idle_size() == 1
    gate.open.set()
    assert (await first).status_code == 202
    assert await effects(db) == 1


async def test_a_twin_in_another_process_is_told_by_the_database(web, db):
    key = new_key()
    account = await db.admin.fetchval("SELECT id FROM account")
    route = "POST /probe/things/{thing_id}"
    async with (await db.pools("app")).transaction() as tx:
        held = await store.take_intent(tx, str(account), route, key["Idempotency-Key"])
        assert store.taken(held) == (True, None)
        twin = await web.post(THING, json={"note": "a"}, headers=key)
        assert (twin.status_code, twin.json()["code"]) == (409, "request-in-flight")
    assert (await web.post(THING, json={"note": "a"}, headers=key)).status_code == 202
    assert await effects(db) == 1


@pytest.mark.parametrize(
    ("path", "body"), [(THING, {"note": "b"}), (OTHER, {"note": "a"}), (THING + "?x=1", {"note": "a"})]
)
async def test_the_same_key_with_another_request_is_refused(web, db, path, body):
    key = new_key()
    await web.post(THING, json={"note": "a"}, headers=key)
    other = await web.post(path, json=body, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert await effects(db) == 1


async def test_keys_of_other_people_and_other_routes_are_other_intents(web, db):
    await Office(db.admin).officer("binh")
    binh = client_of(web.app)
    await log_in(binh, "binh")
    key = new_key()
    answers = [
        await web.post(THING, json={"note": "a"}, headers=key),
        await binh.post(THING, json={"note": "a"}, headers=key),
        await web.delete(THING, headers=key),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 204]
    assert await effects(db) == 3


async def test_the_answer_is_lost_after_the_effect_and_comes_with_the_repeat(web, db, monkeypatch):
    key = new_key()

    def die(*_: object) -> None:
        raise ConnectionResetError("the process died between effect and answer")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "_json", die)
        lost = await web.post(THING, json={"note": "a"}, headers=key)
    assert lost.status_code >= 500
    assert await effects(db) == 1
    again = await web.post(THING, json={"note": "a"}, headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert await effects(db) == 1


async def test_the_client_goes_away_in_the_middle_and_nothing_is_half_done(web, db):
    gate.open.clear()
    key = new_key()
    first = asyncio.create_task(web.post(THING, json={"note": "a"}, headers=key))
    await gate.entered.wait()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    assert await effects(db) == 0
    gate.open.set()
    assert (await web.post(THING, json={"note": "a"}, headers=key)).status_code == 202
    assert await effects(db) == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Refused("vi", "en", allowed=("withdraw",)), 409),
        (Busy("vi", "en", retry_after_s=2), 503),
        (ZeroDivisionError(), 500),
    ],
)
async def test_what_was_refused_is_not_kept(web, db, fault, status):
    key = new_key()
    gate.fail = fault
    assert (await web.post(THING, json={"note": "a"}, headers=key)).status_code == status
    gate.fail = None
    after = await web.post(THING, json={"note": "b"}, headers=key)
    assert after.status_code == 202
    assert "idempotency-replayed" not in after.headers
    assert await effects(db) == 1


async def test_a_refused_body_is_not_kept(web, db):
    key = new_key()
    assert (await web.post(THING, json={"note": "x" * 51}, headers=key)).status_code == 422
    assert (await web.post(THING, json={"note": "x"}, headers=key)).status_code == 202
    assert await db.admin.fetchval("SELECT count(*) FROM idempotency") == 1


async def test_after_23_hours_the_answer_is_still_known(web, db):
    key = new_key()
    first = await web.post(THING, json={"note": "a"}, headers=key)
    web.clock.move(hours=23)
    await log_in(web)
    again = await web.post(THING, json={"note": "a"}, headers=key)
    assert again.content == first.content
    assert await effects(db) == 1


async def test_an_upload_is_known_by_its_digest(web, db):
    key = new_key()
    first = await web.post("/probe/uploads", content=b"%PDF-1.7 one", headers=key)
    again = await web.post("/probe/uploads", content=b"%PDF-1.7 one", headers=key)
    other = await web.post("/probe/uploads", content=b"%PDF-1.7 two", headers=key)
    assert first.status_code == again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json()["code"] == "idempotency-key-reused"
    assert await effects(db) == 1


async def test_an_answer_without_body_is_replayed_without_body(web, db):
    key = new_key()
    first = await web.delete(THING, headers=key)
    again = await web.delete(THING, headers=key)
    assert (first.status_code, again.status_code, again.content) == (204, 204, b"")
    assert await effects(db) == 1


@pytest.mark.parametrize("key", ["", " ", "\t", "k" * 256, "khóa".encode(), b"a\x7fb"])
async def test_a_key_that_cannot_be_one_is_refused(web, db, key):
    answer = await web.post(THING, json={"note": "a"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["code"].startswith("idempotency-key-")
    assert await effects(db) == 0


async def test_the_longest_key_works(web, db):
    assert (await web.post(THING, json={"note": "a"}, headers={"Idempotency-Key": "k" * 255})).status_code == 202
    assert await effects(db) == 1
