"""What each template takes, field by field. Every text is printed as it is; dates are ready for a reader's eye."""

from datetime import date
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from api.errors import Invalid
from api.http.validation import field_fault

Line = Annotated[str, Meta(min_length=1, max_length=300)]
Blank = Annotated[str, Meta(max_length=300)]
Text = Annotated[str, Meta(min_length=1, max_length=4000)]
BlankText = Annotated[str, Meta(max_length=4000)]
Count = Annotated[int, Meta(ge=0, le=999)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data of one template; unknown fields are refused, so that a misspelt one cannot pass as absent."""


class Residence(Body, frozen=True, kw_only=True):
    """A time of residence that a confirmation covers."""

    place: Line
    from_day: date
    to_day: date


class MaritalStatus(Body, frozen=True, kw_only=True):
    """Giấy xác nhận tình trạng hôn nhân (Circular 04/2020/TT-BTP)."""

    requester: Line
    full_name: Line
    birth_date: Line
    sex: Line
    ethnicity: Line
    nationality: Line = "Việt Nam"
    identity_paper: Line
    residence: Line
    status: Text
    purpose: Text
    purpose_for: Blank = ""
    purpose_only: bool = False
    periods: Annotated[tuple[Residence, ...], Meta(max_length=10)] = ()
    valid_months: Annotated[int, Meta(ge=1, le=120)] = 6


class Entry(Body, frozen=True, kw_only=True):
    """A line of a civil-status book; `strong` prints it in bold capitals."""

    label: Line
    value: Text
    strong: bool = False


class CivilExtract(Body, frozen=True, kw_only=True):
    """Trích lục hộ tịch, as an original or as a copy."""

    title: Line
    copy: bool = False
    entries: Annotated[tuple[Entry, ...], Meta(min_length=1, max_length=40)]
    registered_at: Line
    registered_as: Line
    source: Line = "Cơ sở dữ liệu hộ tịch điện tử"
    requester: Line
    notes: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()


class Decision(Body, frozen=True, kw_only=True):
    """Quyết định cá biệt: what about, by whom, on which bases, in which articles."""

    about: Text
    issuer: Line
    bases: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=30)]
    articles: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=60)]


class Refusal(Body, frozen=True, kw_only=True):
    """Văn bản từ chối giải quyết: a result with number and seal."""

    to: Line
    agency: Line
    dossier_code: Line
    procedure: Line
    received_day: Line
    reasons: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=20)]
    legal_basis: BlankText = ""
    advice: BlankText = ""
    contact: Line


class CertifiedCopy(Body, frozen=True, kw_only=True):
    """Lời chứng bản sao đúng với bản chính."""

    paper: Line
    issued_by: Line
    original_reference: Line
    pages: Count
    copies: Count
    book: Line
    place_of_receipt: Line


class PaperPart(Body, frozen=True, kw_only=True):
    """A part of a dossier with its numbers of papers."""

    name: Line
    originals: Count = 0
    certified_copies: Count = 0
    plain_copies: Count = 0


class IntakeSlip(Body, frozen=True, kw_only=True):
    """Mẫu số 01 (Circular 03/2025/TT-VPCP)."""

    dossier_code: Line
    desk: Line
    owner: Line
    filer: Line
    address: Blank = ""
    phone: Blank = ""
    email: Blank = ""
    id_number: Blank = ""
    procedure: Line
    parts: Annotated[tuple[PaperPart, ...], Meta(max_length=60)]
    sets: Count = 1
    term: Line
    received_at: Line
    due_at: Line
    delivery: Line
    fees: Line
    register: Blank = ""
    officer: Line
    track_at: Line


class SupplementRequest(Body, frozen=True, kw_only=True):
    """Mẫu số 02."""

    dossier_code: Line
    owner: Line
    procedure: Line
    address: Blank = ""
    phone: Blank = ""
    email: Blank = ""
    parts: Annotated[tuple[PaperPart, ...], Meta(max_length=60)]
    reasons: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=20)]
    reply_by: Blank = ""
    officer: Line
    officer_phone: Blank = ""
    website: Line


class IntakeRefusal(Body, frozen=True, kw_only=True):
    """Mẫu số 03."""

    desk: Line
    owner: Line
    address: Blank = ""
    phone: Blank = ""
    email: Blank = ""
    procedure: Line
    reasons: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=20)]
    contact: Line
    officer: Line


class Apology(Body, frozen=True, kw_only=True):
    """Mẫu số 04."""

    to: Line
    agency: Line
    dossier_code: Line
    procedure: Line
    received_day: Line
    due_at: Line
    reason: Text
    new_due_at: Line


class StopNotice(Body, frozen=True, kw_only=True):
    """Mẫu số 05."""

    to: Line
    agency: Line
    dossier_code: Line
    procedure: Line
    received_day: Line
    stopped_day: Line
    reasons: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=20)]
    legal_basis: BlankText = ""
    give_back_at: Line
    contact: Line


class ControlLine(Body, frozen=True, kw_only=True):
    """One hand-over in the control slip."""

    from_: str = msgspec.field(name="from")
    to: Line
    at: Line
    given_by: Blank = ""
    taken_by: Blank = ""
    outcome: Blank = ""
    note: Blank = ""


class ControlSlip(Body, frozen=True, kw_only=True):
    """Mẫu số 06."""

    dossier_code: Line
    owner: Line
    received_at: Line
    due_at: Line
    agency: Line
    partners: Annotated[tuple[Line, ...], Meta(max_length=20)] = ()
    lines: Annotated[tuple[ControlLine, ...], Meta(max_length=200)]


RESULTS: Final[dict[str, type[Body]]] = {
    "marital_status": MaritalStatus,
    "civil_extract": CivilExtract,
    "decision": Decision,
    "refusal": Refusal,
    "certified_copy": CertifiedCopy,
}
"""Templates of results, which officers order."""

FORMS: Final[dict[str, type[Body]]] = {
    "intake_slip": IntakeSlip,
    "supplement_request": SupplementRequest,
    "intake_refusal": IntakeRefusal,
    "apology": Apology,
    "stop_notice": StopNotice,
    "control_slip": ControlSlip,
}
"""The national forms 01 to 06, whose data the dossier itself gives."""

TEMPLATES: Final = RESULTS | FORMS


def check_body(template: str, data: dict[str, Any]) -> Body:
    """Return the data as the template's Struct.

    Raises:
        Invalid: no such template, or a field that cannot be right (named).
    """
    kind = TEMPLATES.get(template)
    if kind is None:
        raise Invalid(
            "Không có mẫu này.", "There is no such template.", code="no-template", templates=sorted(TEMPLATES)
        )
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as fault:
        raise field_fault([(str(fault).replace("`$", "`$.data"), "")], where="body") from None
