"""Restoring: check first, build beside, bring to the moment, fence, prove, and only then give it its name."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from api.audit.revocations import Cut, read_log
from api.audit.store import Ended
from api.backup import documents, fencing, recovery, store
from api.backup.checking import Chosen, check_base, choose
from api.backup.faults import BackupError, no_room, told_of_the_disk
from api.backup.fencing import Lost, Passed
from api.backup.place import Manifest, Place, sync, take_lock, write_durably
from api.backup.proving import Proof, prove
from api.backup.store import Seen
from api.db.pools import Pools, open_pools
from api.documents.blobs import BlobStore, FileStore
from api.embedded.postgres import Cluster, Progress
from api.kernel import VIETNAM, Clock

_LOOKED_BACK: Final = timedelta(hours=1)
_LONGEST_STATEMENT_S: Final = 3600.0
_SPARE_BYTES: Final = 256 << 20


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be restored, and where."""

    into: Path
    target: datetime | None = None
    """None: the last moment of which WAL and documents are both there."""
    base: str | None = None
    number_margin: int = 10
    number_floors: Mapping[UUID, int] = {}
    look_ahead: bool = True
    revocations: Path | None = None
    """The log of revocations that lies outside; None where there is none."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, what it is worth, and what people have to reconcile; it lies beside the data as JSON."""

    base: str
    target: datetime
    last_line_at: datetime | None
    lost: Lost
    passed: tuple[Passed, ...]
    carried: tuple[Ended, ...]
    """Rights that had come back by the restore, and were taken again."""
    revocations_until: datetime | None
    """Of when the last line of the log of revocations is; None without one."""
    revocations_cut: Cut | None = None
    """Where lines are gone from the end of that log."""
    proof: Proof
    migrations: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether everything was proved, and no line of the log of revocations is known to be gone."""
        return self.proof.whole and self.revocations_cut is None


async def restore(place: Place, wish: Wish, blobs: BlobStore | None, clock: Clock, say: Progress) -> Report:
    """Bring a backup back into an empty place.

    Args:
        place: the backup.
        wish: the moment, the place, and what of the registers to pass over.
        blobs: where the documents go; None puts them into a directory beside the cluster.
        clock: gives the present, from which on nothing earlier is good any more.
        say: takes progress in Vietnamese and English.

    Raises:
        BackupError: the place is not empty, the backup is damaged or does not reach the moment, or there is no room.
    """
    place.owner()
    _require_empty(wish.into)
    chosen = choose(place, wish.target, wish.base)
    building = wish.into.with_name(f"{wish.into.name}.restoring")
    lock_file = wish.into.with_name(f"{wish.into.name}.restoring.lock")
    lock = take_lock(lock_file)
    try:
        with told_of_the_disk(building.parent):
            await asyncio.to_thread(_clear, building)
            building.mkdir(mode=0o711)
            try:
                return await _restore(place, wish, chosen, building, blobs, clock, say)
            except BaseException:
                await asyncio.to_thread(_clear, building)
                raise
    finally:
        lock_file.unlink(missing_ok=True)
        os.close(lock)


async def _restore(
    place: Place, wish: Wish, chosen: Chosen, building: Path, blobs: BlobStore | None, clock: Clock, say: Progress
) -> Report:
    _require_room(place, chosen.manifest, building.parent, copies=2 if wish.look_ahead else 1)
    say(f"Đang kiểm tra bản sao lưu {chosen.manifest.name}…", f"Checking the backup {chosen.manifest.name}…")
    await check_base(place, chosen.manifest)
    report = await _build(place, wish, chosen, building, blobs, clock, say)
    await asyncio.to_thread(_give_its_name, building, wish.into, report)
    return report


async def _build(
    place: Place, wish: Wish, chosen: Chosen, building: Path, blobs: BlobStore | None, clock: Clock, say: Progress
) -> Report:
    manifest, target = chosen.manifest, chosen.target
    moment = target or manifest.ended_at
    ahead: Seen | None = None
    if wish.look_ahead:
        ahead = await _look_ahead(place, chosen, building / "ahead", moment - _LOOKED_BACK, say)
    say(f"Đang đưa cơ sở dữ liệu về {moment.isoformat()}…", f"Bringing the database to {moment.isoformat()}…")
    cluster = await recovery.recover(place, manifest, building / "pg", target, say)
    kept, own = FileStore(place.documents), FileStore(building / "blobs") if blobs is None else None
    done = documents.Copied()
    try:
        pools = await _open(cluster, manifest)
        try:
            say("Đang chép tài liệu…", "Copying documents…")
            async with pools.reading() as connection:
                await documents.copy_all(connection, kept, blobs or own or kept, done)
                seen = await store.seen(connection, moment - _LOOKED_BACK)
                last_line = await store.last_line(connection)
            fenced = await _fence(pools, wish, seen, ahead, moment, clock)
            say("Đang đối chiếu nhật ký, sổ và tài liệu…", "Proving journals, registers and documents…")
            async with pools.reading() as connection:
                proof = await prove(connection, done.missing)
        finally:
            await pools.close()
    finally:
        await kept.close()
        if own is not None:
            await own.close()
        await cluster.stop()
    await asyncio.to_thread(recovery.settle, building / "pg")
    return Report(
        base=manifest.name,
        target=moment,
        last_line_at=last_line,
        lost=fencing.between(seen, ahead, place.followed() or moment) if ahead is not None else Lost(),
        passed=tuple(fenced.passed),
        carried=tuple(fenced.carried),
        revocations_until=fenced.known_until,
        revocations_cut=fenced.cut,
        proof=proof,
        migrations=manifest.migrations,
    )


async def _look_ahead(place: Place, chosen: Chosen, root: Path, since: datetime, say: Progress) -> Seen | None:
    """Bring a second copy to the end of everything there is, and ask it what happened after the moment."""
    if not place.segments():
        return None
    say("Đang xem sau thời điểm ấy đã có gì…", "Looking at what happened after that moment…")
    try:
        cluster = await recovery.recover_all(place, chosen.manifest, root, say)
    except BackupError as error:
        say(f"Không xem được: {error.vi}", f"That could not be seen: {error.en}")
        recovery.throw_away(root)
        return None
    try:
        pools = await _open(cluster, chosen.manifest)
        try:
            async with pools.reading() as connection:
                return await store.seen(connection, since)
        finally:
            await pools.close()
    finally:
        await cluster.stop()
        await asyncio.to_thread(recovery.throw_away, root)


class _Fenced(msgspec.Struct, frozen=True):
    passed: list[Passed]
    carried: list[Ended]
    known_until: datetime | None
    cut: Cut | None


async def _fence(pools: Pools, wish: Wish, seen: Seen, ahead: Seen | None, moment: datetime, clock: Clock) -> _Fenced:
    passing = fencing.numbers_to_pass(seen, ahead, margin=wish.number_margin, floors=wish.number_floors)
    local = moment.astimezone(VIETNAM).isoformat(timespec="seconds")
    reason = (
        f"Hệ thống khôi phục về {local}: số có thể đã cấp sau thời điểm ấy"
        f" / Restored to {local}: may have been given after it"
    )
    log, cut = None, None
    if wish.revocations is not None:
        sealed = (*seen.sealed, *(ahead.sealed if ahead else ()))
        log, cut = await asyncio.to_thread(read_log, wish.revocations, sealed)
    async with pools.transaction() as tx:
        ended = [*(ahead.ended if ahead else ()), *(log.standing() if log else ())]
        carried = await fencing.carry_over(tx, ended, clock(), reason)
        passed = await fencing.fence(tx, seen, ahead, passing, margin=wish.number_margin, reason=reason, at=clock())
    return _Fenced(passed, carried, log.until if log else None, cut)


async def _open(cluster: Cluster, manifest: Manifest) -> Pools:
    dsn = cluster.dsn(manifest.superuser, manifest.database)
    return await open_pools(dsn, read_size=1, write_size=1, statement_s=_LONGEST_STATEMENT_S)


def _require_empty(into: Path) -> None:
    if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise BackupError(
            f"{into} không trống; không khôi phục đè lên dữ liệu đang có.",
            f"{into} is not empty; nothing is ever restored over data that is there.",
            code="restore-not-empty",
            next_step=("Chọn một nơi trống bằng --into.", "Choose an empty place with --into."),
        )


def _require_room(place: Place, manifest: Manifest, where: Path, *, copies: int) -> None:
    """Refuse to begin what would not fit; the documents are counted as if they all were in the directory."""
    received = sum((place.wal / name).stat().st_size for name in place.segments())
    needed = copies * (manifest.base_bytes + received) + manifest.counts["document_bytes"] + _SPARE_BYTES
    free = shutil.disk_usage(where).free
    if free < needed:
        raise no_room(where, free, needed)


def _give_its_name(building: Path, into: Path, report: Report) -> None:
    """From here on it may be called restored."""
    write_durably(building / "restore-report.json", msgspec.json.format(msgspec.json.encode(report), indent=1))
    if into.exists():
        into.rmdir()
    building.rename(into)
    sync(into.parent)


def _clear(building: Path) -> None:
    """Remove what a restore that died left; its server died with it."""
    for name in ("pg", "ahead"):
        if (building / name / "cluster.json").exists():
            recovery.throw_away(building / name)
    if building.exists():
        shutil.rmtree(building)
