"""Whether a rewriting shows the same pages: a comparison of what two independent readers find, instead of pictures.

Pictures of all pages would cost seconds per file and need a renderer. What decides how a page looks are its boxes, its
turn, its drawing instructions, the objects that those name, and the looks of its annotations. They are compared page by
page: as qpdf reads the original and the rewriting, and, where pyHanko can read the original at all, as pyHanko reads
it. The latter matters for files with broken or double cross-references, in which two readers may see two documents.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

import pikepdf
from pyhanko.pdf_utils import generic

from signing.contract import Problem
from signing.pdf import findings
from signing.pdf.fields import pages_of
from signing.pdf.files import read
from signing.pdf.reading import DEFAULT_PAGE, QuickReader, inherited, look

_INHERITED: Final = ("/MediaBox", "/CropBox", "/Rotate", "/Resources")
_SHOWN_OF_NOTES: Final = ("/Subtype", "/Rect", "/F", "/AP", "/AS", "/OC")
_SAYS_NOTHING: Final = frozenset(
    {"/Parent", "/P", "/Metadata", "/PieceInfo", "/LastModified", "/StructParent", "/StructParents"}
    | {"/Length", "/Filter", "/DecodeParms", "/DL"}
)
_DEEPEST: Final = 60

Digest = bytes


def difference(before: str, after: str) -> Problem | None:
    """Return what to say if the rewriting may show something else than the original."""
    try:
        same = _by_qpdf(before, _decoded) == _by_qpdf(after, _decoded)
        other = _by_pyhanko(before)
        agreed = other is None or other == _by_qpdf(before, _stored)
    except (pikepdf.PdfError, RuntimeError, ValueError) as error:
        return findings.unreadable(error)
    return None if same and agreed else findings.LOOKS_DIFFERENT


def _by_qpdf(path: str, content: Callable[[pikepdf.Stream], Digest]) -> list[Digest]:
    """Return the pages as qpdf reads them; a rewriting may store a stream otherwise, so there it is decoded."""
    with warnings.catch_warnings(action="ignore"), pikepdf.open(path) as document:
        model = _Qpdf(content)
        return [model.page(page.obj) for page in document.pages]


def _by_pyhanko(path: str) -> list[Digest] | None:
    """Return the pages as pyHanko reads them; None where it cannot, which nobody can then compare."""
    try:
        reader = QuickReader(read(path), strict=False)
        model = _PyHanko()
        try:
            return [model.page(page) for _, page in pages_of(reader)]
        finally:
            reader.let_go()
    except Exception:  # noqa: BLE001  broken files raise anything
        return None


class _Model:
    """Digests of objects, the same for the same object whichever library holds it."""

    def __init__(self) -> None:
        self._known: dict[Any, Digest] = {}

    def page(self, page: Any) -> Digest:
        """Return the digest of everything that decides how a page looks."""
        parts = [self.of(self.inherited(page, key)) for key in _INHERITED]
        parts += [self.of(self.entry(page, "/Group")), _digest(b"c", *self.contents(page))]
        for note in self.listed(self.entry(page, "/Annots")):
            parts += [self.of(self.entry(note, key)) for key in _SHOWN_OF_NOTES]
        return _digest(b"p", *parts)

    def of(self, held: Any, depth: int = 0) -> Digest:
        """Return an object's digest; what leads back to itself counts as nothing there."""
        mark = self.mark(held)
        if mark is not None:
            if mark in self._known:
                return self._known[mark]
            self._known[mark] = b"again"
        found = self.fresh(held, depth) if depth < _DEEPEST else b"deep"
        if mark is not None:
            self._known[mark] = found
        return found

    def dictionary(self, entries: Iterable[tuple[str, Any]], depth: int) -> Digest:
        """Return the digest of a dictionary's entries that say something of its look."""
        parts: list[bytes] = []
        for key, value in sorted(entries, key=lambda entry: entry[0]):
            if key not in _SAYS_NOTHING:
                parts += [key.encode(), self.of(value, depth + 1)]
        return _digest(b"d", *parts)

    mark: Callable[[Any], Any]
    fresh: Callable[[Any, int], Digest]
    entry: Callable[[Any, str], Any]
    inherited: Callable[[Any, str], Any]
    contents: Callable[[Any], Iterable[bytes]]
    listed: Callable[[Any], Iterable[Any]]


