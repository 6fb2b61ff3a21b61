"""What cannot be right, sent to the real server: every route gives a clear 4xx in two languages, and nothing breaks."""

import base64
import json
import unicodedata
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from api.embedded.walk import CITIZEN, PAPER, PROCEDURE, TERRITORY
from tests.office import new_key
from tests.site import NOWHERE, Site, made, opened, refused, walked

JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    async with opened(cluster, province, tmp_path_factory.mktemp("bad-input")) as site:
        yield site


@pytest_asyncio.fixture(scope="module")
async def left(site):
    """The ids of one dossier that went all the way."""
    return await walked(site)


async def operations(site: Site) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation of the API's own description: method, path with placeholders, description."""
    described = made(await site["thuly"].get("/schema/openapi.json"))["paths"]
    return [(method.upper(), path, one) for path, methods in described.items() for method, one in methods.items()]


def placed(path: str) -> str:
    """A path with something harmless in each of its places."""
    if path.startswith("/procedures/"):
        path = path.replace("{code}", PROCEDURE)
    known = {"{code}": "H05-260101-0001", "{action}": "withdraw", "{holder}": "sp769", "{form}": "intake_slip"}
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
    "truncated": (b'{"rea', JSON, 400),
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
        if set(described.get("requestBody", {}).get("content", {})) != {"application/json"}:
            continue  # none, or one that is taken as it comes
        refused(await sent(site, method, path, content=content, headers=new_key() | headers), status)
        tried += 1
    assert tried > 20


@pytest.mark.parametrize(
    ("path", "size"), [("/dossiers", 8 << 20), ("/uploads?profile=handed_in", 51 << 20), ("/prints", 60 << 20)]
)
async def test_who_sends_far_too_much_still_gets_the_answer(site, path, size):
    """The server closes only after it has taken in the rest: a reset would take the answer with it."""
    kind = "application/pdf" if path.startswith("/uploads") else "application/json"
    for _ in range(3):
        headers = new_key() | {"Content-Type": kind}
        assert refused(await site["thuly"].post(path, content=b"a" * size, headers=headers), 403, 413)["code"]


async def test_a_write_without_a_usable_key_does_nothing_on_any_route(site):
    tried = 0
    for method, path, described in await operations(site):
        named = {one["name"] for one in described.get("parameters", [])}
        if "Idempotency-Key" not in named or "X-Dossier-Secret" in named or path in {"/uploads", "/online"}:
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
    "/dossiers/{code}/deliveries": {"result_id": NOWHERE, "channel": "online", "opened_at": "2026-11-20T09:00:00Z"},
    "/dossiers/{code}/steps/{action}": {"facts": {"reason": "Thử"}},
    "/tasks/{task_id}/answer": {"opinion": "Đồng ý", "verdict": "agree"},
    "/tasks/{task_id}/assign": {"account_id": NOWHERE},
    "/tasks/{task_id}/hand-over": {"agency_id": NOWHERE},
    "/signature-requests/{request_id}/decline": {"reason": "Không ký"},
    "/signature-requests/{request_id}/take-back": {"reason": "Không ký"},
    "/signature-requests/{request_id}/number": {"text": "45/GCN", "day": "2026-11-24"},
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
        if not any("bearer" in way for way in described["security"]):
            continue
        if path.startswith("/procedures/") or not set(names) & left.keys():
            continue
        target = path.format(**left, action="withdraw", form="intake_slip", transaction_id=NOWHERE, what="base")
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
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1789-07-14T09:00:00+07:00",
    "1950-07-14T09:00:00+07:00", "2150-01-05T09:00:00+07:00", "2026-02-30T00:00:00Z",
    "2026-11-22T25:00:00+07:00", "2026-11-22T09:00:00", "2026-11-22", "hôm qua", 1763776800,
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
    refused(await site["tiepnhan"].post("/dossiers/imported", json=imported, headers=new_key()), 400, 404, 422)
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
