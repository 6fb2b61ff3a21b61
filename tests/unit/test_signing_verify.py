"""What a verdict accepts after a signature and what it does not."""

import io

import pikepdf
import pytest
from asn1crypto import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name, pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec, append_signature_field
from pyhanko.sign.validation.dss import DocumentSecurityStore

from signing.errors import OutputInvalid
from signing.pdf.structure import element_size
from signing.pdf.verify import verify_bytes
from tests.paper import AT, der, lay, page, sign, sign_and_seal, trust


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    place = tmp_path_factory.mktemp("verify")
    sign_and_seal(page(place / "source.pdf"), place)
    return place


@pytest.fixture(scope="module")
def signed(room):
    return (room / "signed.pdf").read_bytes()


@pytest.fixture(scope="module")
def sealed(room):
    return (room / "sealed.pdf").read_bytes()


def judge(data):
    return verify_bytes(data, trust(), at=AT)


def codes(verdict):
    return {problem.code for problem in verdict.problems} | {
        problem.code for one in verdict.signatures for problem in one.problems
    }


def revise(data, change):
    """Append one revision by an honest writer."""
    buffer = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(buffer)
    change(writer)
    writer.write_in_place()
    return buffer.getvalue()


def field(writer, name):
    for reference in writer.root["/AcroForm"]["/Fields"]:
        if reference.get_object()["/T"] == name:
            return reference.get_object()
    raise KeyError(name)


def fill(name, value):
    def change(writer):
        held = field(writer, name)
        held[pdf_name("/V")] = pdf_string(value)
        writer.update_container(held)

    return change


def put_validation_data(writer):
    DocumentSecurityStore.supply_dss_in_writer(writer, None, certs=[x509.Certificate.load(der("issuing"))])


def overlay(writer):
    append_signature_field(writer, SigFieldSpec("Overlay", on_page=0, box=(90, 590, 300, 620)))


def replace_content(writer):
    sheet = writer.find_page_for_modification(0)[0].get_object()
    sheet[pdf_name("/Contents")] = writer.add_object(generic.StreamObject(stream_data=b"BT ET"))
    writer.update_container(sheet)


def annotate(writer):
    note = generic.DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/FreeText"),
            pdf_name("/Rect"): generic.ArrayObject(generic.NumberObject(edge) for edge in (90, 590, 300, 620)),
            pdf_name("/Contents"): pdf_string("changed"),
        }
    )
    writer.register_annotation(writer.find_page_for_modification(0)[0], writer.add_object(note))


def add_script(writer):
    action = generic.DictionaryObject({pdf_name("/S"): pdf_name("/JavaScript"), pdf_name("/JS"): pdf_string("1")})
    writer.root[pdf_name("/OpenAction")] = action
    writer.update_root()


def test_both_revisions_are_accepted_as_they_are(signed, sealed):
    assert judge(signed).ok
    assert judge(sealed).ok


def test_validation_data_may_follow_the_seal(sealed):
    verdict = judge(revise(sealed, put_validation_data))
    assert verdict.ok, verdict
    assert [one.covers for one in verdict.signatures] == ["revision", "revision"]


@pytest.mark.parametrize(
    "change", [overlay, replace_content, annotate, add_script, fill("Number", "999"), fill("IssuedDate", "hôm qua")]
)
def test_nothing_else_may_follow_the_seal(sealed, change):
    verdict = judge(revise(sealed, change))
    assert not verdict.ok
    assert not verdict.untouched
    assert "changed" in codes(verdict)


@pytest.mark.parametrize("change", [fill("Number", "1"), fill("IssuedDate", "x"), replace_content, overlay, annotate])
def test_nothing_but_the_next_signature_may_follow_a_signature(signed, change):
    assert not judge(revise(signed, change)).ok


