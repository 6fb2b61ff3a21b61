"""Whether two PDFs look the same outside the places that signing fills: as poppler shows them, or MuPDF instead."""

from pathlib import Path
from typing import Any

import pikepdf
from PIL import Image, ImageChops, ImageDraw

from tests.paper import run

DOTS = 100
FIELDS = {"Number", "IssuedDate", "Initials1", "Signatory1", "Seal"}
US_LETTER = (0.0, 0.0, 612.0, 792.0)
"""What viewers show of a page that names no box."""


def render(path: Path, room: Path, tool: str) -> list[Image.Image]:
    """Every page as a tool shows it; nothing where it cannot read the file."""
    room.mkdir(exist_ok=True)
    if tool == "poppler":
        run("pdftoppm", "-r", DOTS, "-png", path, room / "page")
    else:
        run("mutool", "draw", "-q", "-r", DOTS, "-o", room / "page%03d.png", path)
    return [Image.open(shown).convert("RGB") for shown in sorted(room.glob("page*.png"))]


def assert_same_look(before: Path, after: Path, room: Path) -> None:
    """Compare all pages outside the boxes of stamps, number and date; inside them something must have appeared."""
    tool = "poppler"
    old = render(before, room / "old", tool)
    if not old:
        tool = "mupdf"
        old = render(before, room / "old-mupdf", tool)
    new = render(after, room / f"new-{tool}", tool)
    assert len(old) == len(new) > 0
    stamped = False
    with pikepdf.open(after) as document:
        for number, (left, right, page) in enumerate(zip(old, new, document.pages, strict=True), 1):
            boxes = [box_in_pixels(rect, page.obj, left.size, tool) for rect in places(page.obj)]
            stamped |= ImageChops.difference(left, right).getbbox() is not None
            difference = ImageChops.difference(blank(left, boxes), blank(right, boxes)).getbbox()
            assert difference is None, f"page {number} differs at {difference}"
    assert stamped, "no stamp is to be seen"


def places(page: pikepdf.Object) -> list[tuple[float, float, float, float]]:
    """The boxes of the page's own fields, as the file itself names them."""
    found = []
    for annotation in page.get("/Annots", []):
        name = annotation.get("/T", annotation.get("/Parent", {}).get("/T") if "/Parent" in annotation else None)
        if annotation.get("/Subtype") == "/Widget" and str(name) in FIELDS:
            found.append(ordered(annotation["/Rect"]))
    return found


def box_in_pixels(
    rect: tuple[float, float, float, float], page: pikepdf.Object, size: tuple[int, int], tool: str
) -> tuple[float, float, float, float]:
    """Turn a box of the page into one of its picture, as the page is turned, with two pixels for antialiasing."""
    x0, y0, x1, y1 = shown_box(page, tool)
    turned = int(inherited(page, "/Rotate") or 0) % 360
    corners = []
    for x, y in ((rect[0], rect[1]), (rect[2], rect[3])):
        across, up = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
        seen = {0: (across, 1 - up), 90: (up, across), 180: (1 - across, up), 270: (1 - up, 1 - across)}[turned]
        corners.append((seen[0] * size[0], seen[1] * size[1]))
    (ax, ay), (bx, by) = corners
    return (min(ax, bx) - 2, min(ay, by) - 2, max(ax, bx) + 2, max(ay, by) + 2)


def shown_box(page: pikepdf.Object, tool: str) -> tuple[float, float, float, float]:
    """What a tool draws of a page: pdftoppm the media box, MuPDF the crop box in it."""
    raw = inherited(page, "/MediaBox")
    media = ordered(raw) if raw is not None else US_LETTER
    crop = inherited(page, "/CropBox")
    if tool == "poppler" or crop is None:
        return media
    cut = ordered(crop)
    return (max(media[0], cut[0]), max(media[1], cut[1]), min(media[2], cut[2]), min(media[3], cut[3]))


def inherited(page: pikepdf.Object, key: str) -> Any:
    """A page's own value, or that of the nearest node above it."""
    node = page
    while key not in node:
        if "/Parent" not in node:
            return None
        node = node["/Parent"]
    return node[key]


def ordered(raw: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(value) for value in raw)
    return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def blank(shown: Image.Image, boxes: list[tuple[float, float, float, float]]) -> Image.Image:
    """A copy with these boxes white."""
    copy = shown.copy()
    draw = ImageDraw.Draw(copy)
    for box in boxes:
        draw.rectangle(box, fill="white")
    return copy
