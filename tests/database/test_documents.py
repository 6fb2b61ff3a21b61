"""Documents over the real app, database and worker: uploads, results, drafts, files out, verification, sweep."""

import asyncio
import hashlib
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pikepdf
import pytest
import pytest_asyncio

from api.documents import sweep, verification
from api.documents.sweep import Sweeper
from api.dossiers import access
from signing.errors import Crashed
from signing.pdf.bounded import BoundedPool
from tests.conftest import _copy
from tests.document_ground import PAPER, document_ground
from tests.office import new_key
from tests.paper import page


@pytest_asyncio.fixture(scope="module")
async def processes():
    async with BoundedPool(1) as pool:
        yield pool


@pytest_asyncio.fixture(scope="module")
async def office(cluster, province, processes, tmp_path_factory):
    """One ward for all tests of this module; each looks only at what it made itself."""
    room = tmp_path_factory.mktemp("documents")
    async with (
        _copy(cluster, province.database) as db,
        document_ground(db, province, processes, room, datetime.now(UTC)) as opened,
    ):
        yield opened


@pytest_asyncio.fixture
async def ground(office):
    """The ward with its appraiser logged in and nothing left to do."""
    await office.log_in("thuly")
    await office.work()
    return office


@pytest.fixture
def pdf(tmp_path: Path) -> bytes:
    """A page that no other test has."""
    return page(tmp_path / "draft.pdf", f"Du thao {secrets.token_hex(8)}").read_bytes()


async def count(ground, table: str) -> int:
    return await ground.db.admin.fetchval(f"SELECT count(*) FROM {table}")


async def test_upload_is_stored_as_it_comes_and_accepted_by_the_worker(ground, pdf):
    answer = await ground.upload(pdf, **{"X-File-Name": "%C4%90%C6%A1n%20xin.pdf"})
    assert answer.status_code == 202
    upload = answer.json()["id"]
    assert (await ground.web.get(f"/uploads/{upload}")).json()["state"] == "checking"
    await ground.work()
    shown = (await ground.web.get(f"/uploads/{upload}")).json()
    assert shown["state"] == "accepted"
    assert shown["sha256"] == hashlib.sha256(pdf).hexdigest()
    assert shown["file_name"] == "Đơn xin.pdf"
    sealed = await ground.db.admin.fetchval("SELECT file_name_sealed FROM upload WHERE id = $1", UUID(upload))
    assert "Đơn xin".encode() not in sealed


async def test_upload_answers_201_when_the_check_is_quick(ground, pdf):
    working = asyncio.create_task(_work_until_idle(ground))
    answer = await ground.upload(pdf)
    working.cancel()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/uploads/{answer.json()['id']}"


async def _work_until_idle(ground) -> None:
    while True:
        await ground.work()
        await asyncio.sleep(0.05)


async def test_same_key_gives_the_same_upload_and_another_body_is_refused(ground, pdf):
    before, key = await count(ground, "upload"), new_key()
    first = await ground.upload(pdf, **key)
    again = await ground.upload(pdf, **key)
    assert first.json()["id"] == again.json()["id"]
    assert (await ground.upload(pdf + b"\n", **key)).status_code == 422
    assert await count(ground, "upload") == before + 1


async def test_refused_upload_says_why_and_what_to_do(ground):
    shown = await ground.checked(b"this is no PDF at all, whatever its name says")
    assert shown["state"] == "refused"
    assert shown["problems"]
    assert shown["problems"][0]["vi"]
    assert shown["problems"][0]["remedy_vi"]


@pytest.mark.parametrize("size", [(4 << 20) + 1, 6 << 20])
async def test_too_large_an_upload_is_turned_away(ground, size):
    before = await count(ground, "upload")
    answer = await ground.upload(b"x" * size)
    assert answer.status_code == 413
    assert await count(ground, "upload") == before


