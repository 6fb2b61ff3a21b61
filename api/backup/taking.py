"""Taking a base backup: room first, documents, the cluster, documents again, read back, and only then a manifest."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from api.backup import documents, programs, store
from api.backup.faults import BackupError, no_room, told_of_the_disk
from api.backup.place import Manifest, Place, segment_number, sync, write_manifest
from api.backup.store import Connection, Facts
from api.db import migrate
from api.documents.blobs import BlobStore, FileStore
from api.embedded.postgres import Progress

_SPARE_BYTES: Final = 64 << 20


class _Files(msgspec.Struct, frozen=True):
    """What of PostgreSQL's own manifest is read."""

    ranges: tuple[dict[str, str | int], ...] = msgspec.field(name="WAL-Ranges")


async def take(place: Place, dsn: str, blobs: BlobStore, *, keep: int, say: Progress) -> Manifest:
    """Take one base backup and keep the newest `keep` of them; 0 keeps all.

    Raises:
        BackupError: another one is at work, the disk is too small, or a program failed; nothing whole was left.
    """
    lock = place.lock("base")
    try:
        with told_of_the_disk(place.root):
            return await _take_and_prune(place, dsn, blobs, keep, say)
    finally:
        os.close(lock)


async def _take_and_prune(place: Place, dsn: str, blobs: BlobStore, keep: int, say: Progress) -> Manifest:
    async with store.connected(dsn) as connection:
        facts = await store.server_facts(connection)
        place.lay(facts.system_id, facts.timeline)
        for name in place.clear_unfinished():
            say(f"Đã bỏ bản dở dang {name}.", f"Removed the unfinished {name}.")
        _require_room(place, facts, await store.counts(connection))
        manifest = await _take(place, dsn, connection, facts, blobs, say)
        await _say_what_stands(place, connection, manifest, say)
    if keep:
        await prune(place, keep, say)
    return manifest


async def _take(
    place: Place, dsn: str, connection: Connection, facts: Facts, blobs: BlobStore, say: Progress
) -> Manifest:
    name = facts.at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    base = place.bases / f"{name}.partial"
    base.mkdir(mode=0o700)
    kept = FileStore(place.documents)
    done = documents.Copied()
    try:
        say("Đang chép tài liệu (lượt 1)…", "Copying documents (first pass)…")
        await documents.copy_all(connection, blobs, kept, documents.Copied())
        say("Đang chép cơ sở dữ liệu…", "Copying the database…")
        await programs.run("pg_basebackup", _words(base, name), dsn=dsn, tell=_tenths(say))
        ended_at = await store.now(connection)
        say("Đang chép tài liệu (lượt 2)…", "Copying documents (second pass)…")
        await documents.copy_all(connection, blobs, kept, done)
        listed = await _write_list(connection, base / "documents.txt")
        counts = await store.counts(connection)
    finally:
        await kept.close()
    say("Đang đọc lại để kiểm tra…", "Reading it back…")
    await programs.run("pg_verifybackup", ["--quiet", base / "data"])
    manifest = Manifest(
        name=name,
        motcua=metadata.version("motcua"),
        server=facts.server,
        system_id=facts.system_id,
        superuser=facts.superuser,
        database=facts.database,
        segment_bytes=facts.segment_bytes,
        start_segment=_start_segment(base / "data"),
        end_lsn=_end_lsn(base / "data"),
        began_at=facts.at,
        ended_at=ended_at,
        migrations=tuple(await migrate.applied(dsn)),
        counts=counts,
        base_bytes=sum(file.stat().st_size for file in (base / "data").rglob("*") if file.is_file()),
        files_sha256=sha256_of(base / "data" / "backup_manifest"),
        documents_sha256=listed,
        missing=tuple(sha256.hex() for sha256 in done.missing),
    )
    write_manifest(base, manifest)
    base.rename(place.bases / name)
    sync(place.bases)
    return manifest


def _words(base: Path, name: str) -> list[str | Path]:
    return [
        "--pgdata",
        base / "data",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--progress",
        "--no-password",
        f"--label=motcua {name}",
    ]


def _tenths(say: Progress) -> Callable[[int], None]:
    told = [0]

    def tell(percent: int) -> None:
        if percent >= told[0] + 10:
            told[0] = percent - percent % 10
            say(f"  cơ sở dữ liệu {told[0]} %", f"database {told[0]} %")

    return tell


def _require_room(place: Place, facts: Facts, counts: dict[str, int]) -> None:
    """Refuse to begin what would not fit: the cluster, and the documents that came since the last base."""
    names, known = place.names(), 0
    with suppress(BackupError):  # an older base that is damaged is no reason against a new one
        known = place.manifest(names[-1]).counts["document_bytes"] if names else 0
    needed = facts.bytes + max(0, counts["document_bytes"] - known) + _SPARE_BYTES
    free = shutil.disk_usage(place.root).free
    if free < needed:
        raise no_room(place.root, free, needed)


async def _say_what_stands(place: Place, connection: Connection, manifest: Manifest, say: Progress) -> None:
    counts = manifest.counts
    say(
        f"Xong: {manifest.name}, {counts['dossiers']} hồ sơ, {counts['documents']} tài liệu.",
        f"Done: {manifest.name}, {counts['dossiers']} dossiers, {counts['documents']} documents.",
    )
    if place.followed() is None and not await store.has_slot(connection):
        say(
            "Chưa có nhật ký liên tục: chỉ khôi phục được về đúng lúc này. Chạy `motcua backup --follow`.",
            "WAL is not followed: only this moment can be restored. Run `motcua backup --follow`.",
        )


async def _write_list(connection: Connection, path: Path) -> str:
    """Write down which documents the rows name; return the SHA-256 of the list."""
    with path.open("w", encoding="ascii") as out:
        async for page in store.documents(connection):
            out.writelines(f"{each.sha256.hex()} {each.size}\n" for each in page)
        out.flush()
        os.fsync(out.fileno())
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _start_segment(data: Path) -> str:
    """Return the WAL file at which recovery of a base begins; older ones are of no use to it."""
    first = (data / "backup_label").read_text(encoding="utf-8").splitlines()[0]
    return first.rpartition("file ")[2].rstrip(")")


def _end_lsn(data: Path) -> str:
    ranges = msgspec.json.decode((data / "backup_manifest").read_bytes(), type=_Files).ranges
    return str(ranges[-1]["End-LSN"])


async def prune(place: Place, keep: int, say: Progress) -> None:
    """Keep the newest `keep` bases, with the WAL and the documents that a moment after the oldest of them may need."""
    names = place.names()
    for name in names[:-keep]:
        await asyncio.to_thread(place.remove, name)
        say(f"Đã bỏ bản cũ {name}.", f"Removed the old {name}.")
    oldest = place.manifest(names[-keep:][0])
    first = segment_number(oldest.start_segment, oldest.segment_bytes)
    for segment in place.segments():
        if segment_number(segment, oldest.segment_bytes) < first:
            (place.wal / segment).unlink()
    await _prune_documents(place, oldest)


async def _prune_documents(place: Place, oldest: Manifest) -> None:
    """Forget documents whose rows had gone before the oldest base: its list lacks them, and they came before it."""
    with (place.bases / oldest.name / "documents.txt").open(encoding="ascii") as lines:
        listed = {bytes.fromhex(line.split()[0]) for line in lines}
    kept = FileStore(place.documents)
    try:
        async for found in kept.iter_all():
            if found.stored_at < oldest.began_at and found.sha256 not in listed:
                await kept.delete(found.sha256)
    finally:
        await kept.close()
