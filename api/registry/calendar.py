"""The working calendar: which days and hours a public office works, and when a legal term ends.

Pure: the days off, the working Saturdays and the hours of work are data (`calendar_day`, `working_hours`), each with
its legal reference, and a dossier keeps the version it began with. All arithmetic is in Vietnam's civil time;
instants go in aware and come out in UTC. Nothing here asks a clock.

How a term counts:
- received after closing, or on a day off: from the next opening; before opening: from the opening; at lunch: from the
  afternoon's opening;
- hours run through working sessions only, and 8 hours are one working day;
- days follow the Civil Code 2015: the first day is not counted (Art. 147.2) and a term whose last day is a day off ends
  at the end of the next working day (Art. 148.5); here "the end" is the closing hour, since nobody can be served later.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

import msgspec

from api.errors import Broken
from api.kernel import VIETNAM, vn_day

MINUTES_OF_A_WORKING_DAY = 8 * 60
"""Labour Code 2019 Art. 105.1: the normal day has at most eight hours; terms in hours convert with it."""


class DayKind(StrEnum):
    """Why a day differs from its place in the week."""

    HOLIDAY = "holiday"  # nghỉ lễ, tết and the day off given for it (nghỉ bù): Labour Code 2019 Art. 112 and 111.3
    SWAPPED_OFF = "swapped_off"  # ngày nghỉ hoán đổi
    SWAPPED_WORK = "swapped_work"  # thứ Bảy làm bù

    @property
    def works(self) -> bool:
        """Tell whether offices are open on such a day."""
        return self is DayKind.SWAPPED_WORK


class Unit(StrEnum):
    """What a legal term is counted in."""

    HOUR = "hour"  # giờ làm việc
    WORKING_DAY = "working_day"  # ngày làm việc
    CALENDAR_DAY = "calendar_day"  # ngày


class Term(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A length of time as the law states it: an amount and its unit."""

    amount: Annotated[int, msgspec.Meta(ge=0, le=2000)]
    unit: Unit

    def minutes(self) -> int:
        """Return the working minutes this term promises, a calendar day counting as a whole working day."""
        return self.amount * (60 if self.unit is Unit.HOUR else MINUTES_OF_A_WORKING_DAY)


class CalendarDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day that differs from its place in the week, with the text that says so."""

    day: date
    kind: DayKind
    name: str
    legal_ref: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One unbroken stretch of work within a day, in Vietnam's time."""

    opens: time
    closes: time


class WorkingHours(msgspec.Struct, frozen=True, kw_only=True):
    """The sessions of a working day while this row is valid; `valid_to` is the first day on which it no longer is."""

    sessions: tuple[Session, ...]
    valid_from: date
    legal_ref: str
    valid_to: date | None = None