async def test_empty_and_wrongly_addressed_uploads_get_a_clear_refusal(ground, pdf):
    assert (await ground.upload(b"")).status_code == 400
    assert (await ground.upload(pdf, "to_frame")).status_code in (400, 422)
    wrong = f"/uploads?profile=to_sign&dossier_id={UUID(int=7)}"
    assert (await ground.web.post(wrong, content=pdf, headers=new_key())).status_code == 404


async def test_handed_in_file_is_kept_byte_for_byte(ground, pdf):
    shown = await ground.checked(pdf, "handed_in")
    assert shown["state"] == "accepted"
    assert shown["accepted_sha256"] == shown["sha256"]


class _Dying:
    """A process pool whose every task takes its process with it."""

    def __init__(self) -> None:
        self.tasks = 0

    async def run(self, work, *args, timeout_s, **kwargs):
        self.tasks += 1
        raise Crashed("Tiến trình dừng", "the process died")


async def test_poison_file_is_parked_after_three_tries_and_the_others_go_on(ground, pdf, processes):
    poison = (await ground.upload(pdf)).json()["id"]
    healthy, dying = ground.shop, _Dying()
    ground.shop = type(healthy)(**{n: getattr(healthy, n) for n in healthy.__slots__} | {"processes": dying})
    await ground.work()
    ground.shop = healthy
    assert dying.tasks == 3
    shown = (await ground.web.get(f"/uploads/{poison}")).json()
    assert (shown["state"], shown["problems"][0]["code"]) == ("refused", "parked")
    parked = await ground.db.admin.fetchrow("SELECT key, reason FROM job_claim WHERE parked_at IS NOT NULL")
    assert parked["key"] == f"documents.check:{poison}"
    told = "SELECT count(*) FROM audit WHERE action = 'job.parked' AND subject_id = $1"
    assert await ground.db.admin.fetchval(told, UUID(poison)) == 1
    assert (await ground.checked(pdf + b"\n%"))["state"] == "accepted"


async def test_draft_from_a_template_has_its_places_and_a_pdfa_mark(ground):
    _, document = await ground.document()
    draft = await ground.drafted(document["id"])
    assert draft["state"] == "done", draft
    shown = (await ground.web.get(f"/documents/{document['id']}")).json()
    (revision,) = shown["revisions"]
    assert (revision["origin"], revision["head"]) == ("rendered", True)
    places = await ground.db.admin.fetchval("SELECT places FROM revision WHERE id = $1", UUID(revision["id"]))
    names = [field["name"] for field in places["signatures"]]
    assert names[-1] == "Seal"
    assert any(name.startswith("Signatory") for name in names)
    assert places["number"]["name"] == "Number"
    content = (await ground.web.get(f"/documents/{document['id']}/file")).content
    assert hashlib.sha256(content).hexdigest() == revision["sha256"]
    sealed = await ground.db.admin.fetchval("SELECT data_sealed FROM draft_order WHERE id = $1", UUID(draft["id"]))
    assert b"Nhung" not in sealed
    seen = "SELECT count(*) FROM view_log WHERE purpose = 'document.read' AND subject_id = $1"
    assert await ground.db.admin.fetchval(seen, UUID(document["id"])) == 1


async def test_draft_from_an_upload_and_a_second_draft_replaces_the_head(ground, pdf):
    _, document = await ground.document()
    upload = await ground.checked(pdf)
    first = await ground.drafted(document["id"], upload_id=upload["id"])
    assert first["state"] == "done"
    second = await ground.drafted(document["id"])
    assert second["state"] == "done"
    shown = (await ground.web.get(f"/documents/{document['id']}")).json()
    assert [(r["ordinal"], r["origin"], r["head"]) for r in shown["revisions"]] == [
        (1, "uploaded", False),
        (2, "rendered", True),
    ]


