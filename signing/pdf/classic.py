"""A small reader of files with classic cross-references: the few objects that a signature needs, and no others.

pyHanko parses a document's whole page tree and every object on the way. Here the newest cross-references are walked,
and dictionaries are cut into their entries as they stand. Whatever is out of the ordinary (cross-reference streams,
hybrid files, encryption, comments, nested parentheses, anything odd) raises `Unusual`, and pyHanko does the work.
"""

import re
from mmap import mmap
from typing import Final

import msgspec

_SPACE: Final = rb"[\x00\t\n\f\r ]"
_PLAIN: Final = rb"[^\x00\t\n\f\r ()<>\[\]{}/%]"
_STRING: Final = rb"\([^()\\]*(?:\\.[^()\\]*)*\)"
_NAME: Final = rb"/" + _PLAIN + rb"*"
_HEX: Final = rb"<[0-9A-Fa-f]*>"
_BRACKET: Final = re.compile(rb"(?:[^<>\[\](){}%]++|" + _HEX + rb"|" + _STRING + rb")*+(<<|>>|\[|\])", re.DOTALL)
"""The next bracket behind names, numbers, references and strings."""
_ENTRY: Final = re.compile(
    rb"%(s)s*(%(name)s)%(s)s*(?:(\d+%(s)s+\d+%(s)s+R(?!%(plain)s)|%(name)s|%(string)s|%(hex)s|%(plain)s+)|(?=<<|\[))"
    % {b"s": _SPACE, b"name": _NAME, b"string": _STRING, b"hex": _HEX, b"plain": _PLAIN},
    re.DOTALL,
)
_END: Final = re.compile(_SPACE + rb"*>>")
_OPENED: Final = re.compile(_SPACE + rb"*<<")
_HEAD: Final = re.compile(rb"(\d{1,10}) (\d{1,5}) obj" + _SPACE + rb"*")
_CLOSED: Final = re.compile(_SPACE + rb"*endobj" + _SPACE)
_REFERENCE: Final = re.compile(rb"(\d{1,10})" + _SPACE + rb"+0" + _SPACE + rb"+R")
_TAIL: Final = re.compile(rb"startxref[\r\n]+(\d{1,12})[\r\n]+%%EOF[\r\n]*\Z")
_XREF: Final = re.compile(rb"xref *[\r\n]+")
_SUBSECTION: Final = re.compile(rb"(\d{1,9}) (\d{1,9}) *(?:\r\n|\n|\r)")
_TRAILER: Final = re.compile(_SPACE + rb"*trailer" + _SPACE + rb"*")
_ROW: Final = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \n| \r|\r\n)")
_ROW_SIZE: Final = 20
_MOST_SECTIONS: Final = 64
_DEEPEST: Final = 32

Entries = dict[bytes, bytes]
Data = bytes | bytearray | mmap


class Unusual(Exception):
    """The file is not as plain as the short way needs; says nothing against the file."""


class _Section(msgspec.Struct, frozen=True):
    """One cross-reference table: (first number, count, where the rows begin), newest tables first."""

    parts: tuple[tuple[int, int, int], ...]
    trailer: Entries


class Classic:
    """One file, read as far as it is asked for."""

    def __init__(self, data: Data) -> None:
        tail = _TAIL.search(data, max(0, len(data) - 64))
        if tail is None:
            raise Unusual
        self.data = data
        self.size = len(data)
        self.startxref = int(tail[1])
        self._seen: dict[int, Entries] = {}
        self._sections = _sections(data, self.startxref)
        self.trailer = self._sections[0].trailer

    @property
    def end(self) -> int:
        """Return the number behind the highest that any table names; a file's /Size may lie."""
        return max((first + count for section in self._sections for first, count, _ in section.parts), default=0)

    def position(self, number: int) -> int:
        """Return where an object stands, by the newest table that names it."""
        for section in self._sections:
            for first, count, rows in section.parts:
                if first <= number < first + count:
                    row = _ROW.match(self.data, rows + (number - first) * _ROW_SIZE)
                    if row is None or row[3] != b"n" or row[2] != b"00000":
                        raise Unusual
                    return int(row[1])
        raise Unusual

    def object(self, number: int) -> tuple[Entries, bytes]:
        """Return an object that is a dictionary without a stream: its entries, and its bytes as they stand."""
        head = _HEAD.match(self.data, self.position(number))
        if head is None or int(head[1]) != number or int(head[2]) != 0:
            raise Unusual
        found, end = _read(self.data, head.end())
        if not _CLOSED.match(self.data, end):
            raise Unusual
        self._seen[number] = found
        return found, bytes(self.data[head.end() : end])

    def recalled(self) -> "Recalled":
        """Return the objects that were asked for so far, without the file."""
        return Recalled(self.size, self.startxref, self._seen)

    def dictionary(self, value: bytes) -> Entries:
        """Return the entries of a dictionary given by itself or by its reference."""
        held = _REFERENCE.fullmatch(value)
        return _direct(value) if held is None else self.object(int(held[1]))[0]


