"""What a scan must be to be sealed as a digitised paper or a copy (Decree 30/2020, Appendix I)."""

import pikepdf
import pytest
from PIL import Image

import signing
from signing.errors import NotSignable, UnreadableFile
from signing.pdf.reading import DEFAULT_PAGE
from tests.paper import page

A4_INCHES = (8.27, 11.69)


def scanned(path, mode="RGB", dpi=200, pages=1):
    """Write a scan of A4 sheets."""
    size = tuple(round(edge * dpi) for edge in A4_INCHES)
    sheet = Image.radial_gradient("L").resize(size).convert(mode)
    sheet.save(path, "PDF", resolution=dpi, save_all=True, append_images=[sheet] * (pages - 1))
    return path


@pytest.mark.parametrize(("mode", "dpi"), [("RGB", 200), ("RGB", 300), ("P", 200)])
def test_a_scan_in_colour_and_fine_enough_is_taken(tmp_path, mode, dpi):
    signing.check_scan(str(scanned(tmp_path / "scan.pdf", mode, dpi)))


@pytest.mark.parametrize(("mode", "dpi"), [("RGB", 150), ("L", 300), ("1", 300)], ids=["coarse", "grey", "bitonal"])
def test_a_scan_that_is_not_is_refused_with_what_to_set(tmp_path, mode, dpi):
    with pytest.raises(NotSignable) as refused:
        signing.check_scan(str(scanned(tmp_path / "scan.pdf", mode, dpi, pages=2)))
    assert "trang 1, 2" in refused.value.vi
    assert "chế độ màu, từ 200 dpi" in refused.value.vi


def test_what_was_not_scanned_is_not_judged_as_a_scan(tmp_path):
    signing.check_scan(str(page(tmp_path / "typed.pdf")))
    coarse = scanned(tmp_path / "scan.pdf", dpi=100)
    with pikepdf.open(coarse, allow_overwriting_input=True) as document:
        document.pages[0].obj.MediaBox = [0, 0, DEFAULT_PAGE[2] * 3, DEFAULT_PAGE[3] * 3]
        document.save(coarse)
    signing.check_scan(str(coarse))


def test_a_background_may_be_coarse_where_the_writing_is_fine(tmp_path):
    """Scanners lay a fine mask over a coarse coloured background (mixed raster content)."""
    scan = scanned(tmp_path / "scan.pdf", "RGB", 100)
    mask = scanned(tmp_path / "mask.pdf", "1", 300)
    with pikepdf.open(scan, allow_overwriting_input=True) as document, pikepdf.open(mask) as over:
        document.pages[0].add_overlay(over.pages[0])
        document.save(tmp_path / "both.pdf")
    signing.check_scan(str(tmp_path / "both.pdf"))


def test_a_file_that_is_none_cannot_be_read(tmp_path):
    (tmp_path / "none.pdf").write_bytes(b"%PDF-1.7 nothing")
    with pytest.raises(UnreadableFile):
        signing.check_scan(str(tmp_path / "none.pdf"))
