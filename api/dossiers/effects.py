"""What a step does besides moving the status: results, deadlines, pauses, places. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.dossiers import facts as f
from api.dossiers import table
from api.dossiers.deadlines import Plan
from api.dossiers.projection import Projection
from api.dossiers.words import STEP_OF, Action, Standing, Status
from api.errors import Invalid, Refused
from api.registry.procedures import StepKind

Effect = dict[str, Any]
Results = dict[UUID, Standing]
Refuse = Callable[[str, str], Refused]

ENDED: Final = table.FINAL | {Status.DONE, Status.DELIVERED}
"""Statuses in which the matter itself is settled (ngày kết thúc xử lý)."""
PAUSED: Final = frozenset({Status.SUPPLEMENT_ASKED, Status.DUTY_ASKED})


_IN_SIGNING: Final = frozenset({Standing.TO_SIGN, Standing.SIGNED})


def stage_of(status: Status) -> str:
    """Return the stage to which the limit of supplement requests is bound."""
    return str(STEP_OF.get(status, StepKind.APPRAISE))


def appraisal_step(before: Projection, plan: Plan) -> str:
    """Return the step of appraisal under way, the first one where the dossier still stands at the counter."""
    if before.status is Status.RECEIVED:
        return plan.first_step(StepKind.APPRAISE)
    return before.step


def check(before: Projection, action: Action, facts: f.Facts, plan: Plan, refuse: Refuse) -> None:
    """Refuse what only the facts can tell: limits of dated rules, results that are not there, steps one cannot name.

    Raises:
        Refused: a limit is reached, a result stands elsewhere, or the named step cannot be gone back to.
        Invalid: a result is not of this dossier.
    """
    if action in table.RESULT_MOVES:
        _check_result(before, action, _result_of(facts), refuse)
    why = _limit(before, facts, plan) or _misplaced(before, action, facts) or _unfit(before, facts, plan)
    if why is not None:
        raise refuse(*why)


def _limit(before: Projection, facts: f.Facts, plan: Plan) -> tuple[str, str] | None:
    match facts:
        case f.AskSupplement():
            if before.supplements.get(stage_of(before.status), 0) >= plan.rules.supplements_per_stage:
                return "đã yêu cầu bổ sung ở giai đoạn này", "this stage has asked for a supplement already"
        case f.Apologise():
            if before.reappointments >= plan.rules.reappointments:
                return "đã hẹn lại rồi", "a new date was given already"
        case f.Synchronised(up_to_seq=up_to, error=None):
            if up_to < before.seq:
                return "hồ sơ đã thay đổi sau lần đồng bộ", "the dossier has changed since"
        case _:
            pass
    return None


def _misplaced(before: Projection, action: Action, facts: f.Facts) -> tuple[str, str] | None:
    match facts:
        case f.SendBack(to=to, result_id=result):
            steps = table.SEND_BACK_STEPS[before.status]
            if to is not None and to not in steps:
                return f"chỉ trả lại được về bước: {', '.join(steps)}", f"only back to: {', '.join(steps)}"
            if result is not None and before.results.get(result) not in {Standing.TO_SIGN, Standing.SIGNED}:
                return "kết quả này không đang trình ký", "this result is not being signed"
        case f.SubmitForSignature(result_ids=ids):
            standing = {before.results.get(result, Standing.DRAFTED) for result in ids}
            if Standing.DRAFTED not in standing or not standing <= {Standing.DRAFTED, Standing.TO_SIGN}:
                return "có kết quả đã trình ký hoặc đã phát hành", "a result was submitted or issued already"
        case f.OnResult(result_id=result) if action is Action.DRAFT_RESULT:
            if result in before.results:
                return "kết quả đã có trong hồ sơ", "the dossier has this result already"
        case f.RecordOutsideResult(result_ids=ids):
            if {before.results.get(result) for result in ids} != {Standing.DRAFTED}:
                return "chỉ ghi nhận được kết quả đang dự thảo", "only a drafted result is recorded"
        case _:
            pass
    return None


def _unfit(before: Projection, facts: f.Facts, plan: Plan) -> tuple[str, str] | None:
    """Say why a dossier cannot go on by the version that `plan` holds: what is done must be done there, too."""
    if isinstance(facts, f.Deliver) and before.outcome != "refused":
        return _undeliverable(facts, plan)
    if not isinstance(facts, f.Rebase):
        return None
    if facts.version_id == before.procedure_version_id:
        return "hồ sơ đang theo đúng phiên bản này", "the dossier goes by this version already"
    if set(before.results.values()) - table.GONE:
        return "đã có dự thảo kết quả; hãy bỏ dự thảo trước", "a result is drafted; drop it first"
    if plan.definition.of_kind(STEP_OF[before.status]) is None:
        return "phiên bản đó không có bước mà hồ sơ đang ở", "that version lacks the step the dossier stands in"
    return None


def _undeliverable(facts: f.Deliver, plan: Plan) -> tuple[str, str] | None:
    channels = plan.definition.channels_out
    if facts.channel not in channels:
        return f"thủ tục này chỉ trả kết quả qua: {', '.join(channels)}", f"handed over only by: {', '.join(channels)}"
    if plan.definition.all_subjects_present and not facts.all_present:
        return "các bên phải cùng có mặt và ký nhận", "every subject must be present and sign for it"
    return None


def _result_of(facts: f.Facts) -> UUID:
    return getattr(facts, "result_id")  # noqa: B009 - every Struct of RESULT_MOVES has it; a test walks them all


def _check_result(before: Projection, action: Action, result: UUID, refuse: Refuse) -> None:
    standing = before.results.get(result)
    if standing is None:
        raise Invalid("Kết quả không thuộc hồ sơ này.", "The result is not of this dossier.", code="unknown-result")
    origins, _ = table.RESULT_MOVES[action]
    if standing not in origins:
        raise refuse(f"kết quả đang ở trạng thái {standing}", f"the result is {standing}")


def results_after(before: Projection, action: Action, facts: f.Facts) -> Results:
    """Return where each result stands after the action."""
    results = dict(before.results)
    match facts:
        case f.SubmitForSignature(result_ids=ids):
            return results | dict.fromkeys(ids, Standing.TO_SIGN)
        case f.RecordOutsideResult(result_ids=ids):
            return results | dict.fromkeys(ids, Standing.ISSUED)
        case f.ReplaceResult(result_id=old, by_result_id=new):
            return results | {old: Standing.REPLACED} | ({new: Standing.DRAFTED} if new else {})
        case f.SendBack(result_id=UUID() as only):
            return results | {only: Standing.DRAFTED}
        case _:
            return _moved(results, action, facts)


def _moved(results: Results, action: Action, facts: f.Facts) -> Results:
    if isinstance(facts, f.RecordSignature) and not facts.complete:
        return results
    if action is Action.DRAFT_RESULT:
        return results | {_result_of(facts): Standing.DRAFTED}
    if action in table.RESULT_MOVES:
        return results | {_result_of(facts): table.RESULT_MOVES[action][1]}
    if action in {Action.SEND_BACK, Action.REFUSE_REQUEST}:
        return {key: Standing.DRAFTED if at in _IN_SIGNING else at for key, at in results.items()}
    return results


def part_signed_after(before: Projection, facts: f.Facts, results: Results) -> tuple[UUID, ...]:
    """Return which results still to be signed bear a signature after the action."""
    signed = {*before.part_signed, *((facts.result_id,) if isinstance(facts, f.RecordSignature) else ())}
    return tuple(sorted(one for one in signed if results.get(one) is Standing.TO_SIGN))


def columns(before: Projection, action: Action, facts: f.Facts, status: Status, *, at: datetime, plan: Plan) -> Effect:
    """Return the other columns an action sets: where the dossier lies, its step, its due times, its counters."""
    change: Effect = _place(before, action, facts) | _counters(before, action) | _desk(before, status)
    change |= _whole_clock(before, action, facts, status, at=at, plan=plan)
    if isinstance(facts, f.Rebase):
        change["procedure_version_id"] = facts.version_id
    step = _step(before, action, status, plan)
    change["step"] = step
    change |= _step_clock(before, action, status, step, at=at, plan=plan)
    ended = status in ENDED
    change["finished_at"] = (before.finished_at or at) if ended else None
    if status in table.FINAL:
        change |= {"transfer_agency_id": None, "transfer_unit": None, "open_opinions": 0}
    return change


def _place(before: Projection, action: Action, facts: f.Facts) -> Effect:
    match action, facts:
        case Action.DISPATCH, f.Dispatch(agency_id=agency):
            return {"competent_agency_id": agency}
        case Action.HAND_OVER, f.HandOver(agency_id=agency, unit=unit):
            return {"transfer_agency_id": agency, "transfer_unit": unit}
        case Action.CONFIRM_HAND_OVER, _:
            return {
                "step_agency_id": before.transfer_agency_id,
                "step_unit": before.transfer_unit,
                "transfer_agency_id": None,
                "transfer_unit": None,
            }
        case Action.DECLINE_HAND_OVER, _:
            return {"transfer_agency_id": None, "transfer_unit": None}
        case _:
            return {}


def _desk(before: Projection, status: Status) -> Effect:
    """Say which agency does the step when nobody hands it over: the counter gives out, the competent one decides."""
    if status in {Status.DONE, Status.RECEIVED} and before.status not in {status, Status.SUBMITTED}:
        return {"step_agency_id": before.receipt_agency_id, "step_unit": None}
    at_counter = before.status in {Status.DONE, Status.DELIVERED, Status.RECEIVED}
    if status in {Status.DRAFTING, Status.AWAITING_SIGNATURE} and at_counter:
        return {"step_agency_id": before.competent_agency_id or before.step_agency_id, "step_unit": None}
    return {}


def _counters(before: Projection, action: Action) -> Effect:
    stage = stage_of(before.status)
    change: dict[Action, Effect] = {
        Action.ASK_SUPPLEMENT: {"supplements": before.supplements | {stage: before.supplements.get(stage, 0) + 1}},
        Action.ASK_OPINION: {"open_opinions": before.open_opinions + 1},
        Action.ANSWER_OPINION: {"open_opinions": before.open_opinions - 1},
        Action.WITHDRAW_OPINION: {"open_opinions": before.open_opinions - 1},
        Action.APPRAISE: {"outcome": "granted"},
        Action.REFUSE_REQUEST: {"outcome": "refused"},
        Action.APOLOGISE: {"reappointments": before.reappointments + 1},
    }
    return change.get(action, {})


def _whole_clock(
    before: Projection, action: Action, facts: f.Facts, status: Status, *, at: datetime, plan: Plan
) -> Effect:
    if action is Action.RECEIVE:
        due = plan.due(at)
        return {"received_at": at, "due_original_at": due, "due_at": due}
    if isinstance(facts, f.Apologise):
        return {"due_at": plan.reappointed(facts.new_due_at, at)}
    if status in PAUSED:
        return {"paused_at": before.paused_at or at}
    if before.paused_at is None:
        return {}
    change: Effect = {"paused_at": None}
    if status not in table.FINAL and before.due_at is not None:
        change["due_at"] = plan.resumed(before.due_at, before.paused_at, at)
    return change


def _step(before: Projection, action: Action, status: Status, plan: Plan) -> str:
    kind = STEP_OF.get(status)
    if kind is None:
        return before.step
    if action is Action.APPRAISE:
        current = appraisal_step(before, plan)
        return plan.next_appraisal(current) or current
    if action is Action.SEND_BACK and status is Status.APPRAISING:
        return plan.first_step(kind)
    if kind is StepKind.APPRAISE and STEP_OF[before.status] is kind and action is not Action.REBASE:
        return before.step
    return plan.first_step(kind, before.step)


def _step_clock(before: Projection, action: Action, status: Status, step: str, *, at: datetime, plan: Plan) -> Effect:
    if status in table.FINAL or status is Status.DELIVERED:
        return {"step_due_original_at": None, "step_due_at": None}
    if status is Status.SUBMITTED and status is not before.status:
        due = plan.answer_due(at)
        return {"step_due_original_at": due, "step_due_at": due}
    if before.paused_at is not None and status not in PAUSED and before.step_due_at is not None:
        return {"step_due_at": plan.resumed(before.step_due_at, before.paused_at, at)}
    handed_over = action in {Action.CONFIRM_HAND_OVER, Action.RECEIVE}
    reopened = STEP_OF.get(before.status) is not STEP_OF.get(status)
    if step != before.step or handed_over or reopened:
        due = plan.step_due(step, at)
        return {"step_due_original_at": due, "step_due_at": due}
    return {}
