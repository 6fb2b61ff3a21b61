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
_HELD: Final = frozenset({Status.SUBMITTED, Status.RECEIVED, Status.APPRAISING, Status.DRAFTING})


async def require_holder(tx: Tx, before: Projection, action: Action, actor: Actor) -> None:
    """Let only the officer who took the work act on it; work that nobody took is free.

    Raises:
        Conflict: another officer has it.
    """
    if action not in _BY_ITS_HOLDER or before.status not in _HELD:
        return
    for task in await store.open_tasks(tx, before.id):
        if task.kind == "work" and task.assignee_account_id not in {None, actor.account_id}:
            raise taken(task)


def taken(task: Task) -> Conflict:
    """Return the refusal for the one who came second."""
    return Conflict(
        "Công chức khác đang xử lý hồ sơ này.",
        "Another officer is working on this dossier.",
        code="task-taken",
        task_id=str(task.id),
        assignee_account_id=str(task.assignee_account_id),
    )


async def after_opening(tx: Tx, dossier: Projection, plan: Plan, at: datetime) -> None:
    """Put a new dossier on the list of its counter, and where nobody is known to be competent, on the dispatcher's."""
    await _open_work(tx, dossier, plan, at)
    if dossier.competent_agency_id is None and dossier.status is Status.RECEIVED:
        await _open_dispatch(tx, dossier, plan, at)


async def after_step(
    tx: Tx, before: Projection, after: Projection, entry: Entry, facts: f.Facts, plan: Plan, actor: Actor | None
) -> UUID | None:
    """End and begin work as the step asks for; return the id of a task that the step itself opened."""
    at = entry.occurred_at
    if after.status in table.FINAL or after.status is Status.DELIVERED:
        await store.end_tasks(tx, after.id, ["work", "hand_over", "opinion", "dispatch"], "cancelled", at, entry.action)
        return None
    if entry.action in {Action.CONFIRM_HAND_OVER, Action.DECLINE_HAND_OVER}:
        await store.end_tasks(tx, after.id, ["hand_over"], "done", at, entry.action)
    if entry.action is Action.DISPATCH:
        await store.end_tasks(tx, after.id, ["dispatch"], "done", at, entry.action)
    if entry.action is Action.RECEIVE and after.competent_agency_id is None:
        await _open_dispatch(tx, after, plan, at)
    if _moved(before, after):
        await store.end_tasks(tx, after.id, ["work"], "done", at, entry.action)
        await _open_work(tx, after, plan, at)
    elif after.step_due_at != before.step_due_at and after.step_due_at is not None:
        await store.move_tasks(tx, after.id, after.step_due_at)
    return await _own_task(tx, after, entry, facts, plan, actor)


def _moved(before: Projection, after: Projection) -> bool:
    kinds = (STEP_OF.get(before.status), STEP_OF.get(after.status))
    place_before = (before.step, before.step_agency_id, before.step_unit, kinds[0])
    return place_before != (after.step, after.step_agency_id, after.step_unit, kinds[1])


async def _own_task(
    tx: Tx, after: Projection, entry: Entry, facts: f.Facts, plan: Plan, actor: Actor | None
) -> UUID | None:
    match facts:
        case f.HandOver(agency_id=agency, unit=unit):
            role, due, kind, asked = (
                _role(plan, plan.first_step(StepKind.APPRAISE)),
                plan.confirm_due,
                "hand_over",
                None,
            )
        case f.AskOpinion(agency_id=agency, unit=unit):
            role, due, kind, asked = Role.APPRAISER, plan.opinion_due, "opinion", entry.seq
        case f.AnswerOpinion(task_id=task_id, verdict=verdict):
            await _end(tx, task_id, "done", entry, verdict)
            return task_id
        case f.WithdrawOpinion(task_id=task_id):
            await _end(tx, task_id, "cancelled", entry, "not_given")
            return task_id
        case _:
            return None
    at = entry.occurred_at
    due_at = (facts.due_at if isinstance(facts, f.AskOpinion) else None) or due(at)
    task_id = new_id(at)
    asker = (actor.account_id, actor.agency_id) if actor else (None, None)
    row = (task_id, after.id, kind, after.step, agency, unit, str(role), None, "open", due_at, at, None, *asker, asked)
    await store.open_task(tx, row)
    return task_id


async def _end(tx: Tx, task_id: UUID, state: str, entry: Entry, outcome: str) -> None:
    answered = entry.seq if state == "done" else None
    if not await store.end_task(tx, task_id, state, entry.occurred_at, outcome, answered):
        raise Conflict("Việc này đã kết thúc.", "This task has ended already.", code="task-ended")


async def _open_work(tx: Tx, dossier: Projection, plan: Plan, at: datetime) -> None:
    due_at = dossier.step_due_at or plan.step_due(dossier.step, at)
    role = str(_role(plan, dossier.step))
    place = (dossier.step, dossier.step_agency_id, dossier.step_unit, role)
    await store.open_task(
        tx, (new_id(at), dossier.id, "work", *place, None, "open", due_at, at, None, None, None, None)
    )


async def _open_dispatch(tx: Tx, dossier: Projection, plan: Plan, at: datetime) -> None:
    place = (dossier.step, dossier.receipt_agency_id, None, str(Role.DISPATCHER))
    due_at = plan.confirm_due(at)
    await store.open_task(
        tx, (new_id(at), dossier.id, "dispatch", *place, None, "open", due_at, at, None, None, None, None)
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
