"""Who may propose, who may be the second person; which passwords are refused; what challenge and spoken code bind."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from api.errors import Invalid
from api.http.auth import choosing
from api.kernel import new_id
from api.people import changes, rules
from api.people.changes import CloseAccount, EnrolFactor, GivePost, NewPost
from api.people.rules import Subject, Voter
from api.registry.authority import Role
from api.signatures import stepup

WARD, CENTRE, OTHER, PROVINCE = (UUID(int=n) for n in range(1, 5))
AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def voter(agency=WARD, kind="commune", rank="officer", roles=(Role.ADMINISTRATOR,), **more) -> Voter:
    facts = {"account_id": uuid4(), "person_id": uuid4(), "entitled": True, **more}
    return Voter(agency_id=agency, agency_kind=kind, rank=rank, roles=roles, **facts)


HERE, ELSEWHERE = voter(), voter(agency=OTHER)
WIDE = voter(agency=PROVINCE, kind="province")
HEAD = voter(rank="head", roles=(Role.SIGNATORY,))
SUBJECT = Subject(agency_id=WARD, account_id=uuid4(), person_id=uuid4())
CLOSE = CloseAccount(account_id=SUBJECT.account_id, reason="thôi việc")


def post(agency: UUID, *roles: Role) -> GivePost:
    made = NewPost(agency_id=agency, title="Công chức", rank="officer", roles=roles)
    return GivePost(account_id=SUBJECT.account_id, post=made, legal_basis="QĐ")


def at(agency: UUID, parent: UUID | None = None) -> Subject:
    return replace(SUBJECT, post_agency_id=agency, post_agency_parent_id=parent)


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (HERE, True),
        (WIDE, True),
        (ELSEWHERE, False),
        (HEAD, False),
        (voter(roles=(Role.CLERK,)), False),
        (replace(HERE, entitled=False), False),
        (voter(agency=PROVINCE, kind="province", roles=(Role.REGISTRAR,)), False),
    ],
)
def test_administrators_propose_at_their_agency_and_the_provinces_everywhere(who, may):
    assert rules.may_propose(who, CLOSE, SUBJECT) is may


@pytest.mark.parametrize(
    ("who", "may"),
    [
        (voter(), True),
        (WIDE, True),
        (HEAD, True),
        (ELSEWHERE, False),
        (replace(HEAD, agency_id=OTHER), False),
        (voter(rank="deputy", roles=(Role.SIGNATORY,)), False),
        (replace(voter(), entitled=False), False),
        (replace(voter(), person_id=HERE.person_id), False),  # the proposer with another account
        (replace(voter(), person_id=SUBJECT.person_id), False),  # who benefits
    ],
)
def test_the_second_person_is_another_one_in_charge(who, may):
    assert rules.may_approve(who, CLOSE, SUBJECT, HERE.person_id) is may


@pytest.mark.parametrize(
    ("change", "subject", "of_province_alone"),
    [
        (post(WARD, Role.CLERK), at(WARD), False),
        (post(CENTRE, Role.COUNTER), at(CENTRE, WARD), False),
        (post(OTHER, Role.COUNTER), at(OTHER, PROVINCE), True),
        (post(WARD, Role.REGISTRAR), at(WARD), True),
        (post(WARD, Role.CLERK, Role.DISPATCHER), at(WARD), True),
        (post(WARD, Role.ADMINISTRATOR), at(WARD), False),
    ],
)
def test_what_reaches_beyond_the_agency_is_the_provinces(change, subject, of_province_alone):
    assert rules.may_propose(HERE, change, subject) is not of_province_alone
    assert rules.may_approve(HEAD, change, subject, uuid4()) is not of_province_alone
    assert rules.may_propose(WIDE, change, subject)
    assert rules.may_approve(WIDE, change, subject, uuid4())


def test_a_further_factor_of_the_own_may_be_proposed_by_oneself_and_never_approved():
    me = replace(voter(roles=(Role.CLERK,)), account_id=SUBJECT.account_id, person_id=SUBJECT.person_id)
    change = EnrolFactor(account_id=SUBJECT.account_id, enrolment_id=uuid4(), spoken_code="AAAA-AAAA-AAAA-AAAA")
    assert rules.may_propose(me, change, SUBJECT)
    assert not rules.may_approve(replace(me, roles=(Role.ADMINISTRATOR,)), change, SUBJECT, HERE.person_id)


def test_a_proposal_waits_three_days():
    assert not rules.has_expired(AT, AT + timedelta(days=3) - timedelta(microseconds=1))
    assert rules.has_expired(AT, AT + timedelta(days=3))


def test_a_change_reads_back_as_it_was_and_its_digest_covers_every_byte():
    raw = changes.to_bytes(CLOSE)
    assert changes.from_bytes(raw) == CLOSE
    assert changes.kind_of(CLOSE) == "close_account"
    digests = {changes.digest_of(changes.to_bytes(one)) for one in (CLOSE, replace(CLOSE, reason="thôi việc."))}
    assert len(digests) == 2


def test_a_spoken_code_and_a_challenge_bind_each_of_their_parts():
    one, other, key = uuid4(), uuid4(), b"k" * 65
    spoken = {
        changes.spoken_code(*parts)
        for parts in ((one, other, "totp", key), (other, other, "totp", key), (one, one, "totp", key),
                      (one, other, "passkey", key), (one, other, "totp", key[:-1] + b"x"))
    }  # fmt: skip
    assert len(spoken) == 5
    nonce, digest = new_id(AT), b"d" * 32
    challenges = {
        stepup.challenge(*parts)
        for parts in (("signature", one, nonce, digest), ("proposal", one, nonce, digest),
                      ("signature", other, nonce, digest), ("signature", one, new_id(AT), digest),
                      ("signature", one, nonce, b"e" * 32))
    }  # fmt: skip
    assert len(challenges) == 5


def test_a_nonce_tells_its_own_age():
    limit = timedelta(minutes=5)
    assert all(stepup.nonce_is_fresh(new_id(AT + by), AT) for by in (-limit, timedelta(), limit))
    assert not any(stepup.nonce_is_fresh(new_id(AT + by), AT) for by in (-limit - timedelta(seconds=1), limit * 2))
    assert not stepup.nonce_is_fresh(uuid4(), AT)


NAMES = ("kynhay.kinhbac", "Nguyễn Văn Hùng")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("ngắn quá 11", "password-short"),
        ("matkhau12345", "password-common"),
        ("Mật khẩu 2026!", "password-common"),
        ("PASSWORD-1234", "password-common"),
        ("qwertyuiopas", "password-common"),
        ("210987654321", "password-common"),
        ("aaaaaaaaaaaaa", "password-common"),
        ("abcabcabcabc", "password-common"),
        ("nguyenvanhung", "password-name"),
        ("KyNhay.KinhBac1", "password-name"),
        ("cũ nhưng mà dài", "password-same"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password, code):
    with pytest.raises(Invalid) as refused:
        choosing.demand_good(password, old="cũ nhưng mà dài", names=NAMES)
    assert refused.value.kind_code == code
    assert refused.value.next_step


@pytest.mark.parametrize(
    "password", ["con mèo ăn cá", "xe-đạp/và;12 mây", "hungdibohaimuoicay", "a" * 11 + "b" * 3 + "xyz"]
)
def test_length_alone_makes_a_good_password(password):
    choosing.demand_good(password, old="x", names=NAMES)


def test_one_time_passwords_pass_and_never_repeat():
    made = {choosing.one_time_password() for _ in range(100)}
    assert len(made) == 100
    for one in made:
        choosing.demand_good(one, old="x", names=NAMES)
