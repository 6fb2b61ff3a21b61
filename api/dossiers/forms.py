"""The data of the national forms 01 to 06 (Circular 03/2025/TT-VPCP), as the templates take them. Pure.

Nothing is typed twice: a form says what the dossier, its journal and its tasks say.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from api.dossiers.contract import Line, Party, Task
from api.dossiers.rows import ViewRow
from api.dossiers.words import Action
from api.errors import Refused
from api.kernel import VIETNAM
from api.registry.calendar import Term, Unit

Form = Literal["intake_slip", "supplement_request", "intake_refusal", "apology", "stop_notice", "control_slip"]

_UNITS: Final = {Unit.HOUR: "giờ làm việc", Unit.WORKING_DAY: "ngày làm việc", Unit.CALENDAR_DAY: "ngày"}
_DELIVERY: Final = {
    "counter": "Tại Bộ phận Một cửa",
    "online": "Trực tuyến",
    "post": "Qua dịch vụ bưu chính công ích",
}


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What a form is filled from; `names` are the public names of officials by account, agencies' by id."""

    dossier: ViewRow
    parties: tuple[Party, ...]
    lines: tuple[Line, ...]
    procedure: str
    term: Term
    part_names: dict[str, str]
    names: dict[UUID, str]
    officer: str
    website: str


def fill(form: Form, ground: Ground) -> dict[str, Any]:
    """Return a form's data.

    Raises:
        Refused: what the form tells of has not happened to this dossier.
    """
    return _FORMS[form](ground)


def said(at: datetime | None) -> str:
    """Return an instant as forms print it, in Vietnam's time."""
    return at.astimezone(VIETNAM).strftime("%H giờ %M phút, ngày %d/%m/%Y") if at else ""


def day(at: datetime | None) -> str:
    """Return a day as forms print it, in Vietnam's time."""
    return at.astimezone(VIETNAM).strftime("%d/%m/%Y") if at else ""


def term_said(term: Term) -> str:
    """Return a legal term in words; nothing means at once."""
    return f"{term.amount:02d} {_UNITS[term.unit]}" if term.amount else "Giải quyết ngay"


def outcome(task: Task) -> str:
    """Return whether a step was done in time, as the control slip says it, by the day as the field counts."""
    if task.ended_at is None:
        return ""
    ended, due = (at.astimezone(VIETNAM).date() for at in (task.ended_at, task.due_at))
    return "Trước hạn" if ended < due else "Đúng hạn" if ended == due else "Quá hạn"


def _intake_slip(ground: Ground) -> dict[str, Any]:
    dossier, filer = ground.dossier, _filer(ground)
    if dossier.received_at is None:
        raise _not_yet("hồ sơ chưa được tiếp nhận", "the dossier has not been received", Action.RECEIVE)
    owed = [fee for fee in dossier.fees if fee.state in {"due", "paid"}]
    return {
        "dossier_code": dossier.code,
        "desk": ground.names[dossier.receipt_agency_id],
        "owner": _owner(ground).name,
        "filer": filer.name,
        **_contact(filer),
        "id_number": filer.id_number or "",
        "procedure": ground.procedure,
        "parts": [_paper(part.name, msgspec.structs.asdict(part)) for part in dossier.parts],
        "term": term_said(ground.term),
        "received_at": said(dossier.received_at),
        "due_at": said(dossier.due_at),
        "delivery": _DELIVERY[dossier.channel],
        "fees": "; ".join(f"{fee.name}: {_dong(fee.amount_vnd)}" for fee in owed) or "Không thu",
        "officer": ground.officer,
        "track_at": f"{ground.website}/track/{dossier.code}",
    }


def _supplement_request(ground: Ground) -> dict[str, Any]:
    line, filer = _last(ground, Action.ASK_SUPPLEMENT), _filer(ground)
    items: list[dict[str, Any]] = line.data["items"]
    return {
        "dossier_code": ground.dossier.code,
        "owner": _owner(ground).name,
        "procedure": ground.procedure,
        **_contact(filer),
        "parts": [_paper(ground.part_names[str(item["part_code"])], item) for item in items],
        "reasons": [line.words["reason"]],
        "officer": line.actor_name or ground.officer,
        "website": ground.website,
    }


