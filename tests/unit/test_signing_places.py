"""Places chosen on an uploaded draft: by a text on the page, by a form field, by coordinates; and what is refused."""

import unicodedata

import pikepdf
import pytest

import signing
from signing.contract import Placing
from signing.errors import NotSignable
from signing.pdf import anchors
from signing.pdf.bounded import BoundedPool
from tests.paper import lay, page, pdfsig_valid, sign
from tests.unit.test_signing_stamps import DRAFT, typeset

SET = '#set page(paper: "a4", margin: 60pt)\n#set text(font: "Liberation Serif", size: 13pt)\n'


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    return typeset(DRAFT, tmp_path_factory.mktemp("draft") / "draft.pdf")


def only(source, **wanted):
    """Return the one place that was wanted."""
    plan = signing.find_places(str(source), (Placing(**{"field": "Signatory1"} | wanted),))
    (found,) = [each for each in (plan.number, plan.issued_date, *plan.signatures) if each]
    return found


def raw(path, commands, rotate=0, media=(0, 0, 595.28, 841.89)):
    """Write a page from its commands, in Helvetica."""
    page(path)
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.pages[0].obj.Contents = document.make_stream(commands)
        document.pages[0].obj.Rotate = rotate
        document.pages[0].obj.MediaBox = media
        document.save(path)
    return path


def middle(box):
    return ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


@pytest.mark.parametrize("anchor", ["CHỦ TỊCH", "CHỦTỊCH", "C H Ủ  T Ị C H", unicodedata.normalize("NFD", "CHỦ TỊCH")])
def test_letters_set_apart_are_one_word_however_it_is_typed(draft, anchor):
    found = only(draft, anchor=anchor, side="below")
    assert found.page == 0
    assert found.titled
    assert found.box[2] - found.box[0] == 150
    again = only(draft, anchor="Nguyễn Văn Ký", side="above")
    assert middle(found.box)[0] == pytest.approx(middle(again.box)[0], abs=6), "title and name are centred"
    assert found.box[3] > again.box[1]


@pytest.mark.parametrize(
    "commands",
    [
        b"BT /F 14 Tf 90 600 Td (Giam doc) Tj ET",
        b"BT /F 14 Tf 6 Tc 90 600 Td (Giam doc) Tj ET",
        b"BT /F 14 Tf 90 600 Td [(Gi) -900 (am) 40 ( d) -2000 (oc)] TJ ET",
        b"BT /F 14 Tf 90 600 Td (Gi) Tj ET BT /F 9 Tf 300 100 Td (khac) Tj ET BT /F 14 Tf 104 600 Td (am doc) Tj ET",
        b"BT /F 14 Tf 116 600 Td (doc) Tj ET BT /F 14 Tf 90 600 Td (Giam) Tj ET",
    ],
    ids=["whole", "character spacing", "kerned runs", "another text between", "back to front"],
)
def test_a_text_is_found_however_its_file_cuts_it(tmp_path, commands):
    found = only(raw(tmp_path / "raw.pdf", commands), anchor="Giam doc")
    assert 80 < middle(found.box)[0] < 200
    assert middle(found.box)[1] == pytest.approx(605, abs=3)


@pytest.mark.parametrize(
    ("rotate", "upright", "axis", "onward"),
    [(0, b"1 0 0 1", 0, 1), (90, b"0 1 -1 0", 1, 1), (180, b"-1 0 0 -1", 0, -1), (270, b"0 -1 1 0", 1, -1)],
)
def test_a_place_keeps_its_side_on_a_turned_page_of_any_origin(tmp_path, rotate, upright, axis, onward):
    commands = b"BT /F 14 Tf %s 290 500 Tm (Ky ten) Tj ET" % upright
    found = only(
        raw(tmp_path / "raw.pdf", commands, rotate, (-50, 100, 650, 900)), anchor="Ky ten", side="right", size=(60, 40)
    )
    where, start = middle(found.box), (290, 500)
    assert 40 < (where[axis] - start[axis]) * onward < 90, "behind the text as a reader sees it"
    assert where[1 - axis] == pytest.approx(start[1 - axis], abs=8), "and on its line"
    wide = found.box[2 + axis] - found.box[axis]
    assert wide == 60


def test_number_and_date_stand_on_the_line_of_the_words_before_them(draft):
    plan = signing.find_places(
        str(draft), (Placing(field="Number", anchor="Số:"), Placing(field="IssuedDate", anchor="Kinh Bắc,"))
    )
    assert plan.number.kind == plan.issued_date.kind == "text"
    assert plan.signatures == ()
    assert plan.number.box[3] - plan.number.box[1] == 18
    assert plan.number.box[0] < 297 < plan.issued_date.box[0]


def test_what_is_not_chosen_goes_to_its_usual_place(draft):
    found = signing.find_places(str(draft), (Placing(field="Number", anchor="Số:"),))
    usual = signing.default_plan(str(draft), ("Signatory1", "Seal"))
    plan = signing.default_plan(str(draft), ("Signatory1", "Seal"), "document", found)
    assert plan.signatures == usual.signatures
    assert (plan.number, plan.issued_date) == (found.number, usual.issued_date)


