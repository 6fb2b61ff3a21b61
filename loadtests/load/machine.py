"""What machine a run was on: a fixed processor and disk loop, so that runs of different machines can be compared."""

import hashlib
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

CPU_UNIT_S: Final = 0.36
"""What the processor loop takes on one core of the machine where the first figures were made: its factor is 1."""
_LOOPS: Final = 400_000
_SYNCS: Final = 50


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine at one moment."""

    cores: int
    memory_gb: float
    system: str
    cpu_s: float
    """Seconds of the fixed processor loop: SHA-256 over 1 KiB, so many times, on one core."""
    fsync_ms: float
    """The median of fifty writes of 8 KiB with fsync."""
    load_before: float

    @property
    def factor(self) -> float:
        """How fast it is: 1 is the first machine, 2 is twice as fast."""
        return CPU_UNIT_S / self.cpu_s if self.cpu_s else 0.0


def measure(directory: Path) -> Machine:
    """Measure this machine; the files are written where the data lie."""
    load = os.getloadavg()[0]
    block, began = bytes(1024), time.process_time()
    for _ in range(_LOOPS):
        hashlib.sha256(block).digest()
    cpu_s = time.process_time() - began
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        system=platform.platform(),
        cpu_s=cpu_s,
        fsync_ms=_fsync_ms(directory),
        load_before=load,
    )


def _fsync_ms(directory: Path) -> float:
    directory.mkdir(parents=True, exist_ok=True)
    took: list[float] = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[len(took) // 2]


def pressure_us() -> int:
    """Return for how many microseconds some task has waited for a processor; 0 where the kernel does not tell."""
    try:
        return int(Path("/proc/pressure/cpu").read_text().split("total=")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return 0
