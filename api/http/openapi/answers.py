"""What an operation may answer besides its own Struct: files, streams, and every problem with an example.

A handler says by `opt={ANSWERS: FILE}` what its annotation cannot tell; everything else follows from its guard, its
parameters and its body.
"""

from typing import Any, Final

import msgspec
from litestar.handlers import HTTPRouteHandler

from api.errors import Busy, Conflict, Forbidden, Invalid, MotcuaError, NotFound, TooLarge, Unauthenticated
from api.http.problems import TITLES, problem_of
from api.http.text import bad_json
from api.http.validation import field_fault

ANSWERS: Final = "answers"
"""Handler option: the `Answer`s that the handler's annotation does not tell."""
BODY: Final = "body"
"""Handler option: the media types of a body that is taken as it comes."""
BODIES: Final = "bodies"
"""Handler option: the Structs of a body by the value of the path's `action`."""
REFUSES: Final = "refuses"
"""Handler option: further statuses of problems, such as those of a log-in."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: `kind` is a type for msgspec to describe, or None where there is no body."""

    status: int
    media_type: str = "application/json"
    kind: Any = None
    text: str | None = None
    headers: tuple[str, ...] = ()


BINARY: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
_PDF: Final = "application/pdf"
FILE: Final = (
    Answer(status=200, media_type=_PDF, headers=("ETag", "Accept-Ranges", "Content-Disposition")),
    Answer(status=206, media_type=_PDF, headers=("ETag", "Content-Range")),
    Answer(status=304, headers=("ETag",)),
)
"""A stored file: whole, in part, or known already."""
PHRASES: Final = {
    200: "Đã trả lời / answered",
    201: "Đã tạo / made",
    202: "Đã nhận, đang xử lý / taken, being worked on",
    204: "Đã làm, không có nội dung / done, nothing to show",
    206: "Một phần của tệp / a part of the file",
    404: "Không tìm thấy",
    503: "Chưa sẵn sàng / not ready",
    304: "Tệp chưa thay đổi / the file has not changed",
}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ETag": {
        "description": "SHA-256 của tệp, trong ngoặc kép / the file's SHA-256, quoted.",
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{64}"$'},
        "required": True,
    },
    "Accept-Ranges": {"description": "Nhận yêu cầu từng phần / parts may be asked for.", "schema": {"const": "bytes"}},
    "Content-Disposition": {
        "description": "Tên tệp, không có tên người / a file name without anybody's name.",
        "schema": {"type": "string"},
    },
    "Content-Range": {
        "description": "Phần được trả và cỡ toàn tệp / the part given and the whole size, RFC 9110.",
        "schema": {"type": "string", "pattern": r"^bytes (\d+-\d+|\*)/\d+$"},
        "required": True,
    },
    "Location": {
        "description": "Địa chỉ để hỏi tiếp / where to ask on.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {
        "description": "Số giây phải chờ / seconds to wait.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "required": True,
        "example": "2",
    },
    "WWW-Authenticate": {"description": "RFC 6750.", "schema": {"type": "string"}, "required": True},
    "Idempotency-Replayed": {
        "description": "`true` khi câu trả lời đã có từ trước / when this answer was given before.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
_OF_STATUS: Final = {401: "WWW-Authenticate", 416: "Content-Range", 429: "Retry-After", 503: "Retry-After"}

_REFERENCE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
_SHOWN: Final[dict[int, MotcuaError]] = {
    400: bad_json(),
    401: Unauthenticated("Bạn chưa đăng nhập.", "You are not logged in.", code="no-session"),
    403: Forbidden(
        "Chức danh đang dùng không có quyền thực hiện việc này.",
        "The post in use has no right to this act.",
        action="dossier.receive",
    ),
    404: NotFound("Không có hồ sơ này.", "There is no such dossier.", code="no-dossier"),
    408: Invalid("Nội dung gửi lên quá chậm.", "The body came too slowly.", code="body-too-slow"),
    409: Conflict("Có người vừa sửa hồ sơ này.", "Somebody has just changed this dossier.", code="changed-meanwhile"),
    413: TooLarge("Nội dung gửi lên quá lớn.", "The body is too large.", code="body-too-large"),
    415: Invalid("Kiểu nội dung không được nhận.", "The content type is not taken.", code="unsupported-media-type"),
    416: Invalid("Tệp không có phần này.", "The file has no such part.", code="range-not-satisfiable"),
    422: field_fault([("Expected `str` of length >= 1 - at `$.reason`", "")], where="body"),
    429: Unauthenticated(
        "Sai tên đăng nhập hoặc mật khẩu nhiều lần từ máy này; hãy chờ 2 phút rồi thử lại.",
        "Too many wrong log-ins from this machine; wait 2 minutes and try again.",
        code="locked-out",
        retry_after_s=120,
    ),
    503: Busy(
        "Hệ thống đang có quá nhiều yêu cầu loại này; yêu cầu chưa được xử lý.",
        "Too many requests of this kind at present; this one was not processed.",
        retry_after_s=2,
        code="overloaded",
    ),
}
"""One real error of each status, shown through the code that answers it."""


def problem_responses() -> dict[str, Any]:
    """Return every problem as a response of the description's components, named `Problem404` and so on."""
    made: dict[str, Any] = {}
    for status, error in _SHOWN.items():
        answer: dict[str, Any] = {
            "description": TITLES[status],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": problem_of(error, _REFERENCE),
                }
            },
        }
        if status in _OF_STATUS:
            answer["headers"] = {_OF_STATUS[status]: HEADERS[_OF_STATUS[status]]}
        made[f"Problem{status}"] = answer
    return made


def problem_statuses(operation: dict[str, Any], handler: HTTPRouteHandler, *, guarded: bool, keyed: bool) -> list[int]:
    """Return the statuses of the problems that an operation may answer; a 500 is a fault and is never described."""
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    body = operation.get("requestBody", {}).get("content", {})
    found = {400, 413, 503, *handler.opt.get(REFUSES, ())}
    if handler.opt.get("work") != "always":
        found |= {429}
    if guarded:
        found |= {401, 403}
    if "path" in places or body:
        found |= {404}
    if places or body:
        found |= {422}
    if keyed:
        found |= {409}
    if body:
        found |= {408}
    if "application/json" in body:
        found |= {415}
    if handler.opt.get(ANSWERS) == FILE:
        found |= {416}
    return sorted(found)
