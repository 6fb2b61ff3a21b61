"""The second reading of our own output: never kinder than the first verifier, and as good where both are content."""

import hashlib
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.generic import StreamObject

import signing
from signing.contract import Appearance, FinishOrder, Trust
from signing.errors import OutputInvalid
from signing.keys.software import sign_hash
from signing.pdf import direct, finish, second
from signing.pdf import prepare as preparing
from signing.pdf.container import Strange, read
from signing.pdf.verify import anchored, verify_bytes
from tests.paper import AT, chain, der, key, lay, order, page, sign, sign_and_seal, trust
from tests.unit.test_signing_verify import add_script, annotate, overlay, put_validation_data, replace_content


def everybody(*_):
    """Trust whoever signed, so that only the form is judged."""
    return False


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    place = tmp_path_factory.mktemp("second")
    sign_and_seal(page(place / "source.pdf"), place)
    return place


@pytest.fixture(scope="module")
def sealed(room):
    return (room / "sealed.pdf").read_bytes()


def agreed(path, believed=None):
    data = path.read_bytes()
    first = verify_bytes(data, believed or trust(), at=AT)
    assert first.ok
    assert second.judge(data, believed or trust(), AT, anchored) == first


@pytest.mark.parametrize(
    "changes", [{}, {"who": "leader-rsa"}, {"who": "leader-rsa", "mechanism": "rsa_pss"}], ids=["ecdsa", "rsa", "pss"]
)
@pytest.mark.parametrize("believed", [None, Trust(demo_anchors=(der("root"),))], ids=["real", "demo"])
def test_both_verifiers_say_the_same(tmp_path, changes, believed):
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf", mark="CHỈ ĐỂ THỬ")
    sign(tmp_path / "laid.pdf", tmp_path / "signed.pdf", "Signatory1", plan, **changes)
    agreed(tmp_path / "signed.pdf", believed)
    sign(tmp_path / "signed.pdf", tmp_path / "sealed.pdf", "Seal", plan, who="seal")
    agreed(tmp_path / "sealed.pdf", believed)


def test_both_verifiers_say_the_same_of_five_signatures(tmp_path):
    names = ("Initials1", "Initials2", "Signatory1", "Signatory2", "Seal")
    plan = lay(page(tmp_path / "source.pdf", rotate=90), tmp_path / "0.pdf", names=names)
    for place, name in enumerate(names):
        who = "seal" if name == "Seal" else "leader"
        shown = {"appearance": Appearance(kind="none")} if name.startswith("Initials") else {}
        sign(tmp_path / f"{place}.pdf", tmp_path / f"{place + 1}.pdf", name, plan, who=who, **shown)
        agreed(tmp_path / f"{place + 1}.pdf")


def test_trust_is_the_first_verifiers_word_for_these_anchors_at_this_time(sealed):
    assert verify_bytes(sealed, trust(), at=AT).ok
    assert second.judge(sealed, trust(), AT, anchored) is not None
    assert second.judge(sealed, trust(), AT.replace(year=2100), anchored) is None
    assert second.judge(sealed, Trust(anchors=(der("issuing"),)), AT, anchored) is None
    assert second.judge(sealed, trust(), AT, lambda *_: None) is None


def test_the_first_output_of_a_signer_is_judged_by_the_first_verifier_and_the_next_by_the_second(tmp_path, monkeypatch):
    asked = []
    first = finish.verify_bytes
    monkeypatch.setattr(finish, "verify_bytes", lambda *told, **more: asked.append(1) or first(*told, **more))
    monkeypatch.setattr("signing.pdf.verify._found", {})
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")
    for target in ("one.pdf", "two.pdf"):
        assert sign(tmp_path / "laid.pdf", tmp_path / target, "Signatory1", plan).verdict.ok
    assert asked == [1]


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_cut_flip_appendix_or_reordering_is_accepted(sealed, data):
    kind = data.draw(st.sampled_from(["cut", "flip", "append", "swap"]))
    place = data.draw(st.integers(0, len(sealed) - 2))
    end = data.draw(st.integers(place + 1, len(sealed)))
    changed = {
        "cut": sealed[:place] + sealed[end:],
        "flip": sealed[:place] + bytes((sealed[place] ^ data.draw(st.integers(1, 255)),)) + sealed[place + 1 :],
        "append": sealed + data.draw(st.binary(min_size=1, max_size=64)),
        "swap": sealed[:place] + sealed[end:] + sealed[place:end],
    }[kind]
    assert changed == sealed or second.judge(changed, trust(), AT, everybody) is None


