"""Whether a scan is as Decree 30/2020, Appendix I wants digitised papers and copies: in colour, 200 dpi or more.

PDFium tells of each picture how fine it lies on the page; for the bounded process pool. A page that no picture covers
for the better part was not scanned and is not judged. Whether it was scanned at 100 % of its size, no file tells.
"""

from typing import Any, Final

from signing.errors import NotSignable, UnreadableFile
from signing.pdf.files import read

LEAST_DPI: Final = 200
_ROUNDED: Final = 5
"""By how much scanners round the size of a page."""
_COVERS: Final = 0.5
_SAYS_NO_MORE: Final = 20


def check(source: str) -> None:
    """Refuse a scan that is too coarse or not in colour.

    Raises:
        NotSignable: with the pages, and what to set on the scanner.
        UnreadableFile: PDFium cannot read the file.
    """
    import pypdfium2  # noqa: PLC0415  a library of 7 MB, for scans and searched drafts alone

    try:
        document = pypdfium2.PdfDocument(read(source))
    except pypdfium2.PdfiumError as error:
        raise UnreadableFile("Không đọc được ảnh quét trong tệp", "The scan in this file cannot be read") from error
    coarse: list[int] = []
    colourless: list[int] = []
    try:
        for number in range(1, len(document) + 1):
            pictures = _pictures(document[number - 1])
            if pictures and max(dpi for dpi, _ in pictures) < LEAST_DPI - _ROUNDED:
                coarse.append(number)
            if pictures and not any(colour for _, colour in pictures):
                colourless.append(number)
    finally:
        document.close()
    if not coarse and not colourless:
        return
    pages = ", ".join(str(number) for number in sorted({*coarse, *colourless})[:_SAYS_NO_MORE])
    raise NotSignable(
        f"Bản quét chưa đạt tiêu chuẩn số hóa (trang {pages}): hãy quét lại ở chế độ màu, từ {LEAST_DPI} dpi, "
        "tỷ lệ 100 %",
        f"The scan is not as digitised papers must be (pages {pages}): scan again in colour, at {LEAST_DPI} dpi "
        "or more, in full size",
    )


def _pictures(page: Any) -> list[tuple[float, bool]]:
    """Return the resolution of each picture that covers the page for the better part, and whether it is in colour."""
    from pypdfium2 import raw  # noqa: PLC0415  see check

    wide, high = page.get_size()
    found: list[tuple[float, bool]] = []
    for picture in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = picture.get_bounds()
        if (right - left) * (top - bottom) < wide * high * _COVERS:
            continue
        told = raw.FPDF_IMAGEOBJ_METADATA()
        if raw.FPDFImageObj_GetImageMetadata(picture, page, told):
            several = told.bits_per_pixel > 8 or told.colorspace == raw.FPDF_COLORSPACE_INDEXED
            found.append((min(told.horizontal_dpi, told.vertical_dpi), several))
    page.close()
    return found
