"""An S3 service as document store (SeaweedFS in our own set-up): create-if-absent, with a bounded local cache.

The service must sync before it answers; for SeaweedFS that is `fs.configure -locationPrefix=/buckets/<bucket>/
-fsync=true -apply` (see deploy/).
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store as ObjectStore

from api.documents.blobs.port import CHUNK_BYTES, Listed, Stored, StoreUnavailable, count_error, damaged, missing
from api.documents.blobs.spool import hash_file, spool, unavailable
from api.kernel import Sha256

_SINGLE_PUT_BYTES: Final = 16 << 20
_RENEW_AFTER: Final = timedelta(hours=1)
_KEEP_LOCAL_S: Final = 600.0
_HEX_LENGTH: Final = 64


class S3Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bucket is and with which keys it is used."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def __repr__(self) -> str:
        """Show where, never the keys."""
        return f"S3Place(endpoint={self.endpoint!r}, bucket={self.bucket!r})"


class S3Store:
    """Objects as `ab/<sha256>` in one bucket; files that the process pool reads lie in a local cache."""

    def __init__(
        self, place: S3Place, cache: Path | None = None, *, cache_bytes: int = 2 << 30, threads: int = 4
    ) -> None:
        """Use a bucket and a local directory of at most about `cache_bytes`; one cache per process."""
        self._objects = ObjectStore(
            place.bucket,
            endpoint=place.endpoint,
            access_key_id=place.access_key,
            secret_access_key=place.secret_key,
            region=place.region,
            client_options={"allow_http": place.endpoint.startswith("http://"), "timeout": timedelta(seconds=60)},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )
        self._cache, self._lock = _own_directory(cache or Path(tempfile.gettempdir()) / "motcua-blobs")
        self._cache_bytes = cache_bytes
        self._used: dict[Sha256, tuple[float, int]] = {}
        self._fetching: dict[Sha256, asyncio.Task[Path]] = {}
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="blobs")

    async def put_stream(self, chunks: AsyncIterable[bytes], *, limit: int) -> Stored:
        """Store a stream; see the port. It is spooled locally, since its name is known only at its end."""
        path, stored = await spool(self._threads, self._cache, chunks, limit)
        try:
            await self._put(path, stored)
        finally:
            path.unlink(missing_ok=True)
        return stored

    async def put_file(self, path: Path) -> Stored:
        """Store a finished local file; see the port."""
        stored = await asyncio.get_running_loop().run_in_executor(self._threads, hash_file, path)
        await self._put(path, stored)
        return stored

    async def local_path(self, sha256: Sha256) -> Path:
        """Fetch the file into the cache unless it is there; see the port."""
        known = self._used.get(sha256)
        if known is not None:
            self._used[sha256] = (time.monotonic(), known[1])
            return self._cache / sha256.hex()
        fetching = self._fetching.get(sha256)
        if fetching is None:
            fetching = asyncio.create_task(self._fetch(sha256))
            self._fetching[sha256] = fetching
            fetching.add_done_callback(lambda _: self._fetching.pop(sha256, None))
        return await asyncio.shield(fetching)

    async def open_range(self, sha256: Sha256, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield a range; see the port."""
        if end <= start:
            return
        try:
            got = await obstore.get_async(self._objects, _name(sha256), options={"range": (start, end)})
            async for chunk in got.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except FileNotFoundError:
            raise missing(sha256) from None
        except BaseError as error:
            raise _no_answer(error) from error

    async def exists(self, sha256: Sha256) -> bool:
        """Tell whether the object is there."""
        return await self._head(sha256) is not None

    async def size(self, sha256: Sha256) -> int:
        """Return the size in bytes; see the port."""
        found = await self._head(sha256)
        if found is None:
            raise missing(sha256)
        return found.size

    async def iter_all(self) -> AsyncIterator[Listed]:
        """List the bucket, a page at a time."""
        try:
            async for page in obstore.list(self._objects, chunk_size=500):
                for found in page:
                    name = str(found["path"]).rpartition("/")[2]
                    if len(name) == _HEX_LENGTH:
                        yield Listed(
                            sha256=Sha256(bytes.fromhex(name)), size=found["size"], stored_at=found["last_modified"]
                        )
        except BaseError as error:
            raise _no_answer(error) from error

    async def delete(self, sha256: Sha256) -> None:
        """Remove an object; one that is gone already is no error."""
        try:
            await obstore.delete_async(self._objects, _name(sha256))
        except FileNotFoundError:
            return
        except BaseError as error:
            raise _no_answer(error) from error

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """Lend a local directory beside the cache."""
        with tempfile.TemporaryDirectory(dir=self._cache, prefix="work-") as name:
            yield Path(name)

    async def close(self) -> None:
        """End the threads and drop the cache."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._cache, ignore_errors=True)
        os.close(self._lock)

    async def _put(self, path: Path, stored: Stored) -> None:
        found = await self._head(stored.sha256)
        if found is not None:
            if found.size != stored.size:
                raise damaged(stored.sha256)
            if datetime.now(UTC) - found.stored_at < _RENEW_AFTER:
                return
        small = stored.size <= _SINGLE_PUT_BYTES
        # A large file goes up in parts, which cannot be conditional: the same bytes under the same name do no harm.
        # One that is there but old is written again, so that the orphan sweeper leaves it until its row is committed.
        mode = "create" if small and found is None else "overwrite"
        try:
            await obstore.put_async(self._objects, _name(stored.sha256), path, mode=mode, use_multipart=not small)
        except AlreadyExistsError:
            return
        except BaseError as error:
            raise _no_answer(error) from error

    async def _head(self, sha256: Sha256) -> Listed | None:
        try:
            found = await obstore.head_async(self._objects, _name(sha256))
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise _no_answer(error) from error
        return Listed(sha256=sha256, size=found["size"], stored_at=found["last_modified"])

    async def _fetch(self, sha256: Sha256) -> Path:
        size = await self.size(sha256)
        path, stored = await spool(self._threads, self._cache, self.open_range(sha256, 0, size), size)
        if stored.sha256 != sha256:
            path.unlink(missing_ok=True)
            raise damaged(sha256)
        final = self._cache / sha256.hex()
        try:
            path.rename(final)
        except OSError as error:
            raise unavailable(error) from error
        self._used[sha256] = (time.monotonic(), size)
        self._make_room()
        return final

    def _make_room(self) -> None:
        total = sum(size for _, size in self._used.values())
        for sha256, (last_used, size) in sorted(self._used.items(), key=lambda item: item[1][0]):
            if total <= self._cache_bytes or time.monotonic() - last_used < _KEEP_LOCAL_S:
                return
            (self._cache / sha256.hex()).unlink(missing_ok=True)
            del self._used[sha256]
            total -= size


def _own_directory(cache: Path) -> tuple[Path, int]:
    """Make this process's own cache, held by a lock, and clear away those whose processes are gone."""
    cache.mkdir(parents=True, exist_ok=True)
    for lock in cache.glob("cache-*/lock"):
        with suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(descriptor)
    own = Path(tempfile.mkdtemp(dir=cache, prefix="cache-"))
    descriptor = os.open(own / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return own, descriptor


def _name(sha256: Sha256) -> str:
    name = sha256.hex()
    return f"{name[:2]}/{name}"


def _no_answer(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(
        "Kho tài liệu không trả lời.",
        "The document store does not answer.",
        retry_after_s=10,
        cause=count_error(type(error).__name__),
    )
