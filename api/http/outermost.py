"""The outermost layer of the web process: trace id, source, clean query, security headers, counting, one log line.

It stands outside the router, so unknown addresses pass it as well. It never looks into a body, but takes in what is
left of one before a refusal goes out: a connection closed on a sending client is reset, and the refusal with it.
Work whose caller has hung up is ended: its statement is cancelled and its transaction rolled back.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

from litestar import Request
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from api import logs
from api.db import budget
from api.errors import Invalid, MotcuaError, TooLarge
from api.http import metrics, problems
from api.http.text import clean, clean_query
from api.http.turnstile import Turnstile
from api.telemetry import spans

LONGEST_QUERY: Final = 8192
LONGEST_PATH: Final = 2048
DRAINED_BYTES: Final = 256 << 20
DRAIN_S: Final = 10.0
"""How much of an unread body is taken in, and for how long; a client that sends more may lose the answer."""
GONE_STATUS: Final = 499
"""In log and metrics alone: the caller had gone before there was an answer."""
WATCH_AFTER_S: Final = 0.25
"""Who is answered sooner costs no look at whether the caller is still there; it comes after this time, or twice it."""
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

SECURITY_HEADERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
)
"""Set where a handler has not set its own."""
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

Networks = Iterable[IPv4Network | IPv6Network]


def always(*, tls: bool) -> Sequence[tuple[bytes, bytes]]:
    """Return the headers of every answer that has not set its own."""
    return (*SECURITY_HEADERS, _HSTS) if tls else SECURITY_HEADERS


class Outermost:
    """Wraps the app's own ASGI handler."""

    def __init__(
        self, inner: ASGIApp, *, tls: bool, trusted_proxies: Networks = (), turnstile: Turnstile | None = None
    ) -> None:
        """Say whether people reach this over TLS, and which peers may name the client (`X-Forwarded-For`)."""
        self._inner = inner
        self._turnstile = turnstile
        self._trusted = tuple(trusted_proxies)
        self._headers = _Always(always(tls=tls))
        self._callers = _Callers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; anything that is not HTTP goes through untouched."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if self._turnstile is not None and (refusal := self._turnstile.refusal(scope)) is not None:
            await refusal(scope, receive, send)
            return
        headers = _by_name(scope["headers"])
        state = scope.setdefault("state", {})
        state["headers"] = headers
        parent = headers.get(b"traceparent")
        caller = spans.read(parent.decode("latin-1")) if parent else None
        place = spans.new_place(caller)
        spans.enter(place)
        state["trace_id"] = place.trace_id
        state["source"] = source = self._source(scope, headers)
        logs.bind(trace_id=place.trace_id, source=source)
        body = _Body(receive, headers)
        answered = _Answered(place.trace_id, send, body, self._headers, self._callers.working())
        self._callers.watch(answered)
        metrics.in_flight.inc()
        try:
            await self._pass(scope, body, answered)
        except asyncio.CancelledError:
            if not answered.was_left():
                raise
            answered.status = GONE_STATUS
            metrics.callers_gone.labels(str(scope.get("path_template") or "unknown")).inc()
        finally:
            self._callers.leave(answered)
            metrics.in_flight.dec()
            self._count(scope, answered.status, budget.now() - answered.since)
            if spans.are_sent():
                _tell(scope, answered, place, caller)

    async def _pass(self, scope: HTTPScope, receive: Receive, answered: "_Answered") -> None:
        try:
            _clean_target(scope)
        except MotcuaError as error:
            request: Request[Any, Any, Any] = Request(scope, receive)
            response = problems.answer(request, error).to_asgi_response(app=None, request=request)
            await response(scope, receive, answered)
            return
        if scope["method"] == "OPTIONS" and (methods := problems.methods_of(Request(scope, receive))):
            # Litestar's own answer forgets the methods of handlers that were registered later.
            await answered(
                {"type": "http.response.start", "status": 204, "headers": [(b"allow", ", ".join(methods).encode())]}
            )
            await answered({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._inner(scope, receive, answered)

    def _source(self, scope: Scope, headers: dict[bytes, bytes]) -> str | None:
        peer = scope.get("client")
        source = _address(peer[0]) if peer else None
        if b"x-forwarded-for" not in headers:
            return source
        forwarded = headers[b"x-forwarded-for"].decode("latin-1")
        for hop in reversed([_address(part) for part in forwarded.split(",") if part.strip()]):
            if hop is None or not self._is_trusted(source):
                break
            source = hop
        return source

    def _is_trusted(self, address: str | None) -> bool:
        return address is not None and any(ip_address(address) in network for network in self._trusted)

    @staticmethod
    def _count(scope: HTTPScope, status: int, seconds: float) -> None:
        route = str(scope.get("path_template") or "unknown")
        metrics.observe(scope["method"], route, status, seconds)
        if route not in _QUIET:
            state = scope["state"]
            actor = state.get("actor")
            logs.write_request(
                logs.RequestLine(
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 1),
                    account_id=actor.account_id if actor else None,
                    trace_id=state["trace_id"],
                    source=state["source"],
                    problem=state.get("problem"),
                )
            )


def _tell(scope: HTTPScope, answered: "_Answered", place: spans.Place, caller: spans.Place | None) -> None:
    """Leave a span of what changed something, what failed, and what a caller wants traced; other reads are counted."""
    status = answered.status
    if scope["method"] in _READS and status < 500 and not place.sampled:
        return
    route = str(scope.get("path_template") or "unknown")
    span = spans.Span(
        f"{scope['method']} {route}",
        parent=caller,
        known_as=place,
        kind="server",
        attributes={"http.request.method": scope["method"], "http.route": route, "http.response.status_code": status},
        began_ns=time.time_ns() - int((budget.now() - answered.since) * 1e9),
    )
    span.end(str(status) if status >= 500 else None)


class _Body:
    """Receives on, and knows whether the client still sends."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        self._receive = receive
        announced = b"content-length" in headers or b"transfer-encoding" in headers
        self.coming = announced and b"expect" not in headers  # who expects 100-continue sends nothing unasked
        self._whole = not announced
        self._given = announced
        self._leaving: asyncio.Future[Any] | None = None

    async def __call__(self) -> Any:
        if not self._given:
            self._given = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if self._whole:
            return await self.left()
        message: Any = await self._receive()
        self.coming = message["type"] == "http.request" and bool(message.get("more_body"))
        self._whole = not self.coming
        return message

    @property
    def whole(self) -> bool:
        """Tell whether nothing is to come but the caller's leaving."""
        return self._whole

    async def left(self) -> Any:
        """Return the message that the caller has gone, once that is so; any number may wait for it."""
        if self._leaving is None:
            self._leaving = asyncio.ensure_future(self._wait_for_leaving())
        return await asyncio.shield(self._leaving)

    async def _wait_for_leaving(self) -> Any:
        while True:
            message: Any = await self._receive()
            if message["type"] == "http.disconnect":
                return message

    def close(self) -> None:
        """Stop listening."""
        if self._leaving is not None:
            self._leaving.cancel()

    async def drain(self) -> None:
        """Take in what nobody has read, within bounds."""
        left = DRAINED_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self.coming and left > 0:
                    message = await self()
                    left -= len(message.get("body", b""))


class _Answered:
    """Sends on, with the headers every answer has, and remembers the status.

    Work whose caller has gone is ended, unless it is answering already.
    """

    __slots__ = ("_always", "_begun", "_body", "_left", "_looking", "_send", "_trace_id", "_work", "since", "status")

    def __init__(
        self, trace_id: str, send: Send, body: _Body, headers: "_Always", work: asyncio.Task[Any] | None
    ) -> None:
        self._trace_id, self._send, self._body, self._always, self._work = trace_id, send, body, headers, work
        self._begun = self._left = False
        self._looking: asyncio.Task[None] | None = None
        self.status = 500
        self.since = budget.now()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._begun = True
            if self._body.coming:
                await self._body.drain()
            message["headers"] = self._always.beside(message.get("headers", ()), self._trace_id)
        await self._send(message)

    def look(self) -> None:
        """Look from now on for the caller; a handler that is still reading hears by itself of one who breaks off."""
        if self._looking is None and self._body.whole and not self._begun:
            self._looking = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        await self._body.left()
        if self._work is not None and not self._begun:
            self._left = True
            self._work.cancel()

    def was_left(self) -> bool:
        """Tell whether the cancellation of the work was ours, and take it back if so."""
        if self._left and self._work is not None:
            self._work.uncancel()
        return self._left

    def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
        self._body.close()


class _Always:
    """The headers of every answer, where a handler has not set its own."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._all = (*headers, (b"cache-control", b"no-store"))
        self._names = frozenset(name for name, _ in self._all)

    def beside(self, own: Iterable[tuple[bytes, bytes]], trace_id: str) -> list[tuple[bytes, bytes]]:
        """Return an answer's own headers, and these."""
        headers = list(own)
        present = self._names.intersection([name.lower() for name, _ in headers])
        headers += [pair for pair in self._all if pair[0] not in present] if present else self._all
        headers.append((b"x-request-id", trace_id.encode()))
        return headers


class _Callers:
    """Whose work takes long enough to look whether they are still there; one clock for all of them."""

    def __init__(self) -> None:
        self._inside: set[_Answered] = set()
        self._clock: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def working(self) -> asyncio.Task[Any] | None:
        """Return the task that works for the caller whose request this is."""
        self._loop = self._loop or asyncio.get_running_loop()  # the one loop of this process, asked for once
        return asyncio.current_task(self._loop)

    def watch(self, answered: _Answered) -> None:
        """Look after this one, too, should it take long."""
        self._inside.add(answered)
        if self._clock is None and self._loop is not None:
            self._clock = self._loop.call_later(WATCH_AFTER_S, self._tick)

    def leave(self, answered: _Answered) -> None:
        """Look after this one no longer."""
        self._inside.discard(answered)
        answered.close()

    def _tick(self) -> None:
        long_ago = budget.now() - WATCH_AFTER_S
        for answered in self._inside:
            if answered.since <= long_ago:
                answered.look()
        again = self._loop if self._inside else None
        self._clock = again.call_later(WATCH_AFTER_S, self._tick) if again else None


def _by_name(lines: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return header fields by their names in lower case; lines of one name make one list (RFC 9110, 5.3)."""
    fields = dict(lines)
    if len(fields) < len(lines):
        fields = {name: b", ".join(value for other, value in lines if other == name) for name in fields}
    return fields


def _clean_target(scope: Scope) -> None:
    query: bytes = scope["query_string"]
    if len(query) > LONGEST_QUERY or len(scope["path"]) > LONGEST_PATH:
        raise TooLarge("Địa chỉ quá dài.", "The address is too long.", code="address-too-long")
    if "\ufffd" in scope["path"]:
        raise Invalid("Địa chỉ không phải UTF-8.", "The address is not valid UTF-8.", code="not-utf-8")
    scope["path"] = clean(scope["path"])
    scope["query_string"] = clean_query(query)


@lru_cache(4096)
def _address(text: str) -> str | None:
    try:
        return str(ip_address(text.strip().strip("[]")))
    except ValueError:
        return None
