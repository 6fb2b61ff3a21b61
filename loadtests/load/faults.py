"""The faults of the shape `faults`: each with a start, a stop, a cool-down, and an effect that is said before it.

Times are parts of the hold, so that a short trial meets all of them. What is not here is told in NOT_YET.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from loadtests.load.courses import between, p95
from loadtests.load.notes import Asked
from loadtests.load.site import Place

Act = Callable[[Place], Awaitable[None]]
NOT_YET: Final = (
    "TSA 2-131 s", "HSM", "PostgreSQL restart", "object store slow", "disk full", "fsync 200 ms", "clock jump of 90 s",
    "certificate revoked in mid-storm", "forgotten open transaction", "all streams cut for 30 s", "a ward cut off",
)  # fmt: skip
READS: Final = ("track", "work list", "dossier", "to-sign list", "read PDF")


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault."""

    name: str
    expected: str
    start: Act
    stop: Act
    unaffected: tuple[str, ...] = READS
    """Operations that must keep to their thresholds while it lasts."""


class Happened(msgspec.Struct, frozen=True):
    """When a fault was there, in seconds since the epoch; its cool-down ended at `cooled`."""

    name: str
    expected: str
    began: float
    ended: float
    cooled: float
    unaffected: tuple[str, ...]


async def _down(place: Place) -> None:
    await place.behave(down=True)


async def _slow(place: Place) -> None:
    await place.behave(answer_delay_s=5.0)


async def _well(place: Place) -> None:
    await place.behave(down=False, answer_delay_s=0.0)


def _kill(process: str) -> Act:
    async def kill(place: Place) -> None:
        for pid in place.processes().get(process, [])[:1]:
            os.kill(pid, signal.SIGKILL)

    return kill


async def _nothing(_: Place) -> None:
    """The supervisor starts what was killed."""


FAULTS: Final = (
    Fault(
        name="remote signer silent", start=_down, stop=_well,
        expected="tickets wait and go on by themselves; nobody else feels it",
    ),
    Fault(
        name="remote signer slow", start=_slow, stop=_well,
        expected="signatures come later by what it takes; nobody else feels it",
    ),
    Fault(
        name="signer killed", start=_kill("signer"), stop=_nothing,
        expected="tickets stand still until it is back; nothing is signed twice or lost",
    ),
    Fault(
        name="worker killed", start=_kill("worker"), stop=_nothing,
        expected="files stay `checking` until it is back; nobody else feels it",
    ),
)  # fmt: skip


async def happen(place: Place, hold_s: float, ramp_s: float) -> list[Happened]:
    """Let the faults happen one after the other within the hold: a third of each part each, then it cools down."""
    await asyncio.sleep(ramp_s)
    part = hold_s / len(FAULTS)
    found: list[Happened] = []
    for fault in FAULTS:
        await asyncio.sleep(part / 3)
        began = time.time()
        await fault.start(place)
        try:
            await asyncio.sleep(part / 3)
        finally:
            await fault.stop(place)
        ended = time.time()
        await asyncio.sleep(part / 3)
        told = (fault.name, fault.expected, began, ended, time.time(), fault.unaffected)
        found.append(Happened(*told))
    return found


def judge(
    happened: Sequence[Happened], asked: Sequence[Asked], most_ms: Callable[[str], float]
) -> list[tuple[str, str]]:
    """Hold each fault's effect against what was said of it, as (FAIL or NOTE, text). Pure."""
    found: list[tuple[str, str]] = []
    for fault in happened:
        during = between(asked, fault.began, fault.ended)
        felt = {
            op: took for op in fault.unaffected if (took := p95(one for one in during if one.op == op)) > most_ms(op)
        }
        failed = sum(one.op in fault.unaffected and not 200 <= one.status < 400 for one in during)
        found.append(("NOTE", f"{fault.name}, {fault.ended - fault.began:.0f} s: {fault.expected}"))
        found += [("FAIL", f"{fault.name}: {op} p95 {took:.0f} ms while it lasted") for op, took in felt.items()]
        if failed:
            found.append(("FAIL", f"{fault.name}: {failed} answers of those that were to be unaffected failed"))
    return found
