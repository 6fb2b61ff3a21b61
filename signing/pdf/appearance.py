"""What a signature, a number or a mark looks like: form XObjects made of one image and a few lines of text.

Nothing is laid out by a text engine and no font is subset by one, which made a stamp a hundred times dearer; each
stamp embeds the outlines of the letters that it shows. Decree 30/2020 Appendix I and `signing.contract.Appearance`
say what stands where.
"""

import io
import math
import unicodedata
import zlib
from functools import lru_cache
from typing import Final, Protocol

import msgspec
from PIL import Image

from signing.contract import Appearance
from signing.errors import NotSignable
from signing.pdf import typeface
from signing.pdf.typeface import Style

SEAL_DIAMETER: Final = 36 / 25.4 * 72
"""A people's committee's seal is 36 mm wide and is shown in real size (Circular of the Ministry of Public Security)."""
CORNER_POINTS: Final = 10.0
"""The size of the text of annexes and copies (Decree 30/2020, Appendix I)."""
_LARGEST: Final = {"signatory": 12.0}
_USUAL_POINTS: Final = 7.5
"""Two lines of these take the 18 points that a place for a seal has below its 36 mm."""
_LINE: Final = 1.2
_GAP: Final = 4.0
_NARROWEST: Final = 60.0
"""How much room beside a seal its text needs at least; with less it goes below."""
_MAX_PIXELS: Final = 4_000_000


class _Picture(msgspec.Struct, frozen=True):
    width: int
    height: int
    colour: bytes
    opacity: bytes


def check_image(png: bytes) -> None:
    """Raise NotSignable unless this can be shown in a signature."""
    _picture(png)


_PACKED: Final = 8
"""Two hundredths larger than at zlib's 9, in a third of the time: 4 ms for a signature, 12 ms for a seal."""


@lru_cache(maxsize=512)  # a province of 99 wards has 396 signatures and seals; one takes some kilobytes
def _picture(png: bytes) -> _Picture:
    """Read a PNG once per process; the deflated planes go into every document as they are."""
    try:
        with Image.open(io.BytesIO(png)) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise NotSignable("Ảnh chữ ký hoặc con dấu quá lớn", "The signature or seal image is too large")
            whole = image.convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise NotSignable("Không đọc được ảnh chữ ký", "The signature image cannot be read") from error
    return _Picture(
        whole.width,
        whole.height,
        zlib.compress(whole.convert("RGB").tobytes(), _PACKED),
        zlib.compress(whole.getchannel("A").tobytes(), _PACKED),
    )


class Page(Protocol):
    """Whatever takes new objects: a revision of pyHanko's, or one written directly."""

    def add(self, body: bytes) -> int:
        """Take an object's bytes and return its number."""
        ...


def _stream(entries: bytes, data: bytes) -> bytes:
    """Return a stream that is deflated already, in the layout in which pyHanko would write it."""
    return b"<<\n%s/Filter /FlateDecode\n/Length %d\n>>\nstream\n" % (entries, len(data)) + data + b"\nendstream"


def _add_picture(page: Page, picture: _Picture) -> int:
    head = b"/Type /XObject\n/Subtype /Image\n/Width %d\n/Height %d\n/ColorSpace /%s\n/BitsPerComponent 8\n"
    mask = page.add(_stream(head % (picture.width, picture.height, b"DeviceGray"), picture.opacity))
    colours = head % (picture.width, picture.height, b"DeviceRGB") + b"/SMask %d 0 R\n" % mask
    return page.add(_stream(colours, picture.colour))


class _Font(msgspec.Struct, frozen=True):
    """The parts of an embedded font that are the same for every text of the same letters."""

    program: bytes
    descriptor: bytes
    descendant: bytes
    to_unicode: bytes
    top: bytes


@lru_cache(maxsize=256)
def _font(letters: str, style: Style) -> _Font:
    """Cut the font to these letters (each once, sorted) once per process."""
    face = typeface.stamp_typeface(style)
    used = dict(zip(typeface.glyphs(letters, style), letters, strict=True))
    file = typeface.cut(set(used), style)
    name = b"/MTCUAA+" + face.name.encode()
    widths = b" ".join(b"%d [ %d ]" % (glyph, face.widths[glyph]) for glyph in sorted(used))
    return _Font(
        program=_stream(b"/Length1 %d\n" % len(file), zlib.compress(file, 9)),
        descriptor=b"<<\n/Type /FontDescriptor\n/FontName %s\n/Flags %d\n/FontBBox [ %d %d %d %d ]\n/ItalicAngle %s\n"
        b"/Ascent %d\n/Descent %d\n/CapHeight 653\n/StemV 80\n"
        % (name, 68 if face.slant else 4, *face.bbox, number(face.slant), face.ascent, face.descent),
        descendant=b"/CIDToGIDMap /Identity\n/DW 500\n/W [ %s ]\n>>" % widths,
        to_unicode=_stream(b"", typeface.to_unicode(used)),
        top=b"<<\n/Type /Font\n/Subtype /%%s\n/BaseFont %s\n" % name,
    )


