"""Planned crashes for the fault tests: a named point at which the process kills itself once.

Nothing is armed unless MOTCUA_FAILPOINTS says `name=FILE`: the file is removed as the point is reached, so that the
process that follows goes on. A production start refuses the variable.
"""

import os
import signal
from pathlib import Path
from typing import Final

POINTS: Final = (
    "asked",
    "prepared-in-memory",
    "prepared",
    "key-use",
    "started",
    "value",
    "value-received",
    "embedded",
    "stored",
    "recorded",
)
"""The boundaries between two phases of a signature, in order; each stands once in `api.signatures.engine`."""

AUDIT_POINTS: Final = ("audit-chained", "audit-sealed", "audit-copied")
"""The boundaries of the audit's sealer: links written, checkpoint committed, its copy on disk."""

ROTATION_POINTS: Final = ("keys-page",)
"""Between two pages of sealed rows that are put under another key."""


def _armed() -> tuple[str, Path] | None:
    name, _, token = os.environ.get("MOTCUA_FAILPOINTS", "").partition("=")
    return (name, Path(token)) if name in (*POINTS, *AUDIT_POINTS, *ROTATION_POINTS) and token else None


_point: Final = _armed()


def reach(name: str) -> None:
    """Die here, as by a power cut, if this point is armed and its token is still there."""
    if _point is None or _point[0] != name:
        return
    try:
        _point[1].unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
