"""Scale-out, run: two API hosts, two signers, PostgreSQL with a standby, an object store on four hosts, one load.

    python -m loadtests.cluster [--parts abcd] [--lives 3] [--reads 20]

Each host is a network namespace of this machine; nothing leaves it. Part a changes every API and signer for a new
process, b kills the primary's host, c an object node, d an API's; each prints one line with its figures and a verdict,
and at the end everything that was ever acknowledged is held against what stands. Needs root. Exit status: 0 all held, 1
something did not, 2 it did not get so far. However it ends, Ctrl-C and kill -9 included, nothing of it lives on:
processes and networks are in namespaces that go with the run. What a kill -9 leaves on the disk, the next run removes.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from api.embedded.postgres import die_with_parent
from loadtests.cluster.database import VARIABLE
from loadtests.cluster.run import main_inside

ROOM: Final = "motcua-cluster-"
INSIDE: Final = "MOTCUA_CLUSTER_ROOM"
PROGRAMS: Final = ("ip", "nsenter", "unshare", "setpriv", "etcd", "haproxy")
OWN: Final = (
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child=SIGKILL",
    "--mount-proc",
    "--propagation=private",
)


def lacks() -> list[str]:
    """Return what is missing for a run, each with how to mend it."""
    found = [f"không có / there is no {name}" for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        found.append("phải chạy bằng root: cần tạo mạng riêng / it needs root, to make networks of its own")
    if not Path(os.environ.get(VARIABLE, "/nowhere")).exists():
        found.append(f"không có Patroni ({VARIABLE}) / there is no Patroni")
    return found


def lock(room: Path) -> int:
    """Hold a room as long as this process lives; raise OSError where somebody else does."""
    held = os.open(room / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise
    return held


def clear() -> None:
    """Remove the rooms of runs that were killed; what a run has kept as evidence stays."""
    for room in Path(tempfile.gettempdir()).glob(f"{ROOM}*"):
        with contextlib.suppress(OSError):
            if not (room / "keep").exists():
                held = lock(room)
                shutil.rmtree(room, ignore_errors=True)
                os.close(held)


def outer(arguments: list[str]) -> int:
    """Run in namespaces of its own and take away what it leaves on the disk."""
    clear()
    room = Path(tempfile.mkdtemp(prefix=ROOM))
    room.chmod(0o755)  # the database's user has to enter it
    held = lock(room)
    signal.signal(signal.SIGINT, lambda *_: None)  # who is inside hears it, too, and ends by it
    words = [*OWN, sys.executable, "-m", "loadtests.cluster", *arguments]
    died = die_with_parent(signal.SIGKILL, os.getpid())
    process = subprocess.Popen(words, env={**os.environ, INSIDE: str(room)}, preexec_fn=died)  # noqa: PLW1509 -- one prctl
    signal.signal(signal.SIGTERM, lambda *_: process.kill())
    code = process.wait()
    if (room / "keep").exists():
        sys.stdout.write(f"logs, ledger: {room}\n")
    else:
        shutil.rmtree(room, ignore_errors=True)
    os.close(held)
    return code if code >= 0 else 128 - code


def reap(child: int) -> int:
    """As process 1 of a namespace: bury what others leave behind, until the one child has ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the terminal tells the child as well
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def main() -> int:
    """Read the options, enter namespaces of one's own, and run."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", default="abcd", help="a rolling restart; killed: b primary, c object node, d API")
    parser.add_argument("--lives", type=int, default=3, help="dossiers under way at once")
    parser.add_argument("--reads", type=float, default=20.0, help="reads per second")
    options = parser.parse_args()
    if INSIDE not in os.environ:
        missing = lacks()
        if missing:
            sys.stderr.write("".join(f"✗ {one}\n" for one in missing) + "make cluster-test\n")
            return 2
        return outer(sys.argv[1:])
    child = os.fork()
    if child:
        code = reap(child)
        return code if code >= 0 else 128 - code
    return main_inside(Path(os.environ[INSIDE]), options)


if __name__ == "__main__":
    sys.exit(main())
