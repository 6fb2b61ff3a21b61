"""How an answer leaves, and how a handler gets what it asks for, at less cost than the framework's own way."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec
from litestar import Litestar, Request, Response
from litestar.background_tasks import BackgroundTask, BackgroundTasks
from litestar.datastructures import Cookie
from litestar.enums import MediaType
from litestar.response.base import ASGIResponse
from litestar.routes import HTTPRoute
from litestar.serialization import default_serializer
from litestar.types import Receive, Scope, Send

T = TypeVar("T")

encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder(enc_hook=default_serializer).encode
_NONE: Final[Mapping[str, str]] = {}
_JSON: Final = (b"content-type", b"application/json")


class Json(Response[T]):
    """JSON that goes out as it is: encoded once, its headers written as bytes. Anything else goes the usual way."""

    def __init__(self, content: T, *, headers: Any = None, **others: Any) -> None:
        """Take what the framework's response takes; of JSON there is mostly little but the content."""
        if others or not isinstance(headers, dict | None):
            super().__init__(content, headers=headers, **others)
            return
        self.content = content
        self.headers = dict(headers or ())
        self.background, self.cookies, self.encoding = None, [], "utf-8"
        self.media_type, self.status_code, self.response_type_encoders = None, None, {}

    def to_asgi_response(
        self,
        app: Litestar | None,
        request: Request[Any, Any, Any],
        *,
        background: BackgroundTask | BackgroundTasks | None = None,
        cookies: Iterable[Cookie] | None = None,
        encoded_headers: Iterable[tuple[bytes, bytes]] | None = None,
        headers: dict[str, str] | None = None,
        is_head_response: bool = False,
        media_type: MediaType | str | None = None,
        status_code: int | None = None,
        type_encoders: Any = None,
    ) -> ASGIResponse:
        """Return what is sent."""
        status = self.status_code or status_code or 200
        kind = self.media_type or media_type or MediaType.JSON
        plain = kind == MediaType.JSON and status != 204 and not is_head_response
        if not plain or self.cookies or cookies or self.background or background:
            return super().to_asgi_response(
                app, request, background=background, cookies=cookies, encoded_headers=encoded_headers, headers=headers,
                is_head_response=is_head_response, media_type=media_type, status_code=status_code,
                type_encoders=type_encoders,
            )  # fmt: skip
        content: Any = self.content
        body = content if isinstance(content, bytes) else encode(content)
        return Sent(status, body, {**headers, **self.headers} if headers else self.headers)


@lru_cache(1024)
def _encoded(header: tuple[str, str]) -> tuple[bytes, bytes]:
    """Encode a header; most are the same each time, and the others are forgotten soon."""
    name, value = header
    return name.lower().encode("latin-1"), value.encode("latin-1")


class Sent(ASGIResponse):
    """Two messages. The framework's own class would fill a mutable mapping of headers to read it once."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] = _NONE) -> None:
        """Take JSON as it is encoded already."""
        self.status_code = status
        self.body = body
        self._sent = [
            _JSON,
            (b"content-length", b"%d" % len(body)),
            *map(_encoded, headers.items()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Send them."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self._sent})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def lighten(app: Litestar) -> None:
    """Let dependencies be looked up in turn: the framework makes tasks of those that may go side by side."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, model in route.route_handler_map.values():
                model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]
