"""The edge as a whole: the matrix of input that must get a clear answer, and what every answer carries."""

import json
import unicodedata
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
import pytest_asyncio
from litestar import Request, Response, get, post

from api.app import MAX_BODY_BYTES, create_app
from api.errors import Refused
from api.http import idempotency
from api.http.auth.guards import PUBLIC, requires
from api.http.text import Code, LongText, ShortText
from api.kernel import Actor
from tests.office import Office, SetClock, client_of, log_in, new_key, serving, settings_for

PROBLEM = {"type", "title", "status", "code", "detail", "detail_en", "next_step", "next_step_en", "reference"}


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    title: ShortText
    text: LongText | None = None
    code: Code | None = None
    count: int = 1


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    length: int


@post("/probe/notes", guards=[requires("dossier.receive")])
async def take_note(request: Request[Any, Any, Any], data: Note, actor: Actor) -> Response[Noted]:
    async def work(_tx: object) -> Noted:
        return Noted(title=data.title, length=len(data.title))

    return await idempotency.run(request, actor, work)


@get("/probe/search", guards=[requires("dossier.read")])
async def search(q: str) -> dict[str, str]:
    return {"q": q}


@get("/probe/break", guards=[requires("dossier.read")])
async def break_down() -> None:
    raise RuntimeError("mật khẩu cơ sở dữ liệu là hunter2")


@get("/probe/refuse", guards=[requires("dossier.read")])
async def refuse() -> None:
    raise Refused("Hồ sơ đã trả.", "Already delivered.", allowed=("recall",), status="delivered")


EXTRA = [take_note, search, break_down, refuse]


