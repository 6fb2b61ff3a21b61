"""The copy of the checkpoints outside the database: one file to which lines are only ever added, each synced to disk.

The directory belongs on another machine's disk or a medium that cannot be rewritten: what lies here is what a
superuser of the database cannot change.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from api.audit.chain import Checkpoint, Signed
from api.errors import Invalid

NAME: Final = "checkpoints.jsonl"
_TAIL_BYTES: Final = 64 << 10


class OutsideFile:
    """A file of signed statements in one directory."""

    def __init__(self, directory: Path, name: str) -> None:
        """Write below this directory."""
        self.path: Final = directory / name

    def append(self, lines: Iterable[Signed]) -> None:
        """Add lines in one write and wait until the disk has them."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            text = (b"\n" if torn else b"") + b"".join(line.line() for line in lines)
            while text:
                text = text[os.write(descriptor, text) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            _sync_directory(self.path.parent)


class CheckpointFile(OutsideFile):
    """`checkpoints.jsonl`; a file moved aside is begun anew with the checkpoint that stands last."""

    def __init__(self, directory: Path) -> None:
        """Write below this directory."""
        super().__init__(directory, NAME)

    def last(self) -> Signed | None:
        """Return the last whole checkpoint, or None where there is no file; a line torn by a crash is passed over."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(max(0, self.path.stat().st_size - _TAIL_BYTES))
                lines = stream.read().splitlines()
        except FileNotFoundError:
            return None
        return next((line for raw in reversed(lines) if (line := _checkpoint(raw)) is not None), None)


def read(path: Path) -> tuple[list[Signed], int]:
    """Return the statements of a checkpoint file and how many lines a crash had torn.

    Raises:
        Invalid: there is no such file, or no checkpoint in it.
    """
    lines, torn = read_statements(path)
    if not any(isinstance(line.read(), Checkpoint) for line in lines):
        raise Invalid(f"{path} không có điểm kiểm tra nào.", f"There is no checkpoint in {path}.", code="audit-file")
    return lines, torn


def read_statements(path: Path) -> tuple[list[Signed], int]:
    """Return the statements of a file, and how many of its lines are none.

    Raises:
        Invalid: there is no such file.
    """
    try:
        raw = path.read_bytes().splitlines()
    except OSError as error:
        raise Invalid(
            f"Không đọc được {path}: {error.strerror}", f"Cannot read {path}: {error.strerror}", code="audit-file"
        ) from None
    lines = [line for text in raw if text.strip() and (line := _signed(text)) is not None]
    return lines, sum(1 for text in raw if text.strip()) - len(lines)


def _signed(raw: bytes) -> Signed | None:
    try:
        line = msgspec.json.decode(raw, type=Signed)
        line.read()
    except (msgspec.MsgspecError, UnicodeDecodeError, Invalid):
        return None
    return line


def _checkpoint(raw: bytes) -> Signed | None:
    line = _signed(raw)
    return line if line is not None and isinstance(line.read(), Checkpoint) else None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
