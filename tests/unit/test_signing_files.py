"""One document through preparation and finishing, as other programs judge it."""

import hashlib
import io
import stat
import sys
from datetime import timedelta

import msgspec
import pikepdf
import pytest

import signing
from signing.contract import Appearance, FinishOrder, Prepared, Trust
from signing.errors import BaseChanged, CertificateUnfit, NotSignable, OutputInvalid, UnreadableFile, ValueMismatch
from signing.keys.software import sign_hash
from tests.paper import (
    AT,
    NUMBER_AND_DATE,
    chain,
    der,
    key,
    lay,
    mutool_says,
    openssl_accepts,
    order,
    page,
    pdfsig_valid,
    pki,
    run,
    sign,
    sign_and_seal,
    split,
    trust,
)


@pytest.fixture
def laid(tmp_path):
    source = page(tmp_path / "source.pdf")
    return tmp_path / "laid.pdf", lay(source, tmp_path / "laid.pdf")


@pytest.mark.parametrize("who", ["leader", "leader-rsa"])
def test_signature_and_seal_satisfy_four_judges(tmp_path, who):
    sealed = sign_and_seal(page(tmp_path / "source.pdf"), tmp_path, who=who)
    verdict = signing.verify(str(sealed), trust(), at=AT)
    assert verdict.ok, verdict
    assert verdict.fills == NUMBER_AND_DATE
    assert [one.kind for one in verdict.signatures] == ["signatory", "seal"]
    assert [one.covers for one in verdict.signatures] == ["revision", "whole_file"]
    signed_once = (tmp_path / "signed.pdf").read_bytes()
    assert verdict.signatures[0].revision_sha256 == hashlib.sha256(signed_once).digest()
    assert pdfsig_valid(sealed) == 2
    assert mutool_says(sealed) == ["edits since", "unchanged since"]
    assert all(openssl_accepts(*part, tmp_path) for part in split(sealed, tmp_path))
    assert "No syntax or stream encoding errors" in run("qpdf", "--check", sealed).stdout


def test_rsa_pss_is_accepted_by_openssl_and_poppler(tmp_path, laid):
    path, plan = laid
    sign(path, tmp_path / "signed.pdf", "Signatory1", plan, who="leader-rsa", mechanism="rsa_pss")
    assert signing.verify(str(tmp_path / "signed.pdf"), trust(), at=AT).signatures[0].algorithm == "RSA-2048 PSS"
    assert pdfsig_valid(tmp_path / "signed.pdf") == 1
    assert all(openssl_accepts(*part, tmp_path) for part in split(tmp_path / "signed.pdf", tmp_path))


def test_initials_in_any_order_then_two_signatories_and_the_seal(tmp_path):
    names = ("Initials1", "Initials2", "Signatory1", "Signatory2", "Seal")
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "0.pdf", names=names)
    nothing = Appearance(kind="none")
    sign(tmp_path / "0.pdf", tmp_path / "1.pdf", "Initials2", plan, appearance=nothing)
    sign(tmp_path / "1.pdf", tmp_path / "2.pdf", "Initials1", plan, appearance=nothing)
    sign(tmp_path / "2.pdf", tmp_path / "3.pdf", "Signatory2", plan)
    sign(tmp_path / "3.pdf", tmp_path / "4.pdf", "Signatory1", plan)
    with pytest.raises(NotSignable, match="Signatory1"):
        signing.prepare(order(tmp_path / "3.pdf", "Seal", plan, who="seal"))
    sealed = sign(tmp_path / "4.pdf", tmp_path / "5.pdf", "Seal", plan, who="seal")
    assert sealed.verdict.ok
    assert pdfsig_valid(tmp_path / "5.pdf") == 5


def test_the_preparation_is_small_plain_and_leaves_the_base_alone(laid):
    path, plan = laid
    before = path.read_bytes()
    prepared = signing.prepare(order(path, "Signatory1", plan))
    assert path.read_bytes() == before
    assert len(prepared.increment) < 20_000
    assert prepared.tbs_sha256 == hashlib.sha256(prepared.signed_attrs).digest()
    with pikepdf.open(io.BytesIO(before + prepared.increment)) as document:
        values = [field.V for field in document.Root.AcroForm.Fields if "/V" in field]
    assert [str(value.M) for value in values] == ["D:20261120083015+07'00'"]
    assert msgspec.json.decode(msgspec.json.encode(prepared), type=Prepared) == prepared


def test_the_same_order_signs_the_same_page(laid):
    path, plan = laid
    first, second = (signing.prepare(order(path, "Signatory1", plan)) for _ in range(2))
    assert len(first.increment) == len(second.increment)
    assert (first.reserved_start, first.reserved_end) == (second.reserved_start, second.reserved_end)


def test_a_demo_anchor_never_makes_a_signature_trusted(tmp_path):
    sealed = sign_and_seal(page(tmp_path / "source.pdf"), tmp_path)
    demo = signing.verify(str(sealed), Trust(demo_anchors=(der("root"),)), at=AT)
    assert demo.ok
    assert demo.demo
    assert not any(one.trusted for one in demo.signatures)
    assert "CHỈ ĐỂ THỬ" in demo.signatures[0].summary_vi
    stranger = signing.verify(str(sealed), Trust(), at=AT)
    assert stranger.untouched
    assert not stranger.ok
    assert {problem.code for one in stranger.signatures for problem in one.problems} == {"untrusted"}


