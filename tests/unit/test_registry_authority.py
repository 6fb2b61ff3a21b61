"""Roles, actions and the right to sign: the whole table, and every edge of a mandate."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.dossiers.words import Action
from api.embedded.province import data
from api.errors import Forbidden
from api.kernel import AccountId, Actor, AgencyId, PersonId, PostId
from api.registry.authority import (
    ACTIONS,
    BASIS_OF,
    PERMITTED,
    PROVINCE_WIDE,
    Basis,
    Capacity,
    Mandate,
    Role,
    authority,
    faults,
    may,
    require,
    title_lines,
)

HOME, ELSEWHERE = AgencyId(uuid4()), AgencyId(uuid4())
PERSON, POST = PersonId(uuid4()), PostId(uuid4())
AT = datetime(2026, 11, 23, 2, tzinfo=UTC)
BY_THE_SYSTEM = {"record_signature", "confirm_sync", "fail_sync"}


def actor(*roles: str) -> Actor:
    return Actor(account_id=AccountId(uuid4()), person_id=PERSON, post_id=POST, agency_id=HOME, roles=frozenset(roles))


def mandate(**changes: Any) -> Mandate:
    fields: dict[str, Any] = {
        "id": UUID(int=1),
        "kind": Basis.MANDATE,
        "capacity": Capacity.TUQ,
        "person_id": PERSON,
        "post_id": POST,
        "agency_id": HOME,
        "acts": ("copy",),
        "procedure_codes": ("2.000815",),
        "title_lines": ("TUQ. CHỦ TỊCH", "CÔNG CHỨC"),
        "legal_basis": "thử",
        "valid_from": AT - timedelta(days=1),
        "valid_to": AT + timedelta(days=1),
        "revoked_at": None,
    }
    return Mandate(**(fields | changes))


@pytest.mark.parametrize("role", list(Role))
def test_a_right_holds_at_the_agency_of_the_post_alone_but_for_the_province_wide(role: Role) -> None:
    who = actor(role.value)
    for action in ACTIONS:
        permitted = action in PERMITTED[role]
        assert may(who, action) is permitted
        assert may(who, action, HOME) is permitted
        assert may(who, action, ELSEWHERE) is (permitted and role in PROVINCE_WIDE)


def test_without_a_role_nothing_is_permitted_and_an_unknown_role_gives_none() -> None:
    assert not any(may(actor(), action) or may(actor("root"), action) for action in ACTIONS)


def test_every_step_of_a_dossier_is_somebodys_and_every_right_is_a_step() -> None:
    steps = {action.value for action in Action}
    given = {action.removeprefix("dossier.") for action in ACTIONS if action.startswith("dossier.")}
    assert steps - given == BY_THE_SYSTEM
    assert given - steps == {"read", "list"}


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        (Role.COUNTER, {"dossier.appraise", "signature.sign", "signature.seal", "dossier.issue"}),
        (Role.APPRAISER, {"dossier.receive", "signature.seal", "dossier.issue", "dossier.deliver"}),
        (Role.CLERK, {"signature.sign", "dossier.appraise", "dossier.receive"}),
        (Role.SIGNATORY, {"signature.seal", "dossier.issue", "dossier.receive", "procedure.publish"}),
        (Role.HEAD_OF_CENTRE, {"dossier.appraise", "signature.sign", "signature.seal", "dossier.receive"}),
        (Role.ADMINISTRATOR, {"dossier.read", "signature.sign", "document.read", "procedure.publish"}),
        (Role.REGISTRAR, {"dossier.read", "signature.sign", "account.propose"}),
    ],
)
def test_duties_are_kept_apart(role: Role, forbidden: set[str]) -> None:
    assert not PERMITTED[role] & forbidden
    assert forbidden <= ACTIONS


def test_a_refusal_names_the_action_and_a_misspelt_action_is_our_fault() -> None:
    with pytest.raises(Forbidden) as refused:
        require(actor("counter"), "signature.seal", HOME)
    assert refused.value.facts == {"action": "signature.seal"}
    require(actor("clerk"), "signature.seal", HOME)
    with pytest.raises(AssertionError):
        require(actor("clerk"), "signature.seel")


@pytest.mark.parametrize(
    ("changes", "act", "code", "may_sign"),
    [
        ({}, "copy", "2.000815", True),
        ({}, "main_document", "2.000815", False),
        ({}, "copy", "1.004873", False),
        ({"procedure_codes": None}, "copy", "1.004873", True),
        ({"valid_from": AT}, "copy", "2.000815", True),
        ({"valid_from": AT + timedelta(seconds=1)}, "copy", "2.000815", False),
        ({"valid_to": AT}, "copy", "2.000815", False),
        ({"valid_to": None}, "copy", "2.000815", True),
        ({"revoked_at": AT}, "copy", "2.000815", False),
        ({"revoked_at": AT + timedelta(seconds=1)}, "copy", "2.000815", True),
        ({"post_id": PostId(uuid4())}, "copy", "2.000815", False),
        ({"agency_id": ELSEWHERE}, "copy", "2.000815", False),
        ({"person_id": PersonId(uuid4())}, "copy", "2.000815", False),
    ],
)
def test_a_mandate_reaches_exactly_as_far_as_it_says(
    changes: dict[str, Any], act: str, code: str, may_sign: bool
) -> None:
    rights = authority([mandate(**changes)], person_id=PERSON, post_id=POST, agency_id=HOME, at=AT)
    assert (rights.basis_for(act, code) is not None) is may_sign
    if not may_sign:
        with pytest.raises(Forbidden):
            rights.require(act, code)


def test_the_strongest_basis_is_taken_first() -> None:
    rows = [
        mandate(id=UUID(int=3), procedure_codes=None),
        mandate(id=UUID(int=2), kind=Basis.BY_ORDER, capacity=Capacity.TL),
        mandate(id=UUID(int=1), kind=Basis.ASSIGNMENT, capacity=Capacity.KT),
    ]
    rights = authority(rows, person_id=PERSON, post_id=POST, agency_id=HOME, at=AT)
    assert rights.require("copy", "2.000815").capacity is Capacity.KT
    assert rights.require("copy", "1.004873").capacity is Capacity.TUQ


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"capacity": Capacity.KT}, "hình thức ký"),
        ({"valid_to": None}, "thời hạn"),
        ({"procedure_codes": None}, "nội dung"),
        ({"procedure_codes": ()}, "nội dung"),
        ({"acts": ()}, "loại văn bản"),
        ({"title_lines": ()}, "chức vụ"),
    ],
)
def test_an_unlawful_mandate_says_what_is_wrong(changes: dict[str, Any], fault: str) -> None:
    assert faults(mandate()) == ()
    assert any(fault in found for found in faults(mandate(**changes)))


def test_every_capacity_has_its_basis_and_its_lines() -> None:
    assert set(BASIS_OF) == set(Capacity)
    lines = {
        capacity: title_lines(capacity, own_title="Phó Chủ tịch", head_title="Chủ tịch", body="Ủy ban nhân dân")
        for capacity in Capacity
    }
    assert lines == {
        Capacity.PLAIN: ("PHÓ CHỦ TỊCH",),
        Capacity.KT: ("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"),
        Capacity.TL: ("TL. CHỦ TỊCH", "PHÓ CHỦ TỊCH"),
        Capacity.TUQ: ("TUQ. CHỦ TỊCH", "PHÓ CHỦ TỊCH"),
        Capacity.TM: ("TM. ỦY BAN NHÂN DÂN", "PHÓ CHỦ TỊCH"),
        Capacity.Q: ("Q. CHỦ TỊCH",),
    }


def test_the_demo_has_all_three_kinds_of_delegated_right_and_forty_holders_in_each_of_two_wards() -> None:
    people = data.people()
    by_ward: dict[str, int] = {}
    for person in people:
        if person.certificate and person.committee:
            by_ward[person.committee] = by_ward.get(person.committee, 0) + 1
    assert sorted(by_ward.values()) == [40, 40]
    assert {person.right.kind for person in people if person.right} == set(Basis)
    assert len({person.name for person in people}) == len(people)
    assert len({person.slug for person in people}) == len(people)
    everybody = {role for person in people if person.demo for role in person.roles}
    assert everybody == set(Role)
