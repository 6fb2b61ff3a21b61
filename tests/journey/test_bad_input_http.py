"""What cannot be right, sent to the real server: each route, each illegal step gives a clear 4xx in two languages."""

import base64
import contextlib
import json
import unicodedata
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import httpx
import pytest
import pytest_asyncio

from api.dossiers.controller import ELSEWHERE
from api.dossiers.facts import FACTS
from api.embedded.walk import CITIZEN, PAPER, PROCEDURE, TERRITORY, Walk
from tests.dossier_ground import copied
from tests.office import new_key
from tests.server import Server, serving

MEMBERS = ("type", "title", "code", "detail", "detail_en", "next_step", "next_step_en", "reference")
WARD = ("tiepnhan", "thuly", "kynhay", "chutich", "vanthu", "giamdoc")
JSON = {"Content-Type": "application/json"}
NOWHERE = str(uuid4())


class Site:
    """The server with everybody logged in, and one dossier that has gone all the way."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.clients: dict[str, httpx.AsyncClient] = {}
        self.ids: dict[str, str] = {}

    def ward(self, name: str = "kinhbac") -> list[httpx.AsyncClient]:
        return [self.clients[f"{who}.{name}"] for who in WARD]

    def __getitem__(self, who: str) -> httpx.AsyncClient:
        return self.clients[f"{who}.kinhbac"]

    async def filed(self) -> dict[str, Any]:
        parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
        body = {"procedure_code": PROCEDURE, "filer": CITIZEN, "parts": parts, "territory_code": TERRITORY}
        return made(await self["tiepnhan"].post("/dossiers", json=body, headers=new_key()))

    async def step(self, who: str, code: str, action: str, **facts: Any) -> httpx.Response:
        return await self[who].post(f"/dossiers/{code}/steps/{action}", json={"facts": facts}, headers=new_key())

    async def to_appraisal(self) -> dict[str, Any]:
        """A dossier that the ward has taken over."""
        filed = await self.filed()
        ward = (await self["thuly"].get("/session")).json()["posts"][0]["agency_id"]
        made(await self.step("tiepnhan", filed["code"], "hand_over", agency_id=ward))
        made(await self.step("thuly", filed["code"], "confirm_hand_over"))
        return filed


def made(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Check that an answer is a whole problem document of one of these statuses, and return it."""
    assert answer.status_code in statuses, f"{answer.request.method} {answer.request.url}: {answer.text[:600]}"
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert all(problem[member] for member in MEMBERS), problem
    assert problem["status"] == answer.status_code
    assert problem["detail"] != problem["detail_en"]
    return problem


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    room = tmp_path_factory.mktemp("bad-input")
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(copied(cluster, province.database))
        server = await stack.enter_async_context(serving(database, province, room))
        site = Site(server)
        everybody = [f"{who}.{ward}" for ward in ("kinhbac", "bacgiang") for who in WARD]
        for who in (*everybody, "danhmuc.tinh", "dieuphoi.tinh", "quantri.kinhbac"):
            site.clients[who] = await stack.enter_async_context(server.client(who))
        yield site
        assert server.living() == {"api", "signer", "worker"}


# Illegal steps


