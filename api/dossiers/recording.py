"""Writing a decided step: row, journal line, sealed words, clock, money, tasks and audit, all or nothing."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Row, Tx
from api.db.privacy import Vault
from api.dossiers import facts as f
from api.dossiers import lifecycle, store, tasks
from api.dossiers.deadlines import Plan, Rules
from api.dossiers.effects import PAUSED, stage_of
from api.dossiers.lifecycle import Entry
from api.dossiers.projection import Projection
from api.dossiers.rows import FeeOwed, LockedRow, Source
from api.dossiers.words import Action
from api.errors import Broken, Conflict, Invalid, NotFound
from api.kernel import VIETNAM, Actor, vn_day
from api.registry.service import Registry

NOTE_PURPOSE: Final = "dossier.note"
_RULES: Final = (
    "transfer.cutoff",
    "online.answer_hours",
    "supplement.times_per_stage",
    "reappointment.times",
    "opinion.working_days",
    "transfer.hours",
)

AfterStep = Callable[[Tx, Projection, Projection, Entry, Actor | None], Awaitable[None]]
"""Told of every step within its transaction: before, after, the line, who. The wiring binds other slices by it."""


class Recorder:
    """Writes steps, bound to what one process has: the registry, the vault, the name it is audited under."""

    def __init__(
        self, registry: Registry, vault: Vault | None, *, process: str = "api", after_step: Sequence[AfterStep] = ()
    ) -> None:
        """Work with this registry; without a vault, steps with free words cannot be taken in this process."""
        self.registry: Final = registry
        self.vault: Final = vault
        self.process: Final = process
        self._after_step = tuple(after_step)
        self._rules = registry.cached(self._rules_of)

    async def locked(self, tx: Tx, which: UUID | str) -> LockedRow:
        """Lock a dossier for this transaction, named by its id or its code.

        Raises:
            NotFound: there is none.
        """
        return _found(await store.lock_dossier(tx, which))

    def lock_once(self, code: str) -> Callable[[Tx, str, str, str], Awaitable[Row]]:
        """Return what takes an intent (actor, route, key) and locks this dossier for it in one round trip."""
        return lambda tx, *intent: store.lock_dossier_once(tx, code, intent)

    async def locked_once(self, tx: Tx, row: Row) -> LockedRow:
        """Return the dossier that was locked together with an intent.

        Raises:
            NotFound: there is none.
        """
        return _found(await store.as_locked(tx, row))

    async def require_seen(self, dossier: Projection, expected_version: int | None) -> None:
        """Refuse to act on what was not seen; asked after the right, since the refusal tells how the dossier stands.

        Raises:
            Conflict: it is not the version that was seen.
        """
        if expected_version is not None and dossier.seq != expected_version:
            raise Conflict(
                "Hồ sơ đã thay đổi từ lúc mở xem; hãy tải lại.",
                "The dossier has changed since it was seen; load it again.",
                code="dossier-moved",
                version=dossier.seq,
                allowed=[str(action) for action in lifecycle.offered(dossier, await self.plan(dossier))],
            )

    async def plan(self, dossier: Projection) -> Plan:
        """Return what a dossier is worked by: the versions and the rules of the day it began."""
        return await self.plan_for(dossier.procedure_version_id, dossier.calendar_version, dossier.submitted_at)

    async def _plan_of_step(self, before: Projection, facts: f.Facts) -> Plan:
        """Return what a step is judged by: the dossier's own versions, or the version it moves to."""
        if isinstance(facts, f.Rebase):
            return await self.plan_for(facts.version_id, before.calendar_version, before.submitted_at)
        return await self.plan(before)

    async def plan_for(self, version_id: UUID, calendar_version: int, began_at: datetime) -> Plan:
        """Return the plan of a dossier that begins at this instant with these versions."""
        version = await self.registry.procedure_version(version_id)
        calendar = await self.registry.calendar(calendar_version)
        return Plan(definition=version.definition, calendar=calendar, rules=await self._rules.get(vn_day(began_at)))

    async def _rules_of(self, day: date) -> Rules:
        noon = datetime.combine(day, time(12), VIETNAM)
        rows = {key: await self.registry.legal_rule(key, noon) for key in _RULES}
        return Rules(
            received_until=time.fromisoformat(rows["transfer.cutoff"].value),
            online_answer_hours=rows["online.answer_hours"].value,
            supplements_per_stage=rows["supplement.times_per_stage"].value,
            reappointments=rows["reappointment.times"].value,
            opinion_days=rows["opinion.working_days"].value,
            claim_hours=rows["transfer.hours"].value,
            bases={key: row.legal_basis for key, row in rows.items()},
        )

    async def require_recent(self, occurred_at: datetime, at: datetime, *, not_before: datetime | None = None) -> None:
        """Let a thing be recorded afterwards within the rule's days, never ahead of time.

        Raises:
            Invalid: it would lie in the future, before the dossier, or farther back than the rule allows.
        """
        days = await self.registry.rule("contingency.days", at)
        earliest = max(filter(None, (not_before, at - timedelta(days=days))))
        if not earliest <= occurred_at <= at:
            raise Invalid(
                f"Thời điểm ghi sau chỉ được trong {days} ngày gần đây và không trước khi tiếp nhận hồ sơ.",
                f"What is recorded afterwards lies within the last {days} days and not before the dossier's receipt.",
                code="occurred-at",
            )

    async def source(self, actor: Actor | None, way: str, at: datetime) -> Source:
        """Return from where a line comes, with the name the agency bears at this instant."""
        name = await self.registry.agency_name(actor.agency_id, at) if actor else None
        return Source(actor=actor, agency_name=name, way=way)

    async def seal_words(self, tx: Tx, dossier_id: UUID, seq: int, words: dict[str, str]) -> None:
        """Keep a person's free words of one line, sealed."""
        if not words:
            return
        if self.vault is None:
            raise Broken("Tiến trình này không giữ khóa.", "This process holds no vault.", code="no-vault")
        sealed = self.vault.seal(NOTE_PURPOSE, msgspec.json.encode(words).decode())
        await store.insert_note(tx, dossier_id, seq, sealed)

    async def step(
        self,
        tx: Tx,
        before: Projection,
        action: Action,
        facts: f.Facts,
        *,
        actor: Actor | None,
        way: str,
        at: datetime,
        recorded_at: datetime | None = None,
    ) -> tuple[Projection, UUID | None]:
        """Decide one step and write all of it; return the projection after it and the task it asked for or answered."""
        plan = await self._plan_of_step(before, facts)
        await _require_results(tx, before.id, facts, action)
        if isinstance(facts, f.AskSupplement):
            require_known_parts({item.part_code for item in facts.items}, plan)
        entry = lifecycle.step(before, action, facts, at=at, plan=plan)
        after = lifecycle.apply(before, entry)
        work = tasks.after_step(before, after, entry, facts, plan, actor)
        audited = audit.columns(
            actor,
            process=self.process,
            action=f"dossier.{action}",
            subject_kind="dossier",
            subject_id=after.id,
            detail={"seq": entry.seq, "status": str(after.status), "occurred_at": at},
            at=recorded_at or at,
        )
        source = await self.source(actor, way, at)
        await store.record_step(tx, after, before.seq, entry, source, recorded_at or at, work=work, audited=audited)
        await self.seal_words(tx, after.id, entry.seq, f.split(facts)[1])
        await _clock_rows(tx, before, after, entry, facts, plan)
        await _money_rows(tx, after, entry, facts)
        if isinstance(facts, f.AnswerSupplement):
            await add_parts(tx, after.id, facts.parts, plan, actor.account_id if actor else None)
        settled = await tasks.settle(tx, before, after, entry, facts)
        for told in self._after_step:
            await told(tx, before, after, entry, actor)
        return after, work.asked or settled


