"""A signature's increment written straight behind a file whose fields we laid, to the byte as pyHanko writes it.

pyHanko spends most of a signature on parsing what it does not need and on writing objects one by one. A file that
`signing.pdf.fields.lay` made needs one dictionary rewritten and a few appended. Only such a file goes this way, in
the plainest form (`signing.pdf.classic`); at the least doubt `Unusual` is raised, and `signing.pdf.prepare` lets
pyHanko write the same. A test compares both ways on every file of the corpus: they differ in the file id alone.
"""

import io
import os
import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from pyhanko.pdf_utils.generic import pdf_string

from signing.contract import PrepareOrder, Sha256
from signing.pdf import appearance, cms
from signing.pdf.classic import Classic, Data, Entries, Recalled, Unusual, numbers, reference, references, whole
from signing.pdf.fields import ISSUED_DATE, NUMBER, SEAL, TEXT_POINTS, VIETNAM, style_of

_HEADER: Final = re.compile(rb"%PDF-(\d)\.(\d)")
_NEWEST_VERSION: Final = b"/1.7"
_FILE_ID: Final = re.compile(rb"\[ (<[0-9a-f]*>) <[0-9a-f]*> \]")
_ANGLE: Final = re.compile(rb"-?\d{1,6}")
_NAME: Final = re.compile(rb"\(([A-Za-z0-9]+)\)")
_MOST_FIELDS: Final = 64
_MOST_PARENTS: Final = 64
_BEFORE_RANGE: Final = b"\n/ByteRange "
_RANGE_ROOM: Final = 62
"""What pyHanko keeps for /ByteRange, so that its numbers can be filled in later."""


class Plan(msgspec.Struct, frozen=True):
    """What can be known of a file before anybody signs it; it may be kept in memory beside the file."""

    file: Classic | Recalled
    prefix: Any
    """The SHA-256 of the whole file, open to be carried on."""
    root: int
    trailer: Entries
    fields: dict[str, tuple[int, Entries]]


class Increment(msgspec.Struct, frozen=True):
    """One revision with an empty /Contents; offsets are those of the whole file."""

    data: bytes
    digest: Sha256
    start: int
    end: int


def plan(data: Data, prefix: Any) -> Plan:
    """Read what a signature needs of a file; `prefix` is the SHA-256 object that has read all of it.

    Raises:
        Unusual: the file is not exactly as `lay` leaves one, with classic cross-references.
    """
    file = Classic(data)
    version = _HEADER.match(data)
    trailer = file.trailer
    root = reference(trailer.get(b"/Root"))
    catalog = file.dictionary(trailer[b"/Root"])
    declared = max(b"/%s.%s" % version.groups() if version else b"", catalog.get(b"/Version", b""))
    if declared < _NEWEST_VERSION or b"/Perms" in catalog or not _FILE_ID.fullmatch(trailer.get(b"/ID", b"")):
        raise Unusual
    if file.end > whole(trailer, b"/Size"):
        raise Unusual
    form = file.dictionary(b"%d 0 R" % reference(catalog.get(b"/AcroForm")))
    if form.get(b"/SigFlags") != b"3" or b"/NeedAppearances" in form or b"/XFA" in form:
        raise Unusual
    return Plan(file, prefix, root, trailer, _fields(file, references(form.get(b"/Fields", b""))))


def without_file(data: Data, prefix: Any) -> Plan:
    """Read all that the next signature may need, so that it can be prepared without the file.

    Raises:
        Unusual: as `plan`, or the page of a field is unusual.
    """
    known = plan(data, prefix)
    file: Any = known.file
    for _, held in known.fields.values():
        if b"/V" not in held:
            _ = file.dictionary(held[b"/Lock"]) if b"/Lock" in held else None
            _ = _rotation(file, reference(held[b"/P"])) if b"/P" in held else None
    return msgspec.structs.replace(known, file=file.recalled())


def _fields(file: Classic, listed: list[int]) -> dict[str, tuple[int, Entries]]:
    if len(listed) > _MOST_FIELDS:
        raise Unusual
    found: dict[str, tuple[int, Entries]] = {}
    for number in listed:
        held, body = file.object(number)
        if b"/Kids" in held or b"/Parent" in held:
            raise Unusual
        name = _NAME.fullmatch(held.get(b"/T", b""))
        if name is None:
            continue
        if name[1].decode() in found or _rendered(held) != body:
            raise Unusual
        found[name[1].decode()] = (number, held)
    return found


