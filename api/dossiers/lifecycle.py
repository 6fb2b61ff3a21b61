"""The life of a dossier: one table (`table`), one pure function that steps through it, one fold over the journal.

No clock, no database, no web: time and terms arrive as arguments. A refused step raises Refused with what is allowed.
`step` decides once and writes what it decided into the entry's effect; `apply` only folds effects, so a rule changed
next year never rewrites what happened this year.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from api.dossiers import effects, table
from api.dossiers.deadlines import Plan
from api.dossiers.effects import Effect
from api.dossiers.facts import Facts, SendBack, split
from api.dossiers.projection import Projection
from api.dossiers.words import ACTION_VI, STATUS_VI, Action, Delivery, Finance, Standing, Status, Sync
from api.errors import Refused


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal: what was done when, its facts, and the columns it set in the projection."""

    seq: int
    action: Action
    occurred_at: datetime
    data: dict[str, Any]
    effect: dict[str, Any]


def opening(
    first: Projection, action: Literal[Action.SUBMIT, Action.IMPORT], data: dict[str, Any], at: datetime
) -> Entry:
    """Return the line that begins a dossier: handed in, or imported in the state another system left it in."""
    return Entry(seq=first.seq, action=action, occurred_at=at, data=data, effect=msgspec.to_builtins(first))


_COLUMNS: Final = Projection.__struct_fields__
_Set: Final = msgspec.defstruct(
    "_Set",
    [(field.name, field.type | msgspec.UnsetType, msgspec.UNSET) for field in msgspec.structs.fields(Projection)],
)
"""The columns that one line sets, as the types they have in the projection."""


def step(before: Projection, action: Action, facts: Facts, *, at: datetime, plan: Plan) -> Entry:
    """Decide one step and return its line.

    Raises:
        Refused: the state, a rule or an open matter does not allow it; `allowed` names what is allowed.
        Invalid: the facts name a result this dossier does not have, or a date that has passed.
    """
    require_allowed(before, action, plan)
    effects.check(before, action, facts, plan, lambda vi, en: _refusal(before, action, (vi, en), plan))
    results = effects.results_after(before, action, facts)
    change: Effect = {"results": results, "part_signed": effects.part_signed_after(before, facts, results)}
    if action in table.BUSINESS_ACTIONS:
        change["status"] = _target(before, action, facts, change["results"], plan)
    change |= _axes(before, action, change.get("status", before.status), change["results"])
    change |= effects.columns(before, action, facts, change.get("status", before.status), at=at, plan=plan)
    data, _ = split(facts)
    return Entry(
        seq=before.seq + 1, action=action, occurred_at=at, data=data, effect=_changed(before, change, before.seq + 1)
    )


def require_allowed(before: Projection, action: Action, plan: Plan) -> None:
    """Let an action pass that may be done now.

    Raises:
        Refused: it may not; `allowed` names what may.
    """
    if not _is_allowed(before, action, plan):
        raise _refusal(before, action, why_not(before, action, plan), plan)


def apply(before: Projection | None, entry: Entry) -> Projection:
    """Return the projection after a line; the only way a dossier row comes to be what it is."""
    if before is None:
        return msgspec.convert(entry.effect, Projection)
    set_ = msgspec.convert(entry.effect, _Set)
    return Projection(**{name: getattr(set_ if name in entry.effect else before, name) for name in _COLUMNS})


def fold(lines: Iterable[dict[str, Any]]) -> Projection:
    """Rebuild a projection from the effects of all its lines in order: `apply` over them, converted once."""
    state: dict[str, Any] = {}
    for effect in lines:
        state.update(effect)
    return msgspec.convert(state, Projection)


def allowed(dossier: Projection, plan: Plan) -> tuple[Action, ...]:
    """Return what may be done now, in the order of the action list; a limit of a rule may still refuse the facts."""
    return tuple(action for action in _WAYS[dossier.status] if _is_open(dossier, action, plan))


def offered(dossier: Projection, plan: Plan) -> tuple[Action, ...]:
    """Return what some person may do now.

    Steps that only a process records are left out, and so is taking back a signature where nobody has signed. That is
    no guard of the step, since a signature recorded by an earlier version left no trace in the projection.
    """
    signed = bool(dossier.part_signed) or Standing.SIGNED in dossier.results.values()
    hidden = table.BY_PROCESSES if signed else table.BY_PROCESSES | {Action.TAKE_BACK_SIGNATURE}
    return tuple(action for action in allowed(dossier, plan) if action not in hidden)


