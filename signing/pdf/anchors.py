"""Finding a text on the pages of a draft, by PDFium; for the bounded process pool, since it reads a stranger's file.

Spaces count for nothing, neither those of the text that is looked for nor those on the page: letters set apart, and
words cut into runs, are found all the same. Accents may be composed or not, on either side. A text that goes on in the
next line is not found there.
"""

import ctypes
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec

from signing.errors import NotSignable, UnreadableFile
from signing.pdf.reading import Box

_UNSEEN: Final = {"Zs", "Zl", "Zp", "Cc", "Cf", "Cn", "Co", "Cs"}
_ONE_LINE: Final = 2.0
"""By how many points the letters of one line may stand higher or lower than each other."""
_FIRST: Final = 200
"""Hits beyond these are not counted: the text says nothing."""


class Seen(Protocol):
    """How a reader sees a page."""

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the page is seen."""
        ...

    def seen(self, box: Box) -> Box:
        """Return where a box of the page is seen."""
        ...


class Hit(msgspec.Struct, frozen=True):
    """A text that was found: its page from 0, its box and baseline in points as the reader sees the page."""

    page: int
    box: Box
    baseline: float


class _Letter(msgspec.Struct, frozen=True):
    char: str
    box: Box
    left: float
    baseline: float


def search(data: bytes, frames: Sequence[Seen], texts: Sequence[str]) -> list[list[Hit]]:
    """Return for each text where it stands, from the first page to the last and from top to bottom.

    Raises:
        NotSignable: a text without any letter.
        UnreadableFile: PDFium cannot read the file.
    """
    wanted = [folded(text) for text in texts]
    if not all(wanted):
        raise NotSignable("Chữ mốc không có chữ nào", "An anchor text holds no letter")
    import pypdfium2  # noqa: PLC0415  a library of 7 MB, for the few drafts that are searched

    found: list[list[Hit]] = [[] for _ in wanted]
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise UnreadableFile("Không đọc được chữ trong tệp", "The text of this file cannot be read") from error
    try:
        for index in range(min(len(document), len(frames))):
            for place, hits in enumerate(_on_page(document[index], index, frames[index], wanted)):
                found[place] += hits
            if any(len(hits) > _FIRST for hits in found):
                break
    finally:
        document.close()
    return found


def folded(text: str) -> str:
    """Return a text by which two that look alike are equal: decomposed, without anything that is not seen."""
    return "".join(char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char) not in _UNSEEN)


def _on_page(page: Any, index: int, frame: Seen, wanted: Sequence[str]) -> list[list[Hit]]:
    text = page.get_textpage()
    try:
        there = Counter(folded(text.get_text_range(errors="ignore")))
        likely = [not Counter(one) - there for one in wanted]
        if not any(likely):
            return [[] for _ in wanted]
        letters = list(_letters(text, frame))
    finally:
        text.close()
        page.close()
    orders = (letters, _as_read(letters))
    return [_hits(orders, index, one) if maybe else [] for one, maybe in zip(wanted, likely, strict=True)]


def _letters(text: Any, frame: Seen) -> Iterator[_Letter]:
    from pypdfium2 import raw  # noqa: PLC0415  see search

    x, y = ctypes.c_double(), ctypes.c_double()
    for at in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text, at)
        char = folded(chr(code)) if 0 < code < 0x110000 else ""
        if not char:
            continue
        raw.FPDFText_GetCharOrigin(text, at, x, y)
        left, baseline = frame.point(x.value, y.value)
        yield _Letter(char, frame.seen(text.get_charbox(at)), left, baseline)


def _as_read(letters: Sequence[_Letter]) -> list[_Letter]:
    """Return the letters line by line from left to right, however the file orders them."""
    lines: list[list[_Letter]] = []
    for letter in sorted(letters, key=lambda one: -one.baseline):
        if lines and abs(lines[-1][0].baseline - letter.baseline) <= _ONE_LINE:
            lines[-1].append(letter)
        else:
            lines.append([letter])
    return [letter for line in lines for letter in sorted(line, key=lambda one: one.left)]


def _hits(orders: Sequence[Sequence[_Letter]], page: int, wanted: str) -> list[Hit]:
    found: dict[tuple[int, ...], Hit] = {}
    for letters in orders:
        run = "".join(letter.char for letter in letters)
        owner = [at for at, letter in enumerate(letters) for _ in letter.char]
        start = run.find(wanted)
        while start >= 0 and len(found) <= _FIRST:
            within = letters[owner[start] : owner[start + len(wanted) - 1] + 1]
            if max(one.baseline for one in within) - min(one.baseline for one in within) <= 2 * _ONE_LINE:
                hit = _around(page, within)
                found.setdefault(tuple(round(edge) for edge in hit.box), hit)
            start = run.find(wanted, start + 1)
    return sorted(found.values(), key=lambda hit: (-round(hit.baseline), hit.box[0]))


def _around(page: int, letters: Sequence[_Letter]) -> Hit:
    boxes = [letter.box for letter in letters]
    box = (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
    return Hit(page, box, letters[0].baseline)
