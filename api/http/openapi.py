"""The API's description at `/schema/openapi.json`: what Litestar derives from the handlers, made exact.

Litestar leaves out what the edge adds: that unknown fields are refused, the key of a write, the log-in, and the
problems that any operation may answer.
"""

from typing import Any, Final

import msgspec
from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from api.http.auth.guards import NO_KEY, PUBLIC, Guard, handlers_of
from api.http.idempotency import HEADER, REPLAYED
from api.http.problems import TITLES, Problem

_REF: Final = "#/components/schemas/"
_DESCRIPTION: Final = """\
Phần lõi của hệ thống một cửa: hồ sơ, chữ ký số, con dấu. Lỗi trả về theo RFC 9457 (application/problem+json), câu
tiếng Việt đứng trước. Mọi lệnh ghi cần tiêu đề `Idempotency-Key`.

The engine of a province's one-stop-shop: dossiers, signatures, seals. Errors are RFC 9457 problems, Vietnamese first.
Every write needs an `Idempotency-Key`: the same key gives the same effect once, and the same answer again.
`Prefer: wait=10` (RFC 7240) says how many seconds the caller will wait: what cannot be done by then is not done.
"""


class ExactJson(OpenAPIRenderPlugin):
    """Renders the exact description, made once per process."""

    def __init__(self) -> None:
        """Serve at `/schema/openapi.json` and at `/schema` itself."""
        super().__init__(path="/openapi.json", media_type="application/json")  # pyright: ignore[reportArgumentType]
        self._made: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the description as JSON."""
        if self._made is None:
            self._made = msgspec.json.encode(exact(openapi_schema, request))
        return self._made


def config(version: str) -> OpenAPIConfig:
    """Return the configuration for the app; the description itself is public."""
    return OpenAPIConfig(
        title="Motcua",
        version=version,
        description=_DESCRIPTION,
        path="/schema",
        use_handler_docstrings=True,
        render_plugins=[ExactJson()],
        openapi_router=Router(
            "/schema", route_handlers=[], opt={PUBLIC: True, "work": "always"}, include_in_schema=False
        ),
        components=Components(
            security_schemes={
                "session": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="Mã phiên nhận được khi đăng nhập / the token that POST /session gives.",
                )
            }
        ),
    )


def exact(schema: dict[str, Any], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Add to Litestar's description what the edge adds to its answers."""
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    _close_objects(components)
    (_, problem_parts) = msgspec.json.schema_components([Problem], ref_template=_REF + "{name}")
    components.update(problem_parts)
    components["Problem"]["examples"] = [_EXAMPLE]
    for method, path, handler in handlers_of(request.app):
        operation = schema.get("paths", {}).get(path, {}).get(method.lower())
        if operation is None:
            continue
        guards = [guard for guard in handler.resolve_guards() if isinstance(guard, Guard)]
        writes = method not in ("GET", "HEAD")
        if guards:
            operation["security"] = [{"session": []}]
            needs = next((guard.action for guard in guards if guard.action), None)
            if needs:
                operation["x-requires"] = needs
        if writes and guards and not handler.opt.get(NO_KEY):
            _add_key(operation)
        _add_problems(operation, guarded=bool(guards), writes=writes)
    return schema


def _close_objects(components: dict[str, Any]) -> None:
    closed = {kind.__name__ for kind in _structs(msgspec.Struct) if kind.__struct_config__.forbid_unknown_fields}
    for name, component in components.items():
        if name.rpartition("_")[2] in closed and "properties" in component:
            component["additionalProperties"] = False


def _structs(root: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    direct = root.__subclasses__()
    return direct + [deeper for kind in direct for deeper in _structs(kind)]


def _add_key(operation: dict[str, Any]) -> None:
    key = {
        "name": HEADER,
        "in": "header",
        "required": True,
        "description": "Khóa của lần gửi này, giữ nguyên khi thử lại / this intent's key, kept on every retry.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]*[!-~][ -~]*$"},
        "example": "0191f3c2-7a4e-7c1b-9d7e-0b1a2c3d4e5f",
    }
    kept = [known for known in operation.get("parameters", []) if known["name"].lower() != HEADER.lower()]
    operation["parameters"] = [*kept, key]
    for status, answer in operation.get("responses", {}).items():
        if status.startswith("2"):
            answer.setdefault("headers", {})[REPLAYED] = {
                "description": "`true` khi câu trả lời đã có từ trước / when this answer was given before.",
                "schema": {"type": "string", "enum": ["true"]},
            }


def _add_problems(operation: dict[str, Any], *, guarded: bool, writes: bool) -> None:
    statuses = [400, 404, 422, 429, 500, 503]
    statuses += [401, 403] if guarded else []
    statuses += [401, 403, 408, 409, 413, 415] if writes else []
    responses = operation.setdefault("responses", {})
    for status in sorted(set(statuses)):
        answer: dict[str, Any] = {
            "description": TITLES[status],
            "content": {"application/problem+json": {"schema": {"$ref": _REF + "Problem"}}},
        }
        if status in (429, 503):
            answer["headers"] = {
                "Retry-After": {"description": "Số giây / seconds", "schema": {"type": "string"}, "required": True}
            }
        responses[str(status)] = answer


_EXAMPLE: Final = {
    "type": "/problems/step-refused",
    "title": TITLES[409],
    "status": 409,
    "code": "step-refused",
    "detail": "Hồ sơ đang chờ bổ sung nên chưa trình ký được.",
    "detail_en": "The dossier waits for a supplement and cannot be submitted for signature.",
    "next_step": "Tải lại để xem trạng thái mới nhất.",
    "next_step_en": "Reload to see the present state.",
    "reference": "4bf92f3577b34da6a3ce929d0e0e4736",
    "allowed": ["dossier.accept_supplement", "dossier.withdraw"],
}
