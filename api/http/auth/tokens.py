"""The token of a session: 256 random bits, carried as a bearer token or a cookie, kept only as its hash."""

import secrets
from hashlib import sha256
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from api.errors import Forbidden
from api.http.auth.rules import SessionRules

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})


def new_token() -> str:
    """Return a fresh token of 256 random bits."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """Return what the database keeps of a token."""
    return sha256(token.encode()).digest()


def token_of(connection: ASGIConnection[Any, Any, Any, Any], rules: SessionRules) -> str | None:
    """Return the token a request carries: the header goes before the cookie.

    Raises:
        Forbidden: a write with the cookie alone comes from another site's page (the browser says so itself).
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
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
