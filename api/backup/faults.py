"""What can keep a backup or a restore from being whole, as words a person can act on."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from api.errors import MotcuaError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class BackupError(MotcuaError):
    """A backup or restore was refused or broke off; nothing that looks whole was left behind."""

    code = "backup"


def no_room(where: Path, free: int, needed: int) -> BackupError:
    """Say that a disk has fewer bytes than the work will take."""
    free_mb, needed_mb = free >> 20, -(-needed >> 20)
    return BackupError(
        f"Đĩa chứa {where} không đủ chỗ: còn {free_mb} MB, cần khoảng {needed_mb} MB.",
        f"Not enough room on the disk that holds {where}: {free_mb} MB left, about {needed_mb} MB needed.",
        code="backup-disk-full",
        next_step=(
            "Giải phóng chỗ, giảm --keep, hoặc chọn đĩa khác rồi chạy lại.",
            "Free some space, keep fewer backups (--keep), or choose another disk, and run it again.",
        ),
    )


def no_rights() -> BackupError:
    """Say what the role of `DATABASE_URL` is to be given."""
    return BackupError(
        "Tài khoản trong DATABASE_URL không đủ quyền để sao lưu.",
        "The role in DATABASE_URL has too few rights to back up.",
        code="backup-rights",
        next_step=(
            "Dùng tài khoản có REPLICATION và hai nhóm quyền: GRANT pg_read_all_data, pg_monitor TO ….",
            "Use a role with REPLICATION and two grants: GRANT pg_read_all_data, pg_monitor TO ….",
        ),
    )


@contextmanager
def told_of_the_disk(where: Path) -> Generator[None]:
    """Turn what the system says of files and disks into words.

    Raises:
        BackupError: in place of any OSError of the block.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL or "No space left" in str(error)  # copytree gives a list of words, no number
        raise BackupError(
            f"Hết chỗ trên đĩa chứa {where}." if full else f"Không đọc ghi được ở {where}: {error}",
            f"The disk that holds {where} is full." if full else f"Cannot read or write in {where}: {error}",
            code="backup-disk-full" if full else "backup-files",
            next_step=(
                "Giải phóng chỗ hoặc sửa quyền rồi chạy lại.",
                "Free space or mend the rights, and run it again.",
            ),
        ) from error


def in_use(where: Path, pid: str) -> BackupError:
    """Say who is already at work in a backup directory."""
    return BackupError(
        f"Đang có việc sao lưu khác ở {where} (PID {pid}).",
        f"Another backup is at work in {where} (PID {pid}).",
        code="backup-in-use",
        next_step=("Đợi nó xong rồi chạy lại.", "Wait for it to end, then run this again."),
    )


def damaged(what: str, said: str) -> BackupError:
    """Say that a part of a backup is not what it was when it was made."""
    return BackupError(
        f"Bản sao lưu bị hỏng: {what}. {said}",
        f"The backup is damaged: {what}. {said}",
        code="backup-damaged",
        next_step=(
            "Dùng bản gốc khác (--base) hoặc bản sao lưu khác; chưa có gì được khôi phục.",
            "Use another base (--base) or another backup; nothing has been restored.",
        ),
    )


def program_failed(program: str, said: str) -> BackupError:
    """Pass on what a program of PostgreSQL said at its end."""
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return BackupError(
            f"{program}: hết chỗ trên đĩa.",
            f"{program}: the disk is full.",
            code="backup-disk-full",
            next_step=("Giải phóng chỗ rồi chạy lại.", "Free some space and run it again."),
        )
    return BackupError(f"{program} không thành: {said}", f"{program} failed: {said}", code="backup-program")


def not_reachable(target: datetime, first: datetime | None, last: datetime | None) -> BackupError:
    """Say between which moments this backup can be restored."""
    span = "–" if first is None or last is None else f"{first.isoformat()} … {last.isoformat()}"
    return BackupError(
        f"Không khôi phục được về {target.isoformat()}: bản sao lưu này chỉ có {span}.",
        f"Cannot restore to {target.isoformat()}: this backup reaches {span}.",
        code="restore-out-of-reach",
        next_step=("Chọn --to trong khoảng ấy.", "Choose --to within it."),
    )
