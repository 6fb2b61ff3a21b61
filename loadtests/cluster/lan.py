"""Hosts of one machine: each a network namespace with an address of its own, all on one bridge.

They live in a network, mount and process namespace of the run's own (`loadtests.cluster.__main__`): nothing here is
seen from outside, and all of it goes with the last process.
"""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

NAMES: Final = Path("/run/netns")
NETWORK: Final = "10.77.0"
HOSTS: Final = {
    "lb": 10, "api1": 21, "api2": 22, "sign1": 31, "sign2": 32, "db1": 41, "db2": 42, "etcd": 51,
    "s3": 60, "vol1": 61, "vol2": 62, "vol3": 63,
}  # fmt: skip
"""Every host and the last number of its address; the one who tests is number 1."""


def address(host: str) -> str:
    """Return a host's address."""
    return f"{NETWORK}.{HOSTS[host]}"


def build() -> None:
    """Make the bridge and every host; wants namespaces of one's own, and root in them."""
    NAMES.mkdir(exist_ok=True)
    _do(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(NAMES)])
    _ip("link set lo up", "link add lan type bridge", f"addr add {NETWORK}.1/24 dev lan", "link set lan up")
    for host in HOSTS:
        _ip(f"netns add {host}", f"link add to-{host} type veth peer name eth0 netns {host}",
            f"link set to-{host} master lan up")  # fmt: skip
        _ip("link set lo up", f"addr add {address(host)}/24 dev eth0", "link set eth0 up", inside=host)


def inside(host: str) -> list[str]:
    """Return the words before a command that is to run on a host."""
    return ["nsenter", f"--net={NAMES / host}", "--"]


def living(host: str) -> list[int]:
    """Return the processes of a host."""
    place = (NAMES / host).stat().st_ino
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if (entry / "ns" / "net").stat().st_ino == place:
                    found.append(int(entry.name))
    return found


def kill(host: str) -> int:
    """Kill -9 everything on a host, as if its power went; return how many processes there were."""
    killed = 0
    while alive := [pid for pid in living(host) if not _is_dead(pid)]:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _ip(*lines: str, inside: str = "") -> None:
    _do(["ip", *(["-n", inside] if inside else []), "-batch", "-"], "\n".join(lines) + "\n")


def _do(words: list[str], told: str = "") -> None:
    done = subprocess.run(words, input=told, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}\n{told}")
