"""What can keep the embedded PostgreSQL from starting, as words a person can act on."""

import shutil
from pathlib import Path

from api.errors import MotcuaError


class LauncherError(MotcuaError):
    """The embedded PostgreSQL cannot start; the message says why and how to mend it."""

    code = "launcher"


def disk_full(where: Path, free_mb: int | None = None, needed_mb: int | None = None) -> LauncherError:
    """Say that the disk which holds `where` is full, with the free and needed megabytes where they are known."""
    vi = f"Hết chỗ trên đĩa chứa {where}"
    en = f"The disk that holds {where} is full"
    if free_mb is not None:
        vi += f": còn {free_mb} MB, cần ít nhất {needed_mb} MB"
        en += f": {free_mb} MB left, at least {needed_mb} MB needed"
    return LauncherError(
        f"{vi}.",
        f"{en}.",
        code="launcher-disk-full",
        next_step=(
            "Giải phóng chỗ trống rồi chạy lại; dữ liệu cũ vẫn còn.",
            "Free some space and start again; nothing is lost.",
        ),
    )


def start_failure(home: Path, said: str) -> LauncherError:
    """Turn what the server said at its end into one clear error."""
    full = "No space left on device" in said or "Disk quota exceeded" in said
    if full or shutil.disk_usage(home).free < 2**20:  # on a full disk the log itself is cut short
        return disk_full(home)
    lines = [line for line in said.strip().splitlines() if line.strip()]
    causes = [line for line in lines if "the database system is" not in line]  # what it told us who asked for it
    fatal = [line for line in causes if "FATAL" in line or "PANIC" in line or "error" in line]
    reason = (fatal or lines or ["?"])[-1]
    return LauncherError(
        f"PostgreSQL không khởi động được: {reason}",
        f"PostgreSQL did not start: {reason}",
        next_step=("Xem var/pg/server.log hoặc chạy `motcua doctor`.", "See var/pg/server.log or run `motcua doctor`."),
    )
