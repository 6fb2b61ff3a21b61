"""The use cases of a dossier's life. Each is composable: it takes the caller's transaction and opens none.

A step is decided by `lifecycle`, and written here once: the dossier's row, its journal line, the free words sealed, the
tasks, and an audit row, all or nothing. Rows are locked in the order of their ids, the dossier before its tasks.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.db.pools import Tx
from api.dossiers import facts as f
from api.dossiers import lifecycle, store, tasks
from api.dossiers.contract import Stepped, Task
from api.dossiers.deadlines import Plan
from api.dossiers.projection import Projection
from api.dossiers.recording import Recorder
from api.dossiers.rows import LockedRow
from api.dossiers.words import STATUS_VI, Action
from api.errors import Conflict, Invalid
from api.kernel import Actor, new_id, vn_day
from api.registry import authority

_AT_STEP: Final = frozenset(
    {
        Action.APPRAISE, Action.REFUSE_REQUEST, Action.ASK_SUPPLEMENT, Action.ASK_DUTY, Action.ASK_OPINION,
        Action.WITHDRAW_OPINION, Action.HAND_OVER, Action.SEND_BACK, Action.SUBMIT_FOR_SIGNATURE, Action.STOP,
        Action.TAKE_BACK_SIGNATURE, Action.PASS_SIGNATURE, Action.ISSUE, Action.REBASE,
    }
)  # fmt: skip
"""Actions that only the agency doing the step may take; most others are open to the counter that received it too."""
_AT_RECEIVER: Final = frozenset({Action.CONFIRM_HAND_OVER, Action.DECLINE_HAND_OVER})


class Dossiers(Recorder):
    """The use cases, bound to what one process has: the registry, the vault, the name it is audited under."""

    async def take_step(
        self,
        tx: Tx,
        actor: Actor,
        before: LockedRow,
        action: Action,
        facts: f.Facts,
        *,
        at: datetime,
        expected_version: int | None = None,
        occurred_at: datetime | None = None,
    ) -> Stepped:
        """Take one step of a locked dossier as an official, or say why not and what is allowed.

        Raises:
            Forbidden: no right to this act at its place.
            Conflict: another officer has the work, or the dossier moved on since it was seen.
            Refused: the state does not allow it. Invalid: facts that cannot be right.
        """
        require_right(actor, action, before)
        await self.require_seen(before, expected_version)
        tasks.require_holder(before, action, actor)
        await self._require_places(facts, at)
        await self._require_version(before, facts, at)
        if occurred_at is not None:
            await self.require_recent(occurred_at, at, not_before=before.received_at or before.submitted_at)
        when = occurred_at or at
        way = "counter" if occurred_at is None else "contingency"
        after, task_id = await self.step(tx, before, action, facts, actor=actor, way=way, at=when, recorded_at=at)
        return stepped(after, await self.plan(after), task_id)

    async def answer_opinion(
        self, tx: Tx, actor: Actor, task_id: UUID, facts: f.AnswerOpinion, *, at: datetime
    ) -> Stepped:
        """Give an opinion that was asked of the actor's agency; it gives no other right to the dossier."""
        task = await tasks.find(tx, task_id)
        before = await self.locked(tx, task.dossier_id)
        authority.require(actor, "dossier.answer_opinion", task.agency_id)
        _require_kind(task, "opinion")
        if task.assignee_account_id not in {None, actor.account_id}:
            raise tasks.taken(task.id, task.assignee_account_id)
        after, _ = await self.step(tx, before, Action.ANSWER_OPINION, facts, actor=actor, way="counter", at=at)
        return stepped(after, await self.plan(after), task_id)

    async def hand_over(
        self,
        tx: Tx,
        actor: Actor,
        task_id: UUID,
        facts: f.HandOver,
        *,
        at: datetime,
        expected_version: int | None = None,
    ) -> Stepped:
        """Hand the work of a task over to another unit; the sender stays responsible until it confirms."""
        task = await tasks.find(tx, task_id)
        authority.require(actor, "dossier.hand_over", task.agency_id)
        if task.kind != "work" or task.state not in {"open", "claimed"}:
            raise Conflict("Việc này không chuyển đi được.", "This task cannot be handed over.", code="task-kind")
        before = await self.locked(tx, task.dossier_id)
        return await self.take_step(
            tx, actor, before, Action.HAND_OVER, facts, at=at, expected_version=expected_version
        )

    async def claim(
        self, tx: Tx, actor: Actor, task_id: UUID, *, at: datetime, expected_version: int | None = None
    ) -> Stepped:
        """Take work that nobody has; of two, the second is told who was first."""

        async def take(task: Task) -> bool:
            if task.role not in actor.roles:
                raise Conflict("Việc này của vai trò khác.", "This work is another role's.", code="task-of-other-role")
            return await store.claim_task(tx, task_id, actor.account_id, at)

        return await self._on_task(
            tx, actor, task_id, Action.CLAIM, f.OnTask(task_id=task_id), take, expected_version, at=at
        )

    async def release(
        self, tx: Tx, actor: Actor, task_id: UUID, *, at: datetime, expected_version: int | None = None
    ) -> Stepped:
        """Put one's own work back for others."""

        async def put_back(task: Task) -> bool:
            if task.assignee_account_id != actor.account_id:
                raise tasks.taken(task.id, task.assignee_account_id)
            return await store.release_task(tx, task_id)

        return await self._on_task(
            tx, actor, task_id, Action.RELEASE, f.OnTask(task_id=task_id), put_back, expected_version, at=at
        )

    async def assign(
        self,
        tx: Tx,
        actor: Actor,
        task_id: UUID,
        account_id: UUID,
        *,
        at: datetime,
        expected_version: int | None = None,
    ) -> Stepped:
        """Give work to an officer of the task's agency, also when another has it."""

        async def give(task: Task) -> bool:
            if not await store.account_in_agency(tx, account_id, task.agency_id, at):
                raise Invalid(
                    "Người được phân công không thuộc cơ quan này.", "The assignee is not of this agency.",
                    code="assignee-elsewhere",
                )  # fmt: skip
            return await store.assign_task(tx, task_id, account_id, at)

        facts = f.Assign(task_id=task_id, account_id=account_id)
        return await self._on_task(tx, actor, task_id, Action.ASSIGN, facts, give, expected_version, at=at)

    async def _on_task(
        self,
        tx: Tx,
        actor: Actor,
        task_id: UUID,
        action: Action,
        facts: f.Facts,
        change: Callable[[Task], Awaitable[bool]],
        expected_version: int | None,
        *,
        at: datetime,
    ) -> Stepped:
        task = await tasks.find(tx, task_id)
        before = await self.locked(tx, task.dossier_id)
        authority.require(actor, f"dossier.{action}", task.agency_id)
        await self.require_seen(before, expected_version)
        if not await change(task):
            now = await tasks.find(tx, task_id)
            raise tasks.taken(now.id, now.assignee_account_id)
        after, _ = await self.step(tx, before, action, facts, actor=actor, way="counter", at=at)
        return stepped(after, await self.plan(after), task_id)

    async def deliver_result(
        self,
        tx: Tx,
        actor: Actor,
        before: LockedRow,
        facts: f.Deliver,
        proof: dict[str, Any],
        *,
        at: datetime,
        expected_version: int | None = None,
        occurred_at: datetime | None = None,
    ) -> Stepped:
        """Hand over one result with the proof of its channel; the last one delivers the dossier.

        Neither an overdue date, an outside system nor an open synchronisation stands in the way.
        """
        delivery_id = new_id(at)
        named = msgspec.structs.replace(facts, delivery_id=delivery_id)
        when = occurred_at or at
        done = await self.take_step(
            tx, actor, before, Action.DELIVER, named, at=at, expected_version=expected_version,
            occurred_at=occurred_at,
        )  # fmt: skip
        row = (delivery_id, facts.result_id, facts.channel, "delivered", proof, actor.account_id, when, when)
        await store.insert_delivery(tx, row)
        return done

    async def _require_places(self, facts: f.Facts, at: datetime) -> None:
        """Refuse to send work to an agency that does not exist, or no longer."""
        if not isinstance(facts, f.Dispatch | f.HandOver | f.AskOpinion):
            return
        agency = await self.registry.agency(facts.agency_id)
        if agency.valid_to is not None and agency.valid_to <= vn_day(at):
            raise Invalid(
                "Cơ quan này không còn hoạt động.", "This agency has ended; send it to its successor.",
                code="agency-ended",
            )  # fmt: skip

    async def _require_version(self, before: Projection, facts: f.Facts, at: datetime) -> None:
        """Refuse to move a dossier to another procedure, or to a version with which none begins today."""
        if not isinstance(facts, f.Rebase):
            return
        lifecycle.require_allowed(before, Action.REBASE, await self.plan(before))
        version = await self.registry.procedure_version(facts.version_id)
        if version.code != before.procedure_code or not version.holds(vn_day(at)):
            raise Invalid(
                "Chỉ chuyển được sang phiên bản đang có hiệu lực của cùng thủ tục.",
                "A dossier moves only to a version of its own procedure that is in force.",
                code="other-version",
            )

    async def record(
        self, tx: Tx, dossier_id: UUID, action: Action, facts: f.Facts, *, at: datetime, actor: Actor | None = None
    ) -> Projection:
        """Record a step that another slice has decided (a signature, an issue) in its transaction."""
        before = await self.locked(tx, dossier_id)
        way = "counter" if actor else "system"
        after, _ = await self.step(tx, before, action, facts, actor=actor, way=way, at=at)
        return after

    async def record_signed(
        self,
        tx: Tx,
        dossier_id: UUID,
        result_id: UUID,
        *,
        request_id: UUID | None,
        role: str,
        complete: bool,
        at: datetime,
        means: Any = "pdf",
        actor: Actor | None = None,
    ) -> Projection:
        """Record one person's signature; `complete` when every person's signature on the result is there."""
        facts = f.RecordSignature(result_id=result_id, request_id=request_id, role=role, complete=complete, means=means)
        return await self.record(tx, dossier_id, Action.RECORD_SIGNATURE, facts, at=at, actor=actor)

    async def record_issued(
        self,
        tx: Tx,
        dossier_id: UUID,
        result_id: UUID,
        *,
        number_id: UUID | None,
        request_id: UUID | None,
        at: datetime,
        means: Any = "sealed",
        actor: Actor | None = None,
    ) -> Projection:
        """Record number, date and seal of one result; the last one makes the dossier done."""
        facts = f.Issue(result_id=result_id, number_id=number_id, request_id=request_id, means=means)
        return await self.record(tx, dossier_id, Action.ISSUE, facts, at=at, actor=actor)


