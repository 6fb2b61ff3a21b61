"""Passwords under argon2id, hashed in a few threads with a bounded, visible queue.

OWASP's setting (19 MiB, t=2, p=1) takes about 32 ms; the library's default 115 to 139 ms, which a log-in storm would
turn into minutes. The event loop never hashes, and people already inside do not feel those who queue at the door.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from prometheus_client import Gauge

from api.errors import Busy

T = TypeVar("T")

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_queue_length = Gauge(
    "motcua_password_queue", "Log-ins waiting for or in password hashing.", multiprocess_mode="livesum"
)


class PasswordPool:
    """Checks and makes password hashes; at most `queue` wait, the next is told to come again."""

    def __init__(self, threads: int = 2, queue: int = 64) -> None:
        """Start the threads lazily, and make the hash against which unknown accounts are checked."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._limit = queue
        self._waiting = 0
        self._nobodys = _HASHER.hash(secrets.token_urlsafe())

    @property
    def waiting(self) -> int:
        """Return how many wait or are being hashed."""
        return self._waiting

    async def check(self, argon2: str | None, password: str) -> bool:
        """Tell whether the password is right; without a hash, take as long as with one and say no.

        Raises:
            Busy: the queue is full.
        """
        right = await self._run(lambda: _matches(argon2 or self._nobodys, password))
        return right and argon2 is not None

    async def hash(self, password: str) -> str:
        """Return the argon2id hash to keep for a new password.

        Raises:
            Busy: the queue is full.
        """
        return await self._run(lambda: _HASHER.hash(password))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._limit:
            raise Busy(
                "Đang có quá nhiều người đăng nhập cùng lúc; hãy thử lại sau ít giây.",
                "Too many people are logging in at once; try again in some seconds.",
                retry_after_s=3,
                code="login-queue-full",
            )
        self._waiting += 1
        _queue_length.inc()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
            _queue_length.dec()


def hash_now(password: str) -> str:
    """Return the argon2id hash at once, about 32 ms: for seeding and command lines, never on an event loop."""
    return _HASHER.hash(password)


def is_outdated(argon2: str) -> bool:
    """Tell whether a hash was made with other costs than today's and should be made anew at the next log-in."""
    return _HASHER.check_needs_rehash(argon2)


def _matches(argon2: str, password: str) -> bool:
    try:
        return _HASHER.verify(argon2, password)
    except (Argon2Error, InvalidHashError):
        return False
