"""The code of a dossier: issuing agency, day of Vietnam, sequence number, by a pattern that is a dated rule.

As built in the field: `{MaDinhDanh}-{yyMMdd}-{NNNN}` (Circular 03/2025/TT-VPCP names the parts,
the layout stays a rule).
"""

import re
from datetime import date
from functools import cache
from typing import Final

from api.errors import Broken

DEFAULT_PATTERN: Final = "{agency}-{yymmdd}-{n:04}"
"""What the rule `dossier.code_pattern` is seeded with."""

_FORM: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,39}-\d{6}-\d{4,9}")
_PLACES: Final = re.compile(r"\{(?:agency|yymmdd|n:0\d+d?)\}")


def dossier_code(pattern: str, agency_code: str, day: date, n: int) -> str:
    """Return the code of the n-th dossier that an agency opened on a Vietnamese day.

    Raises:
        Broken: the rule's pattern lacks a part, or asks for one that does not exist.
    """
    if not _is_whole(pattern):
        raise Broken(
            "Quy tắc mã hồ sơ không hợp lệ.", f"The rule of dossier codes is wrong: {pattern!r}.", code="code-pattern"
        )
    return pattern.format(agency=agency_code, yymmdd=f"{day:%y%m%d}", n=n)


@cache
def _is_whole(pattern: str) -> bool:
    places = _PLACES.findall(pattern)
    rest = _PLACES.sub("", pattern)
    return len(places) == 3 and len(set(places)) == 3 and "{" not in rest and "}" not in rest


def looks_like_code(text: str) -> bool:
    """Tell whether a text has the form of a dossier code: cheaper than asking the database for nonsense."""
    return _FORM.fullmatch(text) is not None
