"""The API's description at `/schema/openapi.json`: what the handlers take and answer, made exact and with examples.

Litestar lists operations and parameters. Bodies and answers are described by msgspec from the very Structs that are
decoded and encoded, so that the description cannot differ from the code; `answers` adds what the edge may answer.
"""

from typing import Any, Final

import msgspec
from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin

from api.http.auth.guards import PUBLIC
from api.http.openapi.operations import exact

_DESCRIPTION: Final = """\
Phần lõi của hệ thống một cửa: hồ sơ, chữ ký số, con dấu. Lỗi trả về theo RFC 9457 (application/problem+json), câu
tiếng Việt đứng trước. Mọi lệnh ghi cần tiêu đề `Idempotency-Key`.

The engine of a province's one-stop-shop: dossiers, signatures, seals. Errors are RFC 9457 problems, Vietnamese first.
Every write needs an `Idempotency-Key`: the same key gives the same effect once, and the same answer again.
`Prefer: wait=10` (RFC 7240) says how many seconds the caller will wait: what cannot be done by then is not done.
"""


class ExactJson(OpenAPIRenderPlugin):
    """Renders the exact description, made once per process."""

    def __init__(self, cookie: str) -> None:
        """Serve at `/schema/openapi.json` and at `/schema` itself; `cookie` is the name of the session's cookie."""
        super().__init__(path="/openapi.json", media_type="application/json")  # pyright: ignore[reportArgumentType]
        self._cookie = cookie
        self._made: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the description as JSON."""
        if self._made is None:
            self._made = msgspec.json.encode(exact(openapi_schema, request.app, self._cookie))
        return self._made


def config(version: str, cookie: str) -> OpenAPIConfig:
    """Return the configuration for the app; the description itself is public."""
    return OpenAPIConfig(
        title="Motcua",
        version=version,
        description=_DESCRIPTION,
        path="/schema",
        use_handler_docstrings=True,
        render_plugins=[ExactJson(cookie)],
        openapi_router=Router(
            "/schema", route_handlers=[], opt={PUBLIC: True, "work": "always"}, include_in_schema=False
        ),
    )
