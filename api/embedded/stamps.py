"""Demo images of hand signatures (blue) and seals (red, 36 mm), transparent PNG, the same for the same name.

Colours and size follow Decree 30/2020 Appendix I; the drawings are plainly not anybody's real signature or seal.
"""

import hashlib
import io
import math
from functools import cache
from importlib.resources import files
from typing import Final

from PIL import Image, ImageDraw, ImageFont

_BLUE: Final = (20, 50, 160, 255)
_RED: Final = (200, 20, 30, 255)
_CLEAR: Final = (255, 255, 255, 0)
_SEAL_PIXELS: Final = 340
"""36 mm at 240 dots per inch."""


@cache
def _font(size: int, face: str) -> ImageFont.FreeTypeFont:
    data = (files("signing.pdf.fonts") / f"LiberationSerif-{face}.ttf").read_bytes()
    return ImageFont.truetype(io.BytesIO(data), size)


def draw_signature(name: str) -> bytes:
    """Draw a signatory's name in italics over a flourish that its hash shapes."""
    image = Image.new("RGBA", (420, 180), _CLEAR)
    draw = ImageDraw.Draw(image)
    seed = hashlib.sha256(name.encode()).digest()
    waves = [(seed[at] / 255, 1 + seed[at + 8] % 5) for at in range(4)]
    points = [
        (
            20 + 380 * step / 160,
            70 + sum(26 * size * math.sin(step / 160 * math.tau * turns + size * 6) for size, turns in waves),
        )
        for step in range(161)
    ]
    draw.line(points, fill=_BLUE, width=4, joint="curve")
    text = name[:40]
    font = _font(34 if len(text) < 24 else 24, "Italic")
    draw.text((210, 146), text, font=font, fill=_BLUE, anchor="mm")
    return _png(image)


def draw_seal(organisation: str) -> bytes:
    """Draw a round seal with the organisation's name along the ring and a star."""
    side, centre = _SEAL_PIXELS, _SEAL_PIXELS / 2
    image = Image.new("RGBA", (side, side), _CLEAR)
    draw = ImageDraw.Draw(image)
    draw.ellipse((3, 3, side - 4, side - 4), outline=_RED, width=7)
    draw.ellipse((62, 62, side - 63, side - 63), outline=_RED, width=3)
    star = [
        (centre + radius * math.sin(turn * math.pi / 5), centre - radius * math.cos(turn * math.pi / 5))
        for turn in range(10)
        for radius in ((62 if turn % 2 == 0 else 26),)
    ]
    draw.polygon(star, fill=_RED)
    _write_around(image, organisation.upper()[:60], centre)
    return _png(image)


def _write_around(image: Image.Image, text: str, centre: float) -> None:
    arc = min(330.0, len(text) * 13.0)
    font = _font(26 if len(text) < 34 else 18, "Bold")
    for place, letter in enumerate(text):
        angle = -arc / 2 + arc * (place + 0.5) / len(text)
        tile = Image.new("RGBA", (44, 44), _CLEAR)
        ImageDraw.Draw(tile).text((22, 22), letter, font=font, fill=_RED, anchor="mm")
        tile = tile.rotate(-angle, resample=Image.Resampling.BILINEAR)
        radius = centre - 34
        x = centre + radius * math.sin(math.radians(angle))
        y = centre - radius * math.cos(math.radians(angle))
        image.alpha_composite(tile, (round(x - 22), round(y - 22)))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
