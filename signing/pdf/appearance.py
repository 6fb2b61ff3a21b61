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
from typing import Any, Final

import msgspec
from PIL import Image
from pyhanko.pdf_utils.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    IndirectObject,
    NumberObject,
    StreamObject,
    pdf_name,
    pdf_string,
)

from signing.contract import Appearance
from signing.errors import NotSignable
from signing.pdf import typeface
from signing.pdf.reading import RevisionWriter

SEAL_DIAMETER: Final = 36 / 25.4 * 72
"""A people's committee's seal is 36 mm wide and is shown in real size (Circular of the Ministry of Public Security)."""
_LINE: Final = 1.2
_MAX_PIXELS: Final = 4_000_000


class _Picture(msgspec.Struct, frozen=True):
    width: int
    height: int
    colour: bytes
    opacity: bytes


def check_image(png: bytes) -> None:
    """Raise NotSignable unless this can be shown in a signature."""
    _picture(png)


@lru_cache(maxsize=64)
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
        zlib.compress(whole.convert("RGB").tobytes(), 9),
        zlib.compress(whole.getchannel("A").tobytes(), 9),
    )


def _encoded(entries: dict[str, Any], data: bytes) -> StreamObject:
    held = {pdf_name(key): value for key, value in entries.items()}
    return StreamObject(dict_data={**held, pdf_name("/Filter"): pdf_name("/FlateDecode")}, encoded_data=data)


def _add_picture(writer: RevisionWriter, picture: _Picture) -> IndirectObject:
    def plane(colours: str, data: bytes, **more: Any) -> IndirectObject:
        entries = {
            "/Type": pdf_name("/XObject"),
            "/Subtype": pdf_name("/Image"),
            "/Width": NumberObject(picture.width),
            "/Height": NumberObject(picture.height),
            "/ColorSpace": pdf_name(colours),
            "/BitsPerComponent": NumberObject(8),
            **{f"/{key}": value for key, value in more.items()},
        }
        return writer.add_object(_encoded(entries, data))

    return plane("/DeviceRGB", picture.colour, SMask=plane("/DeviceGray", picture.opacity))


def _add_font(writer: RevisionWriter, text: str) -> IndirectObject:
    """Embed the glyphs of this text as a CID font with Identity-H."""
    face = typeface.stamp_typeface()
    used = dict(zip(typeface.glyphs(text), unicodedata.normalize("NFC", text), strict=True))
    file = typeface.cut(set(used))
    name = pdf_name(f"/MTCUAA+{face.name}")
    program = writer.add_object(_encoded({"/Length1": NumberObject(len(file))}, zlib.compress(file, 9)))
    descriptor = DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/FontDescriptor"),
            pdf_name("/FontName"): name,
            pdf_name("/Flags"): NumberObject(4),
            pdf_name("/FontBBox"): ArrayObject(NumberObject(edge) for edge in face.bbox),
            pdf_name("/ItalicAngle"): NumberObject(0),
            pdf_name("/Ascent"): NumberObject(face.ascent),
            pdf_name("/Descent"): NumberObject(face.descent),
            pdf_name("/CapHeight"): NumberObject(653),
            pdf_name("/StemV"): NumberObject(80),
            pdf_name("/FontFile2"): program,
        }
    )
    widths = ArrayObject()
    for glyph in sorted(used):
        widths += [NumberObject(glyph), ArrayObject([NumberObject(face.widths[glyph])])]
    system = {"/Registry": pdf_string("Adobe"), "/Ordering": pdf_string("Identity"), "/Supplement": NumberObject(0)}
    descendant = DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/CIDFontType2"),
            pdf_name("/BaseFont"): name,
            pdf_name("/CIDSystemInfo"): DictionaryObject({pdf_name(key): value for key, value in system.items()}),
            pdf_name("/FontDescriptor"): writer.add_object(descriptor),
            pdf_name("/CIDToGIDMap"): pdf_name("/Identity"),
            pdf_name("/DW"): NumberObject(500),
            pdf_name("/W"): widths,
        }
    )
    font = DictionaryObject(
        {
            pdf_name("/Type"): pdf_name("/Font"),
            pdf_name("/Subtype"): pdf_name("/Type0"),
            pdf_name("/BaseFont"): name,
            pdf_name("/Encoding"): pdf_name("/Identity-H"),
            pdf_name("/DescendantFonts"): ArrayObject([writer.add_object(descendant)]),
            pdf_name("/ToUnicode"): writer.add_object(_encoded({}, typeface.to_unicode(used))),
        }
    )
    return writer.add_object(font)


