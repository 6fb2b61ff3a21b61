"""Planned crashes for the fault tests: named points at which a process dies or stands still, once per order.

Nothing is armed unless MOTCUA_FAILPOINTS names a directory. There a file `POINT`, or `POINT.SUBJECT` for one piece of
work, orders what happens: `hold` keeps that work standing until the file is gone, anything else ends the process as a
power cut would. An order counts once: as its point is reached it is renamed to `….reached`. A production start refuses
the variable.
"""

import asyncio
import os
import signal
from pathlib import Path
from typing import Final
from uuid import UUID

POINTS: Final = (
    "committed",
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
    "settled",
)
"""The boundaries of a write and of a signature, in order; each stands once in the code.

`committed` lies in the API between any write's commit and its answer (subject: the idempotency key), `settled` between
the end of any job and the queue's word of it (the job's key); the others are the signer's (the ticket).
"""

AUDIT_POINTS: Final = ("audit-chained", "audit-sealed", "audit-copied")
"""The boundaries of the audit's sealer: links written, checkpoint committed, its copy on disk."""

ROTATION_POINTS: Final = ("keys-page",)
"""Between two pages of sealed rows that are put under another key."""

_LOOK_S: Final = 0.02


def _orders() -> Path | None:
    told = os.environ.get("MOTCUA_FAILPOINTS", "")
    return Path(told) if told else None


_armed: Final = _orders()


async def reach(name: str, subject: UUID | str) -> None:
    """Die or stand here, if there is an order for this point or for this point and subject."""
    if _armed is None:
        return
    for order in (name, f"{name}.{subject}"):
        held = _obey(_armed / order)
        while held is not None and held.exists():  # noqa: ASYNC110 - a test in another process lets it go
            await asyncio.sleep(_LOOK_S)


def _obey(order: Path) -> Path | None:
    """Take an order and die by it, or return the file that keeps the work standing; None where nothing is ordered."""
    reached = order.with_name(f"{order.name}.reached")
    try:
        order.rename(reached)
    except FileNotFoundError:
        return None
    if reached.read_text(encoding="utf-8") != "hold":
        os.kill(os.getpid(), signal.SIGKILL)
    return reached
