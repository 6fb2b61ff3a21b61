"""Which bytes a `Range` header asks for (RFC 9110, 14.1.2). Pure."""

import re
from typing import Final

_ONE_RANGE: Final = re.compile(r"^bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})$")


class Unsatisfiable(ValueError):
    """The range lies outside the file: 416."""


def pick(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the wanted bytes as start and end (not included), or None for the whole file.

    Several ranges, another unit or a malformed header are ignored, as the standard allows.

    Raises:
        Unsatisfiable: the range begins behind the end, or asks for the last nought bytes.
    """
    found = _ONE_RANGE.match(header.replace(" ", "")) if header else None
    if found is None or not (found["first"] or found["last"]):
        return None
    if not found["first"]:
        length = int(found["last"])
        if length == 0:
            raise Unsatisfiable
        return max(size - length, 0), size
    first = int(found["first"])
    last = int(found["last"]) if found["last"] else size - 1
    if found["last"] and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return first, min(last + 1, size)


def matches(header: str | None, etag: str) -> bool:
    """Tell whether an If-None-Match names this strong tag (weak comparison, as for GET)."""
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or f'"{etag}"' in tags
