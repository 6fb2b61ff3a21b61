"""What an earlier server may have left behind: live processes on the same data, and a PID file that names a stranger.

A PID file is never believed by its number: after a power cut or a container restart that number is often another
program's. A server of ours is a process named `postgres` whose working directory is our data directory.
"""

import contextlib
import os
import signal
from pathlib import Path

from api.embedded.faults import LauncherError


def servers_on(data: Path) -> list[int]:
    """Return the PIDs of all PostgreSQL processes, postmaster and orphaned backends alike, that work on this data."""
    wanted = data.resolve()
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to another user and so is not ours
                if entry.joinpath("cwd").readlink() == wanted and "postgres" in entry.joinpath("exe").readlink().name:
                    found.append(int(entry.name))
    return found


def noted_pid(data: Path) -> int | None:
    """Return the PID in `postmaster.pid`, or None when there is no such file or it is cut short."""
    try:
        first = (data / "postmaster.pid").read_text(encoding="utf-8").partition("\n")[0]
    except FileNotFoundError:
        return None
    return int(first) if first.strip().isdecimal() else None


def ask_to_stop(data: Path) -> bool:
    """Ask a postmaster without a launcher to shut down fast; return whether any process still works on the data.

    Call it only while holding the launcher's lock: then such a postmaster has lost its supervisor.
    """
    alive = servers_on(data)
    postmaster = noted_pid(data)
    if postmaster in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster, signal.SIGINT)
    return bool(alive)


def clear_stale_pid_file(data: Path) -> int | None:
    """Remove a PID file once no process works on the data; return the PID that it named.

    The file must not go while an orphaned backend lives: it holds the key of the shared memory that protects the data.

    Raises:
        LauncherError: processes still work on the data.
    """
    alive = servers_on(data)
    if alive:
        numbers = ", ".join(map(str, alive))
        raise LauncherError(
            f"Tiến trình PostgreSQL cũ vẫn đang dùng {data} (PID {numbers}).",
            f"Old PostgreSQL processes still work on {data} (PID {numbers}).",
            next_step=(f"Chờ chúng kết thúc, hoặc: kill {numbers}", f"Wait for them to end, or: kill {numbers}"),
        )
    pid = noted_pid(data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    return pid
