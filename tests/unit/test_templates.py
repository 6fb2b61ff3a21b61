"""Every template: set with the house's fonts, PDF/A in structure, the same bytes again, places where they belong."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pikepdf
import pytest

import signing
from api.documents import typesetting
from api.documents.letterhead import place_of, shown_address, split_name
from api.documents.templates.bodies import FORMS, RESULTS, TEMPLATES, check_body
from api.documents.typesetting import FontsMissing, Head, Sheet, Signer, Verify, check_fonts, qr_svg, render
from api.errors import Invalid

AT = datetime(2026, 7, 1, 1, 0, tzinfo=UTC)
PARTS = [{"name": "Tờ khai", "originals": 1}, {"name": "Căn cước", "plain_copies": 2}]
COMMON = {"dossier_code": "H05.30.07-260701-0001", "procedure": "Cấp Giấy xác nhận tình trạng hôn nhân"}
OWNER = {"owner": "Nguyễn Thị Hồng Nhung", "address": "Khu 3, phường Kinh Bắc", "phone": "0912 345 678"}
BODIES = {
    "marital_status": {
        "requester": "Nguyễn Thị Hồng Nhung",
        "full_name": "Nguyễn Thị Hồng Nhung",
        "birth_date": "15/3/1999",
        "sex": "Nữ",
        "ethnicity": "Kinh",
        "identity_paper": "Căn cước số 024199001234",
        "residence": "Khu 3, phường Kinh Bắc",
        "status": "Chưa đăng ký kết hôn với ai",
        "purpose": "Đăng ký kết hôn",
        "periods": [{"place": "phường Suối Hoa", "from_day": "2016-08-15", "to_day": "2025-06-30"}],
    },
    "civil_extract": {
        "title": "Trích lục khai sinh",
        "copy": True,
        "entries": [{"label": "Họ, chữ đệm, tên", "value": "Nguyễn Thị Hồng Nhung", "strong": True}],
        "registered_at": "Ủy ban nhân dân phường Suối Hoa",
        "registered_as": "Số 124, quyển số 01/1999",
        "requester": "Nguyễn Thị Hồng Nhung",
        "notes": ["Đã cải chính ngày sinh."],
    },
    "decision": {
        "about": "về việc thay đổi, cải chính hộ tịch",
        "issuer": "Chủ tịch Ủy ban nhân dân phường Kinh Bắc",
        "bases": ["Căn cứ Luật Hộ tịch ngày 20 tháng 11 năm 2014"],
        "articles": ["Cải chính ngày sinh.", "Quyết định này có hiệu lực kể từ ngày ký./."],
    },
    "refusal": {
        **COMMON,
        "to": "Bà Nguyễn Thị Hồng Nhung",
        "agency": "Ủy ban nhân dân phường Kinh Bắc",
        "received_day": "01/7/2026",
        "reasons": ["Thiếu căn cứ."],
        "contact": "Trung tâm",
    },
    "certified_copy": {
        "paper": "Bằng tốt nghiệp",
        "issued_by": "Đại học Quốc gia Hà Nội",
        "original_reference": "Số hiệu 123456",
        "pages": 2,
        "copies": 3,
        "book": "01/2026-SCT/BS",
        "place_of_receipt": "Trung tâm",
    },
    "intake_slip": {
        **COMMON,
        **OWNER,
        "desk": "Trung tâm Phục vụ hành chính công phường Kinh Bắc",
        "filer": "Trần Văn Minh",
        "parts": PARTS,
        "term": "03 ngày làm việc",
        "received_at": "08 giờ 05 phút, ngày 01/7/2026",
        "due_at": "08 giờ 05 phút, ngày 06/7/2026",
        "delivery": "Trung tâm",
        "fees": "15.000 đồng",
        "officer": "Lưu Đức Thắng",
        "track_at": "motcua.example.vn",
    },
    "supplement_request": {
        **COMMON,
        **OWNER,
        "parts": PARTS,
        "reasons": ["Thiếu trích lục."],
        "officer": "Lưu Đức Thắng",
        "website": "dichvucong.gov.vn",
    },
    "intake_refusal": {
        **OWNER,
        "procedure": COMMON["procedure"],
        "desk": "Trung tâm",
        "reasons": ["Không thuộc thẩm quyền."],
        "contact": "Trung tâm",
        "officer": "Lưu Đức Thắng",
    },
    "apology": {
        **COMMON,
        "to": "Bà Nhung",
        "agency": "Ủy ban nhân dân phường Kinh Bắc",
        "received_day": "01/7/2026",
        "due_at": "06/7/2026",
        "reason": "chờ xác minh",
        "new_due_at": "10/7/2026",
    },
    "stop_notice": {
        **COMMON,
        "to": "Bà Nhung",
        "agency": "Ủy ban nhân dân phường Kinh Bắc",
        "received_day": "01/7/2026",
        "stopped_day": "20/7/2026",
        "reasons": ["Quá hạn bổ sung."],
        "give_back_at": "Trung tâm",
        "contact": "Trung tâm",
    },
    "control_slip": {
        "dossier_code": COMMON["dossier_code"],
        "owner": "Nguyễn Thị Hồng Nhung",
        "received_at": "01/7/2026",
        "due_at": "06/7/2026",
        "agency": "Ủy ban nhân dân phường Kinh Bắc",
        "lines": [{"from": "Trung tâm", "to": "Phòng Tư pháp", "at": "08 giờ 30 phút", "outcome": "Đúng hạn"}],
    },
}


def sheet(template: str, **changes) -> Sheet:
    """What a result's template prints, or a form's, with the data above."""
    body = msgspec.to_builtins(check_body(template, BODIES[template]))
    plain = {"head": Head(agency=("Ủy ban nhân dân", "phường Kinh Bắc"), place="Kinh Bắc"), "body": body}
    if template in RESULTS:
        signer = Signer(field="Signatory1", title_lines=("TM. Ủy ban nhân dân", "Chủ tịch"), name="Nguyễn Văn Hùng")
        verify = Verify(code="AAAA-BBBB-CCCC", url="https://a.vn/verify/AAAA-BBBB-CCCC", shown="a.vn/verify")
        plain |= {"signers": (signer,), "initials": ("Initials1",), "seal": True, "verify": verify}
        plain |= {"number_spot": True, "date_spot": True, "recipients": ("Như trên", "Lưu: VT")}
    else:
        plain |= {"number": "01/TNHS", "date": "ngày 01 tháng 7 năm 2026", "code": COMMON["dossier_code"]}
    return Sheet(**(plain | changes))


@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_template_is_set_whole_and_archivable(template, tmp_path):
    target = tmp_path / "out.pdf"
    made = render(template, sheet(template), AT, str(target))
    assert made.fault == ""
    assert (made.places is None) == (template in FORMS)
    with pikepdf.open(target) as pdf:
        assert len(pdf.pages) == 1
        assert not pdf.is_encrypted
        with pdf.open_metadata() as metadata:
            assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("2", "B")
        assert "/OutputIntents" in pdf.Root
        assert "/JavaScript" not in pdf.Root.get("/Names", {})
        assert pdf.trailer["/ID"] is not None
        fonts = [font for page in pdf.pages for font in page.Resources.Font.values()]
        assert fonts
        for font in fonts:
            descriptor = font.DescendantFonts[0].FontDescriptor
            assert "/FontFile2" in descriptor or "/FontFile3" in descriptor
            assert "LiberationSerif" in str(descriptor.FontName)


def test_same_order_gives_the_same_bytes(tmp_path):
    first, again = (
        render("marital_status", sheet("marital_status"), AT, str(tmp_path / name)) for name in ("a.pdf", "b.pdf")
    )
    assert first.sha256 == again.sha256


@pytest.mark.parametrize("template", sorted(RESULTS))
def test_places_lie_on_the_page_apart_from_each_other_and_can_be_laid(template, tmp_path):
    target = tmp_path / "out.pdf"
    made = render(template, sheet(template), AT, str(target))
    places = made.places
    assert places is not None
    assert [field.name for field in places.signatures] == ["Initials1", "Signatory1", "Seal"]
    fields = {field.name: field for field in (places.number, places.issued_date, *places.signatures) if field}
    assert len(fields) == 5
    for field in fields.values():
        x0, y0, x1, y1 = field.box
        assert 0 < x0 < x1 < 595.3
        assert 0 < y0 < y1 < 841.9
    signatory, seal = fields["Signatory1"].box, fields["Seal"].box
    assert abs((seal[2] - signatory[0]) - (signatory[2] - signatory[0]) / 3) < 0.5, "a third of the signature"
    assert seal[0] < signatory[0], "at its left"
    assert abs((seal[2] - seal[0]) - 36 / 25.4 * 72) < 0.1, "in real size"
    assert fields["Number"].box[2] < fields["IssuedDate"].box[0]
    assert fields["Initials1"].box[3] < min(seal[1], signatory[1])
    laid = signing.lay_fields(str(target), str(tmp_path / "laid.pdf"), places)
    assert laid.size > made.size


def test_two_signatories_and_a_long_text_keep_the_signatures_with_words(tmp_path):
    body = BODIES["decision"] | {"articles": ["Một điều khoản dài. " * 30] * 8 + ["Điều cuối./."]}
    people = tuple(
        Signer(field=f"Signatory{n}", title_lines=("Giám đốc",), name=name) for n, name in ((1, "An"), (2, "Bình"))
    )
    long = sheet("decision", body=msgspec.to_builtins(check_body("decision", body)), signers=people)
    target = tmp_path / "out.pdf"
    made = render("decision", long, AT, str(target))
    assert made.places is not None
    assert [field.name for field in made.places.signatures] == ["Initials1", "Signatory1", "Signatory2", "Seal"]
    last = made.places.signatures[-1]
    with pikepdf.open(target) as pdf:
        assert last.page == len(pdf.pages) - 1
        content = pdf.pages[-1].Contents.read_bytes()
        assert content.count(b"BT") > 6, "the last paragraph stands on the page of the signatures"
    assert made.places.number is not None
    assert made.places.number.page == 0


def test_text_is_data_and_never_markup(tmp_path):
    odd = '#text(red)[x] $x^2$ *bold* _i_ = heading \\ <label> @ref "quote" `code` - list // gone'
    body = BODIES["marital_status"] | {"purpose": odd}
    changed = sheet("marital_status", body=msgspec.to_builtins(check_body("marital_status", body)))
    target = tmp_path / "out.pdf"
    assert render("marital_status", changed, AT, str(target)).fault == ""


def test_letter_that_no_font_has_is_an_error(tmp_path):
    body = BODIES["marital_status"] | {"purpose": "Kết hôn ☃"}
    changed = sheet("marital_status", body=msgspec.to_builtins(check_body("marital_status", body)))
    made = render("marital_status", changed, AT, str(tmp_path / "out.pdf"))
    assert "could not be displayed" in made.fault
    assert not (tmp_path / "out.pdf").exists()


def test_every_vietnamese_letter_can_be_printed(tmp_path):
    marks = "aàảãáạăằẳẵắặâầẩẫấậeèẻẽéẹêềểễếệiìỉĩíịoòỏõóọôồổỗốộơờởỡớợuùủũúụưừửữứựyỳỷỹýỵđ"
    body = BODIES["marital_status"] | {"purpose": f"{marks} {marks.upper()} “–…” ₫ 0123456789"}
    changed = sheet("marital_status", body=msgspec.to_builtins(check_body("marital_status", body)))
    assert render("marital_status", changed, AT, str(tmp_path / "out.pdf")).fault == ""


def test_missing_face_stops_the_start(monkeypatch):
    check_fonts()
    monkeypatch.setattr(typesetting, "FAMILY", "No Such Serif")
    with pytest.raises(FontsMissing, match="No Such Serif"):
        check_fonts()


def test_unknown_template_and_unknown_field_are_named():
    with pytest.raises(Invalid) as unknown:
        check_body("no_such", {})
    assert unknown.value.kind_code == "no-template"
    with pytest.raises(Invalid) as misspelt:
        check_body("marital_status", BODIES["marital_status"] | {"purpos": "x"})
    assert "purpos" in str(misspelt.value.facts) or "purpos" in misspelt.value.vi


def test_each_template_has_its_file_and_each_file_its_template():
    directory = Path(typesetting.__file__).parent / "templates"
    assert {file.stem for file in directory.glob("*.typ")} - {"house"} == set(TEMPLATES)
    assert set(BODIES) == set(TEMPLATES)


@pytest.mark.parametrize(
    ("name", "lines", "place"),
    [
        ("Ủy ban nhân dân phường Kinh Bắc", ("Ủy ban nhân dân", "phường Kinh Bắc"), "Kinh Bắc"),
        ("Ủy ban nhân dân tỉnh Bắc Ninh", ("Ủy ban nhân dân", "tỉnh Bắc Ninh"), "Bắc Ninh"),
        ("Sở Tư pháp tỉnh Bắc Ninh", ("Sở Tư pháp tỉnh Bắc Ninh",), "Bắc Ninh"),
        (
            "Trung tâm Phục vụ hành chính công xã Yên Thế",
            ("Trung tâm Phục vụ", "hành chính công xã Yên Thế"),
            "Yên Thế",
        ),
    ],
)
def test_heads_break_where_the_decree_breaks_them(name, lines, place):
    assert split_name(name) == lines
    assert place_of(name) == place


def test_qr_holds_the_address_and_its_print_has_no_scheme():
    assert qr_svg("https://a.vn/verify/AAAA").startswith("<svg")
    assert shown_address("https://a.vn/verify") == "a.vn/verify"
