"""Whose turn it is on a processor: how a process stands back, so that whoever wakes beside it waits for nothing.

A nice value says how much of a processor somebody gets, not when. Since EEVDF (Linux 6.6) whoever runs keeps the
processor to the end of its slice, 1.4 ms on two of them, however nice it is: a burst of 1 ms is waited out by all.
Since Linux 6.12 a process may ask for a slice of its own; a short one is all that anybody waits.
"""

import ctypes
import os
import platform
import struct
from typing import Final

NICENESS: Final = 10
"""Where all of a processor is wanted a tenth of it is left, so that a lock is never held for long. (SCHED_IDLE, which
leaves nothing, made everybody's p95 a quarter longer.)"""
SLICE_NS: Final = 100_000
"""Nanoseconds: the least that the kernel grants."""
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""The system call's numbers: Debian 12's C library does not have it yet."""
_ATTR: Final = struct.Struct("=IIQiIQQQ")
"""`struct sched_attr`, sched_setattr(2): size, policy (0: SCHED_OTHER), flags, nice, priority, slice, two of others."""


def stand_back(pid: int = 0) -> None:
    """Let a process, by default this one, go after whoever wakes; a kernel without slices leaves it at the nice value.

    Raises:
        OSError: there is no such process, or it is somebody else's.
    """
    os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    if (number := _SCHED_SETATTR.get(platform.machine())) is not None:
        wanted = _ATTR.pack(_ATTR.size, 0, 0, NICENESS, 0, SLICE_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, pid, wanted, 0)