def facts_for(action: str, ids: dict[str, str]) -> dict[str, Any]:
    """Facts that the decoder takes: whether the step is allowed is what is asked."""
    result = ids.get("result", NOWHERE)
    amount = {"code": "P", "name": "Phí", "amount_vnd": 1000}
    known: dict[str, dict[str, Any]] = {
        "ask_supplement": {"reason": "Thiếu", "items": [{"part_code": "TK", "originals": 1}]},
        "dispatch": {"agency_id": ids["agency"]},
        "hand_over": {"agency_id": ids["agency"]},
        "ask_opinion": {"agency_id": ids["agency"], "question": "Ý kiến?"},
        "withdraw_opinion": {"task_id": NOWHERE, "reason": "Không cần nữa"},
        "ask_duty": {"reason": "Nộp phí", "amounts": [amount]},
        "charge": {"amounts": [amount]},
        "exempt": {"legal_basis": "Luật Phí và lệ phí"},
        "record_outside_result": {"result_ids": [result], "system": "HT", "reference": "1"},
        "fail_delivery": {"reason": "Vắng nhà", "result_id": result, "channel": "post"},
        "block_handover": {"reason": "Sai tên", "result_id": result},
        "unblock_handover": {"result_id": result},
        "replace_result": {"reason": "Sai tên", "result_id": result, "legal_basis": "Điều 1"},
        "recall_result": {"reason": "Sai tên", "result_id": result, "legal_basis": "Điều 1"},
        "stop": {"reason": "Hết căn cứ", "legal_basis": "Điều 1"},
        "explain_overdue": {"explanation": "Mất điện"},
        "apologise": {"reason": "Chậm", "new_due_at": "2099-01-05T09:00:00+07:00"},
    }
    reasoned = {"refuse_intake", "decline_hand_over", "refuse_request", "send_back", "withdraw"}
    return known.get(action, {"reason": "Lý do"} if action in reasoned else {})


async def assert_illegal_steps_refused(site: Site, code: str, status: str, *, at_least: int) -> None:
    """Try every action that is not allowed now: whoever holds the right is told what is, nobody changes a thing."""
    before = made(await site["tiepnhan"].get(f"/dossiers/{code}"))
    assert before["status"] == status
    ids = {"agency": before["step_agency_id"]}
    if before["results"]:
        ids["result"] = next(iter(before["results"]))
    judged = set()
    illegal = [action for action in FACTS if action not in ELSEWHERE and str(action) not in before["allowed"]]
    for action in illegal:
        if str(action) == "record_outside_result" and "result" not in ids:
            continue
        body = {"facts": facts_for(str(action), ids)}
        for web in site.ward():
            answer = await web.post(f"/dossiers/{code}/steps/{action}", json=body, headers=new_key())
            if answer.status_code in (403, 404):
                refused(answer, 403, 404)
                continue
            problem = refused(answer, 409)
            assert (problem["code"], problem["dossier_status"]) == ("step-refused", status), (action, problem)
            assert str(action) not in problem["allowed"]
            assert set(before["allowed"]) <= set(problem["allowed"])
            judged.add(action)
            break
    assert len(judged) >= at_least, sorted(set(illegal) - judged)
    after = made(await site["tiepnhan"].get(f"/dossiers/{code}"))
    assert (after["version"], after["status"]) == (before["version"], status)


async def test_illegal_steps_before_the_result_say_what_is_allowed(site):
    filed = await site.to_appraisal()
    code = filed["code"]
    await assert_illegal_steps_refused(site, code, "appraising", at_least=12)
    items = [{"part_code": "TK", "originals": 1}]
    made(await site.step("thuly", code, "ask_supplement", reason="Thiếu tờ khai", items=items))
    await assert_illegal_steps_refused(site, code, "supplement_asked", at_least=12)
    made(await site.step("thuly", code, "answer_supplement"))
    made(await site.step("thuly", code, "appraise"))
    await assert_illegal_steps_refused(site, code, "drafting", at_least=12)
    made(await site.step("tiepnhan", code, "withdraw", reason="Thôi không làm nữa"))
    await assert_illegal_steps_refused(site, code, "withdrawn", at_least=15)


async def test_illegal_steps_from_the_counter_to_the_hand_over_say_what_is_allowed(site):
    filed, ids = await walked(site)
    code = filed["code"]
    chain = made(await site["thuly"].get(f"/documents/{ids['document_id']}/chains"))
    seal = next(line for line in chain if line["role"] == "seal")
    for act, body in (
        ("take-back", {"reason": "Ký nhầm"}),
        ("send-back", {"reason": "Sai tên"}),
        ("decline", {"reason": "Không ký"}),
        ("release", None),
    ):
        for line, who in ((chain[-2], "chutich"), (seal, "vanthu")):
            path = f"/signature-requests/{line['id']}/{act}"
            refused(await site[who].post(path, json=body, headers=new_key()), 403, 409)
    assert made(await site["tiepnhan"].get(f"/dossiers/{code}"))["status"] == "delivered"
    again = {"items": [{"request_id": seal["id"], "sha256": "0" * 64}], "code": "123456"}
    problem = refused(await site["vanthu"].post("/signature-batches", json=again, headers=new_key()), 409)
    assert problem["items"] == {seal["id"]: "not-to-sign"}


