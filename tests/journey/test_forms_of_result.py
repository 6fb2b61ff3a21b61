"""Each form of result to its proof of delivery, over HTTP: a paper original and its sealed scan (b), a ministry's
result (c), a certified copy with its book (d), and the refusal of what is not signed here. Form (a) is the walk."""

from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.embedded.walk import CITIZEN, TERRITORY, Refusal
from tests.dossier_ground import copied
from tests.paper import page, pdfsig_valid, run
from tests.server import Official, Server, officials, serving

pytestmark = pytest.mark.timeout(180)

MARRIAGE, HOUSEHOLD_BUSINESS, CERTIFIED_COPY = "1.000894", "1.001612", "2.000815"
HIS_NAME = {"name": "Trần Văn Bình", "id_number": "024199005678"}
AT_COUNTER = {"channel": "counter", "received_by": "filer", "signed_for": True}


class Ward:
    """Who works in one ward, and what they do alike for every form."""

    def __init__(self, server: Server, desks: list[Official]) -> None:
        self.server = server
        self.counter, self.appraiser, self.chair, self.clerk = desks

    async def file(self, procedure: str, part: str, **more: Any) -> dict[str, Any]:
        parts = [{"part_code": part, "name": "Giấy tờ", "originals": 1}]
        body = {"procedure_code": procedure, "filer": CITIZEN, "parts": parts, "territory_code": TERRITORY} | more
        return await self.counter.call("POST", "/dossiers", body)

    async def take_over(self, code: str) -> None:
        ward = (await self.appraiser.call("GET", "/session"))["posts"][0]["agency_id"]
        await self.step(self.counter, code, "hand_over", agency_id=ward)
        await self.step(self.appraiser, code, "confirm_hand_over")

    async def step(self, desk: Official, code: str, action: str, **facts: Any) -> dict[str, Any]:
        return await desk.call("POST", f"/dossiers/{code}/steps/{action}", {"facts": facts})

    async def drafted(self, desk: Official, dossier_id: str, **result: Any) -> dict[str, Any]:
        return await desk.call("POST", f"/dossiers/{dossier_id}/results", result)

    async def scanned(self, desk: Official, result_id: str, scan: Path) -> str:
        """Add a document with a scan as its draft, and submit it; return its id."""
        upload = await desk.upload("/uploads?profile=to_sign", scan.read_bytes())
        assert (await desk.until(f"/uploads/{upload['id']}", "state", "accepted", "refused"))["state"] == "accepted"
        document = await desk.call("POST", f"/results/{result_id}/documents", {})
        return await self.submitted(desk, document["id"], upload_id=upload["id"])

    async def submitted(self, desk: Official, document_id: str, **draft: Any) -> str:
        ordered = await desk.call("POST", f"/documents/{document_id}/drafts", draft)
        made = await desk.until(f"/drafts/{ordered['id']}", "state", "done", "failed")
        assert made["state"] == "done", made
        await desk.call("POST", f"/documents/{document_id}/chains", {})
        return document_id

    async def decided(self, document_id: str, *desks: Official) -> list[dict[str, Any]]:
        """Have each of these act on the document in turn; return what each ended in."""
        return [(await desk.sign(await desk.waiting(document_id)))["items"][0] for desk in desks]

    async def deliver(self, code: str, result_id: str, **proof: Any) -> dict[str, Any]:
        return await self.counter.call("POST", f"/dossiers/{code}/deliveries", {"result_id": result_id} | proof)

    async def refuses(self, doing: Any) -> dict[str, Any]:
        with pytest.raises(Refusal) as refused:
            await doing
        return dict(refused.value.body) | {"status": refused.value.status}

    async def proofs(self, code: str) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.counter.call("GET", f"/dossiers/{code}/deliveries")
        return [(row["channel"], row["proof"]) for row in rows]

    async def facts(self, verify_code: str) -> dict[str, Any]:
        return await self.counter.call("GET", f"/verify/{verify_code}")


@pytest_asyncio.fixture(scope="module")
async def ward(cluster, province, tmp_path_factory):
    room = tmp_path_factory.mktemp("forms")
    async with (
        copied(cluster, province.database) as database,
        serving(database, province, room) as server,
        officials(server, "tiepnhan", "thuly", "chutich", "vanthu") as desks,
    ):
        yield Ward(server, desks)