def increment(known: Plan, order: PrepareOrder) -> Increment:
    """Return the revision that one signature appends; one that certifies touches the catalog, which pyHanko does.

    Raises:
        Unusual: the order is not plain either, or is to be refused; pyHanko's way says which.
    """
    if order.plan.certification != "none":
        raise Unusual
    revision = _Revision(known)
    number, field = _claim(known, order)
    for name, value in order.fills.items():
        _fill(revision, name, value)
    _draw(revision, field, order)
    field[b"/V"] = b"%d 0 R" % revision.next_number()
    revision.objects[number] = _rendered(field)
    room = cms.reserve(order.certificate, order.chain)
    return revision.close(b"<<\n/Contents ", room, _signature(order, known, field))


def _claim(known: Plan, order: PrepareOrder) -> tuple[int, Entries]:
    if order.field not in known.fields:
        raise Unusual
    number, held = known.fields[order.field]
    if held.get(b"/FT") != b"/Sig" or b"/V" in held:
        raise Unusual
    if order.field == SEAL:
        for before in order.plan.signatures:
            if before.name != SEAL and b"/V" not in known.fields.get(before.name, (0, {}))[1]:
                raise Unusual
        if set(order.fills) - {NUMBER, ISSUED_DATE} or not all(order.fills.values()):
            raise Unusual
    elif order.fills:
        raise Unusual
    return number, dict(held)


def _fill(revision: "_Revision", name: str, value: str) -> None:
    known = revision.known
    if name not in known.fields:
        raise Unusual
    number, held = known.fields[name]
    if held.get(b"/FT") != b"/Tx" or b"/V" in held:
        raise Unusual
    held = dict(held)
    rotation = revision.rotation(reference(held.get(b"/P")))
    size = _size(held, rotation)
    drawn = appearance.text_form(revision, size, value, points=TEXT_POINTS, style=style_of(name), rotation=rotation)
    held[b"/V"] = _text(value)
    held[b"/AP"] = b"<<\n/N %d 0 R\n>>" % drawn
    revision.objects[number] = _rendered(held)


def _size(held: Entries, rotation: int) -> tuple[float, float]:
    edges = numbers(held.get(b"/Rect", b""))
    if len(edges) != 4:
        raise Unusual
    x0, y0, x1, y1 = edges
    return (abs(y1 - y0), abs(x1 - x0)) if rotation % 180 else (abs(x1 - x0), abs(y1 - y0))


def _draw(revision: "_Revision", field: Entries, order: PrepareOrder) -> None:
    shown = order.appearance
    if shown.kind == "none" or not (shown.image_png or shown.lines or shown.above):
        return
    rotation = revision.rotation(reference(field[b"/P"])) if b"/P" in field else 0
    size = _size(field, rotation)
    if size[0] and size[1]:
        field[b"/AP"] = b"<<\n/N %d 0 R\n>>" % appearance.signature_form(revision, size, shown, rotation)


def _rotation(file: Classic | Recalled, page: int) -> int:
    for _ in range(_MOST_PARENTS):
        held = file.dictionary(b"%d 0 R" % page)
        if (turned := held.get(b"/Rotate")) is not None:
            if not _ANGLE.fullmatch(turned):
                raise Unusual
            return int(turned) % 360 // 90 * 90
        if b"/Parent" not in held:
            return 0
        page = reference(held[b"/Parent"])
    raise Unusual


def _signature(order: PrepareOrder, known: Plan, field: Entries) -> bytes:
    """Return the signature dictionary from behind its byte range to its end."""
    at = order.at.astimezone(VIETNAM).strftime("%Y%m%d%H%M%S").encode()
    said = [
        b"/Type /Sig\n/Filter /Adobe.PPKLite\n/SubFilter /ETSI.CAdES.detached\n/M (D\\072%s\\05307\\04700\\047)\n" % at
    ]
    if order.location:
        said.append(b"/Location %s\n" % _text(order.location))
    if order.reason:
        said.append(b"/Reason %s\n" % _text(order.reason))
    if b"/Lock" in field:
        said.append(_lock(known.file.dictionary(field[b"/Lock"]), known.root))
    return b"".join(said) + b">>"