async def _clock_rows(tx: Tx, before: Projection, after: Projection, entry: Entry, facts: f.Facts, plan: Plan) -> None:
    if after.due_at is not None and after.due_at != before.due_at:
        await store.insert_deadline(tx, after.id, entry.seq, after.due_at, str(entry.action))
    if after.status in PAUSED and before.status not in PAUSED:
        supplement = isinstance(facts, f.AskSupplement)
        items = [msgspec.to_builtins(item) for item in facts.items] if isinstance(facts, f.AskSupplement) else []
        await store.open_pause(
            tx,
            after.id,
            "supplement" if supplement else "financial_duty",
            stage_of(before.status),
            items,
            plan.rules.bases["supplement.times_per_stage"],
            entry.occurred_at,
        )
    elif before.status in PAUSED and after.status not in PAUSED:
        await store.close_pause(tx, after.id, entry.occurred_at)


async def _require_results(tx: Tx, dossier_id: UUID, facts: f.Facts, action: Action) -> None:
    """Refuse results that are not rows of this dossier, where the projection cannot know them yet."""
    match facts:
        case f.SubmitForSignature(result_ids=ids):
            wanted = set(ids)
        case f.OnResult(result_id=one) if action is Action.DRAFT_RESULT:
            wanted = {one}
        case f.ReplaceResult(by_result_id=UUID() as one):
            wanted = {one}
        case _:
            return
    if wanted != await store.results_of_dossier(tx, dossier_id, list(wanted)):
        raise Invalid("Kết quả không thuộc hồ sơ này.", "The result is not of this dossier.", code="unknown-result")