def _intake_refusal(ground: Ground) -> dict[str, Any]:
    line, filer = _last(ground, Action.REFUSE_INTAKE), _filer(ground)
    desk = ground.names[ground.dossier.receipt_agency_id]
    return {
        "desk": desk,
        "owner": _owner(ground).name,
        **_contact(filer),
        "procedure": ground.procedure,
        "reasons": [line.words["reason"]],
        "contact": desk,
        "officer": line.actor_name or ground.officer,
    }


def _apology(ground: Ground) -> dict[str, Any]:
    line, dossier = _last(ground, Action.APOLOGISE), ground.dossier
    return {
        "to": _owner(ground).name,
        "agency": line.agency_name or ground.names[dossier.step_agency_id],
        "dossier_code": dossier.code,
        "procedure": ground.procedure,
        "received_day": day(dossier.received_at),
        "due_at": said(dossier.due_original_at),
        "reason": line.words["reason"],
        "new_due_at": said(dossier.due_at),
    }


def _stop_notice(ground: Ground) -> dict[str, Any]:
    line, dossier = _last(ground, Action.STOP), ground.dossier
    desk = ground.names[dossier.receipt_agency_id]
    return {
        "to": _owner(ground).name,
        "agency": line.agency_name or ground.names[dossier.step_agency_id],
        "dossier_code": dossier.code,
        "procedure": ground.procedure,
        "received_day": day(dossier.received_at),
        "stopped_day": day(line.occurred_at),
        "reasons": [line.words["reason"]],
        "legal_basis": line.data["legal_basis"],
        "give_back_at": desk,
        "contact": desk,
    }


def _control_slip(ground: Ground) -> dict[str, Any]:
    dossier = ground.dossier
    works = [task for task in dossier.tasks if task.kind == "work"]
    partners = dict.fromkeys(ground.names[task.agency_id] for task in dossier.tasks if task.kind == "opinion")
    return {
        "dossier_code": dossier.code,
        "owner": _owner(ground).name,
        "received_at": said(dossier.received_at or dossier.submitted_at),
        "due_at": said(dossier.due_at) or "Chưa có",
        "agency": ground.names[dossier.competent_agency_id or dossier.step_agency_id],
        "partners": list(partners),
        "lines": _hand_overs(works, ground.names),
    }


def _hand_overs(works: Sequence[Task], names: dict[UUID, str]) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = []
    giver, given_by = "Người nộp hồ sơ", ""
    for task in works:
        taker = names.get(task.assignee_account_id, "") if task.assignee_account_id else ""
        lines.append(
            {
                "from": giver,
                "to": names[task.agency_id],
                "at": said(task.started_at),
                "given_by": given_by,
                "taken_by": taker,
                "outcome": outcome(task),
                "note": "",
            }
        )
        giver, given_by = names[task.agency_id], taker
    return lines


_FORMS: Final[dict[Form, Callable[[Ground], dict[str, Any]]]] = {
    "intake_slip": _intake_slip,
    "supplement_request": _supplement_request,
    "intake_refusal": _intake_refusal,
    "apology": _apology,
    "stop_notice": _stop_notice,
    "control_slip": _control_slip,
}


def _filer(ground: Ground) -> Party:
    return next(party for party in ground.parties if party.role == "filer")


def _owner(ground: Ground) -> Party:
    return next((party for party in ground.parties if party.role == "owner"), _filer(ground))


def _contact(party: Party) -> dict[str, str]:
    return {"address": party.address or "", "phone": party.phone or "", "email": party.email or ""}


def _paper(name: str, numbers: dict[str, Any]) -> dict[str, Any]:
    counted = {key: numbers.get(key, 0) for key in ("originals", "certified_copies", "plain_copies")}
    return {"name": name, **counted}


def _dong(amount: int) -> str:
    return f"{amount:,}".replace(",", ".") + " đồng"


def _last(ground: Ground, action: Action) -> Line:
    line = next((line for line in reversed(ground.lines) if line.action is action), None)
    if line is None:
        raise _not_yet("việc này chưa xảy ra với hồ sơ", "this has not happened to the dossier", action)
    return line


def _not_yet(vi: str, en: str, action: Action) -> Refused:
    return Refused(f"Không lập được biểu mẫu: {vi}.", f"No such form: {en}.", allowed=(str(action),), code="form-early")
