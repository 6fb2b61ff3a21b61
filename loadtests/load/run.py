"""One run from the first row to the verdict's evidence: prepare, start what is not running, load, drain, check."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from api.db.queries import load
from api.embedded.postgres import Progress
from loadtests.bench.ground import lend
from loadtests.load import (
    casting,
    courses,
    faults,
    gather,
    generating,
    history,
    seeding,
    stages,
    statements,
    storm,
    tls,
    waiting,
)
from loadtests.load.checking import LookedBack, Tap, look_back
from loadtests.load.dataset import QUICK, WHOLE, Dataset
from loadtests.load.machine import Machine, measure
from loadtests.load.mischief import Scene
from loadtests.load.model import BY_NAME, NOT_SIMULATED, OPERATIONS, PERSONAS, PROFILES, Authority, Phones, told
from loadtests.load.plan import Plan
from loadtests.load.sampling import Sample, sampling
from loadtests.load.shapes import RAMP_S, SHAPES, SIGNATORIES, Shape, duration_s, peak_of
from loadtests.load.site import ROOT, Place, site
from loadtests.load.verdict import Evidence, Latency
from loadtests.processes import threads_of

VAR: Final = Path(os.environ.get("MOTCUA_VAR") or ROOT / "var").absolute() / "load"
_BENCH: Final = load("loadtests.bench", "seed.sql")
PRODUCT_CORE, GENERATOR_CORE = 0, 1
RATE: Final = 1_000.0
"""Requests a second that are due in an open shape."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run."""

    shape: str
    users: int
    workers: int
    minutes: float
    quick: bool = False
    host: str = ""
    web_port: int = 0
    seed: int = 2025
    held: bool = False
    """Pinned, whatever the shape says: what capacity is read off."""
    history: Path = history.HISTORY

    @property
    def pinned(self) -> bool:
        return self.held or self.course.pinned

    rate: float = RATE
    named: tuple[str, ...] = ()
    """Names of faults that happen; in a shape of faults none named means all."""

    @property
    def mischief(self) -> tuple[faults.Fault, ...]:
        return faults.chosen(self.named, everything=self.course.faults)

    @property
    def how(self) -> dict[str, Any]:
        """What the product is to be put up with."""
        return {"mischief": bool(self.mischief), **({"window_s": 20} if self.quick else {})}

    @property
    def course(self) -> Shape:
        return SHAPES[self.shape]

    @property
    def dataset(self) -> Dataset:
        return QUICK if self.quick else WHOLE

    @property
    def ramp_s(self) -> float:
        return 4.0 if self.quick else RAMP_S

    @property
    def haste(self) -> float:
        """In a trial everybody thinks twenty times as fast, so that every operation is met."""
        return 20.0 if self.quick else 1.0

    @property
    def phones(self) -> Phones:
        return Phones(delay_s=(0.5, 3.0)) if self.quick else Phones()


@contextlib.asynccontextmanager
async def product(order: Order, root: Path, say: Progress) -> AsyncIterator[Place]:
    """Lend a product on the data set: the one that `motcua load serve` keeps running, or one of this run's own."""
    if order.host:
        place = msgspec.json.decode((root / "run" / "place.json").read_bytes(), type=Place)
        yield msgspec.structs.replace(place, url=order.host.rstrip("/"))
        return
    name = seeding.name_of(order.dataset)
    kept = root / name

    async def seed(cluster, database: str) -> None:  # noqa: ANN001 - as `lend` calls it
        await seeding.seed(cluster, database, order.dataset, kept, say)

    async with lend(root, name, seed, say, preload=statements.LIBRARY) as (cluster, database):
        room = Path(tempfile.mkdtemp(prefix="motcua-load-", dir=root))
        keeping = asyncio.create_task(cluster.keep(say))
        try:
            shutil.copytree(kept / "blobs", room / "blobs", copy_function=os.link)  # stored files are never written to
            shutil.copytree(kept / "checkpoints", room / "checkpoints")
            async with site(cluster, database, room, kept / "pki", say, **order.how) as one:
                yield one.place
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            shutil.rmtree(room, ignore_errors=True)


async def load_once(order: Order, root: Path, say: Progress) -> Evidence:
    """Run once; return what is known of it."""
    machine, begun = await asyncio.to_thread(measure, root), commit()
    async with product(order, root, say) as place:
        async with owning(place) as owner:
            loaded = await load(order, root, place, owner, say)
        cost = await tls.cost(place, root / "run", rounds_s=0.5 if order.quick else 5.0)
        async with owning(place) as owner:
            found = await look_back(
                place, owner, loaded.since, loaded.written, loaded.counted, say, jumped_s=_jumped(loaded)
            )
            durability = {row["name"]: row["setting"] for row in await owner.fetch(_BENCH.durability)}
    return msgspec.structs.replace(evidence_of(order, machine, loaded, found, durability), tls_cost=cost, commit=begun)