def require_known_parts(codes: set[str], plan: Plan) -> None:
    """Refuse parts that the procedure version does not know.

    Raises:
        Invalid: with the unknown codes.
    """
    strangers = ", ".join(sorted(codes - {part.code for part in plan.definition.parts}))
    if strangers:
        raise Invalid(
            f"Thủ tục không có thành phần: {strangers}.",
            f"The procedure has no such parts: {strangers}.",
            code="unknown-part",
        )


async def add_parts(tx: Tx, dossier_id: UUID, parts: Sequence[f.PartIn], plan: Plan, account_id: UUID | None) -> None:
    """Write parts handed in (see `take_parts`)."""
    await take_parts(tx, dossier_id, parts, plan, account_id)
    if parts:
        rows = [
            (p.part_code, p.name, p.originals, p.certified_copies, p.plain_copies, p.upload_id, p.origin) for p in parts
        ]
        await store.insert_parts(tx, dossier_id, rows)


async def take_parts(tx: Tx, dossier_id: UUID, parts: Sequence[f.PartIn], plan: Plan, account_id: UUID | None) -> None:
    """Let parts be handed in; a file that was sent before its dossier is attached by who sent it.

    Raises:
        Invalid: a part the procedure version does not know, or a file that is another dossier's or another person's.
    """
    require_known_parts({part.part_code for part in parts}, plan)
    files = [part.upload_id for part in parts if part.upload_id is not None]
    if files and set(files) != await store.take_uploads(tx, files, dossier_id, account_id):
        raise Invalid(
            "Tệp đính kèm không có, hoặc thuộc hồ sơ khác hay người khác.",
            "A file is missing, or another dossier's or another person's.",
            code="unknown-upload",
        )


async def _money_rows(tx: Tx, after: Projection, entry: Entry, facts: f.Facts) -> None:
    match facts:
        case f.Charge(amounts=amounts) | f.AskDuty(amounts=amounts):
            fees = [FeeOwed(code=a.code, name=a.name, amount_vnd=a.amount_vnd, state="due") for a in amounts]
            await store.insert_fees(tx, after.id, fees)
        case f.Paid(receipt_no=receipt):
            old, new = ("paid", "refunded") if entry.action is Action.REFUND else ("due", "paid")
            await store.settle_fees(tx, after.id, old, new, receipt, entry.occurred_at)
        case f.Exempt():
            await store.settle_fees(tx, after.id, "due", "exempt", None, entry.occurred_at)
        case _:
            return


def _found(dossier: LockedRow | None) -> LockedRow:
    if dossier is None:
        raise no_dossier()
    return dossier


def no_dossier() -> NotFound:
    """Return the refusal for a dossier that is not there."""
    return NotFound("Không tìm thấy hồ sơ.", "No such dossier.", code="no-dossier")
