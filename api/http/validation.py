"""What the decoder finds wrong with a field, said in Vietnamese and English with the field's path."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from api.errors import Invalid

Where = Literal["body", "query", "path", "header"]

_KINDS: Final = {
    "str": ("chuỗi ký tự", "text"),
    "int": ("số nguyên", "an integer"),
    "float": ("số", "a number"),
    "bool": ("true hoặc false", "true or false"),
    "object": ("đối tượng", "an object"),
    "array": ("danh sách", "a list"),
    "null": ("null", "null"),
    "uuid": ("mã định danh (UUID)", "an identifier (UUID)"),
    "datetime": ("thời điểm (RFC 3339)", "an instant (RFC 3339)"),
    "date": ("ngày (năm-tháng-ngày)", "a date (year-month-day)"),
}

_Said = Callable[[re.Match[str]], tuple[str, str]]


def _expected(match: re.Match[str]) -> tuple[str, str]:
    kinds = [_KINDS.get(kind.strip(), (kind.strip(), kind.strip())) for kind in match["kind"].split("|")]
    return f"phải là {' hoặc '.join(vi for vi, _ in kinds)}", f"must be {' or '.join(en for _, en in kinds)}"


def _length(match: re.Match[str]) -> tuple[str, str]:
    unit_vi, unit_en = ("ký tự", "characters") if match["kind"] == "str" else ("mục", "items")
    n = match["n"]
    if match["op"] == "<=":
        return f"dài quá {n} {unit_vi}", f"is longer than {n} {unit_en}"
    return f"phải có ít nhất {n} {unit_vi}", f"must have at least {n} {unit_en}"


_BOUNDS: Final = {
    "<=": ("nhiều nhất là", "at most"),
    ">=": ("ít nhất là", "at least"),
    "<": ("nhỏ hơn", "less than"),
    ">": ("lớn hơn", "greater than"),
}


def _bound(match: re.Match[str]) -> tuple[str, str]:
    vi, en = _BOUNDS[match["op"]]
    return f"phải {vi} {match['n']}", f"must be {en} {match['n']}"


_SAYINGS: Final[tuple[tuple[re.Pattern[str], _Said], ...]] = (
    (re.compile(r"missing required field|^Missing required"), lambda _: ("thiếu trường bắt buộc", "is required")),
    (re.compile(r"contains unknown field"), lambda _: ("không phải trường được biết", "is not a known field")),
    (re.compile(r"Expected `(?P<kind>\w+)` of length (?P<op><=|>=) (?P<n>\d+)"), _length),
    (re.compile(r"matching regex"), lambda _: ("sai định dạng", "does not have the required form")),
    (re.compile(r"Expected `\w+` (?P<op><=|>=|<|>) (?P<n>\S+)"), _bound),
    (re.compile(r"Expected `(?P<kind>[^`]+)`"), _expected),
    (re.compile(r"Invalid enum value"), lambda _: ("không nằm trong các giá trị cho phép", "is not an allowed value")),
    (re.compile(r"Invalid UUID"), lambda _: ("không phải mã định danh (UUID)", "is not an identifier (UUID)")),
    (re.compile(r"Invalid RFC3339 encoded date\b"), lambda _: ("không phải ngày hợp lệ", "is not a valid date")),
    (re.compile(r"Invalid RFC3339"), lambda _: ("không phải thời điểm hợp lệ", "is not a valid instant")),
    (
        re.compile(r"outside the years (?P<from>\d+) to (?P<to>\d+)"),
        lambda found: (
            f"nằm ngoài các năm {found['from']} đến {found['to']}",
            f"lies outside the years {found['from']} to {found['to']}",
        ),
    ),
    (re.compile(r"Invalid base64"), lambda _: ("không phải base64", "is not base64")),
    (re.compile(r"timezone"), lambda _: ("phải có múi giờ", "must carry a time zone")),
)

_PATH: Final = re.compile(r" - at `(?P<key>key in )?\$(?P<path>[^`]*)`$")
_FIELD: Final = re.compile(r"field `(?P<name>[^`]+)`")


def say(message: str) -> tuple[str, str]:
    """Translate one of msgspec's messages; an unknown one becomes a general sentence, never the raw text."""
    for pattern, said in _SAYINGS:
        if match := pattern.search(message):
            return said(match)
    return "không hợp lệ", "is not valid"


def path_of(message: str, start: str = "") -> str:
    """Return the path of the field that a message means, such as `parties[0].name`."""
    found = _PATH.search(message)
    inside = found["path"].removeprefix(".") if found else ""
    if name := _FIELD.search(message):
        inside = f"{inside}.{name['name']}" if inside else name["name"]
    return ".".join(part for part in (start, inside) if part)


def instant(text: str, name: str) -> datetime:
    """Return the instant that a query parameter says; left to the framework, `0.5` would be one, too.

    Raises:
        Invalid: it is none, or has no time zone.
    """
    try:
        return msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError as fault:
        raise field_fault([(str(fault), name)], where="query") from None


def field_fault(messages: Iterable[tuple[str, str]], *, where: Where) -> Invalid:
    """Return the refusal for messages, each with the name of the parameter it stands under ("" for the body)."""
    errors: list[dict[str, str]] = []
    for message, start in messages:
        vi, en = say(message)
        errors.append({"field": path_of(message, start), "where": where, "detail": vi, "detail_en": en})
    first = errors[0]
    named_vi, named_en = (f"Trường “{first['field']}”", f"Field '{first['field']}'")
    if not first["field"]:
        named_vi, named_en = "Nội dung", "The body"
    return Invalid(
        f"{named_vi} {first['detail']}.", f"{named_en} {first['detail_en']}.", code="invalid-field", errors=errors
    )
