"""A hot route answers what the framework would have answered: every request here is asked both ways."""

from contextlib import contextmanager

import msgspec
import pytest
import pytest_asyncio
from litestar import Controller, Litestar, get

from api.http.admission import Admission
from api.http.auth.guards import PUBLIC
from api.http.control.rules import CALLER, Mode
from api.http.hot import HOT, HotRoutes
from api.kernel import system_clock
from api.signatures import handing
from loadtests.bench.ground import FILING, WARD, actor, fill, q
from tests.conftest import _copy
from tests.office import serving

SIGNATORY, COUNTER = f"chutich.{WARD}", f"tiepnhan.{WARD}"
FILED = {
    "procedure_code": FILING.procedure_code,
    "territory_code": FILING.territory_code,
    "filer": {"name": "Nguyễn Thị Mai", "id_number": "024199000001"},
    "parts": [{"part_code": "TK", "name": "Tờ khai", "originals": 1}],
}
PLAIN = [
    ("/track/{code}", None),
    ("/track/{code}?unknown=1", None),
    ("/track/{code}.", None),
    ("/track/H45-250701-9999", None),
    ("/signature-requests", SIGNATORY),
    ("/signature-requests?limit=2", SIGNATORY),
    ("/signature-requests?limit=2&after={next}", SIGNATORY),
    ("/signature-requests?after=nonsense", SIGNATORY),
    ("/signature-requests", None),
    ("/desk/officer", COUNTER),
    ("/desk/officer?scope=mine&limit=1", COUNTER),
    ("/desk/officer?after=nonsense", COUNTER),
    ("/desk/officer", SIGNATORY),
    ("/desk/officer", None),
    ("/dossiers/{code}", COUNTER),
    ("/dossiers/{code}", None),
    ("/dossiers/H45-250701-9999", COUNTER),
    ("/dossiers/{code}/journal", COUNTER),
    ("/dossiers/{code}/journal?after=1", COUNTER),
    ("/documents/{document}/file", SIGNATORY),
    ("/documents/{document}/file", None),
    ("/documents/00000000-0000-0000-0000-000000000000/file", SIGNATORY),
    ("/signature-batches/00000000-0000-0000-0000-000000000000", SIGNATORY),
    (handing.PATH, SIGNATORY),
]
"""What is plainly right, so that it goes the short way to the end, also where the end is a refusal."""
OTHER = [
    ("/track/" + "x" * 65, None),
    ("/track/{code}/", None),
    ("/track/", None),
    ("/track/{code}?unknown=%C3%A0", None),
    ("/track/{code}/x", None),
    ("/signature-requests?limit=0", SIGNATORY),
    ("/signature-requests?limit=201", SIGNATORY),
    ("/signature-requests?limit=x", SIGNATORY),
    ("/signature-requests?limit=", SIGNATORY),
    ("/signature-requests?limit=+5", SIGNATORY),
    ("/signature-requests?limit=x", None),
    ("/desk/officer?scope=everything", COUNTER),
    ("/desk/officer?after=" + "x" * 301, COUNTER),
    ("/dossiers/imported", COUNTER),
    ("/dossiers/{code}/journal?after=-1", COUNTER),
    ("/documents/x/file", SIGNATORY),
]
"""What the framework is left to judge."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def web(cluster, province, tmp_path_factory):
    """The app over a province with some dossiers, and the ways to ask it."""
    async with _copy(cluster, province.database) as database:
        await fill(database.admin, database.dsn("app"), province.vault, 60, lambda _vi, _en: None)
        keys = {"data_keys": {"test1": province.data_key}, "data_key": "test1"}
        room = tmp_path_factory.mktemp("hot")
        async with serving(database.dsn("app"), room, clock=system_clock, **keys) as (client, app):
            client.app, client.hot, client.admin = app, app.asgi_handler._inner, database.admin
            client.code = await database.admin.fetchval("SELECT code FROM dossier ORDER BY id LIMIT 1")
            client.document = await database.admin.fetchval("SELECT id FROM document ORDER BY id LIMIT 1")
            client.tokens = {who: await log_in(client, who) for who in (SIGNATORY, COUNTER)}
            page = await ask(client, "/signature-requests?limit=1", SIGNATORY)
            client.next = page.json()["next"]
            yield client


async def log_in(web, who: str) -> str:
    tokens = web.app.state.edge.tokens
    token = tokens.new()
    await web.admin.execute(q.session, tokens.digest(token), tokens.current, who)
    return token


async def ask(web, path: str, who: str | None, **more):
    headers = {"Authorization": f"Bearer {web.tokens[who]}"} if who else {}
    filled = path.format(code=web.code, next=getattr(web, "next", ""), document=getattr(web, "document", ""))
    return await web.request(more.pop("method", "GET"), filled, headers=headers | more.pop("headers", {}), **more)


@contextmanager
def by_framework(web):
    """Ask without the short way."""
    web.app.asgi_handler._inner = web.hot._framework
    try:
        yield
    finally:
        web.app.asgi_handler._inner = web.hot


def told(response) -> tuple:
    """Status, headers and body but for what each request has for itself."""
    headers = {name: value for name, value in response.headers.items() if name != "x-request-id"}
    content = response.json() if response.text and "json" in headers["content-type"] else response.text
    if isinstance(content, dict):
        content.pop("reference", None)
    return response.status_code, headers, content


async def both(web, path, who, **more) -> tuple[tuple, tuple, bool]:
    """Answers by the short way and by the framework's, and whether the first needed the framework."""
    asked = []
    framework = web.hot._framework

    async def counted(scope, receive, send):
        asked.append(scope["path"])
        await framework(scope, receive, send)

    web.hot._framework = counted
    try:
        short = told(await ask(web, path, who, **dict(more)))
    finally:
        web.hot._framework = framework
    with by_framework(web):
        return short, told(await ask(web, path, who, **dict(more))), bool(asked)


