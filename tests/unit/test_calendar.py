"""Legal terms against tables made by hand from the printed calendar, never computed by the code under test."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.embedded.province import data
from api.errors import Broken
from api.kernel import VIETNAM
from api.registry.calendar import CalendarDay, DayKind, Session, Term, Unit, WorkingCalendar, WorkingHours

HOURS = WorkingHours(
    sessions=(Session(opens=time(7), closes=time(11, 30)), Session(opens=time(13, 30), closes=time(17))),
    valid_from=date(2025, 1, 1),
    legal_ref="thử",
)
SHIPPED = data.calendar()[-1]
CALENDAR = WorkingCalendar(
    version=SHIPPED.version,
    covers_from=date(2025, 1, 1),
    covers_to=date(2028, 12, 31),
    days={day.day: day for day in SHIPPED.days},
    hours=(HOURS,),
)


def vn(text: str) -> datetime:
    """Read `2026-02-13 16:30` as Vietnam's time."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=VIETNAM)


HOUR, WORKING, CALENDAR_DAY = Unit.HOUR, Unit.WORKING_DAY, Unit.CALENDAR_DAY

BY_HAND = [
    # hours: eight of them are one working day, lunch and nights do not count
    ("2026-11-23 08:00", 2, HOUR, "2026-11-23 10:00"),
    ("2026-11-23 07:00", 8, HOUR, "2026-11-23 17:00"),
    ("2026-11-23 10:30", 2, HOUR, "2026-11-23 14:30"),
    ("2026-11-23 10:30", 1, HOUR, "2026-11-23 11:30"),
    ("2026-11-20 16:00", 2, HOUR, "2026-11-23 08:00"),  # Friday evening to Monday
    ("2026-11-23 16:00", 8, HOUR, "2026-11-25 16:00"),  # over 24 November, Vietnam Culture Day
    ("2026-11-23 17:00", 1, HOUR, "2026-11-25 08:00"),  # the minute of closing is after closing
    ("2026-11-23 06:10", 1, HOUR, "2026-11-23 08:00"),  # before opening: from the opening
    ("2026-11-23 12:15", 1, HOUR, "2026-11-23 14:30"),  # at lunch: from the afternoon's opening
    ("2026-11-22 09:00", 3, HOUR, "2026-11-23 10:00"),  # a Sunday: from Monday's opening
    # Tết 2026: Monday 16 to Friday 20 February
    ("2026-02-13 16:30", 1, HOUR, "2026-02-23 07:30"),
    ("2026-02-13 09:00", 1, WORKING, "2026-02-23 17:00"),
    ("2026-02-12 09:00", 3, WORKING, "2026-02-24 17:00"),
    ("2026-02-18 09:00", 1, WORKING, "2026-02-24 17:00"),  # handed in at Tết: received on Monday the 23rd
    ("2026-02-10 09:00", 7, CALENDAR_DAY, "2026-02-23 17:00"),  # ends on the 17th, a day off
    ("2026-02-13 17:30", 1, WORKING, "2026-02-24 17:00"),  # after closing counts as received on the 23rd
    # New Year 2026: 1 January, Friday 2 January off, Saturday 10 January worked for it
    ("2025-12-31 15:00", 1, WORKING, "2026-01-05 17:00"),
    ("2026-01-08 09:00", 2, WORKING, "2026-01-10 17:00"),
    ("2026-01-09 16:00", 2, HOUR, "2026-01-10 08:00"),
    ("2026-01-10 10:00", 1, WORKING, "2026-01-12 17:00"),
    ("2026-01-07 10:00", 3, CALENDAR_DAY, "2026-01-10 17:00"),
    # Hùng Kings on Sunday 26 April, given back on Monday the 27th; 30 April and 1 May
    ("2026-04-24 08:00", 1, WORKING, "2026-04-28 17:00"),
    ("2026-04-24 08:00", 5, WORKING, "2026-05-06 17:00"),
    ("2026-04-28 08:00", 2, CALENDAR_DAY, "2026-05-04 17:00"),
    # National Day 2026: Saturday 22 August worked, Monday 31 August off, 1 and 2 September
    ("2026-08-21 13:30", 1, WORKING, "2026-08-22 17:00"),
    ("2026-08-22 16:00", 2, HOUR, "2026-08-24 08:00"),
    ("2026-08-28 15:00", 1, WORKING, "2026-09-03 17:00"),
    ("2026-08-28 15:00", 3, CALENDAR_DAY, "2026-09-03 17:00"),
    # 2025: Saturday 26 April worked for Friday 2 May
    ("2025-04-25 16:00", 2, HOUR, "2025-04-26 08:00"),
    ("2025-04-29 10:00", 1, WORKING, "2025-05-05 17:00"),
    # Tết 2025: 27 January to 1 February; over a year's end without any holiday but the first
    ("2025-01-24 08:00", 2, WORKING, "2025-02-04 17:00"),
    ("2026-12-31 16:00", 2, HOUR, "2027-01-04 08:00"),
    # a month's term (adoption): 30 calendar days
    ("2026-11-02 08:00", 30, CALENDAR_DAY, "2026-12-02 17:00"),
    # 2028: 1 January is a Saturday, given back on Monday the 3rd
    ("2027-12-31 09:00", 1, WORKING, "2028-01-04 17:00"),
]