class Recalled:
    """What was read of one file, which is not needed for it again."""

    def __init__(self, size: int, startxref: int, seen: dict[int, Entries]) -> None:
        self.size = size
        self.startxref = startxref
        self._seen = seen

    def dictionary(self, value: bytes) -> Entries:
        """Return the entries of a dictionary given by itself or by its reference; Unusual where it was not read."""
        held = _REFERENCE.fullmatch(value)
        if held is None:
            return _direct(value)
        if int(held[1]) not in self._seen:
            raise Unusual
        return self._seen[int(held[1])]


def _direct(value: bytes) -> Entries:
    found, end = _read(value, 0)
    if value[end:].strip(b"\x00\t\n\f\r "):
        raise Unusual
    return found


def reference(value: bytes | None) -> int:
    """Return the object number of a reference to generation 0."""
    held = _REFERENCE.fullmatch(value or b"")
    if held is None:
        raise Unusual
    return int(held[1])


def references(value: bytes) -> list[int]:
    """Return the object numbers of an array of references and nothing else."""
    numbers = [int(number) for number in _REFERENCE.findall(value)]
    if re.sub(_SPACE + rb"+", b"", _REFERENCE.sub(b"", value)) != b"[]":
        raise Unusual
    return numbers


def numbers(raw: bytes) -> list[float]:
    """Return an array of plain numbers."""
    try:
        return [float(part) for part in raw.strip()[1:-1].split()]
    except ValueError as error:
        raise Unusual from error


def _read(data: Data, at: int) -> tuple[Entries, int]:
    opened = _OPENED.match(data, at)
    if opened is None:
        raise Unusual
    found: Entries = {}
    at = opened.end()
    while (ended := _END.match(data, at)) is None:
        entry = _ENTRY.match(data, at)
        if entry is None or entry[1] in found or b"#" in entry[1]:
            raise Unusual
        at = entry.end()
        if entry[2] is None:
            start, at = at, _container_end(data, at)
            found[entry[1]] = bytes(data[start:at])
        else:
            found[entry[1]] = entry[2]
    return found, ended.end()


def _container_end(data: Data, at: int) -> int:
    """Return where the dictionary or array that opens here ends."""
    open_ones: list[bytes] = []
    while True:
        token = _BRACKET.match(data, at)
        if token is None:
            raise Unusual
        at = token.end()
        said = token[1]
        if said in {b"<<", b"["}:
            open_ones.append(b">>" if said == b"<<" else b"]")
            if len(open_ones) > _DEEPEST:
                raise Unusual
        elif not open_ones or open_ones.pop() != said:
            raise Unusual
        if not open_ones:
            return at


def _sections(data: Data, at: int) -> list[_Section]:
    found: list[_Section] = []
    seen: set[int] = set()
    while True:
        if at in seen or len(found) >= _MOST_SECTIONS:
            raise Unusual
        seen.add(at)
        section = _section(data, at)
        if b"/Encrypt" in section.trailer or b"/XRefStm" in section.trailer:
            raise Unusual
        found.append(section)
        if b"/Prev" not in section.trailer:
            return found
        at = whole(section.trailer, b"/Prev")


def whole(held: Entries, key: bytes) -> int:
    """Return an entry that is a whole number."""
    value = held.get(key, b"")
    if not value.isdigit() or len(value) > 12:
        raise Unusual
    return int(value)


def _section(data: Data, at: int) -> _Section:
    opened = _XREF.match(data, at)
    if opened is None:
        raise Unusual
    at = opened.end()
    parts: list[tuple[int, int, int]] = []
    while (head := _SUBSECTION.match(data, at)) is not None:
        first, count = int(head[1]), int(head[2])
        parts.append((first, count, head.end()))
        at = head.end() + count * _ROW_SIZE
    trailer = _TRAILER.match(data, at)
    if trailer is None:
        raise Unusual
    held, _ = _read(data, trailer.end())
    return _Section(tuple(parts), held)
