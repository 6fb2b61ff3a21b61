"""Stamps over HTTP: an uploaded draft with chosen places and its separate annex, copies of each form, a version that
wants its results certified; and what is refused on the way."""

from pathlib import Path
from typing import Any

import pikepdf
import pytest
import pytest_asyncio

from tests.dossier_ground import copied
from tests.journey.test_forms_of_result import AT_COUNTER, Ward, states
from tests.paper import page, pdfsig_valid, run
from tests.server import officials, serving
from tests.unit.test_signing_scans import scanned
from tests.unit.test_signing_stamps import ANNEX, DRAFT, typeset

pytestmark = pytest.mark.timeout(300)

MARITAL_STATUS, CERTIFIED_COPY = "1.004873", "2.000815"
REFERRING = ANNEX.replace("#lorem(60)", "#v(4mm) Kèm theo Thông báo số #h(45mm) của Ủy ban, #v(4mm) #lorem(60)")
"""An annex that refers to its main document in its text, too."""
PLACES = (
    {"field": "Signatory1", "anchor": "CHỦ TỊCH", "side": "below"},
    {"field": "Number", "anchor": "Số:"},
    {"field": "IssuedDate", "anchor": "Kinh Bắc,"},
)


class Office(Ward):
    """The ward, and what this module does alike for every document."""

    async def begun(self) -> tuple[str, dict[str, Any], str]:
        """File a request and bring it to where its result is drafted; return its code, the result, and the secret."""
        filed = await self.file(MARITAL_STATUS, "TK")
        await self.take_over(filed["code"])
        await self.step(self.appraiser, filed["code"], "appraise")
        return filed["code"], await self.drafted(self.appraiser, filed["id"]), filed["secret"]

    async def document(self, result_id: str, **new: Any) -> str:
        return (await self.appraiser.call("POST", f"/results/{result_id}/documents", new))["id"]

    async def drawn_up(self, document_id: str, source: Path, places: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
        """Upload a file and make it the draft of a document; return where the order ended."""
        upload = await self.appraiser.upload("/uploads?profile=to_sign", source.read_bytes())
        seen = await self.appraiser.until(f"/uploads/{upload['id']}", "state", "accepted", "refused")
        assert seen["state"] == "accepted", seen
        order = {"upload_id": upload["id"], "places": list(places)}
        ordered = await self.appraiser.call("POST", f"/documents/{document_id}/drafts", order)
        return await self.appraiser.until(f"/drafts/{ordered['id']}", "state", "done", "failed")

    async def laid(self, document_id: str, source: Path, places: tuple[dict[str, Any], ...] = ()) -> str:
        made = await self.drawn_up(document_id, source, places)
        assert made["state"] == "done", made
        await self.appraiser.call("POST", f"/documents/{document_id}/chains", {})
        return document_id

    async def shown_to_the_clerk(self) -> set[str]:
        listed = await self.clerk.call("GET", "/signature-requests?limit=200")
        return {item["document_id"] for item in listed["items"]}

    async def read(self, document_id: str, target: Path) -> str:
        """Download a document and return what page 1 says."""
        target.write_bytes(await self.clerk.fetch(f"/documents/{document_id}/file"))
        return run("pdftotext", "-layout", "-l", "1", target, "-").stdout


@pytest_asyncio.fixture(scope="module")
async def ward(cluster, province, tmp_path_factory):
    room = tmp_path_factory.mktemp("stamps")
    async with (
        copied(cluster, province.database) as database,
        serving(database, province, room) as server,
        officials(server, "tiepnhan", "thuly", "chutich", "vanthu", "kynhay") as desks,
    ):
        office = Office(server, desks[:4])
        office.head = desks[4]
        yield office


async def test_a_draft_with_chosen_places_and_its_separate_annex_are_sealed_one_after_the_other(ward, tmp_path):
    code, result, secret = await ward.begun()
    main = await ward.document(result["id"])
    annex = await ward.document(result["id"], act="separate_annex", main_document_id=main)
    assert (await ward.drawn_up(annex, typeset(ANNEX, tmp_path / "annex.pdf")))["state"] == "done"
    await ward.laid(main, typeset(DRAFT, tmp_path / "main.pdf"), PLACES)
    await ward.appraiser.call("POST", f"/documents/{annex}/chains", {})
    assert annex not in await ward.shown_to_the_clerk(), "nobody has signed what it belongs to"
    await ward.decided(main, ward.head, ward.chair)
    assert annex in await ward.shown_to_the_clerk()
    (early,) = await ward.decided(annex, ward.clerk)
    assert (early["stage"], early["detail"]["code"]) == ("failed", "main-not-sealed"), "signed is not yet sealed"
    (seal,) = await ward.decided(main, ward.clerk)
    assert seal["stage"] == "recorded", seal
    said = await ward.read(main, tmp_path / "main-sealed.pdf")
    assert f"Số: {seal['number_text']}" in said
    assert "Kinh Bắc, ngày" in said
    assert pdfsig_valid(tmp_path / "main-sealed.pdf") == 2
    facts = await ward.facts(result["verify_code"])
    assert facts["in_force"]["state"] == "no", "not before its annex is sealed, too"
    (last,) = await ward.decided(annex, ward.clerk)
    assert (last["stage"], last["number_text"]) == ("recorded", None)
    said = await ward.read(annex, tmp_path / "annex-sealed.pdf")
    head = said.split("PHỤ LỤC")[0]
    assert f"Số: {seal['number_text']}" in head
    assert "Thời gian ký:" in head
    assert "+07:00" in head
    assert pdfsig_valid(tmp_path / "annex-sealed.pdf") == 1
    with pikepdf.open(tmp_path / "annex-sealed.pdf") as document:
        (field,) = document.Root.AcroForm.Fields
        assert "/XObject" not in field.AP.N.Resources, "an annex shows no seal"
    facts = await ward.facts(result["verify_code"])
    assert (facts["ok"], states(facts)) == (True, ["yes"] * 4)
    await citizen_has_both(ward, code, secret, result["id"], tmp_path)
    assert (await ward.deliver(code, result["id"], **AT_COUNTER))["status"] == "delivered"


async def citizen_has_both(ward, code, secret, result_id, tmp_path):
    """The citizen sees both documents and fetches each; without a number it is the main one."""
    headers = {"X-Dossier-Secret": secret}
    async with ward.server.client() as web:
        (seen,) = (await web.get(f"/track/{code}", headers=headers)).json()["results"]
        assert [(each["ordinal"], each["act"]) for each in seen["documents"]] == [
            (1, "main_document"), (2, "separate_annex"),
        ]  # fmt: skip
        path = f"/track/{code}/results/{result_id}/file"
        got = {n: await web.get(path, params=n and {"ordinal": n}, headers=headers) for n in (None, 1, 2, 3)}
    assert got[None].content == got[1].content == (tmp_path / "main-sealed.pdf").read_bytes()
    assert got[2].content == (tmp_path / "annex-sealed.pdf").read_bytes()
    assert got[3].status_code == 404


async def test_a_document_and_its_annex_are_sealed_by_one_ask_and_the_annex_refers_to_its_number(ward, tmp_path):
    _, result, _ = await ward.begun()
    main = await ward.document(result["id"])
    annex = await ward.document(result["id"], act="separate_annex", main_document_id=main)
    referring = (
        {"field": "Number", "anchor": "Kèm theo Thông báo số"},
        {"field": "IssuedDate", "anchor": "của Ủy ban,"},
    )
    assert (await ward.drawn_up(annex, typeset(REFERRING, tmp_path / "annex.pdf"), referring))["state"] == "done"
    await ward.laid(main, typeset(DRAFT, tmp_path / "main.pdf"), PLACES)
    await ward.appraiser.call("POST", f"/documents/{annex}/chains", {})
    await ward.decided(main, ward.head, ward.chair)
    ticket = await ward.clerk.sign(await ward.clerk.waiting(main), await ward.clerk.waiting(annex))
    assert [item["stage"] for item in ticket["items"]] == ["recorded", "recorded"], ticket
    number = ticket["items"][0]["number_text"]
    said = " ".join((await ward.read(annex, tmp_path / "annex-sealed.pdf")).split())
    assert f"Số: {number}" in said
    assert f"Kèm theo Thông báo số {number}" in said
    assert "của Ủy ban, ngày" in said
    assert f"Số: {number}" in await ward.read(main, tmp_path / "main-sealed.pdf")
    assert pdfsig_valid(tmp_path / "annex-sealed.pdf") == 1
    facts = await ward.facts(result["verify_code"])
    assert (facts["ok"], states(facts)) == (True, ["yes"] * 4)


async def test_an_annex_that_is_submitted_after_its_main_document_was_signed_is_not_stuck(ward, tmp_path):
    _, result, _ = await ward.begun()
    main = await ward.document(result["id"])
    annex = await ward.document(result["id"], act="separate_annex", main_document_id=main)
    assert (await ward.drawn_up(annex, typeset(ANNEX, tmp_path / "annex.pdf")))["state"] == "done"
    await ward.laid(main, page(tmp_path / "main.pdf"))
    await ward.decided(main, ward.head, ward.chair)
    await ward.appraiser.call("POST", f"/documents/{annex}/chains", {})
    ends = await ward.decided(main, ward.clerk) + await ward.decided(annex, ward.clerk)
    assert [end["stage"] for end in ends] == ["recorded", "recorded"]
    assert (await ward.facts(result["verify_code"]))["in_force"]["state"] == "yes"


async def test_places_that_cannot_be_are_refused_with_a_remedy(ward, tmp_path):
    _, result, _ = await ward.begun()
    main = await ward.document(result["id"])
    source = typeset(DRAFT, tmp_path / "main.pdf")
    failed = await ward.drawn_up(main, source, ({"field": "Signatory1", "anchor": "Không Có"},))
    assert (failed["state"], failed["error"]["code"]) == ("failed", "not-signable")
    assert "tọa độ" in failed["error"]["vi"]
    failed = await ward.drawn_up(main, source, ({"field": "Signatory1", "anchor": "a"},))
    assert "hoặc dùng đoạn chữ dài hơn" in failed["error"]["vi"]
    wrong = await ward.refuses(ward.drawn_up(main, source, ({"field": "Signatory7", "anchor": "CHỦ TỊCH"},)))
    assert (wrong["status"], wrong["code"]) == (400, "no-such-place")
    assert "Signatory1" in wrong["fields"]
    form = {"template": "decision", "data": {}, "places": [PLACES[0]]}
    wrong = await ward.refuses(ward.appraiser.call("POST", f"/documents/{main}/drafts", form))
    assert (wrong["status"], wrong["code"]) == (400, "draft-source")
    wrong = await ward.refuses(ward.document(result["id"], act="main_document", copy_form="extract"))
    assert (wrong["status"], wrong["code"]) == (400, "not-a-copy")
    rows = await ward.server.database.admin.fetch("SELECT data_sealed FROM draft_order WHERE document_id = $1", main)
    assert rows
    assert all("CHỦ TỊCH".encode() not in row["data_sealed"] for row in rows)


@pytest.mark.parametrize(
    ("copy_form", "printed"), [(None, "Sao y"), ("copy_of_copy", "Sao lục"), ("extract", "Trích sao")]
)
async def test_a_copy_says_of_which_form_it_is_after_somebody_decided_to_certify_it(ward, tmp_path, copy_form, printed):
    _, result, _ = await ward.begun()
    copy = await ward.document(result["id"], act="copy", **({"copy_form": copy_form} if copy_form else {}))
    await ward.laid(copy, typeset(DRAFT, tmp_path / "copy.pdf"))
    shown = await ward.appraiser.call("GET", f"/documents/{copy}")
    assert shown["copy_form"] == (copy_form or "true_copy")
    decision, seal = await ward.decided(copy, ward.chair, ward.clerk)
    assert (decision["stage"], seal["stage"]) == ("recorded", "recorded")
    said = await ward.read(copy, tmp_path / "sealed.pdf")
    assert f"{printed} số {seal['number_text']}" in said
    assert "Ủy ban nhân dân phường Kinh Bắc" in said
    assert pdfsig_valid(tmp_path / "sealed.pdf") == 1
    with pikepdf.open(tmp_path / "sealed.pdf") as document:
        (field,) = document.Root.AcroForm.Fields
        assert "/XObject" in field.AP.N.Resources, "the seal's picture"
        assert float(field.Rect[2] - field.Rect[0]) > 200
    factors = await ward.server.database.admin.fetchval(
        "SELECT count(*) FROM signature_request r JOIN step_up s ON s.batch_id = r.batch_id"
        " JOIN step_up_verdict v ON v.step_up_id = s.id AND v.accepted"
        " WHERE r.document_id = $1 AND r.role = 'signatory' AND r.state = 'recorded'"
        " AND r.recorded_sha256 = r.shown_sha256 AND r.mandate_id IS NOT NULL",
        copy,
    )
    assert factors == 1, "a decision rests on a right, a second factor and the hash that was shown"


async def test_a_scan_that_is_no_copy_by_the_decree_is_refused_with_a_remedy(ward, tmp_path):
    _, result, _ = await ward.begun()
    copy = await ward.document(result["id"], act="copy")
    failed = await ward.drawn_up(copy, scanned(tmp_path / "grey.pdf", "L"))
    assert (failed["state"], failed["error"]["code"]) == ("failed", "not-signable")
    assert "quét lại ở chế độ màu" in failed["error"]["vi"]
    assert (await ward.drawn_up(copy, scanned(tmp_path / "good.pdf")))["state"] == "done"
    main = await ward.document(result["id"])
    assert (await ward.drawn_up(main, tmp_path / "grey.pdf"))["state"] == "done", "no copy, no rule"


async def test_a_certified_copy_is_named_so(ward, tmp_path):
    filed = await ward.file(CERTIFIED_COPY, "BC")
    result = await ward.drafted(ward.counter, filed["id"])
    document = await ward.scanned(ward.counter, result["id"], page(tmp_path / "copy.pdf"))
    _, seal = await ward.decided(document, ward.chair, ward.clerk)
    said = await ward.read(document, tmp_path / "sealed.pdf")
    assert "Chứng thực bản sao đúng với bản chính" in " ".join(said.split())
    assert seal["number_text"] in said


@pytest.mark.parametrize(("level", "certified", "locked"), [("forms", 2, 2), ("final", 2, 1)])
async def test_a_version_says_what_its_results_certify(ward, tmp_path, level, certified, locked):
    admin = ward.server.database.admin
    await admin.execute(
        "UPDATE procedure_version SET definition = jsonb_set(definition, '{result,certification}', to_jsonb($2::text))"
        " WHERE code = $1", MARITAL_STATUS, level,
    )  # fmt: skip
    try:
        _, result, _ = await ward.begun()
        main = await ward.document(result["id"])
        await ward.laid(main, page(tmp_path / "main.pdf"))
        ends = await ward.decided(main, ward.head, ward.chair, ward.clerk)
        assert [end["stage"] for end in ends] == ["recorded"] * 3, ends
    finally:
        await admin.execute("UPDATE procedure_version SET definition = definition #- '{result,certification}'")
    await ward.read(main, tmp_path / "sealed.pdf")
    assert pdfsig_valid(tmp_path / "sealed.pdf") == 2
    with pikepdf.open(tmp_path / "sealed.pdf") as document:
        signatures = {str(field.T): field.V for field in document.Root.AcroForm.Fields}
        assert document.Root.Perms.DocMDP == signatures["Signatory1"]
        levels = {str(each.TransformMethod): int(each.TransformParams.P) for each in signatures["Signatory1"].Reference}
        assert levels["/DocMDP"] == certified
        assert int(signatures["Seal"].Reference[0].TransformParams.P) == locked
    facts = await ward.facts(result["verify_code"])
    assert (facts["ok"], states(facts)) == (True, ["yes"] * 4)
