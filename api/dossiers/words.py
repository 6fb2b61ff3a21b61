"""The words of a dossier's life: statuses, actions, the three other axes, and where each result stands.

Identifiers are our own; the national status codes 1 to 10 are a mapping (`NATIONAL`), not the states.
"""

from enum import StrEnum
from typing import Final

from api.registry.procedures import StepKind


class Status(StrEnum):
    """Where the matter itself stands; money, delivery and synchronisation are axes of their own."""

    SUBMITTED = "submitted"  # mới đăng ký
    SUPPLEMENT_AT_INTAKE = "supplement_at_intake"  # yêu cầu bổ sung trước khi tiếp nhận
    INTAKE_REFUSED = "intake_refused"  # từ chối tiếp nhận (Form 03)
    RECEIVED = "received"  # được tiếp nhận, còn ở Bộ phận Một cửa
    APPRAISING = "appraising"  # đang thẩm định
    SUPPLEMENT_ASKED = "supplement_asked"  # yêu cầu bổ sung (Form 02), the clock stands
    DUTY_ASKED = "duty_asked"  # yêu cầu thực hiện nghĩa vụ tài chính, the clock stands
    DRAFTING = "drafting"  # đã thẩm định, đang dự thảo kết quả
    AWAITING_SIGNATURE = "awaiting_signature"  # chờ ký
    AWAITING_ISSUE = "awaiting_issue"  # đã ký, chờ cấp số và ký số của cơ quan
    DONE = "done"  # đã xử lý xong, chưa trả hết kết quả
    DELIVERED = "delivered"  # đã trả kết quả
    WITHDRAWN = "withdrawn"  # công dân rút hồ sơ
    STOPPED = "stopped"  # dừng giải quyết (Form 05)


class Finance(StrEnum):
    """Whether money is owed (nghĩa vụ tài chính, phí, lệ phí)."""

    NONE = "none"
    DUE = "due"
    PAID = "paid"
    REFUNDED = "refunded"
    EXEMPT = "exempt"


class Delivery(StrEnum):
    """How much of what was issued has reached the citizen."""

    NONE = "none"
    WAITING = "waiting"
    PARTLY = "partly"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"


class Sync(StrEnum):
    """Whether the national portal knows the present state; it never holds up a hand-over."""

    PENDING = "pending"
    SYNCHRONISED = "synchronised"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


class Standing(StrEnum):
    """Where one result stands on its way to the citizen; its legal effect is the documents' matter."""

    DRAFTED = "drafted"  # being drafted, or sent back to be
    TO_SIGN = "to_sign"
    SIGNED = "signed"  # every person's signature is there; number, date and seal are not
    ISSUED = "issued"
    BLOCKED = "blocked"  # an error was found after sealing: not to be handed over
    RETURNED = "returned"  # a delivery failed
    DELIVERED = "delivered"
    DROPPED = "dropped"  # a draft that was not wanted
    REPLACED = "replaced"
    RECALLED = "recalled"


class Action(StrEnum):
    """Everything that can be done to a dossier; each is a line of its journal."""

    SUBMIT = "submit"
    IMPORT = "import"
    RECEIVE = "receive"
    REFUSE_INTAKE = "refuse_intake"
    ASK_SUPPLEMENT = "ask_supplement"
    ANSWER_SUPPLEMENT = "answer_supplement"
    DISPATCH = "dispatch"
    HAND_OVER = "hand_over"
    CONFIRM_HAND_OVER = "confirm_hand_over"
    DECLINE_HAND_OVER = "decline_hand_over"
    CLAIM = "claim"
    RELEASE = "release"
    ASSIGN = "assign"
    APPRAISE = "appraise"
    REFUSE_REQUEST = "refuse_request"
    ASK_OPINION = "ask_opinion"
    ANSWER_OPINION = "answer_opinion"
    WITHDRAW_OPINION = "withdraw_opinion"
    ASK_DUTY = "ask_duty"
    FULFIL_DUTY = "fulfil_duty"
    DRAFT_RESULT = "draft_result"
    DROP_RESULT = "drop_result"
    SUBMIT_FOR_SIGNATURE = "submit_for_signature"
    RECORD_SIGNATURE = "record_signature"
    TAKE_BACK_SIGNATURE = "take_back_signature"
    PASS_SIGNATURE = "pass_signature"  # noqa: S105 - passed on, no password
    SEND_BACK = "send_back"
    ISSUE = "issue"
    RECORD_OUTSIDE_RESULT = "record_outside_result"
    DELIVER = "deliver"
    FAIL_DELIVERY = "fail_delivery"
    BLOCK_HANDOVER = "block_handover"
    UNBLOCK_HANDOVER = "unblock_handover"
    REPLACE_RESULT = "replace_result"
    RECALL_RESULT = "recall_result"
    WITHDRAW = "withdraw"
    STOP = "stop"
    EXPLAIN_OVERDUE = "explain_overdue"
    APOLOGISE = "apologise"
    REBASE = "rebase"
    CHARGE = "charge"
    PAY = "pay"
    EXEMPT = "exempt"
    REFUND = "refund"
    CONFIRM_SYNC = "confirm_sync"
    FAIL_SYNC = "fail_sync"


NATIONAL: Final[dict[Status, int]] = {
    Status.SUBMITTED: 1,
    Status.RECEIVED: 2,
    Status.INTAKE_REFUSED: 3,
    Status.APPRAISING: 4,
    Status.DRAFTING: 4,
    Status.AWAITING_SIGNATURE: 4,
    Status.AWAITING_ISSUE: 4,
    Status.SUPPLEMENT_AT_INTAKE: 5,
    Status.SUPPLEMENT_ASKED: 5,
    Status.DUTY_ASKED: 6,
    Status.WITHDRAWN: 7,
    Status.STOPPED: 8,
    Status.DONE: 9,
    Status.DELIVERED: 10,
}
"""The status codes shared with the National Public Service Portal (trạng thái hồ sơ)."""

