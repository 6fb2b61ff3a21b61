"""One intent, one effect: the `Idempotency-Key` of every write, and the answer kept in the effect's own transaction.

A controller's method stays three lines:

    @post("/", guards=[requires("dossier.submit")])
    async def submit(self, request: Request, data: NewDossier, actor: Actor, at: datetime) -> Response[Submitted]:
        return await idempotency.run(request, actor, lambda tx: service.submit(tx, actor, data, at=at))

What the callable returns is the answer: a reference without personal data, kept for two days. After that an effect is
protected by its own natural key; where it has none (a new dossier, a file handed in), `lasting` keeps the answer for
good. Refusals and 503 are not kept, so the same key may try again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.connection import ASGIConnection
from prometheus_client import Counter

from api.db.pools import Row, Tx
from api.errors import Conflict, Invalid
from api.failpoints import reach
from api.http.edge import Edge, edge_of
from api.http.idempotency import store
from api.http.idempotency.store import Answered, Intent
from api.http.lighter import Json
from api.http.text import clean
from api.kernel import Actor

T = TypeVar("T")
Take = Callable[[Tx, str, str, str], Awaitable[Row]]
"""Takes the intent of an actor, route and key by `take_intent`; the row it returns also holds that one's columns."""

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
KEPT_FOR: Final = timedelta(hours=48)
_FORGET_EVERY_S: Final = 3600.0
_FORGET_AT_ONCE: Final = 5000
_LONGEST: Final = 255
_log: Final = structlog.get_logger("api.idempotency")
_outcomes = Counter("motcua_intents_total", "Writes by what became of their key.", ["outcome"])
_here: set[Intent] = set()
"""Intents this process is working on: their twins are told so without asking for a connection."""


def key_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the key of a write.

    Raises:
        Invalid: there is none, or it is not 1 to 255 printable ASCII characters.
    """
    raw: bytes = next((value for name, value in connection.scope["headers"] if name == b"idempotency-key"), b"")
    key = raw.decode("latin-1").strip()
    if not key:
        raise Invalid(
            "Thiếu tiêu đề Idempotency-Key (khóa của lần gửi này).",
            "The Idempotency-Key header is missing.",
            code="idempotency-key-missing",
            next_step=(
                "Sinh một khóa ngẫu nhiên khi mở trang và gửi lại cùng khóa đó khi thử lại.",
                "Make a random key with the page, and send the same key on every retry.",
            ),
        )
    if len(key) > _LONGEST or not (key.isascii() and key.isprintable()):
        raise Invalid(
            "Idempotency-Key phải là 1 đến 255 ký tự ASCII in được.",
            "The Idempotency-Key has 1 to 255 printable ASCII characters.",
            code="idempotency-key-invalid",
        )
    return key


async def run(
    request: Request[Any, Any, Any],
    actor: Actor | str,
    work: Callable[[Tx], Awaitable[T]],
    *,
    body_sha256: bytes | None = None,
    lasting: bool = False,
) -> Response[T]:
    """Do the work of a write once, in one transaction with its answer; a repeat gets the same answer, marked as such.

    `actor` is the official, or a stable text for somebody without account (a citizen's dossier code). A streamed upload
    passes its digest as `body_sha256`; then the body is not read here. `lasting` keeps the answer for good, for effects
    without a natural key.

    Raises:
        Conflict: a twin of this request is being worked on (409 with Retry-After).
        Invalid: the same key came with another body (422).
    """
    return await run_with(
        request, actor, store.take_intent, lambda tx, _: work(tx), body_sha256=body_sha256, lasting=lasting
    )


async def run_with(
    request: Request[Any, Any, Any],
    actor: Actor | str,
    take: Take,
    work: Callable[[Tx, Row], Awaitable[T]],
    *,
    body_sha256: bytes | None = None,
    lasting: bool = False,
) -> Response[T]:
    """Do as `run` does, with a statement of the work's own that takes the intent too: one round trip less."""
    code = request.route_handler.status_code
    who = actor if isinstance(actor, str) else str(actor.account_id)
    intent = Intent(actor=who, route=f"{request.method} {request.scope['path_template']}", key=key_of(request))
    digest = _digest(request, body_sha256 or sha256(await request.body()).digest())
    if intent in _here:
        raise _in_flight()
    _here.add(intent)
    try:
        edge = edge_of(request)
        kept, is_new = await edge.pools.run(
            lambda tx: _once(tx, intent, digest, code, take, work, edge.clock(), lasting=lasting)
        )
    finally:
        _here.discard(intent)
    if not is_new:
        return _replay(kept, digest)
    await reach("committed", intent.key)
    _outcomes.labels("done").inc()
    return _json(kept.answer.encode(), code)


async def _once(
    tx: Tx,
    intent: Intent,
    digest: bytes,
    code: int,
    take: Take,
    work: Callable[[Tx, Row], Awaitable[T]],
    at: datetime,
    *,
    lasting: bool,
) -> tuple[Answered, bool]:
    """Return the answer kept for an intent, and whether it is new; only then was there any work."""
    row = await take(tx, intent.actor, intent.route, intent.key)
    mine, before = store.taken(row)
    if not mine:
        raise _in_flight()
    if before is not None:
        return before, False
    text = msgspec.json.encode(await work(tx, row))
    kept = Answered(body_sha256=digest, status=code, answer=text.decode())
    await store.insert_intent(tx, intent, kept, at, lasting=lasting)
    return kept, True


async def forget(edge: Edge) -> None:
    """Forget old answers now and then, until cancelled; any number of processes may."""
    while True:
        try:
            forgotten = _FORGET_AT_ONCE
            while forgotten == _FORGET_AT_ONCE:
                async with edge.pools.transaction() as tx:
                    forgotten = await store.forget_intents(tx, edge.clock() - KEPT_FOR, _FORGET_AT_ONCE)
        except Exception:  # noqa: BLE001 - it is tried again in an hour; nothing rests on it but room
            _log.warning("intents_not_forgotten", exc_info=True)
        await asyncio.sleep(_FORGET_EVERY_S)


def _digest(request: Request[Any, Any, Any], body_sha256: bytes) -> bytes:
    """Hash what was asked for as a whole: the same key for another dossier's path is another request."""
    target = f"{clean(request.scope['path'])}?{request.scope['query_string'].decode('latin-1')}"
    return sha256(target.encode() + b"\n" + body_sha256).digest()


def _replay(before: Answered, digest: bytes) -> Response[Any]:
    if before.body_sha256 != digest:
        _outcomes.labels("reused").inc()
        raise Invalid(
            "Khóa này đã dùng cho một nội dung khác.",
            "This key was used before with another body.",
            code="idempotency-key-reused",
            next_step=("Tải lại trang để có khóa mới.", "Reload the page to get a new key."),
        )
    _outcomes.labels("replayed").inc()
    return _json(before.answer.encode(), before.status, {REPLAYED: "true"})


def _json(text: bytes, status: int, headers: dict[str, str] | None = None) -> Response[Any]:
    empty = status == 204
    return Json(
        b"" if empty else text, status_code=status, media_type=None if empty else "application/json", headers=headers
    )


def _in_flight() -> Conflict:
    _outcomes.labels("twin").inc()
    return Conflict(
        "Yêu cầu này đang được xử lý; hãy chờ giây lát rồi hỏi lại với cùng khóa.",
        "This very request is being worked on; ask again in a moment with the same key.",
        code="request-in-flight",
        retry_after_s=1,
    )