def test_a_changed_base_is_refused_before_and_after_the_wait(laid, tmp_path):
    path, plan = laid
    asked = order(path, "Signatory1", plan)
    prepared = signing.prepare(asked)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BaseChanged):
        signing.prepare(asked)
    value = sign_hash(key("leader"), prepared.tbs_sha256, "ecdsa")
    finishing = FinishOrder(base=str(path), prepared=prepared, value=value, chain=chain(), trust=trust())
    with pytest.raises(BaseChanged):
        signing.finish(finishing, str(tmp_path / "out.pdf"))
    assert not (tmp_path / "out.pdf").exists()


def finish_with(path, prepared, tmp_path, **changes):
    value = sign_hash(key("leader"), prepared.tbs_sha256, "ecdsa")
    values = {"base": str(path), "prepared": prepared, "value": value, "chain": chain(), "trust": trust(), **changes}
    return signing.finish(FinishOrder(**values), str(tmp_path / "out.pdf"))


def test_a_wrong_value_is_refused(laid, tmp_path):
    path, plan = laid
    prepared = signing.prepare(order(path, "Signatory1", plan))
    for value in (b"", bytes(72), sign_hash(key("seal"), prepared.tbs_sha256, "ecdsa")):
        with pytest.raises(ValueMismatch):
            finish_with(path, prepared, tmp_path, value=value)
    other = sign_hash(key("leader"), hashlib.sha256(b"another").digest(), "ecdsa")
    with pytest.raises(ValueMismatch):
        finish_with(path, prepared, tmp_path, value=other)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("increment", lambda prepared: {"increment": prepared.increment.replace(b"072202611", b"072202511")}),
        ("digest", lambda prepared: {"document_digest": bytes(32)}),
        ("tbs", lambda prepared: {"tbs_sha256": bytes(32)}),
        ("room", lambda prepared: {"reserved_start": prepared.reserved_start + 2}),
        ("field", lambda prepared: {"field": "Seal"}),
    ],
)
def test_a_tampered_preparation_never_becomes_a_file(laid, tmp_path, name, change):
    path, plan = laid
    prepared = signing.prepare(order(path, "Signatory1", plan))
    tampered = msgspec.structs.replace(prepared, **change(prepared))
    with pytest.raises((BaseChanged, OutputInvalid)):
        finish_with(path, tampered, tmp_path)
    assert not (tmp_path / "out.pdf").exists()


def test_an_output_under_an_unknown_root_is_not_written(laid, tmp_path):
    path, plan = laid
    prepared = signing.prepare(order(path, "Signatory1", plan))
    with pytest.raises(OutputInvalid) as refused:
        finish_with(path, prepared, tmp_path, trust=Trust())
    assert [problem.code for problem in refused.value.problems] == ["untrusted"]
    assert [left.name for left in tmp_path.iterdir() if "out.pdf" in left.name] == []


def test_a_certificate_out_of_its_time_or_kind_is_unfit(laid):
    path, plan = laid
    for moment in (AT - timedelta(days=2), AT + timedelta(days=366 * 3)):
        with pytest.raises(CertificateUnfit):
            signing.prepare(order(path, "Signatory1", plan, at=moment))
    with pytest.raises(CertificateUnfit):
        signing.prepare(order(path, "Signatory1", plan, mechanism="rsa_pss"))
    with pytest.raises(CertificateUnfit):
        signing.prepare(order(path, "Signatory1", plan, certificate=der("issuing")))
    with pytest.raises(CertificateUnfit):
        signing.prepare(order(path, "Signatory1", plan, certificate=b"junk"))


def test_number_and_date_belong_to_the_seal(laid):
    path, plan = laid
    with pytest.raises(NotSignable):
        signing.prepare(order(path, "Signatory1", plan, fills=NUMBER_AND_DATE))
    with pytest.raises(NotSignable):
        signing.prepare(order(path, "Seal", plan, who="seal"))
    with pytest.raises(NotSignable):
        signing.prepare(order(path, "Signatory9", plan))


def test_a_field_is_signed_once(tmp_path, laid):
    path, plan = laid
    sign(path, tmp_path / "signed.pdf", "Signatory1", plan)
    with pytest.raises(NotSignable):
        signing.prepare(order(tmp_path / "signed.pdf", "Signatory1", plan))


def test_a_letter_that_the_stamp_font_lacks_is_refused(laid):
    path, plan = laid
    image = (pki() / "leader.png").read_bytes()
    shown = Appearance(kind="signatory", lines=("汉字",), image_png=image)
    with pytest.raises(NotSignable, match="U\\+"):
        signing.prepare(order(path, "Signatory1", plan, appearance=shown))
    with pytest.raises(NotSignable):
        signing.prepare(order(path, "Signatory1", plan, appearance=Appearance(kind="signatory", image_png=b"no image")))


def test_a_missing_or_senseless_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableFile):
        signing.verify(str(tmp_path / "absent.pdf"), trust(), at=AT)
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7\nnothing")
    with pytest.raises(UnreadableFile):
        signing.default_plan(str(tmp_path / "bad.pdf"), ("Signatory1",))
    assert signing.verify(str(tmp_path / "bad.pdf"), trust(), at=AT).problems[0].code == "unreadable"


def test_the_front_door_brings_no_key_holder_along():
    script = "import sys, signing; print([n for n in sys.modules if n.startswith('signing.keys') or n == 'pkcs11'])"
    assert run(sys.executable, "-c", script).stdout.strip() == "[]"


def test_a_written_file_is_for_the_group_and_nobody_else(tmp_path, laid):
    path, plan = laid
    sign(path, tmp_path / "signed.pdf", "Signatory1", plan)
    assert stat.S_IMODE((tmp_path / "signed.pdf").stat().st_mode) == 0o640
