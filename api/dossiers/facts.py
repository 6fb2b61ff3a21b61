"""What each action says: the Structs of its facts. A wrong field, length or date never gets past them.

Fields named in `NOTES` are free words of a person; they may name people, so they go sealed into `dossier_note` and
never into the journal.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec

from api.dossiers.words import Action

LongText = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]
ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z./_-]*(?!\n)$")]
Count = Annotated[int, msgspec.Meta(ge=0, le=1000)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Results = Annotated[tuple[UUID, ...], msgspec.Meta(min_length=1, max_length=50)]
Channel = Literal["counter", "online", "post"]

EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

NOTES: Final = frozenset({"reason", "question", "opinion", "explanation", "note"})
"""Fields that hold a person's free words."""


def refuse_absurd_instants(given: msgspec.Struct) -> None:
    """Refuse what lies centuries away: at the ends of the calendar a change of time zone overflows.

    Raises:
        ValueError: a field of the Struct is such an instant; the decoder names it.
    """
    for name in given.__struct_fields__:
        value = getattr(given, name)
        if isinstance(value, datetime) and not EARLIEST <= value < LATEST:
            raise ValueError(f"instant outside the years 1900 to 2199, field `{name}`")


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The facts of one action."""

    def __post_init__(self) -> None:
        """Refuse instants that no dossier can have."""
        refuse_absurd_instants(self)


class Noted(Facts, frozen=True, kw_only=True):
    """An action that may carry a remark."""

    note: LongText | None = None


class Reasoned(Facts, frozen=True, kw_only=True):
    """An action that must give its reason."""

    reason: LongText


class PartIn(Facts, frozen=True, kw_only=True):
    """One part handed in, with the numbers of papers that Form 01 prints."""

    part_code: Code
    name: ShortText
    originals: Count = 0
    certified_copies: Count = 0
    plain_copies: Count = 0
    upload_id: UUID | None = None
    origin: Literal["paper", "digitised", "electronic", "reused", "national_store"] = "paper"


class Wanted(Facts, frozen=True, kw_only=True):
    """One part that is wanted or to be mended (Form 02)."""

    part_code: Code
    originals: Count = 0
    certified_copies: Count = 0
    plain_copies: Count = 0


class Amount(Facts, frozen=True, kw_only=True):
    """One amount owed, in đồng."""

    code: Code
    name: ShortText
    amount_vnd: Annotated[int, msgspec.Meta(ge=0, le=10**13)]


class AskSupplement(Reasoned, frozen=True, kw_only=True):
    """Form 02: everything that is missing, at once and in writing."""

    items: Annotated[tuple[Wanted, ...], msgspec.Meta(min_length=1, max_length=100)]


class AnswerSupplement(Noted, frozen=True, kw_only=True):
    """What the citizen handed in afterwards."""

    parts: Annotated[tuple[PartIn, ...], msgspec.Meta(max_length=100)] = ()


class Dispatch(Noted, frozen=True, kw_only=True):
    """The agency found competent."""

    agency_id: UUID


class HandOver(Noted, frozen=True, kw_only=True):
    """The unit that is to take over."""

    agency_id: UUID
    unit: ShortText | None = None


class OnTask(Facts, frozen=True, kw_only=True):
    """The task that is claimed or released."""

    task_id: UUID


class Assign(OnTask, frozen=True, kw_only=True):
    """The officer a task is given to."""

    account_id: UUID


class AskOpinion(Facts, frozen=True, kw_only=True):
    """Whose opinion is asked on what, by when; silence is never consent."""

    agency_id: UUID
    question: LongText
    unit: ShortText | None = None
    due_at: Instant | None = None


class AnswerOpinion(OnTask, frozen=True, kw_only=True):
    """The opinion given."""

    opinion: LongText
    verdict: Literal["agree", "disagree", "other"]


class WithdrawOpinion(OnTask, frozen=True, kw_only=True):
    """Why an opinion is no longer waited for; recorded as not given."""

    reason: LongText


class AskDuty(Reasoned, frozen=True, kw_only=True):
    """The financial duty to be fulfilled before work goes on."""

    amounts: Annotated[tuple[Amount, ...], msgspec.Meta(min_length=1, max_length=50)]


class Paid(Noted, frozen=True, kw_only=True):
    """The receipt (biên lai) of money paid or given back."""

    receipt_no: Code | None = None


class SubmitForSignature(Noted, frozen=True, kw_only=True):
    """Results to be signed; the dossier waits for signatures once no other is still being drafted."""

    result_ids: Results


class RecordSignature(Noted, frozen=True, kw_only=True):
    """One signature on one result; `complete` once every person's signature on it is there."""

    result_id: UUID
    complete: bool
    request_id: UUID | None = None
    role: ShortText | None = None
    means: Literal["pdf", "approval", "by_hand", "certified"] = "pdf"


class OnResult(Noted, frozen=True, kw_only=True):
    """The result an action is about."""

    result_id: UUID


class OnSignature(Reasoned, frozen=True, kw_only=True):
    """A signature taken back or passed on, and why."""

    result_id: UUID
    request_id: UUID | None = None
    to_request_id: UUID | None = None


class SendBack(Reasoned, frozen=True, kw_only=True):
    """Back to a named step, to be mended: one result, or without one all that are not yet issued."""

    result_id: UUID | None = None
    to: Literal["receive", "appraise", "draft"] | None = None


class Issue(Noted, frozen=True, kw_only=True):
    """Number, date and seal of one result; ids only, the number itself stands in its register."""

    result_id: UUID
    number_id: UUID | None = None
    request_id: UUID | None = None
    means: Literal["sealed", "sealed_copy", "by_hand"] = "sealed"