def states(facts: dict[str, Any]) -> list[str]:
    return [facts[name]["state"] for name in ("untouched", "signed", "competent", "in_force")]


async def test_a_paper_signed_by_hand_ends_as_a_sealed_scan_in_both_persons_hands(ward, tmp_path):
    filed = await ward.file(MARRIAGE, "TK", subjects=[CITIZEN, HIS_NAME])
    code = filed["code"]
    await ward.take_over(code)
    await ward.step(ward.appraiser, code, "appraise")
    result = await ward.drafted(ward.appraiser, filed["id"])
    assert result["form"] == "b"
    wrong = await ward.refuses(ward.appraiser.call("POST", f"/results/{result['id']}/documents", {"act": "copy"}))
    assert (wrong["status"], wrong["code"], wrong["acts"]) == (400, "act-of-form", ["digitised_paper"])
    document = await ward.scanned(ward.appraiser, result["id"], page(tmp_path / "scan.pdf"))
    decision, seal = await ward.decided(document, ward.chair, ward.clerk)
    assert (decision["stage"], seal["stage"]) == ("recorded", "recorded")
    assert seal["number_text"]
    sealed = tmp_path / "sealed.pdf"
    sealed.write_bytes(await ward.clerk.fetch(f"/documents/{document}/file"))
    assert pdfsig_valid(sealed) == 1, "the seal alone: who signed, signed the paper"
    assert f"Bản số hóa số {seal['number_text']}" in run("pdftotext", "-layout", sealed, "-").stdout
    facts = await ward.facts(result["verify_code"])
    assert (facts["ok"], states(facts)) == (True, ["yes"] * 4)
    alone = await ward.refuses(ward.deliver(code, result["id"], **AT_COUNTER))
    assert (alone["status"], alone["code"]) == (409, "step-refused")
    posted = await ward.refuses(ward.deliver(code, result["id"], channel="post", tracking_no="EE1", all_present=True))
    assert (posted["status"], posted["code"]) == (409, "step-refused")
    done = await ward.deliver(code, result["id"], all_present=True, **AT_COUNTER)
    assert done["status"] == "delivered"
    assert await ward.proofs(code) == [("counter", {"received_by": "filer", "signed_for": True, "all_present": True})]


async def test_a_ministrys_result_is_recorded_and_delivered(ward):
    filed = await ward.file(HOUSEHOLD_BUSINESS, "DN")
    code = filed["code"]
    await ward.take_over(code)
    one, two = [await ward.drafted(ward.appraiser, filed["id"]) for _ in range(2)]
    assert one["form"] == "c"
    nothing = await ward.refuses(ward.appraiser.call("POST", f"/results/{one['id']}/documents", {}))
    assert (nothing["code"], nothing["acts"]) == ("act-of-form", [])
    facts = await ward.facts(one["verify_code"])
    assert (facts["ok"], facts["in_force"]["state"]) == (False, "no"), "nobody has issued it yet"
    outside = {"system": "HKD", "reference": "27D8001234"}
    first = await ward.step(ward.appraiser, code, "record_outside_result", result_ids=[one["id"]], **outside)
    assert first["status"] == "appraising", "the other result is still to come"
    again = await ward.refuses(
        ward.step(ward.appraiser, code, "record_outside_result", result_ids=[one["id"]], **outside)
    )
    assert (again["status"], again["code"]) == (409, "step-refused")
    second = await ward.step(ward.appraiser, code, "record_outside_result", result_ids=[two["id"]], **outside)
    assert second["status"] == "done"
    facts = await ward.facts(one["verify_code"])
    assert (facts["ok"], states(facts)) == (False, ["unknown", "unknown", "unknown", "yes"])
    assert "HKD" in facts["signed"]["vi"]
    assert "27D8001234" in facts["signed"]["vi"]
    rows = (await ward.appraiser.call("GET", f"/dossiers/{filed['id']}/results"))["items"]
    assert [(row["state"], row["foreign_system"], row["foreign_reference"]) for row in rows] == [
        ("issued", "HKD", "27D8001234")
    ] * 2
    await ward.deliver(code, one["id"], channel="post", tracking_no="EE123456789VN")
    done = await ward.deliver(code, two["id"], **AT_COUNTER)
    assert done["status"] == "delivered"
    assert [channel for channel, _ in await ward.proofs(code)] == ["post", "counter"]