def _add_font(page: Page, text: str, style: Style = "Regular") -> int:
    """Embed the glyphs of this text as a CID font with Identity-H."""
    font = _font("".join(sorted(set(unicodedata.normalize("NFC", text)))), style)
    program = page.add(font.program)
    descriptor = page.add(font.descriptor + b"/FontFile2 %d 0 R\n>>" % program)
    system = b"/CIDSystemInfo <<\n/Registry (Adobe)\n/Ordering (Identity)\n/Supplement 0\n>>\n"
    held = b"/FontDescriptor %d 0 R\n" % descriptor
    descendant = page.add(font.top % b"CIDFontType2" + system + held + font.descendant)
    to_unicode = page.add(font.to_unicode)
    parts = b"/Encoding /Identity-H\n/DescendantFonts [ %d 0 R ]\n/ToUnicode %d 0 R\n>>" % (descendant, to_unicode)
    return page.add(font.top % b"Type0" + parts)


def _hex(text: str, style: Style = "Regular") -> bytes:
    return b"<" + "".join(f"{glyph:04X}" for glyph in typeface.glyphs(text, style)).encode() + b">"


def number(value: float) -> bytes:
    """Return a number of points to a thousandth, as short as it goes."""
    said = f"{value:.3f}".rstrip("0").rstrip(".")
    return (said if said != "-0" else "0").encode()


def form(page: Page, size: tuple[float, float], commands: bytes, resources: bytes = b"", rotation: int = 0) -> int:
    """Add a form XObject of this size (points, as the reader sees it), turned against the page's own rotation."""
    cos, sin = round(math.cos(math.radians(rotation))), round(math.sin(math.radians(rotation)))
    entries = (
        b"/Type /XObject\n/Subtype /Form\n/FormType 1\n/BBox [ 0 0 %s %s ]\n/Matrix [ %d %d %d %d 0 0 ]\n"
        b"/Resources <<\n%s>>\n" % (number(size[0]), number(size[1]), cos, sin, -sin, cos, resources)
    )
    return page.add(_stream(entries, zlib.compress(commands, 9)))


def _font_resource(font: int) -> bytes:
    return b"/Font <<\n/F %d 0 R\n>>\n" % font


def text_form(
    page: Page, size: tuple[float, float], text: str, *, points: float, style: Style = "Regular", rotation: int = 0
) -> int:
    """Add one black line of text at the left of its box, smaller only if it would not fit."""
    points = min(points, points * (size[0] - 2) / max(typeface.width(text, points, style), 1))
    rise = max((size[1] - points * 0.7) / 2, 0)
    commands = b"BT 0 g /F %.3f Tf 1 %.3f Td %s Tj ET" % (points, rise, _hex(text, style))
    return form(page, size, commands, _font_resource(_add_font(page, text, style)), rotation)


def signature_form(page: Page, size: tuple[float, float], shown: Appearance, rotation: int = 0) -> int:
    """Add what a signature shows: its image, and the lines that `Appearance` says where."""
    if shown.kind == "corner" and (size[0] >= SEAL_DIAMETER + _NARROWEST or not shown.image_png):
        return _corner_form(page, size, shown, rotation)
    width, height = size
    commands: list[bytes] = []
    resources = b""
    above, below = [line for line in shown.above if line], [line for line in shown.lines if line]
    lines = [*above, *below]
    foot = head = 0.0
    if lines:
        share = height / (2 if shown.image_png else 1)
        points = min(_LARGEST.get(shown.kind, _USUAL_POINTS), share / (len(lines) * _LINE))
        points = min([points, *(points * (width - 4) / max(typeface.width(line, points), 1) for line in lines)])
        foot, head = (len(part) * points * _LINE for part in (below, above))
        start = foot if shown.image_png or above else (height + foot) / 2
        # A seal's time keeps to the left, since the signatory's name stands at the right of it.
        edge = 2.0 if shown.kind in {"seal", "corner"} else None
        commands += [_column(above, width, height, points, edge), _column(below, width, start, points, edge)]
        resources += _font_resource(_add_font(page, "".join(lines)))
    if shown.image_png:
        picture = _picture(shown.image_png)
        room = (width, height - foot - head)
        if shown.kind in {"seal", "corner"}:
            room = (min(room[0], SEAL_DIAMETER), min(room[1], SEAL_DIAMETER))
        scale = min(room[0] / picture.width, room[1] / picture.height)
        wide, high = picture.width * scale, picture.height * scale
        middle = foot + (height - foot - head) / 2
        commands.insert(0, _placed((width - wide) / 2, middle - high / 2, wide, high))
        resources += b"/XObject <<\n/I %d 0 R\n>>\n" % _add_picture(page, picture)
    return form(page, size, b"\n".join(part for part in commands if part), resources, rotation)


