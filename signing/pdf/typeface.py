"""The typeface of stamps, numbers and dates: widths, glyph numbers, and a font file cut to the glyphs of one text.

The shipped font has 1000 units per em and no composite glyphs, so cutting is copying outlines: no fontTools and no
shaping at signing time. Text must be NFC, since combining marks are not placed.
"""

import io
import struct
import unicodedata
import zlib
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final, Literal

import msgspec
from fontTools.ttLib import TTFont

from signing.errors import NotSignable

Style = Literal["Regular", "Italic"]
_KEPT: Final = (b"glyf", b"head", b"hhea", b"hmtx", b"loca", b"maxp")


class Typeface(msgspec.Struct, frozen=True):
    """What a process knows of one style of the stamp font after reading it once; `slant` in degrees, 0 upright."""

    glyph_of: dict[int, int]
    widths: tuple[int, ...]
    outlines: tuple[bytes, ...]
    tables: dict[bytes, bytes]
    bbox: tuple[int, int, int, int]
    ascent: int
    descent: int
    name: str
    slant: float


@cache
def stamp_typeface(style: Style = "Regular") -> Typeface:
    """Read the shipped font once per process."""
    source = io.BytesIO((files("signing.pdf.fonts") / f"MotcuaSerif-{style}.ttf").read_bytes())
    font: Any = TTFont(source)
    order = font.getReverseGlyphMap()
    tables = {name: bytes(font.reader[name.decode()]) for name in _KEPT}
    head, hhea, metrics = font["head"], font["hhea"], font["hmtx"]
    return Typeface(
        {code: order[glyph] for code, glyph in font.getBestCmap().items()},
        tuple(metrics[glyph][0] for glyph in font.getGlyphOrder()),
        tuple(tables[b"glyf"][a:b] for a, b in pairwise(list(font["loca"]))),
        tables,
        (head.xMin, head.yMin, head.xMax, head.yMax),
        hhea.ascent,
        hhea.descent,
        font["name"].getDebugName(6),
        font["post"].italicAngle,
    )


@lru_cache(maxsize=4096)
def glyphs(text: str, style: Style = "Regular") -> tuple[int, ...]:
    """Return the glyph numbers of a text; a letter that the font lacks is an error, never a blank box."""
    known = stamp_typeface(style).glyph_of
    composed = unicodedata.normalize("NFC", text)
    if missing := sorted({char for char in composed if ord(char) not in known}):
        shown = " ".join(f"U+{ord(char):04X}" for char in missing)
        raise NotSignable(f"Phông chữ của dấu ký không có ký tự: {shown}", f"The stamp font has no letter for: {shown}")
    return tuple(known[ord(char)] for char in composed)


def width(text: str, size: float, style: Style = "Regular") -> float:
    """Return the width of a text in points."""
    face = stamp_typeface(style)
    return sum(face.widths[glyph] for glyph in glyphs(text, style)) * size / 1000


def cut(used: set[int], style: Style = "Regular") -> bytes:
    """Return a TrueType file that holds only these glyphs, each under its own number."""
    face = stamp_typeface(style)
    kept = used | {0}
    last = max(kept)
    offsets, outlines = [0], bytearray()
    for glyph in range(last + 1):
        if glyph in kept:
            outlines += face.outlines[glyph]
            outlines += bytes(-len(outlines) % 4)
        offsets.append(len(outlines))
    head = bytearray(face.tables[b"head"])
    struct.pack_into(">I", head, 8, 0)
    struct.pack_into(">h", head, 50, 1)
    tables = {
        b"glyf": bytes(outlines),
        b"head": bytes(head),
        b"hhea": face.tables[b"hhea"][:34] + struct.pack(">H", last + 1),
        b"hmtx": b"".join(_metric(face, glyph) for glyph in range(last + 1)),
        b"loca": struct.pack(f">{len(offsets)}I", *offsets),
        b"maxp": face.tables[b"maxp"][:4] + struct.pack(">H", last + 1) + face.tables[b"maxp"][6:],
    }
    return _assemble(tables)


def _metric(face: Typeface, glyph: int) -> bytes:
    outline = face.outlines[glyph]
    bearing = struct.unpack_from(">h", outline, 2)[0] if outline else 0
    return struct.pack(">Hh", face.widths[glyph], bearing)


def _assemble(tables: dict[bytes, bytes]) -> bytes:
    count = len(tables)
    power = count.bit_length() - 1
    directory = bytearray(struct.pack(">IHHHH", 0x00010000, count, 16 << power, power, (count << 4) - (16 << power)))
    offset, body = 12 + 16 * count, bytearray()
    head_at = 0
    for tag in sorted(tables):
        data = tables[tag]
        padded = data + bytes(-len(data) % 4)
        directory += tag + struct.pack(">III", _checksum(padded), offset + len(body), len(data))
        head_at = offset + len(body) if tag == b"head" else head_at
        body += padded
    font = directory + body
    struct.pack_into(">I", font, head_at + 8, (0xB1B0AFBA - _checksum(bytes(font))) & 0xFFFFFFFF)
    return bytes(font)


def _checksum(data: bytes) -> int:
    return sum(struct.unpack(f">{len(data) // 4}I", data)) & 0xFFFFFFFF


def to_unicode(used: dict[int, str]) -> bytes:
    """Return the deflated CMap that lets a reader copy the text out again."""
    pairs = [f"<{glyph:04X}> <{char.encode('utf-16-be').hex().upper()}>" for glyph, char in sorted(used.items())]
    blocks = [
        f"{len(pairs[at : at + 100])} beginbfchar\n" + "\n".join(pairs[at : at + 100]) + "\nendbfchar"
        for at in range(0, len(pairs), 100)
    ]
    text = (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        + "\n".join(blocks)
        + "\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
    )
    return zlib.compress(text.encode("ascii"), 9)
