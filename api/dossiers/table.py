"""The life of a dossier as tables: four axes, the ways a result goes, and what each action needs.

Read it as the law reads: from this status, by this action, to that status. `lifecycle` walks it, nobody else does.
"""

from typing import Final

from api.dossiers.words import Action as A  # noqa: N817 - the table is read by its two letters
from api.dossiers.words import Delivery, Finance, Standing, Sync
from api.dossiers.words import Status as S  # noqa: N817

OPENING: Final = frozenset({A.SUBMIT, A.IMPORT})
"""The actions that begin a dossier: handed in, or taken over from another system in the state it had there."""

FINAL: Final = frozenset({S.INTAKE_REFUSED, S.WITHDRAWN, S.STOPPED})
"""The ends without a result. A delivered dossier is none: its result may yet be recalled or replaced."""

_PAUSED: Final = (S.SUPPLEMENT_ASKED, S.DUTY_ASKED)
_WORKED: Final = (S.RECEIVED, S.APPRAISING, S.DRAFTING, S.AWAITING_SIGNATURE, S.AWAITING_ISSUE)
_OPEN: Final = (S.SUBMITTED, S.SUPPLEMENT_AT_INTAKE, *_WORKED, *_PAUSED)

TRANSITIONS: Final[dict[tuple[S, A], S]] = {
    # tiếp nhận
    (S.SUBMITTED, A.RECEIVE): S.RECEIVED,
    (S.SUBMITTED, A.REFUSE_INTAKE): S.INTAKE_REFUSED,
    (S.SUBMITTED, A.ASK_SUPPLEMENT): S.SUPPLEMENT_AT_INTAKE,
    (S.SUPPLEMENT_AT_INTAKE, A.ANSWER_SUPPLEMENT): S.SUBMITTED,
    (S.SUPPLEMENT_AT_INTAKE, A.REFUSE_INTAKE): S.INTAKE_REFUSED,
    # chuyển: the sender stays responsible until the receiver confirms
    (S.RECEIVED, A.DISPATCH): S.RECEIVED,
    (S.RECEIVED, A.HAND_OVER): S.RECEIVED,
    (S.RECEIVED, A.CONFIRM_HAND_OVER): S.APPRAISING,
    (S.RECEIVED, A.DECLINE_HAND_OVER): S.RECEIVED,
    (S.APPRAISING, A.HAND_OVER): S.APPRAISING,
    (S.APPRAISING, A.CONFIRM_HAND_OVER): S.APPRAISING,
    (S.APPRAISING, A.DECLINE_HAND_OVER): S.APPRAISING,
    # thẩm định
    (S.RECEIVED, A.APPRAISE): S.DRAFTING,
    (S.APPRAISING, A.APPRAISE): S.DRAFTING,
    (S.APPRAISING, A.REFUSE_REQUEST): S.DRAFTING,
    (S.DRAFTING, A.REFUSE_REQUEST): S.DRAFTING,
    (S.APPRAISING, A.SEND_BACK): S.RECEIVED,
    (S.DRAFTING, A.SEND_BACK): S.APPRAISING,
    **{(s, A.ASK_OPINION): s for s in (S.APPRAISING, S.DRAFTING)},
    **{(s, a): s for s in (S.APPRAISING, S.DRAFTING, *_PAUSED) for a in (A.ANSWER_OPINION, A.WITHDRAW_OPINION)},
    # bổ sung, nghĩa vụ tài chính: the clock stands
    **{(s, A.ASK_SUPPLEMENT): S.SUPPLEMENT_ASKED for s in (S.APPRAISING, S.DRAFTING)},
    (S.SUPPLEMENT_ASKED, A.ANSWER_SUPPLEMENT): S.APPRAISING,
    **{(s, A.ASK_DUTY): S.DUTY_ASKED for s in (S.APPRAISING, S.DRAFTING)},
    (S.DUTY_ASKED, A.FULFIL_DUTY): S.APPRAISING,
    # phê duyệt
    (S.RECEIVED, A.SUBMIT_FOR_SIGNATURE): S.AWAITING_SIGNATURE,
    (S.DRAFTING, A.SUBMIT_FOR_SIGNATURE): S.AWAITING_SIGNATURE,
    (S.AWAITING_SIGNATURE, A.REFUSE_REQUEST): S.DRAFTING,
    **{(s, A.SEND_BACK): S.DRAFTING for s in (S.AWAITING_SIGNATURE, S.AWAITING_ISSUE)},
    **{(s, A.TAKE_BACK_SIGNATURE): S.DRAFTING for s in (S.AWAITING_SIGNATURE, S.AWAITING_ISSUE)},
    (S.AWAITING_SIGNATURE, A.PASS_SIGNATURE): S.DRAFTING,
    # one result may be signed, sent back or issued while another is still being drafted
    **{(s, A.DRAFT_RESULT): s for s in _WORKED[:3]},
    **{(s, A.DROP_RESULT): s for s in _WORKED[:3]},
    **{(s, a): s for s in _WORKED[:4] for a in (A.RECORD_SIGNATURE, A.ISSUE)},
    **{(s, a): s for s in _WORKED[:3] for a in (A.TAKE_BACK_SIGNATURE, A.PASS_SIGNATURE)},
    (S.RECEIVED, A.SEND_BACK): S.RECEIVED,
    (S.AWAITING_ISSUE, A.ISSUE): S.AWAITING_ISSUE,
    **{(s, A.RECORD_OUTSIDE_RESULT): s for s in (S.RECEIVED, S.APPRAISING, S.DRAFTING)},
    # trả kết quả: also of one result while another is still worked on
    **{
        (s, a): s
        for s in (S.RECEIVED, S.APPRAISING, S.DRAFTING, S.AWAITING_SIGNATURE, S.AWAITING_ISSUE, S.DONE)
        for a in (A.DELIVER, A.FAIL_DELIVERY, A.BLOCK_HANDOVER, A.UNBLOCK_HANDOVER)
    },
    **{(s, A.REPLACE_RESULT): S.DRAFTING for s in (S.DONE, S.DELIVERED)},
    **{(s, A.RECALL_RESULT): s for s in (S.DONE, S.DELIVERED)},
    # rút, dừng, quá hạn, việc
    **{(s, A.WITHDRAW): S.WITHDRAWN for s in _OPEN},
    **{(s, A.STOP): S.STOPPED for s in (*_WORKED, *_PAUSED)},
    **{(s, A.EXPLAIN_OVERDUE): s for s in (*_WORKED, *_PAUSED, S.DONE)},
    **{(s, A.APOLOGISE): s for s in _WORKED},
    **{(s, A.REBASE): s for s in (S.SUBMITTED, *_WORKED[:3])},
    **{(s, a): s for s in (*_OPEN, S.DONE) for a in (A.CLAIM, A.RELEASE, A.ASSIGN)},
}
"""The business axis: the ordinary way from each status by each action it allows."""

