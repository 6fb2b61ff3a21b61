"""What a reader sees: each kind of stamp as poppler draws it, against a picture that somebody has looked at.

The pictures in `tests/vectors/stamps/` are drawn anew, and must then be looked at anew, by
`python -m tests.unit.test_signing_stamps`.
"""

import io
import sys
import unicodedata
from pathlib import Path

import msgspec
import pikepdf
import pytest
import typst
from PIL import Image, ImageChops, ImageFilter

import signing
from api.documents.templates.bodies import check_body
from api.documents.typesetting import Head, Sheet, Signer, render
from api.kernel import VIETNAM
from api.signatures.engine import stamp
from signing.contract import Appearance, FieldPlan, Placing
from signing.pdf import appearance, typeface
from tests.paper import AT, lay, order, page, pdfsig_valid, pki, run, sign
from tests.unit.test_templates import BODIES

PICTURES = Path(__file__).parent.parent / "vectors" / "stamps"
FONTS = Path(signing.__file__).parent / "pdf" / "fonts"
DOTS = 50
AGENCY = "Ủy ban nhân dân phường Kinh Bắc"
DRAFT = """
#set page(paper: "a4", margin: (top: 20mm, bottom: 20mm, left: 30mm, right: 18mm))
#set text(font: "Liberation Serif", size: 13.5pt)
#grid(columns: (41fr, 59fr), align: center)[*ỦY BAN NHÂN DÂN* \\ *PHƯỜNG KINH BẮC* \\ Số:][
  *CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM* \\ *Độc lập - Tự do - Hạnh phúc* \\ #h(-40mm) _Kinh Bắc, _]
#v(10mm) #align(center)[*THÔNG BÁO*]
#lorem(60)
#v(10mm)
#grid(columns: (46fr, 54fr), align: center)[][
  #text(tracking: 2pt)[*CHỦ TỊCH*] \\ #v(26mm) *Nguyễn Văn Ký*]
"""
ANNEX = """
#set page(paper: "a4")
#set text(font: "Liberation Serif", size: 13.5pt)
#align(center)[*PHỤ LỤC*]
#lorem(60)
"""


