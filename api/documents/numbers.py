"""The pure rules of number series (Decree 30/2020/NĐ-CP, Art. 15): which year, which text, which day."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from api.errors import Invalid, Refused
from api.kernel import VIETNAM, vn_day

_PLACE: Final = re.compile(r"\{([a-z]+)\}")
_KNOWN: Final = frozenset({"n", "year"})


class NumberSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series (dãy số) of an agency, by kind of document or book; a foreign one belongs to another system."""

    id: UUID
    agency_id: UUID
    kind_code: str
    book: str
    pattern: str
    owner: Literal["own", "foreign"]
    foreign_system: str | None
    yearly: bool
    legal_basis: str
    valid_from: date
    valid_to: date | None

    def holds(self, day: date) -> bool:
        """Tell whether numbers are given from it on this day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number that was reserved: its text as printed and the day it was given."""

    id: UUID
    series_id: UUID
    year: int
    n: int
    text: str
    day: date
    document_id: UUID


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the register."""

    n: int
    text: str
    state: Literal["reserved", "used", "void"]
    day: date
    document_id: UUID
    reason: str | None


def counter_year(series: NumberSeries, at: datetime) -> int:
    """Return the year whose counter is used: Vietnam's year, or 0 where the series never begins again."""
    return vn_day(at).year if series.yearly else 0


def number_text(pattern: str, n: int, day: date) -> str:
    """Return the number as it is printed: below ten with a leading nought ("01/UBND-XNTTHN").

    Raises:
        Invalid: the pattern has no `{n}`, or a place that is not known.
    """
    places = _PLACE.findall(pattern)
    if "n" not in places or not set(places) <= _KNOWN:
        raise Invalid(
            f"Mẫu số “{pattern}” phải có {{n}} và chỉ dùng {{n}}, {{year}}.",
            f"The pattern '{pattern}' must hold {{n}} and only {{n}}, {{year}}.",
            code="number-pattern",
        )
    return pattern.replace("{n}", f"{n:02d}").replace("{year}", str(day.year))


def date_text(at: datetime) -> str:
    """Return the day of issue as it is printed: days below 10 and the months 1 and 2 with a leading nought."""
    day = at.astimezone(VIETNAM).date()
    month = f"{day.month:02d}" if day.month <= 2 else str(day.month)
    return f"ngày {day.day:02d} tháng {month} năm {day.year}"


def require_own(series: NumberSeries, at: datetime) -> None:
    """Refuse to invent a number of somebody else's register, or of a series that is not in force.

    Raises:
        Refused: the number must be asked for in the system that owns the series.
    """
    if series.owner == "foreign":
        raise Refused(
            f"Số của sổ này do hệ thống {series.foreign_system} cấp; hãy lấy số tại đó rồi nhập vào.",
            f"Numbers of this register are given by {series.foreign_system}; fetch the number there.",
            allowed=("number.enter_foreign",),
            code="foreign-register",
        )
    if not series.holds(vn_day(at)):
        raise _not_in_force()


def _not_in_force() -> Refused:
    return Refused(
        "Dãy số này không có hiệu lực vào ngày cấp số.",
        "This series is not in force on the day of numbering.",
        allowed=(),
        code="series-not-in-force",
    )


def entered_number(series: NumberSeries, text: str, day: date, *, not_before: date | None, at: datetime) -> int:
    """Return the count in a number that another system gave, after checking what we can of it.

    `not_before` is the day of the last person's signature: a number is never given before it.

    Raises:
        Refused: the register is our own, or was not in force on that day.
        Invalid: the text does not follow the register's pattern, or the day lies ahead or before the signature.
    """
    if series.owner != "foreign":
        raise Refused(
            "Số của sổ này được cấp tự động khi ký số của cơ quan, không nhập tay.",
            "Numbers of this register are given here at sealing; none is entered.",
            allowed=("signature.seal",),
            code="own-register",
        )
    if not series.holds(day):
        raise _not_in_force()
    shape = re.escape(series.pattern.replace("{year}", str(day.year))).replace(r"\{n\}", "([0-9]{1,9})")
    found = re.fullmatch(shape, text)
    if found is None or int(found[1]) == 0:
        raise Invalid(
            f"Số “{text}” không theo mẫu “{series.pattern}” của sổ.",
            f"The number '{text}' does not follow the register's pattern '{series.pattern}'.",
            code="number-pattern",
        )
    if day > vn_day(at) or (not_before is not None and day < not_before):
        raise Invalid(
            "Ngày cấp số không được sau hôm nay hoặc trước ngày ký.",
            "The day of a number lies neither ahead nor before the signature.",
            code="number-day",
        )
    return int(found[1])


def gaps(entries: Iterable[Entry], first: int, last: int) -> list[int]:
    """Return the numbers between `first` and `last` that no row accounts for; a sound register has none."""
    known = {entry.n for entry in entries}
    return [n for n in range(first, last + 1) if n not in known]