BRANCHES: Final[dict[tuple[S, A], dict[str, S]]] = {
    (S.APPRAISING, A.APPRAISE): {"next_appraisal": S.APPRAISING},
    (S.RECEIVED, A.APPRAISE): {"next_appraisal": S.APPRAISING},
    (S.APPRAISING, A.SEND_BACK): {"draft": S.APPRAISING},
    (S.DRAFTING, A.SEND_BACK): {"draft": S.DRAFTING},
    **{
        (s, A.SEND_BACK): {"no_appraisal": S.RECEIVED, "appraise": S.APPRAISING}
        for s in (S.AWAITING_SIGNATURE, S.AWAITING_ISSUE)
    },
    **{(s, A.TAKE_BACK_SIGNATURE): {"no_appraisal": S.RECEIVED} for s in (S.AWAITING_SIGNATURE, S.AWAITING_ISSUE)},
    **{(S.AWAITING_SIGNATURE, a): {"no_appraisal": S.RECEIVED} for a in (A.PASS_SIGNATURE, A.REFUSE_REQUEST)},
    (S.DRAFTING, A.SUBMIT_FOR_SIGNATURE): {"still_drafting": S.DRAFTING},
    (S.RECEIVED, A.SUBMIT_FOR_SIGNATURE): {"still_drafting": S.RECEIVED},
    (S.DRAFTING, A.DROP_RESULT): {"all_issued": S.DONE},
    **{(s, A.RECORD_OUTSIDE_RESULT): {"all_issued": S.DONE} for s in (S.RECEIVED, S.APPRAISING, S.DRAFTING)},
    **{(s, A.REPLACE_RESULT): {"no_appraisal": S.RECEIVED} for s in (S.DONE, S.DELIVERED)},
    (S.AWAITING_SIGNATURE, A.RECORD_SIGNATURE): {"all_signed": S.AWAITING_ISSUE},
    (S.AWAITING_SIGNATURE, A.ISSUE): {"all_issued": S.DONE, "all_signed": S.AWAITING_ISSUE},
    (S.AWAITING_ISSUE, A.ISSUE): {"all_issued": S.DONE},
    (S.DONE, A.DELIVER): {"all_delivered": S.DELIVERED},
    (S.DONE, A.RECALL_RESULT): {"all_delivered": S.DELIVERED},
}
"""Where the ordinary way forks: named conditions and their other targets; the first that holds decides."""

