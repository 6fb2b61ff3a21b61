"""The three that are measured: this product, its peer, and the floor; each a real server in one process on one core."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

from api.embedded.postgres import die_with_parent
from loadtests.bench.drive import ask, request
from loadtests.bench.ground import Ground

OURS: Final = {"motcua": ("-m", "api", "api")}
COMMANDS: Final = OURS | {
    "fastapi": ("-m", "loadtests.peers.orm"),
    "floor": ("-m", "loadtests.peers.floor"),
}
SERVER_CORE: Final = 0
OTHER_CORE: Final = 1
"""The load generator and PostgreSQL; on a machine with more cores PostgreSQL has the rest."""
_PATIENCE_S: Final = 60.0
ROOT: Final = Path(__file__).resolve().parents[2]


class Contender:
    """One server: where it listens and what it has cost."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.port, self.process, self.log = name, port, process, log

    def cpu_s(self) -> float:
        """Seconds of processor time that the server and its children have used."""
        return family_cpu_s(self.process.pid)


@contextlib.asynccontextmanager
async def contenders(
    ground: Ground, room: Path, commands: Mapping[str, tuple[str, ...]]
) -> AsyncIterator[dict[str, Contender]]:
    """Start these, each pinned to the server's core, and stop them whatever happens."""
    running: dict[str, Contender] = {}
    try:
        for name, command in commands.items():
            running[name] = _start(ground, room, name, command)
        for contender in running.values():
            await _until_ready(contender)
        yield running
    finally:
        for contender in running.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(contender.process.pid, signal.SIGKILL)
            contender.process.wait()


def _start(ground: Ground, room: Path, name: str, command: tuple[str, ...]) -> Contender:
    port = free_port()
    log = room / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *command], env=ground.environment(port, room), cwd=ROOT, stdout=out, stderr=out,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()),  # noqa: PLW1509  there are no threads here
        )  # fmt: skip
    pin(SERVER_CORE, process.pid)  # before it has started anything: children stay where their parent is
    return Contender(name, port, process, log)


async def _until_ready(contender: Contender) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while asyncio.get_running_loop().time() < deadline and contender.process.poll() is None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if (await ask(contender.port, request("GET", "/healthz")))[0] == 200:
                return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"{contender.name} does not answer:\n{contender.log.read_text(errors='replace')[-3000:]}")


def pin(core: int, pid: int = 0) -> None:
    """Keep a process on one core, where there is more than one."""
    if core < (os.cpu_count() or 1):
        os.sched_setaffinity(pid, {core})


def pin_database(ground: Ground, core: int = OTHER_CORE) -> None:
    """Keep PostgreSQL on one core, by default not the server's, with all its processes, those to come included."""
    postmaster = ground.cluster.pid
    if postmaster is not None:
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *map(int, children)):
            with contextlib.suppress(OSError):
                pin(core, pid)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family_cpu_s(pid: int) -> float:
    """Return the seconds of processor time that a process and all below it have used."""
    return sum(_cpu_s(each) for each in _family(pid))


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        children = Path(f"/proc/{parent}/task/{parent}/children")
        with contextlib.suppress(OSError):
            found += [int(child) for child in children.read_text().split()]
    return found


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