def typeset(source: str, target: Path) -> Path:
    """Set a draft as an office's word processor would, as PDF/A-2b."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])
    pdf = typst.compile(source.encode(), format="pdf", font_paths=fonts, pdf_standards=["a-2b"])
    target.write_bytes(bytes(pdf))
    return target


def looks(kind: str, *lines: str, above: tuple[str, ...] = (), image: str | None = None) -> Appearance:
    png = (pki() / f"{image}.png").read_bytes() if image else None
    return Appearance(kind=kind, lines=lines, above=above, image_png=png)


TIME = f"Thời gian ký: {stamp.signing_time(AT, VIETNAM)}"
SEAL = ("seal", "Thời gian ký: 20.11.2026", "08:30:15 +07:00")
FILLS = {"Number": "123/UBND", "IssuedDate": stamp.vietnamese_date(AT.astimezone(VIETNAM).date())}


def taken(source: Path, room: Path, plan: FieldPlan, signatory: Appearance, fills: dict[str, str] = FILLS) -> Path:
    """Take a document with this plan through signatory and seal."""
    signing.lay_fields(str(source), str(room / "laid.pdf"), plan)
    sign(room / "laid.pdf", room / "signed.pdf", "Signatory1", plan, appearance=signatory)
    seal = looks(*SEAL, image="seal")
    sign(room / "signed.pdf", room / "sealed.pdf", "Seal", plan, who="seal", appearance=seal, fills=fills)
    return room / "sealed.pdf"


def cornered(source: Path, room: Path, layout: str, shown: Appearance) -> Path:
    """Seal a file on which nobody signs but the organisation."""
    plan = signing.default_plan(str(source), ("Seal",), layout)
    assert (plan.number, plan.issued_date) == (None, None)
    signing.lay_fields(str(source), str(room / "laid.pdf"), plan)
    sign(room / "laid.pdf", room / "sealed.pdf", "Seal", plan, who="seal", appearance=shown, fills={})
    return room / "sealed.pdf"


def from_template(room: Path) -> Path:
    signer = Signer(field="Signatory1", title_lines=("TM. Ủy ban nhân dân", "Chủ tịch"), name="Nguyễn Văn Ký")
    head = Head(agency=("Ủy ban nhân dân", "phường Kinh Bắc"), place="Kinh Bắc")
    body = msgspec.to_builtins(check_body("marital_status", BODIES["marital_status"]))
    sheet = Sheet(
        head=head, body=body, signers=(signer,), seal=True,
        number_spot=True, date_spot=True, recipients=("Như trên", "Lưu: VT"),
    )  # fmt: skip
    made = render("marital_status", sheet, AT, str(room / "draft.pdf"))
    assert made.places, made.fault
    return taken(room / "draft.pdf", room, made.places, looks("signatory", image="leader"))


def from_anchors(room: Path) -> Path:
    source = typeset(DRAFT, room / "draft.pdf")
    wanted = (
        Placing(field="Signatory1", anchor="CHỦ TỊCH", side="below"),
        Placing(field="Number", anchor="Số:"),
        Placing(field="IssuedDate", anchor="Kinh Bắc,"),
    )
    found = signing.find_places(str(source), wanted)
    plan = signing.default_plan(str(source), ("Signatory1", "Seal"), "document", found)
    return taken(source, room, plan, looks("signatory", image="leader"))


def with_usual_places(room: Path) -> Path:
    source = page(room / "draft.pdf")
    plan = signing.default_plan(str(source), ("Signatory1", "Seal"))
    shown = looks("signatory", "Nguyễn Văn Ký", above=("TM. ỦY BAN NHÂN DÂN", "CHỦ TỊCH"), image="leader")
    return taken(source, room, plan, shown)


def annex(room: Path) -> Path:
    return cornered(typeset(ANNEX, room / "draft.pdf"), room, "annex", looks("corner", "Số: 123/UBND-VP", TIME))


def copy(room: Path) -> Path:
    shown = looks("corner", "Sao y số 12/UBND-SY", AGENCY, TIME, image="seal")
    return cornered(typeset(DRAFT, room / "draft.pdf"), room, "copy", shown)


def digitised(room: Path) -> Path:
    shown = looks("corner", "Bản số hóa số 7/TLKH", AGENCY, TIME, image="seal")
    return cornered(page(room / "draft.pdf", rotate=90), room, "copy", shown)


SCENES = {
    "template": from_template,
    "anchors": from_anchors,
    "usual-places": with_usual_places,
    "annex": annex,
    "copy": copy,
    "digitised": digitised,
}


def drawn(path: Path, room: Path) -> Image.Image:
    """Draw the first page in few colours, so that the pictures stay small."""
    run("pdftoppm", "-r", DOTS, "-png", "-singlefile", path, room / "page")
    return Image.open(room / "page.png").convert("RGB")


def differs(left: Image.Image, right: Image.Image) -> int:
    """Tell how far two pictures are apart at their worst place, of 255; antialiasing and few colours aside."""
    if left.size != right.size:
        return 255
    soft = [each.filter(ImageFilter.BoxBlur(3)) for each in (left, right)]
    return max(high for _, high in ImageChops.difference(*soft).getextrema())


TOLERATED = 24


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_a_stamp_looks_as_it_did_when_somebody_looked(tmp_path, scene):
    sealed = SCENES[scene](tmp_path)
    seen = Image.open(PICTURES / f"{scene}.png").convert("RGB")
    now = drawn(sealed, tmp_path)
    assert differs(seen, now) <= TOLERATED
    assert differs(seen, drawn(tmp_path / "laid.pdf", tmp_path)) > TOLERATED, "a missing stamp would not be noticed"
    assert differs(seen, ImageChops.offset(now, 5, 0)) > TOLERATED, "nor would one that stands elsewhere"
    assert pdfsig_valid(sealed) == (2 if (tmp_path / "signed.pdf").exists() else 1)


def appearances(path: Path) -> dict[str, tuple[bytes, list[bytes]]]:
    """Return what each field shows: its commands, and every stream below it."""
    shown = {}
    with pikepdf.open(path) as document:
        for field in document.Root.AcroForm.Fields:
            form = field.AP.N
            fonts = [font.DescendantFonts[0].FontDescriptor for font in form.Resources.get("/Font", {}).values()]
            images = list(form.Resources.get("/XObject", {}).values())
            below = [font.FontFile2.read_raw_bytes() for font in fonts]
            below += [each.read_raw_bytes() for image in images for each in (image, image.SMask)]
            shown[str(field.T)] = (form.read_bytes(), below)
    return shown


def test_the_number_is_upright_and_the_date_in_italics(tmp_path):
    with pikepdf.open(from_anchors(tmp_path)) as document:
        fields = {str(field.T): field for field in document.Root.AcroForm.Fields}
        faces = {name: fields[name].AP.N.Resources.Font.F for name in ("Number", "IssuedDate")}
        assert {name: str(font.BaseFont) for name, font in faces.items()} == {
            "Number": "/MTCUAA+MotcuaSerif-Regular", "IssuedDate": "/MTCUAA+MotcuaSerif-Italic",
        }  # fmt: skip
        assert float(faces["IssuedDate"].DescendantFonts[0].FontDescriptor.ItalicAngle) < -10
    said = run("pdftotext", "-layout", tmp_path / "sealed.pdf", "-").stdout
    assert "Kinh Bắc, ngày 20 tháng 11 năm 2026" in said
    assert "Số: 123/UBND" in said


def test_a_seal_in_real_size_covers_the_left_third_of_the_signature(tmp_path):
    source = typeset(DRAFT, tmp_path / "draft.pdf")
    found = signing.find_places(str(source), (Placing(field="Signatory1", anchor="CHỦ TỊCH", side="below"),))
    signatory, seal = signing.default_plan(str(source), ("Signatory1", "Seal"), "document", found).signatures
    third = signatory.box[0] + (signatory.box[2] - signatory.box[0]) / 3
    assert seal.box[2] == pytest.approx(third)
    assert (seal.page, seal.box[2] - seal.box[0]) == (0, pytest.approx(36 / 25.4 * 72))
    sealed = taken(source, tmp_path, FieldPlan(signatures=(signatory, seal)), looks("signatory", image="leader"), {})
    commands, _ = appearances(sealed)["Seal"]
    wide, high = (float(word) for word in commands.split()[1:5:3])
    assert max(wide, high) == pytest.approx(36 / 25.4 * 72, abs=0.01), "less than the real size"


def test_a_stamp_is_the_same_alone_and_in_a_batch(tmp_path):
    """AutoFirma #300: in a batch the stamp of the first was put on all, or moved."""
    source = typeset(DRAFT, tmp_path / "draft.pdf")
    plan = lay(source, tmp_path / "laid.pdf")
    shown = [looks("signatory", f"Nguyễn Thị Ánh {n}", above=("CHỦ TỊCH",), image="leader") for n in range(5)]

    def streams(which: Appearance) -> bytes:
        prepared = signing.prepare(order(tmp_path / "laid.pdf", "Signatory1", plan, appearance=which))
        return prepared.increment[: prepared.reserved_start - prepared.base_size]

    together = [streams(each) for each in shown]
    for which, whole in zip(reversed(shown), reversed(together), strict=True):
        for held in (appearance._font, appearance._picture, typeface.glyphs):
            held.cache_clear()
        assert streams(which) == whole
    assert len(set(together)) == len(shown)


