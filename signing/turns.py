"""Whose turn it is on a processor: how work that takes long lets pass whoever wakes beside it.

A nice value says how much of a processor somebody gets, not when. Since EEVDF (Linux 6.6) whoever runs is left alone
for its slice, 1.4 ms on two processors: who wakes waits for the end of a burst that is shorter, however nice it is.
Since Linux 6.12 a process may ask for a slice of its own, and who wakes with a shorter one goes first. A long slice
so gives way at once, and takes nothing away from anybody's share (95 of 100 waits beside bursts of 1 ms, measured on
6.18: 0.83 ms; 0.82 ms with a slice of 0.1 ms, 0.07 ms with one of 10 or 100 ms, with nice 10 and without; beside
bursts of 10 ms with short pauses, as PDFs are signed, 3.0 and 0.09 ms).
"""

import ctypes
import os
import platform
import struct
from typing import Final

NICENESS: Final = 10
"""Where all of a processor is wanted a tenth of it is left, so that a lock is never held for long. (SCHED_IDLE, which
leaves nothing, made everybody's p95 a quarter longer.)"""
BEHIND: Final = 5
"""The nice value of work that somebody waits for, but by the second: a quarter of a processor that others want, too."""
SLICE_NS: Final = 100_000_000
"""Nanoseconds: the most that the kernel grants."""
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""The system call's numbers: Debian 12's C library does not have it yet."""
_ATTR: Final = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`, sched_setattr(2): size, policy (0: SCHED_OTHER), flags, nice, priority, slice, two of others."""


def stand_back(pid: int = 0, *, niceness: int = NICENESS) -> None:
    """Let a process, by default this one, let pass whoever wakes; a kernel without slices knows the nice value alone.

    Raises:
        OSError: there is no such process, or it is somebody else's.
    """
    niceness = max(niceness, os.getpriority(os.PRIO_PROCESS, pid))  # who was started as a nicer one stays it
    os.setpriority(os.PRIO_PROCESS, pid, niceness)
    if (number := _SCHED_SETATTR.get(platform.machine())) is not None:
        ctypes.CDLL(None).syscall(number, pid, _ATTR.pack(_ATTR.size, 0, 0, niceness, 0, SLICE_NS, 0, 0), 0)
