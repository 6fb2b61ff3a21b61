"""Opening a PDF with pyHanko for reading or for one incremental revision, always on a private copy in memory."""

import io
from typing import Any

from pyhanko.pdf_utils.generic import DictionaryObject, IndirectObject, PdfObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

from signing.errors import NotSignable

Box = tuple[float, float, float, float]
DEFAULT_PAGE: Box = (0.0, 0.0, 612.0, 792.0)
"""What viewers take where a page names no media box."""


class RevisionWriter(IncrementalPdfFileWriter):
    """Writes one revision and leaves /Info and XMP alone: a signature changes nothing that it does not have to."""

    IO_CHUNK_SIZE = 1 << 20

    def _update_meta(self) -> None:
        """Keep the document's metadata as its author wrote it."""


def open_for_reading(data: bytes) -> PdfFileReader:
    """Open strictly, or leniently where real files need it."""
    try:
        return PdfFileReader(io.BytesIO(data), strict=True)
    except PdfError:
        return PdfFileReader(io.BytesIO(data), strict=False)


def open_for_revision(data: bytes) -> tuple[RevisionWriter, io.BytesIO]:
    """Return a writer and the buffer to which `write_in_place` appends; the caller's bytes stay as they are."""
    reader = open_for_reading(data)
    if reader.encrypted:
        raise NotSignable("Tệp có mật khẩu hoặc bị mã hóa", "The file is encrypted")
    return RevisionWriter(reader.stream, prev=reader), reader.stream


def page_box(page: Any) -> Box:
    """Return what a viewer shows of a page: the crop box inside the media box, US Letter where a file names neither."""
    media = _box(_inherited(page, "/MediaBox"))
    crop = _box(_inherited(page, "/CropBox"))
    if media is None:
        return crop or DEFAULT_PAGE
    if crop is None:
        return media
    cut = (max(media[0], crop[0]), max(media[1], crop[1]), min(media[2], crop[2]), min(media[3], crop[3]))
    return cut if cut[0] < cut[2] and cut[1] < cut[3] else media


def page_rotation(page: Any) -> int:
    """Return by how many degrees clockwise a viewer turns a page: 0, 90, 180 or 270."""
    turned = _inherited(page, "/Rotate")
    try:
        return int(turned or 0) % 360 // 90 * 90
    except (TypeError, ValueError):
        return 0


def _inherited(page: Any, key: str) -> Any:
    node = page
    for _ in range(64):
        if not isinstance(node, DictionaryObject):
            return None
        if key in node:
            return node[key]
        if "/Parent" not in node:
            return None
        node = node["/Parent"]
    return None


def _box(raw: Any) -> Box | None:
    try:
        x0, y0, x1, y1 = (float(value.get_object()) for value in raw)
    except (TypeError, ValueError):
        return None
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return box if box[2] - box[0] > 1 and box[3] - box[1] > 1 else None


def look(holder: Any, key: str, default: Any = None) -> Any:
    """Return a dictionary's entry with its reference followed, since pyHanko's own `get` does not follow it."""
    try:
        return holder[key]
    except (KeyError, TypeError):
        return default


class _Ready(PdfObject):
    """An object whose bytes are made already, references included."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def write_to_stream(self, stream: Any, handler: Any = None, container_ref: Any = None) -> None:
        """Write the bytes as they are; files with encryption, which would need another form, are refused before."""
        _ = handler, container_ref
        stream.write(self._body)


class Sheet:
    """What appearances are drawn on in a revision that pyHanko writes."""

    def __init__(self, writer: RevisionWriter) -> None:
        self._writer = writer

    def add(self, body: bytes) -> int:
        """Take an object's bytes and return its number."""
        return self._writer.add_object(_Ready(body)).idnum

    def reference(self, number: int) -> IndirectObject:
        """Return a reference to an object of this sheet."""
        return IndirectObject(number, 0, self._writer)
