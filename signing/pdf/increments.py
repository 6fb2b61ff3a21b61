"""The parts of a file of our own making as the second reading takes them: whole revisions, each with its own table.

Used by `signing.pdf.second` alone. No byte may stand between two objects, and no object without a row.
"""

import re
from mmap import mmap
from typing import Any, Final

import msgspec

from signing.pdf.container import Strange

_TAIL: Final = re.compile(rb"startxref\n(\d{1,12})\n%%EOF\n\Z")
_BEFORE: Final = re.compile(rb"startxref[\r\n]+(\d{1,12})[\r\n]+%%EOF[\r\n]*\Z")
_TABLE: Final = re.compile(rb"xref\n((?:\d{1,7} \d{1,5}\n(?:\d{10} \d{5} [nf] \n)+)+)trailer\n<<\n((?:/[^\n]+\n)+)>>\n")
_RUN: Final = re.compile(rb"(\d+) (\d+)\n((?:\d{10} \d{5} [nf] \n)+)")
_OLD_TABLE: Final = re.compile(rb"xref\s+")
_OLD_RUN: Final = re.compile(rb"(\d{1,9})\s+(\d{1,9})\s*?(?:\r\n|\n|\r)")
_OLD_TRAILER: Final = re.compile(rb"\s*trailer\s*<<(.*?)startxref", re.DOTALL)
_OLD_PREVIOUS: Final = re.compile(rb"/Prev\s+(\d{1,12})\b")
_LINE: Final = re.compile(rb"(/[A-Za-z0-9]+) ([^\n]+)")
_TRAILER_KEYS: Final = frozenset(b"/Root /Size /ID /Prev /Info".split())
_MOST_REVISIONS: Final = 32

Dictionary = dict[bytes, Any]


class Revision(msgspec.Struct):
    """One part of the file with its own table: where it starts and ends, its trailer, its objects as they stand."""

    start: int
    end: int
    trailer: Dictionary
    bodies: dict[int, bytes]


def demand(true: bool) -> None:
    """Raise Strange unless something is true."""
    if not true:
        raise Strange


def must(found: re.Match[bytes] | None) -> re.Match[bytes]:
    """Return a match; raise Strange where there is none."""
    if found is None:
        raise Strange
    return found


def occurrences(data: bytes | mmap, sought: bytes) -> int:
    """Count non-overlapping occurrences from the end, which the search does half as fast again as from the start."""
    count, end = 0, len(data)
    while (at := data.rfind(sought, 0, end)) >= 0:
        count, end = count + 1, at
    return count


def revisions(data: bytes | mmap) -> tuple[Revision, list[Revision]]:
    """Return the laid file's last revision, and the signed ones behind it in their order."""
    found: list[Revision] = []
    end = len(data)
    while len(found) < _MOST_REVISIONS:
        revision = _revision(data, end)
        if not any(b"/ByteRange" in body for body in revision.bodies.values()):
            return revision, found[::-1]
        demand(b"/Prev" in revision.trailer)
        before = must(_BEFORE.search(data, max(0, revision.start - 64), revision.start))
        demand(before[1] == revision.trailer[b"/Prev"])
        found.append(revision)
        end = revision.start
    raise Strange


def _revision(data: bytes | mmap, end: int) -> Revision:
    tail = must(_TAIL.search(data, max(0, end - 64), end))
    table_at = int(tail[1])
    table = must(_TABLE.match(data, table_at, end))
    demand(table.end() == tail.start())
    rows = _rows(table[1])
    trailer = _dictionary([*table[2].splitlines(), b">>"])
    demand(trailer.keys() <= _TRAILER_KEYS)
    order = sorted(rows, key=rows.__getitem__)
    bodies: dict[int, bytes] = {}
    for number, after in zip(order, [*(rows[number] for number in order[1:]), table_at], strict=True):
        head, foot = b"%d 0 obj\n" % number, b"\nendobj\n"
        whole = data[rows[number] : after]
        demand(whole.startswith(head) and whole.endswith(foot))
        bodies[number] = whole[len(head) : -len(foot)]
    return Revision(rows[order[0]], end, trailer, bodies)


def highest(data: bytes | mmap, laid: Revision) -> int:
    """Return the highest number that the laid file's tables name, so that no later object takes one of them."""
    top, trailer = max(laid.bodies), laid.trailer
    before = int(trailer[b"/Prev"]) if b"/Prev" in trailer else None
    for _ in range(_MOST_REVISIONS):
        if before is None:
            return top
        opened = must(_OLD_TABLE.match(data, before))
        at = opened.end()
        while (run := _OLD_RUN.match(data, at)) is not None:
            top = max(top, int(run[1]) + int(run[2]) - 1)
            at = run.end() + 20 * int(run[2])
        older = must(_OLD_TRAILER.match(data, at))
        earlier = _OLD_PREVIOUS.findall(older[1])
        demand(len(earlier) == older[1].count(b"/Prev") <= 1 and b"/XRefStm" not in older[1])
        before = int(earlier[0]) if earlier else None
    raise Strange


def _rows(table: bytes) -> dict[int, int]:
    rows: dict[int, int] = {}
    at = 0
    while at < len(table):
        run = must(_RUN.match(table, at))
        first, lines = int(run[1]), run[3].splitlines()
        demand(len(lines) == int(run[2]))
        for number, line in enumerate(lines, first):
            if number == 0:
                demand(line == b"0000000000 65535 f ")
                continue
            demand(line.endswith(b" 00000 n ") and number not in rows)
            rows[number] = int(line[:10])
        at = run.end()
    demand(len(rows) == len(set(rows.values())) > 0)
    return rows


def _dictionary(lines: list[bytes]) -> Dictionary:
    """Read the lines between the angle brackets of a dictionary; the closing ones are the last line."""
    found, rest = _nested(iter(lines), 0)
    demand(rest == 0)
    return found


def _nested(lines: Any, depth: int) -> tuple[Dictionary, int]:
    demand(depth < 8)
    found: Dictionary = {}
    for line in lines:
        if line == b">>":
            return found, sum(1 for _ in lines) if depth == 0 else 0
        entry = must(_LINE.fullmatch(line))
        demand(entry[1] not in found)
        if entry[2] == b"<<":
            found[entry[1]] = _nested(lines, depth + 1)[0]
        else:
            demand(b"<<" not in entry[2] and b">>" not in entry[2])
            found[entry[1]] = entry[2]
    raise Strange


def plain(body: bytes) -> Dictionary:
    """Read an object that is a dictionary, one entry a line."""
    lines = body.split(b"\n")
    demand(lines[0] == b"<<")
    return _dictionary(lines[1:])
