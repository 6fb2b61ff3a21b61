"""Open work as rows: what each step puts on whose list, and who has taken what."""

from datetime import datetime
from typing import Final
from uuid import UUID

from api.db.pools import Tx
from api.dossiers import facts as f
from api.dossiers import store, table
from api.dossiers.contract import Task
from api.dossiers.deadlines import Plan
from api.dossiers.lifecycle import Entry
from api.dossiers.projection import Projection
from api.dossiers.rows import LockedRow, NewTask, Work
from api.dossiers.words import STEP_OF, Action, Status
from api.errors import Conflict, NotFound
from api.kernel import Actor, new_id
from api.registry.authority import Role
from api.registry.procedures import StepKind

_ROLE_OF: Final[dict[StepKind, Role]] = {
    StepKind.RECEIVE: Role.COUNTER,
    StepKind.APPRAISE: Role.APPRAISER,
    StepKind.COORDINATE: Role.APPRAISER,
    StepKind.APPROVE: Role.SIGNATORY,
    StepKind.ISSUE: Role.CLERK,
    StepKind.DELIVER: Role.COUNTER,
}
"""Whose list a step stands on where the procedure version does not say."""

_BY_ITS_HOLDER: Final = frozenset(
    {
        Action.RECEIVE, Action.REFUSE_INTAKE, Action.ASK_SUPPLEMENT, Action.APPRAISE, Action.REFUSE_REQUEST,
        Action.ASK_OPINION, Action.WITHDRAW_OPINION, Action.ASK_DUTY, Action.HAND_OVER, Action.SUBMIT_FOR_SIGNATURE,
        Action.SEND_BACK, Action.RECORD_OUTSIDE_RESULT,
    }
)  # fmt: skip
_KINDS: Final = ("work", "hand_over", "opinion", "dispatch")
_HELD: Final = frozenset({Status.SUBMITTED, Status.RECEIVED, Status.APPRAISING, Status.DRAFTING})


def require_holder(before: LockedRow, action: Action, actor: Actor) -> None:
    """Let only the officer who took the work act on it; work that nobody took is free.

    Raises:
        Conflict: another officer has it.
    """
    if action not in _BY_ITS_HOLDER or before.status not in _HELD:
        return
    for holder in before.holders:
        if holder.account_id != actor.account_id:
            raise taken(holder.task_id, holder.account_id)


def taken(task_id: UUID, account_id: UUID | None) -> Conflict:
    """Return the refusal for the one who came second."""
    return Conflict(
        "Công chức khác đang xử lý hồ sơ này.",
        "Another officer is working on this dossier.",
        code="task-taken",
        task_id=str(task_id),
        assignee_account_id=str(account_id),
    )


def after_opening(dossier: Projection, plan: Plan, at: datetime) -> tuple[NewTask, ...]:
    """Put a new dossier on the list of its counter, and where nobody is known to be competent, on the dispatcher's."""
    unknown = dossier.competent_agency_id is None and dossier.status is Status.RECEIVED
    return (_work(dossier, plan, at), *((_dispatch(dossier, plan, at),) if unknown else ()))


def after_step(
    before: Projection, after: Projection, entry: Entry, facts: f.Facts, plan: Plan, actor: Actor | None
) -> Work:
    """Return which work ends with a step, and which begins."""
    at = entry.occurred_at
    if after.status in table.FINAL or after.status is Status.DELIVERED:
        return Work(ended=_KINDS, as_what="cancelled")
    ended: list[str] = []
    begun: list[NewTask] = []
    if entry.action in {Action.CONFIRM_HAND_OVER, Action.DECLINE_HAND_OVER}:
        ended.append("hand_over")
    if entry.action is Action.DISPATCH:
        ended.append("dispatch")
    if entry.action is Action.RECEIVE and after.competent_agency_id is None:
        begun.append(_dispatch(after, plan, at))
    if _moved(before, after):
        ended.append("work")
        begun.append(_work(after, plan, at))
    own = _own_task(after, entry, facts, plan, actor)
    return Work(ended=tuple(ended), begun=(*begun, own) if own else tuple(begun), asked=own.id if own else None)


async def settle(tx: Tx, before: Projection, after: Projection, entry: Entry, facts: f.Facts) -> UUID | None:
    """Give running work its new due time, and end the opinion that a step answers or withdraws; return its id.

    Raises:
        Conflict: the opinion has ended already.
    """
    if after.status in table.FINAL or after.status is Status.DELIVERED:
        return None
    if not _moved(before, after) and after.step_due_at != before.step_due_at and after.step_due_at is not None:
        await store.move_tasks(tx, after.id, after.step_due_at)
    match facts:
        case f.AnswerOpinion(task_id=task_id, verdict=verdict):
            await _end(tx, task_id, "done", entry, verdict)
        case f.WithdrawOpinion(task_id=task_id):
            await _end(tx, task_id, "cancelled", entry, "not_given")
        case _:
            return None
    return task_id


def _moved(before: Projection, after: Projection) -> bool:
    kinds = (STEP_OF.get(before.status), STEP_OF.get(after.status))
    place_before = (before.step, before.step_agency_id, before.step_unit, kinds[0])
    return place_before != (after.step, after.step_agency_id, after.step_unit, kinds[1])


def _own_task(after: Projection, entry: Entry, facts: f.Facts, plan: Plan, actor: Actor | None) -> NewTask | None:
    at = entry.occurred_at
    match facts:
        case f.HandOver(agency_id=agency, unit=unit):
            role, kind, asked = _role(plan, plan.first_step(StepKind.APPRAISE)), "hand_over", None
            due_at = plan.confirm_due(at)
        case f.AskOpinion(agency_id=agency, unit=unit):
            role, kind, asked = Role.APPRAISER, "opinion", entry.seq
            due_at = facts.due_at or plan.opinion_due(at)
        case _:
            return None
    return NewTask(
        id=new_id(at),
        kind=kind,
        step=after.step,
        agency_id=agency,
        unit=unit,
        role=str(role),
        due_at=due_at,
        asked_by_account_id=actor.account_id if actor else None,
        asked_by_agency_id=actor.agency_id if actor else None,
        question_seq=asked,
    )


async def _end(tx: Tx, task_id: UUID, state: str, entry: Entry, outcome: str) -> None:
    answered = entry.seq if state == "done" else None
    if not await store.end_task(tx, task_id, state, entry.occurred_at, outcome, answered):
        raise Conflict("Việc này đã kết thúc.", "This task has ended already.", code="task-ended")


def _work(dossier: Projection, plan: Plan, at: datetime) -> NewTask:
    return NewTask(
        id=new_id(at),
        kind="work",
        step=dossier.step,
        agency_id=dossier.step_agency_id,
        unit=dossier.step_unit,
        role=str(_role(plan, dossier.step)),
        due_at=dossier.step_due_at or plan.step_due(dossier.step, at),
    )


def _dispatch(dossier: Projection, plan: Plan, at: datetime) -> NewTask:
    return NewTask(
        id=new_id(at),
        kind="dispatch",
        step=dossier.step,
        agency_id=dossier.receipt_agency_id,
        unit=None,
        role=str(Role.DISPATCHER),
        due_at=plan.confirm_due(at),
    )


def _role(plan: Plan, step_code: str) -> Role:
    step = plan.definition.step(step_code)
    return step.role or _ROLE_OF[step.kind]


async def find(tx: Tx, task_id: UUID) -> Task:
    """Return one task.

    Raises:
        NotFound: there is none.
    """
    task = await store.task(tx, task_id)
    if task is None:
        raise NotFound("Không có việc này.", "There is no such task.", code="no-task")
    return task
