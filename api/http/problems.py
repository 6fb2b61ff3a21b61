"""Every error as application/problem+json (RFC 9457), Vietnamese first; the one table from kinds to statuses.

A person reads `detail` and `next_step`; a program reads `code`; support asks for `reference`. Nothing of the inside
leaves: an unforeseen exception is logged with its trace and answered by one sentence.
"""

import contextlib
import re
from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from api.db.faults import as_kind
from api.errors import (
    Broken,
    Busy,
    Conflict,
    Forbidden,
    Invalid,
    MotcuaError,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
)
from api.http.validation import field_fault

_log = structlog.get_logger("api.http")

STATUS_OF_KIND: Final[dict[type[MotcuaError], int]] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Refused: 409,
    Conflict: 409,
    TooLarge: 413,
    Busy: 503,
    Broken: 500,
}
STATUS_OF_CODE: Final = {
    "method-not-allowed": 405,
    "body-too-slow": 408,
    "unsupported-media-type": 415,
    "range-not-satisfiable": 416,
    "invalid-field": 422,
    "idempotency-key-reused": 422,
    "locked-out": 429,
    "slowed-down": 429,
    "rate-limited": 429,
}
"""Where a code needs a sharper status than its kind has."""

TITLES: Final = {
    400: "Yêu cầu không hợp lệ",
    401: "Chưa đăng nhập",
    403: "Không có quyền",
    404: "Không tìm thấy",
    405: "Phương thức không được phép",
    408: "Gửi quá chậm",
    409: "Không thực hiện được ở trạng thái hiện tại",
    413: "Dữ liệu quá lớn",
    415: "Kiểu nội dung không được nhận",
    416: "Phạm vi tệp không hợp lệ",
    422: "Dữ liệu chưa đúng",
    429: "Thử lại quá nhiều lần",
    500: "Lỗi của hệ thống",
    503: "Hệ thống đang bận",
}
_NEXT: Final = {
    400: ("Kiểm tra lại nội dung rồi gửi lại.", "Check what was sent, then send it again."),
    401: ("Đăng nhập rồi thử lại.", "Log in, then try again."),
    403: (
        "Đổi sang chức danh có quyền, hoặc liên hệ quản trị của cơ quan.",
        "Switch to a post with this right, or ask your agency's administrator.",
    ),
    404: ("Kiểm tra lại mã hoặc địa chỉ.", "Check the code or the address."),
    405: ("Xem các phương thức cho phép ở tiêu đề Allow.", "See the Allow header for the methods that work."),
    408: ("Kiểm tra đường truyền rồi gửi lại.", "Check the line, then send it again."),
    409: ("Tải lại để xem trạng thái mới nhất.", "Reload to see the present state."),
    413: ("Gửi dữ liệu nhỏ hơn.", "Send less data."),
    415: ("Gửi nội dung dạng application/json.", "Send the body as application/json."),
    416: ("Tải lại tệp từ đầu.", "Fetch the file from the start."),
    422: ("Sửa các trường được nêu rồi gửi lại.", "Correct the fields named, then send it again."),
    429: ("Chờ hết thời gian nêu trên rồi thử lại.", "Wait for the time given, then try again."),
    500: (
        "Thử lại sau; nếu vẫn lỗi, báo mã tham chiếu cho bộ phận hỗ trợ.",
        "Try again later; if it persists, give support the reference.",
    ),
    503: ("Thử lại sau ít giây với cùng khóa yêu cầu.", "Try again in some seconds with the same key."),
}
_RESERVED: Final = frozenset(
    {
        "type", "title", "status", "detail", "instance",
        "code", "detail_en", "next_step", "next_step_en", "reference", "allowed",
    }
)  # fmt: skip
"""Members that a fact must not overwrite: a fact called `status` is shown as `status_fact`."""


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One field that cannot be right."""

    field: str
    where: str
    detail: str
    detail_en: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members every problem has, and the ones some have; for the OpenAPI document."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    detail_en: str
    next_step: str
    next_step_en: str
    reference: str
    allowed: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    errors: tuple[FieldError, ...] | msgspec.UnsetType = msgspec.UNSET


def status_of(error: MotcuaError) -> int:
    """Return the status of an error: by its code where that is sharper, else by its kind."""
    by_code = STATUS_OF_CODE.get(error.kind_code)
    return by_code or next(STATUS_OF_KIND[kind] for kind in type(error).__mro__ if kind in STATUS_OF_KIND)


def problem_of(error: MotcuaError, reference: str) -> dict[str, Any]:
    """Return the members of the problem for an error; facts stand beside them and overwrite none."""
    status = status_of(error)
    next_vi, next_en = error.next_step or _NEXT[status]
    members: dict[str, Any] = {
        "type": f"/problems/{error.kind_code}",
        "title": TITLES[status],
        "status": status,
        "code": error.kind_code,
        "detail": error.vi,
        "detail_en": error.en,
        "next_step": next_vi,
        "next_step_en": next_en,
        "reference": reference,
    }
    if isinstance(error, Refused):
        members["allowed"] = list(error.allowed)
    for key, value in error.facts.items():
        members[f"{key}_fact" if key in _RESERVED else key] = value
    return members


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer any exception; this is the app's only exception handler."""
    known = _as_ours(error)
    reference = str(request.scope.get("state", {}).get("trace_id", ""))
    if isinstance(known, Broken):
        _log.error("broken", code=known.kind_code, exc_info=error)
    elif known is not error and not isinstance(error, HTTPException):
        _log.warning("database", code=known.kind_code, kind=type(error).__name__)
    members = problem_of(known, reference)
    request.scope.setdefault("state", {})["problem"] = known.kind_code
    return Response(
        content=members,
        status_code=members["status"],
        media_type="application/problem+json",
        headers=_headers(request, known, members["status"]),
    )