class RecordOutsideResult(Noted, frozen=True, kw_only=True):
    """Results issued in a ministry's system, recorded and delivered here: which system, and its reference there."""

    result_ids: Results
    system: Code
    reference: Code


class Deliver(Noted, frozen=True, kw_only=True):
    """A result handed over, by which channel; the proof stands with the delivery.

    `all_present`: every subject came and signed, where the procedure demands it (marriage: Law on Civil Status 2014,
    Art. 18).
    """

    result_id: UUID
    channel: Channel
    all_present: bool = False
    delivery_id: UUID | None = None


class FailDelivery(Reasoned, frozen=True, kw_only=True):
    """A delivery that did not reach the citizen."""

    result_id: UUID
    channel: Channel
    delivery_id: UUID | None = None


class BlockHandover(Reasoned, frozen=True, kw_only=True):
    """An error found after sealing: the result is held at once."""

    result_id: UUID


class ReplaceResult(Reasoned, frozen=True, kw_only=True):
    """A result to be replaced under a new number, on which basis."""

    result_id: UUID
    legal_basis: ShortText
    by_result_id: UUID | None = None


class RecallResult(Reasoned, frozen=True, kw_only=True):
    """A result recalled (thu hồi) or annulled (hủy bỏ), on which basis."""

    result_id: UUID
    legal_basis: ShortText
    kind: Literal["recalled", "annulled"] = "recalled"


class Stop(Reasoned, frozen=True, kw_only=True):
    """Form 05: why and on which basis the matter is stopped."""

    legal_basis: ShortText


class Explain(Facts, frozen=True, kw_only=True):
    """Why a dossier is or will be overdue; never in the way of handing over."""

    explanation: LongText


class Apologise(Reasoned, frozen=True, kw_only=True):
    """Form 04: the apology's reason and the new date."""

    new_due_at: Instant


class Rebase(Reasoned, frozen=True, kw_only=True):
    """To which version of its procedure a running dossier moves, and on which basis; nothing else ever moves it."""

    version_id: UUID
    legal_basis: ShortText


class Charge(Noted, frozen=True, kw_only=True):
    """Fees and charges owed."""

    amounts: Annotated[tuple[Amount, ...], msgspec.Meta(min_length=1, max_length=50)]


class Exempt(Noted, frozen=True, kw_only=True):
    """Who pays nothing, on which basis."""

    legal_basis: ShortText


class Synchronised(Facts, frozen=True, kw_only=True):
    """Which outside system knows the dossier up to which journal line."""

    target: Code
    up_to_seq: Annotated[int, msgspec.Meta(ge=1)]
    error: Code | None = None


FACTS: Final[dict[Action, type[Facts]]] = {
    Action.RECEIVE: Noted,
    Action.REFUSE_INTAKE: Reasoned,
    Action.ASK_SUPPLEMENT: AskSupplement,
    Action.ANSWER_SUPPLEMENT: AnswerSupplement,
    Action.DISPATCH: Dispatch,
    Action.HAND_OVER: HandOver,
    Action.CONFIRM_HAND_OVER: Noted,
    Action.DECLINE_HAND_OVER: Reasoned,
    Action.CLAIM: OnTask,
    Action.RELEASE: OnTask,
    Action.ASSIGN: Assign,
    Action.APPRAISE: Noted,
    Action.REFUSE_REQUEST: Reasoned,
    Action.ASK_OPINION: AskOpinion,
    Action.ANSWER_OPINION: AnswerOpinion,
    Action.WITHDRAW_OPINION: WithdrawOpinion,
    Action.ASK_DUTY: AskDuty,
    Action.FULFIL_DUTY: Paid,
    Action.DRAFT_RESULT: OnResult,
    Action.DROP_RESULT: OnResult,
    Action.SUBMIT_FOR_SIGNATURE: SubmitForSignature,
    Action.RECORD_SIGNATURE: RecordSignature,
    Action.TAKE_BACK_SIGNATURE: OnSignature,
    Action.PASS_SIGNATURE: OnSignature,
    Action.SEND_BACK: SendBack,
    Action.ISSUE: Issue,
    Action.RECORD_OUTSIDE_RESULT: RecordOutsideResult,
    Action.DELIVER: Deliver,
    Action.FAIL_DELIVERY: FailDelivery,
    Action.BLOCK_HANDOVER: BlockHandover,
    Action.UNBLOCK_HANDOVER: OnResult,
    Action.REPLACE_RESULT: ReplaceResult,
    Action.RECALL_RESULT: RecallResult,
    Action.WITHDRAW: Reasoned,
    Action.STOP: Stop,
    Action.EXPLAIN_OVERDUE: Explain,
    Action.APOLOGISE: Apologise,
    Action.REBASE: Rebase,
    Action.CHARGE: Charge,
    Action.PAY: Paid,
    Action.EXEMPT: Exempt,
    Action.REFUND: Paid,
    Action.CONFIRM_SYNC: Synchronised,
    Action.FAIL_SYNC: Synchronised,
}
"""The facts of every action but the two that open a dossier."""


def split(facts: Facts) -> tuple[dict[str, Any], dict[str, str]]:
    """Part the facts into what the journal may hold and a person's free words."""
    data: dict[str, Any] = msgspec.to_builtins(facts)
    words = {name: data.pop(name) for name in NOTES & data.keys()}
    return {name: value for name, value in data.items() if name != "parts"}, words
