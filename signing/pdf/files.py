"""Reading a source whole, and writing a target so that it is there entirely or not at all, also after a crash."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from signing.contract import Sha256
from signing.errors import BaseChanged, UnreadableFile

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
        raise BaseChanged(
            "Tệp đã thay đổi so với bản đã trình ký; phải chuẩn bị lại",
            "The file is no longer the one that was shown; it must be prepared anew",
        )
    return data, digest


def write_durably(target: str, *parts: bytes | memoryview, known: Sha256 | None = None) -> tuple[Sha256, int]:
    """Write the parts to a new file beside the target, fsync it and its directory, and rename it into place.

    `known` is the SHA-256 of all parts where the caller has just read them through; a scan costs 10 ms to read again.
    """
    path = Path(target)
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.fchmod(handle, _MODE)
        with os.fdopen(handle, "wb") as stream:
            for part in parts:
                stream.write(part)
                if known is None:
                    digest.update(part)
                size += len(part)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
    return known or Sha256(digest.digest()), size


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
