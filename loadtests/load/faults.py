"""The faults: each with a start, a stop, a cool-down, and an effect that is said before it and judged after it.

In the whole shape each lasts 30 s, after 30 s of rest and before 60 s of cool-down; a short trial has parts of that.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from loadtests.load import mischief as by
from loadtests.load.courses import between, p95
from loadtests.load.mischief import CannotError
from loadtests.load.notes import Asked
from loadtests.load.site import Place

JUMP, JUMP_S = "clock jumps by 90 s", by.JUMP_S
READS: Final = ("track", "work list", "dossier", "to-sign list", "read PDF")
ALL: Final = (*READS, "submit online", "receive", "hand over", "sign these", "seal these")
STEPS: Final = (*READS, "submit online", "receive", "hand over")
CITIZENS: Final = ("track", "submit online")
QUIET: Final[dict[str, object]] = {"delay_s": (0.02, 0.05)}
"""How the timestamping authority behaves between faults: quick, so that what is late is the fault's."""
REST, LASTS, COOLS = 0.25, 0.25, 0.5
"""Parts of each fault's share of the hold."""


def _possible(_: Place) -> str:
    return ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault."""

    name: str
    expected: str
    start: by.Act
    stop: by.Act
    unaffected: tuple[str, ...] = READS
    """Operations that must keep to their thresholds while it lasts, or once it must be over."""
    over_s: float | None = None
    """It leaves nothing unaffected, and must be over so many seconds after its start."""
    looks: by.Look | None = None
    """What the rows must say after the cool-down."""
    impossible: Callable[[Place], str] = _possible
    """Why it cannot be made on this machine; nothing where it can."""


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """When a fault was there, in seconds since the epoch; its cool-down ended at `cooled`."""

    name: str
    expected: str
    rested: float = 0.0
    """Since when nothing had happened before it."""
    began: float = 0.0
    ended: float = 0.0
    cooled: float = 0.0
    unaffected: tuple[str, ...] = ()
    over_s: float | None = None
    wrong: str = ""
    """What the rows said that they should not."""
    told: str = ""
    left_out: str = ""
    """Why it did not happen."""


FAULTS: Final = (
    Fault(
        name="remote signer silent", start=by.remote_signer(down=True), stop=by.remote_signer(down=False),
        expected="tickets wait and go on by themselves; nobody else feels it", unaffected=ALL,
    ),
    Fault(
        name="remote signer slow",
        start=by.remote_signer(answer_delay_s=5.0), stop=by.remote_signer(answer_delay_s=0.0),
        expected="signatures come later by what it takes; nobody else feels it", unaffected=ALL,
    ),
    Fault(
        name="signer killed", start=by.kill("signer"), stop=by.nothing,
        expected="tickets stand still until it is back; nothing is signed twice or lost", unaffected=ALL,
    ),
    Fault(
        name="worker killed", start=by.kill("worker"), stop=by.nothing,
        expected="files stay `checking` until it is back; nobody else feels it", unaffected=ALL,
    ),
    Fault(
        name="timestamps take 2 to 131 s", start=by.authority(delay_s=(2.0, 131.0)), stop=by.authority(**QUIET),
        expected="documents are sealed and released as before and owe their level for longer", unaffected=ALL,
        looks=by.levels_paid,
    ),
    Fault(
        name="HSM gone", start=by.take_hsm, stop=by.bring_hsm, impossible=by.has_hsm, unaffected=STEPS,
        expected="asks for seals are taken and wait, are answered at once, and go on once it is back",
    ),
    Fault(
        name="document store slow", start=by.disk(f"slow {by.SLOW_STORE_S:g}"), stop=by.disk(""),
        impossible=by.has_disk, unaffected=(*READS, "hand over"),
        expected="every stored file takes 2 s longer, per fsync; whoever stores none does not feel it",
    ),
    Fault(
        name="document store full", start=by.disk("full"), stop=by.disk(""), impossible=by.has_disk, unaffected=STEPS,
        expected="files are refused with 503 or put off, none is half stored; whoever stores none does not feel it",
    ),
    Fault(
        name="fsync takes 200 ms", start=by.strace(("postgres",), "fsync,fdatasync", f"delay_enter={by.SLOW_FSYNC_US}"),
        stop=by.release, impossible=by.can_strace,
        expected="every commit takes 200 ms longer; reads do not feel it, and no pool runs dry",
    ),
    Fault(
        name=JUMP, start=by.clock(by.JUMP_S), stop=by.clock(0), impossible=by.has_clock,
        expected="the API's clock is ahead, and back: one-time codes may be refused meanwhile, all else goes on",
        unaffected=STEPS,
    ),
    Fault(
        name="certificate revoked", start=by.revoke, stop=by.nothing, looks=by.none_by_the_revoked,
        expected="no key is used with it from 2 s after; what waits for it fails with its reason, others sign on",
        unaffected=ALL,
    ),
    Fault(
        name="forgotten transaction", start=by.forget_a_transaction, stop=by.nothing, looks=by.ended_by_itself,
        expected="one centre's new dossiers are refused until the server ends it after 60 s; others feel nothing",
    ),
    Fault(
        name="all streams cut", start=by.cut(streams=True), stop=by.reconnect,
        expected="for 30 s nobody sees a ticket move; all come back together, and miss nothing", unaffected=ALL,
    ),
    Fault(
        name="a ward cut off", start=by.cut(ward=True), stop=by.reconnect,
        expected="the ward cannot work until it is back; no other ward feels it", unaffected=ALL,
    ),
    Fault(
        name="PostgreSQL killed", start=by.kill("postgres"), stop=by.nothing, over_s=30.0, unaffected=STEPS,
        expected="everything is refused with 503 until it is back within 30 s; nothing acknowledged is lost",
    ),
)  # fmt: skip


def chosen(names: Sequence[str], *, everything: bool) -> tuple[Fault, ...]:
    """Return the faults of these names, or all.

    Raises:
        ValueError: there is none of such a name.
    """
    unknown = set(names) - {one.name for one in FAULTS}
    if unknown:
        raise ValueError(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(f.name for f in FAULTS)}")
    return tuple(one for one in FAULTS if one.name in names or (everything and not names))


async def happen(scene: by.Scene, faults: Sequence[Fault], hold_s: float, wait_s: float) -> list[Happened]:
    """Let the faults happen one after the other within the hold."""
    await scene.place.stamp(**QUIET)
    await asyncio.sleep(wait_s)
    part = hold_s / max(len(faults), 1)
    return [await _one(scene, fault, part) for fault in faults]


async def _one(scene: by.Scene, fault: Fault, part: float) -> Happened:
    if why := fault.impossible(scene.place):
        return Happened(name=fault.name, expected=fault.expected, left_out=why)
    rested = time.time()
    await asyncio.sleep(part * REST)
    scene.kept.clear()
    began = time.time()
    try:
        await fault.start(scene)
        await asyncio.sleep(part * LASTS)
    except CannotError as error:
        return Happened(name=fault.name, expected=fault.expected, left_out=str(error))
    finally:
        await fault.stop(scene)
    ended = time.time()
    await asyncio.sleep(part * COOLS)
    wrong = await fault.looks(scene) if fault.looks else ""
    return Happened(
        name=fault.name, expected=fault.expected, rested=rested, began=began, ended=ended, cooled=time.time(),
        unaffected=fault.unaffected, over_s=fault.over_s, wrong=wrong, told=scene.kept.get("told", ""),
    )  # fmt: skip


def judge(
    happened: Sequence[Happened], asked: Sequence[Asked], most_ms: Callable[[str], float]
) -> list[tuple[str, str]]:
    """Hold each fault's effect against what was said of it, as (FAIL or NOTE, text). Pure."""
    found: list[tuple[str, str]] = []
    for fault in happened:
        left_out = [("NOTE", f"{fault.name}: left out, {fault.left_out}")]
        found += left_out if fault.left_out else _judge(fault, asked, most_ms)
    return found


