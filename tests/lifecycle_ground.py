"""What tests of the life cycle share: a plan made by hand, a first projection, facts for every action, random walks."""

import random
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import msgspec

from api.dossiers import facts as f
from api.dossiers import lifecycle, table
from api.dossiers.deadlines import Plan, Rules
from api.dossiers.projection import Projection
from api.dossiers.words import Action, Delivery, Finance, Standing, Status, Sync
from api.errors import Refused
from api.kernel import VIETNAM
from api.registry.authority import Role
from api.registry.calendar import CalendarDay, DayKind, Session, Term, Unit, WorkingCalendar, WorkingHours
from api.registry.procedures import Definition, ResultKind, Step, StepKind

ID = UUID("018f0000-0000-7000-8000-000000000001")
RESULT = UUID("018f0000-0000-7000-8000-0000000000aa")
OTHER_RESULT = UUID("018f0000-0000-7000-8000-0000000000bb")
COUNTER = UUID("018f0000-0000-7000-8000-0000000000c0")
COMPETENT = UUID("018f0000-0000-7000-8000-0000000000c1")
THIRD = UUID("018f0000-0000-7000-8000-0000000000c2")
OTHER_VERSION = UUID("018f0000-0000-7000-8000-0000000000e0")
TASK = UUID("018f0000-0000-7000-8000-0000000000d0")


def vn(year: int, month: int, day: int, hour: int = 9, minute: int = 0) -> datetime:
    """An instant said in Vietnam's time."""
    return datetime(year, month, day, hour, minute, tzinfo=VIETNAM).astimezone(UTC)


AT = vn(2026, 3, 9)
"""Monday 9 March 2026, 09:00 in Vietnam."""


def off(day: date, kind: DayKind = DayKind.HOLIDAY) -> CalendarDay:
    return CalendarDay(day=day, kind=kind, name="Ngày thử", legal_ref="bảng làm bằng tay")


CALENDAR = WorkingCalendar(
    version=7,
    covers_from=date(2025, 1, 1),
    covers_to=date(2028, 12, 31),
    days={
        day.day: day
        for day in (
            *(off(date(2026, 2, 14) + timedelta(days=n)) for n in range(9)),
            off(date(2026, 4, 26)),
            off(date(2026, 4, 27), DayKind.SWAPPED_OFF),
            off(date(2026, 4, 30)),
            off(date(2026, 5, 1)),
            off(date(2026, 8, 31), DayKind.SWAPPED_OFF),
            off(date(2026, 8, 22), DayKind.SWAPPED_WORK),
            off(date(2026, 9, 1)),
            off(date(2026, 9, 2)),
        )
    },
    hours=(
        WorkingHours(
            sessions=(
                Session(opens=time(7), closes=time(11, 30)),
                Session(opens=time(13, 30), closes=time(17)),
            ),
            valid_from=date(2025, 1, 1),
            legal_ref="bảng làm bằng tay",
        ),
    ),
)

RULES = Rules(
    received_until=time(15),
    online_answer_hours=8,
    supplements_per_stage=1,
    reappointments=1,
    opinion_days=3,
    claim_hours=4,
    bases={"supplement.times_per_stage": "Mẫu 02"},
)


def days(amount: int) -> Term:
    return Term(amount=amount, unit=Unit.WORKING_DAY)


def hours(amount: int) -> Term:
    return Term(amount=amount, unit=Unit.HOUR)


def plan(total: Term | None = None, *, appraisals: int = 1) -> Plan:
    """The five steps on site, with as many steps of appraisal as asked for (none: a certified copy)."""
    appraise = [
        Step(code=f"appraise{n}", kind=StepKind.APPRAISE, name="Thẩm định", role=Role.APPRAISER, duration=hours(12))
        for n in range(1, appraisals + 1)
    ]
    steps = (
        Step(code="receive", kind=StepKind.RECEIVE, name="Tiếp nhận", role=Role.COUNTER, duration=hours(2)),
        *appraise,
        Step(code="approve", kind=StepKind.APPROVE, name="Phê duyệt", role=Role.SIGNATORY, duration=hours(4)),
        Step(code="issue", kind=StepKind.ISSUE, name="Phát hành", role=Role.CLERK, duration=hours(2)),
        Step(code="deliver", kind=StepKind.DELIVER, name="Trả kết quả", role=Role.COUNTER, duration=hours(2)),
    )
    definition = Definition(
        steps=steps,
        total=total or days(3),
        parts=(),
        channels_in=("counter", "online"),
        channels_out=("counter",),
        level="full",
        result=ResultKind(kind_code="XN", title="Giấy xác nhận"),
    )
    return Plan(definition=definition, calendar=CALENDAR, rules=RULES)


