"""Dossiers as the counter, the citizen and a careless client see them over HTTP."""

import json
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from api.documents.templates.bodies import FORMS
from tests.dossier_ground import MARITAL_STATUS, MONDAY, Ground, actor, copied, province_template
from tests.office import ARGON2, SetClock, client_of, log_in, new_key, serving
from tests.paper import page

BODY = {
    "procedure_code": MARITAL_STATUS,
    "filer": {"name": "Nguye\u0302\u0303n Thi\u0323 Mai", "id_number": "024199000001", "phone": "0912345678"},
    "territory_code": "09187",
    "parts": [{"part_code": "TK", "name": "Tờ khai", "originals": 1}],
}
"""The name comes in as NFD, as some keyboards send it."""


@pytest_asyncio.fixture(scope="session")
async def province(cluster, template):
    async with province_template(cluster, template) as name:
        yield name


@pytest_asyncio.fixture
async def site(cluster, province, tmp_path):
    async with copied(cluster, province) as db:
        await db.admin.execute("INSERT INTO account_password (account_id, argon2) SELECT id, $1 FROM account", ARGON2)
        clock = SetClock(MONDAY)
        async with serving(db.dsn("app"), tmp_path, clock=clock) as (web, app):
            yield Site(web, app, db, clock)


class Site:
    """The app with whoever is logged in."""

    def __init__(self, web, app, db, clock):
        self.web, self.app, self.db, self.clock = web, app, db, clock

    async def as_(self, slug):
        web = client_of(self.app)
        answer = await log_in(web, slug)
        assert answer.status_code == 201, answer.text
        return web

    async def filed(self, **more):
        web = await self.as_("tiepnhan.kinhbac")
        answer = await web.post("/dossiers", json=BODY | more, headers=new_key())
        assert answer.status_code == 201, answer.text
        return web, answer.json()


async def step(web, code, action, facts=None, **more):
    body = {"facts": facts or {}} | more
    return await web.post(f"/dossiers/{code}/steps/{action}", json=body, headers=new_key())


async def test_handing_in_twice_with_one_key_is_one_dossier_and_one_secret(site):
    web = await site.as_("tiepnhan.kinhbac")
    key = new_key()
    one = await web.post("/dossiers", json=BODY, headers=key)
    two = await web.post("/dossiers", json=BODY, headers=key)
    assert (one.status_code, two.status_code) == (201, 201)
    assert one.json() == two.json()
    assert two.headers["Idempotency-Replayed"] == "true"
    assert len(one.json()["secret"]) == 26
    kept = await site.db.admin.fetchval("SELECT string_agg(i::text, ' ') FROM idempotency i")
    assert one.json()["code"] in kept
    assert one.json()["secret"] not in kept
    assert await site.db.admin.fetchval("SELECT count(*) FROM dossier") == 1