async def walked(site: Site) -> tuple[dict[str, Any], dict[str, str]]:
    """Walk one dossier to its end with a look at illegal steps on every side; the ids of all it left behind."""
    async with aiohttp.ClientSession(site.server.url, timeout=aiohttp.ClientTimeout(total=60)) as web:
        walk = Walk(web, site.server.province.accounts, lambda _vi, _en: None)
        await walk.log_in()
        filed = await walk.receive()
        await assert_illegal_steps_refused(site, filed["code"], "received", at_least=12)
        mine = await walk.appraise(filed)
        await assert_illegal_steps_refused(site, filed["code"], "awaiting_signature", at_least=12)
        document, result = mine["document"]["id"], mine["result"]["id"]
        twice = await site["thuly"].post(f"/documents/{document}/chains", json={}, headers=new_key())
        refused(twice, 409)
        for path, body in (
            (f"/documents/{document}/drafts", {"upload_id": NOWHERE}),
            (f"/results/{result}/documents", {}),
        ):
            assert "allowed" in refused(await site["thuly"].post(path, json=body, headers=new_key()), 403, 409)
        await walk.approve(document)
        await assert_illegal_steps_refused(site, filed["code"], "awaiting_issue", at_least=12)
        await walk.issue(document)
        await assert_illegal_steps_refused(site, filed["code"], "done", at_least=10)
        await walk.deliver(filed, result)
        await assert_illegal_steps_refused(site, filed["code"], "delivered", at_least=12)
    revision = made(await site["thuly"].get(f"/documents/{document}"))["revisions"][-1]["id"]
    ticket = made(await site["chutich"].get("/signature-batches"))[0]["id"]
    request = made(await site["thuly"].get(f"/documents/{document}/chains"))[0]["id"]
    series = made(await site["vanthu"].get("/series"))["items"][0]["id"]
    number = str(await site.server.database.admin.fetchval("SELECT id FROM number LIMIT 1"))
    draft = str(await site.server.database.admin.fetchval("SELECT id FROM draft_order LIMIT 1"))
    task = made(await site["thuly"].get(f"/dossiers/{filed['code']}"))["tasks"][0]["id"]
    left = {
        "document_id": document, "result_id": result, "revision_id": revision, "batch_id": ticket, "draft_id": draft,
        "request_id": request, "series_id": series, "number_id": number, "task_id": task,
        "dossier_id": filed["id"], "code": filed["code"],
    }  # fmt: skip
    site.ids.update(left)
    return filed, left


# Every route


@pytest_asyncio.fixture(scope="module")
async def left(site):
    """The ids of one dossier that went all the way."""
    if not site.ids:
        await walked(site)
    return site.ids


async def operations(site: Site) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation of the API's own description: method, path with placeholders, description."""
    described = made(await site["thuly"].get("/schema/openapi.json"))["paths"]
    return [(method.upper(), path, one) for path, methods in described.items() for method, one in methods.items()]


def placed(path: str) -> str:
    """A path with something harmless in each of its places."""
    if path.startswith("/procedures/"):
        path = path.replace("{code}", PROCEDURE)
    known = {"{code}": "H05-260101-0001", "{action}": "withdraw", "{holder}": "sp769", "{form}": "01"}
    for place, value in known.items():
        path = path.replace(place, value)
    return "/".join(NOWHERE if part.startswith("{") else part for part in path.split("/"))


