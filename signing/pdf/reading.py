"""Opening a PDF with pyHanko for reading or for one incremental revision; the bytes given are never changed."""

import hashlib
import io
import os
import re
from typing import Any, Final

from pyhanko.pdf_utils.generic import (
    DictionaryObject,
    IndirectObject,
    PdfObject,
    Reference,
    StreamObject,
    pdf_name,
    pdf_string,
    read_object,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError, PdfReadError, read_non_whitespace
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
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

    def let_go(self) -> None:
        """Part with the file's bytes, once the revision is written; see `QuickReader.let_go`."""
        prev: Any = self.prev
        prev.let_go()
        self.input_stream = io.BytesIO()


_LONG: Final = re.compile(rb"\d{1,10} \d{1,5} obj(?:(?!endobj|stream)[^<]|<<)*+<([0-9A-Fa-f]{1024,})>")
_STAND_IN: Final = hashlib.sha256(b"what stands in for a long string while the rest is read").hexdigest().encode()
_REST: Final = 1 << 16
"""How much of an object may follow its long string, or stand before its stream."""
_STREAM: Final = re.compile(rb"(\d{1,10} \d{1,5} obj\s*<<(?:(?!endobj|stream)[\x00-\xff])*+)stream\r?\n")
_STREAM_ENDS: Final = re.compile(rb"\s*endstream\s*endobj")
_UNDECODED: Final = frozenset({"/FlateDecode", "/DCTDecode", "/JPXDecode", "/CCITTFaxDecode", "/JBIG2Decode", "/Image"})
"""Filters whose decoder takes any bytes-like object, or that pyHanko does not decode at all; pictures without one."""


_TAIL: Final = 2048
"""How far from a file's end the offset of its last table stands; the mark behind it is in the last 1,024 bytes."""
_ENDS: Final = re.compile(rb"[\r\n]startxref\s*\d+\s*[\r\n]%%EOF")
_LARGE: Final = 8 << 20
"""From how many bytes on a file is not copied to be written behind."""
_SMALL: Final = 1 << 20
"""Up to how many bytes a file's streams are copied without a thought."""
_KEPT: Final = 1 << 16
"""How large a stream may be to be kept once it was read."""


class Overlay(io.RawIOBase):
    """A stream over a file's bytes and what is written behind them, which are never put together in one piece."""

    def __init__(self, base: bytes | memoryview, tail: bytes = b"") -> None:
        super().__init__()
        self._base = memoryview(base)
        self._at = 0
        self.tail = bytearray(tail)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go somewhere; counted from the start, from here, or from the end."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._base) + len(self.tail)}[whence]
        if origin + offset < 0:
            raise OSError("before the start")
        self._at = origin + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def writable(self) -> bool:
        """Say that it can be written, behind the base."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Read on; all that is left by default."""
        whole = len(self._base)
        end = whole + len(self.tail)
        stop = end if size is None or size < 0 else min(self._at + size, end)
        start, self._at = self._at, max(stop, self._at)
        if stop <= whole:
            return self._base[start:stop].tobytes()
        return self._base[start:whole].tobytes() + bytes(self.tail[max(start - whole, 0) : stop - whole])

    def readinto(self, buffer: Any, /) -> int:
        """Read on into a buffer."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def write(self, data: Any, /) -> int:
        """Write behind the base; the base itself is nobody's to change."""
        place = self._at - len(self._base)
        if place < 0:
            raise OSError("within the base")
        self.tail[place : place + len(data)] = data
        self._at += len(data)
        return len(data)


def _is_worth_keeping(held: Any) -> bool:
    return not isinstance(held, StreamObject) or len(held.encoded_data) <= _KEPT


class _Sparing(dict[Any, Any]):
    """A cache without pictures."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if _is_worth_keeping(value):
            super().__setitem__(key, value)


class QuickReader(PdfFileReader):
    """Reads the /Contents of a signature at once; pyHanko takes it digit by digit, which is a third of a verification.

    The object is read by pyHanko with a short string in its place. Where that does not end in the same dictionary,
    pyHanko reads it as it stands. A large stream that nobody decodes is not copied: it is a view on the file.

    A file that does not end as the format asks is refused before pyHanko looks for its last lines byte by byte: where
    there is no line's end it would go back through the whole file, half a second for each megabyte.
    """

    def __init__(
        self, data: bytes | memoryview, *, strict: bool, behind: bytes = b"", to_be_written: bool = False
    ) -> None:
        if not _ENDS.search((bytes(data[-_TAIL:]) + behind)[-_TAIL:]):
            raise PdfReadError("no startxref and %%EOF at the end")
        self._data = data
        apart = behind or (to_be_written and len(data) >= _LARGE)
        super().__init__(Overlay(data, behind) if apart else io.BytesIO(data), strict=strict)

    def let_go(self) -> None:
        """Part with the file's bytes: a reader and what it read hold each other until the collector comes by."""
        self._data = b""
        self.stream = io.BytesIO()

    def cache_indirect_object(self, generation: int, idnum: int, obj: Any) -> None:
        """Keep what was read, but no picture: together they are as large as the file."""
        if _is_worth_keeping(obj):
            super().cache_indirect_object(generation, idnum, obj)

    def get_historical_resolver(self, revision: int) -> HistoricalResolver:
        """Return the file as it was, in a view that keeps no pictures either."""
        held = super().get_historical_resolver(revision)
        if not isinstance(held.cache, _Sparing):
            held.cache = _Sparing()
        return held

    def _read_object(
        self, ref: Reference, marker: Any, never_decrypt: bool = False, as_metadata_stream: bool = False
    ) -> Any:
        if isinstance(marker, int) and not (self.encrypted or as_metadata_stream):
            found = _LONG.match(self._data, marker)
            quick = self._large(ref, marker) if found is None else self._shortened(ref, marker, found)
            if quick is not None:
                return quick
        return super()._read_object(ref, marker, never_decrypt, as_metadata_stream)

    def _large(self, ref: Reference, start: int) -> StreamObject | None:
        """Return a large stream as a view on the file, if it is as plain as most are."""
        found = _STREAM.match(self._data, start, start + _REST) if len(self._data) > _SMALL else None
        if found is None:
            return None
        try:
            head = io.BytesIO(found[1])
            if read_object_header(head, strict=self.strict) != (ref.idnum, ref.generation):
                return None
            held: Any = read_object(head, Reference(ref.idnum, ref.generation, self))
            length: Any = dict.get(held, pdf_name("/Length"))
            length = self.get_object(length.reference) if isinstance(length, IndirectObject) else length
        except (PdfError, ValueError, IndexError, KeyError):
            return None
        begins, kind = found.end(), dict.get(held, pdf_name("/Filter"), dict.get(held, pdf_name("/Subtype")))
        plain = isinstance(length, int) and length > _KEPT and isinstance(kind, str) and kind in _UNDECODED
        if not plain or head.read().strip() or not _STREAM_ENDS.match(self._data, begins + length):
            return None
        content: Any = memoryview(self._data)[begins : begins + length]
        stream = StreamObject(dict(held), encoded_data=content)
        stream.container_ref = held.container_ref
        return stream

    def _shortened(self, ref: Reference, start: int, found: re.Match[bytes]) -> DictionaryObject | None:
        before, behind = self._data[start : found.start(1)], self._data[found.end(1) : found.end(1) + _REST]
        stream = io.BytesIO(b"".join((before, _STAND_IN, behind)))
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


def open_for_reading(data: bytes | memoryview, behind: bytes = b"", *, to_be_written: bool = False) -> QuickReader:
    """Open a file, and what stands behind it, strictly, or leniently where real files need it."""
    try:
        return QuickReader(data, strict=True, behind=behind, to_be_written=to_be_written)
    except PdfError:
        return QuickReader(data, strict=False, behind=behind, to_be_written=to_be_written)


def open_for_revision(data: bytes) -> tuple[RevisionWriter, io.BytesIO | Overlay]:
    """Return a writer and the stream to which `write_in_place` appends; the caller's bytes stay as they are."""
    reader = open_for_reading(data, to_be_written=True)
    if reader.encrypted:
        raise NotSignable("Tệp có mật khẩu hoặc bị mã hóa", "The file is encrypted")
    return RevisionWriter(reader.stream, prev=reader), reader.stream


def written(stream: io.BytesIO | Overlay, base_size: int) -> bytes:
    """Return what a revision wrote behind its base."""
    return bytes(stream.tail if isinstance(stream, Overlay) else stream.getbuffer()[base_size:])


def page_box(page: Any) -> Box:
    """Return what a viewer shows of a page: the crop box inside the media box, US Letter where a file names neither."""
    media = _box(inherited(page, "/MediaBox"))
    crop = _box(inherited(page, "/CropBox"))
    if media is None:
        return crop or DEFAULT_PAGE
    if crop is None:
        return media
    cut = (max(media[0], crop[0]), max(media[1], crop[1]), min(media[2], crop[2]), min(media[3], crop[3]))
    return cut if cut[0] < cut[2] and cut[1] < cut[3] else media


def page_rotation(page: Any) -> int:
    """Return by how many degrees clockwise a viewer turns a page: 0, 90, 180 or 270."""
    turned = inherited(page, "/Rotate")
    try:
        return int(turned or 0) % 360 // 90 * 90
    except (TypeError, ValueError):
        return 0


def inherited(page: Any, key: str) -> Any:
    """Return a page's entry, or that of the nearest node above it; None where there is none."""
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