def require_right(actor: Actor, action: Action, dossier: Projection) -> None:
    """Let the actor pass whose post has the right to the action at the place where it is taken.

    Raises:
        Forbidden: no right there.
    """
    if action in _AT_RECEIVER:
        places = [dossier.transfer_agency_id or dossier.step_agency_id]
    elif action in _AT_STEP:
        places = [dossier.step_agency_id]
    else:
        known = (dossier.step_agency_id, dossier.receipt_agency_id, dossier.competent_agency_id)
        places = [place for place in known if place is not None]
    right = f"dossier.{action}"
    if not any(authority.may(actor, right, place) for place in places):
        authority.require(actor, right, places[0])


def stepped(dossier: Projection, plan: Plan, task_id: UUID | None = None) -> Stepped:
    """Return the answer to a step."""
    return Stepped(
        id=dossier.id,
        code=dossier.code,
        status=dossier.status,
        status_vi=STATUS_VI[dossier.status],
        step=dossier.step,
        version=dossier.seq,
        due_at=dossier.due_at,
        step_due_at=dossier.step_due_at,
        allowed=lifecycle.offered(dossier, plan),
        task_id=task_id,
    )


def _require_kind(task: Task, kind: str) -> None:
    if task.kind != kind:
        raise Conflict("Việc này không phải xin ý kiến.", "This task asks for no opinion.", code="task-kind")
