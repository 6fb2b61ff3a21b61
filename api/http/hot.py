"""Hot routes: asked for so often that the framework's own way to a handler would cost more than the handler.

A handler is made hot by its option, `opt={HOT: True}`, and by nothing else. It stays what it is: declared with the
framework, described by it, with the same door, guards, limits, audit and problems. Only the way is shorter: the route
is looked up here, and the arguments are taken from the request by a plan that was made at the start. Whatever is not
plainly right (an argument that does not fit, a body of unknown length, an escape in the query) is handed to the
framework untouched, which then says what is wrong; so no refusal of an argument is written twice. A body is decoded
where the framework has it decoded, by `EdgeRequest.json`.
"""

import re
from collections.abc import Awaitable
from functools import lru_cache
from inspect import signature
from operator import itemgetter
from typing import Any, Final, cast

import msgspec
from litestar import Litestar, Response
from litestar.enums import ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from api.errors import MotcuaError
from api.http import problems
from api.http.admission import Admission
from api.http.lighter import Sent, encode
from api.http.request import EdgeRequest

HOT: Final = "hot"
"""Handler option of a GET or POST that is reached by the short way."""

Arguments = dict[str, Any]


class HotRoutes:
    """Stands before the framework and answers what it knows to be hot."""

    def __init__(self, app: Litestar, admission: Admission) -> None:
        """Plan the hot routes of an app.

        Raises:
            RuntimeError: a hot handler asks for what the short way does not know, or its address is not its own.
        """
        self._framework: ASGIApp = app.asgi_handler
        self._app = app
        self._admission = admission
        routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
        self._plain: dict[tuple[str, str], _Hot] = {}
        self._patterns: dict[tuple[str, int], list[_Hot]] = {}
        self._literal = {route.path_format for route in routes if None not in _pattern(route)}
        for hot in (
            _Hot(route, method) for route in routes for method in route.route_handler_map if _is_hot(route, method)
        ):
            _require_own_address(hot, routes)
            if hot.parameters:
                self._patterns.setdefault((hot.method, len(hot.pattern)), []).append(hot)
            else:
                self._plain[hot.method, hot.template] = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the short way where there is one, else by the framework's."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._framework(scope, receive, send)
            return
        hot, given = found
        scope["route_handler"], scope["path_template"] = hot.handler, hot.template
        scope["path_params"] = {name: given[name] for name in hot.parameters}

        async def inside(scope: Scope, receive: Receive, send: Send) -> None:
            request = EdgeRequest(scope, receive, send)
            try:
                response = await hot.response(request, given)
            except Exception as error:  # noqa: BLE001 - as with the framework, every one has its answer
                response = self._refusal(request, error)
            await response(scope, receive, send)

        try:
            await self._admission.handle(scope, receive, send, inside)
        except MotcuaError as error:  # not let in
            await self._refusal(EdgeRequest(scope, receive, send), error)(scope, receive, send)

    def _refusal(self, request: EdgeRequest, error: Exception) -> ASGIApp:
        return problems.answer(request, error).to_asgi_response(app=self._app, request=request)

    def _find(self, scope: HTTPScope) -> "tuple[_Hot, Arguments] | None":
        method, path = scope["method"], scope["path"]
        hot = self._plain.get((method, path))
        segments: list[str] = []
        if hot is None and path not in self._literal:
            segments = path.split("/")
            known = self._patterns.get((method, len(segments)), ())
            hot = next((one for one in known if one.fits(segments)), None)
        given = None if hot is None else hot.arguments(scope, segments)
        return None if hot is None or given is None else (hot, given)


class _Parameter(msgspec.Struct, frozen=True):
    """Where an argument of a handler comes from, and what it must be."""

    name: str
    sent_as: str
    kind: Any
    default: Any
    required: bool


