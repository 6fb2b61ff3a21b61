"""What may enter, by profile, and what a rewriting leaves."""

import io
import os
import time

import pikepdf
import pytest
from pikepdf import Dictionary, Name
from pyhanko.pdf_utils.generic import DictionaryObject, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

import signing
from signing.contract import LintLimits, Trust
from signing.errors import UnreadableFile
from tests.paper import AT, lay, page, sign_and_seal, trust


def lint(path, profile="to_sign", **more):
    return signing.lint(str(path), profile, more.pop("limits", None), at=AT, **more)


def codes(report):
    return [problem.code for problem in report.problems]


def changed(tmp_path, change):
    """Write a small document with something done to it."""
    path = page(tmp_path / "changed.pdf")
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        change(document)
        document.save(path)
    return path


def test_a_plain_document_is_accepted_by_both_profiles(tmp_path):
    path = page(tmp_path / "plain.pdf", pages=3)
    for profile in ("handed_in", "to_sign"):
        report = lint(path, profile)
        assert (report.accepted, report.problems, report.pages, report.repairable) == (True, (), 3, False)


def open_script(document):
    document.Root.OpenAction = Dictionary(S=Name.JavaScript, JS="app.alert(1)")


def named_script(document):
    script = document.make_indirect(Dictionary(S=Name.JavaScript, JS="app.alert(1)"))
    document.Root.Names = Dictionary(JavaScript=Dictionary(Names=["a", script]))


def launch(document):
    document.pages[0].obj.AA = Dictionary(O=Dictionary(S=Name.Launch, F="calc.exe"))


def send_form(document):
    button = Dictionary(Type=Name.Annot, Subtype=Name.Widget, Rect=[0, 0, 9, 9], A=Dictionary(S=Name.SubmitForm, F="x"))
    document.pages[0].obj.Annots = [document.make_indirect(button)]


@pytest.mark.parametrize("change", [open_script, named_script, launch, send_form])
def test_what_acts_by_itself_is_refused_for_signing_and_kept_as_evidence(tmp_path, change):
    path = changed(tmp_path, change)
    report = lint(path)
    assert codes(report) == ["active-content"]
    assert not report.accepted
    assert not report.repairable
    assert lint(path, "handed_in").accepted


def test_a_destination_to_open_at_is_harmless(tmp_path):
    def destination(document):
        document.Root.OpenAction = [document.pages[0].obj, Name.Fit]

    def link(document):
        note = Dictionary(
            Type=Name.Annot, Subtype=Name.Link, Rect=[0, 0, 9, 9], A=Dictionary(S=Name.URI, URI="https://example.vn")
        )
        document.pages[0].obj.Annots = [document.make_indirect(note)]

    assert lint(changed(tmp_path, destination)).accepted
    assert lint(changed(tmp_path, link)).accepted


def test_a_dynamic_form_is_refused(tmp_path):
    def dynamic(document):
        document.Root.AcroForm = Dictionary(Fields=[], XFA=document.make_stream(b"<xdp/>"))

    assert codes(lint(changed(tmp_path, dynamic))) == ["dynamic-form"]


def test_an_encrypted_file_is_refused_with_a_remedy(tmp_path):
    path = page(tmp_path / "open.pdf")
    with pikepdf.open(path) as document:
        document.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(owner="o", user=""))
    for profile in ("handed_in", "to_sign"):
        report = lint(tmp_path / "locked.pdf", profile)
        assert codes(report) == ["encrypted"]
        assert "mật khẩu" in report.problems[0].remedy_vi


def test_limits_are_kept(tmp_path):
    path = page(tmp_path / "long.pdf", pages=5)
    assert codes(lint(path, limits=LintLimits(max_pages=4))) == ["too-many-pages"]
    assert codes(lint(path, limits=LintLimits(max_bytes=100))) == ["too-large"]
    assert codes(lint(path, limits=LintLimits(max_objects=3))) == ["too-complex"]


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"%PDF-1.7", b"%PDF-1.7\n" + os.urandom(4000)])
def test_what_is_no_pdf_is_refused_and_not_mended(tmp_path, content):
    path = tmp_path / "file.pdf"
    path.write_bytes(content)
    for profile in ("handed_in", "to_sign"):
        assert not lint(path, profile).accepted
    assert not signing.repair(str(path), str(tmp_path / "out.pdf"), at=AT).accepted
    assert not (tmp_path / "out.pdf").exists()