def test_composed_and_decomposed_vietnamese_give_the_same_stamp_in_one_piece(tmp_path):
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")
    name = "Nguyễn Đặng Thị Ỷ Lượng"
    for form in ("NFC", "NFD"):
        shown = looks("signatory", unicodedata.normalize(form, name), above=(unicodedata.normalize(form, "CHỦ TỊCH"),))
        sign(tmp_path / "laid.pdf", tmp_path / f"{form}.pdf", "Signatory1", plan, appearance=shown)
    assert appearances(tmp_path / "NFC.pdf") == appearances(tmp_path / "NFD.pdf")
    words = run("pdftotext", "-bbox", tmp_path / "NFD.pdf", "-").stdout
    for word in name.split():
        line = next(one for one in words.splitlines() if f">{word}</word>" in one)
        left, right = (float(line.split(f'{edge}="')[1].split('"')[0]) for edge in ("xMin", "xMax"))
        assert right - left == pytest.approx(typeface.width(word, 12), rel=0.02), "letters stand apart"


@pytest.mark.parametrize("scene", ["template", "anchors", "annex", "copy"])
def test_what_came_as_an_archive_file_stays_one(tmp_path, scene):
    """PDF/A-2b, ISO 19005-2, as far as pikepdf can tell: 6.2.2, 6.2.11, 6.3, 6.4, 6.6; no veraPDF is at hand."""
    sealed = SCENES[scene](tmp_path)
    with pikepdf.open(tmp_path / "draft.pdf") as draft, pikepdf.open(sealed) as document:
        assert document.Root.OutputIntents[0].S == "/GTS_PDFA1"
        assert document.Root.Metadata.read_bytes() == draft.Root.Metadata.read_bytes()
        with document.open_metadata() as metadata:
            assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("2", "B")
        assert "/NeedAppearances" not in document.Root.AcroForm
        assert not {"/OpenAction", "/AA", "/JavaScript", "/EmbeddedFiles"} & set(document.Root.keys())
        fonts = [each for each in document.objects if kind_of(each, "/Type") == "/FontDescriptor"]
        assert len(fonts) > 1
        assert all("/FontFile2" in each or "/FontFile3" in each for each in fonts)
        loose = {"/Type1", "/TrueType", "/Type3"}
        assert not [each for each in document.objects if kind_of(each, "/Subtype") in loose]
        images = [each for each in document.objects if kind_of(each, "/Subtype") == "/Image"]
        assert not [each for each in images if "/Alternates" in each or each.get("/Interpolate", False)]
        assert all(str(each.ColorSpace) in {"/DeviceRGB", "/DeviceGray"} for each in images)
        shown = [each for each in document.objects if kind_of(each, "/Subtype") in {"/Widget", "/Stamp"}]
        assert shown
        for each in shown:
            assert int(each.F) & 0b100100111 == 4, "printed, neither hidden nor invisible"
            assert list(each.AP.keys()) == ["/N"]
            assert not {"/A", "/AA"} & set(each.keys())


def test_a_process_reads_each_picture_of_a_province_once(monkeypatch):
    opened: list[object] = []
    really = Image.open
    monkeypatch.setattr(appearance.Image, "open", lambda file: opened.append(file) or really(file))
    pictures = []
    for number in range(396):
        drawn_one = io.BytesIO()
        Image.new("RGB", (2, 2), (number // 256, number % 256, 7)).save(drawn_one, "PNG")
        pictures.append(drawn_one.getvalue())
    for one in pictures * 2:
        appearance.check_image(one)
    assert len(opened) == len(pictures)


def kind_of(each: pikepdf.Object, key: str) -> str:
    return str(each.get(key, "")) if isinstance(each, pikepdf.Dictionary | pikepdf.Stream) else ""


if __name__ == "__main__":
    import tempfile

    for name, scene_of in SCENES.items():
        with tempfile.TemporaryDirectory() as place:
            shown = drawn(scene_of(Path(place)), Path(place)).quantize(
                64, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
            )
            shown.save(PICTURES / f"{name}.png", optimize=True)
            sys.stdout.write(f"{name}: {(PICTURES / f'{name}.png').stat().st_size}\n")
