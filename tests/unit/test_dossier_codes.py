"""Codes, secrets and proofs: small pure things that the dossiers rest on."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from api.db.privacy import Vault
from api.dossiers import access
from api.dossiers.codes import DEFAULT_PATTERN, CodeForm, code_form, looks_like_code
from api.dossiers.contract import DeliverIn
from api.dossiers.proof import proof_of
from api.errors import Broken, Invalid
from api.kernel import new_id, vn_day

ID = UUID("018f0000-0000-7000-8000-000000000001")
OLD = Vault({"old": b"1" * 32}, "old")
ROTATED = Vault({"old": b"1" * 32, "new": b"2" * 32}, "new")


def test_a_code_names_agency_day_and_number():
    day = date(2026, 3, 9)
    usual = code_form(DEFAULT_PATTERN, "H05.24.09187", day)
    assert usual == CodeForm(day=day, before="H05.24.09187-260309-", width=4, after="")
    other = code_form("{n:06d}/{yymmdd}.{agency}", "H22", day)
    assert other == CodeForm(day=day, before="", width=6, after="/260309.H22")


def test_the_day_is_vietnams():
    assert vn_day(datetime(2026, 12, 31, 17, 0, tzinfo=UTC)) == date(2027, 1, 1)
    assert vn_day(datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC)) == date(2026, 12, 31)


@pytest.mark.parametrize(
    "pattern", ["{agency}-{n:04}", "{agency}-{yymmdd}-{n:04}-{secret}", "{n:04}{n:04}{agency}", ""]
)
def test_a_wrong_rule_of_codes_is_our_fault_and_says_so(pattern):
    with pytest.raises(Broken):
        code_form(pattern, "H05", date(2026, 3, 9))


@pytest.mark.parametrize(
    "text", ["", "H05", "H05-260309-1", "'; DROP", "H05-26030-0001", "H05-260309-0001 ", "-260309-0001"]
)
def test_nonsense_never_reaches_the_database(text):
    assert not looks_like_code(text)


def test_the_secret_is_told_again_but_never_stored():
    told = access.secret_of(OLD, ID)
    assert len(told) == 26
    assert access.fits(f" {told[:4].lower()} {told[4:]}", access.digest(told))
    assert not access.fits(told[:-1] + "A" if told[-1] != "A" else told[:-1] + "B", access.digest(told))
    assert access.secret_of(ROTATED, ID) != told
    assert access.secret_of(ROTATED, ID, stored=access.digest(told)) == told
    assert access.secret_of(OLD, UUID(int=ID.int + 1)) != told


def test_ids_are_of_version_seven_and_sort_by_time():
    early, late = (new_id(datetime(2026, 3, 9, 1, second, tzinfo=UTC)) for second in (0, 1))
    assert (early.version, late.version) == (7, 7)
    assert early < late
    assert new_id(datetime(2026, 3, 9, tzinfo=UTC)) != new_id(datetime(2026, 3, 9, tzinfo=UTC))


def test_every_channel_has_its_proof():
    at = datetime(2026, 3, 9, tzinfo=UTC)
    good = [
        DeliverIn(result_id=ID, channel="counter", received_by="filer", signed_for=True),
        DeliverIn(result_id=ID, channel="post", tracking_no="EV123456789VN"),
        DeliverIn(result_id=ID, channel="online", opened_at=at),
    ]
    assert [sorted(proof_of(handed)) for handed in good] == [
        ["received_by", "signed_for"],
        ["tracking_no"],
        ["opened_at"],
    ]
    for channel in ("counter", "post", "online"):
        with pytest.raises(Invalid):
            proof_of(DeliverIn(result_id=ID, channel=channel))
    with pytest.raises(Invalid):
        proof_of(DeliverIn(result_id=ID, channel="counter", received_by="filer"))
