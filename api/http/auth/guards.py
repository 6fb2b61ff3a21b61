"""The guard that every route of officials carries, and the short list of routes that carry none."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.db.gathering import Gathered
from api.db.pools import Pools
from api.errors import Forbidden
from api.http.auth import store
from api.http.auth.rules import TOUCH_AFTER, Session, fault_of, must_change_password
from api.http.auth.tokens import SAFE_METHODS, token_of
from api.http.edge import Edge, edge_of
from api.http.idempotency import key_of
from api.kernel import Actor, Clock

NO_KEY: Final = "no_idempotency_key"
"""Handler option (`opt={NO_KEY: True}`) of writes that are idempotent by nature, such as ending a session."""
RESTRICTED: Final = "restricted"
"""Handler option of the few routes that a session with a one-time password may use: look, change it, log out."""
PUBLIC: Final = "public"
"""Handler option of routes that anybody may call; the whole of them must equal the list given to `check_guards`."""


class Guard:
    """Lets a request pass that carries a live session whose post has the right to one action."""

    def __init__(self, action: str | None) -> None:
        """Ask for one action, or with None only for a live session."""
        self.action = action

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Find the actor, check the right, and demand the idempotency key of a write.

        Raises:
            Unauthenticated: no session, or one that has ended.
            Forbidden: the post in use has no right to the action.
            Invalid: a write without a usable Idempotency-Key.
        """
        edge = edge_of(connection)
        actor, expires_at = await find_actor(edge, connection, one_time=bool(handler.opt.get(RESTRICTED)))
        if self.action is not None and not edge.authority.may(actor, self.action):
            raise Forbidden(
                "Chức danh đang dùng không có quyền thực hiện việc này.",
                "The post in use has no right to this act.",
                action=self.action,
            )
        if connection.scope.get("method") not in SAFE_METHODS and not handler.opt.get(NO_KEY):
            key_of(connection)
        connection.scope["state"].update(actor=actor, session_expires_at=expires_at)


def requires(action: str) -> Guard:
    """Return the guard of a route that needs one action of `api.registry.authority`."""
    return Guard(action)


signed_in: Final = Guard(None)
"""The guard of routes for everybody who is logged in."""


def open_sessions(pools: Pools, clock: Clock) -> Gathered[bytes, Session]:
    """Return how requests that come together find their sessions; for `Edge`."""
    return Gathered(pools, lambda tx, tokens: store.find_sessions(tx, tokens, clock()))


async def find_actor(
    edge: Edge, connection: ASGIConnection[Any, Any, Any, Any], *, one_time: bool = False
) -> tuple[Actor, datetime]:
    """Return who is asking and until when at most, by one statement for all who ask at this moment.

    Once a minute it is noted that the session is in use.

    Raises:
        Unauthenticated: no session, or one that has ended.
        Forbidden: the account or the post no longer stands, or a one-time password must be changed first.
    """
    at = edge.clock()
    token = token_of(connection, edge.sessions)
    digest = edge.tokens.digest(token) if token else None
    session = await edge.open_sessions.get(digest) if digest else None
    fault = fault_of(session, edge.sessions, at)
    if fault is not None or session is None:
        raise fault or AssertionError("a session without fault exists")
    if session.restricted and not one_time:
        raise must_change_password()
    if at - session.seen_at >= TOUCH_AFTER:
        async with edge.pools.transaction() as tx:
            await store.touch_session(tx, session.id, at)
    actor = Actor(
        account_id=session.account_id,
        person_id=session.person_id,
        post_id=session.post_id,
        agency_id=session.agency_id,
        roles=session.roles,
        session_id=session.id,
    )
    return actor, session.expires_at


def check_guards(app: Litestar, public: Iterable[tuple[str, str]], actions: Iterable[str]) -> None:
    """Refuse to start when a route is neither guarded nor public, or asks for an action that no role is given.

    Raises:
        RuntimeError: with every such route at once.
    """
    listed, known = set(public), set(actions)
    faults: list[str] = []
    for method, path, handler in handlers_of(app):
        guards = [guard for guard in handler.resolve_guards() if isinstance(guard, Guard)]
        marked = bool(handler.opt.get(PUBLIC))
        if marked != ((method, path) in listed):
            faults.append(f"{method} {path}: the public list and the handler's mark differ")
        elif not marked and not guards:
            faults.append(f"{method} {path}: neither guarded nor public")
        faults += [
            f"{method} {path}: no role is given {guard.action!r}"
            for guard in guards
            if guard.action is not None and guard.action not in known
        ]
    if faults:
        raise RuntimeError("; ".join(faults))


def handlers_of(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Return every route of the app as method, path template and handler, without the automatic OPTIONS."""
    return [
        (str(method), route.path_format, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in sorted(handler.http_methods)
        if method != "OPTIONS"
    ]
