"""The places of an uploaded draft: those that somebody chose, and the usual ones of Decree 30/2020, Appendix I.

A place is chosen by a text on the page, by a form field of the file, or by coordinates. What is not found, or found
more than once, is refused with what to do: a signature in the wrong place cannot be taken back from the paper.
"""

from collections.abc import Sequence
from typing import Any, Final

from signing.contract import CORNERS, Field, FieldKind, FieldPlan, Layout, Placing
from signing.errors import NotSignable
from signing.pdf import anchors, appearance
from signing.pdf.anchors import Hit
from signing.pdf.fields import ISSUED_DATE, NUMBER, SEAL, pages_of
from signing.pdf.files import read
from signing.pdf.reading import Box, look, open_for_reading, page_box, page_rotation

A4: Final = (595.28, 841.89)
_ROOM: Final = (510.0, 420.0)
"""The smallest page that holds all usual places, in points."""
_LABELS: Final = {NUMBER: "Số", ISSUED_DATE: "Ngày ban hành", SEAL: "Chữ ký số của cơ quan"}
_SIGNATURE: Final = (150.0, 70.0)
_SIZES: Final = {
    NUMBER: (150.0, 18.0),
    ISSUED_DATE: (160.0, 18.0),
    SEAL: (appearance.SEAL_DIAMETER, appearance.SEAL_DIAMETER + 18),
}
_BASELINE: Final = 4.45
"""How far above its box's foot the text of a number or date stands (13 points in 18)."""


def plan_draft(source: str, chain: Sequence[str], layout: Layout, found: FieldPlan | None) -> FieldPlan:
    """Return all places of a draft: the found ones, else the usual ones. `chain` names the signatures in order.

    A document has number and date at the head of page 1, the signatory at the lower right of the last page, and the
    seal over the left third of the last signatory's place, wherever that is. An annex or a copy has the
    organisation's signature in the upper right corner of page 1, and number and date only where they were found.
    """
    reader = open_for_reading(read(source))
    frames = [Frame(page) for _, page in pages_of(reader)]
    chosen = {field.name: field for field in found.signatures} if found else {}
    number, day = (found.number, found.issued_date) if found else (None, None)
    if layout == "document":
        fields = _usual(frames, chain) | chosen
        if SEAL in chain and SEAL not in chosen and (over := _last_signatory(chain, chosen)):
            fields[SEAL] = _seal_over(over, frames[over.page])
        if SEAL in chain:
            number = number or _field(frames[0], NUMBER, 0, (85, 722, 245, 740))
            day = day or _field(frames[0], ISSUED_DATE, 0, (330, 722, 560, 740))
    else:
        fields = _usual(frames, chain) | {SEAL: _field(frames[0], SEAL, 0, CORNERS[layout])} | chosen
    return FieldPlan(number=number, issued_date=day, signatures=tuple(fields[name] for name in chain))


def _usual(frames: Sequence["Frame"], chain: Sequence[str]) -> dict[str, Field]:
    last = frames[-1]
    initials = [name for name in chain if name.startswith("Initials")]
    signatories = [name for name in chain if name not in initials and name != SEAL]
    fields: dict[str, Field] = {}
    for place, name in enumerate(initials):
        fields[name] = _field(last, name, -1, (30 + place % 8 * 62, 28, 30 + place % 8 * 62 + 56, 52))
    for place, name in enumerate(reversed(signatories)):
        left, bottom = 380 - place % 2 * 190, 100 + place // 2 * 125
        fields[name] = _field(last, name, -1, (left, bottom, left + 150, bottom + 110))
    if SEAL in chain:
        side, third = appearance.SEAL_DIAMETER, 380 + 150 / 3
        fields[SEAL] = _field(last, SEAL, -1, (third - side, 88, third, 88 + side + 18))
    return fields


def _last_signatory(chain: Sequence[str], chosen: dict[str, Field]) -> Field | None:
    names = [name for name in chain if name.startswith("Signatory")]
    return chosen.get(names[-1]) if names else None


def _seal_over(signature: Field, frame: "Frame") -> Field:
    x0, y0, x1, y1 = frame.seen(signature.box)
    wide, high = _SIZES[SEAL]
    right, middle = x0 + (x1 - x0) / 3, (y0 + y1) / 2
    foot = middle - appearance.SEAL_DIAMETER / 2 - 18
    box = frame.box_of((right - wide, foot, right, foot + high))
    return Field(name=SEAL, kind="signature", page=signature.page, box=box, label=_LABELS[SEAL])