async def test_wrong_drafts_are_refused_with_the_reason(ground, pdf):
    _, document = await ground.document()
    path = f"/documents/{document['id']}/drafts"
    unknown = await ground.post(path, {"template": "no_such", "data": {}})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "no-template")
    assert "marital_status" in unknown.json()["templates"]
    short = await ground.post(path, {"template": "marital_status", "data": {"requester": "A"}})
    assert short.status_code in (400, 422)
    assert (await ground.post(path, {})).json()["code"] == "draft-source"
    handed_in = await ground.checked(pdf, "handed_in")
    answer = await ground.post(path, {"upload_id": handed_in["id"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "upload-not-accepted")
    assert (await ground.post(f"/documents/{UUID(int=3)}/drafts", {"upload_id": handed_in["id"]})).status_code == 404


async def test_letter_that_the_fonts_lack_is_an_error_and_not_a_blank(ground):
    _, document = await ground.document()
    odd = await ground.drafted(document["id"], template="marital_status", data={**PAPER, "purpose": "Đăng ký ☃"})
    assert (odd["state"], odd["error"]["code"]) == ("failed", "not-printable")
    assert (await ground.web.get(f"/documents/{document['id']}/file")).status_code == 404


async def test_two_drafts_of_one_head_do_not_hide_each_other(ground):
    _, document = await ground.document()
    path, order = f"/documents/{document['id']}/drafts", {"template": "marital_status", "data": PAPER}
    first, second = [(await ground.post(path, order)).json()["id"] for _ in range(2)]
    await ground.work()
    states = [(await ground.web.get(f"/drafts/{draft}")).json() for draft in (first, second)]
    assert sorted(state["state"] for state in states) == ["done", "failed"]
    assert next(s["error"]["code"] for s in states if s["state"] == "failed") == "draft-moved"


async def test_another_agency_neither_sees_nor_drafts(ground):
    dossier = await ground.dossier()
    result, document = await ground.document()
    await ground.log_in_elsewhere()
    assert (await ground.web.get(f"/documents/{document['id']}")).status_code == 404
    assert (await ground.web.get(f"/documents/{document['id']}/file")).status_code == 404
    assert (await ground.post(f"/dossiers/{dossier}/results", {})).status_code == 403
    assert (await ground.post(f"/results/{result['id']}/documents", {})).status_code == 403


async def test_refusal_is_a_result_of_its_own_and_annex_needs_its_main_document(ground):
    dossier = await ground.dossier()
    refusal = (await ground.post(f"/dossiers/{dossier}/results", {"refusal": True})).json()
    assert refusal["form"] == "a"
    listed = (await ground.web.get(f"/dossiers/{dossier}/results")).json()["items"]
    assert [(item["kind_code"], item["refusal"]) for item in listed] == [("TB-TC", True)]
    main = (await ground.post(f"/results/{refusal['id']}/documents", {})).json()
    path = f"/results/{refusal['id']}/documents"
    assert (await ground.post(path, {"act": "separate_annex"})).json()["code"] == "annex-without-main"
    annex = await ground.post(path, {"act": "separate_annex", "main_document_id": main["id"]})
    assert annex.status_code == 201


async def test_file_is_served_in_parts_and_known_files_are_not_sent_again(ground):
    _, document = await ground.document()
    await ground.drafted(document["id"])
    path = f"/documents/{document['id']}/file"
    whole = await ground.web.get(path)
    tag = whole.headers["etag"]
    assert tag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert whole.headers["cache-control"] == "private, no-cache"
    part = await ground.web.get(path, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    tail = await ground.web.get(path, headers={"Range": "bytes=-7"})
    assert tail.content == whole.content[-7:]
    beyond = await ground.web.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    assert (await ground.web.get(path, headers={"If-None-Match": tag})).status_code == 304
    stale = await ground.web.get(path, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (stale.status_code, len(stale.content)) == (200, len(whole.content))
    revision = (await ground.web.get(f"/documents/{document['id']}")).json()["revisions"][0]["id"]
    fixed = await ground.web.get(f"/revisions/{revision}/file")
    assert "immutable" in fixed.headers["cache-control"]
    with pikepdf.open(await ground.blobs.local_path(bytes.fromhex(tag.strip('"')))) as opened:
        assert len(opened.pages) == 1


async def test_another_officers_file_is_no_draft_and_looks_like_one_that_is_not_there(ground, pdf):
    _, document = await ground.document()
    await ground.log_in("kynhay")
    upload = await ground.checked(pdf)
    await ground.log_in("thuly")
    path = f"/documents/{document['id']}/drafts"
    told = [(await ground.post(path, {"upload_id": each})).json() for each in (upload["id"], str(UUID(int=9)))]
    assert {each["code"] for each in told} == {"no-upload"}
    assert told[0]["detail"] == told[1]["detail"]


async def test_citizen_hands_files_in_and_fetches_only_what_is_issued(ground, pdf):
    result, document = await ground.document()
    await ground.drafted(document["id"])
    dossier = UUID(result["dossier_id"])
    code = await ground.db.admin.fetchval("SELECT code FROM dossier WHERE id = $1", dossier)
    own = {"X-Dossier-Secret": access.secret_of(ground.province.vault, dossier)}
    ground.web.headers.pop("Authorization")
    path = f"/track/{code}/uploads"
    answer = await ground.web.post(path, content=pdf, headers={**own, **new_key(), "Content-Type": "application/pdf"})
    assert answer.status_code == 202
    await ground.work()
    shown = (await ground.web.get(f"{path}/{answer.json()['id']}", headers=own)).json()
    assert (shown["state"], shown["profile"]) == ("accepted", "handed_in")
    wrong = {"X-Dossier-Secret": "AAAA-BBBB-CCCC"}
    assert (await ground.web.get(f"{path}/{answer.json()['id']}", headers=wrong)).status_code == 404
    assert (await ground.web.post(path, content=pdf, headers={**wrong, **new_key()})).status_code == 404

    file = f"/track/{code}/results/{result['id']}/file"
    assert (await ground.web.get(file, headers=own)).status_code == 404, "a draft is nobody's result"
    await ground.db.admin.execute(
        "WITH v AS (INSERT INTO revision (document_id, ordinal, sha256, origin, reason)"
        " SELECT id, 2, head_sha256, 'sealed', 'thử' FROM document WHERE id = $1 RETURNING id, document_id)"
        " UPDATE document SET head_revision_id = v.id FROM v WHERE document.id = v.document_id",
        UUID(document["id"]),
    )
    issue = "UPDATE result SET state = 'issued', effect = 'in_force', issued_at = now() WHERE id = $1"
    await ground.db.admin.execute(issue, UUID(result["id"]))
    assert (await ground.web.get(file, headers=own)).content.startswith(b"%PDF-")
    assert (await ground.web.get(file, headers=wrong)).status_code == 404
    await ground.db.admin.execute("UPDATE result SET state = 'blocked' WHERE id = $1", UUID(result["id"]))
    assert (await ground.web.get(file, headers=own)).status_code == 404, "what is held is not handed over"


async def test_verify_page_tells_the_facts_apart_for_what_is_not_issued(ground):
    result, _ = await ground.document()
    answer = await ground.web.get(f"/verify/{result['verify_code'].lower().replace('-', ' ')}")
    assert answer.status_code == 200
    facts = answer.json()
    assert (facts["ok"], facts["in_force"]["state"], facts["untouched"]["state"]) == (False, "no", "unknown")
    html = await ground.web.get(f"/verify/{result['verify_code']}", headers={"Accept": "text/html"})
    assert html.headers["content-type"].startswith("text/html")
    assert "Còn hiệu lực" in html.text
    assert "still in force" in html.text
    assert (await ground.web.get("/verify/AAAA-BBBB-CCCC")).status_code == 404


async def test_file_from_outside_is_judged_by_the_worker(ground, pdf):
    answer = await ground.web.post("/verify", content=pdf, headers={"Content-Type": "application/pdf"})
    assert answer.status_code == 202
    path = answer.headers["location"]
    assert (await ground.web.get(path)).json()["state"] == "checking"
    await ground.work()
    done = (await ground.web.get(path)).json()
    assert done["state"] == "done"
    assert done["facts"]["signed"]["state"] == "no"
    assert done["facts"]["competent"]["state"] == "unknown"
    assert not done["facts"]["registered"]
    rubbish = await ground.web.post("/verify", content=b"rubbish", headers={"Content-Type": "application/pdf"})
    await ground.work()
    assert (await ground.web.get(rubbish.headers["location"])).json()["state"] == "done"


async def test_form_is_printed_under_the_own_letterhead_for_a_day(ground):
    data = {
        "dossier_code": "H05.30.60.01-261122-0001",
        "owner": "Nguyễn Thị Hồng Nhung",
        "procedure": "Cấp Giấy xác nhận tình trạng hôn nhân",
        "parts": [{"name": "Trích lục ly hôn", "certified_copies": 1}],
        "reasons": ["Thiếu trích lục."],
        "officer": "Lưu Đức Thắng",
        "website": "dichvucong.gov.vn",
    }
    ordered = await ground.post("/prints", {"template": "supplement_request", "data": data})
    assert ordered.status_code == 202
    await ground.work()
    path = f"/prints/{ordered.json()['id']}"
    assert (await ground.web.get(path)).json()["state"] == "done"
    printed = await ground.web.get(f"{path}/file")
    assert printed.content.startswith(b"%PDF-")
    known = {"If-None-Match": printed.headers["etag"]}
    assert (await ground.web.get(f"{path}/file", headers=known)).status_code == 304
    assert await count(ground, "view_log WHERE subject_kind = 'print' AND purpose = 'print.read'") == 1
    assert (await ground.post("/prints", {"template": "decision", "data": {}})).json()["code"] == "no-template"
    await ground.log_in_elsewhere()
    assert (await ground.web.get(path)).status_code == 404
    assert (await ground.web.get(f"{path}/file")).status_code == 404


async def test_sweep_removes_files_without_row_and_names_rows_without_file(ground, pdf):
    upload = await ground.checked(pdf)

    async def content():
        yield b"written, but its transaction rolled back"

    orphan = await ground.blobs.put_stream(content(), limit=1000)
    sweeper = Sweeper(ground.shop, grace=timedelta(hours=1))
    assert (await sweeper.sweep()).removed == (), "the young are left alone"
    path = await ground.blobs.local_path(orphan.sha256)
    os.utime(path, (0, 0))
    assert (await sweeper.sweep()).removed == (orphan.sha256.hex(),)
    assert not await ground.blobs.exists(orphan.sha256)

    needed = bytes.fromhex(upload["sha256"])
    kept = (await ground.blobs.local_path(needed)).rename(path.parent / "aside")
    swept = await sweeper.sweep()
    assert swept.missing == (upload["sha256"],)
    row = "SELECT missing_since IS NOT NULL FROM blob WHERE sha256 = $1"
    assert await ground.db.admin.fetchval(row, needed)
    kept.rename(ground.blobs._path(needed))
    assert (await sweeper.sweep()).found_again == (upload["sha256"],)
    assert not await ground.db.admin.fetchval(row, needed)
    assert await count(ground, "audit WHERE action = 'documents.sweep'") == 3


async def test_file_sent_in_to_be_verified_is_forgotten_after_a_day(ground, pdf):
    await ground.web.post("/verify", content=pdf, headers={"Content-Type": "application/pdf"})
    await ground.work()
    later = verification.KEPT + sweep.GRACE + timedelta(hours=1)
    name = hashlib.sha256(pdf).digest()
    age = "SET created_at = created_at - $1::interval WHERE sha256 = $2"
    await ground.db.admin.execute(f"UPDATE file_check {age}", later, name)
    await ground.db.admin.execute("UPDATE blob SET stored_at = stored_at - $1::interval WHERE sha256 = $2", later, name)
    os.utime(await ground.blobs.local_path(name), (0, 0))
    swept = await Sweeper(ground.shop).sweep()
    assert swept.removed == (name.hex(),)
    assert await ground.db.admin.fetchval("SELECT count(*) FROM file_check WHERE sha256 = $1", name) == 0
    assert await ground.db.admin.fetchval("SELECT count(*) FROM blob WHERE sha256 = $1", name) == 0
