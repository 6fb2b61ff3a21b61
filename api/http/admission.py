"""Admission by class of work: bounded in flight, bounded in waiting, else 503 with Retry-After at once.

The server below queues without end and in silence; here no class starves another, and nobody waits longer than a
page is worth. A handler names its class by `opt={"work": "signing"}`, and how many seconds it may keep a connection to
the database by `"seconds": 2.0` beside it; a controller may do so for all its handlers.
A small body is taken in before the door: whoever sends it drop by drop keeps nobody out.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec
from litestar import Litestar
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from api.db import budget
from api.db.budget import REQUEST_S, Budget, Share, share_of
from api.errors import Broken
from api.http.auth.guards import handlers_of
from api.http.bodies import is_announced, taken_in
from api.http.control import IN_READ_ONLY, Control
from api.http.doors import ROOMS, Door, Doors, Room, Work

_NONE: Final = Share(part=0.0, seconds=0.0)
"""Of what is never turned away, and asks the database on its own account."""
_WAIT: Final = re.compile(rb"(?:^|[,;\s])wait=(\d{1,5})(?:$|[,;\s])")
"""RFC 7240, 4.3: how many seconds at most the caller expects the answer to take."""


class _Entry(msgspec.Struct, frozen=True):
    """What a handler's options say about the way in; without a door it is never turned away."""

    work: str
    door: Door | None
    share: Share
    stays_open: bool


class Admission(ASGIMiddleware):
    """The middleware; stands inside the router, so that the handler's class of work is known."""

    def __init__(self, rooms: Mapping[Work, Room] = ROOMS, control: Control | None = None) -> None:
        """Open one door per class of work; `control` knows the operator's mode."""
        self._control = control or Control()
        self.doors = Doors(rooms)
        self._entries: dict[Any, _Entry] = {}

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let the request in, or turn it away."""
        handler: Any = scope["route_handler"]
        entry = self._entries.get(handler) or self._entry(handler)
        door = entry.door
        if door is None or scope["type"] != "http":
            await next_app(scope, receive, send)
            return
        self._control.check_mode(scope["method"], stays_open=entry.stays_open)
        headers: Mapping[bytes, bytes] = scope["state"]["headers"]
        mine = Budget(work=entry.work, share=entry.share, deadline=deadline_of(headers, lasts=entry.share.lasts))
        if entry.work != "uploads" and is_announced(headers):
            receive = await taken_in(receive)
        await door.enter(mine)
        token = budget.current.set(mine)
        try:
            await next_app(scope, receive, send)
        finally:
            budget.current.reset(token)
            door.leave()

    def _entry(self, handler: Any) -> _Entry:
        opt: Mapping[str, Any] = handler.opt
        work = opt.get("work", "officers")
        door = self.doors.of(work)
        if door is None and work != "always":
            raise Broken("Loại công việc không có.", f"There is no class of work {work!r}.", code="unknown-work")
        share = share_of(work, opt.get("seconds")) if door else _NONE
        found = self._entries[handler] = _Entry(work, door, share, bool(opt.get(IN_READ_ONLY)))
        return found


def deadline_of(headers: Mapping[bytes, bytes], *, lasts: bool = False) -> float | None:
    """Return the time of the event loop at which a request ends: as its caller says (`Prefer: wait=`), or as we do."""
    now = budget.now()
    preferred = headers.get(b"prefer")
    if preferred is not None and (found := _WAIT.search(preferred)):
        wait = int(found[1])
        return now + (wait if lasts else min(wait, REQUEST_S))
    return None if lasts else now + REQUEST_S


def check_budgets(app: Litestar) -> None:
    """Refuse to start when a route is of no class, or may keep a connection for longer than a request may take.

    Raises:
        RuntimeError: with every such route at once.
    """
    faults: list[str] = []
    for method, path, handler in handlers_of(app):
        work, own = handler.opt.get("work", "officers"), handler.opt.get("seconds")
        if work not in get_args(Work):
            faults.append(f"{method} {path}: there is no class of work {work!r}")
        elif work == "always":
            if own is not None:
                faults.append(f"{method} {path}: what is never turned away has no seconds to give")
        elif not 0 < (seconds := share_of(work, own).seconds) <= REQUEST_S:
            faults.append(f"{method} {path}: {seconds:g} s with a connection, of {REQUEST_S:g} s for a request")
    if faults:
        raise RuntimeError("; ".join(faults))
