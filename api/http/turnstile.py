"""Before everything else: whoever would be turned away at a full door is told so here, at a tenth of the cost.

When twice as much comes as can be done, every other request is a refusal. Made the usual way a refusal costs as much as
the work it refuses, and nobody gets anything. Here it is two messages whose bytes are made once for each class of work,
but for its reference. It is counted like any other, and told in one line a second, not one for each.
"""

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import structlog
from litestar import Litestar
from litestar.types import HTTPScope, Receive, Send

from api.errors import MotcuaError
from api.http import metrics, problems
from api.http.auth.guards import handlers_of
from api.http.bodies import taken_in
from api.http.doors import Door, Doors
from api.http.lighter import encode
from api.telemetry import spans

_log: Final = structlog.get_logger("api.http")
_REFERENCE: Final = "0" * 32
_TELL_EVERY_S: Final = 1.0
Headers = tuple[tuple[bytes, bytes], ...]


class Turnstile:
    """Knows the class of a request by its method and the first part of its path, where all routes there are of one."""

    def __init__(self, app: Litestar, doors: Doors, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the routes of an app; `headers` go with every answer."""
        self._refusals = {door.work: _Refusal(door, tuple(headers)) for door in doors.all() if door.work != "uploads"}
        classes: dict[tuple[str, str], set[str]] = {}
        for method, path, handler in handlers_of(app):
            classes.setdefault((method, path.split("/", 2)[1]), set()).add(str(handler.opt.get("work", "officers")))
        self._of: Mapping[tuple[str, str], _Refusal] = {
            place: self._refusals[next(iter(works))]
            for place, works in classes.items()
            if len(works) == 1 and next(iter(works)) in self._refusals
        }
        self._turned: Counter[str] = Counter()
        self._told_at = 0.0

    def refusal(self, scope: HTTPScope) -> "Callable[[HTTPScope, Receive, Send], Awaitable[None]] | None":
        """Return how this request is turned away; None where there may be room, or where it must be looked at."""
        found = self._of.get((scope["method"], scope["path"].split("/", 2)[1] if "/" in scope["path"] else ""))
        if found is None or not found.door.is_full:
            return None
        self._count(found.door.work)
        return found

    def _count(self, work: str) -> None:
        self._turned[work] += 1
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            _log.warning("turned_away", **self._turned)
            self._turned.clear()
            self._told_at = now


class _Refusal:
    """What whoever comes to one full door is told."""

    def __init__(self, door: Door, headers: Headers) -> None:
        self.door = door
        busy = door.refusal()
        self._before, _, self._after = encode(problems.problem_of(busy, _REFERENCE)).partition(_REFERENCE.encode())
        length = len(self._before) + len(_REFERENCE) + len(self._after)
        self._headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % length),
            (b"retry-after", b"%d" % busy.retry_after_s),
            (b"cache-control", b"no-store"),
            *headers,
        ]

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Take in a small body, so that the connection can be used again, and refuse."""
        began, reference = time.monotonic(), None
        for name, value in scope["headers"]:
            if name == b"traceparent":
                caller = spans.read(value.decode("latin-1"))
                reference = caller.trace_id if caller is not None else None
            elif (name == b"content-length" and value != b"0") or name == b"transfer-encoding":
                with contextlib.suppress(MotcuaError):
                    await taken_in(receive)
        told = (reference or secrets.token_hex(16)).encode()
        self.door.count_turned_away()
        await send({"type": "http.response.start", "status": 503, "headers": [*self._headers, (b"x-request-id", told)]})
        await send({"type": "http.response.body", "body": self._before + told + self._after, "more_body": False})
        metrics.observe(scope["method"], "turned away", 503, time.monotonic() - began)