class WorkingCalendar(msgspec.Struct, frozen=True, kw_only=True):
    """One published version of the calendar; it answers only for the days it covers."""

    version: int
    covers_from: date
    covers_to: date
    days: dict[date, CalendarDay]
    hours: tuple[WorkingHours, ...]

    def is_working_day(self, day: date) -> bool:
        """Tell whether offices work on this day.

        Raises:
            Broken: the day lies outside the years this version covers; a guess would be a wrong legal date.
        """
        if not self.covers_from <= day <= self.covers_to:
            raise Broken(
                f"Lịch làm việc phiên bản {self.version} chưa có ngày {day:%d/%m/%Y}; cần công bố lịch của năm đó.",
                f"Calendar version {self.version} does not cover {day}; publish that year's calendar.",
                code="calendar-ends",
            )
        special = self.days.get(day)
        return special.kind.works if special else day.weekday() < 5

    def next_working_day(self, day: date) -> date:
        """Return the first working day after this one."""
        return self.on_or_after(day + timedelta(days=1))

    def on_or_after(self, day: date) -> date:
        """Return this day if offices work, else the next working day."""
        while not self.is_working_day(day):
            day += timedelta(days=1)
        return day

    def plus_working_days(self, day: date, count: int) -> date:
        """Return the working day `count` working days after `day`, or before it where `count` is negative."""
        step = timedelta(days=1 if count >= 0 else -1)
        left = abs(count)
        while left:
            day += step
            left -= self.is_working_day(day)
        return day

    def working_days_between(self, first: date, last: date) -> int:
        """Count the working days after `first` up to and including `last`; negative when `last` is earlier."""
        if last < first:
            return -self.working_days_between(last, first)
        return sum(self.is_working_day(first + timedelta(days=n)) for n in range(1, (last - first).days + 1))

    def sessions(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """Return the day's working sessions as instants in UTC, none on a day off.

        Raises:
            Broken: no row of working hours holds on that day.
        """
        if not self.is_working_day(day):
            return ()
        for row in self.hours:
            if row.valid_from <= day and (row.valid_to is None or day < row.valid_to):
                return _on(day, row.sessions)
        raise Broken(
            f"Chưa có quy định giờ làm việc cho ngày {day:%d/%m/%Y}.",
            f"No rule of working hours holds on {day}.",
            code="working-hours-missing",
        )

    def opening(self, day: date) -> datetime:
        """Return the opening of a working day, in UTC."""
        return self.sessions(day)[0][0]

    def closing(self, day: date) -> datetime:
        """Return the closing hour of a working day, in UTC."""
        return self.sessions(day)[-1][1]

    def starts(self, at: datetime) -> datetime:
        """Return the instant from which a term that begins at `at` counts: `at` itself within a session, else the next.

        The very minute of closing counts as after closing.
        """
        return next(max(at, opens) for opens, closes in self._sessions_from(at) if at < closes).astimezone(UTC)

    def is_open(self, at: datetime) -> bool:
        """Tell whether `at` falls within a working session."""
        return any(opens <= at < closes for opens, closes in self.sessions(vn_day(at)))

    def plus_minutes(self, at: datetime, minutes: int) -> datetime:
        """Return the instant `minutes` of work after `at`; work that fills a session exactly ends at its closing."""
        left = timedelta(minutes=minutes)
        for opens, closes in self._sessions_from(at):
            begin = max(at, opens)
            if begin >= closes:
                continue
            if left <= closes - begin:
                return (begin + left).astimezone(UTC)
            left -= closes - begin
        raise AssertionError("the sessions never end")  # pragma: no cover - the iterator raises Broken first

    def minutes_between(self, first: datetime, last: datetime) -> int:
        """Count the whole working minutes from `first` to `last`; 0 when `last` is not later."""
        worked = timedelta()
        if last <= first:
            return 0
        for opens, closes in self._sessions_from(first):
            if opens >= last:
                break
            worked += max(timedelta(), min(closes, last) - max(opens, first))
        return int(worked / timedelta(minutes=1))

    def due(self, at: datetime, term: Term) -> datetime:
        """Return when a term that begins at `at` ends, in UTC; it never ends on a day off."""
        begin = self.starts(at)
        if term.unit is Unit.HOUR:
            return self.plus_minutes(begin, term.amount * 60)
        if term.unit is Unit.WORKING_DAY:
            return self.closing(self.plus_working_days(vn_day(begin), term.amount))
        return self.closing(self.on_or_after(vn_day(begin) + timedelta(days=term.amount)))

    def _sessions_from(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        day = vn_day(at)
        while True:
            yield from self.sessions(day)
            day += timedelta(days=1)


@lru_cache(4096)
def _on(day: date, sessions: tuple[Session, ...]) -> tuple[tuple[datetime, datetime], ...]:
    return tuple((_instant(day, session.opens), _instant(day, session.closes)) for session in sessions)


def _instant(day: date, hour: time) -> datetime:
    return datetime.combine(day, hour, VIETNAM).astimezone(UTC)