def _hex(text: str) -> bytes:
    return b"<" + "".join(f"{glyph:04X}" for glyph in typeface.glyphs(text)).encode() + b">"


def form(
    writer: RevisionWriter, size: tuple[float, float], commands: bytes, resources: dict[str, Any], rotation: int = 0
) -> IndirectObject:
    """Add a form XObject of this size (points, as the reader sees it), turned against the page's own rotation."""
    cos, sin = round(math.cos(math.radians(rotation))), round(math.sin(math.radians(rotation)))
    entries: dict[str, Any] = {
        "/Type": pdf_name("/XObject"),
        "/Subtype": pdf_name("/Form"),
        "/FormType": NumberObject(1),
        "/BBox": ArrayObject(FloatObject(f"{edge:.3f}") for edge in (0, 0, *size)),
        "/Matrix": ArrayObject(NumberObject(part) for part in (cos, sin, -sin, cos, 0, 0)),
        "/Resources": DictionaryObject({pdf_name(key): value for key, value in resources.items()}),
    }
    return writer.add_object(_encoded(entries, zlib.compress(commands, 9)))


def text_form(
    writer: RevisionWriter, size: tuple[float, float], text: str, *, points: float, rotation: int = 0
) -> IndirectObject:
    """Add one black line of text at the left of its box, smaller only if it would not fit."""
    points = min(points, points * (size[0] - 2) / max(typeface.width(text, points), 1))
    rise = max((size[1] - points * 0.7) / 2, 0)
    commands = b"BT 0 g /F %.3f Tf 1 %.3f Td %s Tj ET" % (points, rise, _hex(text))
    font = DictionaryObject({pdf_name("/F"): _add_font(writer, text)})
    return form(writer, size, commands, {"/Font": font}, rotation)


def signature_form(
    writer: RevisionWriter, size: tuple[float, float], shown: Appearance, rotation: int = 0
) -> IndirectObject:
    """Add what a signature shows: its image above its lines; a seal's image keeps its real size where it fits."""
    width, height = size
    commands: list[bytes] = []
    resources: dict[str, Any] = {}
    foot = 0.0
    lines = [line for line in shown.lines if line]
    if lines:
        points = min(8.0, height / (len(lines) * _LINE) / (2 if shown.image_png else 1))
        points = min([points, *(points * (width - 4) / max(typeface.width(line, points), 1) for line in lines)])
        foot = len(lines) * points * _LINE
        start = foot - points if shown.image_png else (height + foot) / 2 - points
        colour = b"0 0 0 rg" if shown.kind == "seal" else b"0 0 0.5 rg"
        drawn = b" ".join(_hex(line) + b" Tj T*" for line in lines)
        leading = points * _LINE
        commands.append(b"BT %s /F %.3f Tf %.3f TL 2 %.3f Td %s ET" % (colour, points, leading, start, drawn))
        resources["/Font"] = DictionaryObject({pdf_name("/F"): _add_font(writer, "".join(lines))})
    if shown.image_png:
        picture = _picture(shown.image_png)
        room = (width, height - foot)
        if shown.kind == "seal":
            room = (min(room[0], SEAL_DIAMETER), min(room[1], SEAL_DIAMETER))
        scale = min(room[0] / picture.width, room[1] / picture.height)
        wide, high = picture.width * scale, picture.height * scale
        left, bottom = (width - wide) / 2, foot + (height - foot - high) / 2
        commands.insert(0, b"q %.3f 0 0 %.3f %.3f %.3f cm /I Do Q" % (wide, high, left, bottom))
        resources["/XObject"] = DictionaryObject({pdf_name("/I"): _add_picture(writer, picture)})
    return form(writer, size, b"\n".join(commands), resources, rotation)


def mark_form(writer: RevisionWriter, size: tuple[float, float], text: str, rotation: int = 0) -> IndirectObject:
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
    font = DictionaryObject({pdf_name("/F"): _add_font(writer, text)})
    return form(writer, size, commands, {"/Font": font}, rotation)