@pytest.mark.parametrize(("path", "who"), PLAIN)
async def test_what_is_plain_goes_the_short_way_to_the_same_answer(web, path, who):
    short, long, needed = await both(web, path, who)
    assert short == long
    assert not needed


@pytest.mark.parametrize(("path", "who"), OTHER)
async def test_what_is_not_plain_is_left_to_the_framework(web, path, who):
    short, long, needed = await both(web, path, who)
    assert short == long
    assert needed


WRONG = [
    ({}, {"Idempotency-Key": "k1"}),
    ({"unknown": 1}, {"Idempotency-Key": "k2"}),
    ([], {"Idempotency-Key": "k3"}),
    (b"{", {"Idempotency-Key": "k4"}),
    (b'{"a": "\\u0000"}', {"Idempotency-Key": "k5"}),
    (FILED | {"procedure_code": 5}, {"Idempotency-Key": "k6"}),
    (FILED | {"procedure_code": "9.999999"}, {"Idempotency-Key": "k7"}),
    (FILED, {}),
    (FILED, {"Idempotency-Key": "x" * 256}),
    (FILED, {"Idempotency-Key": "k8", "Content-Type": "text/plain"}),
    (b"", {"Idempotency-Key": "k9"}),
]
"""Bodies of writes that end in a refusal, with their headers."""


@pytest.mark.parametrize("who", [COUNTER, SIGNATORY, None])
@pytest.mark.parametrize(("body", "headers"), WRONG, ids=lambda one: str(one)[:40])
async def test_a_wrong_body_is_refused_alike_on_both_ways(web, body, headers, who):
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    sent = {"method": "POST", "content": content, "headers": {"Content-Type": "application/json"} | headers}
    for path in ("/dossiers", "/dossiers/{code}/steps/hand_over", "/dossiers/{code}/steps/nothing"):
        short, long, needed = await both(web, path, who, **sent)
        assert short == long
        assert short[0] >= 400
        assert needed == (not content)