def find(source: str, wanted: Sequence[Placing]) -> FieldPlan:
    """Return the places that somebody chose, and no others; signatures in the order given.

    Raises:
        NotSignable: a text or field that the file does not have, or has more than once; a box that is not on its
            page; a place that is chosen twice, or in two ways.
    """
    names = [one.field for one in wanted]
    if len(set(names)) != len(names):
        raise NotSignable("Một chỗ được chọn hai lần", "One place is chosen twice")
    data = read(source)
    reader = open_for_reading(data)
    pages = [page for _, page in pages_of(reader)]
    frames = [Frame(page) for page in pages]
    searched = [one for one in wanted if one.anchor is not None]
    hits = anchors.search(data, frames, [one.anchor or "" for one in searched]) if searched else []
    found: dict[str, Field] = {}
    for one in wanted:
        if one.anchor is not None and one.form_field is None and one.box is None:
            hit = _the_one(one, hits[searched.index(one)], len(pages))
            found[one.field] = _at(one, hit, frames[hit.page])
        elif one.form_field is not None and one.anchor is None and one.box is None:
            found[one.field] = _of_form(one, reader, pages)
        elif one.box is not None and one.anchor is None and one.form_field is None:
            found[one.field] = _by_coordinates(one, frames)
        else:
            raise NotSignable(
                f"Chỗ {one.field} phải được chọn bằng đúng một cách: chữ mốc, trường biểu mẫu hoặc tọa độ",
                f"Place {one.field} takes exactly one of anchor, form_field and box",
            )
    return FieldPlan(
        number=found.get(NUMBER),
        issued_date=found.get(ISSUED_DATE),
        signatures=tuple(found[name] for name in names if name not in {NUMBER, ISSUED_DATE}),
    )


def _the_one(wanted: Placing, hits: Sequence[Hit], pages: int) -> Hit:
    if wanted.page is not None:
        page = wanted.page if wanted.page >= 0 else pages + wanted.page
        hits = [hit for hit in hits if hit.page == page]
    if not hits:
        raise NotSignable(
            f"Không tìm thấy chữ mốc của {wanted.field}: hãy kiểm tra chính tả và trang, hoặc chọn bằng tọa độ, "
            "hoặc bỏ trống để dùng chỗ mặc định; bản quét và tệp dùng phông không Unicode không có chữ để tìm",
            f"The anchor text of {wanted.field} is not there: check its spelling and page, choose by coordinates, "
            "or leave it out for the usual place; scans and files with legacy fonts hold no text to be found",
        )
    if wanted.occurrence is not None:
        place = wanted.occurrence - 1 if wanted.occurrence > 0 else wanted.occurrence
        if wanted.occurrence != 0 and -len(hits) <= place < len(hits):
            return hits[place]
    elif len(hits) == 1:
        return hits[0]
    told = ", ".join(str(hit.page + 1) for hit in hits[:20])
    raise NotSignable(
        f"Chữ mốc của {wanted.field} có {len(hits)} chỗ (trang {told}): hãy nêu chỗ thứ mấy, trang nào, "
        "hoặc dùng đoạn chữ dài hơn",
        f"The anchor text of {wanted.field} stands in {len(hits)} places (pages {told}): say which occurrence "
        "or page, or take a longer text",
    )


def _at(wanted: Placing, hit: Hit, frame: "Frame") -> Field:
    """Return the box that stands to the text as asked; what has no side goes behind (text) or over it (signature)."""
    wide, high = wanted.size or _SIZES.get(wanted.field, _SIGNATURE)
    x0, y0, x1, y1 = hit.box
    side = wanted.side or ("right" if _kind(wanted.field) == "text" else "over")
    middle = (x0 + x1) / 2
    left, foot = {
        "over": (middle - wide / 2, (y0 + y1) / 2 - high / 2),
        "below": (middle - wide / 2, y0 - high),
        "above": (middle - wide / 2, y1),
        "right": (x1 + 3, hit.baseline - _BASELINE if _kind(wanted.field) == "text" else (y0 + y1) / 2 - high / 2),
    }[side]
    box = frame.box_of((left, foot, left + wide, foot + high))
    return _made(wanted.field, hit.page, box, titled=True)


def _of_form(wanted: Placing, reader: Any, pages: Sequence[Any]) -> Field:
    """Return the place of the file's own form field; the field itself stays as it is and shows nothing."""
    form = look(reader.root, "/AcroForm")
    named = [held for held in _fields(form) if str(look(held, "/T", "")) == wanted.form_field]
    if len(named) != 1 or "/Rect" not in named[0]:
        raise NotSignable(
            f"Tệp không có đúng một trường biểu mẫu mang tên đã chọn cho {wanted.field}: hãy xem lại tên, "
            "hoặc chọn cách khác",
            f"The file does not have exactly one form field of the name chosen for {wanted.field}: check the name, "
            "or choose another way",
        )
    widget = named[0]
    for index, page in enumerate(pages):
        for annotation in look(page, "/Annots", ()):
            if annotation.get_object() == widget:
                x0, y0, x1, y1 = (float(edge) for edge in widget["/Rect"])
                box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
                return _made(wanted.field, index, _on_page(wanted, box, Frame(page)), titled=True)
    raise NotSignable(
        f"Trường biểu mẫu chọn cho {wanted.field} không nằm trên trang nào",
        f"The form field chosen for {wanted.field} is on no page",
    )


