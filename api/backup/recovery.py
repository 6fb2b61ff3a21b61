"""Bringing a base to a moment: a copy of it, the WAL that follows, and a server that nobody else can reach."""

import asyncio
import os
import shlex
import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

from api.backup.faults import BackupError
from api.backup.place import Manifest, Place, segment_number, sync
from api.embedded.binaries import place as home_of
from api.embedded.binaries import server_user
from api.embedded.faults import LauncherError
from api.embedded.postgres import Cluster, Progress

LONGEST_RECOVERY_S: Final = 24 * 3600.0
_ADDED: Final = ("recovery.conf", "wal-received")
"""What lies beside the data while they are recovered, and is taken away at the end."""


async def recover(place: Place, manifest: Manifest, root: Path, target: datetime | None, say: Progress) -> Cluster:
    """Return a running, promoted server under `root` that stands at the target; None means at the end of the base.

    Raises:
        BackupError: the WAL does not reach the target, or recovery failed.
    """
    return await _recover(place, manifest, root, _until(target), say)


async def recover_all(place: Place, manifest: Manifest, root: Path, say: Progress) -> Cluster:
    """Return a running server under `root` that has seen every WAL record there is."""
    return await _recover(place, manifest, root, {}, say)


def _until(target: datetime | None) -> dict[str, str]:
    if target is None:
        return {"recovery_target": "immediate"}
    return {"recovery_target_time": target.isoformat()}


async def _recover(place: Place, manifest: Manifest, root: Path, until: dict[str, str], say: Progress) -> Cluster:
    home = await asyncio.to_thread(_lay, place, manifest, root)
    settings = {
        **until,
        "config_file": str(home / _ADDED[0]),
        "restore_command": _restore_command(home / _ADDED[1]),
        "recovery_target_action": "promote",
        "recovery_target_timeline": "latest",
        "hot_standby": "off",
        "fsync": "off",  # `settle` makes all of it durable at once, before anybody is told that it is there
        "archive_mode": "off",
        "primary_conninfo": "",
        "shared_preload_libraries": "",
    }
    cluster = Cluster(root, tuning=settings, admin=manifest.superuser, start_budget_s=LONGEST_RECOVERY_S)
    try:
        await cluster.start(say, ensure_roles=False)
    except LauncherError as error:
        raise _explained(error) from error
    return cluster


def settle(root: Path) -> None:
    """Take away what only the recovery needed, and make the rest durable; the server must be stopped."""
    home = home_of(root, server_user())
    (home / _ADDED[0]).unlink(missing_ok=True)
    shutil.rmtree(home / _ADDED[1], ignore_errors=True)
    for directory, _, files in os.walk(home):
        for name in files:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink():
                sync(path)
        sync(Path(directory))


def throw_away(root: Path) -> None:
    """Remove a recovered cluster whole, also where its data had to lie elsewhere."""
    home = home_of(root, server_user())
    shutil.rmtree(root)
    if home != root:
        shutil.rmtree(home)


def _lay(place: Place, manifest: Manifest, root: Path) -> Path:
    """Copy the base and the WAL that follows it to where the server's user can read them."""
    user = server_user()
    home = home_of(root, user)
    received = home / _ADDED[1]
    received.mkdir(mode=0o700)
    shutil.copytree(place.bases / manifest.name / "data", home / "data", symlinks=True)
    (home / "data").chmod(0o700)
    start = segment_number(manifest.start_segment, manifest.segment_bytes)
    later = [name for name in place.segments() if segment_number(name, manifest.segment_bytes) >= start]
    for name in (*later, *(path.name for path in place.wal.glob("*.history"))):
        shutil.copyfile(place.wal / name, received / name)
    (home / "data" / "recovery.signal").touch()
    own = home / "data" / "postgresql.auto.conf"
    if own.exists():  # such as standbys to wait for, which are not there now
        own.rename(own.with_suffix(".conf.before"))
    own.touch()
    (home / _ADDED[0]).write_text("# Recovery takes its settings from the command line alone.\n")
    if user.drop:
        for path in (home / "data", received):
            for below in (path, *path.rglob("*")):
                os.chown(below, user.uid, user.gid, follow_symlinks=False)
    (home / _ADDED[0]).chmod(0o644)
    return home


def _restore_command(received: Path) -> str:
    """Fetch a file, or the last one as far as it was received: PostgreSQL stops at a record that is not whole."""
    directory = shlex.quote(str(received)).replace("%", "%%")
    return f'cp {directory}/%f "%p" 2>/dev/null || cp {directory}/%f.partial "%p" 2>/dev/null'


def _explained(error: LauncherError) -> BackupError:
    if "before configured recovery target was reached" in error.en:
        return BackupError(
            "Nhật ký (WAL) trong bản sao lưu dừng trước thời điểm đã chọn.",
            "The write-ahead log of this backup ends before the chosen moment.",
            code="restore-out-of-reach",
            next_step=(
                "Chọn --to sớm hơn; motcua backup --check cho biết đến lúc nào.",
                "Choose an earlier --to; motcua backup --check says how far it reaches.",
            ),
        )
    return BackupError(error.vi, error.en, code="restore-recovery", next_step=error.next_step)
