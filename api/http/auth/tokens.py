"""The token of a session: 256 random bits under a named key, carried as a bearer token or a cookie.

The database keeps a keyed hash alone: whoever can only write to it opens no session.
"""

import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from api.errors import Forbidden
from api.http.auth.rules import SessionRules

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})


class TokenKeys:
    """Makes tokens and their hashes; a token names its key, so it stays good after another key has become the first."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take the session keys by id, the one for new tokens first."""
        self._keys = dict(keys)
        self.current: Final = next(iter(keys))

    def __repr__(self) -> str:
        """Name the key ids only."""
        return f"TokenKeys({sorted(self._keys)})"

    def new(self) -> str:
        """Return a fresh token of 256 random bits."""
        return f"{self.current}.{secrets.token_urlsafe(32)}"

    def digest(self, token: str) -> bytes | None:
        """Return what the database keeps of a token; None where its key is not known here (any more)."""
        key = self._keys.get(token.rpartition(".")[0])
        return hmac.new(key, token.encode(), sha256).digest() if key else None


def token_of(connection: ASGIConnection[Any, Any, Any, Any], rules: SessionRules) -> str | None:
    """Return the token a request carries: the header goes before the cookie.

    Raises:
        Forbidden: a write with the cookie alone comes from another site's page (the browser says so itself).
    """
    # Looked for as it came: `connection.headers` would decode every header of every request first.
    sent: bytes = next((value for name, value in connection.scope["headers"] if name == b"authorization"), b"")
    scheme, _, token = sent.decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    cookie = connection.cookies.get(rules.cookie)
    if cookie and connection.scope.get("method") not in SAFE_METHODS and _is_foreign(connection):
        raise Forbidden(
            "Yêu cầu đến từ một trang khác nên không được thực hiện.",
            "The request comes from another site's page and was not carried out.",
            code="cross-site",
        )
    return cookie


def _is_foreign(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    return connection.headers.get("sec-fetch-site") in _FOREIGN_SITES


def cookie_for(token: str, rules: SessionRules) -> Cookie:
    """Return the cookie that carries a token: not readable by scripts, not sent from other sites' pages."""
    return Cookie(
        key=rules.cookie,
        value=token,
        path="/",
        httponly=True,
        secure=rules.secure_cookie,
        samesite="strict",
        max_age=rules.absolute_s if token else 0,
    )