def _headers(request: Request[Any, Any, Any], error: MotcuaError, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    wait = error.retry_after_s if isinstance(error, Busy) else error.facts.get("retry_after_s")
    if wait is not None:
        headers["Retry-After"] = str(wait)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="motcua"'
    if status == 416:
        headers["Content-Range"] = f"bytes */{error.facts.get('size', '*')}"
    if status == 405:
        headers["Allow"] = ", ".join(methods_of(request))
    return headers


def methods_of(request: Request[Any, Any, Any]) -> list[str]:
    """Ask the router which methods this path takes; only a 405 and OPTIONS cost this."""
    found: list[str] = []
    for method in ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"):
        with contextlib.suppress(HTTPException):
            request.app.asgi_router.handle_routing(path=request.scope["path"], method=method)
            found.append(method)
    return found


def _as_ours(error: Exception) -> MotcuaError:
    if isinstance(error, MotcuaError):
        return error
    if isinstance(error, ValidationException):
        return _of_parameters(error)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _of_framework(error.status_code)
    return as_kind(error) or Broken(
        "Hệ thống gặp lỗi ngoài dự kiến; việc này chưa được thực hiện.",
        "An unforeseen error; nothing was done.",
        code="internal",
    )


def _of_parameters(error: ValidationException) -> Invalid:
    """Name each wrong path or query parameter as for a body."""
    faults = [fault for fault in error.extra if isinstance(fault, dict)] if isinstance(error.extra, list) else []
    keys = [str(fault.get("key", "")) for fault in faults]
    if missing := _MISSING.match(error.detail):
        return field_fault(
            [("Missing required", missing["name"])], where="header" if missing["where"] == "header" else "query"
        )
    if not faults or keys[0] == "data":
        return Invalid("Thiếu nội dung yêu cầu.", "The body is missing.", code="body-missing")
    where = str(faults[0].get("source", "query"))
    messages = [(str(fault.get("message", "")), key) for fault, key in zip(faults, keys, strict=True)]
    return field_fault(messages, where="path" if where == "path" else "header" if where == "header" else "query")


_MISSING: Final = re.compile(r"Missing required (?P<where>\w+) parameter '(?P<name>[^']+)'")
"""Litestar says which parameter is missing in this sentence alone."""


def _of_framework(status: int) -> MotcuaError:
    if status == 404:
        return NotFound("Không có địa chỉ này.", "There is no such address.", code="route-not-found")
    if status == 405:
        return Invalid(
            "Địa chỉ này không nhận phương thức đã dùng.",
            "This address does not take the method used.",
            code="method-not-allowed",
        )
    if status == 413:
        return TooLarge("Nội dung gửi lên quá lớn.", "The body is too large.", code="body-too-large")
    if status == 415:
        return Invalid(
            "Kiểu nội dung không được nhận.", "The content type is not taken.", code="unsupported-media-type"
        )
    return Invalid("Yêu cầu không hợp lệ.", "The request is not valid.", code="bad-request")