def _lock(lock: Entries, root: int) -> bytes:
    """Repeat the field's own lock in the signature, or it would not bind."""
    action, permitted = lock.get(b"/Action"), lock.get(b"/P")
    if action not in {b"/All", b"/Exclude", b"/Include"} or permitted not in {b"1", b"2", b"3"}:
        raise Unusual
    named = b"" if action == b"/All" else b"/Fields %s\n" % _plain_names(lock.get(b"/Fields", b""))
    return (
        b"/Reference [ <<\n/Type /SigRef\n/TransformMethod /FieldMDP\n/Data %d 0 R\n/TransformParams <<\n"
        b"/Action %s\n%s/Type /TransformParams\n/V /1.2\n/P %s\n>>\n>> ]\n" % (root, action, named, permitted)
    )


def _plain_names(array: bytes) -> bytes:
    if not re.fullmatch(rb"\[ (?:\([A-Za-z0-9]+\) )*\]", array):
        raise Unusual
    return array


class _Revision:
    """The objects of one revision; what appearances are drawn on."""

    def __init__(self, known: Plan) -> None:
        self.known = known
        self.objects: dict[int, bytes] = {}
        self._last = whole(known.trailer, b"/Size")
        self._rotations: dict[int, int] = {}

    def rotation(self, page: int) -> int:
        """Return by how many degrees a page is turned; fields mostly share one."""
        if page not in self._rotations:
            self._rotations[page] = _rotation(self.known.file, page)
        return self._rotations[page]

    def next_number(self) -> int:
        """Return a new number; objects are written in the order of their numbers."""
        self._last += 1
        return self._last

    def add(self, body: bytes) -> int:
        """Take an object's bytes and return its number."""
        number = self.next_number()
        self.objects[number] = body
        return number

    def close(self, head: bytes, room: int, rest: bytes) -> Increment:
        """Append the signature around the room for /Contents, and carry the file's digest on over the rest."""
        at = self.known.file.size
        written: list[bytes] = []
        positions: dict[int, int] = {}
        for number in sorted(self.objects):
            body = b"%d 0 obj\n%s\nendobj\n" % (number, self.objects[number])
            positions[number] = at
            written.append(body)
            at += len(body)
        positions[self._last] = at
        written.append(b"%d 0 obj\n%s" % (self._last, head))
        start = at + len(written[-1])
        end = start + room + 2
        rest += b"\nendobj\n"
        table_at = end + len(_BEFORE_RANGE) + _RANGE_ROOM + 1 + len(rest)
        foot = b"%strailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (_table(positions), self._trailer(), table_at)
        span = b"[0 %d %d %d]" % (start, end, table_at + len(foot) - end)
        front = b"".join(written)
        behind = b"".join((_BEFORE_RANGE, span.ljust(_RANGE_ROOM), b"\n", rest, foot))
        digest = self.known.prefix.copy()
        digest.update(front)
        digest.update(behind)
        return Increment(b"".join((front, b"<", b"0" * room, b">", behind)), Sha256(digest.digest()), start, end)

    def _trailer(self) -> bytes:
        held = dict(self.known.trailer)
        first = _FILE_ID.fullmatch(held[b"/ID"])
        if first is None:
            raise Unusual
        held[b"/ID"] = b"[ %s <%s> ]" % (first[1], os.urandom(16).hex().encode())
        held[b"/Size"] = b"%d" % (self._last + 1)
        held[b"/Prev"] = b"%d" % self.known.file.startxref
        return _rendered(held)


def _table(positions: dict[int, int]) -> bytes:
    """Return a classic table: the head of the free list, then each run of numbers."""
    runs: list[tuple[int, list[bytes]]] = [(0, [b"0000000000 65535 f \n"])]
    for number, at in positions.items():
        first, rows = runs[-1]
        if number != first + len(rows):
            runs.append((number, []))
        runs[-1][1].append(b"%010d 00000 n \n" % at)
    return b"xref\n" + b"".join(b"%d %d\n" % (first, len(rows)) + b"".join(rows) for first, rows in runs)


def _rendered(held: Entries) -> bytes:
    return b"<<\n" + b"".join(b"%s %s\n" % entry for entry in held.items()) + b">>"


@lru_cache(maxsize=1024)
def _text(value: str) -> bytes:
    stream = io.BytesIO()
    pdf_string(value).write_to_stream(stream, None)
    return stream.getvalue()