_WAYS: Final[dict[Status, tuple[Action, ...]]] = {
    status: tuple(
        action
        for action in Action
        if (status, action) in table.TRANSITIONS or action not in table.BUSINESS_ACTIONS | table.OPENING
    )
    for status in Status
}
"""The actions that the business axis lets pass from each status; those of the other axes alone pass from any."""


def _is_allowed(dossier: Projection, action: Action, plan: Plan) -> bool:
    return action in _WAYS[dossier.status] and _is_open(dossier, action, plan)


def _is_open(dossier: Projection, action: Action, plan: Plan) -> bool:
    return _on_other_axes(dossier, action) and why_not(dossier, action, plan) is None


def _on_other_axes(dossier: Projection, action: Action) -> bool:
    """Tell whether every other axis that knows the action has a way by it from where the dossier stands there."""
    if action in table.FINANCE_ACTIONS and (dossier.finance, action) not in table.FINANCE:
        return False
    if action in table.DELIVERY_ACTIONS and (dossier.delivery, action) not in table.DELIVERY:
        return False
    return action not in table.SYNC_ACTIONS or (dossier.sync, action) in table.SYNC


def _open_transfer(dossier: Projection) -> tuple[str, str] | None:
    if dossier.transfer_agency_id is None:
        return "chưa có lượt chuyển hồ sơ nào", "no hand-over is open"
    return None


def _no_transfer(dossier: Projection) -> tuple[str, str] | None:
    if dossier.transfer_agency_id is not None:
        return "hồ sơ đang chờ nơi nhận xác nhận", "a hand-over waits for its receiver"
    return None


def _may_hand_over(dossier: Projection) -> tuple[str, str] | None:
    if dossier.competent_agency_id is None:
        return "chưa xác định cơ quan có thẩm quyền", "the competent agency is unknown"
    return _no_transfer(dossier)


def _may_appraise(dossier: Projection) -> tuple[str, str] | None:
    if dossier.status is Status.RECEIVED and dossier.competent_agency_id != dossier.step_agency_id:
        return "hồ sơ chưa chuyển đến cơ quan có thẩm quyền", "the dossier is not yet at the competent agency"
    return _no_transfer(dossier)


def _opinions_open(dossier: Projection) -> tuple[str, str] | None:
    return None if dossier.open_opinions else ("không có ý kiến nào đang chờ", "no opinion is waited for")


def _may_submit(dossier: Projection) -> tuple[str, str] | None:
    if dossier.competent_agency_id is None:
        return "chưa xác định cơ quan có thẩm quyền", "the competent agency is unknown"
    if dossier.open_opinions:
        return (
            "còn ý kiến phối hợp chưa trả lời; im lặng không phải là đồng ý",
            "an opinion is open; silence is no consent",
        )
    return _no_transfer(dossier)


def _nothing_released(dossier: Projection) -> tuple[str, str] | None:
    if table.RELEASED & set(dossier.results.values()):
        return "đã có kết quả được phát hành", "a result was already issued"
    return None


def _may_record(dossier: Projection) -> tuple[str, str] | None:
    if dossier.owning_system != "ministry":
        return (
            "kết quả của thủ tục này được ký và đóng dấu tại đây",
            "this procedure's result is signed and sealed here",
        )
    if Standing.DRAFTED not in dossier.results.values():
        return "chưa có kết quả nào được lập để ghi nhận", "no result has been drafted to be recorded"
    return None


def _has_due(dossier: Projection) -> tuple[str, str] | None:
    return None if dossier.due_at else ("hồ sơ không có hạn trả", "the dossier has no due date")


_GUARDS: Final[dict[Action, Callable[[Projection], tuple[str, str] | None]]] = {
    Action.DISPATCH: _no_transfer,
    Action.HAND_OVER: _may_hand_over,
    Action.CONFIRM_HAND_OVER: _open_transfer,
    Action.DECLINE_HAND_OVER: _open_transfer,
    Action.APPRAISE: _may_appraise,
    Action.REFUSE_REQUEST: _no_transfer,
    Action.ASK_SUPPLEMENT: _no_transfer,
    Action.ASK_DUTY: _no_transfer,
    Action.SEND_BACK: _no_transfer,
    Action.ANSWER_OPINION: _opinions_open,
    Action.WITHDRAW_OPINION: _opinions_open,
    Action.SUBMIT_FOR_SIGNATURE: _may_submit,
    Action.RECORD_OUTSIDE_RESULT: _may_record,
    Action.WITHDRAW: _nothing_released,
    Action.STOP: _nothing_released,
    Action.APOLOGISE: _has_due,
}


_OF_APPRAISAL: Final = frozenset({Action.HAND_OVER, Action.APPRAISE})


