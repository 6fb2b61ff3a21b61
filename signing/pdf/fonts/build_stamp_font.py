"""Cut MotcuaSerif, the upright and italic font of stamps, from Liberation Serif.

Run as `python -m signing.pdf.fonts.build_stamp_font`; the same source gives the same bytes.
1000 units per em, because pyHanko and hand-written width arrays count in thousandths; composites are flattened, so
`signing.pdf.typeface` can cut a stamp's few glyphs out without following references; hints and layout tables go.
"""

import unicodedata
from pathlib import Path
from typing import Any

from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem

HERE = Path(__file__).parent
FAMILY = "Motcua Serif"
KEPT_TABLES = {"head", "hhea", "maxp", "hmtx", "cmap", "loca", "glyf", "name", "OS/2", "post"}


def repertoire() -> set[int]:
    """Return the code points of Vietnamese in NFC with Latin-1, quotation marks, dashes and bullets."""
    tones = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]
    vowels = "aăâeêioôơuưyAĂÂEÊIOÔƠUƯY"
    letters = {unicodedata.normalize("NFC", vowel + tone) for vowel in vowels for tone in tones} | set("đĐ")
    latin = {chr(code) for code in (*range(0x20, 0x7F), *range(0xA0, 0x100))}
    return {ord(char) for char in letters | latin | set("–—‘’“”•…№₫")}


def flatten(font: Any) -> None:
    """Replace every composite glyph by its outlines."""
    glyphs = font.getGlyphSet()
    for name in font.getGlyphOrder():
        recording = DecomposingRecordingPen(glyphs)
        glyphs[name].draw(recording)
        pen = TTGlyphPen(None)
        recording.replay(pen)
        font["glyf"][name] = pen.glyph()


def build(source: Path, target: Path, style: str) -> None:
    """Write the stamp font in one style."""
    font: Any = TTFont(source, recalcTimestamp=False)
    options = Options(layout_features=[], hinting=False, notdef_outline=True, recalc_timestamp=False)
    cutter = Subsetter(options)
    cutter.populate(unicodes=repertoire())
    cutter.subset(font)
    flatten(font)
    scale_upem(font, 1000)
    for table in set(font.keys()) - KEPT_TABLES - {"GlyphOrder"}:
        del font[table]
    font["post"].formatType = 3.0
    for record in list(font["name"].names):
        if record.nameID in {0, 13, 14}:
            continue
        font["name"].removeNames(nameID=record.nameID)
    for name_id, text in (
        (1, FAMILY),
        (2, style),
        (4, FAMILY if style == "Regular" else f"{FAMILY} {style}"),
        (6, f"MotcuaSerif-{style}"),
    ):
        font["name"].setName(text, name_id, 3, 1, 0x409)
    font.save(target)


if __name__ == "__main__":
    for style in ("Regular", "Italic"):
        build(HERE / f"LiberationSerif-{style}.ttf", HERE / f"MotcuaSerif-{style}.ttf", style)
