"""Why the signer refuses an item: every reason, alone, in the order in which a person is told."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from api.registry.authority import Basis, Capacity, Mandate
from api.signatures.engine import judging, rows

AT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
PERSON, POST, AGENCY, MANDATE, CERTIFICATE = (UUID(int=n) for n in range(1, 6))
SHOWN = b"\x01" * 32

BATCH = rows.Batch(
    id=UUID(int=20),
    account_id=UUID(int=21),
    person_id=PERSON,
    post_id=POST,
    agency_id=AGENCY,
    lane="normal",
    complete=False,
    asked_at=AT,
    authorised_until=AT + timedelta(hours=15),
    closed_at=None,
    item_count=1,
    step_up_id=None,
    step_up_kind=None,
    step_up_account_id=None,
    response=None,
    digest=None,
    offered_at=None,
    accepted=True,
    trace_id=None,
)
ITEM = rows.OpenItem(ordinal=1, request_id=UUID(int=10), shown_sha256=SHOWN, number_id=None, dossier_id=UUID(int=11))
SIGNATORY = rows.LockedRequest(
    id=UUID(int=10),
    state="to_sign",
    role="signatory",
    pdf_signature=True,
    act="main_document",
    person_id=PERSON,
    post_id=POST,
    agency_id=AGENCY,
    mandate_id=MANDATE,
    document_id=UUID(int=11),
    dossier_id=UUID(int=12),
    result_id=UUID(int=13),
    chain_id=UUID(int=14),
    certificate_id=CERTIFICATE,
    attempt=0,
    lane="normal",
    field="Signatory1",
    group_no=2,
    head_sha256=SHOWN,
    head_is_certified=False,
    chain_state="open",
    procedure_code="1.004873",
    step_agency_id=AGENCY,
    post_roles=["signatory"],
    waits_for_others=False,
    document_busy=False,
    head_is_signed=False,
    main_at_hand=False,
)
SEAL = replace(
    SIGNATORY, role="seal", person_id=None, post_id=None, mandate_id=None, post_roles=["clerk"], head_is_signed=True
)
NUMBERED = replace(ITEM, number_id=UUID(int=30))
RIGHT = Mandate(
    id=MANDATE,
    kind=Basis.STANDING,
    capacity=Capacity.PLAIN,
    person_id=PERSON,
    post_id=POST,
    agency_id=AGENCY,
    acts=("main_document",),
    procedure_codes=None,
    title_lines=("CHỦ TỊCH",),
    legal_basis="Luật",
    valid_from=AT - timedelta(days=1),
    valid_to=None,
    revoked_at=None,
)
HELD = rows.Certificate(
    id=CERTIFICATE,
    serial="01",
    holder="software",
    credential_id="01",
    mechanism="ecdsa",
    class_="demo",
    not_after=AT + timedelta(days=1),
)


def fault(request, item=ITEM, *, mandates=(RIGHT,), certificate=HELD):
    why = judging.fault_of(request, item, BATCH, mandates, certificate, AT)
    return why and why["code"]


def test_a_good_signature_and_a_good_seal_have_no_fault():
    assert fault(SIGNATORY) is None
    assert fault(SEAL, NUMBERED, mandates=()) is None
    assert fault(replace(SEAL, act="copy", head_is_certified=True), NUMBERED) is None
    assert fault(replace(SEAL, act="digitised_paper", head_is_certified=True), NUMBERED) is None
    assert fault(replace(SEAL, act="separate_annex", main_at_hand=True)) is None
    assert fault(replace(SIGNATORY, role="initials", pdf_signature=False), mandates=(), certificate=None) is None


FAULTS = [
    (replace(SIGNATORY, state="asked"), ITEM, "not-to-sign"),
    (replace(SIGNATORY, chain_state="superseded"), ITEM, "chain-closed"),
    (replace(SIGNATORY, head_sha256=b"\x02" * 32), ITEM, "digest-changed"),
    (replace(SIGNATORY, head_sha256=None), ITEM, "digest-changed"),
    (replace(SIGNATORY, waits_for_others=True), ITEM, "order"),
    (replace(SIGNATORY, document_busy=True), ITEM, "document-busy"),
    (replace(SIGNATORY, person_id=UUID(int=99)), ITEM, "not-yours"),
    (replace(SIGNATORY, post_id=UUID(int=99)), ITEM, "not-yours"),
    (replace(SEAL, agency_id=UUID(int=99)), NUMBERED, "not-yours"),
    (replace(SEAL, post_roles=["signatory"]), NUMBERED, "not-yours"),
    (replace(SEAL, post_roles=None), NUMBERED, "not-yours"),
    (replace(SIGNATORY, mandate_id=UUID(int=99)), ITEM, "no-authority"),
    (replace(SIGNATORY, act="copy"), ITEM, "no-authority"),
    (SEAL, ITEM, "no-number"),
    (replace(SEAL, act="copy", head_is_certified=True), ITEM, "no-number"),
    (replace(SEAL, head_is_signed=False), NUMBERED, "not-signed"),
    (replace(SEAL, act="separate_annex"), ITEM, "main-not-sealed"),
    (replace(SEAL, act="copy"), NUMBERED, "no-decision"),
    (replace(SEAL, act="digitised_paper"), NUMBERED, "no-decision"),
]


@pytest.mark.parametrize(("request_", "item", "code"), FAULTS)
def test_each_fault_is_found_alone(request_, item, code):
    assert fault(request_, item) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked_at": AT},
        {"valid_to": AT},
        {"valid_from": AT + timedelta(seconds=1)},
        {"procedure_codes": ("2.000635",)},
        {"acts": ("copy",)},
    ],
)
def test_a_right_that_does_not_hold_here_and_now_is_none(changes):
    assert fault(SIGNATORY, mandates=(replace(RIGHT, **changes),)) == "no-authority"
    assert fault(SIGNATORY, mandates=()) == "no-authority"


def test_without_a_certificate_nothing_is_signed():
    assert fault(SIGNATORY, certificate=None) == "no-certificate"
    assert fault(SEAL, NUMBERED, certificate=None) == "no-certificate"


def test_the_first_fault_in_order_is_told():
    worst = replace(SIGNATORY, state="asked", chain_state="done", head_sha256=None, document_busy=True)
    assert fault(worst, mandates=(), certificate=None) == "not-to-sign"


def test_the_certificate_named_at_submission_goes_before_a_newer_one():
    newer = replace(HELD, id=UUID(int=50), serial="02")
    assert judging.choose_certificate([newer, HELD], SIGNATORY) == HELD
    assert judging.choose_certificate([newer], SIGNATORY) == newer
    assert judging.choose_certificate([], SIGNATORY) is None