@pytest.mark.parametrize(("received", "amount", "unit", "due"), BY_HAND)
def test_a_term_ends_when_the_calendar_on_the_wall_says(received: str, amount: int, unit: Unit, due: str) -> None:
    found = CALENDAR.due(vn(received), Term(amount=amount, unit=unit))
    assert found.tzinfo is UTC
    assert found == vn(due), f"{found.astimezone(VIETNAM):%a %d/%m/%Y %H:%M}"


def test_the_table_is_long_enough() -> None:
    assert len(BY_HAND) >= 30
    assert sum(row[0].startswith(("2026-01", "2026-08", "2025-04")) for row in BY_HAND) >= 6


@pytest.mark.parametrize(
    ("at", "starts"),
    [
        ("2026-11-23 09:15", "2026-11-23 09:15"),
        ("2026-11-23 05:00", "2026-11-23 07:00"),
        ("2026-11-23 11:30", "2026-11-23 13:30"),
        ("2026-11-23 13:30", "2026-11-23 13:30"),
        ("2026-11-23 17:00", "2026-11-25 07:00"),
        ("2026-11-24 10:00", "2026-11-25 07:00"),
        ("2026-02-14 10:00", "2026-02-23 07:00"),
    ],
)
def test_where_a_term_begins_to_count(at: str, starts: str) -> None:
    assert CALENDAR.starts(vn(at)) == vn(starts)


@pytest.mark.parametrize(
    ("first", "last", "minutes"),
    [
        ("2026-11-23 08:00", "2026-11-23 09:30", 90),
        ("2026-11-23 11:00", "2026-11-23 14:00", 60),
        ("2026-11-23 16:00", "2026-11-25 08:00", 120),
        ("2026-02-13 16:00", "2026-02-23 08:00", 120),
        ("2026-01-09 07:00", "2026-01-12 17:00", 24 * 60),
        ("2026-11-21 08:00", "2026-11-22 20:00", 0),
        ("2026-11-25 08:00", "2026-11-23 08:00", 0),
    ],
)
def test_working_time_between_two_instants(first: str, last: str, minutes: int) -> None:
    assert CALENDAR.minutes_between(vn(first), vn(last)) == minutes


@pytest.mark.parametrize(
    ("day", "count", "answer"),
    [
        (date(2026, 2, 13), 1, date(2026, 2, 23)),
        (date(2026, 2, 23), -1, date(2026, 2, 13)),
        (date(2026, 1, 12), -1, date(2026, 1, 10)),
        (date(2026, 9, 3), -2, date(2026, 8, 27)),
        (date(2026, 11, 23), 0, date(2026, 11, 23)),
    ],
)
def test_working_days_forth_and_back(day: date, count: int, answer: date) -> None:
    assert CALENDAR.plus_working_days(day, count) == answer


def test_a_later_version_knows_of_a_swap_that_an_earlier_one_did_not() -> None:
    first = data.calendar()[0]
    earlier = WorkingCalendar(
        version=1,
        covers_from=date(2025, 1, 1),
        covers_to=date(2028, 12, 31),
        days={day.day: day for day in first.days},
        hours=(HOURS,),
    )
    term = Term(amount=1, unit=WORKING)
    assert earlier.due(vn("2025-12-31 15:00"), term) == vn("2026-01-02 17:00")
    assert CALENDAR.due(vn("2025-12-31 15:00"), term) == vn("2026-01-05 17:00")


