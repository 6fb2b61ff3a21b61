"""Every step that the state does not allow, taken over HTTP at each status, is a 409 that says what is allowed."""

from typing import Any

import pytest_asyncio

from api.dossiers.controller import ELSEWHERE
from api.dossiers.facts import FACTS
from tests.office import new_key
from tests.site import NOWHERE, Site, made, opened, refused, walked


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    async with opened(cluster, province, tmp_path_factory.mktemp("illegal")) as site:
        yield site


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
        "drop_result": {"result_id": result},
        "fail_delivery": {"reason": "Vắng nhà", "result_id": result, "channel": "post"},
        "block_handover": {"reason": "Sai tên", "result_id": result},
        "unblock_handover": {"result_id": result},
        "replace_result": {"reason": "Sai tên", "result_id": result, "legal_basis": "Điều 1"},
        "recall_result": {"reason": "Sai tên", "result_id": result, "legal_basis": "Điều 1"},
        "stop": {"reason": "Hết căn cứ", "legal_basis": "Điều 1"},
        "rebase": {"version_id": NOWHERE, "legal_basis": "Điều 1", "reason": "Quy định mới"},
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
    seen = []

    async def look(code: str, status: str) -> None:
        await assert_illegal_steps_refused(site, code, status, at_least=10)
        seen.append(status)

    left = await walked(site, look)
    assert seen == ["received", "awaiting_signature", "awaiting_issue", "done", "delivered"]
    document, result = left["document_id"], left["result_id"]
    for path, body in (
        (f"/documents/{document}/chains", {}),
        (f"/documents/{document}/drafts", {"upload_id": NOWHERE}),
        (f"/results/{result}/documents", {}),
    ):
        refused(await site["thuly"].post(path, json=body, headers=new_key()), 403, 409)
    chain = made(await site["thuly"].get(f"/documents/{document}/chains"))
    by_role = {line["role"]: line["id"] for line in chain}
    for act, body in (
        ("take-back", {"reason": "Ký nhầm"}),
        ("send-back", {"reason": "Sai tên"}),
        ("decline", {"reason": "Không ký"}),
        ("release", {}),
    ):
        path = f"/signature-requests/{by_role['signatory']}/{act}"
        problem = refused(await site["chutich"].post(path, json=body, headers=new_key()), 409)
        assert "allowed" in problem
    for role, who in (("signatory", "chutich"), ("seal", "vanthu")):
        again = {"items": [{"request_id": by_role[role], "sha256": "0" * 64}], "code": "123456"}
        problem = refused(await site[who].post("/signature-batches", json=again, headers=new_key()), 409)
        assert list(problem["items"]) == [by_role[role]]
    assert made(await site["tiepnhan"].get(f"/dossiers/{left['code']}"))["status"] == "delivered"