async def test_a_write_goes_the_short_way_once_and_a_repeat_gets_the_same_answer(web):
    sent = {"method": "POST", "json": FILED, "headers": {"Idempotency-Key": "once"}}
    short, long, needed = await both(web, "/dossiers", COUNTER, **sent)
    assert not needed
    assert (short[0], long[0]) == (201, 201)
    assert short[2] == long[2], "the framework finds the answer that the short way kept"
    over = {"facts": {"agency_id": str(actor(f"thuly.{WARD}").agency_id)}}
    sent = {"method": "POST", "json": over, "headers": {"Idempotency-Key": "over"}}
    short, long, needed = await both(web, f"/dossiers/{short[2]['code']}/steps/hand_over", COUNTER, **sent)
    assert not needed
    assert (short[0], short[2]["status"], short[2]) == (200, "received", long[2])


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"X-Dossier-Secret": "not-it"}},
        {"headers": {"X-Dossier-Secret": "x" * 65}},
        {"headers": {"X-Dossier-Secret": ""}},
        {"headers": {"Host": "a host"}},
        {"content": b"{}"},
        {"method": "HEAD"},
        {"method": "POST"},
        {"method": "OPTIONS"},
    ],
    ids=str,
)
async def test_other_headers_methods_and_bodies_end_alike(web, more):
    short, long, _ = await both(web, "/track/{code}", None, **more)
    assert short == long


async def test_who_has_been_logged_out_is_out_at_the_next_request(web):
    web.tokens["left"] = await log_in(web, SIGNATORY)
    assert (await ask(web, "/signature-requests", "left")).status_code == 200
    await web.admin.execute(
        "UPDATE session SET ended_at = now() WHERE token_sha256 = $1",
        web.app.state.edge.tokens.digest(web.tokens["left"]),
    )
    assert (await ask(web, "/signature-requests", "left")).json()["code"] == "no-session"


async def test_door_mode_and_limits_hold_on_the_short_way(web):
    control = web.app.state.control
    control.mode = Mode(mode="maintenance", reason="thay đĩa")
    try:
        refused = await ask(web, "/track/{code}", None)
    finally:
        control.mode = Mode()
    assert (refused.status_code, refused.json()["code"]) == (503, "maintenance")
    codes: set[int] = set()
    for _ in range(20 * CALLER["citizens"].burst):  # a slow machine asks hardly faster than the bucket fills
        codes.add((await ask(web, "/track/H45-250701-9998", None)).status_code)
        if 429 in codes:
            break
    assert codes == {404, 429}


async def test_a_short_answer_is_counted_under_its_route(web):
    before = (await web.get("/metrics")).text
    await ask(web, "/track/{code}", None)
    line = 'motcua_http_requests_total{method="GET",route="/track/{code}",status="200"}'
    counts = [
        float(next((one.rpartition(" ")[2] for one in page.splitlines() if one.startswith(line)), 0))
        for page in (before, (await web.get("/metrics")).text)
    ]
    assert counts[1] == counts[0] + 1


def app_with(*handlers) -> Litestar:
    class Things(Controller):
        path = "/things"

    for handler in handlers:
        setattr(Things, handler.fn.__name__, handler)
    return Litestar(route_handlers=[Things], openapi_config=None)


def test_a_route_that_cannot_be_hot_stops_the_start():
    marked = {"opt": {HOT: True, PUBLIC: True}}

    @get("/{name:str}", **marked)
    async def one(self, name: str) -> None: ...

    @get("/{name:str}", **marked)
    async def wanting(self, name: str, headers: dict[str, str]) -> None: ...

    @get("/{name:str}/{part:str}", **marked)
    async def deep(self, name: str, part: str) -> None: ...

    @get("/all/{part:str}")
    async def beside_deep(self, part: str) -> None: ...

    @get("/all")
    async def beside(self) -> None: ...

    HotRoutes(app_with(one, deep), Admission())
    beside_a_pattern = HotRoutes(app_with(one, beside), Admission())
    scope = {"type": "http", "method": "GET", "query_string": b"", "state": {"headers": {}}}
    assert beside_a_pattern._find({**scope, "path": "/things/any"}) is not None
    assert beside_a_pattern._find({**scope, "path": "/things/all"}) is None, "is another's, and the framework's"
    for handlers, why in (
        ((wanting,), "headers"),
        ((deep, beside_deep), "beside /things/all/{part}"),
    ):
        with pytest.raises(RuntimeError, match=why):
            HotRoutes(app_with(*handlers), Admission())
