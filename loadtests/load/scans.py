"""The files that citizens hand in: real PDFs, since the product reads every one of them before it takes it."""

import random
import secrets
from collections.abc import Sequence
from typing import Final

from loadtests.load.model import FILES

_WIDTH: Final = 1_000
"""Of the page's picture, in points of one byte each."""
_REST: Final = 1_000
"""About what a file takes besides its picture, in bytes."""


def scan(chance: random.Random, largest: int) -> bytes:
    """Return a file of one scanned page and of a drawn size, different from every other."""
    kind = chance.choices(FILES, [one.share for one in FILES])[0]
    size = min(int(chance.uniform(kind.least, kind.most)), largest)
    lines = max(1, (size - _REST) // _WIDTH)
    drawn = b"q 595 0 0 842 0 0 cm /P Do Q"
    picture = b"<</Type/XObject/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8/Width %d/Height %d/Length %d>>"
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</XObject<</P 5 0 R>>>>>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(drawn), drawn),
        picture % (_WIDTH, lines, _WIDTH * lines) + b"\nstream\n%s\nendstream" % (secrets.token_bytes(_WIDTH) * lines),
    )
    return _pdf(objects)


def _pdf(objects: Sequence[bytes]) -> bytes:
    parts, places, at = [b"%PDF-1.4\n"], list[int](), 9
    for number, one in enumerate(objects, 1):
        places.append(at)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, one))
        at += len(parts[-1])
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    parts += [b"%010d 00000 n \n" % place for place in places]
    parts.append(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, at))
    return b"".join(parts)