def test_no_byte_of_the_containers_may_differ(sealed):
    """Trust is remembered for the certificates as they are, to the byte: no digest covers those of the authorities."""
    assert verify_bytes(sealed, trust(), at=AT).ok
    for found in re.finditer(rb"/Contents <([0-9A-F]+)>", sealed):
        for place in range(found.start(1), found.end(1), 41):
            other = b"1" if sealed[place : place + 1] == b"0" else b"0"
            changed = sealed[:place] + other + sealed[place + 1 :]
            assert second.judge(changed, trust(), AT, anchored) is None, place


def add_orphan(writer):
    writer.add_object(StreamObject(stream_data=b"hidden"))


def sealed_with(room, monkeypatch, change):
    """Seal rightly, by the right key, a revision that changes something more."""
    base = room / "signed.pdf"
    plan = signing.default_plan(str(room / "source.pdf"), ("Signatory1", "Seal"))
    asked = order(base, "Seal", plan, who="seal")
    filled = preparing._fill

    def fill_and_change(writer, told):
        filled(writer, told)
        change(writer)

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "_fill", fill_and_change)
        patch.setattr(direct, "plan", lambda *_: (_ for _ in ()).throw(direct.Unusual))
        prepared = signing.prepare(asked)
    value = sign_hash(key("seal"), prepared.tbs_sha256, "ecdsa")
    return base, FinishOrder(base=str(base), prepared=prepared, value=value, chain=chain(), trust=trust())


def test_a_right_revision_of_pyhanko_is_accepted(room, monkeypatch):
    base, order_ = sealed_with(room, monkeypatch, lambda _: None)
    assert second.judge(finish.embed(base.read_bytes(), order_), trust(), AT, everybody) is not None


@pytest.mark.parametrize(
    "change",
    [overlay, replace_content, annotate, add_script, put_validation_data, add_orphan],
    ids=lambda c: c.__name__,
)
def test_a_rightly_sealed_revision_that_changes_more_is_not_accepted(room, monkeypatch, tmp_path, change):
    base, order_ = sealed_with(room, monkeypatch, change)
    assert second.judge(finish.embed(base.read_bytes(), order_), trust(), AT, everybody) is None
    if change not in (put_validation_data, add_orphan):
        with pytest.raises(OutputInvalid):
            signing.finish(order_, str(tmp_path / "out.pdf"))
        assert not (tmp_path / "out.pdf").exists()


def test_a_lock_binds_later_revisions(tmp_path):
    """A signatory's lock that leaves the seal out: no seal may follow, whoever makes it."""
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")
    data = (tmp_path / "laid.pdf").read_bytes()
    assert data.count(b"(IssuedDate) (Seal) ]") == 1
    (tmp_path / "laid.pdf").write_bytes(data.replace(b"(IssuedDate) (Seal) ]", b"(IssuedDate) (Peal) ]"))
    base = tmp_path / "laid.pdf"
    for field, who in (("Signatory1", "leader"), ("Seal", "seal")):
        prepared = signing.prepare(order(base, field, plan, who=who))
        value = sign_hash(key(who), prepared.tbs_sha256, prepared.mechanism)
        told = FinishOrder(base=str(base), prepared=prepared, value=value, chain=chain(), trust=trust())
        whole = finish.embed(base.read_bytes(), told)
        base = tmp_path / f"{field}.pdf"
        base.write_bytes(whole)
    assert second.judge(whole, trust(), AT, everybody) is None
    assert not verify_bytes(whole, trust(), at=AT).ok


def test_a_container_is_read_as_der_and_nothing_else(sealed):
    (content, *_) = [bytes.fromhex(found.decode()) for found in re.findall(rb"/Contents <([0-9A-F]+)>", sealed)]
    held = read(content)
    assert held.certificate == der("leader")
    assert hashlib.sha256(held.attributes).digest()
    for other in (b"", content[1:], content[:40], content + b"\x01", b"\x30\x80" + content[4:], content[:4] * 2):
        with pytest.raises((Strange, ValueError, IndexError)):
            read(other)
