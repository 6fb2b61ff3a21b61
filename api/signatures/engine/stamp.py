"""What a signature shows and fills, as text: pure; time zone and wording are explicit (Decree 30/2020, Appendix I)."""

from datetime import date, datetime, tzinfo
from typing import Final

from api.registry.procedures import LAYOUT_OF
from api.signatures.engine.rows import ToPrepare
from signing.contract import Appearance

COPY_FORMS: Final = {
    "true_copy": "Sao y",
    "copy_of_copy": "Sao lục",
    "extract": "Trích sao",
    "certified_copy": "Chứng thực bản sao đúng với bản chính",
}
"""The forms of copies (Decree 30/2020, Art. 25), and that of Decree 23/2015, as they are printed."""


def vietnamese_date(day: date) -> str:
    """Return "ngày 05 tháng 02 năm 2026": days below 10 and the months 1 and 2 take a leading zero."""
    month = f"{day.month:02d}" if day.month <= 2 else str(day.month)
    return f"ngày {day.day:02d} tháng {month} năm {day.year}"


def signing_time(at: datetime, zone: tzinfo) -> str:
    """Return "22.11.2026 08:05:10 +07:00", the form used in practice, with the zone's offset (ISO 8601)."""
    local = at.astimezone(zone)
    return f"{local:%d.%m.%Y %H:%M:%S} {local.isoformat()[-6:]}"


def appearance(work: ToPrepare, at: datetime, zone: tzinfo) -> Appearance:
    """Return the picture and lines of one signature: the time stands beside the seal, never on a person's signature."""
    if work.role == "seal":
        return _seal(work, signing_time(at, zone))
    if work.role == "signatory":
        named = not _is_printed(work)
        above, below = (tuple(work.title_lines), (work.person_name or "",)) if named else ((), ())
        return Appearance(kind="signatory", above=above, lines=below, image_png=work.image_png)
    return Appearance(kind="initials", image_png=work.image_png)


_SIGNED_AT: Final = "Thời gian ký:"


def _seal(work: ToPrepare, time: str) -> Appearance:
    """Return what the organisation's signature shows, which depends on what it is put on."""
    layout = LAYOUT_OF[work.act]
    if layout == "annex":
        return Appearance(kind="corner", lines=(f"Số: {work.main_number_text or ''}", f"{_SIGNED_AT} {time}"))
    if layout == "copy":
        form = COPY_FORMS[work.copy_form] if work.copy_form else "Bản số hóa"
        numbered = f"{form} số {work.number_text}" if work.number_text else form
        return Appearance(
            kind="corner", lines=(numbered, work.agency_name, f"{_SIGNED_AT} {time}"), image_png=work.image_png
        )
    day, _, clock = time.partition(" ")
    return Appearance(kind="seal", lines=(f"{_SIGNED_AT} {day}", clock), image_png=work.image_png)


def _is_printed(work: ToPrepare) -> bool:
    """Tell whether title and name stand on the page: a template prints them, and around a chosen place they are."""
    places = work.plan.get("signatures", ())
    return work.printed_places or any(each["name"] == work.field and each.get("titled") for each in places)


def fills(work: ToPrepare) -> dict[str, str]:
    """Return what the seal's revision writes into the reserved places, once; nothing for any other signature.

    A separate annex refers to its main document, so its places take that one's number and date.
    """
    annex = LAYOUT_OF[work.act] == "annex"
    text, day = (work.main_number_text, work.main_number_day) if annex else (work.number_text, work.number_day)
    if work.role != "seal" or text is None or day is None:
        return {}
    wanted = {"Number": text, "IssuedDate": vietnamese_date(day)}
    laid = {"Number": work.plan.get("number"), "IssuedDate": work.plan.get("issued_date")}
    return {name: value for name, value in wanted.items() if laid[name] is not None}
