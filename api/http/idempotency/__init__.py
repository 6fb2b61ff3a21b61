"""One intent, one effect: the `Idempotency-Key` of every write, and the answer kept in the effect's own transaction.

A controller's method stays three lines:

    @post("/", guards=[requires("dossier.submit")])
    async def submit(self, request: Request, data: NewDossier, actor: Actor, at: datetime) -> Response[Submitted]:
        return await idempotency.run(request, actor, lambda tx: service.submit(tx, actor, data, at=at))

What the callable returns is the answer: a reference without personal data, kept for at least 24 hours. Refusals and
503 are not kept, so the same key may try again.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response
from litestar.connection import ASGIConnection
from prometheus_client import Counter

from api.db.pools import Tx
from api.errors import Conflict, Invalid
from api.http.edge import edge_of
from api.http.idempotency import store
from api.http.idempotency.store import Answered, Intent
from api.http.lighter import Answer
from api.http.text import clean
from api.kernel import Actor

T = TypeVar("T")

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_LONGEST: Final = 255
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
    status: int | None = None,
    body_sha256: bytes | None = None,
) -> Response[T]:
    """Do the work of a write once, in one transaction with its answer; a repeat gets the same answer, marked as such.

    `actor` is the official, or a stable text for somebody without account (a citizen's dossier code). `status` is the
    handler's own unless given. A streamed upload passes its digest as `body_sha256`; then the body is not read here.

    Raises:
        Conflict: a twin of this request is being worked on (409 with Retry-After).
        Invalid: the same key came with another body (422).
    """
    code = status or request.route_handler.status_code
    who = actor if isinstance(actor, str) else str(actor.account_id)
    intent = Intent(actor=who, route=f"{request.method} {request.scope['path_template']}", key=key_of(request))
    digest = _digest(request, body_sha256 or sha256(await request.body()).digest())
    if intent in _here:
        raise _in_flight()
    _here.add(intent)
    try:
        edge = edge_of(request)
        async with edge.pools.transaction() as tx:
            if not await store.try_lock_intent(tx, intent):
                raise _in_flight()
            before = await store.find_intent(tx, intent)
            if before is not None:
                return _replay(before, digest)
            result = await work(tx)
            text = msgspec.json.encode(result)
            kept = Answered(body_sha256=digest, status=code, answer=text.decode())
            await store.insert_intent(tx, intent, kept, edge.clock())
    finally:
        _here.discard(intent)
    _outcomes.labels("done").inc()
    return _json(text, code)


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
    return Answer(
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