async def sent(site: Site, method: str, path: str, **request: Any) -> httpx.Response:
    """The answer to the first whose post may call this route at all."""
    answers = []
    for web in site.clients.values():
        answers.append(await web.request(method, placed(path), **request))
        if answers[-1].status_code not in (401, 403):
            return answers[-1]
    raise AssertionError(f"nobody may {method} {path}: {answers[-1].text}")


BAD_BODIES = {
    "truncated": (b'{"reason": "a', JSON, 400),
    "nul": (b'{"reason": "a\\u0000b"}', JSON, 400),
    "half a surrogate pair": (b'{"reason": "\\ud800"}', JSON, 400),
    "not UTF-8": (b'{"reason": "\xff"}', JSON, 400),
    "UTF-16": ('{"reason": "Sai tên"}'.encode("utf-16"), {"Content-Type": "application/json; charset=utf-16"}, 400),
    "a list": (b"[]", JSON, 422),
    "an unknown field": ('{"không_có": 1}'.encode(), JSON, 422),
    "a form": (b"reason=a", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "msgpack": (b"\x81\xa6reason\xa1a", {"Content-Type": "application/msgpack"}, 415),
    "nothing": (b"", JSON, 400),
    "far too much": (b'{"reason": "' + b"a" * (2 << 20) + b'"}', JSON, 413),
}


@pytest.mark.parametrize("bad", BAD_BODIES)
async def test_a_bad_body_gets_a_clear_answer_from_every_route(site, bad):
    content, headers, status = BAD_BODIES[bad]
    tried = 0
    for method, path, described in await operations(site):
        if "application/json" not in described.get("requestBody", {}).get("content", {}):
            continue
        refused(await sent(site, method, path, content=content, headers=new_key() | headers), status)
        tried += 1
    assert tried > 20


async def test_a_write_without_a_usable_key_does_nothing_on_any_route(site):
    tried = 0
    for method, path, described in await operations(site):
        named = {one["name"] for one in described.get("parameters", [])}
        if "Idempotency-Key" not in named or path in {"/uploads", "/online"}:
            continue
        missing = refused(await sent(site, method, path, json={}), 400)
        assert missing["code"] == "idempotency-key-missing"
        for key in ("k" * 256, "khóa".encode()):
            wrong = refused(await sent(site, method, path, json={}, headers={"Idempotency-Key": key}), 400)
            assert wrong["code"] == "idempotency-key-invalid"
        tried += 1
    assert tried > 20


async def test_every_request_body_refuses_fields_it_does_not_know(site):
    described = made(await site["thuly"].get("/schema/openapi.json"))
    schemas = described["components"]["schemas"]
    open_ones = []
    for method, path, one in await operations(site):
        body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        name = body.get("$ref", "").rpartition("/")[2]
        if name and schemas[name].get("additionalProperties") is not False:
            open_ones.append(f"{method} {path}: {name}")
    assert not open_ones


# Foreign ids

VALID_BODIES: dict[str, Any] = {
    "/dossiers/{code}/deliveries": {"result_id": NOWHERE, "channel": "counter", "received_by": "filer"},
    "/dossiers/{code}/steps/{action}": {"facts": {"reason": "Thử"}},
    "/tasks/{task_id}/answer": {"opinion": "Đồng ý", "verdict": "agree"},
    "/tasks/{task_id}/assign": {"account_id": NOWHERE},
    "/tasks/{task_id}/hand-over": {"agency_id": NOWHERE},
    "/signature-requests/{request_id}/decline": {"reason": "Không ký"},
    "/signature-requests/{request_id}/take-back": {"reason": "Không ký"},
    "/signature-requests/{request_id}/send-back": {"reason": "Sai tên"},
    "/signature-requests/{request_id}/pass-on": {
        "reason": "Vắng", "to_person_id": NOWHERE, "to_post_id": NOWHERE,
    },
    "/documents/{document_id}/drafts": {"template": "marital_status", "data": dict(PAPER)},
    "/numbers/{number_id}/void": {"reason": "Ghi nhầm"},
}  # fmt: skip


async def test_nothing_of_another_agency_is_seen_or_touched(site, left):
    """Everybody of the other ward asks by the real ids of this one's dossier."""
    before = made(await site["thuly"].get(f"/dossiers/{left['code']}"))
    tried = 0
    for method, path, described in await operations(site):
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if "security" not in described or path.startswith("/procedures/") or not set(names) & left.keys():
            continue
        target = path.format(**left, action="withdraw", form="01")
        request = {"json": VALID_BODIES.get(path, {}), "headers": new_key()} if method == "POST" else {}
        for web in site.ward("bacgiang"):
            refused(await web.request(method, target, **request), 403, 404)
        tried += 1
    assert tried > 25
    assert made(await site["thuly"].get(f"/dossiers/{left['code']}"))["version"] == before["version"]


async def test_nobody_asks_for_anothers_signature_or_uses_anothers_file(site, left):
    item = {"request_id": left["request_id"], "sha256": "0" * 64}
    ask = {"items": [item], "code": "123456"}
    for who in ("thuly.kinhbac", "chutich.bacgiang", "vanthu.bacgiang"):
        refused(await site.clients[who].post("/signature-batches", json=ask, headers=new_key()), 403, 404)
    twice = {"items": [item, item], "code": "123456"}
    assert refused(await site["chutich"].post("/signature-batches", json=twice, headers=new_key()), 400)
    for wrong in ({**ask, "code": "12345"}, {**ask, "items": []}, {**ask, "items": [item] * 501}, {**ask, "lane": "x"}):
        refused(await site["chutich"].post("/signature-batches", json=wrong, headers=new_key()), 422)
    upload = made(await site["thuly"].post("/uploads?profile=to_sign", content=b"%PDF-1.7", headers=new_key()))
    filed = await site.to_appraisal()
    made(await site.step("thuly", filed["code"], "appraise"))
    result = made(await site["thuly"].post(f"/dossiers/{filed['id']}/results", json={}, headers=new_key()))
    document = made(await site["thuly"].post(f"/results/{result['id']}/documents", json={}, headers=new_key()))
    path = f"/documents/{document['id']}/drafts"
    for foreign in (NOWHERE, left["dossier_id"]):
        refused(await site["thuly"].post(path, json={"upload_id": foreign}, headers=new_key()), 404)
    refused(await site.clients["thuly.bacgiang"].get(f"/uploads/{upload['id']}"), 404)


# Text, dates and cursors


async def test_text_comes_back_in_nfc_however_it_was_sent(site):
    name = "Đơn của Nguyễn Thị Hường.pdf"
    sent_as = quote(unicodedata.normalize("NFD", name))
    headers = new_key() | {"X-File-Name": sent_as}
    upload = made(await site["thuly"].post("/uploads?profile=handed_in", content=b"%PDF-1.7", headers=headers))
    assert made(await site["thuly"].get(f"/uploads/{upload['id']}"))["file_name"] == name
    filed = await site.filed()
    reason = "Công dân không còn nhu cầu"
    made(await site.step("tiepnhan", filed["code"], "withdraw", reason=unicodedata.normalize("NFD", reason)))
    journal = made(await site["tiepnhan"].get(f"/dossiers/{filed['code']}/journal"))
    assert journal["lines"][-1]["words"] == {"reason": reason}


@pytest.mark.parametrize("name", ["a%00b.pdf", "%ff.pdf", "%1b[31m.pdf", "a" * 1001, "%ed%a0%80.pdf"])
async def test_a_file_name_that_cannot_be_one_is_refused(site, name):
    headers = new_key() | {"X-File-Name": name}
    refused(await site["thuly"].post("/uploads?profile=handed_in", content=b"%PDF-1.7", headers=headers), 400, 422)


WRONG_DATES = (
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-02-30T00:00:00Z", "2026-11-22", "hôm qua",
    "2026-11-22T09:00:00", "1789-07-14T09:00:00+07:00", 1763776800, "2026-11-22T25:00:00+07:00",
)  # fmt: skip


@pytest.mark.parametrize("date", WRONG_DATES)
async def test_a_wrong_date_is_refused_wherever_one_is_asked_for(site, date):
    filed = await site.to_appraisal()
    opinion = {"agency_id": NOWHERE, "question": "Ý kiến?", "due_at": date}
    for who, action, body in (
        ("thuly", "apologise", {"facts": {"reason": "Chậm", "new_due_at": date}}),
        ("thuly", "ask_opinion", {"facts": opinion}),
        ("thuly", "appraise", {"facts": {}, "occurred_at": date}),
    ):
        path = f"/dossiers/{filed['code']}/steps/{action}"
        refused(await site[who].post(path, json=body, headers=new_key()), 400, 404, 409, 422)
    imported = {
        "procedure_code": PROCEDURE, "filer": CITIZEN, "status": "received", "territory_code": TERRITORY,
        "foreign_code": {"issuer": "VNPT", "code": f"X{uuid4().hex}"}, "submitted_at": date,
    }  # fmt: skip
    refused(await site["tiepnhan"].post("/dossiers/imported", json=imported, headers=new_key()), 400, 422)
    proof = {"result_id": NOWHERE, "channel": "online", "opened_at": date}
    path = f"/dossiers/{filed['code']}/deliveries"
    refused(await site["tiepnhan"].post(path, json=proof, headers=new_key()), 400, 404, 409, 422)


def cursor(*keys: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


BAD_CURSORS = (
    "!!", "a" * 199, "Zm9v", "ế", cursor("normal", "2026-01-01T00:00:00", NOWHERE), cursor("a\0b", None, NOWHERE),
    cursor("normal", "0001-01-01T00:00:00+14:00", NOWHERE), cursor("0001-01-01T00:00:00+14:00", NOWHERE),
    cursor("9999-12-31T23:59:59-12:00", NOWHERE), cursor("2026-01-01T00:00:00", NOWHERE), cursor(1, 2), cursor(),
)  # fmt: skip


@pytest.mark.parametrize("after", BAD_CURSORS)
async def test_a_made_up_cursor_is_refused_or_ends_the_list(site, after):
    for who, path in (
        ("chutich", "/signature-requests"),
        ("tiepnhan", "/desk/officer"),
        ("giamdoc", "/desk/head/late"),
    ):
        answer = await site[who].get(path, params={"after": after})
        if answer.status_code != 200:
            refused(answer, 400)


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("chutich", "/signature-requests?limit=0"),
        ("chutich", "/signature-requests?limit=201"),
        ("chutich", "/signature-requests?limit=x"),
        ("chutich", "/signature-requests?after=" + "a" * 201),
        ("tiepnhan", "/desk/officer?scope=everything"),
        ("tiepnhan", "/desk/officer?limit=99999999999999999999"),
        ("tiepnhan", "/dossiers/H05-260101-0001/journal?after=-1"),
        ("tiepnhan", "/dossiers/H05-260101-0001/journal?after=99999999999999999999"),
        ("tiepnhan", "/dossiers/..%2f..%2fetc"),
        ("tiepnhan", "/dossiers/" + "9" * 65),
        ("tiepnhan", "/documents/not-an-id"),
        ("tiepnhan", f"/uploads/{NOWHERE}"),
        ("vanthu", f"/series/{NOWHERE}/register?year=0"),
        ("vanthu", f"/series/{NOWHERE}/register?year=99999"),
        ("vanthu", f"/series/{NOWHERE}/register?after=9999999999999"),
        ("vanthu", "/verify/%F0%9F%92%A9"),
        ("vanthu", "/verify/checks/x"),
        ("vanthu", "/track/" + "%E1%BA%BF" * 30),
        ("vanthu", "/procedures/1.1"),
        ("vanthu", "/procedures?after=" + "a" * 301),
    ],
)
async def test_a_wrong_address_or_number_gets_a_clear_answer(site, who, path):
    refused(await site[who].get(path), 400, 404, 422)