class _Hot:
    """One hot route, planned."""

    def __init__(self, route: HTTPRoute, method: str) -> None:
        handler, model = route.route_handler_map[method]  # pyright: ignore[reportArgumentType] - a method it has
        self.method = method
        self.handler: HTTPRouteHandler = handler
        self._fn = handler.fn
        self.template = route.path_format
        self.pattern = _pattern(route)
        self._places = [
            (place, one.name) for place, one in enumerate(route.path_components, 1) if not isinstance(one, str)
        ]
        self.parameters = tuple(name for _, name in self._places)
        self._fixed = itemgetter(*(place for place, own in enumerate(self.pattern) if own is not None))
        self._own = self._fixed(self.pattern)
        fields = {field.name: field for field in msgspec.structs.fields(handler.signature_model)}

        def planned(wanted: ParamType) -> tuple[_Parameter, ...]:
            return tuple(
                _Parameter(one.field_name, one.field_alias, fields[one.field_name].type, one.default, one.is_required)
                for sent in (model.expected_path_params, model.expected_query_params, model.expected_header_params)
                for one in sent
                if one.param_type == wanted and not one.is_sequence
            )

        self._path, self._query = planned(ParamType.PATH), planned(ParamType.QUERY)
        self._headers = tuple((one.sent_as.lower().encode(), one) for one in planned(ParamType.HEADER))
        self._unasked = (
            None if any(one.required for one in self._query) else {one.name: one.default for one in self._query}
        )
        """What a query that is empty says; None where it may not be."""
        known = {one.name for one in (*self._path, *self._query, *(one for _, one in self._headers))}
        self._provided = tuple(
            (name, give.dependency)
            for name, give in handler.resolve_dependencies().items()
            if name in fields and give.has_sync_callable and [*signature(give.dependency).parameters] == ["request"]
        )
        self._asks_request, self._asks_body = "request" in fields, "data" in fields
        unknown = set(fields) - known - {name for name, _ in self._provided} - {"request", "data"}
        if unknown:
            raise RuntimeError(f"{self.template} cannot be hot: {sorted(unknown)}")
        self._guards = handler.resolve_guards()
        self._before = handler.resolve_before_request()

    def fits(self, segments: list[str]) -> bool:
        """Tell whether the segments of a path, as many as there are here, are an address of this route."""
        return self._fixed(segments) == self._own and "" not in segments[1:]

    def arguments(self, scope: HTTPScope, segments: list[str]) -> dict[str, Any] | None:
        """Return what the request says of the handler's arguments, or None where the framework should look."""
        given: dict[str, Any] = {}
        try:
            sent = {name: segments[place] for place, name in self._places}
            for one in self._path:
                given[one.name] = msgspec.convert(sent[one.sent_as], one.kind, strict=False)
            if not self._take_query(scope["query_string"], given) or not self._take_headers(scope, given):
                return None
        except msgspec.ValidationError:
            return None
        return given

    def _take_query(self, raw: bytes, given: dict[str, Any]) -> bool:
        if not raw and self._unasked is not None:
            given.update(self._unasked)
            return True
        if b"%" in raw or b"+" in raw:
            return False
        sent = {name: value for name, _, value in (pair.partition("=") for pair in raw.decode().split("&"))}
        for one in self._query:
            value = sent.get(one.sent_as)
            if value is None and not one.required:
                given[one.name] = one.default
            elif not value:
                return False
            else:
                given[one.name] = msgspec.convert(value, one.kind, strict=False)
        return True

    def _take_headers(self, scope: HTTPScope, given: dict[str, Any]) -> bool:
        sent: dict[bytes, bytes] = scope["state"]["headers"]
        if b"transfer-encoding" in sent or not _is_plain_host(sent.get(b"host")):
            return False
        length = sent.get(b"content-length")
        if (length is None or not length.isdigit() or int(length) == 0) if self._asks_body else length is not None:
            return False
        for header, one in self._headers:
            value = sent.get(header)
            if value is None and one.required:
                return False
            given[one.name] = one.default if value is None else msgspec.convert(value.decode("latin-1"), one.kind)
        return True

    async def response(self, request: EdgeRequest, given: Arguments) -> ASGIApp:
        """Return what the handler answers, once guards and limits have let the request pass."""
        for guard in self._guards:
            await cast("Awaitable[None]", guard(request, self.handler))  # all of ours are asynchronous
        if self._before is not None:
            await self._before(request)
        for name, give in self._provided:
            given[name] = give(request)
        if self._asks_request:
            given["request"] = request
        if self._asks_body:
            given["data"] = await request.json()
        answer = await self._fn(**given)
        if isinstance(answer, Response):
            return answer.to_asgi_response(app=request.app, request=request, status_code=self.handler.status_code)
        return Sent(self.handler.status_code, encode(answer))


def _is_hot(route: HTTPRoute, method: str) -> bool:
    if method not in {"GET", "POST"}:
        return False
    return bool(route.route_handler_map[method][0].opt.get(HOT))  # pyright: ignore[reportArgumentType] - one of the two


def _pattern(route: HTTPRoute) -> tuple[str | None, ...]:
    """Return the segments of an address, the empty one before the first stroke too; None stands for a parameter."""
    return ("", *(one if isinstance(one, str) else None for one in route.path_components))


def _require_own_address(hot: _Hot, routes: list[HTTPRoute]) -> None:
    """Refuse where another route could be meant by an address of this one."""
    for other in routes:
        theirs = _pattern(other)
        if other.path_format == hot.template or len(theirs) != len(hot.pattern) or not hot.parameters:
            continue
        if None not in theirs:  # comes before all patterns, here as there
            continue
        if all(one is None or two is None or one == two for one, two in zip(hot.pattern, theirs, strict=True)):
            raise RuntimeError(f"{hot.template} cannot be hot beside {other.path_format}")


_PLAIN_HOST: Final = re.compile(rb"[0-9A-Za-z.:\[\]-]{1,255}")


@lru_cache(256)
def _is_plain_host(host: bytes | None) -> bool:
    return host is None or _PLAIN_HOST.fullmatch(host) is not None
