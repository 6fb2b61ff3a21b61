"""The backup directory: what lies where, who may write it, and what counts as whole.

motcua-backup.json     whose backup this is: the cluster's own identifier
bases/<name>/          one base backup each; whole only once `manifest.json` is there and the name has no suffix
wal/                   what the follower receives, segment by segment
documents/             the documents by SHA-256, shared by all bases
follow.json            up to which moment WAL and documents are both here
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from api.backup.faults import BackupError, damaged, in_use

FORMAT: Final = 1
_UNFINISHED: Final = (".partial", ".removing")
_SEGMENT: Final = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:\.partial)?")


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose backup a directory holds: two clusters in one directory could never be told apart."""

    format: int
    system_id: str
    timeline: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a base backup is: where it stands in the WAL, what it counts, and the digests of everything in it."""

    name: str
    motcua: str
    server: str
    system_id: str
    superuser: str
    database: str
    segment_bytes: int
    start_segment: str
    end_lsn: str
    began_at: datetime
    ended_at: datetime
    migrations: tuple[str, ...]
    counts: dict[str, int]
    base_bytes: int
    files_sha256: str
    """Of `data/backup_manifest`, which holds the SHA-256 of each file of the base."""
    documents_sha256: str
    """Of `documents.txt`, which names every document of the rows at the end of the base."""
    missing: tuple[str, ...]
    """Documents whose file the live store itself did not have."""


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    manifest: msgspec.Raw
    sha256: str


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """The moment up to which WAL and documents are both in the backup."""

    through: datetime


class Place:
    """One backup directory."""

    def __init__(self, root: Path) -> None:
        """Name a directory; nothing is touched yet."""
        self.root: Final = root.absolute()
        self.bases: Final = self.root / "bases"
        self.wal: Final = self.root / "wal"
        self.documents: Final = self.root / "documents"

    def lay(self, system_id: str, timeline: str) -> None:
        """Make the directory, or check that it is this cluster's and of this history.

        Raises:
            BackupError: it holds another cluster's backup or another history, or files that are none.
        """
        if not timeline:
            raise BackupError(
                "Đây là máy chủ dự phòng; hãy sao lưu từ máy chủ chính.",
                "This server is a standby; back up from the primary.",
            )
        owner = Owner(format=FORMAT, system_id=system_id, timeline=timeline)
        marker = self.root / "motcua-backup.json"
        if not marker.exists():
            if self.root.is_dir() and any(entry.suffix != ".lock" for entry in self.root.iterdir()):
                raise BackupError(
                    f"{self.root} đã có tệp khác, không phải bản sao lưu của Motcua.",
                    f"{self.root} already holds other files, not a backup of Motcua.",
                    next_step=("Chọn một thư mục trống.", "Choose an empty directory."),
                )
            for directory in (self.bases, self.wal, self.documents):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(marker, msgspec.json.encode(owner))
        elif self.owner() != owner:
            raise BackupError(
                f"{self.root} là bản sao lưu của một cơ sở dữ liệu khác, hoặc của nó trước khi được khôi phục.",
                f"{self.root} is the backup of another database, or of this one before it was restored.",
                code="backup-other-history",
                next_step=("Chọn một thư mục trống.", "Choose an empty directory."),
            )

    def owner(self) -> Owner:
        """Return whose backup this is.

        Raises:
            BackupError: this is no backup directory, or one of a version to come.
        """
        try:
            owner = msgspec.json.decode((self.root / "motcua-backup.json").read_bytes(), type=Owner)
        except (OSError, msgspec.MsgspecError):
            raise BackupError(
                f"{self.root} không phải là thư mục sao lưu.", f"{self.root} is not a backup directory."
            ) from None
        if owner.format != FORMAT:
            raise BackupError(
                f"{self.root} do một phiên bản khác của Motcua tạo (dạng {owner.format}).",
                f"{self.root} was made by another version of Motcua (format {owner.format}).",
            )
        return owner

    def lock(self, name: str) -> int:
        """Take the lock `name` of this directory; see `take_lock`."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return take_lock(self.root / f"{name}.lock")

    def names(self) -> list[str]:
        """Return the whole bases, oldest first."""
        if not self.bases.is_dir():
            return []
        return sorted(
            entry.name
            for entry in self.bases.iterdir()
            if entry.suffix not in _UNFINISHED and (entry / "manifest.json").is_file()
        )

    def clear_unfinished(self) -> list[str]:
        """Remove what runs that died left behind; only the holder of the lock `base` may call this."""
        left = [entry for entry in self.bases.iterdir() if entry.suffix in _UNFINISHED]
        for entry in left:
            shutil.rmtree(entry)
        return [entry.name for entry in left]

    def remove(self, name: str) -> None:
        """Remove a base; killed in between, what is left does not look like one."""
        gone = self.bases / f"{name}.removing"
        (self.bases / name).rename(gone)
        shutil.rmtree(gone)

    def manifest(self, name: str) -> Manifest:
        """Read the manifest of a base and hold it against its own digest.

        Raises:
            BackupError: it is missing or not as it was written.
        """
        try:
            sealed = msgspec.json.decode((self.bases / name / "manifest.json").read_bytes(), type=_Sealed)
            if hashlib.sha256(bytes(sealed.manifest)).hexdigest() != sealed.sha256:
                raise damaged(f"{name}/manifest.json", "SHA-256")
            return msgspec.json.decode(sealed.manifest, type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise damaged(f"{name}/manifest.json", str(error)) from None

    def followed(self) -> datetime | None:
        """Return the moment up to which WAL and documents are both here; None where nobody has followed yet."""
        try:
            return msgspec.json.decode((self.root / "follow.json").read_bytes(), type=Followed).through
        except (OSError, msgspec.MsgspecError):
            return None

    def note_followed(self, through: datetime) -> None:
        """Vouch for a moment."""
        write_durably(self.root / "follow.json", msgspec.json.encode(Followed(through=through)))

    def segments(self) -> list[str]:
        """Return the received WAL files by name, the unfinished last one included."""
        if not self.wal.is_dir():
            return []
        return sorted(entry.name for entry in self.wal.iterdir() if _SEGMENT.fullmatch(entry.name))


def take_lock(path: Path) -> int:
    """Take a lock and return its descriptor; the kernel gives it back when its holder dies, however it dies.

    Raises:
        BackupError: somebody else holds it.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode() or "?"
        os.close(file)
        raise in_use(path.parent, holder) from None
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Seal a manifest with its own digest and write it: from here on the base may be called whole."""
    body = msgspec.json.encode(manifest)
    sealed = _Sealed(manifest=msgspec.Raw(body), sha256=hashlib.sha256(body).hexdigest())
    write_durably(directory / "manifest.json", msgspec.json.encode(sealed))


def write_durably(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all, and return once it is on disk."""
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segment_number(name: str, segment_bytes: int) -> int:
    """Return where in the WAL a file of this name stands, whatever its timeline.

    Raises:
        ValueError: this is no name of a WAL file.
    """
    parts = _SEGMENT.fullmatch(name)
    if parts is None:
        raise ValueError(name)
    return int(parts[2], 16) * ((1 << 32) // segment_bytes) + int(parts[3], 16)


def segment_of(lsn: str, segment_bytes: int) -> int:
    """Return the number of the WAL file that holds a position such as `0/2000158`."""
    high, low = lsn.split("/")
    return ((int(high, 16) << 32) + int(low, 16)) // segment_bytes


def first_gap(names: Iterable[str], start: int, segment_bytes: int) -> int | None:
    """Return the number of the first WAL file from `start` on that is missing though a later one is there."""
    there = {segment_number(name, segment_bytes) for name in names}
    last = max(there, default=start - 1)
    return next((number for number in range(start, last + 1) if number not in there), None)