PLAN = plan()
COPY_PLAN = plan(days(0), appraisals=0)


def first(**changes) -> Projection:
    """A dossier just submitted."""
    made = Projection(
        id=ID,
        code="H05.24.09187-260309-0001",
        seq=1,
        procedure_code="1.004873",
        procedure_version_id=ID,
        calendar_version=1,
        form_version="1",
        fee_version="1",
        channel="counter",
        help_agency_id=None,
        receipt_agency_id=COUNTER,
        competent_agency_id=COMPETENT,
        step_agency_id=COUNTER,
        owning_system="province",
        territory_code=None,
        status=Status.SUBMITTED,
        finance=Finance.NONE,
        sync=Sync.PENDING,
        step="receive",
        submitted_at=AT,
    )
    return msgspec.structs.replace(made, **changes)


def facts(action: Action, dossier: Projection | None = None, pick=None) -> f.Facts:
    """Facts that fit an action; `pick` chooses among the results that the action can take."""
    held = dossier.results if dossier else {RESULT: Standing.TO_SIGN}
    origins = table.RESULT_MOVES.get(action, (frozenset(), None))[0]
    fitting = sorted(key for key, standing in held.items() if standing in origins) or [RESULT]
    result = pick(fitting) if pick else fitting[0]
    reason = "vì lý do này"
    amount = f.Amount(code="PHI", name="Phí", amount_vnd=15000)
    drafted = tuple(sorted(key for key, standing in held.items() if standing is Standing.DRAFTED))
    made: dict[Action, f.Facts] = {
        Action.ASK_SUPPLEMENT: f.AskSupplement(items=(f.Wanted(part_code="TK", originals=1),), reason=reason),
        Action.ANSWER_SUPPLEMENT: f.AnswerSupplement(),
        Action.DISPATCH: f.Dispatch(agency_id=COMPETENT),
        Action.HAND_OVER: f.HandOver(agency_id=COMPETENT),
        Action.CLAIM: f.OnTask(task_id=TASK),
        Action.RELEASE: f.OnTask(task_id=TASK),
        Action.ASSIGN: f.Assign(task_id=TASK, account_id=ID),
        Action.ASK_OPINION: f.AskOpinion(agency_id=THIRD, question="Có ý kiến gì không?"),
        Action.ANSWER_OPINION: f.AnswerOpinion(task_id=TASK, opinion="Đồng ý", verdict="agree"),
        Action.WITHDRAW_OPINION: f.WithdrawOpinion(task_id=TASK, reason=reason),
        Action.ASK_DUTY: f.AskDuty(amounts=(amount,), reason=reason),
        Action.FULFIL_DUTY: f.Paid(receipt_no="BL1"),
        Action.SUBMIT_FOR_SIGNATURE: f.SubmitForSignature(result_ids=drafted or (RESULT,)),
        Action.RECORD_SIGNATURE: f.RecordSignature(result_id=result, complete=pick([True, False]) if pick else True),
        Action.TAKE_BACK_SIGNATURE: f.OnSignature(result_id=result, reason=reason),
        Action.PASS_SIGNATURE: f.OnSignature(result_id=result, reason=reason),
        Action.SEND_BACK: f.SendBack(reason=reason),
        Action.ISSUE: f.Issue(result_id=result),
        Action.RECORD_OUTSIDE_RESULT: f.RecordOutsideResult(
            result_ids=drafted or (RESULT,), system="BTP", reference="HT-1"
        ),
        Action.DELIVER: f.Deliver(result_id=result, channel="counter"),
        Action.FAIL_DELIVERY: f.FailDelivery(result_id=result, channel="post", reason=reason),
        Action.BLOCK_HANDOVER: f.BlockHandover(result_id=result, reason=reason),
        Action.UNBLOCK_HANDOVER: f.OnResult(result_id=result),
        Action.DRAFT_RESULT: f.OnResult(result_id=UUID(int=RESULT.int + (dossier.seq if dossier else 0))),
        Action.DROP_RESULT: f.OnResult(result_id=result),
        Action.REPLACE_RESULT: f.ReplaceResult(result_id=result, legal_basis="Điều 1", reason=reason),
        Action.RECALL_RESULT: f.RecallResult(result_id=result, legal_basis="Điều 1", reason=reason),
        Action.STOP: f.Stop(reason=reason, legal_basis="Điều 1"),
        Action.EXPLAIN_OVERDUE: f.Explain(explanation=reason),
        Action.APOLOGISE: f.Apologise(new_due_at=vn(2027, 12, 1), reason=reason),
        Action.REBASE: f.Rebase(version_id=OTHER_VERSION, legal_basis="Điều 1", reason=reason),
        Action.CHARGE: f.Charge(amounts=(amount,)),
        Action.EXEMPT: f.Exempt(legal_basis="Điều 1"),
        Action.CONFIRM_SYNC: f.Synchronised(target="NPSP", up_to_seq=dossier.seq if dossier else 1),
        Action.FAIL_SYNC: f.Synchronised(target="NPSP", up_to_seq=1, error="timeout"),
    }
    kind = f.FACTS[action]
    return made.get(action) or (kind(reason=reason) if kind is f.Reasoned else kind())