@pytest_asyncio.fixture
async def web(db, tmp_path):
    await Office(db.admin).officer("an")
    async with serving(db.dsn("app"), tmp_path, clock=SetClock(), extra=EXTRA) as (client, app):
        client.app = app
        await log_in(client)
        yield client


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a whole problem of this status and code, and return it."""
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert body.keys() >= PROBLEM
    assert body["status"] == status
    assert body["reference"] == answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    return body


NAME_NFD = unicodedata.normalize("NFD", "Nguyễn Thị Hường")


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b'{"title": "a\\u0000b"}', 400, "control-character", None),
        (b'{"title": "a", "x\\u0000": 1}', 400, "control-character", None),
        (b'{"title": "\\u001b[31m"}', 400, "control-character", None),
        (b'{"title": "\xff\xfe"}', 400, "not-utf-8", None),
        (b'{"title": "\\ud800"}', 400, "bad-json", None),
        (b'{"title": "a"', 400, "bad-json", None),
        (b"\x00", 400, "bad-json", None),
        (b"[" * 200_000, 422, "invalid-field", ""),
        (b'{"title":' * 5_000 + b"1" + b"}" * 5_000, 422, "invalid-field", "title"),
        (b"", 400, "body-missing", None),
        (b"null", 422, "invalid-field", ""),
        (b'{"title": "a", "surprise": 1}', 422, "invalid-field", "surprise"),
        (b"{}", 422, "invalid-field", "title"),
        (b'{"title": ""}', 422, "invalid-field", "title"),
        (b'{"title": 5}', 422, "invalid-field", "title"),
        (b'{"title": "a", "count": "5"}', 422, "invalid-field", "count"),
        (b'{"title": "a", "count": 1e400}', 422, "invalid-field", "count"),
        (json.dumps({"title": "x" * 201}).encode(), 422, "invalid-field", "title"),
        (json.dumps({"title": "a", "text": "x" * 4001}).encode(), 422, "invalid-field", "text"),
        (json.dumps({"title": "a", "code": "mã số"}).encode(), 422, "invalid-field", "code"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_bodies_get_a_clear_answer(web, body, status, code, field):
    headers = new_key() | {"Content-Type": "application/json"}
    problem = is_problem(await web.post("/probe/notes", content=body, headers=headers), status, code)
    if field is not None:
        assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize("ascii_only", [True, False])
async def test_text_is_stored_in_nfc_however_it_was_typed(web, ascii_only):
    body = json.dumps({"title": NAME_NFD}, ensure_ascii=ascii_only).encode()
    headers = new_key() | {"Content-Type": "application/json"}
    answer = await web.post("/probe/notes", content=body, headers=headers)
    assert answer.json() == {"title": "Nguyễn Thị Hường", "length": len("Nguyễn Thị Hường")}


async def test_a_length_is_counted_in_nfc(web):
    title = unicodedata.normalize("NFD", "ễ" * 200)
    assert (await web.post("/probe/notes", json={"title": title}, headers=new_key())).status_code == 201


async def test_queries_and_paths_are_cleaned_too(web):
    assert (await web.get("/probe/search", params={"q": NAME_NFD})).json() == {"q": "Nguyễn Thị Hường"}
    assert (await web.get("/probe/search?q=a+b%20c%2Bd")).json() == {"q": "a b c+d"}
    is_problem(await web.get("/probe/search?q=%00"), 400, "control-character")
    is_problem(await web.get("/probe/search?q=%ff"), 400, "not-utf-8")
    is_problem(await web.get("/probe/search?q=a&q=b"), 400, "parameter-twice")
    is_problem(await web.get("/probe/search?q=null"), 400, "null")
    is_problem(await web.get("/probe/search?q=" + "a" * 9000), 413, "address-too-long")
    is_problem(await web.get("/probe/a%00b"), 400, "control-character")
    missing = is_problem(await web.get("/probe/search"), 422, "invalid-field")
    assert missing["errors"][0] == {
        "field": "q",
        "where": "query",
        "detail": "thiếu trường bắt buộc",
        "detail_en": "is required",
    }


async def test_what_is_too_large_is_refused_announced_or_not(web):
    headers = new_key() | {"Content-Type": "application/json"}
    large = b'{"title": "' + b"a" * MAX_BODY_BYTES + b'"}'
    is_problem(await web.post("/probe/notes", content=large, headers=headers), 413, "body-too-large")

    async def drip() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    is_problem(await web.post("/probe/notes", content=drip(), headers=headers), 413, "body-too-large")


async def test_wrong_types_methods_and_addresses(web):
    headers = new_key() | {"Content-Type": "text/plain"}
    is_problem(await web.post("/probe/notes", content=b"{}", headers=headers), 415, "unsupported-media-type")
    wrong = await web.patch("/probe/notes", headers=new_key())
    is_problem(wrong, 405, "method-not-allowed")
    assert "POST" in wrong.headers["allow"]
    told = await web.options("/session")
    assert (told.status_code, told.headers["allow"]) == (204, "DELETE, GET, OPTIONS, POST, PUT")
    is_problem(await web.get("/khong-co"), 404, "route-not-found")


async def test_the_inside_does_not_leak(web):
    problem = is_problem(await web.get("/probe/break"), 500, "internal")
    assert "hunter2" not in json.dumps(problem, ensure_ascii=False)
    assert "RuntimeError" not in json.dumps(problem)


async def test_a_refused_step_says_what_is_allowed(web):
    problem = is_problem(await web.get("/probe/refuse"), 409, "step-refused")
    assert problem["allowed"] == ["recall"]
    assert problem["status_fact"] == "delivered"


async def test_every_answer_carries_trace_and_security_headers(web):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answers = [
        await web.get(path, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        for path in ("/healthz", "/khong-co", "/probe/break", "/session")
    ]
    for answer in answers:
        assert answer.headers["x-request-id"] == trace
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_metrics_know_routes_and_never_paths(web):
    await web.get("/procedures/9.999999")
    page = (await web.get("/metrics")).text
    assert 'route="/procedures/{code}"' in page
    assert "9.999999" not in page
    for name in ("motcua_http_seconds_bucket", "motcua_event_loop_lag_seconds", "motcua_password_queue"):
        assert name in page
    assert 'motcua_pool_in_use{pool="write"}' in page


async def test_only_a_trusted_proxy_may_name_the_client(db, tmp_path):
    await Office(db.admin).officer("an")
    async with serving(db.dsn("app"), tmp_path, trusted_proxies=("10.1.0.0/16",)) as (_, app):
        for peer, forwarded, seen in [
            ("10.1.0.1", "203.0.113.7", "203.0.113.7"),
            ("10.1.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),
            ("10.1.0.1", "203.0.113.7, 10.1.0.2", "203.0.113.7"),
            ("10.1.0.1", "rubbish", "10.1.0.1"),
            ("10.2.0.1", "203.0.113.7", "10.2.0.1"),
        ]:
            await log_in(client_of(app, peer, **{"X-Forwarded-For": forwarded}))
            latest = await db.admin.fetchval("SELECT source FROM session ORDER BY id DESC LIMIT 1")
            assert str(latest) == seen


async def test_a_database_that_is_away_is_503_and_readyz_says_so(db, tmp_path):
    await Office(db.admin).officer("an")
    async with serving(db.dsn("app"), tmp_path, extra=EXTRA, pool_budget_s=0.5) as (web, _):
        await log_in(web)
        server_side = await asyncpg.connect(db.cluster.dsn("admin", "postgres"))
        await server_side.execute(f"ALTER DATABASE {db.name} CONNECTION LIMIT 0")
        await server_side.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND usename = 'app'", db.name
        )
        answers = [await web.get("/session") for _ in range(3)]
        assert all(answer.status_code in (500, 503) for answer in answers), [answer.text for answer in answers]
        away = is_problem(answers[-1], 503, "database-away")
        assert away["next_step"]
        assert int(answers[-1].headers["retry-after"]) > 0
        ready = await web.get("/readyz")
        assert (ready.status_code, ready.json()["database_read"], ready.json()["store"]) == (503, False, True)
        assert (await web.get("/healthz")).status_code == 200
        await server_side.execute(f"ALTER DATABASE {db.name} CONNECTION LIMIT -1")
        await server_side.close()
        assert (await web.get("/session")).status_code == 200
        assert (await web.get("/readyz")).status_code == 200


async def test_a_route_without_guard_or_mark_stops_the_start(tmp_path):
    @get("/probe/open")
    async def forgotten() -> None:
        return None

    @get("/probe/marked", opt={PUBLIC: True})
    async def marked() -> None:
        return None

    @get("/probe/unknown", guards=[requires("coffee.make")])
    async def unknown_action() -> None:
        return None

    with pytest.raises(RuntimeError) as caught:
        create_app(settings_for("postgresql://x/y", tmp_path), extra=[forgotten, marked, unknown_action])
    for path in ("/probe/open", "/probe/marked", "coffee.make"):
        assert path in str(caught.value)


async def test_the_description_is_exact(web):
    document = (await web.get("/schema/openapi.json")).json()
    note = document["paths"]["/probe/notes"]["post"]
    key = next(known for known in note["parameters"] if known["name"] == "Idempotency-Key")
    assert key["required"]
    assert note["security"] == [{"bearer": []}, {"cookie": []}]
    problem = document["components"]["responses"][note["responses"]["409"]["$ref"].rpartition("/")[2]]
    assert problem["content"].keys() == {"application/problem+json"}
    reference = note["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    body = document["components"]["schemas"][reference]
    assert body["additionalProperties"] is False
    assert body["properties"]["title"]["maxLength"] == 200
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert all(
        item.get("summary") and item.get("description")
        for item in operations
        if "probe" not in item["operationId"].lower()
    )
    log_in_operation = document["paths"]["/session"]["post"]
    assert log_in_operation["security"] == []
    assert not any(known["name"] == "Idempotency-Key" for known in log_in_operation.get("parameters", []))
    assert document["components"]["schemas"]["Problem"]["properties"].keys() >= PROBLEM