class _Qpdf(_Model):
    def __init__(self, content: Callable[[pikepdf.Stream], Digest]) -> None:
        super().__init__()
        self._content = content

    def mark(self, held: Any) -> Any:
        return held.objgen if isinstance(held, pikepdf.Object) and held.is_indirect else None

    def entry(self, held: Any, key: str) -> Any:
        return held.get(key) if isinstance(held, (pikepdf.Dictionary, pikepdf.Stream)) else None

    def inherited(self, page: Any, key: str) -> Any:
        node = page
        for _ in range(_DEEPEST):
            if node is None or key in node:
                break
            node = node.get("/Parent")
        return None if node is None else node.get(key)

    def listed(self, held: Any) -> Iterable[Any]:
        return list(held) if isinstance(held, pikepdf.Array) else ()

    def contents(self, page: Any) -> Iterable[bytes]:
        held = page.get("/Contents")
        parts = held if isinstance(held, pikepdf.Array) else [held]
        return [self._content(part) for part in parts if isinstance(part, pikepdf.Stream)]

    def fresh(self, held: Any, depth: int) -> Digest:
        if isinstance(held, pikepdf.Stream):
            return _digest(b"s", self.dictionary(held.stream_dict.items(), depth), self._content(held))
        if isinstance(held, pikepdf.Dictionary):
            return self.dictionary(held.items(), depth)
        if isinstance(held, pikepdf.Array):
            return _digest(b"a", *(self.of(part, depth + 1) for part in held))
        if isinstance(held, pikepdf.Name):
            return _digest(b"n", str(held).encode())
        return _scalar(bytes(held) if isinstance(held, pikepdf.String) else held)


class _PyHanko(_Model):
    def mark(self, held: Any) -> Any:
        return held.reference if isinstance(held, generic.IndirectObject) else None

    def entry(self, held: Any, key: str) -> Any:
        held = held.get_object() if isinstance(held, generic.IndirectObject) else held
        return held.raw_get(key) if isinstance(held, generic.DictionaryObject) and key in held else None

    def inherited(self, page: Any, key: str) -> Any:
        """Return the entry that counts; qpdf fills in the page size that viewers take where there is none."""
        found = inherited(page, key)
        if found is None and key == "/MediaBox":
            return generic.ArrayObject(generic.NumberObject(int(edge)) for edge in DEFAULT_PAGE)
        return found

    def listed(self, held: Any) -> Iterable[Any]:
        held = held.get_object() if isinstance(held, generic.IndirectObject) else held
        return _raw(held) if isinstance(held, generic.ArrayObject) else ()

    def contents(self, page: Any) -> Iterable[bytes]:
        held = look(page, "/Contents")
        parts = [part.get_object() for part in _raw(held)] if isinstance(held, generic.ArrayObject) else [held]
        return [_kept(part.encoded_data) for part in parts if isinstance(part, generic.StreamObject)]

    def fresh(self, held: Any, depth: int) -> Digest:
        held = held.get_object() if isinstance(held, generic.IndirectObject) else held
        if isinstance(held, generic.DictionaryObject):
            entries = ((str(key), held.raw_get(key)) for key in held)
            found = self.dictionary(entries, depth)
            return _digest(b"s", found, _kept(held.encoded_data)) if isinstance(held, generic.StreamObject) else found
        if isinstance(held, generic.ArrayObject):
            return _digest(b"a", *(self.of(part, depth + 1) for part in _raw(held)))
        if isinstance(held, generic.NameObject):
            return _digest(b"n", str(held).encode())
        if isinstance(held, generic.BooleanObject):
            return _scalar(held.value)
        if isinstance(held, (generic.TextStringObject, generic.ByteStringObject)):
            return _scalar(held.original_bytes)
        return _scalar(None if isinstance(held, generic.NullObject) else held)


def _raw(held: generic.ArrayObject) -> list[Any]:
    return [held.raw_get(place) for place in range(len(held))]


def _decoded(stream: pikepdf.Stream) -> Digest:
    """Return the digest of what a stream decodes to, or of what is stored where qpdf does not decode (pictures)."""
    try:
        return _digest(b"x", stream.read_bytes())
    except pikepdf.PdfError:
        return _stored(stream)


def _stored(stream: pikepdf.Stream) -> Digest:
    return _kept(stream.read_raw_bytes())


def _kept(data: bytes | memoryview) -> Digest:
    """Return the digest of a stored stream; where its length is wrong, readers differ over the line end behind it."""
    end = len(data)
    while end and data[end - 1] in b"\r\n":
        end -= 1
    return _digest(b"r", memoryview(data)[:end])


def _scalar(held: Any) -> Digest:
    if isinstance(held, bytes):
        return _digest(b"t", held)
    if isinstance(held, bool) or held is None:
        return _digest(b"v", str(held).encode())
    return _digest(b"f", f"{Decimal(str(held)):.4f}".encode())


def _digest(*parts: bytes | memoryview) -> Digest:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(b"%d:" % len(part))
        whole.update(part)
    return whole.digest()
