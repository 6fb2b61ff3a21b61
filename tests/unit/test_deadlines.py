"""Legal terms against a calendar made by hand, and properties that hold for any term and any hour."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.dossiers.deadlines import Plan
from api.errors import Invalid
from api.kernel import vn_day
from tests.lifecycle_ground import CALENDAR, PLAN, days, hours, plan, vn

INSTANTS = st.datetimes(
    min_value=vn(2026, 1, 5).replace(tzinfo=None), max_value=vn(2027, 6, 1).replace(tzinfo=None)
).map(lambda naive: naive.replace(tzinfo=vn(2026, 1, 5).tzinfo, microsecond=0))


def with_total(total) -> Plan:
    return plan(total)


@pytest.mark.parametrize(
    ("received", "total", "due"),
    [
        (vn(2026, 3, 9, 9), days(3), vn(2026, 3, 12, 17)),
        (vn(2026, 3, 9, 16, 59), days(3), vn(2026, 3, 12, 17)),
        (vn(2026, 3, 13, 9), days(1), vn(2026, 3, 16, 17)),
        (vn(2026, 3, 14, 9), days(1), vn(2026, 3, 17, 17)),
        (vn(2026, 4, 24, 9), days(2), vn(2026, 4, 29, 17)),
        (vn(2026, 2, 13, 9), days(1), vn(2026, 2, 23, 17)),
        (vn(2026, 8, 21, 9), days(1), vn(2026, 8, 22, 17)),
        (vn(2026, 8, 28, 9), days(1), vn(2026, 9, 3, 17)),
        (vn(2026, 3, 9, 9), hours(8), vn(2026, 3, 10, 9)),
        (vn(2026, 3, 9, 12), hours(2), vn(2026, 3, 9, 15, 30)),
        (vn(2026, 3, 9, 14, 59), hours(1), vn(2026, 3, 9, 15, 59)),
        (vn(2026, 3, 9, 15), hours(1), vn(2026, 3, 10, 8)),
        (vn(2026, 3, 13, 15, 30), hours(1), vn(2026, 3, 16, 8)),
        (vn(2026, 3, 9, 14), days(0), vn(2026, 3, 9, 17)),
        (vn(2026, 3, 9, 15, 1), days(0), vn(2026, 3, 10, 17)),
    ],
)
def test_the_whole_is_due_by_the_hand_made_calendar(received, total, due):
    assert with_total(total).due(received) == due


@pytest.mark.parametrize(
    ("handed_in", "answer"),
    [
        (vn(2026, 3, 9, 7), vn(2026, 3, 9, 17)),
        (vn(2026, 3, 9, 16), vn(2026, 3, 10, 16)),
        (vn(2026, 3, 13, 22), vn(2026, 3, 16, 17)),
        (vn(2026, 2, 13, 16, 30), vn(2026, 2, 23, 16, 30)),
    ],
)
def test_an_online_submission_is_answered_within_eight_working_hours(handed_in, answer):
    assert PLAN.answer_due(handed_in) == answer


def test_a_hand_over_after_three_in_the_afternoon_belongs_to_the_next_morning():
    assert PLAN.confirm_due(vn(2026, 3, 9, 9)) == vn(2026, 3, 9, 15)
    assert PLAN.confirm_due(vn(2026, 3, 9, 15)) == vn(2026, 3, 10, 11)


@pytest.mark.parametrize(
    ("paused", "resumed", "due"),
    [
        (vn(2026, 3, 9), vn(2026, 3, 9, 16), vn(2026, 3, 12, 17)),
        (vn(2026, 3, 9), vn(2026, 3, 11), vn(2026, 3, 16, 17)),
        (vn(2026, 3, 13), vn(2026, 3, 15), vn(2026, 3, 12, 17)),
        (vn(2026, 4, 29), vn(2026, 5, 4), vn(2026, 3, 13, 17)),
    ],
)
def test_a_pause_moves_a_term_in_days_by_the_working_days_waited(paused, resumed, due):
    assert PLAN.resumed(vn(2026, 3, 12, 17), paused, resumed) == due


def test_a_pause_moves_a_term_in_hours_by_the_working_minutes_waited():
    plan_in_hours = with_total(hours(8))
    assert plan_in_hours.resumed(vn(2026, 3, 10, 9), vn(2026, 3, 9, 11), vn(2026, 3, 9, 14)) == vn(2026, 3, 10, 10)


@settings(max_examples=200, deadline=None)
@given(at=INSTANTS, amount=st.integers(1, 40), later=st.integers(0, 4000), in_hours=st.booleans())
def test_properties_of_every_term(at, amount, later, in_hours):
    worked = with_total(hours(amount) if in_hours else days(amount))
    due = worked.due(at)
    assert due > at
    assert CALENDAR.is_working_day(vn_day(due))
    assert worked.due(at + timedelta(minutes=later)) >= due, "received later is never due earlier"
    longer = with_total(hours(amount + 1) if in_hours else days(amount + 1))
    assert longer.due(at) > due
    if not in_hours:
        assert due == CALENDAR.closing(vn_day(due))


@settings(max_examples=200, deadline=None)
@given(at=INSTANTS, waited=st.integers(0, 20_000), more=st.integers(0, 5000), in_hours=st.booleans())
def test_properties_of_every_pause(at, waited, more, in_hours):
    worked = with_total(hours(12) if in_hours else days(5))
    due, paused = worked.due(at), at + timedelta(hours=1)
    resumed = paused + timedelta(minutes=waited)
    moved = worked.resumed(due, paused, resumed)
    assert moved >= due, "a pause never takes time away"
    assert CALENDAR.is_working_day(vn_day(moved))
    assert worked.resumed(due, paused, resumed + timedelta(minutes=more)) >= moved, "a longer pause never moves less"
    assert worked.resumed(due, paused, paused) == due


def test_a_new_date_ends_a_working_day_and_lies_ahead():
    assert PLAN.reappointed(vn(2026, 4, 30), vn(2026, 4, 1)) == vn(2026, 5, 4, 17)
    with pytest.raises(Invalid):
        PLAN.reappointed(vn(2026, 3, 31), vn(2026, 4, 1))


def test_the_rules_are_data():
    later = msgspec.structs.replace(PLAN, rules=msgspec.structs.replace(PLAN.rules, online_answer_hours=16))
    assert later.answer_due(vn(2026, 3, 9, 7)) == vn(2026, 3, 10, 17)
