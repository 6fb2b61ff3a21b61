"""What a mode refuses and how often somebody may ask: the rules alone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from api.http.control.rules import ACCOUNT, AGENCY, Buckets, Limit, Mode, Override, chosen, refusal

AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
WARD, OTHER = UUID(int=1), UUID(int=2)
REASON = "nâng cấp cơ sở dữ liệu"


@pytest.mark.parametrize(
    ("mode", "method", "stays_open", "refused"),
    [
        ("normal", "POST", False, False),
        ("read-only", "GET", False, False),
        ("read-only", "POST", True, False),
        ("read-only", "POST", False, True),
        ("maintenance", "GET", False, True),
        ("maintenance", "POST", True, True),
    ],
)
def test_what_each_mode_refuses(mode, method, stays_open, refused):
    now = Mode(mode=mode, reason=None if mode == "normal" else REASON)
    found = refusal(now, method=method, stays_open=stays_open, at=AT)
    assert (found is not None) == refused
    if found:
        assert found.kind_code == mode
        assert REASON in found.vi
        assert found.facts["reason"] == REASON


@pytest.mark.parametrize(("left_s", "wait"), [(600, 600), (1, 5), (-60, 60), (None, 60)])
def test_when_to_come_again_follows_from_the_end_given(left_s, wait):
    until = None if left_s is None else AT + timedelta(seconds=left_s)
    found = refusal(Mode(mode="maintenance", reason=REASON, until=until), method="GET", stays_open=False, at=AT)
    assert (found.retry_after_s, found.facts["until"]) == (wait, until)


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate():
    buckets, limit = Buckets(), Limit(per_second=2, burst=5)
    assert [buckets.take(("a",), limit, 100.0) for _ in range(5)] == [0] * 5
    assert buckets.take(("a",), limit, 100.0) == pytest.approx(0.5)
    assert buckets.take(("b",), limit, 100.0) == 0, "another's bucket is full"
    taken = [buckets.take(("a",), limit, 100.0 + tenth / 10) for tenth in range(1, 101)]
    assert taken.count(0) == 20, "two a second for ten seconds"


def test_a_refusal_takes_nothing():
    buckets, limit = Buckets(), Limit(per_second=1, burst=1)
    assert buckets.take(("a",), limit, 0.0) == 0
    assert all(buckets.take(("a",), limit, 0.9) > 0 for _ in range(50))
    assert buckets.take(("a",), limit, 1.0) == 0


def test_memory_is_bounded_and_whoever_is_busy_is_kept():
    buckets, limit = Buckets(most=100), Limit(per_second=0.001, burst=1)
    buckets.take(("busy",), limit, 0.0)
    for other in range(1000):
        buckets.take((other,), limit, 0.0)
        if other < 99:
            assert buckets.take(("busy",), limit, 0.0) > 0
    assert len(buckets) == 100


def test_the_narrowest_override_holds():
    rows = [
        Override(agency_id=None, work=None, per_second=1, burst=1),
        Override(agency_id=None, work="officers", per_second=2, burst=2),
        Override(agency_id=WARD, work=None, per_second=3, burst=3),
        Override(agency_id=WARD, work="signing", per_second=4, burst=4),
    ]
    found = {
        (who, work): chosen(rows, who, work).burst
        for who in (WARD, OTHER)
        for work in ("signing", "officers", "reports")
    }
    assert found == {
        (WARD, "signing"): 4,
        (WARD, "officers"): 3,
        (WARD, "reports"): 3,
        (OTHER, "signing"): 1,
        (OTHER, "officers"): 2,
        (OTHER, "reports"): 1,
    }
    assert chosen([], WARD, "signing") == AGENCY["signing"]
    assert chosen([], WARD, "login") is None


def test_no_account_may_ask_more_often_than_its_agency():
    assert ACCOUNT.keys() == AGENCY.keys()
    for work, own in ACCOUNT.items():
        assert own.per_second < AGENCY[work].per_second
        assert own.burst < AGENCY[work].burst