def _judge(fault: Happened, asked: Sequence[Asked], most_ms: Callable[[str], float]) -> list[tuple[str, str]]:
    found = [("NOTE", f"{fault.name}, {fault.ended - fault.began:.0f} s: {fault.expected}")]
    stretch, when = (fault.began, fault.ended), "while it lasted"
    if fault.over_s is not None:
        stretch, when = (fault.began + fault.over_s, fault.cooled), f"{fault.over_s:.0f} s after it began"
        if fault.cooled <= stretch[0]:
            return [*found, ("NOTE", f"{fault.name}: the trial was too short to say whether it was over in time")]
    rested = between(asked, fault.rested, fault.began)
    those = [one for one in between(asked, *stretch) if one.op in fault.unaffected]
    if not those:
        found.append(("FAIL", f"{fault.name}: nobody asked {when}, so nothing is known"))
    for op in fault.unaffected:
        took = p95(one for one in those if one.op == op)
        if took > most_ms(op):
            before = p95(one for one in rested if one.op == op)
            found.append(("FAIL", f"{fault.name}: {op} p95 {took:.0f} ms {when}; {before:.0f} ms before it"))
    failed = sum(not 200 <= one.status < 400 for one in those)
    if failed:
        found.append(("FAIL", f"{fault.name}: {failed} answers of those that were to be unaffected failed {when}"))
    if fault.wrong:
        found.append(("FAIL", f"{fault.name}: {fault.wrong}"))
    if fault.told:
        found.append(("NOTE", f"{fault.name}: {fault.told}"))
    return found