def test_a_missing_file_raises(tmp_path):
    with pytest.raises(UnreadableFile):
        lint(tmp_path / "absent.pdf")


def test_a_broken_file_is_mended_into_one_revision(tmp_path):
    path = page(tmp_path / "whole.pdf")
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(path.read_bytes().replace(b"startxref\n", b"startxref\n9"))
    report = lint(broken)
    assert (report.accepted, report.repairable, codes(report)) == (False, True, ["damaged"])
    mended = signing.repair(str(broken), str(tmp_path / "mended.pdf"), at=AT)
    assert (mended.accepted, mended.repaired, mended.pages) == (True, True, 1)
    assert lint(tmp_path / "mended.pdf").problems == ()


def test_earlier_revisions_are_advised_against_and_rewritten_away(tmp_path):
    source = page(tmp_path / "source.pdf")
    lay(source, tmp_path / "two.pdf", names=("Signatory1",))
    report = lint(tmp_path / "two.pdf")
    assert (report.accepted, report.repairable, codes(report)) == (True, True, ["earlier-revisions"])
    mended = signing.repair(str(tmp_path / "two.pdf"), str(tmp_path / "one.pdf"), at=AT)
    assert mended.accepted
    assert (tmp_path / "one.pdf").read_bytes().count(b"%%EOF") == 1


def test_repairing_the_same_file_gives_the_same_bytes(tmp_path):
    source = page(tmp_path / "source.pdf")
    lay(source, tmp_path / "two.pdf", names=("Signatory1",))
    for name in ("a.pdf", "b.pdf"):
        signing.repair(str(tmp_path / "two.pdf"), str(tmp_path / name), at=AT)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_a_signed_file_is_shown_when_handed_in_and_never_rewritten(tmp_path):
    sealed = sign_and_seal(page(tmp_path / "source.pdf"), tmp_path)
    handed_in = lint(sealed, "handed_in", trust=trust())
    assert handed_in.accepted
    assert [one.signer_name for one in handed_in.foreign_signatures] == ["Nguyễn Văn Ký", "UBND xã Thử Nghiệm"]
    assert all(one.trusted for one in handed_in.foreign_signatures)
    assert not any(one.trusted for one in lint(sealed, "handed_in", trust=Trust()).foreign_signatures)
    assert "already-signed" in codes(lint(sealed))
    assert not signing.repair(str(sealed), str(tmp_path / "out.pdf"), at=AT).accepted
    assert not (tmp_path / "out.pdf").exists()


def test_a_signed_file_that_was_changed_is_refused_even_as_evidence(tmp_path):
    sealed = sign_and_seal(page(tmp_path / "source.pdf"), tmp_path)
    data = bytearray(sealed.read_bytes())
    place = data.index(b"/Helvetica")
    data[place : place + 10] = b"/Helvetixa"
    sealed.write_bytes(data)
    report = lint(sealed, "handed_in")
    assert codes(report) == ["broken-signature"]


def test_the_claim_of_pdf_a_is_read(tmp_path):
    def claim(document):
        packet = (
            b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            b'<rdf:Description xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/" pdfaid:part="2" pdfaid:conformance="B"/>'
            b"</rdf:RDF></x:xmpmeta>"
        )
        document.Root.Metadata = document.make_stream(packet, Type=Name.Metadata, Subtype=Name.XML)

    path = changed(tmp_path, claim)
    assert lint(path).pdfa == "2B"
    assert lint(page(tmp_path / "plain.pdf")).pdfa is None


def test_an_endless_page_tree_ends(tmp_path):
    def loop(document):
        document.Root.Pages.Kids.append(document.Root.Pages)

    buffer = io.BytesIO()
    with pikepdf.open(page(tmp_path / "plain.pdf")) as document:
        loop(document)
        document.save(buffer)
    (tmp_path / "loop.pdf").write_bytes(buffer.getvalue())
    report = lint(tmp_path / "loop.pdf")
    assert not report.accepted or report.pages == 1


