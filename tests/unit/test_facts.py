"""The four facts of a verification are told apart: none is taken from another."""

from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
import pytest

from api.documents.facts import Issued, Signer, of_file, of_register
from api.documents.results import canonical_code, new_verify_code
from api.documents.verify_controller import page, wants_html
from signing.contract import SignatureVerdict, Verdict

AT = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)


def signature(**changes) -> SignatureVerdict:
    plain = {
        "field": "Signatory1",
        "kind": "signatory",
        "signer_name": "Nguyễn Văn Hùng",
        "organisation": "Ủy ban nhân dân phường Kinh Bắc",
        "serial": "01",
        "issuer": "CA",
        "algorithm": "rsa",
        "digest": "sha256",
        "signed_at": AT,
        "covers": "revision",
        "intact": True,
        "valid": True,
        "trusted": True,
        "demo": False,
        "permitted_changes": True,
        "revision_sha256": bytes(32),
        "summary_vi": "hợp lệ",
        "summary_en": "valid",
    }
    return SignatureVerdict(**(plain | changes))


SEAL = signature(field="Seal", kind="seal", signer_name="Ủy ban nhân dân phường Kinh Bắc")
GOOD = Verdict(untouched=True, signatures=(signature(), SEAL), problems=(), demo=False, ok=True)
ISSUED = Issued(
    result_id=UUID(int=1),
    title="Giấy xác nhận <b>",
    state="issued",
    effect="in_force",
    issued_at=AT,
    foreign_system=None,
    foreign_reference=None,
    document_id=UUID(int=2),
    sha256=bytes(32),
    verdict=None,
    agency_name="Ủy ban nhân dân phường Kinh Bắc",
    number="01/UBND-XNTTHN",
    day=date(2026, 7, 1),
)
SIGNATORY = Signer(
    field="Signatory1",
    role="signatory",
    name="Nguyễn Văn Hùng",
    capacity="KT.",
    title_lines=("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"),
    agency_name="Ủy ban nhân dân phường Kinh Bắc",
    recorded_at=AT,
    certificate_serial="01",
    basis="assignment",
    legal_basis="QĐ 12",
    competent=True,
)
CLERK = msgspec.structs.replace(SIGNATORY, field="Seal", role="seal", name="Đỗ Minh Quân", capacity=None)


def facts(verdict=GOOD, signers=(SIGNATORY, CLERK), **issued):
    return of_register(msgspec.structs.replace(ISSUED, **issued), "AAAA-BBBB-CCCC", verdict, signers, ())


def states(found) -> tuple[str, ...]:
    return tuple(fact.state for fact in (found.untouched, found.signed, found.competent, found.in_force))


def test_all_four_good():
    found = facts()
    assert (found.ok, states(found)) == (True, ("yes", "yes", "yes", "yes"))
    assert [(one.name, one.capacity) for one in found.signatures] == [
        ("Nguyễn Văn Hùng", "KT."),
        ("Ủy ban nhân dân phường Kinh Bắc", None),
    ]


@pytest.mark.parametrize("effect", ["replaced", "recalled", "annulled", "none"])
def test_untouched_and_signed_says_nothing_of_force(effect):
    found = facts(effect=effect)
    assert (found.ok, states(found)) == (False, ("yes", "yes", "yes", "no"))


def test_a_corrected_paper_is_in_force_and_a_held_one_is_not():
    assert facts(effect="corrected").ok
    assert states(facts(state="blocked"))[3] == "no"


def test_valid_signature_of_somebody_without_the_right():
    found = facts(signers=(msgspec.structs.replace(SIGNATORY, competent=False), CLERK))
    assert (found.ok, states(found)) == (False, ("yes", "yes", "no", "yes"))


def test_altered_file_of_a_paper_in_force():
    altered = msgspec.structs.replace(GOOD, untouched=False, ok=False)
    assert states(facts(altered)) == ("no", "yes", "yes", "yes")


def test_bad_and_untrusted_signatures_are_not_signed():
    bad = msgspec.structs.replace(GOOD, signatures=(signature(valid=False), SEAL), ok=False)
    assert states(facts(bad))[1] == "no"
    stranger = msgspec.structs.replace(GOOD, signatures=(signature(trusted=False), SEAL), ok=False)
    assert states(facts(stranger))[1] == "no"


def test_demonstration_is_said_so():
    demo = msgspec.structs.replace(GOOD, demo=True)
    found = facts(demo)
    assert found.demo
    assert "CHỈ ĐỂ THỬ" in found.signed.vi
    assert "CHỈ ĐỂ THỬ" in page(found)


def test_nothing_is_claimed_of_what_is_not_issued():
    found = facts(None, (), state="draft", effect="none", sha256=None, number=None)
    assert (found.ok, states(found)) == (False, ("unknown", "unknown", "unknown", "no"))


def test_a_ministrys_result_is_in_force_here_and_checked_there():
    outside = {"sha256": None, "document_id": None, "foreign_system": "HKD", "foreign_reference": "27D8001234"}
    found = facts(None, (), number=None, **outside)
    assert (found.ok, states(found)) == (False, ("unknown", "unknown", "unknown", "yes"))
    for fact in (found.untouched, found.signed, found.competent):
        assert "HKD" in fact.vi
        assert "27D8001234" in fact.en


def test_a_file_alone_proves_two_facts():
    found = of_file(GOOD, bytes(32))
    assert states(found) == ("yes", "yes", "unknown", "unknown")
    assert not found.registered


def test_page_escapes_what_it_shows_and_runs_nothing():
    shown = page(facts())
    assert "<b>" not in shown.replace("<b>Nguyễn", "").replace("<b>Ủy ban", "")
    assert "&lt;b&gt;" in shown
    assert "<script" not in shown
    assert "Thẩm quyền khi ký" in shown


@pytest.mark.parametrize(
    ("accept", "html"),
    [(None, False), ("*/*", False), ("text/html,application/xhtml+xml", True), ("application/json, text/html", False)],
)
def test_browsers_get_a_page_and_programs_json(accept, html):
    assert wants_html(accept) is html


def test_codes_are_read_however_they_are_typed():
    code = new_verify_code()
    assert canonical_code(code.lower().replace("-", " ")) == code
    assert len({new_verify_code() for _ in range(200)}) == 200
    assert not set(code) & set("01IO")