@contextlib.asynccontextmanager
async def owning(place: Place) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection of the owner's; one that PostgreSQL has ended meanwhile is no error."""
    owner = await asyncpg.connect(place.dsn)
    try:
        yield owner
    finally:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await owner.close()


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A load that has ended: since when rows are its own, what was written down, and what was seen beside it."""

    since: datetime
    written: gather.Written
    samples: list[Sample]
    began: float
    ended: float
    counted: stages.Counted
    """What the signer had counted of each stage before."""
    happened: tuple[faults.Happened, ...] = ()
    desks: storm.Desks | None = None
    cleared: tuple[int, int] = (0, 0)
    """Of the results on the desks of a storm: sealed, and refused."""
    heavy: tuple[statements.Heavy, ...] = ()


async def load(order: Order, root: Path, place: Place, owner: asyncpg.Connection, say: Progress) -> Loaded:
    """Put the load on a product, and wait until what it asked for has come to an end."""
    out = fresh(root / "run" / "out")
    await place.behave(crowd={**msgspec.to_builtins(order.phones), "seed": order.seed})
    await place.stamp(delay_s=Authority().delay_s)
    plan = await make_plan(order, place, owner, out)
    desks = await _desks(order, plan, owner)
    pin(order, place)
    counted = await stages.counted(place)
    await statements.begin(owner)
    since, began = datetime.now(UTC), time.time()
    happening: asyncio.Task[list[faults.Happened]] | None = None
    async with sampling(place, out) as samples:
        if order.mischief:
            what = faults.happen(Scene(place, out), order.mischief, order.minutes * 60, order.ramp_s)
            happening = asyncio.create_task(what)
        whole_s = duration_s(order.course, order.minutes, order.ramp_s)
        telling = asyncio.create_task(waiting.tell(whole_s / 60, samples, say))
        try:
            await _generate(order, write_plan(root, plan), out, say)
        finally:
            telling.cancel()
    happened = await happening if happening is not None else []
    ended, heavy = time.time(), await statements.heaviest(owner)
    async with owning(place) as anew:
        left = await waiting.drain(anew, plan, say)
    say(f"Tải đã dừng; còn mở {left} lượt ký", f"The load has ended; {left} tickets are open")
    written = gather.read(out)
    first = min((level.at - 1.0 for level in written.levels), default=began)  # each tells its first second
    cleared = (0, 0)
    if desks is not None:
        cleared = await storm.ended(owner, desks)
        await storm.lift(owner, desks)
    return Loaded(
        since=since, written=written, samples=samples, began=first, ended=ended, happened=tuple(happened),
        counted=counted, desks=desks, cleared=cleared, heavy=heavy,
    )  # fmt: skip


async def _desks(order: Order, plan: Plan, owner: asyncpg.Connection) -> storm.Desks | None:
    """Measure out what lies on the desks of a storm; elsewhere everything stays as it is."""
    if not order.course.desks:
        return None
    measured = storm.rate(history.read(order.history), os.cpu_count() or 1)
    logins = [seat.login for persona in SIGNATORIES for seat in plan.seats[persona]]
    return await storm.lay(owner, logins, order.minutes, order.dataset.to_sign, measured)


def fresh(path: Path) -> Path:
    """Return an empty directory."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


async def make_plan(order: Order, place: Place, owner: asyncpg.Connection, out: Path) -> Plan:
    """Return this run's plan, with a session for everybody in it."""
    plan = await casting.plan_of(
        owner, order.dataset, url=place.url, shape=order.shape, users=order.users, minutes=order.minutes,
        ramp_s=order.ramp_s, haste=order.haste, workers=order.workers, seed=order.seed, out=str(out),
        largest_file=200_000 if order.quick else 30_000_000,
    )  # fmt: skip
    opened = order.course.open
    return msgspec.structs.replace(
        plan, keys=place.keys, rate=order.rate if opened else 0.0, idle=order.users if opened else 0
    )


def write_plan(root: Path, plan: Plan) -> Path:
    """Write the plan where Locust finds it; it holds sessions, so nobody else reads it."""
    path = root / "run" / "plan.json"
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.encode(plan))
    return path


def pin(order: Order, place: Place) -> None:
    """Hold the product with PostgreSQL to its processor, where the shape wants that; what they start inherits it."""
    if order.pinned:
        for thread in threads_of(pid for pids in place.processes().values() for pid in pids):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, {PRODUCT_CORE})


