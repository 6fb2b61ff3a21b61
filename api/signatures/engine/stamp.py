"""What a signature shows and fills, as text: pure; time zone and wording are explicit (Decree 30/2020, Appendix I)."""

from datetime import date, datetime

from api.kernel import VIETNAM
from api.signatures.engine.rows import ToPrepare
from signing.contract import Appearance


def vietnamese_date(day: date) -> str:
    """Return "ngày 05 tháng 02 năm 2026": days below 10 and the months 1 and 2 take a leading zero."""
    month = f"{day.month:02d}" if day.month <= 2 else str(day.month)
    return f"ngày {day.day:02d} tháng {month} năm {day.year}"


def signing_time(at: datetime) -> str:
    """Return "22.11.2026 08:05:10 +07:00", the form used in practice with Vietnam's offset (ISO 8601)."""
    return at.astimezone(VIETNAM).strftime("%d.%m.%Y %H:%M:%S") + " +07:00"


def appearance(work: ToPrepare, at: datetime) -> Appearance:
    """Return the picture and lines of one signature: the time stands beside the seal, never on a person's signature."""
    if work.role == "seal":
        lines = (f"Ký bởi: {work.agency_name}", f"Thời gian ký: {signing_time(at)}")
        return Appearance(kind="seal", lines=lines, image_png=work.image_png)
    if work.role == "signatory":
        printed = () if work.printed_places else (*work.title_lines, work.person_name or "")
        return Appearance(kind="signatory", lines=printed, image_png=work.image_png)
    return Appearance(kind="initials", image_png=work.image_png)


def fills(work: ToPrepare) -> dict[str, str]:
    """Return what the seal's revision writes into the reserved places, once; nothing for any other signature."""
    if work.role != "seal" or work.number_text is None or work.number_day is None:
        return {}
    wanted = {"Number": work.number_text, "IssuedDate": vietnamese_date(work.number_day)}
    laid = {"Number": work.plan.get("number"), "IssuedDate": work.plan.get("issued_date")}
    return {name: text for name, text in wanted.items() if laid[name] is not None}