def test_a_font_that_is_not_in_the_file_is_told_and_refuses_nothing(tmp_path):
    def borrow(document):
        document.pages[0].Resources.Font.F.BaseFont = Name("/VNI-Times")

    report = lint(changed(tmp_path, borrow))
    assert (report.accepted, codes(report), report.repairable) == (True, ["font-not-embedded"], False)
    assert "VNI-Times" in report.problems[0].vi


def test_a_certified_file_is_named_as_such(tmp_path):
    sealed = sign_and_seal(page(tmp_path / "source.pdf"), tmp_path)
    data = io.BytesIO(sealed.read_bytes())
    writer = IncrementalPdfFileWriter(data)
    value = writer.root["/AcroForm"]["/Fields"][-1].get_object().raw_get("/V")
    writer.root[pdf_name("/Perms")] = DictionaryObject({pdf_name("/DocMDP"): value})
    writer.update_root()
    writer.write_in_place()
    (tmp_path / "certified.pdf").write_bytes(data.getvalue())
    assert {"already-signed", "certified"} <= set(codes(lint(tmp_path / "certified.pdf")))


def test_a_file_in_which_two_readers_see_two_documents_is_not_mended(tmp_path):
    """One row of the table is wrong: qpdf then gathers all objects anew, the last of each number; pyHanko does not."""
    path = page(tmp_path / "page.pdf", "Dong y")
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.docinfo["/Title"] = "x"
        number, info = document.pages[0].Contents.objgen[0], document.docinfo.objgen[0]
        document.save(path, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    data, other = path.read_bytes(), b"BT /F 14 Tf 90 600 Td (Tu choi) Tj ET"
    with pikepdf.open(path) as document:
        number, info = document.pages[0].Contents.objgen[0], document.docinfo.objgen[0]
    place = data.index(b"%d 0 obj" % info)
    data = data.replace(b"%010d 00000 n" % place, b"%010d 00000 n" % (place + 3))
    hidden = b"%d 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (number, len(other), other)
    table = data.rindex(b"xref\n0 ")
    data = (
        data[:table] + hidden + data[table:].replace(b"startxref\n%d" % table, b"startxref\n%d" % (table + len(hidden)))
    )
    path.write_bytes(data)
    mended = signing.repair(str(path), str(tmp_path / "out.pdf"), at=AT)
    assert (mended.accepted, codes(mended)) == (False, ["ambiguous-pages"])
    assert not (tmp_path / "out.pdf").exists()


_LONG = b"x" * 30_000_000
_NO_TABLE = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%"


@pytest.mark.parametrize("profile", ["handed_in", "to_sign"])
@pytest.mark.parametrize(
    "end", [b"", b"\n%%EOF\n", b"startxref 9 %%EOF", b"\nstartxref\n" + b"\n" * 3_000 + b"9\n%%EOF\n"]
)
def test_a_file_of_one_long_line_is_not_gone_through_byte_by_byte(tmp_path, profile, end):
    """pyHanko took 13 s for each of these but the last, on two slow cores."""
    path = tmp_path / "long.pdf"
    path.write_bytes(_NO_TABLE + _LONG + end)
    began = time.perf_counter()
    report = lint(path, profile)
    assert time.perf_counter() - began < 3
    assert not report.accepted


@pytest.mark.parametrize(
    "end", [b"startxref\n%d\n%%%%EOF", b"startxref %d\r\n%%%%EOF\r\n", b"startxref\r%d\r%%%%EOF\0\0\n"]
)
def test_every_end_that_pyhanko_takes_is_taken(tmp_path, end):
    data = page(tmp_path / "plain.pdf").read_bytes()
    at = data.rindex(b"startxref")
    path = tmp_path / "ends.pdf"
    path.write_bytes(data[:at] + end % int(data[at + 9 :].split()[0]))
    assert lint(path).accepted