async def _generate(order: Order, plan: Path, out: Path, say: Progress) -> None:
    seconds = duration_s(order.course, order.minutes, order.ramp_s)
    vi, en = (f"{order.rate:g} yêu cầu/giây, {order.users} kết nối", f"{order.rate:g} requests/s, {order.users} lines")
    if not order.course.open:
        vi, en = f"{order.users} người dùng", f"{order.users} users"
    vi, en = f"{vi}, {order.workers} tiến trình sinh tải", f"{en}, {order.workers} generator processes"
    say(f"{vi}, {seconds / 60:.1f} phút", f"{en}, {seconds / 60:.1f} minutes")
    held = ["taskset", "-c", str(GENERATOR_CORE)] if order.pinned else []
    if order.course.open:
        commands = generating.opened(order.workers)
    else:
        commands = generating.closed(order.workers, order.web_port, held)
    await generating.generate(commands, plan, out, seconds)


def _jumped(loaded: Loaded) -> float:
    """Return by how much the API's clock was put back in this load, in seconds."""
    return float(faults.JUMP_S) if any(one.name == faults.JUMP and one.began for one in loaded.happened) else 0.0


def evidence_of(
    order: Order, machine: Machine, loaded: Loaded, found: LookedBack, durability: dict[str, str]
) -> Evidence:
    """Put together what is known of a run; of a trial or a break all of it is looked at, otherwise the peak."""
    began, written, samples = loaded.began, loaded.written, loaded.samples
    peak = peak_of(order.course, order.minutes, order.ramp_s)
    within = (began + peak[0], min(began + peak[1], loaded.ended))
    if order.quick or order.course.breaks:
        within = (began, loaded.ended)
    inside = [sample for sample in samples if within[0] <= sample.at <= within[1]]
    looked = inside if len(inside) > 1 else samples
    stalls = gather.Stalls(samples)
    asked = [one for one in written.asked if within[0] <= one.at <= within[1]]
    rows = gather.latencies(asked, stalls)
    those = [BY_NAME[name] for name in order.course.only] or PERSONAS
    return Evidence(
        shape=order.shape,
        commit=commit(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        users=order.users,
        minutes=order.minutes,
        quick=order.quick,
        breaks=order.course.breaks,
        pinned=f"product on core {PRODUCT_CORE}, generators on {GENERATOR_CORE}" if order.pinned else "",
        expected=tuple(sorted({op for persona in those for op in persona.asks} | set(order.course.expects))),
        standing=gather.standing(written, samples, within),
        latencies=(*rows, *_tap_row(found.taps, stalls)),
        generators=gather.generators(written.healths),
        resources=gather.resources(looked),
        checked=found.checked,
        kept=found.kept,
        drifts=(
            *(one for one in found.drifts if not order.quick or one.what != stages.AS_SEEN),
            gather.server_drift(written.asked, samples),
        ),
        longest_wait_s=max((tap.took_s for tap in found.taps), default=0.0),
        durability=durability,
        machine=machine,
        model=(*told(), generating.told()),
        not_simulated=dict(NOT_SIMULATED),
        series=gather.series(written, samples, began),
        statements=loaded.heavy,
        promises=_promises(order, loaded, found.taps, within),
        profiles=PROFILES,
        faults=tuple(one.name for one in loaded.happened if one.began),
        rate=order.rate if order.course.open else 0.0,
    )


def _promises(
    order: Order, loaded: Loaded, taps: Sequence[Tap], peak: tuple[float, float]
) -> tuple[tuple[str, str], ...]:
    """Return what the shape's own promise amounts to, and what became of each fault."""
    asked, looks = loaded.written.asked, loaded.samples
    users = [(level.at - loaded.began, float(level.users)) for level in gather.together(loaded.written.levels)]
    course = (loaded.began, loaded.ended)
    found = courses.findings(order.shape, asked, users, course, peak, gather.growth(looks), gather.slopes(looks))
    if order.course.desks:
        found += courses.fairness([(tap.at, tap.recorded, tap.items) for tap in taps])
    if loaded.desks is not None:
        rate = gather.standing(loaded.written, looks, peak).best_signatures_per_s
        found += storm.findings(loaded.desks, loaded.cleared, rate)
    found += faults.judge(loaded.happened, asked, lambda op: OPERATIONS[op].p95_ms)
    if order.course.open:
        found += gather.arrivals(loaded.written, order.users, order.rate, peak)
    return tuple(found)


def _tap_row(taps: Sequence[Tap], stalls: gather.Stalls) -> tuple[Latency, ...]:
    times = sorted(tap.took_s * 1000 for tap in taps)
    if not times:
        return ()
    late = sorted(taps, key=lambda tap: tap.took_s)[int(len(taps) * 0.95) :]
    return (
        Latency(
            op="signed after the tap",
            count=len(times),
            errors=0,
            p50_ms=gather.part(times, 0.5),
            p95_ms=gather.part(times, 0.95),
            p99_ms=gather.part(times, 0.99),
            stall=sum(stalls.at(tap.recorded) for tap in late) / len(late),
        ),
    )


def commit() -> str:
    """Return the commit that is run; marked where the tree has changes."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
