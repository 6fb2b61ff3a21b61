"""The pure rules of a signature: states, cutting, turns, midnight, the second factor, what a chain asks for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Invalid, Refused
from api.kernel import VIETNAM
from api.registry.authority import Role
from api.registry.procedures import ChainEntry, chain_of
from api.signatures import chain, cursor, cutting, stepup
from api.signatures.engine import rows, stamp
from api.signatures.states import APP_MAY, OPEN, TRANSITIONS, State, move

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize("before", list(State))
@pytest.mark.parametrize("after", list(State))
def test_every_move_is_allowed_or_refused_with_what_is_allowed(before, after):
    if after in TRANSITIONS[before]:
        assert move(before, after) is after
    else:
        with pytest.raises(Refused) as refused:
            move(before, after)
        assert set(refused.value.allowed) == set(TRANSITIONS[before])


def test_a_signature_that_is_sent_is_never_superseded_while_its_holder_may_answer():
    assert State.SUPERSEDED not in TRANSITIONS[State.SENT]
    assert {before for before, _ in APP_MAY} == {State.TO_SIGN, State.ASKED}
    assert not any(after in OPEN | {State.RECORDED} for _, after in APP_MAY)


@given(st.integers(0, 500), st.integers(1, 400))
def test_cutting_loses_and_doubles_nothing(count, limit):
    items = list(range(count))
    parts = cutting.cut(items, limit)
    assert [item for part in parts for item in part] == items
    assert all(0 < len(part) <= min(limit, 200) for part in parts)
    if count:
        assert cutting.confirmations(count, limit)[0] == len(parts)


def test_the_signatory_is_told_three_times_fifty():
    assert cutting.confirmations(150, 50) == (3, 50)
    assert cutting.confirmations(500, 1000) == (3, 200)


def test_five_hundred_of_one_never_stand_before_the_single_item_of_another():
    batch = cutting.turns(500, floor=0, own_last=None, lane="normal")
    single = cutting.turns(1, floor=10, own_last=None, lane="normal")[0]
    ahead = [p for p in batch[10:] if p > single]
    assert len(ahead) == 0
    assert sum(p > single for p in batch) == 10


def test_people_waiting_at_a_counter_pass_everybody_else():
    batch = cutting.turns(500, floor=0, own_last=None, lane="normal")
    waiting = cutting.turns(3, floor=0, own_last=None, lane="counter")
    assert min(waiting) > max(batch)
    assert [cutting.turn_of(p) for p in waiting] == [0, 1, 2]
    assert [cutting.turn_of(p) for p in batch[:3]] == [0, 1, 2]


def test_a_second_batch_of_the_same_person_goes_behind_the_first():
    assert cutting.turns(2, floor=3, own_last=41, lane="normal") == [-42, -43]
    assert cutting.turns(2, floor=50, own_last=41, lane="normal") == [-50, -51]


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC), datetime(2026, 12, 31, 17, 0, tzinfo=UTC)),
        (datetime(2026, 12, 31, 17, 0, tzinfo=UTC), datetime(2027, 1, 1, 17, 0, tzinfo=UTC)),
    ],
)
def test_an_authorisation_ends_at_midnight_in_vietnam(at, until):
    assert cutting.authorised_until(at) == until


def test_a_preparation_is_stale_after_its_window_or_past_midnight():
    window = timedelta(minutes=10)
    late = datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC)
    assert not cutting.preparation_is_stale(NOON, NOON + window, window)
    assert cutting.preparation_is_stale(NOON, NOON + window + timedelta(seconds=1), window)
    assert cutting.preparation_is_stale(late, late + timedelta(seconds=1), window)


def factor(**changes):
    return stepup.Factor(**{"secret": SECRET, "last_counter": 0, "failures": 0, "last_failure_at": None, **changes})


def code_at(at):
    return pyotp.TOTP(SECRET).at(at)


def test_a_code_is_good_once_within_one_step_either_side():
    for drift in (-30, 0, 30):
        judged = stepup.judge(factor(), code_at(NOON + timedelta(seconds=drift)), offered_at=NOON)
        assert judged.accepted, drift
        again = stepup.judge(
            factor(last_counter=judged.last_counter), code_at(NOON + timedelta(seconds=drift)), offered_at=NOON
        )
        assert again.reason == "replayed"
    assert stepup.judge(factor(), code_at(NOON + timedelta(seconds=90)), offered_at=NOON).reason == "wrong"


def test_guessing_rests_the_factor_and_a_right_code_later_clears_it():
    state = factor()
    for n in range(stepup.GUESSES_ALLOWED):
        judged = stepup.judge(state, "000000" if code_at(NOON) != "000000" else "111111", offered_at=NOON)
        assert judged.reason == "wrong"
        assert judged.failures == n + 1
        state = factor(failures=judged.failures, last_failure_at=NOON)
    assert stepup.judge(state, code_at(NOON), offered_at=NOON).reason == "locked"
    later = NOON + stepup.GUESS_PAUSE + timedelta(seconds=1)
    cleared = stepup.judge(state, code_at(later), offered_at=later)
    assert cleared.accepted
    assert cleared.failures == 0


def test_no_factor_signs_nothing():
    assert stepup.judge(None, "123456", offered_at=NOON).reason == "missing"


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=6, unique=True))
def test_an_act_covers_exactly_the_digests_shown(digests):
    assert stepup.digest_of(digests) == stepup.digest_of(reversed(digests))
    if len(digests) > 1:
        assert stepup.digest_of(digests) != stepup.digest_of(digests[1:])


def entry(group, role, by=Role.SIGNATORY, *, pdf=True):
    return ChainEntry(group=group, role=role, by=by, pdf_signature=pdf)


USUAL = (
    entry(1, "initials", Role.DIVISION_HEAD, pdf=False),
    entry(2, "signatory"),
    entry(2, "signatory"),
    entry(3, "seal", Role.CLERK),
)


def test_fields_are_named_in_the_order_of_signing():
    made = chain.wanted(USUAL, "main_document")
    assert [place.field for place in made] == ["Initials1", "Signatory1", "Signatory2", "Seal"]
    assert all(a.group <= b.group for a, b in pairwise(made))


def test_a_separate_annex_carries_the_seal_alone():
    assert [place.role for place in chain.wanted(USUAL, "separate_annex")] == ["seal"]


@pytest.mark.parametrize("act", ["copy", "digitised_paper"])
@pytest.mark.parametrize("entries", [USUAL, USUAL[-1:], (entry(1, "seal", Role.CLERK),)])
def test_a_copy_carries_the_seal_alone_after_a_decision_to_certify_it(act, entries):
    *decisions, seal = chain.wanted(entries, act)
    assert decisions
    assert {(place.role, place.pdf_signature) for place in decisions} == {("signatory", False)}
    assert (seal.role, seal.pdf_signature) == ("seal", True)
    assert seal.group > max(place.group for place in decisions)


@pytest.mark.parametrize("entries", [USUAL[:-1], (*USUAL, entry(4, "seal", Role.CLERK)), (entry(1, "seal"), USUAL[1])])
def test_a_chain_ends_with_exactly_one_seal(entries):
    with pytest.raises(Invalid):
        chain.wanted(entries, "main_document")


@pytest.mark.parametrize("entries", [(), (entry(1, "seal", Role.CLERK),)], ids=["a ministry's", "scan or copy"])
def test_a_main_document_is_signed_by_a_person_whatever_its_version_signs(entries):
    made = chain.wanted(chain_of(entries, "main_document"), "main_document")
    assert [(place.role, place.pdf_signature) for place in made] == [("signatory", True), ("seal", True)]
    assert chain_of(entries, "digitised_paper") == entries
    assert chain_of(USUAL, "main_document") == USUAL


def test_a_cursor_comes_back_as_it_went_and_strangers_are_refused():
    row = ("normal", NOON, UUID(int=7))
    assert cursor.decode(cursor.encode(*row)) == row
    assert cursor.decode(cursor.encode("normal", None, row[2]))[1] == cursor.NO_DUE
    for bad in ("x", "%%%", "bm8", "W10"):
        with pytest.raises(Invalid):
            cursor.decode(bad)


@pytest.mark.parametrize(
    ("day", "text"),
    [
        ((2026, 2, 5), "ngày 05 tháng 02 năm 2026"),
        ((2026, 11, 22), "ngày 22 tháng 11 năm 2026"),
        ((2026, 3, 1), "ngày 01 tháng 3 năm 2026"),
    ],
)
def test_a_date_is_written_as_the_decree_wants_it(day, text):
    assert stamp.vietnamese_date(datetime(*day, tzinfo=UTC).date()) == text


def work(**changes):
    """What a preparation knows of a seal on a main document."""
    plain = dict.fromkeys(rows.ToPrepare.__struct_fields__) | {
        "role": "seal", "act": "main_document", "field": "Seal", "title_lines": ["CHỦ TỊCH"],
        "person_name": "Lê Văn An",
        "agency_name": "UBND phường Kinh Bắc", "image_png": b"png", "printed_places": False, "number_text": "7/SY",
        "number_day": NOON.date(), "plan": {"number": {}, "issued_date": {}, "signatures": ()},
    }  # fmt: skip
    return rows.ToPrepare(**plain | changes)


def test_a_seal_shows_what_the_decree_wants_on_each_kind_of_document():
    at = datetime(2026, 11, 22, 1, 5, 10, tzinfo=UTC)
    main = stamp.appearance(work(), at, VIETNAM)
    assert (main.kind, main.lines) == ("seal", ("Thời gian ký: 22.11.2026", "08:05:10 +07:00"))
    annex = stamp.appearance(work(act="separate_annex", main_number_text="12/QĐ-UBND"), at, VIETNAM)
    assert (annex.kind, annex.image_png) == ("corner", None)
    assert annex.lines == ("Số: 12/QĐ-UBND", "Thời gian ký: 22.11.2026 08:05:10 +07:00")
    for act, form, printed in (
        ("copy", "true_copy", "Sao y"), ("copy", "copy_of_copy", "Sao lục"), ("copy", "extract", "Trích sao"),
        ("copy", "certified_copy", "Chứng thực bản sao đúng với bản chính"),
        ("digitised_paper", None, "Bản số hóa"),
    ):  # fmt: skip
        shown = stamp.appearance(work(act=act, copy_form=form), at, VIETNAM)
        assert (shown.kind, shown.image_png) == ("corner", b"png")
        assert shown.lines[:2] == (f"{printed} số 7/SY", "UBND phường Kinh Bắc")


def test_a_signatorys_title_and_name_are_printed_unless_the_page_has_them():
    place = {"name": "Signatory1", "titled": True}
    persons = {"role": "signatory", "field": "Signatory1"}
    plain = stamp.appearance(work(**persons), NOON, VIETNAM)
    assert (plain.above, plain.lines) == (("CHỦ TỊCH",), ("Lê Văn An",))
    for there in ({"printed_places": True}, {"plan": {"signatures": [place]}}):
        shown = stamp.appearance(work(**persons | there), NOON, VIETNAM)
        assert (shown.above, shown.lines, shown.image_png) == ((), (), b"png")
    other = {"plan": {"signatures": [place | {"name": "Signatory2"}]}}
    assert stamp.appearance(work(**persons | other), NOON, VIETNAM) == plain


def test_number_and_date_go_where_there_is_a_place_and_an_annex_takes_its_main_documents():
    wanted = {"Number": "7/SY", "IssuedDate": stamp.vietnamese_date(NOON.date())}
    assert stamp.fills(work()) == wanted
    assert stamp.fills(work(role="signatory")) == {}
    assert stamp.fills(work(plan={"number": {}, "issued_date": None})) == {"Number": "7/SY"}
    assert stamp.fills(work(act="copy", plan={})) == {}
    annex = work(act="separate_annex", main_number_text="12/QĐ", main_number_day=NOON.date(), number_text=None)
    assert stamp.fills(annex) == wanted | {"Number": "12/QĐ"}


def test_the_time_of_signing_is_vietnams_whatever_the_machine_thinks():
    assert stamp.signing_time(datetime(2026, 12, 31, 17, 0, tzinfo=UTC), VIETNAM) == "01.01.2027 00:00:00 +07:00"