def test_beyond_its_years_it_answers_nothing_rather_than_guess() -> None:
    with pytest.raises(Broken) as ends:
        CALENDAR.due(vn("2028-12-29 16:00"), Term(amount=1, unit=WORKING))
    assert ends.value.kind_code == "calendar-ends"


def test_hours_of_work_are_dated_rows_too() -> None:
    winter = WorkingHours(
        sessions=(Session(opens=time(8), closes=time(12)), Session(opens=time(13), closes=time(17))),
        valid_from=date(2026, 12, 1),
        legal_ref="thử",
    )
    until = WorkingHours(
        sessions=HOURS.sessions, valid_from=HOURS.valid_from, valid_to=date(2026, 12, 1), legal_ref="thử"
    )
    both = WorkingCalendar(
        version=3,
        covers_from=CALENDAR.covers_from,
        covers_to=CALENDAR.covers_to,
        days=CALENDAR.days,
        hours=(until, winter),
    )
    assert both.due(vn("2026-11-30 16:00"), Term(amount=2, unit=HOUR)) == vn("2026-12-01 09:00")
    only_later = WorkingCalendar(
        version=4, covers_from=CALENDAR.covers_from, covers_to=CALENDAR.covers_to, days={}, hours=(winter,)
    )
    with pytest.raises(Broken):
        only_later.closing(date(2026, 11, 30))


def test_every_shipped_day_states_its_basis() -> None:
    assert {day.day.year for day in SHIPPED.days} == {2025, 2026, 2027, 2028}
    for day in SHIPPED.days:
        assert day.legal_ref
        assert (day.kind is DayKind.SWAPPED_WORK) <= (day.day.weekday() >= 5), (
            "only a weekend is worked for another day"
        )
    assert [day.day for day in SHIPPED.days if day.kind is DayKind.SWAPPED_WORK] == [
        date(2025, 4, 26),
        date(2026, 1, 10),
        date(2026, 8, 22),
    ]


INSTANTS = st.datetimes(datetime(2025, 1, 2), datetime(2027, 12, 31), timezones=st.just(VIETNAM))  # noqa: DTZ001
SWAPS = st.dictionaries(st.dates(date(2025, 1, 1), date(2028, 12, 31)), st.sampled_from(DayKind), max_size=40)


@given(at=INSTANTS, minutes=st.integers(0, 60 * 8 * 20))
@settings(max_examples=150, deadline=None)
def test_adding_working_time_and_measuring_it_agree(at: datetime, minutes: int) -> None:
    begin = CALENDAR.starts(at)
    end = CALENDAR.plus_minutes(begin, minutes)
    assert CALENDAR.minutes_between(begin, end) == minutes
    assert end >= at
    assert CALENDAR.is_working_day(end.astimezone(VIETNAM).date())


@given(at=INSTANTS, amount=st.integers(0, 40), unit=st.sampled_from(Unit), swaps=SWAPS)
@settings(max_examples=150, deadline=None)
def test_under_any_calendar_a_term_never_ends_on_a_day_off_and_never_earlier_for_being_longer(
    at: datetime, amount: int, unit: Unit, swaps: dict[date, DayKind]
) -> None:
    calendar = WorkingCalendar(
        version=9,
        covers_from=date(2025, 1, 1),
        covers_to=date(2028, 12, 31),
        days={day: CalendarDay(day=day, kind=kind, name="-", legal_ref="-") for day, kind in swaps.items()},
        hours=(HOURS,),
    )
    due = calendar.due(at, Term(amount=amount, unit=unit))
    assert calendar.is_working_day(due.astimezone(VIETNAM).date())
    assert calendar.due(at, Term(amount=amount + 1, unit=unit)) >= due
    assert calendar.due(at + timedelta(hours=1), Term(amount=amount, unit=unit)) >= due


@given(at=INSTANTS, days=st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_steps_in_hours_never_outlast_the_same_number_of_days(at: datetime, days: int) -> None:
    by_hours = CALENDAR.due(at, Term(amount=8 * days, unit=HOUR))
    by_days = CALENDAR.due(at, Term(amount=days, unit=WORKING))
    assert by_hours <= by_days
