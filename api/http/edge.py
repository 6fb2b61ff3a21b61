"""What the edge of one API process holds; built once by `api.app`, found by handlers at `request.app.state.edge`."""

from collections.abc import Set
from typing import Any, Protocol

import msgspec
from litestar.connection import ASGIConnection

from api.db.gathering import Gathered
from api.db.pools import Pools
from api.db.privacy import Vault
from api.http.auth.passwords import PasswordPool
from api.http.auth.rules import Session, SessionRules
from api.http.auth.tokens import TokenKeys
from api.kernel import Actor, Clock


class Authority(Protocol):
    """Who may do what, as the edge asks it; `api.registry.authority` answers, but the edge does not import it."""

    @property
    def ACTIONS(self) -> Set[str]:  # noqa: N802 - the name of the table that answers
        """Return every action that some role is given."""
        ...

    def may(self, actor: Actor, action: str) -> bool:
        """Tell whether the actor's roles permit the action at the actor's own agency."""
        ...


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Pools, keys, clock and rules of the web process."""

    pools: Pools
    vault: Vault
    clock: Clock
    authority: Authority
    sessions: SessionRules
    open_sessions: Gathered[bytes, Session]
    """By the hash of their tokens; never kept, so a session that was ended is ended."""
    tokens: TokenKeys
    passwords: PasswordPool


def edge_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Edge:
    """Return the process's edge from any connection."""
    edge: Edge = connection.app.state.edge
    return edge


def source_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Return the address a request came from: behind a trusted proxy, the one the proxy names."""
    source: str | None = connection.scope.get("state", {}).get("source")
    return source