def _fields(form: Any) -> list[Any]:
    return [reference.get_object() for reference in look(form, "/Fields", ())]


def _by_coordinates(wanted: Placing, frames: Sequence["Frame"]) -> Field:
    page = -1 if wanted.page is None else wanted.page
    index = page if page >= 0 else len(frames) + page
    if wanted.box is None or not 0 <= index < len(frames):
        raise NotSignable(
            f"Tệp không có trang đã chọn cho {wanted.field}", f"The file has no such page for {wanted.field}"
        )
    return _made(wanted.field, index, _on_page(wanted, wanted.box, frames[index]), titled=True)


def _on_page(wanted: Placing, box: Box, frame: "Frame") -> Box:
    x0, y0, x1, y1 = frame.box
    if not (x0 <= box[0] < box[2] <= x1 and y0 <= box[1] < box[3] <= y1) or min(box[2] - box[0], box[3] - box[1]) < 4:
        raise NotSignable(
            f"Khung của {wanted.field} nằm ngoài trang hoặc quá nhỏ; trang từ ({x0:g}, {y0:g}) đến "
            f"({x1:g}, {y1:g}) điểm",
            f"The box of {wanted.field} leaves its page or is too small; the page goes from ({x0:g}, {y0:g}) to "
            f"({x1:g}, {y1:g}) points",
        )
    return box


class Frame:
    """Turns places as a reader sees a page into boxes of a page of any size, origin and rotation, and back."""

    def __init__(self, page: Any) -> None:
        """Take the page's dictionary."""
        self.box = page_box(page)
        self.rotation = page_rotation(page)
        x0, y0, x1, y1 = self.box
        self.size = (y1 - y0, x1 - x0) if self.rotation % 180 else (x1 - x0, y1 - y0)

    def place(self, seen: Box) -> Box:
        """Return the box for a place on an upright A4 page: as far from this page's nearest edges, and as large.

        Only on a page without room for all places is everything smaller.
        """
        scale = min(1.0, self.size[0] / _ROOM[0], self.size[1] / _ROOM[1])
        (left, right), (bottom, top) = (
            _from_edge(seen[axis] * scale, seen[axis + 2] * scale, A4[axis] * scale, self.size[axis]) for axis in (0, 1)
        )
        return self._turned((left, bottom, right, top))

    def box_of(self, seen: Box) -> Box:
        """Return the box for a place in points from the lower left of what a reader sees, moved onto the page."""
        wide, high = (min(seen[2] - seen[0], self.size[0]), min(seen[3] - seen[1], self.size[1]))
        left = min(max(seen[0], 0), self.size[0] - wide)
        foot = min(max(seen[1], 0), self.size[1] - high)
        return self._turned((left, foot, left + wide, foot + high))

    def _turned(self, seen: Box) -> Box:
        (left, bottom, right, top), (wide, high) = seen, self.size
        x0, y0 = self.box[:2]
        turned = {
            0: (left, bottom, right, top),
            90: (high - top, left, high - bottom, right),
            180: (wide - right, high - top, wide - left, high - bottom),
            270: (bottom, wide - right, top, wide - left),
        }[self.rotation]
        return (x0 + turned[0], y0 + turned[1], x0 + turned[2], y0 + turned[3])

    def seen(self, box: Box) -> Box:
        """Return where a reader sees a box of the page: points from the lower left."""
        (ax, ay), (bx, by) = self.point(box[0], box[1]), self.point(box[2], box[3])
        return (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return where a reader sees a point of the page."""
        (wide, high), right, up = self.size, x - self.box[0], y - self.box[1]
        return {0: (right, up), 90: (up, high - right), 180: (wide - right, high - up), 270: (wide - up, right)}[
            self.rotation
        ]


def _from_edge(first: float, last: float, usual: float, actual: float) -> tuple[float, float]:
    """Return an extent that keeps its distance to the nearer edge, on a page of another length."""
    moved = actual - usual if first + last > usual else 0.0
    return first + moved, last + moved


def _kind(name: str) -> FieldKind:
    return "text" if name in {NUMBER, ISSUED_DATE} else "signature"


def _label(name: str) -> str:
    return _LABELS.get(name) or ("Ký nháy" if name.startswith("Initials") else "Chữ ký người có thẩm quyền")


def _made(name: str, page: int, box: Box, *, titled: bool = False) -> Field:
    return Field(name=name, kind=_kind(name), page=page, box=box, label=_label(name), titled=titled)


def _field(frame: Frame, name: str, page: int, seen: Box) -> Field:
    return _made(name, page, frame.place(seen))