def test_one_of_several_is_named_by_its_page_or_order(tmp_path):
    source = typeset(SET + "Ký nháy #v(50pt) Ký nháy #pagebreak() Ký nháy", tmp_path / "many.pdf")
    with pytest.raises(NotSignable) as refused:
        only(source, anchor="Ký nháy")
    assert "3 chỗ (trang 1, 1, 2)" in refused.value.vi
    assert "occurrence or page" in refused.value.en
    places = [only(source, anchor="Ký nháy", occurrence=n) for n in (1, 2, 3, -1)]
    assert [each.page for each in places] == [0, 0, 1, 1]
    assert places[0].box[1] > places[1].box[1], "from top to bottom"
    assert places[2] == places[3] == only(source, anchor="Ký nháy", page=-1)
    for wrong in ({"occurrence": 4}, {"occurrence": 0}, {"occurrence": -4}, {"page": 0}):
        with pytest.raises(NotSignable):
            only(source, anchor="Ký nháy", **wrong)


@pytest.mark.parametrize(
    ("source", "anchor"),
    [("draft", "PHÓ CHỦ TỊCH"), ("draft", "THÔNG BÁO Lorem"), ("scan", "CHỦ TỊCH"), ("draft", " \u00a0\u200b ")],
    ids=["another word", "over two lines", "no text at all", "nothing asked for"],
)
def test_what_is_not_there_is_refused_with_what_to_do(tmp_path, draft, source, anchor):
    given = draft if source == "draft" else raw(tmp_path / "scan.pdf", b"0 0 100 100 re f")
    with pytest.raises(NotSignable) as refused:
        only(given, anchor=anchor)
    if anchor.strip("\u200b \u00a0"):
        assert "tọa độ" in refused.value.vi
        assert "Signatory1" in refused.value.vi
        assert anchor not in refused.value.vi + refused.value.en, "an anchor may name a person"


def test_a_form_fields_place_is_taken_and_the_field_left_alone(tmp_path):
    source = page(tmp_path / "form.pdf", pages=2)
    with pikepdf.open(source, allow_overwriting_input=True) as document:
        box = [100, 100, 260, 160]
        widget = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Widget, FT=pikepdf.Name.Tx, T="ChuKy", Rect=box
        )  # fmt: skip
        made = document.make_indirect(widget)
        document.pages[1].obj.Annots = pikepdf.Array([made])
        document.Root.AcroForm = pikepdf.Dictionary(Fields=[made])
        document.save(source)
    found = only(source, form_field="ChuKy")
    assert (found.page, found.box) == (1, (100, 100, 260, 160))
    with pytest.raises(NotSignable):
        only(source, form_field="ChuKi")
    plan = signing.default_plan(str(source), ("Signatory1", "Seal"), "document", signing.find_places(
        str(source), (Placing(field="Signatory1", form_field="ChuKy"),)))  # fmt: skip
    signing.lay_fields(str(source), str(tmp_path / "laid.pdf"), plan)
    sign(tmp_path / "laid.pdf", tmp_path / "signed.pdf", "Signatory1", plan)
    assert sign(tmp_path / "signed.pdf", tmp_path / "sealed.pdf", "Seal", plan, who="seal").verdict.ok
    assert pdfsig_valid(tmp_path / "sealed.pdf") == 2


def test_coordinates_must_lie_on_their_page(draft):
    assert only(draft, page=0, box=(10, 20, 110, 60)).box == (10, 20, 110, 60)
    for wrong in ({"page": 5}, {"box": (500, 20, 700, 60)}, {"box": (50, 60, 50, 60)}, {"box": (10, 20, 11, 21)}):
        with pytest.raises(NotSignable):
            only(draft, **({"page": 0, "box": (10, 20, 110, 60)} | wrong))


def test_a_place_is_chosen_once_and_in_one_way(draft):
    for wrong in ({}, {"anchor": "CHỦ TỊCH", "box": (1, 2, 30, 40)}, {"anchor": "CHỦ TỊCH", "form_field": "x"}):
        with pytest.raises(NotSignable):
            only(draft, **wrong)
    twice = Placing(field="Number", anchor="Số:")
    with pytest.raises(NotSignable):
        signing.find_places(str(draft), (twice, twice))


async def test_texts_are_looked_for_in_the_bounded_process(draft):
    pool = BoundedPool(1)
    try:
        wanted = (Placing(field="Signatory1", anchor="CHỦ TỊCH"),)
        plan = await pool.run(signing.find_places, str(draft), wanted, timeout_s=30)
        assert plan == signing.find_places(str(draft), wanted)
        with pytest.raises(NotSignable):
            await pool.run(signing.find_places, str(draft), (Placing(field="Seal", anchor="?"),), timeout_s=30)
    finally:
        await pool.close()


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "none.pdf").write_bytes(b"%PDF-1.7\nnothing")
    with pytest.raises(signing.SigningError):
        only(tmp_path / "none.pdf", anchor="CHỦ TỊCH")


def test_a_place_may_be_found_on_what_has_been_laid_before(tmp_path):
    """A text field that we lay shows nothing yet, so it hides no text."""
    lay(page(tmp_path / "source.pdf", "Ky ten"), tmp_path / "laid.pdf")
    assert only(tmp_path / "laid.pdf", anchor="Ky ten").page == 0


def test_folding_keeps_what_tells_letters_apart():
    assert anchors.folded("Số: ") == anchors.folded("S ố:")
    assert anchors.folded("So:") != anchors.folded("Số:")
    assert anchors.folded("Đ") != anchors.folded("D")
