"""A directory as document store: temporary file, fsync, link under its hash (create only), fsync of the directory."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from api.documents.blobs.port import CHUNK_BYTES, Listed, Stored, damaged, missing
from api.documents.blobs.spool import empty_file, hash_file, spool, unavailable
from api.kernel import Sha256

T = TypeVar("T")
_INCOMING: Final = "incoming"
_HEX_LENGTH: Final = 64


class FileStore:
    """Files as `ab/cd/<sha256>` under one directory, on one file system; any number of processes may share it."""

    def __init__(self, root: Path, *, threads: int = 4) -> None:
        """Use a directory, made when missing; at most `threads` files are read or written at once."""
        self._root = root
        self._incoming = root / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="blobs")

    async def put_stream(self, chunks: AsyncIterable[bytes], *, limit: int) -> Stored:
        """Store a stream; see the port."""
        path, stored = await spool(self._threads, self._incoming, chunks, limit)
        await self._off_loop(lambda: self._keep(path, stored))
        return stored

    async def put_file(self, path: Path) -> Stored:
        """Store a finished local file; see the port."""
        return await self._off_loop(lambda: self._keep_file(path))

    async def local_path(self, sha256: Sha256) -> Path:
        """Return where the file lies; see the port."""
        path = self._path(sha256)
        if not await self._off_loop(path.is_file):
            raise missing(sha256)
        return path

    async def open_range(self, sha256: Sha256, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield a range; see the port."""
        try:
            stream = await self._off_loop(lambda: self._path(sha256).open("rb"))
        except FileNotFoundError:
            raise missing(sha256) from None
        with stream:
            await self._off_loop(lambda: stream.seek(start))
            left = end - start
            while left > 0:
                chunk = await self._off_loop(lambda left=left: stream.read(min(CHUNK_BYTES, left)))
                if not chunk:
                    raise damaged(sha256)
                left -= len(chunk)
                yield chunk

    async def exists(self, sha256: Sha256) -> bool:
        """Tell whether the file is there."""
        return await self._off_loop(self._path(sha256).is_file)

    async def size(self, sha256: Sha256) -> int:
        """Return the size in bytes; see the port."""
        try:
            return (await self._off_loop(self._path(sha256).stat)).st_size
        except FileNotFoundError:
            raise missing(sha256) from None

    async def iter_all(self) -> AsyncIterator[Listed]:
        """Look through the directory, one sub-directory at a time."""
        for first in await self._off_loop(lambda: sorted(self._root.glob("[0-9a-f][0-9a-f]"))):
            for found in await self._off_loop(lambda first=first: list(_list(first))):
                yield found

    async def delete(self, sha256: Sha256) -> None:
        """Remove a file; one that is gone already is no error."""
        await self._off_loop(lambda: self._path(sha256).unlink(missing_ok=True))

    async def sweep_incoming(self, older_than_s: float, now: datetime) -> int:
        """Remove what writers that died left behind; return how many files."""
        return await self._off_loop(lambda: _sweep(self._incoming, now.timestamp() - older_than_s))

    @contextmanager
    def scratch(self) -> Generator[Path]:
        """Lend a directory on the store's own file system."""
        with tempfile.TemporaryDirectory(dir=self._incoming, prefix="work-") as name:
            yield Path(name)

    async def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _path(self, sha256: Sha256) -> Path:
        name = sha256.hex()
        return self._root / name[:2] / name[2:4] / name

    async def _off_loop(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise unavailable(error) from error

    def _keep_file(self, source: Path) -> Stored:
        if self._incoming in source.parents and source.stat().st_nlink == 1:
            return self._adopt(source)
        descriptor, name = tempfile.mkstemp(dir=self._incoming, prefix="in-")
        copy = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as target, source.open("rb") as stream:
                shutil.copyfileobj(stream, target, 1 << 20)
            return self._adopt(copy)
        finally:
            copy.unlink(missing_ok=True)

    def _adopt(self, path: Path) -> Stored:
        """Keep a file of our own scratch without a second copy of it."""
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
        stored = hash_file(path)
        if stored.size == 0:
            raise empty_file()
        self._link(path, stored)
        return stored

    def _keep(self, path: Path, stored: Stored) -> None:
        try:
            self._link(path, stored)
        finally:
            path.unlink(missing_ok=True)

    def _link(self, path: Path, stored: Stored) -> None:
        final = self._path(stored.sha256)
        path.chmod(0o440)
        _make_directory(final.parent.parent)
        _make_directory(final.parent)
        while True:
            try:
                os.link(path, final)  # fails when the name exists: nothing is ever overwritten
                break
            except FileExistsError:
                with suppress(FileNotFoundError):  # swept away in this moment: link again
                    os.utime(final)  # young again, so that the orphan sweeper leaves it until its row is committed
                    if final.stat().st_size != stored.size:
                        raise damaged(stored.sha256) from None
                    break
        _sync_directory(final.parent)


def _make_directory(path: Path) -> None:
    if path.is_dir():
        return
    with suppress(FileExistsError):
        path.mkdir()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _list(first: Path) -> Iterator[Listed]:
    for path in first.glob("[0-9a-f][0-9a-f]/*"):
        if len(path.name) != _HEX_LENGTH:
            continue
        with suppress(FileNotFoundError):
            status = path.stat()
            yield Listed(
                sha256=Sha256(bytes.fromhex(path.name)),
                size=status.st_size,
                stored_at=datetime.fromtimestamp(status.st_mtime, UTC),
            )


def _sweep(incoming: Path, before: float) -> int:
    removed = 0
    for path in incoming.iterdir():
        with suppress(FileNotFoundError):
            if path.stat().st_mtime >= before:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
            removed += 1
    return removed
