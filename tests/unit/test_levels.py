"""What a sealed document owes of its level, and when a debt will be paid: pure."""

from math import inf
from uuid import UUID

import pytest

from api.operating import rows
from api.operating.sampling import seconds_to_zero
from api.registry.procedures import HeldUntil
from api.signatures import levels

AGENCY = UUID(int=7)
HELD = HeldUntil(level="B-T", legal_basis="Nghị định 23/2025/NĐ-CP", within_hours=2)


@pytest.mark.parametrize(
    ("rule", "held", "expected"),
    [
        (None, None, None),
        ({"level": "B-B"}, None, None),
        ({"level": "B-LT", "within_hours": 12}, None, ("B-LT", 12, None)),
        (None, HELD, ("B-T", 2, HELD.legal_basis)),
        ({"level": "B-B", "within_hours": 1}, HELD, ("B-T", 2, HELD.legal_basis)),
        ({"level": "B-LTA", "within_hours": 24}, HELD, ("B-LTA", 2, HELD.legal_basis)),
        ({"level": "B-LTA", "within_hours": 1}, HELD, ("B-LTA", 1, HELD.legal_basis)),
        ({"level": "B-B", "procedures": {"1": {"level": "B-LT"}}}, HELD, ("B-LT", 2, HELD.legal_basis)),
        ({"level": "B-LT", "agencies": {str(AGENCY): {"level": "B-B"}}}, None, None),
    ],
)
def test_a_version_that_holds_its_results_back_owes_at_least_its_level(rule, held, expected):
    owed = levels.owed(rule, "1", AGENCY, held)
    assert (owed and (owed.level, owed.within_hours, owed.held_basis)) == expected


def debt(**changes) -> rows.LevelDebt:
    kept = {
        "owed": 60, "oldest_s": 1.0, "overdue": 0, "paid": 0, "paid_in_s": 0.0, "quota_s": 0.0, "quota_waits": False,
    }  # fmt: skip
    return rows.LevelDebt(**(kept | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"owed": 0, "quota_s": 1200.0}, 0.0),
        ({}, inf),
        ({"paid": 20, "paid_in_s": 10.0}, 30.0),
        ({"paid": 20, "paid_in_s": 10.0, "quota_s": 2400.0}, 2400.0),
        ({"paid": 20, "paid_in_s": 1190.0, "quota_s": 10.0, "quota_waits": True}, 10.0),
        ({"quota_s": 1200.0, "quota_waits": True}, 1200.0),
    ],
)
def test_a_debt_is_paid_at_the_pace_of_late_and_never_sooner_than_quotas_allow(changes, expected):
    """While a quota is used up, the pace of late is that of waiting for it, and says nothing."""
    assert seconds_to_zero(debt(**changes)) == expected