def _corner_form(page: Page, size: tuple[float, float], shown: Appearance, rotation: int) -> int:
    """Add what stands in the upper right corner: upright black letters of 10 points, at the left of a seal if any."""
    width, height = size
    side, commands, resources = 0.0, b"", b""
    if shown.image_png:
        picture = _picture(shown.image_png)
        side = min(SEAL_DIAMETER, width, height)
        scale = side / max(picture.width, picture.height)
        wide, high = picture.width * scale, picture.height * scale
        commands = _placed(width - (side + wide) / 2, height - (side + high) / 2, wide, high) + b"\n"
        resources = b"/XObject <<\n/I %d 0 R\n>>\n" % _add_picture(page, picture)
    edge = width - (side + _GAP if side else 0)
    points, lines = _fitting([line for line in shown.lines if line], edge, height)
    if lines:
        resources = _font_resource(_add_font(page, "".join(lines))) + resources
        rows = [(edge - typeface.width(line, points), line) for line in lines]
        commands += _rows(rows, height, points)
    return form(page, size, commands, resources, rotation)


def _fitting(lines: list[str], width: float, height: float) -> tuple[float, list[str]]:
    """Return the lines broken between words at 10 points; smaller only where the box cannot hold them otherwise."""
    points = CORNER_POINTS
    while True:
        broken = [part for line in lines for part in _broken(line, width, points)]
        too_wide = any(typeface.width(part, points) > width for part in broken)
        if points <= 1 or (not too_wide and len(broken) * points * _LINE <= height):
            return points, broken
        points -= 0.5


def _broken(line: str, width: float, points: float) -> list[str]:
    rows: list[str] = []
    for word in line.split():
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and typeface.width(longer, points) <= width:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows


def _placed(left: float, bottom: float, wide: float, high: float) -> bytes:
    return b"q %.3f 0 0 %.3f %.3f %.3f cm /I Do Q" % (wide, high, left, bottom)


def _column(lines: list[str], width: float, top: float, points: float, left: float | None) -> bytes:
    """Return lines below each other, from a left edge or else centred."""
    middle = [(width - typeface.width(line, points)) / 2 if left is None else left for line in lines]
    return _rows(list(zip(middle, lines, strict=True)), top, points)


def _rows(rows: list[tuple[float, str]], top: float, points: float) -> bytes:
    """Return black lines below `top`, each from its own left edge."""
    if not rows:
        return b""
    set_ones = (
        b"1 0 0 1 %.3f %.3f Tm %s Tj" % (left, top - points - place * points * _LINE, _hex(line))
        for place, (left, line) in enumerate(rows)
    )
    return b"BT 0 g /F %.3f Tf %s ET" % (points, b" ".join(set_ones))


def mark_form(page: Page, size: tuple[float, float], text: str, rotation: int = 0) -> int:
    """Add a word in light outlined letters from corner to corner, which leaves the page legible."""
    width, height = size
    angle = math.atan2(height, width)
    reach = math.hypot(width, height) * 0.75
    points = 100 * reach / typeface.width(text, 100)
    cos, sin = math.cos(angle), math.sin(angle)
    x = width / 2 - cos * reach / 2 + sin * points * 0.33
    y = height / 2 - sin * reach / 2 - cos * points * 0.33
    commands = b"BT 1 Tr 0.9 w 0.6 G /F %.3f Tf %.5f %.5f %.5f %.5f %.3f %.3f Tm %s Tj ET" % (
        points, cos, sin, -sin, cos, x, y, _hex(text),
    )  # fmt: skip
    return form(page, size, commands, _font_resource(_add_font(page, text)), rotation)
