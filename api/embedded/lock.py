"""One launcher per directory: a file lock that the kernel drops when its holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from api.embedded.faults import LauncherError


class DirectoryLock:
    """Holds `directory/lock` from `take` to `release`."""

    def __init__(self, directory: Path) -> None:
        """Prepare the lock of a directory; nothing is touched yet."""
        self._directory = directory
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock and note the PID in it.

        Raises:
            LauncherError: another process holds it, the directory cannot be written, or it is no directory.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            file = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileExistsError, NotADirectoryError):
            raise LauncherError(
                f"{self._directory} không phải là thư mục.", f"{self._directory} is not a directory."
            ) from None
        except PermissionError:
            raise LauncherError(
                f"Không có quyền ghi vào {self._directory}.",
                f"No permission to write to {self._directory}.",
                next_step=(
                    "Chạy bằng đúng người dùng đã tạo thư mục, hoặc chọn MOTCUA_VAR khác.",
                    "Run as the user who made it, or choose another MOTCUA_VAR.",
                ),
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode() or "?"
            os.close(file)
            raise LauncherError(
                f"Motcua đang chạy với thư mục này rồi (PID {holder}): {self._directory}",
                f"Motcua is already running on this directory (PID {holder}): {self._directory}",
                code="launcher-in-use",
                next_step=("Dùng bản đang chạy, hoặc dừng nó trước.", "Use the one that runs, or stop it first."),
            ) from None
        self._file = file
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the directory free; harmless when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
