"""Taking in a stream: written and hashed off the event loop, in pieces of a megabyte, fsynced at the end."""

import asyncio
import errno
import hashlib
import os
import secrets
from collections.abc import AsyncIterable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from api.documents.blobs.port import Stored, StoreUnavailable, count_error
from api.errors import Invalid, TooLarge
from api.kernel import Sha256

T = TypeVar("T")
_PIECE_BYTES: Final = 1 << 20
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


async def spool(executor: Executor, directory: Path, chunks: AsyncIterable[bytes], limit: int) -> tuple[Path, Stored]:
    """Write a stream to a new fsynced file in `directory`; return its path, hash and size. On failure none is left."""
    path = directory / f"in-{secrets.token_hex(16)}"
    try:
        writer = await _off_loop(executor, lambda: _Writer(path))
        try:
            held = bytearray()
            async for chunk in chunks:
                held += chunk
                if writer.size + len(held) > limit:
                    raise _too_large(limit)
                if len(held) >= _PIECE_BYTES:
                    piece, held = bytes(held), bytearray()
                    await _off_loop(executor, lambda piece=piece: writer.take(piece))
            return path, await _off_loop(executor, lambda: writer.finish(bytes(held)))
        finally:
            writer.close()
    except BaseException:
        with suppress(FileNotFoundError):
            path.unlink()
        raise


class _Writer:
    """One file being written and hashed; used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        self._digest = hashlib.sha256()
        self.size = 0

    def take(self, piece: bytes) -> None:
        self._digest.update(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size += len(piece)

    def finish(self, rest: bytes) -> Stored:
        self.take(rest)
        if self.size == 0:
            raise empty_file()
        os.fsync(self._descriptor)
        return Stored(sha256=Sha256(self._digest.digest()), size=self.size)

    def close(self) -> None:
        os.close(self._descriptor)


def hash_file(path: Path) -> Stored:
    """Return the SHA-256 and size of a local file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return Stored(sha256=Sha256(digest.digest()), size=stream.tell())


async def _off_loop(executor: Executor, work: Callable[[], T]) -> T:
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, work)
    except OSError as error:
        raise unavailable(error) from error


def unavailable(error: OSError) -> Exception:
    """Turn a full or failing disk into StoreUnavailable; any other error of the system stays what it is."""
    if error.errno not in _FULL:
        return error
    return StoreUnavailable(
        "Kho tài liệu không ghi được (hết chỗ hoặc hỏng đĩa). Tệp chưa được nhận.",
        "The document store cannot write (no room, or a failing disk). The file was not taken.",
        retry_after_s=60,
        cause=count_error(errno.errorcode.get(error.errno or 0, "")),
    )


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"Tệp lớn hơn giới hạn {limit // (1 << 20)} MB.",
        f"The file is larger than the limit of {limit // (1 << 20)} MB.",
        limit_bytes=limit,
    )


def empty_file() -> Invalid:
    """Refuse a file without a byte."""
    return Invalid("Tệp rỗng.", "The file is empty.", code="empty-file")
