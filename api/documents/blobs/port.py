"""What a document store promises, whatever holds the bytes."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import msgspec
from prometheus_client import Counter

from api.errors import Broken, Busy
from api.kernel import Sha256

CHUNK_BYTES: Final = 256 * 1024


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is durable now: its name and its size in bytes."""

    sha256: Sha256
    size: int


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A file found in the store by looking, with the time since when it has been there (UTC)."""

    sha256: Sha256
    size: int
    stored_at: datetime


class BlobMissing(Broken):
    """The database says that a file is stored, and the store does not have it."""

    code = "blob-missing"


_ERRORS: Final = Counter(
    "motcua_store_errors", "How often the document store could not take or give a file.", ["cause"]
)


def count_error(cause: str) -> str:
    """Count one time that the store did not serve, and return its cause."""
    _ERRORS.labels(cause).inc()
    return cause


class StoreUnavailable(Busy):
    """The store cannot take or give files now: its disk is full, or the service does not answer."""

    code = "store-unavailable"


@runtime_checkable
class BlobStore(Protocol):
    """Immutable files by SHA-256. Nothing is ever overwritten; storing the same content twice is no error."""

    async def put_stream(self, chunks: AsyncIterable[bytes], *, limit: int) -> Stored:
        """Store a stream and return once it is durable.

        Raises:
            TooLarge: more than `limit` bytes came; nothing is kept.
            Invalid: no byte came.
            StoreUnavailable: no room, or no answer.
        """
        ...

    async def put_file(self, path: Path) -> Stored:
        """Store a finished local file and return once it is durable; the file itself is left alone."""
        ...

    async def local_path(self, sha256: Sha256) -> Path:
        """Return a local path that a process pool can read for the next ten minutes at least; raise BlobMissing."""
        ...

    def open_range(self, sha256: Sha256, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`; raise BlobMissing at the first."""
        ...

    async def exists(self, sha256: Sha256) -> bool:
        """Tell whether the store has a file."""
        ...

    async def size(self, sha256: Sha256) -> int:
        """Return a file's size in bytes; raise BlobMissing."""
        ...

    def iter_all(self) -> AsyncIterator[Listed]:
        """Look through the whole store, in no promised order."""
        ...

    async def delete(self, sha256: Sha256) -> None:
        """Remove a file that no row needs; for the orphan sweeper alone."""
        ...

    def scratch(self) -> AbstractContextManager[Path]:
        """Lend an empty local directory for one piece of work, on the disk where `put_file` is cheapest."""
        ...

    async def close(self) -> None:
        """Let go of threads and connections."""
        ...


def missing(sha256: Sha256) -> BlobMissing:
    """Say which file is not there."""
    name = sha256.hex()
    return BlobMissing(f"Kho tài liệu thiếu tệp {name}.", f"The document store lacks {name}.", sha256=name)


def damaged(sha256: Sha256) -> Broken:
    """Say which file is no longer what its name says."""
    name = sha256.hex()
    return Broken(
        f"Tệp {name} trong kho bị hỏng.", f"The stored file {name} is damaged.", sha256=name, code="blob-damaged"
    )
