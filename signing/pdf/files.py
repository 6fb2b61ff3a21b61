"""Reading a source whole, and writing a target so that it is there entirely or not at all, also after a crash."""

import errno
import hashlib
import mmap
import os
import tempfile
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from signing.contract import Sha256
from signing.errors import BaseChanged, UnreadableFile

_PIECE: Final = 1 << 20
_CANNOT: Final = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF})
"""What file systems answer that do not copy by themselves."""
_disk: Final = ThreadPoolExecutor(1, thread_name_prefix="fsync")
_MODE = 0o640
"""The processes of one deployment share a group; nobody else reads citizens' documents."""


def read(source: str) -> bytes:
    """Return the bytes of a file; raise UnreadableFile when there is none."""
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise UnreadableFile("Không đọc được tệp", f"The file cannot be read: {error.strerror}") from error


def read_base(source: str, expected: Sha256) -> tuple[bytes, Any]:
    """Return a file that must still be the one with this SHA-256, and the digest, open to be carried on."""
    data = read(source)
    digest = hashlib.sha256(data)
    if digest.digest() != expected:
        raise base_changed()
    return data, digest


def size_of(source: str) -> int:
    """Return the size of a file; raise UnreadableFile when there is none."""
    try:
        return Path(source).stat().st_size
    except OSError as error:
        raise UnreadableFile("Không đọc được tệp", f"The file cannot be read: {error.strerror}") from error


def check_base(source: str, expected: Sha256) -> None:
    """Demand that a file is still the one with this SHA-256, without taking it into memory."""
    try:
        with Path(source).open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise UnreadableFile("Không đọc được tệp", f"The file cannot be read: {error.strerror}") from error
    if found != expected:
        raise base_changed()


def base_changed() -> BaseChanged:
    """Say that a file is not the one that was prepared."""
    return BaseChanged(
        "Tệp đã thay đổi so với bản đã trình ký; phải chuẩn bị lại",
        "The file is no longer the one that was shown; it must be prepared anew",
    )


class Draft:
    """A new file beside its target, which replaces it whole and durably by `keep`, or goes without a trace.

    Use it by `with`. It is written by copying a base within the kernel and appending to it, and read through a map, so
    that no large file is held twice.
    """

    def __init__(self, target: str) -> None:
        self._target = Path(target)
        self._settled: Future[None] | None = None
        self._kept = False

    def __enter__(self) -> "Draft":
        self._handle, name = tempfile.mkstemp(dir=self._target.parent, prefix=f".{self._target.name}.")
        self._path = Path(name)
        os.fchmod(self._handle, _MODE)
        return self

    def __exit__(self, *_: object) -> None:
        if self._settled is not None:
            wait((self._settled,))
        os.close(self._handle)
        if not self._kept:
            self._path.unlink(missing_ok=True)

    @property
    def path(self) -> str:
        """Where it lies until it is kept."""
        return str(self._path)

    def copy(self, source: str) -> int:
        """Append a file and return its size; raise UnreadableFile when there is none."""
        try:
            with Path(source).open("rb") as stream:
                return _pour(stream.fileno(), self._handle)
        except FileNotFoundError as error:
            raise UnreadableFile("Không đọc được tệp", f"The file cannot be read: {error.strerror}") from error

    def append(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._handle, left) :]

    @contextmanager
    def mapped(self) -> Generator[mmap.mmap]:
        """Show what was written, as the file system has it."""
        with mmap.mmap(self._handle, 0, prot=mmap.PROT_READ) as shown:
            yield shown

    def settle(self) -> None:
        """Let the disk begin, now that all is written: it works while the processor verifies; `keep` waits for it."""
        self._settled = _disk.submit(os.fsync, self._handle)

    def keep(self) -> int:
        """Make it durable under the target's name and return its size."""
        if self._settled is None:
            os.fsync(self._handle)
        else:
            self._settled.result()
        size = os.fstat(self._handle).st_size
        self._path.replace(self._target)
        self._kept = True
        sync_directory(self._target.parent)
        return size


def _pour(source: int, target: int) -> int:
    """Copy the rest of a file within the kernel, or through here where the file systems cannot."""
    size = 0
    try:
        while done := os.copy_file_range(source, target, _PIECE):
            size += done
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    while piece := os.read(source, _PIECE):
        size += len(piece)
        left = memoryview(piece)
        while left:
            left = left[os.write(target, left) :]
    return size


def write_durably(target: str, *parts: bytes | memoryview) -> tuple[Sha256, int]:
    """Write the parts as one file, whole and durably or not at all, and return its SHA-256 and size."""
    digest = hashlib.sha256()
    with Draft(target) as draft:
        for part in parts:
            draft.append(part)
            digest.update(part)
        return Sha256(digest.digest()), draft.keep()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