def test_a_number_filled_outside_the_seals_revision_spoils_the_seal_too(room, signed, tmp_path):
    """Somebody fills the number first and has it sealed: the signatory's signature says what happened."""
    plan = lay(room / "source.pdf", tmp_path / "laid.pdf")
    sign(tmp_path / "laid.pdf", tmp_path / "signed.pdf", "Signatory1", plan)
    (tmp_path / "filled.pdf").write_bytes(revise((tmp_path / "signed.pdf").read_bytes(), fill("Number", "66")))
    with pytest.raises(OutputInvalid):
        sign(tmp_path / "filled.pdf", tmp_path / "sealed.pdf", "Seal", plan, who="seal", fills={})


def test_bytes_after_the_end_are_noticed(sealed):
    for tail in (b" ", b"\n", b"\x00", b"\n9 0 obj\n<<>>\nendobj\n", b"%%EOF\n", b"startxref\n0\n%%EOF\n"):
        assert not judge(sealed + tail).ok


def test_objects_hidden_in_a_tail_are_noticed(sealed):
    raised = revise(sealed, put_validation_data)
    verdict = judge(raised + b"4 0 obj\n<</Length 5>>stream\nBT ET\nendstream\nendobj\n")
    assert "dirty-tail" in codes(verdict)
    assert not verdict.ok


def test_one_signature_in_two_fields_is_noticed(sealed):
    def share(writer):
        append_signature_field(writer, SigFieldSpec("Twin"))
        twin = field(writer, "Twin")
        twin[pdf_name("/V")] = field(writer, "Seal").raw_get("/V")
        writer.update_container(twin)

    assert "shared-signature" in codes(judge(revise(sealed, share)))


def test_an_unsigned_file_has_no_signature(room):
    verdict = judge((room / "laid.pdf").read_bytes())
    assert codes(verdict) == {"no-signature"}
    assert not verdict.ok


def test_a_rewritten_file_loses_its_signatures(sealed):
    output = io.BytesIO()
    with pikepdf.open(io.BytesIO(sealed)) as document:
        document.save(output)
    assert not judge(output.getvalue()).ok


@st.composite
def alterations(draw, size):
    """A cut, flip, insertion, appendix, or two neighbouring pieces in the other order."""
    kind = draw(st.sampled_from(["cut", "flip", "insert", "append", "reorder"]))
    start = size if kind == "append" else draw(st.integers(0, size - 1))
    if kind in {"insert", "append"}:
        return kind, start, start, draw(st.binary(min_size=1, max_size=64))
    end = draw(st.integers(start + 1, size))
    return kind, start, end, draw(st.integers(1, 255) if kind == "flip" else st.integers(start, end))


def altered(data, kind, start, end, how):
    if kind == "cut":
        return data[:start] + data[end:]
    if kind == "flip":
        return data[:start] + bytes((data[start] ^ how,)) + data[start + 1 :]
    if kind == "reorder":
        return data[:start] + data[how:end] + data[start:how] + data[end:]
    return data[:start] + how + data[start:]


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_cut_flip_insertion_appendix_or_other_order_verifies(sealed, data):
    changed = altered(sealed, *data.draw(alterations(len(sealed))))
    assert changed == sealed or not judge(changed).ok


def test_no_bit_of_the_container_is_arbitrary(signed):
    """/Contents is the one place that no digest covers; a bit flipped every few bytes must show all the same."""
    start = signed.index(b"/Contents <") + len(b"/Contents <")
    end = signed.index(b">", start)
    container = bytes.fromhex(signed[start:end].decode())
    size = element_size(container)
    assert size is not None
    places = [*range(48), *range(48, size, 23), size, len(container) - 1]
    for place in places:
        changed = bytearray(container)
        changed[place] ^= 1 << place % 8
        assert not judge(signed[:start] + bytes(changed).hex().upper().encode() + signed[end:]).ok, place


def test_element_sizes_of_definite_and_indefinite_lengths():
    assert element_size(b"\x30\x03\x02\x01\x05rest") == 5
    assert element_size(b"\x30\x80\x02\x01\x05\x00\x00rest") == 7
    assert element_size(b"\x30\x81\x02ab") == 5
    assert element_size(b"\x30") is None
    assert element_size(b"\x30\x80\x02\x01\x05") is None
