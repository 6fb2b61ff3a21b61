"""The code of a dossier: issuing agency, day of Vietnam, sequence number, by a pattern that is a dated rule.

As built in the field: `{MaDinhDanh}-{yyMMdd}-{NNNN}` (Circular 03/2025/TT-VPCP names the parts,
the layout stays a rule).
"""

import re
from datetime import date
from functools import cache
from typing import Final

import msgspec

from api.errors import Broken

DEFAULT_PATTERN: Final = "{agency}-{yymmdd}-{n:04}"
"""What the rule `dossier.code_pattern` is seeded with."""

_FORM: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,39}-\d{6}-\d{4,9}")
_PLACES: Final = re.compile(r"\{(?:agency|yymmdd|n:0\d+d?)\}")
_NUMBER: Final = re.compile(r"\{n:0(\d+)d?\}")


class CodeForm(msgspec.Struct, frozen=True, kw_only=True):
    """The codes of one agency and day: what stands around the number, which has at least `width` digits."""

    day: date
    before: str
    width: int
    after: str


def code_form(pattern: str, agency_code: str, day: date) -> CodeForm:
    """Return the codes of the dossiers that an agency opens on a Vietnamese day.

    Raises:
        Broken: the rule's pattern lacks a part, or asks for one that does not exist.
    """
    if not _is_whole(pattern):
        raise Broken(
            "Quy tắc mã hồ sơ không hợp lệ.", f"The rule of dossier codes is wrong: {pattern!r}.", code="code-pattern"
        )
    before, width, after = (
        part if part.isdigit() else part.format(agency=agency_code, yymmdd=f"{day:%y%m%d}")
        for part in _NUMBER.split(pattern)
    )
    return CodeForm(day=day, before=before, width=int(width), after=after)


@cache
def _is_whole(pattern: str) -> bool:
    places = _PLACES.findall(pattern)
    rest = _PLACES.sub("", pattern)
    return len(places) == 3 and len(set(places)) == 3 and "{" not in rest and "}" not in rest


def looks_like_code(text: str) -> bool:
    """Tell whether a text has the form of a dossier code: cheaper than asking the database for nonsense."""
    return _FORM.fullmatch(text) is not None
