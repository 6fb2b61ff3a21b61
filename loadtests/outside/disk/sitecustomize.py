"""A disk that is slow or full by order: Python finds this at its start where PYTHONPATH names its directory.

Every `os.fsync` of the process reads its orders first, from the file that MOTCUA_LOAD_DISK names: `slow SECONDS`,
`full`, or nothing. Only what the operating system answers is changed, as a disk changes it; a full disk may well say
so no sooner, since file systems allocate late.
"""

import errno
import os
import select
from pathlib import Path

_ORDERS = os.environ.get("MOTCUA_LOAD_DISK", "")
_really = os.fsync


def _fsync(descriptor: int) -> None:
    try:
        order, _, value = Path(_ORDERS).read_text(encoding="ascii").partition(" ")
    except OSError:
        order, value = "", ""
    if order == "slow":
        select.select([], [], [], float(value))  # `time.sleep` fails where libfaketime is loaded beside
    if order == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _really(descriptor)


if _ORDERS:
    os.fsync = _fsync
