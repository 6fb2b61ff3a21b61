"""Number series by rule: the year is Vietnam's, the text is the pattern's, a foreign register is never imitated."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from api.documents.numbers import (
    Entry,
    NumberSeries,
    counter_year,
    date_text,
    gaps,
    number_text,
    require_own,
)
from api.errors import Invalid, Refused

OWN = NumberSeries(
    id=UUID(int=1),
    agency_id=UUID(int=2),
    kind_code="XNTTHN",
    book="",
    pattern="{n}/UBND-XNTTHN",
    owner="own",
    foreign_system=None,
    yearly=True,
    legal_basis="Nghị định số 30/2020/NĐ-CP, Điều 15",
    valid_from=date(2025, 7, 1),
    valid_to=None,
)
LAST_SECOND = datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC)
"""23:59:59 on 31 December in Vietnam."""


def test_the_year_turns_at_midnight_in_vietnam():
    assert counter_year(OWN, LAST_SECOND) == 2026
    assert counter_year(OWN, LAST_SECOND + timedelta(seconds=2)) == 2027
    assert date_text(LAST_SECOND) == "ngày 31 tháng 12 năm 2026"
    assert date_text(LAST_SECOND + timedelta(seconds=2)) == "ngày 01 tháng 01 năm 2027"


def test_a_series_that_never_begins_again_counts_under_year_nought():
    assert counter_year(msgspec.structs.replace(OWN, yearly=False), LAST_SECOND) == 0


@pytest.mark.parametrize(
    ("pattern", "n", "text"),
    [
        ("{n}/UBND-XNTTHN", 1, "01/UBND-XNTTHN"),
        ("{n}/{year}", 128, "128/2026"),
        ("{n} quyển số 01/{year}-SCT/BS", 7, "07 quyển số 01/2026-SCT/BS"),
    ],
)
def test_the_text_follows_the_pattern(pattern, n, text):
    assert number_text(pattern, n, date(2026, 7, 1)) == text


@pytest.mark.parametrize("pattern", ["UBND", "{year}", "{n}/{agency}"])
def test_a_pattern_that_cannot_be_printed_is_refused(pattern):
    with pytest.raises(Invalid):
        number_text(pattern, 1, date(2026, 7, 1))


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (datetime(2026, 3, 9, tzinfo=UTC), "ngày 09 tháng 3 năm 2026"),
        (datetime(2026, 2, 10, tzinfo=UTC), "ngày 10 tháng 02 năm 2026"),
        (datetime(2026, 10, 24, tzinfo=UTC), "ngày 24 tháng 10 năm 2026"),
    ],
)
def test_days_below_ten_and_the_first_two_months_have_a_leading_nought(day, text):
    assert date_text(day) == text


def test_a_foreign_register_is_asked_and_never_invented():
    foreign = msgspec.structs.replace(OWN, owner="foreign", foreign_system="QLVB tỉnh")
    with pytest.raises(Refused, match="QLVB tỉnh") as refusal:
        require_own(foreign, LAST_SECOND)
    assert refusal.value.kind_code == "foreign-register"


def test_a_series_gives_nothing_outside_its_days():
    require_own(OWN, LAST_SECOND)
    with pytest.raises(Refused):
        require_own(msgspec.structs.replace(OWN, valid_to=date(2026, 12, 31)), LAST_SECOND)
    with pytest.raises(Refused):
        require_own(OWN, datetime(2025, 6, 30, 16, 59, tzinfo=UTC))


def test_gaps_are_named():
    day = date(2026, 1, 2)
    rows = [Entry(n=n, text="", state="used", day=day, document_id=UUID(int=n), reason=None) for n in (1, 2, 5)]
    assert gaps(rows, 1, 6) == [3, 4, 6]
    assert gaps(rows, 1, 2) == []
