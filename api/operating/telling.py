"""Where a ticket stands, put into lines for an operator: stages with their times, what is stuck, what to do next.

Pure: rows and the present come as arguments. People appear as ids only.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from api.operating import rows

STANDS_STILL: Final = timedelta(seconds=60)
"""The sweep pushes what has not moved for 30 s; what is still there after twice that is worth a look."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one ticket."""

    ticket: rows.Ticket
    items: list[rows.Item]
    transactions: list[rows.Transaction]
    jobs: list[rows.JobLine]
    audit: list[rows.AuditLine]


def lines(told: Told, at: datetime) -> Iterator[str]:
    """Tell of a ticket, line by line, Vietnamese first where a person decides by it."""
    ticket = told.ticket
    ended = f"đã xong / finished {_time(ticket.closed_at)}" if ticket.closed_at else "đang mở / open"
    yield f"Mã lượt ký / ticket  {ticket.id}  {ended}"
    yield f"  trace {ticket.trace_id or '-'}"
    yield f"  account {ticket.account_id}  post {ticket.post_id}  agency {ticket.agency_id}"
    until = _time(ticket.authorised_until)
    yield f"  asked {_time(ticket.asked_at)}  lane {ticket.lane}  items {ticket.item_count}  until {until}"
    factor = {True: "accepted", False: f"refused: {ticket.reason}", None: "not judged yet"}[ticket.accepted]
    yield f"  second factor {factor}{_after(ticket.asked_at, ticket.judged_at)}"
    for item in told.items:
        yield from _item(ticket, item, at)
    for one in told.transactions:
        end = (
            f"{one.outcome}{_after(one.started_at, one.ended_at)}" if one.ended_at else f"until {_time(one.expires_at)}"
        )
        yield (
            f"  holder {one.holder}  transaction {one.id}  {one.state}  items {one.item_count}  "
            f"started {_time(one.started_at)}  polls {one.polls}  {end}{_account(one)}"
        )
    for job in told.jobs:
        state = f"PARKED {_time(job.parked_at)}: {job.reason}" if job.parked_at else job.status or "begun"
        yield f"  job {job.key}  claims {job.claims}  failures {job.failures}  {state}"
    for line in told.audit:
        who = f"account {line.actor_account_id}" if line.actor_account_id else line.process
        yield f"  audit {_time(line.at)}  {line.action}  {line.subject_kind} {line.subject_id or '-'}  by {who}"
    yield from (f"→ {vi}\n→ {en}" for vi, en in advice(told, at))


def _item(ticket: rows.Ticket, item: rows.Item, at: datetime) -> Iterator[str]:
    stage = item.outcome or item.state
    cause = f" ({item.cause})" if item.cause else ""
    waited = "" if item.outcome else f"  for {_length(at - max(item.state_at, ticket.asked_at))}"
    yield f"  {item.ordinal:>3}. {item.role}  request {item.request_id}  attempt {item.attempt}  {stage}{cause}{waited}"
    moments = (
        ("prepared", item.prepared_at),
        ("sent", item.sent_at),
        (f"value by {item.source}", item.received_at),
        ("recorded", item.recorded_at if item.outcome == "recorded" else None),
        (f"timestamp {item.level}", item.raised_at),
    )
    before, parts = ticket.asked_at, list[str]()
    for name, moment in moments:
        if moment is not None:
            parts.append(f"{name} {_time(moment)}{_after(before, moment)}")
            before = moment
    if parts:
        yield f"       {'  '.join(parts)}  key uses {item.key_uses}"
    if item.level_owed is not None and item.raised_at is None:
        why = f" ({item.level_problem})" if item.level_problem else ""
        yield f"       timestamp owed: {item.level_owed}{why}"


def advice(told: Told, at: datetime) -> list[tuple[str, str]]:
    """Return what to do next, each in Vietnamese and English; nothing to do is said too."""
    if any(one.found not in {None, "agreed"} for one in told.transactions):
        return [_ACCOUNTS_DIFFER]
    if told.ticket.closed_at is not None:
        failed = [item for item in told.items if item.outcome != "recorded"]
        return [_LOOK_AT_FAILURES] if failed else [_NOTHING]
    parked = [job.key for job in told.jobs if job.parked_at is not None]
    found = [
        (f"Có việc tạm giữ; sửa nguyên nhân rồi: motcua jobs requeue '{key}'",
         f"Work lies parked; mend the cause, then: motcua jobs requeue '{key}'")
        for key in parked
    ]  # fmt: skip
    if not told.ticket.complete and at - told.ticket.asked_at > STANDS_STILL:
        found.append(_SIGNER_SILENT)
    stages = {item.state for item in told.items if item.outcome is None and at - item.state_at > STANDS_STILL}
    found += [_OF_STAGE[stage] for stage in ("asked", "prepared", "sent", "value_received") if stage in stages]
    return found or [_UNDER_WAY]


_ACCOUNTS_DIFFER: Final = (
    "Sổ của nơi giữ khóa khác sổ ở đây: hỏi người ký và nơi giữ khóa về giao dịch này trước khi ký tiếp.",
    "The key holder's account differs from ours: ask the signatory and the holder about this transaction first.",
)
_NOTHING: Final = ("Đã ký xong, không phải làm gì.", "All is signed; nothing is to be done.")
_UNDER_WAY: Final = ("Đang chạy bình thường; xem lại sau một phút.", "It is under way; look again in a minute.")
_LOOK_AT_FAILURES: Final = (
    "Có văn bản chưa ký được: xem nguyên nhân và bước tiếp bằng lệnh failures.",
    "Some were not signed: `motcua failures --ticket ID` says why and what to do next.",
)
_SIGNER_SILENT: Final = (
    "Tiến trình ký số chưa nhận: xem nó còn chạy không (/healthz) và nhật ký của nó.",
    "No signer has judged it: see whether one runs (its /healthz) and read its log.",
)
_OF_STAGE: Final = {
    "asked": (
        "Chưa chuẩn bị được tệp: xem hàng đợi và tiến trình PDF của tiến trình ký số.",
        "The file is not prepared: look at the queue and the signer's PDF processes.",
    ),
    "prepared": (
        "Chờ đến lượt ở nơi giữ khóa: người ký còn lần xác nhận khác đang mở, hoặc nơi giữ khóa không nhận.",
        "It waits for its turn at the key holder: the person has other confirmations open, or the holder takes none.",
    ),
    "sent": (
        "Chờ người ký xác nhận trên ứng dụng; hết hạn thì tự trở về danh sách. Không gửi lại bằng tay.",
        "It waits for the person's confirmation; at its end it returns to the list. Never send it again by hand.",
    ),
    "value_received": (
        "Đã có chữ ký, chưa ghi được: xem kho tài liệu và cơ sở dữ liệu. Không làm mất giá trị đã nhận.",
        "The value is here and not recorded: look at the document store and the database. The value is not lost.",
    ),
}


def _account(one: rows.Transaction) -> str:
    return "" if one.found in {None, "agreed"} else f"  THE HOLDER'S ACCOUNT DIFFERS: {one.found}"


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else "-"


def _after(before: datetime, moment: datetime | None) -> str:
    return f" (+{_length(moment - before)})" if moment else ""


def _length(time: timedelta) -> str:
    seconds = max(time.total_seconds(), 0.0)
    return f"{seconds:.2f} s" if seconds < 60 else f"{seconds / 60:.1f} min"
