"""Reading a backup before anybody relies on it: digests, files, WAL without a hole, and every document."""

from datetime import datetime
from pathlib import Path

import msgspec

from api.backup import programs
from api.backup.faults import BackupError, damaged, not_reachable
from api.backup.place import Manifest, Place, first_gap, segment_of
from api.backup.taking import sha256_of
from api.documents.blobs import BlobMissing, FileStore
from api.embedded.postgres import Progress
from api.kernel import Sha256


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The base to begin with and the moment to reach; without a moment, the end of the base itself."""

    manifest: Manifest
    target: datetime | None


def choose(place: Place, target: datetime | None, name: str | None = None) -> Chosen:
    """Return the newest base before the wished moment; the moment itself defaults to the last one that is whole.

    Raises:
        BackupError: there is no whole base, or the moment lies outside of what this backup reaches.
    """
    manifests = [place.manifest(each) for each in place.names() if name in (None, each)]
    if not manifests:
        raise BackupError(
            f"Chưa có bản sao lưu trọn vẹn nào ở {place.root}.", f"There is no whole backup in {place.root}."
        )
    followed = place.followed()
    wished = target or followed
    if wished is None or (target is None and wished < manifests[-1].ended_at):
        return Chosen(manifest=manifests[-1], target=None)
    last = max(followed or manifests[-1].ended_at, manifests[-1].ended_at)
    before = [each for each in manifests if each.ended_at <= wished]
    if not before or wished > last:
        raise not_reachable(wished, manifests[0].ended_at, last)
    return Chosen(manifest=before[-1], target=wished)


async def check_base(place: Place, manifest: Manifest) -> None:
    """Hold a base against its digests, file by file, and the received WAL against its own numbering.

    Raises:
        BackupError: a file is damaged or missing; it is named.
    """
    base = place.bases / manifest.name
    for name, digest in (("data/backup_manifest", manifest.files_sha256), ("documents.txt", manifest.documents_sha256)):
        if not (base / name).is_file() or sha256_of(base / name) != digest:
            raise damaged(f"{manifest.name}/{name}", "SHA-256")
    try:
        await programs.run("pg_verifybackup", ["--quiet", base / "data"])
    except BackupError as error:
        raise damaged(manifest.name, error.en) from None
    start = segment_of(manifest.end_lsn, manifest.segment_bytes)
    missing = first_gap(place.segments(), start, manifest.segment_bytes)
    if missing is not None:
        raise damaged("wal/", f"WAL {_name(missing, manifest.segment_bytes)} is missing, later ones are there")


async def check_documents(place: Place, manifest: Manifest) -> list[str]:
    """Read every document of a base and return the digests of those that are not there whole."""
    kept = FileStore(place.documents)
    lacking: list[str] = []
    try:
        with (place.bases / manifest.name / "documents.txt").open(encoding="ascii") as lines:
            for line in lines:
                name = line.split()[0]
                if not await _is_whole(kept, name):
                    lacking.append(name)
    finally:
        await kept.close()
    return lacking


async def check(place: Place, say: Progress) -> int:
    """Check the newest base with its documents; return 1 where something is damaged.

    Raises:
        BackupError: there is no base, or the base itself is damaged.
    """
    place.owner()
    manifest = choose(place, None).manifest
    say(f"Đang kiểm tra {manifest.name}…", f"Checking {manifest.name}…")
    await check_base(place, manifest)
    lacking = await check_documents(place, manifest)
    for name in lacking:
        say(f"Tài liệu hỏng hoặc thiếu: {name}", f"Document damaged or missing: {name}")
    through = place.followed()
    until = max(through or manifest.ended_at, manifest.ended_at).isoformat()
    say(f"Khôi phục được đến {until}.", f"It can be restored up to {until}.")
    return 1 if lacking else 0


async def _is_whole(kept: FileStore, name: str) -> bool:
    try:
        path: Path = await kept.local_path(Sha256(bytes.fromhex(name)))
    except BlobMissing:
        return False
    return sha256_of(path) == name


def _name(number: int, segment_bytes: int) -> str:
    per_log = (1 << 32) // segment_bytes
    return f"{number // per_log:08X}{number % per_log:08X}"