def walk(seed: int, start: Projection, worked_by: Plan, longest: int = 24) -> list[lifecycle.Entry]:
    """A random life: any allowed step, seeded, until nothing business-like is left or it is long enough."""
    chance = random.Random(seed)
    at = start.submitted_at
    lines = [lifecycle.opening(start, Action.SUBMIT, {}, at)]
    dossier = start
    for _ in range(chance.randint(1, longest)):
        possible = lifecycle.allowed(dossier, worked_by)
        if not possible:
            break
        at += timedelta(minutes=chance.randint(1, 600))
        action = chance.choice(possible)
        try:
            line = lifecycle.step(dossier, action, facts(action, dossier, chance.choice), at=at, plan=worked_by)
        except Refused:
            continue
        lines.append(line)
        dossier = lifecycle.apply(dossier, line)
    return lines


def at_status(status: Status, **changes) -> Projection:
    """A dossier standing in a status as it plausibly would."""
    early = {Status.SUBMITTED, Status.SUPPLEMENT_AT_INTAKE, Status.INTAKE_REFUSED}
    at_work = {
        Status.APPRAISING, Status.DRAFTING, Status.AWAITING_SIGNATURE, Status.AWAITING_ISSUE, Status.SUPPLEMENT_ASKED,
        Status.DUTY_ASKED,
    }  # fmt: skip
    paused = status in {Status.SUPPLEMENT_ASKED, Status.DUTY_ASKED}
    steps = {Status.AWAITING_SIGNATURE: "approve", Status.AWAITING_ISSUE: "issue", Status.DONE: "deliver"}
    received = None if status in early else AT
    standing = {
        "status": status,
        "received_at": received,
        "due_original_at": received and vn(2026, 3, 12, 17),
        "due_at": received and vn(2026, 3, 12, 17),
        "step_due_original_at": vn(2026, 3, 10, 17),
        "step_due_at": vn(2026, 3, 10, 17),
        "paused_at": AT if paused else None,
        "step_agency_id": COMPETENT if status in at_work else COUNTER,
        "step": steps.get(status, "appraise1" if status in at_work else "receive"),
        "finished_at": AT if status in {Status.DONE, Status.DELIVERED} | table.FINAL else None,
        "delivery": Delivery.WAITING if status is Status.DONE else Delivery.NONE,
    }
    return first(**(standing | changes))