def _way_of_plan(dossier: Projection, action: Action, plan: Plan) -> tuple[str, str] | None:
    if dossier.status is not Status.RECEIVED:
        return None
    if action is Action.SUBMIT_FOR_SIGNATURE and plan.appraises():
        return "thủ tục này phải thẩm định trước khi trình ký", "this procedure is appraised before it is signed"
    if action in _OF_APPRAISAL and not plan.appraises():
        return "thủ tục này không có bước thẩm định", "this procedure has no step of appraisal"
    return None


def why_not(dossier: Projection, action: Action, plan: Plan) -> tuple[str, str] | None:
    """Return what stands in the way of an action that the table knows, in Vietnamese and English, or None."""
    if action in table.RESULT_MOVES:
        origins, _ = table.RESULT_MOVES[action]
        if not origins & set(dossier.results.values()):
            return "không có kết quả nào ở trạng thái phù hợp", "no result stands where this could begin"
    guard = _GUARDS.get(action)
    return (guard(dossier) if guard else None) or _way_of_plan(dossier, action, plan)


def _refusal(dossier: Projection, action: Action, why: tuple[str, str] | None, plan: Plan) -> Refused:
    vi, en = why or (f"không phù hợp với trạng thái “{STATUS_VI[dossier.status]}”", f"the dossier is {dossier.status}")
    return Refused(
        f"Không thể {ACTION_VI[action]}: {vi}.",
        f"Cannot {action.replace('_', ' ')}: {en}.",
        allowed=offered(dossier, plan),
        dossier_status=str(dossier.status),
    )


def _target(before: Projection, action: Action, facts: Facts, results: dict[UUID, Standing], plan: Plan) -> Status:
    ordinary = table.TRANSITIONS[before.status, action]
    for condition, status in table.BRANCHES.get((before.status, action), {}).items():
        if _holds(condition, before, facts, results, plan):
            return status
    return ordinary


def _holds(condition: str, before: Projection, facts: Facts, results: dict[UUID, Standing], plan: Plan) -> bool:
    live = {standing for standing in results.values() if standing not in table.GONE}
    to = facts.to if isinstance(facts, SendBack) else None
    meanings: dict[str, bool] = {
        "next_appraisal": plan.next_appraisal(effects.appraisal_step(before, plan)) is not None,
        "no_appraisal": not plan.appraises(),
        "appraise": to == "appraise",
        "draft": to == "draft",
        "still_drafting": Standing.DRAFTED in live,
        "all_signed": not {Standing.TO_SIGN, Standing.DRAFTED} & live,
        "all_issued": bool(live) and not {Standing.TO_SIGN, Standing.DRAFTED, Standing.SIGNED} & live,
        "all_delivered": live == {Standing.DELIVERED},
    }
    return meanings[condition]


def _axes(before: Projection, action: Action, status: Status, results: dict[UUID, Standing]) -> Effect:
    finance: Finance = table.FINANCE.get((before.finance, action), before.finance)
    delivery: Delivery = table.DELIVERY.get((before.delivery, action), before.delivery)
    sync: Sync = table.SYNC.get((before.sync, action), before.sync)
    if status is Status.DELIVERED and status is not before.status:
        delivery = Delivery.DELIVERED
    moved = status is not before.status or results != before.results
    if moved and before.sync is not Sync.NOT_APPLICABLE:
        sync = Sync.PENDING
    return {"finance": finance, "delivery": delivery, "sync": sync}


def _changed(before: Projection, change: Effect, seq: int) -> dict[str, Any]:
    """Keep only the columns that differ, as the plain values JSON knows."""
    differing = {name: value for name, value in change.items() if getattr(before, name) != value}
    return {"seq": seq, **msgspec.to_builtins(differing)}


def diagram() -> str:
    """Return the life cycle as a Mermaid state diagram; the README carries it, and a test compares the two."""
    ways: dict[tuple[Status, Status], list[str]] = {}
    for (origin, action), target in table.TRANSITIONS.items():
        forks = table.BRANCHES.get((origin, action), {})
        for condition, end in [("", target), *forks.items()]:
            if end is not origin:
                label = f"{action} ({condition})" if condition else str(action)
                ways.setdefault((origin, end), []).append(label)
    lines = ["stateDiagram-v2", f"    [*] --> {Status.SUBMITTED}: {Action.SUBMIT}"]
    lines += [f"    {origin} --> {end}: {', '.join(labels)}" for (origin, end), labels in ways.items()]
    lines += [f"    {status} --> [*]" for status in Status if status in table.FINAL | {Status.DELIVERED}]
    return "\n".join(lines)
