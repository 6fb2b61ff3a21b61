"""The life of a dossier, every status by every action, against a reviewed matrix."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from api.dossiers import facts as f
from api.dossiers import lifecycle, table
from api.dossiers.words import (
    ACTION_VI,
    NATIONAL,
    STATUS_VI,
    STEP_OF,
    Action,
    Delivery,
    Finance,
    Standing,
    Status,
    Sync,
)
from api.errors import Invalid, Refused
from tests.lifecycle_ground import (
    AT,
    COMPETENT,
    COPY_PLAN,
    COUNTER,
    OTHER_RESULT,
    PLAN,
    RESULT,
    THIRD,
    at_status,
    facts,
    first,
    plan,
    vn,
    walk,
)  # fmt: skip

MATRIX = Path(__file__).with_name("lifecycle_matrix.txt")


def matrix() -> str:
    """Every status by every action: where it leads, or a point where it is refused."""
    lines = []
    for status in Status:
        lines.append(f"{status} ({NATIONAL[status]})")
        for action in Action:
            target = table.TRANSITIONS.get((status, action))
            if target is not None:
                forks = table.BRANCHES.get((status, action), {})
                more = "".join(f" | {condition}: {end}" for condition, end in forks.items())
                lines.append(f"    {action:<24} {target}{more}")
        refused = [str(a) for a in Action if a in table.BUSINESS_ACTIONS and (status, a) not in table.TRANSITIONS]
        lines.append(f"    refused: {' '.join(refused)}")
    for axis in (table.FINANCE, table.DELIVERY, table.SYNC):
        lines += [
            f"{type(origin).__name__.lower()}: {origin} {action} -> {end}" for (origin, action), end in axis.items()
        ]
    for action, (origins, end) in table.RESULT_MOVES.items():
        lines.append(f"result: {' '.join(sorted(origins))} {action} -> {end}")
    return "\n".join(lines) + "\n"


def ready(status: Status, action: Action):
    """A dossier in this status to which nothing but the table could forbid the action, and the plan it is worked by."""
    changes = {}
    if action in table.RESULT_MOVES:
        changes["results"] = {RESULT: min(table.RESULT_MOVES[action][0])}
    if action is Action.SEND_BACK and status in {Status.AWAITING_SIGNATURE, Status.AWAITING_ISSUE}:
        changes["results"] = {RESULT: Standing.SIGNED}
    if action in {Action.CONFIRM_HAND_OVER, Action.DECLINE_HAND_OVER}:
        changes["transfer_agency_id"] = COMPETENT
    if action in {Action.ANSWER_OPINION, Action.WITHDRAW_OPINION}:
        changes["open_opinions"] = 1
    if action is Action.RECORD_OUTSIDE_RESULT:
        changes |= {"owning_system": "ministry", "results": {RESULT: Standing.DRAFTED}}
    if action is Action.APPRAISE:
        changes["step_agency_id"] = COMPETENT
    needed = [state for (state, known), _ in table.FINANCE.items() if known is action]
    if needed:
        changes["finance"] = needed[0]
    reachable = [state for (state, known), _ in table.DELIVERY.items() if known is action]
    if reachable:
        changes["delivery"] = reachable[-1]
    copies = status is Status.RECEIVED and action is Action.SUBMIT_FOR_SIGNATURE
    return at_status(status, **changes), COPY_PLAN if copies else PLAN


def test_the_matrix_is_the_reviewed_one():
    assert matrix() == MATRIX.read_text(encoding="utf-8"), "a changed table needs a reviewed lifecycle_matrix.txt"


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("action", [a for a in Action if a not in table.OPENING])
def test_every_status_by_every_action(status, action):
    dossier, worked_by = ready(status, action)
    targets = {table.TRANSITIONS.get((status, action)), *table.BRANCHES.get((status, action), {}).values()} - {None}
    if action not in table.BUSINESS_ACTIONS:
        targets = {status}
    if not targets:
        with pytest.raises(Refused) as refused:
            lifecycle.step(dossier, action, facts(action, dossier), at=AT, plan=worked_by)
        assert refused.value.allowed == lifecycle.offered(dossier, worked_by)
        assert not {action, *table.BY_PROCESSES} & set(refused.value.allowed)
        return
    assert action in lifecycle.allowed(dossier, worked_by)
    line = lifecycle.step(dossier, action, facts(action, dossier), at=AT + timedelta(hours=1), plan=worked_by)
    after = lifecycle.apply(dossier, line)
    assert after.status in targets
    assert after.seq == dossier.seq + 1
    assert not {"reason", "question", "opinion", "note", "explanation"} & line.data.keys()


@pytest.mark.parametrize("action", sorted(table.OPENING))
def test_nothing_opens_a_dossier_twice(action):
    for status in Status:
        assert action not in lifecycle.allowed(at_status(status), PLAN)


def test_the_tables_leave_nothing_out():
    assert not {status for status, _ in table.TRANSITIONS} & table.FINAL, "nothing leaves a final status"
    assert {status for status, _ in table.TRANSITIONS} | table.FINAL == set(Status), "no dead end by accident"
    reached = set(table.TRANSITIONS.values()) | {e for forks in table.BRANCHES.values() for e in forks.values()}
    assert reached | {Status.SUBMITTED} == set(Status)
    assert set(table.BRANCHES) <= set(table.TRANSITIONS)
    assert set(NATIONAL) == set(STATUS_VI) == set(Status)
    assert set(NATIONAL.values()) == set(range(1, 11))
    assert set(STEP_OF) | {Status.WITHDRAWN, Status.STOPPED} == set(Status)
    assert set(f.FACTS) | table.OPENING == set(Action) == set(ACTION_VI)
    sends_back = {status for status, action in table.TRANSITIONS if action is Action.SEND_BACK}
    assert set(table.SEND_BACK_STEPS) == sends_back
    axes = table.BUSINESS_ACTIONS | table.FINANCE_ACTIONS | table.DELIVERY_ACTIONS | table.SYNC_ACTIONS | table.OPENING
    assert axes == set(Action)
    for action in table.RESULT_MOVES:
        assert "result_id" in f.FACTS[action].__struct_fields__


def test_the_diagram_shows_every_way_between_two_statuses():
    drawn = lifecycle.diagram().splitlines()
    assert drawn[0] == "stateDiagram-v2"
    for (origin, _), end in table.TRANSITIONS.items():
        if end is not origin:
            assert any(line.startswith(f"    {origin} --> {end}: ") for line in drawn)
    for (origin, _), forks in table.BRANCHES.items():
        for condition, end in forks.items():
            if end is not origin:
                assert any(line.startswith(f"    {origin} --> {end}: ") and f"({condition})" in line for line in drawn)


@pytest.mark.parametrize("seed", range(300))
def test_any_life_folds_to_what_its_steps_gave(seed):
    lines = walk(seed, first(owning_system="ministry" if seed % 4 == 0 else "province"), plan(appraisals=seed % 3))
    state = None
    for line in lines:
        state = lifecycle.apply(state, line)
    wire = msgspec.json.decode(msgspec.json.encode([line.effect for line in lines]))
    assert lifecycle.fold(wire) == state
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert (state.paused_at is not None) == (state.status in {Status.SUPPLEMENT_ASKED, Status.DUTY_ASKED})
    assert (state.due_at is None) == (state.due_original_at is None)
    assert (state.delivery is Delivery.DELIVERED) <= (state.status is Status.DELIVERED)


def take(dossier, action, what=None, *, at=AT, by=PLAN):
    return lifecycle.apply(dossier, lifecycle.step(dossier, action, what or facts(action, dossier), at=at, plan=by))


def test_the_receiver_takes_over_only_when_it_confirms():
    given = take(at_status(Status.RECEIVED), Action.HAND_OVER)
    assert (given.status, given.step_agency_id, given.transfer_agency_id) == (Status.RECEIVED, COUNTER, COMPETENT)
    with pytest.raises(Refused, match="waits for its receiver"):
        take(given, Action.HAND_OVER)
    declined = take(given, Action.DECLINE_HAND_OVER)
    assert (declined.step_agency_id, declined.transfer_agency_id) == (COUNTER, None)
    confirmed = take(given, Action.CONFIRM_HAND_OVER)
    assert (confirmed.status, confirmed.step_agency_id, confirmed.step) == (Status.APPRAISING, COMPETENT, "appraise1")


def test_an_unknown_authority_waits_for_dispatch():
    lost = at_status(Status.RECEIVED, competent_agency_id=None)
    with pytest.raises(Refused) as refused:
        take(lost, Action.HAND_OVER)
    assert Action.DISPATCH in refused.value.allowed
    found = take(lost, Action.DISPATCH, f.Dispatch(agency_id=THIRD))
    assert found.competent_agency_id == THIRD
    assert Action.HAND_OVER in lifecycle.allowed(found, PLAN)


def test_one_supplement_per_stage_and_the_clock_stands():
    asked = take(at_status(Status.APPRAISING), Action.ASK_SUPPLEMENT)
    assert (asked.status, asked.paused_at, asked.supplements) == (Status.SUPPLEMENT_ASKED, AT, {"appraise": 1})
    back = take(asked, Action.ANSWER_SUPPLEMENT, at=AT + timedelta(days=2))
    assert (back.status, back.paused_at) == (Status.APPRAISING, None)
    assert back.due_original_at == vn(2026, 3, 12, 17)
    assert back.due_at == vn(2026, 3, 16, 17)
    with pytest.raises(Refused, match="asked for a supplement already"):
        take(back, Action.ASK_SUPPLEMENT)
    at_intake = take(at_status(Status.SUBMITTED), Action.ASK_SUPPLEMENT)
    assert (at_intake.supplements, at_intake.paused_at) == ({"receive": 1}, None)


def test_silence_is_never_consent():
    asked = take(at_status(Status.DRAFTING), Action.ASK_OPINION)
    with pytest.raises(Refused, match="silence is no consent"):
        take(asked, Action.SUBMIT_FOR_SIGNATURE)
    assert take(take(asked, Action.WITHDRAW_OPINION), Action.SUBMIT_FOR_SIGNATURE).status is Status.AWAITING_SIGNATURE


def test_a_dossier_is_done_only_when_every_result_is():
    dossier = at_status(Status.DRAFTING, results={RESULT: Standing.DRAFTED, OTHER_RESULT: Standing.DRAFTED})
    one = f.SubmitForSignature(result_ids=(RESULT,))
    dossier = take(dossier, Action.SUBMIT_FOR_SIGNATURE, one)
    assert dossier.status is Status.DRAFTING
    dossier = take(dossier, Action.RECORD_SIGNATURE, f.RecordSignature(result_id=RESULT, complete=False))
    assert dossier.results[RESULT] is Standing.TO_SIGN
    dossier = take(dossier, Action.RECORD_SIGNATURE, f.RecordSignature(result_id=RESULT, complete=True))
    dossier = take(dossier, Action.ISSUE, f.Issue(result_id=RESULT))
    dossier = take(dossier, Action.DELIVER, f.Deliver(result_id=RESULT, channel="counter"))
    assert (dossier.status, dossier.delivery) == (Status.DRAFTING, Delivery.PARTLY)
    dossier = take(dossier, Action.SUBMIT_FOR_SIGNATURE, f.SubmitForSignature(result_ids=(OTHER_RESULT,)))
    assert dossier.status is Status.AWAITING_SIGNATURE
    dossier = take(dossier, Action.RECORD_SIGNATURE)
    assert dossier.status is Status.AWAITING_ISSUE
    dossier = take(dossier, Action.ISSUE)
    assert (dossier.status, dossier.step_agency_id, dossier.finished_at) == (Status.DONE, COUNTER, AT)
    dossier = take(dossier, Action.DELIVER)
    assert (dossier.status, dossier.delivery) == (Status.DELIVERED, Delivery.DELIVERED)


def test_taking_back_a_signature_is_offered_only_where_there_is_one():
    both = {RESULT: Standing.TO_SIGN, OTHER_RESULT: Standing.TO_SIGN}
    dossier = at_status(Status.AWAITING_SIGNATURE, results=both)
    initial = f.RecordSignature(result_id=RESULT, complete=False)

    def offers(dossier):
        return Action.TAKE_BACK_SIGNATURE in lifecycle.offered(dossier, PLAN)

    assert not offers(dossier)
    initialled = take(dossier, Action.RECORD_SIGNATURE, initial)
    assert (initialled.part_signed, initialled.results) == ((RESULT,), both)
    assert offers(initialled)
    assert offers(take(initialled, Action.CHARGE))
    assert not offers(take(initialled, Action.TAKE_BACK_SIGNATURE, f.OnSignature(result_id=RESULT, reason="sai")))
    assert not offers(take(initialled, Action.SEND_BACK, f.SendBack(result_id=RESULT, to="draft", reason="sai")))
    signed = take(initialled, Action.RECORD_SIGNATURE, f.RecordSignature(result_id=RESULT, complete=True))
    assert (signed.part_signed, offers(signed)) == ((), True)
    issued = take(signed, Action.ISSUE, f.Issue(result_id=RESULT))
    assert not offers(issued), "the other result waits for its first signature"
    assert Action.TAKE_BACK_SIGNATURE in lifecycle.allowed(dossier, PLAN), "an earlier version's line told of none"


def test_sending_one_result_back_leaves_the_other_in_signing():
    both = {RESULT: Standing.TO_SIGN, OTHER_RESULT: Standing.TO_SIGN}
    dossier = at_status(Status.AWAITING_SIGNATURE, results=both)
    back = take(dossier, Action.SEND_BACK, f.SendBack(result_id=RESULT, to="draft", reason="sai tên"))
    assert back.results == {RESULT: Standing.DRAFTED, OTHER_RESULT: Standing.TO_SIGN}
    signed = take(back, Action.RECORD_SIGNATURE, f.RecordSignature(result_id=OTHER_RESULT, complete=True))
    assert (signed.status, signed.results[OTHER_RESULT]) == (Status.DRAFTING, Standing.SIGNED)
    again = take(signed, Action.SUBMIT_FOR_SIGNATURE, f.SubmitForSignature(result_ids=(RESULT,)))
    assert again.status is Status.AWAITING_SIGNATURE


@pytest.mark.parametrize(
    ("status", "to", "lands"),
    [
        (Status.APPRAISING, None, Status.RECEIVED),
        (Status.DRAFTING, "appraise", Status.APPRAISING),
        (Status.AWAITING_SIGNATURE, "draft", Status.DRAFTING),
        (Status.AWAITING_SIGNATURE, "appraise", Status.APPRAISING),
        (Status.AWAITING_ISSUE, "appraise", Status.APPRAISING),
    ],
)
def test_sent_back_to_a_named_step(status, to, lands):
    dossier = at_status(status, results={RESULT: Standing.SIGNED})
    back = take(dossier, Action.SEND_BACK, f.SendBack(to=to, reason="sai"))
    assert (back.status, back.results) == (lands, {RESULT: Standing.DRAFTED})
    with pytest.raises(Refused, match="only back to"):
        take(at_status(Status.DRAFTING), Action.SEND_BACK, f.SendBack(to="receive", reason="sai"))


def test_an_error_after_sealing_blocks_the_hand_over_and_the_result_is_replaced():
    done = at_status(Status.DONE, results={RESULT: Standing.ISSUED})
    held = take(done, Action.BLOCK_HANDOVER)
    assert Action.DELIVER not in lifecycle.allowed(held, PLAN)
    new = f.ReplaceResult(result_id=RESULT, by_result_id=OTHER_RESULT, legal_basis="Điều 1", reason="sai ngày sinh")
    again = take(held, Action.REPLACE_RESULT, new)
    assert again.results == {RESULT: Standing.REPLACED, OTHER_RESULT: Standing.DRAFTED}
    assert (again.status, again.step_agency_id, again.finished_at) == (Status.DRAFTING, COMPETENT, None)


def test_overdue_never_blocks_the_hand_over_and_a_new_date_is_given_once():
    late = at_status(Status.APPRAISING)
    at = vn(2026, 3, 20)
    sorry = take(late, Action.APOLOGISE, f.Apologise(new_due_at=vn(2026, 3, 28), reason="quá tải"), at=at)
    assert (sorry.due_at, sorry.due_original_at) == (vn(2026, 3, 30, 17), vn(2026, 3, 12, 17)), "a Saturday moves on"
    with pytest.raises(Refused, match="given already"):
        take(sorry, Action.APOLOGISE, at=at)
    with pytest.raises(Invalid, match="in the future"):
        take(late, Action.APOLOGISE, f.Apologise(new_due_at=vn(2026, 3, 1), reason="quá tải"), at=at)
    done = at_status(Status.DONE, results={RESULT: Standing.ISSUED})
    assert take(done, Action.DELIVER, at=vn(2027, 1, 4)).status is Status.DELIVERED


def test_a_certified_copy_goes_from_the_counter_to_its_signatory():
    received = at_status(Status.RECEIVED)
    possible = lifecycle.allowed(received, COPY_PLAN)
    assert Action.SUBMIT_FOR_SIGNATURE in possible
    assert not {Action.APPRAISE, Action.HAND_OVER} & set(possible)
    asked = take(received, Action.SUBMIT_FOR_SIGNATURE, by=COPY_PLAN)
    assert (asked.status, asked.step_agency_id, asked.step) == (Status.AWAITING_SIGNATURE, COMPETENT, "approve")
    back = take(asked, Action.SEND_BACK, f.SendBack(reason="mờ chữ"), by=COPY_PLAN)
    assert (back.status, back.step_agency_id) == (Status.RECEIVED, COUNTER)


def test_several_steps_of_appraisal_follow_one_another():
    two = plan(appraisals=2)
    once = take(at_status(Status.APPRAISING), Action.APPRAISE, by=two)
    assert (once.status, once.step) == (Status.APPRAISING, "appraise2")
    assert take(once, Action.APPRAISE, by=two).status is Status.DRAFTING


def test_money_and_synchronisation_are_axes_of_their_own():
    due = take(at_status(Status.DELIVERED, sync=Sync.SYNCHRONISED), Action.CHARGE)
    assert (due.status, due.finance, due.sync) == (Status.DELIVERED, Finance.DUE, Sync.SYNCHRONISED)
    done = at_status(Status.DONE, results={RESULT: Standing.ISSUED}, sync=Sync.FAILED)
    delivered = take(done, Action.DELIVER)
    assert (delivered.status, delivered.sync) == (Status.DELIVERED, Sync.PENDING)
    with pytest.raises(Refused, match="has changed since"):
        take(delivered, Action.CONFIRM_SYNC, f.Synchronised(target="NPSP", up_to_seq=1))


def test_a_result_of_another_dossier_is_named_as_such():
    dossier = at_status(Status.AWAITING_ISSUE, results={RESULT: Standing.SIGNED})
    with pytest.raises(Invalid, match="not of this dossier"):
        take(dossier, Action.ISSUE, f.Issue(result_id=OTHER_RESULT))