STEP_OF: Final[dict[Status, StepKind]] = {
    Status.SUBMITTED: StepKind.RECEIVE,
    Status.SUPPLEMENT_AT_INTAKE: StepKind.RECEIVE,
    Status.INTAKE_REFUSED: StepKind.RECEIVE,
    Status.RECEIVED: StepKind.RECEIVE,
    Status.APPRAISING: StepKind.APPRAISE,
    Status.SUPPLEMENT_ASKED: StepKind.APPRAISE,
    Status.DUTY_ASKED: StepKind.APPRAISE,
    Status.DRAFTING: StepKind.APPRAISE,
    Status.AWAITING_SIGNATURE: StepKind.APPROVE,
    Status.AWAITING_ISSUE: StepKind.ISSUE,
    Status.DONE: StepKind.DELIVER,
    Status.DELIVERED: StepKind.DELIVER,
}
"""Which of the five steps on site a status belongs to; a withdrawn or stopped dossier stays in the step it had."""

STATUS_VI: Final[dict[Status, str]] = {
    Status.SUBMITTED: "Mới đăng ký",
    Status.SUPPLEMENT_AT_INTAKE: "Chờ bổ sung trước khi tiếp nhận",
    Status.INTAKE_REFUSED: "Từ chối tiếp nhận",
    Status.RECEIVED: "Đã tiếp nhận",
    Status.APPRAISING: "Đang thẩm định",
    Status.SUPPLEMENT_ASKED: "Chờ bổ sung giấy tờ",
    Status.DUTY_ASKED: "Chờ thực hiện nghĩa vụ tài chính",
    Status.DRAFTING: "Đang dự thảo kết quả",
    Status.AWAITING_SIGNATURE: "Chờ ký",
    Status.AWAITING_ISSUE: "Chờ cấp số, phát hành",
    Status.DONE: "Đã xử lý xong",
    Status.DELIVERED: "Đã trả kết quả",
    Status.WITHDRAWN: "Công dân rút hồ sơ",
    Status.STOPPED: "Dừng giải quyết",
}
"""What a person reads on the screen."""

ACTION_VI: Final[dict[Action, str]] = {
    Action.SUBMIT: "nộp hồ sơ",
    Action.IMPORT: "nhập từ hệ thống cũ",
    Action.RECEIVE: "tiếp nhận",
    Action.REFUSE_INTAKE: "từ chối tiếp nhận",
    Action.ASK_SUPPLEMENT: "yêu cầu bổ sung",
    Action.ANSWER_SUPPLEMENT: "bổ sung hồ sơ",
    Action.DISPATCH: "phân luồng theo thẩm quyền",
    Action.HAND_OVER: "chuyển hồ sơ",
    Action.CONFIRM_HAND_OVER: "xác nhận đã nhận hồ sơ chuyển đến",
    Action.DECLINE_HAND_OVER: "không nhận hồ sơ chuyển đến",
    Action.CLAIM: "nhận việc",
    Action.RELEASE: "trả việc",
    Action.ASSIGN: "phân công",
    Action.APPRAISE: "thẩm định",
    Action.REFUSE_REQUEST: "từ chối giải quyết",
    Action.ASK_OPINION: "lấy ý kiến phối hợp",
    Action.ANSWER_OPINION: "cho ý kiến phối hợp",
    Action.WITHDRAW_OPINION: "thôi lấy ý kiến phối hợp",
    Action.ASK_DUTY: "yêu cầu thực hiện nghĩa vụ tài chính",
    Action.FULFIL_DUTY: "đã thực hiện nghĩa vụ tài chính",
    Action.DRAFT_RESULT: "dự thảo kết quả",
    Action.DROP_RESULT: "bỏ dự thảo kết quả",
    Action.SUBMIT_FOR_SIGNATURE: "trình ký",
    Action.RECORD_SIGNATURE: "ghi nhận chữ ký",
    Action.TAKE_BACK_SIGNATURE: "rút lại chữ ký",
    Action.PASS_SIGNATURE: "chuyển người ký khác",
    Action.SEND_BACK: "trả lại để sửa",
    Action.ISSUE: "cấp số, phát hành",
    Action.RECORD_OUTSIDE_RESULT: "ghi nhận kết quả của hệ thống khác",
    Action.DELIVER: "trả kết quả",
    Action.FAIL_DELIVERY: "ghi nhận trả kết quả không thành",
    Action.BLOCK_HANDOVER: "tạm giữ, không trao kết quả",
    Action.UNBLOCK_HANDOVER: "thôi tạm giữ kết quả",
    Action.REPLACE_RESULT: "thay thế kết quả",
    Action.RECALL_RESULT: "thu hồi kết quả",
    Action.WITHDRAW: "rút hồ sơ",
    Action.STOP: "dừng giải quyết",
    Action.EXPLAIN_OVERDUE: "giải trình quá hạn",
    Action.APOLOGISE: "xin lỗi và hẹn lại",
    Action.REBASE: "chuyển sang phiên bản thủ tục khác",
    Action.CHARGE: "ghi khoản phải nộp",
    Action.PAY: "ghi nhận đã nộp tiền",
    Action.EXEMPT: "miễn phí, lệ phí",
    Action.REFUND: "hoàn tiền",
    Action.CONFIRM_SYNC: "đã đồng bộ",
    Action.FAIL_SYNC: "đồng bộ không thành",
}
"""What a person reads on a button or in a refusal."""