SEND_BACK_STEPS: Final[dict[S, tuple[str, ...]]] = {
    S.RECEIVED: ("draft",),
    S.APPRAISING: ("receive", "draft"),
    S.DRAFTING: ("appraise", "draft"),
    S.AWAITING_SIGNATURE: ("draft", "appraise"),
    S.AWAITING_ISSUE: ("draft", "appraise"),
}
"""To which named steps one may send back from each status; the first is the ordinary one."""

FINANCE: Final[dict[tuple[Finance, A], Finance]] = {
    (Finance.NONE, A.CHARGE): Finance.DUE,
    (Finance.PAID, A.CHARGE): Finance.DUE,
    (Finance.DUE, A.PAY): Finance.PAID,
    (Finance.NONE, A.EXEMPT): Finance.EXEMPT,
    (Finance.DUE, A.EXEMPT): Finance.EXEMPT,
    (Finance.PAID, A.REFUND): Finance.REFUNDED,
    **{(f, A.ASK_DUTY): Finance.DUE for f in Finance},
    (Finance.DUE, A.FULFIL_DUTY): Finance.PAID,
    (Finance.PAID, A.FULFIL_DUTY): Finance.PAID,
    (Finance.EXEMPT, A.FULFIL_DUTY): Finance.EXEMPT,
}
"""The axis of money."""

DELIVERY: Final[dict[tuple[Delivery, A], Delivery]] = {
    **{(Delivery.NONE, a): Delivery.WAITING for a in (A.ISSUE, A.RECORD_OUTSIDE_RESULT)},
    (Delivery.WAITING, A.ISSUE): Delivery.WAITING,
    (Delivery.PARTLY, A.ISSUE): Delivery.PARTLY,
    (Delivery.UNDELIVERABLE, A.ISSUE): Delivery.UNDELIVERABLE,
    (Delivery.WAITING, A.RECORD_OUTSIDE_RESULT): Delivery.WAITING,
    (Delivery.PARTLY, A.RECORD_OUTSIDE_RESULT): Delivery.PARTLY,
    (Delivery.UNDELIVERABLE, A.RECORD_OUTSIDE_RESULT): Delivery.UNDELIVERABLE,
    **{(d, A.DELIVER): Delivery.PARTLY for d in (Delivery.WAITING, Delivery.PARTLY, Delivery.UNDELIVERABLE)},
    **{(d, A.FAIL_DELIVERY): Delivery.UNDELIVERABLE for d in (Delivery.WAITING, Delivery.PARTLY)},
    (Delivery.UNDELIVERABLE, A.FAIL_DELIVERY): Delivery.UNDELIVERABLE,
    (Delivery.WAITING, A.REPLACE_RESULT): Delivery.WAITING,
    (Delivery.PARTLY, A.REPLACE_RESULT): Delivery.PARTLY,
    (Delivery.DELIVERED, A.REPLACE_RESULT): Delivery.PARTLY,
    (Delivery.UNDELIVERABLE, A.REPLACE_RESULT): Delivery.WAITING,
    **{(d, A.RECALL_RESULT): d for d in Delivery if d is not Delivery.NONE},
}
"""The axis of delivery; it becomes `delivered` with the business status, when every result is."""

