"""Where fields lie and what lies in them: any page size, origin and rotation, forms of their own, the demo mark."""

import pikepdf
import pytest
from pikepdf import Dictionary, Name
from PIL import Image, ImageChops

import signing
from signing.contract import DEMO_MARK, Field, FieldPlan
from signing.errors import NotSignable
from tests.paper import AT, NUMBER_AND_DATE, lay, page, pdfsig_valid, run, sign_and_seal, trust

NAMES = ("Initials1", "Initials2", "Signatory1", "Signatory2", "Seal")


def resized(tmp_path, media, rotate=0):
    path = page(tmp_path / "source.pdf")
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.pages[0].obj.MediaBox = media
        document.pages[0].obj.Rotate = rotate
        document.save(path)
    return path


def test_the_default_places_are_those_of_decree_30(tmp_path):
    plan = signing.default_plan(str(page(tmp_path / "source.pdf", pages=2)), NAMES)
    signatory, seal = plan.signatures[3], plan.signatures[4]
    assert [one.name for one in plan.signatures] == list(NAMES)
    assert (plan.number.page, plan.issued_date.page, seal.page) == (0, 0, -1)
    assert plan.number.box[2] < 297 < plan.issued_date.box[0]
    covered = seal.box[2] - signatory.box[0]
    assert covered == pytest.approx((signatory.box[2] - signatory.box[0]) / 3)
    assert seal.box[2] - seal.box[0] == pytest.approx(36 / 25.4 * 72)
    assert seal.box[0] < signatory.box[0]


def test_without_a_seal_there_is_no_number(tmp_path):
    plan = signing.default_plan(str(page(tmp_path / "source.pdf")), ("Signatory1",))
    assert (plan.number, plan.issued_date) == (None, None)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("media", [(0, 0, 595, 842), (0, 0, 842, 595), (-50, 100, 150, 250), (0, 0, 2000, 3000)])
def test_places_stay_on_the_page(tmp_path, media, rotate):
    plan = signing.default_plan(str(resized(tmp_path, media, rotate)), NAMES)
    for one in (plan.number, plan.issued_date, *plan.signatures):
        x0, y0, x1, y1 = one.box
        assert media[0] <= x0 < x1 <= media[2], one
        assert media[1] <= y0 < y1 <= media[3], one


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_a_turned_page_reads_upright(tmp_path, rotate):
    """The number stands at the upper left as a reader sees the page, whichever way the sheet lies."""
    sealed = sign_and_seal(page(tmp_path / "source.pdf", rotate=rotate), tmp_path)
    found = run("pdftotext", "-bbox", sealed, "-").stdout
    line = next(one for one in found.splitlines() if "123/" in one)
    left, top = (float(line.split(f'{edge}="')[1].split('"')[0]) for edge in ("xMin", "yMin"))
    assert left < 300
    assert top < 300


def test_every_field_has_an_appearance_and_prints(tmp_path):
    lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf", names=NAMES)
    with pikepdf.open(tmp_path / "laid.pdf") as document:
        form = document.Root.AcroForm
        assert {str(one.T) for one in form.Fields} == {*NAMES, "Number", "IssuedDate"}
        assert int(form.SigFlags) == 3
        assert all(one.AP.N.Type == Name.XObject and int(one.F) & 4 for one in form.Fields)
        locks = {str(one.T): one.Lock for one in document.Root.AcroForm.Fields if "/Lock" in one}
        assert locks["Seal"].Action == Name.All
        assert locks["Signatory1"].Action == Name.Exclude
        excluded = {str(name) for name in locks["Signatory1"].Fields}
        assert excluded == {"Initials1", "Initials2", "Signatory2", "Seal", "Number", "IssuedDate"}
        assert all(int(lock.P) == 2 for lock in locks.values())


def test_the_source_is_a_prefix_and_laying_is_told(tmp_path):
    source = page(tmp_path / "source.pdf")
    plan = signing.default_plan(str(source), NAMES)
    laid = signing.lay_fields(str(source), str(tmp_path / "laid.pdf"), plan)
    data = (tmp_path / "laid.pdf").read_bytes()
    assert data.startswith(source.read_bytes())
    assert laid.size == len(data)


def test_own_form_fields_stay_and_do_not_disturb(tmp_path):
    source = page(tmp_path / "source.pdf")
    with pikepdf.open(source, allow_overwriting_input=True) as document:
        own = Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Tx,
            T="own",
            V="kept",
            F=4,
            Rect=[90, 300, 200, 320],
            DA="/F 9 Tf",
        )
        held = document.make_indirect(own)
        document.pages[0].obj.Annots = [held]
        document.Root.AcroForm = Dictionary(Fields=[held], NeedAppearances=True)
        document.save(source)
    sealed = sign_and_seal(source, tmp_path)
    verdict = signing.verify(str(sealed), trust(), at=AT)
    assert verdict.ok
    assert verdict.fills == NUMBER_AND_DATE
    assert pdfsig_valid(sealed) == 2


def test_a_name_that_is_taken_is_refused(tmp_path):
    plan = lay(page(tmp_path / "source.pdf"), tmp_path / "laid.pdf")
    with pytest.raises(NotSignable, match="Number"):
        signing.lay_fields(str(tmp_path / "laid.pdf"), str(tmp_path / "again.pdf"), plan)


@pytest.mark.parametrize(
    "signatures",
    [
        (),
        (("Seal", 0), ("Signatory1", 0)),
        (("Signatory1", 0), ("Signatory1", 0)),
        (("A.B", 0),),
        (("Signatory1", 7),),
    ],
)
def test_a_senseless_plan_is_refused(tmp_path, signatures):
    fields = tuple(Field(name=name, kind="signature", page=at, box=(10, 10, 60, 60)) for name, at in signatures)
    with pytest.raises(NotSignable):
        signing.lay_fields(str(page(tmp_path / "source.pdf")), str(tmp_path / "laid.pdf"), FieldPlan(signatures=fields))


def test_the_mark_lies_across_every_page_and_leaves_it_legible(tmp_path):
    source = page(tmp_path / "source.pdf", pages=2)
    sealed = sign_and_seal(source, tmp_path, mark=DEMO_MARK)
    assert signing.verify(str(sealed), trust(), at=AT).ok
    for name in ("source", "laid"):
        run("pdftoppm", "-r", 40, "-png", tmp_path / f"{name}.pdf", tmp_path / name)
    for number in (1, 2):
        before, after = (Image.open(tmp_path / f"{name}-{number}.png").convert("L") for name in ("source", "laid"))
        left, top, right, bottom = ImageChops.difference(before, after).getbbox()
        assert right - left > 0.6 * before.width
        assert bottom - top > 0.6 * before.height
        darkened = sum(ImageChops.difference(before, after).histogram()[1:]) / (before.width * before.height)
        assert darkened < 0.12


def test_vietnamese_can_be_copied_out(tmp_path):
    sealed = sign_and_seal(page(tmp_path / "source.pdf"), tmp_path)
    text = run("pdftotext", sealed, "-").stdout
    assert "123/QĐ-UBND" in text
    assert "Thử Nghiệm, ngày 20 tháng 11 năm 2026" in text
    assert "Thời gian ký: 20.11.2026" in text