async def test_an_illegal_step_says_what_is_allowed(site):
    web, filed = await site.filed()
    refused = await step(web, filed["code"], "dispatch", {"agency_id": str(uuid4())})
    assert refused.status_code in {403, 404}
    refused = await step(web, filed["code"], "answer_supplement")
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["dossier_status"] == "received"
    assert "hand_over" in problem["allowed"]
    assert "answer_supplement" not in problem["allowed"]
    stale = await step(web, filed["code"], "withdraw", {"reason": "thôi"}, version=1)
    assert (stale.status_code, stale.json()["code"]) == (409, "dossier-moved")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"unknown": 1}, 422),
        ({"filer": {"name": "a" * 201}}, 422),
        ({"filer": {"name": ""}}, 422),
        ({"filer": {"name": "Mai\u0000"}}, 400),
        ({"filer": {"name": "Mai \ud800"}}, 400),
        ({"filer": {"name": "Mai", "id_number": "024-199"}}, 422),
        ({"procedure_code": "9.999999"}, 404),
        ({"parts": [{"part_code": "XX", "name": "Lạ"}]}, 400),
        ({"parts": [{"part_code": "TK", "name": "Tờ khai", "upload_id": str(uuid4())}]}, 400),
        ({"help_agency_id": str(uuid4())}, 404),
        ({"channel": "pigeon"}, 422),
        ({"occurred_at": "2026-02-30T09:00:00+07:00"}, 422),
        ({"occurred_at": "2026-03-09T09:00:00"}, 422),
        ({"occurred_at": "2026-03-10T09:00:00+07:00"}, 400),
        ({"occurred_at": "2025-01-10T09:00:00+07:00"}, 400),
        ({"territory_code": "99999"}, 400),
    ],
)
async def test_what_cannot_be_right_is_refused_clearly(site, change, status):
    web = await site.as_("tiepnhan.kinhbac")
    body = BODY | change
    raw = json.dumps(body).encode()
    answer = await web.post("/dossiers", content=raw, headers=new_key() | {"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["detail"]
    assert await site.db.admin.fetchval("SELECT count(*) FROM dossier") == 0


@pytest.mark.parametrize(
    ("action", "facts", "status"),
    [
        ("fly", {}, 400),
        ("claim", {"task_id": str(uuid4())}, 400),
        ("record_signature", {"result_id": str(uuid4()), "complete": True}, 400),
        ("withdraw", {}, 422),
        ("withdraw", {"reason": "x", "more": 1}, 422),
        ("withdraw", {"reason": "x" * 4001}, 422),
        ("hand_over", {"agency_id": "none"}, 422),
        ("hand_over", {"agency_id": str(uuid4())}, 404),
        ("block_handover", {"result_id": str(uuid4()), "reason": "x"}, 409),
    ],
)
async def test_wrong_steps_are_refused_clearly(site, action, facts, status):
    web, filed = await site.filed()
    answer = await step(web, filed["code"], action, facts)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["errors"][0]["field"].startswith("facts")


async def test_the_desk_the_claim_and_the_loser(site):
    web, filed = await site.filed()
    desk = (await web.get("/desk/officer")).json()
    assert [line["dossier_code"] for line in desk["items"]] == [filed["code"]]
    task = desk["items"][0]["id"]
    other = await site.as_("quay1.kinhbac")
    assert (await web.post(f"/tasks/{task}/claim", json={}, headers=new_key())).status_code == 200
    lost = await other.post(f"/tasks/{task}/claim", json={}, headers=new_key())
    assert (lost.status_code, lost.json()["code"]) == (409, "task-taken")
    assert (await other.get("/desk/officer")).json()["items"] == []
    mine = (await web.get("/desk/officer", params={"scope": "mine"})).json()["items"]
    assert [line["id"] for line in mine] == [task]
    thuly = str(actor("thuly.kinhbac").agency_id)
    handed = await web.post(f"/tasks/{task}/hand-over", json={"agency_id": thuly}, headers=new_key())
    assert handed.status_code == 200, handed.text
    desk = (await (await site.as_("thuly.kinhbac")).get("/desk/officer")).json()["items"]
    assert [line["kind"] for line in desk] == ["hand_over"]


async def test_a_long_list_goes_on_by_its_cursor(site):
    web, _ = await site.filed()
    for _ in range(4):
        assert (await web.post("/dossiers", json=BODY, headers=new_key())).status_code == 201
    seen, after = [], None
    while True:
        page = (await web.get("/desk/officer", params={"limit": 2} | ({"after": after} if after else {}))).json()
        seen += [line["dossier_code"] for line in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert (await web.get("/desk/officer", params={"after": "!!"})).status_code == 400


async def test_the_head_of_centre_sees_what_is_late_and_changes_nothing(site):
    _, filed = await site.filed()
    site.clock.move(days=4)
    head = await site.as_("giamdoc.kinhbac")
    late = (await head.get("/desk/head/late")).json()["items"]
    assert [line["code"] for line in late] == [filed["code"]]
    counts = (await head.get("/desk/head")).json()["counts"]
    assert counts == [{"status": "received", "dossiers": 1, "overdue": 1, "due_soon": 0}]
    explained = await step(head, filed["code"], "explain_overdue", {"explanation": "mất điện hai ngày"})
    assert explained.status_code == 200, explained.text
    assert (await step(head, filed["code"], "withdraw", {"reason": "x"})).status_code == 403


async def test_anybody_tracks_by_code_and_the_citizen_by_secret(site):
    _, filed = await site.filed()
    anybody = client_of(site.app)
    seen = await anybody.get(f"/track/{filed['code']}")
    assert seen.status_code == 200
    assert set(seen.json()) == {
        "code", "status", "status_vi", "national_status", "procedure_name", "received_at", "due_at", "finished_at",
    }  # fmt: skip
    assert seen.headers["cache-control"].startswith("public")
    own = await anybody.get(f"/track/{filed['code']}", headers={"X-Dossier-Secret": filed["secret"]})
    assert own.json()["fees"][0]["amount_vnd"] == 15000
    assert own.headers["cache-control"] == "private, no-store"
    for text in (own.text, seen.text):
        assert "Mai" not in text
        assert "024199000001" not in text
    wrong = await anybody.get(f"/track/{filed['code']}", headers={"X-Dossier-Secret": "A" * 26})
    unknown = await anybody.get("/track/H05-260309-9999", headers={"X-Dossier-Secret": "A" * 26})
    assert (wrong.status_code, wrong.json()["detail"]) == (404, unknown.json()["detail"])
    assert (await anybody.get(f"/dossiers/{filed['code']}")).status_code == 401


async def test_a_name_sent_as_nfd_is_kept_as_nfc_and_shown_to_those_who_take_part(site):
    web, filed = await site.filed()
    shown = (await web.get(f"/dossiers/{filed['code']}")).json()
    assert shown["parties"][0]["name"] == "Nguyễn Thị Mai"
    assert shown["national_status"] == 2
    journal = (await web.get(f"/dossiers/{filed['code']}/journal")).json()
    assert [line["action"] for line in journal["lines"]] == ["submit", "receive"]
    stranger = await site.as_("thuly.bacgiang")
    assert (await stranger.get(f"/dossiers/{filed['code']}")).status_code == 404
    assert (await stranger.get(f"/dossiers/{filed['code']}/journal")).status_code == 404


async def test_online_needs_no_account_but_a_key(site):
    ground = Ground(site.db, await site.db.pools("app"))
    code = await ground.code_of("tiepnhan.kinhbac")
    body = {key: BODY[key] for key in ("procedure_code", "filer", "territory_code")} | {"receipt_agency_code": code}
    anybody = client_of(site.app)
    assert (await anybody.post("/online", json=body)).status_code == 400
    filed = await anybody.post("/online", json=body, headers=new_key())
    assert (filed.status_code, filed.json()["status"]) == (201, "submitted")
    web = await site.as_("tiepnhan.kinhbac")
    assert (await step(web, filed.json()["code"], "receive")).json()["status"] == "received"


async def test_a_file_without_a_dossier_is_attached_by_whoever_sent_it_alone(site, tmp_path):
    """Another officer, another agency and a citizen learn no more than of a file that is not there."""
    sender = await site.as_("tiepnhan.kinhbac")
    content = page(tmp_path / "paper.pdf").read_bytes()
    sent = await sender.post(
        "/uploads?profile=handed_in", content=content, headers={**new_key(), "Content-Type": "application/pdf"}
    )
    upload = sent.json()["id"]

    def parts(upload_id):
        return {"parts": [{"part_code": "TK", "name": "Tờ khai", "upload_id": upload_id}]}

    ground = Ground(site.db, await site.db.pools("app"))
    code = await ground.code_of("tiepnhan.kinhbac")
    online = {key: BODY[key] for key in ("procedure_code", "filer", "territory_code")} | {"receipt_agency_code": code}
    for name, web, path, body in (
        ("another officer", await site.as_("quay1.kinhbac"), "/dossiers", BODY),
        ("another agency", await site.as_("tiepnhan.bacgiang"), "/dossiers", BODY),
        ("a citizen", client_of(site.app), "/online", online),
    ):
        tried, unknown = [
            await web.post(path, json=body | parts(each), headers=new_key()) for each in (upload, str(uuid4()))
        ]
        assert (tried.status_code, tried.json()["code"]) == (400, "unknown-upload"), name
        same = {key: value for key, value in tried.json().items() if key != "reference"}
        assert same == {key: value for key, value in unknown.json().items() if key != "reference"}, name
    assert await site.db.admin.fetchval("SELECT dossier_id FROM upload") is None
    first = await sender.post("/dossiers", json=BODY | parts(upload), headers=new_key())
    assert first.status_code == 201
    assert str(await site.db.admin.fetchval("SELECT dossier_id FROM upload")) == first.json()["id"]
    again = await sender.post("/dossiers", json=BODY | parts(upload), headers=new_key())
    assert (again.status_code, again.json()["code"]) == (400, "unknown-upload"), "it is the first dossier's now"
    _, other = await site.filed()
    secret = {"X-Dossier-Secret": other["secret"]}
    citizen = client_of(site.app)
    assert (await citizen.get(f"/track/{other['code']}/uploads/{upload}", headers=secret)).status_code == 404


async def test_a_result_is_handed_over_with_its_proof_once(site):
    web, filed = await site.filed()
    ground = Ground(site.db, await site.db.pools("app"))
    result = await ground.result(filed["id"])
    await site.db.admin.execute(
        "UPDATE dossier SET status = 'done', delivery = 'waiting', finished_at = now(), results = $2 WHERE id = $1",
        filed["id"],
        {str(result): "issued"},
    )
    path = f"/dossiers/{filed['code']}/deliveries"
    bare = await web.post(path, json={"result_id": str(result), "channel": "counter"}, headers=new_key())
    assert (bare.status_code, bare.json()["code"]) == (400, "proof-missing")
    proof = {"result_id": str(result), "channel": "counter", "received_by": "filer", "signed_for": True}
    handed = await web.post(path, json=proof, headers=new_key())
    assert (handed.status_code, handed.json()["status"]) == (201, "delivered")
    again = await web.post(path, json=proof, headers=new_key())
    assert again.status_code == 409
    listed = (await web.get(path)).json()
    assert [(one["channel"], one["proof"]) for one in listed] == [
        ("counter", {"received_by": "filer", "signed_for": True})
    ]


@pytest.mark.parametrize("form", sorted(FORMS))
async def test_the_national_forms_are_filled_from_the_dossier(site, form):
    web, filed = await site.filed(receive=False)
    code = filed["code"]
    early = await web.get(f"/dossiers/{code}/forms/{form}")
    assert early.status_code == (200 if form == "control_slip" else 409), early.text
    missing = {"items": [{"part_code": "CH", "certified_copies": 1}], "reason": "Thiếu trích lục."}
    asked = await step(web, code, "ask_supplement", missing)
    assert asked.status_code == 200, asked.text
    if form == "intake_refusal":
        await step(web, code, "refuse_intake", {"reason": "Không thuộc thẩm quyền."})
    else:
        await step(web, code, "answer_supplement")
        await step(web, code, "receive")
        thuly = await site.as_("thuly.kinhbac")
        await step(web, code, "hand_over", {"agency_id": str(actor("thuly.kinhbac").agency_id)})
        await step(thuly, code, "confirm_hand_over")
        sorry = await step(thuly, code, "apologise", {"new_due_at": "2026-03-20T00:00:00+07:00", "reason": "Quá tải."})
        assert sorry.status_code == 200, sorry.text
        stopped = await step(thuly, code, "stop", {"reason": "Tranh chấp.", "legal_basis": "Điều 1"})
        assert stopped.status_code == 200, stopped.text
    filled = await web.get(f"/dossiers/{code}/forms/{form}")
    assert filled.status_code == 200, filled.text
    body = msgspec.convert(filled.json(), FORMS[form])
    if form == "intake_slip":
        assert (body.filer, body.due_at, body.fees) == (
            "Nguyễn Thị Mai", "17 giờ 00 phút, ngày 20/03/2026", "Lệ phí hộ tịch: 15.000 đồng",
        )  # fmt: skip
    if form == "supplement_request":
        assert body.parts[0].name.startswith("Trích lục ly hôn")
    if form == "control_slip":
        assert sorted(line.outcome for line in body.lines) == ["Trước hạn", "Đúng hạn"]


async def test_a_form_that_does_not_exist_is_said_so(site):
    web, filed = await site.filed()
    assert (await web.get(f"/dossiers/{filed['code']}/forms/99")).status_code in {400, 404, 422}