SYNC: Final[dict[tuple[Sync, A], Sync]] = {
    (Sync.PENDING, A.CONFIRM_SYNC): Sync.SYNCHRONISED,
    (Sync.PENDING, A.FAIL_SYNC): Sync.FAILED,
    (Sync.FAILED, A.CONFIRM_SYNC): Sync.SYNCHRONISED,
    (Sync.FAILED, A.FAIL_SYNC): Sync.FAILED,
}
"""The axis of synchronisation; whatever changes the status makes it pending again."""

RESULT_MOVES: Final[dict[A, tuple[frozenset[Standing], Standing]]] = {
    A.RECORD_SIGNATURE: (frozenset({Standing.TO_SIGN}), Standing.SIGNED),
    A.TAKE_BACK_SIGNATURE: (frozenset({Standing.TO_SIGN, Standing.SIGNED}), Standing.DRAFTED),
    A.PASS_SIGNATURE: (frozenset({Standing.TO_SIGN, Standing.SIGNED}), Standing.DRAFTED),
    A.DROP_RESULT: (frozenset({Standing.DRAFTED}), Standing.DROPPED),
    A.ISSUE: (frozenset({Standing.SIGNED}), Standing.ISSUED),
    A.DELIVER: (frozenset({Standing.ISSUED, Standing.RETURNED}), Standing.DELIVERED),
    A.FAIL_DELIVERY: (frozenset({Standing.ISSUED, Standing.RETURNED}), Standing.RETURNED),
    A.BLOCK_HANDOVER: (frozenset({Standing.ISSUED, Standing.RETURNED}), Standing.BLOCKED),
    A.UNBLOCK_HANDOVER: (frozenset({Standing.BLOCKED}), Standing.ISSUED),
    A.REPLACE_RESULT: (
        frozenset({Standing.ISSUED, Standing.RETURNED, Standing.BLOCKED, Standing.DELIVERED}),
        Standing.REPLACED,
    ),
    A.RECALL_RESULT: (
        frozenset({Standing.ISSUED, Standing.RETURNED, Standing.BLOCKED, Standing.DELIVERED}),
        Standing.RECALLED,
    ),
}
"""The way of one result: from where an action takes it, and to where."""

GONE: Final = frozenset({Standing.REPLACED, Standing.RECALLED, Standing.DROPPED})
"""Standings that no longer count towards whether a dossier is done."""
RELEASED: Final = frozenset(
    {
        Standing.ISSUED, Standing.RETURNED, Standing.BLOCKED, Standing.DELIVERED, Standing.REPLACED, Standing.RECALLED,
    }
)  # fmt: skip
"""Standings in which number, date and seal were given: from here no dossier is withdrawn or stopped."""

BY_PROCESSES: Final = frozenset({A.RECORD_SIGNATURE, A.CONFIRM_SYNC, A.FAIL_SYNC})
"""Steps that the signer or an exchange records as facts; nobody is offered them, and no role has a right to them."""

BUSINESS_ACTIONS: Final = frozenset(action for _, action in TRANSITIONS)
FINANCE_ACTIONS: Final = frozenset(action for _, action in FINANCE)
DELIVERY_ACTIONS: Final = frozenset(action for _, action in DELIVERY)
SYNC_ACTIONS: Final = frozenset(action for _, action in SYNC)
