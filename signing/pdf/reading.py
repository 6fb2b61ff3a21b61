"""Opening a PDF with pyHanko for reading or for one incremental revision, always on a private copy in memory."""

import hashlib
import io
import re
from typing import Any, Final

from pyhanko.pdf_utils.generic import (
    DictionaryObject,
    IndirectObject,
    PdfObject,
    Reference,
    pdf_name,
    pdf_string,
    read_object,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError, read_non_whitespace
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.xref import read_object_header

from signing.errors import NotSignable

Box = tuple[float, float, float, float]
DEFAULT_PAGE: Box = (0.0, 0.0, 612.0, 792.0)
"""What viewers take where a page names no media box."""


class RevisionWriter(IncrementalPdfFileWriter):
    """Writes one revision and leaves /Info and XMP alone: a signature changes nothing that it does not have to."""

    IO_CHUNK_SIZE = 1 << 20

    def _update_meta(self) -> None:
        """Keep the document's metadata as its author wrote it."""


_LONG: Final = re.compile(rb"\d{1,10} \d{1,5} obj(?:(?!endobj|stream)[^<]|<<)*+<([0-9A-Fa-f]{1024,})>")
_STAND_IN: Final = hashlib.sha256(b"what stands in for a long string while the rest is read").hexdigest().encode()
_REST: Final = 1 << 16
"""How much of an object may follow its long string."""


class QuickReader(PdfFileReader):
    """Reads the /Contents of a signature at once; pyHanko takes it digit by digit, which is a third of a verification.

    The object is read by pyHanko with a short string in its place. Where that does not end in the same dictionary,
    pyHanko reads it as it stands.
    """

    def __init__(self, data: bytes, *, strict: bool) -> None:
        self._data = data
        super().__init__(io.BytesIO(data), strict=strict)

    def _read_object(
        self, ref: Reference, marker: Any, never_decrypt: bool = False, as_metadata_stream: bool = False
    ) -> Any:
        found = _LONG.match(self._data, marker) if isinstance(marker, int) and not self.encrypted else None
        if found is not None and (quick := self._shortened(ref, marker, found)) is not None:
            return quick
        return super()._read_object(ref, marker, never_decrypt, as_metadata_stream)

    def _shortened(self, ref: Reference, start: int, found: re.Match[bytes]) -> DictionaryObject | None:
        before, behind = self._data[start : found.start(1)], self._data[found.end(1) : found.end(1) + _REST]
        stream = io.BytesIO(before + _STAND_IN + behind)
        try:
            if read_object_header(stream, strict=self.strict) != (ref.idnum, ref.generation):
                return None
            held: Any = read_object(stream, Reference(ref.idnum, ref.generation, self))
            read_non_whitespace(stream, seek_back=True)
        except (PdfError, ValueError, IndexError, KeyError):
            return None
        whole = stream.read(6) == b"endobj" and type(held) is DictionaryObject
        if not whole or dict.get(held, pdf_name("/Contents")) != pdf_string(bytes.fromhex(_STAND_IN.decode())):
            return None
        digits = found[1].decode()
        held[pdf_name("/Contents")] = pdf_string(bytes.fromhex(digits + "0" * (len(digits) % 2)))
        return held


def open_for_reading(data: bytes) -> PdfFileReader:
    """Open strictly, or leniently where real files need it."""
    try:
        return QuickReader(data, strict=True)
    except PdfError:
        return QuickReader(data, strict=False)


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