async def test_a_ministrys_result_that_was_wrong_is_replaced_by_the_next_one(ward):
    filed = await ward.file(HOUSEHOLD_BUSINESS, "DN")
    code = filed["code"]
    await ward.take_over(code)
    old = await ward.drafted(ward.appraiser, filed["id"])
    record = {"result_ids": [old["id"]], "system": "HKD", "reference": "27D8000001"}
    await ward.step(ward.appraiser, code, "record_outside_result", **record)
    basis = {"reason": "Sai tên chủ hộ", "legal_basis": "Nghị định số 168/2025/NĐ-CP"}
    await ward.step(ward.chair, code, "replace_result", result_id=old["id"], **basis)
    new = await ward.drafted(ward.appraiser, filed["id"])
    record = {"result_ids": [new["id"]], "system": "HKD", "reference": "27D8000002"}
    assert (await ward.step(ward.appraiser, code, "record_outside_result", **record))["status"] == "done"
    assert (await ward.facts(old["verify_code"]))["in_force"]["state"] == "no"
    (link,) = (await ward.facts(new["verify_code"]))["links"]
    assert (link["kind"], link["verify_code"]) == ("replaces", old["verify_code"])


async def test_what_is_signed_here_is_not_recorded_as_another_systems(ward):
    filed = await ward.file(MARRIAGE, "TK", subjects=[CITIZEN, HIS_NAME])
    await ward.take_over(filed["code"])
    result = await ward.drafted(ward.appraiser, filed["id"])
    record = {"result_ids": [result["id"]], "system": "HT", "reference": "1"}
    refused = await ward.refuses(ward.step(ward.appraiser, filed["code"], "record_outside_result", **record))
    assert (refused["status"], refused["code"]) == (409, "step-refused")
    assert "record_outside_result" not in refused["allowed"]


async def test_a_certified_copy_goes_into_its_book_and_out_at_the_counter(ward, tmp_path):
    filed = await ward.file(CERTIFIED_COPY, "BC")
    code = filed["code"]
    result = await ward.drafted(ward.counter, filed["id"])
    assert result["form"] == "d"
    document = await ward.scanned(ward.counter, result["id"], page(tmp_path / "copy.pdf"))
    _, seal = await ward.decided(document, ward.chair, ward.clerk)
    book = await ward.server.database.admin.fetchval(
        "SELECT s.book FROM number n JOIN number_series s ON s.id = n.series_id WHERE n.document_id = $1", document
    )
    assert book, "a certified copy is numbered in its own book"
    assert seal["number_text"]
    assert (await ward.deliver(code, result["id"], **AT_COUNTER))["status"] == "delivered"
    assert len(await ward.proofs(code)) == 1


async def test_what_is_not_signed_here_is_still_refused_under_signature_and_seal(ward, tmp_path):
    filed = await ward.file(HOUSEHOLD_BUSINESS, "DN")
    code = filed["code"]
    await ward.take_over(code)
    await ward.step(ward.appraiser, code, "refuse_request", reason="Ngành nghề bị cấm")
    result = await ward.drafted(ward.appraiser, filed["id"], refusal=True)
    assert result["form"] == "a"
    document = await ward.appraiser.call("POST", f"/results/{result['id']}/documents", {})
    data = {
        "to": CITIZEN["name"], "agency": "Ủy ban nhân dân phường Kinh Bắc", "dossier_code": code,
        "procedure": "Đăng ký thành lập hộ kinh doanh", "received_day": "24/11/2026",
        "reasons": ["Ngành nghề bị cấm kinh doanh"], "contact": "Trung tâm Phục vụ hành chính công",
    }  # fmt: skip
    await ward.submitted(ward.appraiser, document["id"], template="refusal", data=data)
    ends = await ward.decided(document["id"], ward.chair, ward.clerk)
    assert [end["stage"] for end in ends] == ["recorded", "recorded"]
    sealed = tmp_path / "refusal.pdf"
    sealed.write_bytes(await ward.clerk.fetch(f"/documents/{document['id']}/file"))
    assert pdfsig_valid(sealed) == 2
    assert (await ward.deliver(code, result["id"], **AT_COUNTER))["status"] == "delivered"
