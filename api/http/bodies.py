"""Bodies as they arrive: small ones are taken in whole before work begins, all of them within limits of time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from litestar.exceptions import InternalServerException
from litestar.types import Receive

from api.errors import Busy, Invalid

TAKEN_IN_BYTES: Final = 1 << 20
"""Up to here a body is taken in before the door; the limit of what a handler reads is the same or its own."""
TAKEN_IN_S: Final = 20.0
"""How long such a body may take: 1 MiB at 0.5 Mbit/s takes 17 s."""
ARRIVING_BYTES: Final = 64 << 20
"""How much may lie here half arrived, of all bodies together, per process."""
CHUNK_S: Final = 30.0
"""How long an upload may stand still."""

_arriving = 0


def is_announced(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a body is to come."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def taken_in(receive: Receive) -> Receive:
    """Take in an announced body and return what gives it out again; a larger one goes on where it was left.

    Raises:
        Invalid: it stayed incomplete for too long, or broke off (408).
        Busy: too much lies here half arrived already.
    """
    messages: deque[Any] = deque()
    try:
        async with asyncio.timeout(TAKEN_IN_S):
            await _take_in(receive, messages)
    except TimeoutError:
        raise too_slow() from None

    async def again() -> Any:
        return messages.popleft() if messages else await receive()

    return again


async def _take_in(receive: Receive, messages: deque[Any]) -> None:
    global _arriving  # noqa: PLW0603 - the sum over all requests of this process
    held = 0
    try:
        while held < TAKEN_IN_BYTES:
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                raise too_slow()
            messages.append(message)
            if not message.get("more_body"):
                return
            size = len(message.get("body", b""))
            held += size
            _arriving += size
            if _arriving > ARRIVING_BYTES:
                raise Busy(
                    "Hệ thống đang nhận quá nhiều dữ liệu cùng lúc; yêu cầu chưa được xử lý.",
                    "Too much is arriving at once; this request was not processed.",
                    retry_after_s=5,
                    code="overloaded",
                )
    finally:
        _arriving -= held


async def in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks of an upload, each within its time.

    Raises:
        Invalid: nothing came for too long, or it broke off (408).
    """
    while True:
        try:
            async with asyncio.timeout(CHUNK_S):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except (TimeoutError, InternalServerException):  # the second is the framework's word for a caller who left
            raise too_slow() from None
        yield chunk


def too_slow() -> Invalid:
    """Return the refusal of a body that does not arrive."""
    return Invalid(
        "Nội dung gửi lên quá chậm hoặc bị ngắt giữa chừng.",
        "The body came too slowly, or broke off in the middle.",
        code="body-too-slow",
    )
