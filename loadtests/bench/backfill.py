"""`motcua bench backfill`: does anybody wait longer because a million old rows are being rewritten?

One API worker serves a steady load of reads and writes at a told share of what it can do. Meanwhile the rewrite of
`dossier`, the table that all of them read and write, is held and let on in turns until no row is left. A round is one
stretch of each, in changing order, so that other work on the machine and the growth of the tables meet both alike.
What counts is p95 beside the rewrite as times of p95 without it, of each kind of request. The rewrite begins right
after a checkpoint, when each page that it touches goes whole into the log: later it is cheaper.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from loadtests.bench.backfill_report import Found, Kind, Pressure, Report, Stretch, found, part, text
from loadtests.bench.contenders import OTHER_CORE, OURS, ROOT, Contender, contenders, pin, pin_database
from loadtests.bench.drive import drive
from loadtests.bench.ground import Ground, ground
from loadtests.bench.paced import Traffic, exact_loop, traffic
from loadtests.bench.rewriting import q
from loadtests.bench.scenarios import Scenario, scenarios

SHARE: Final = 0.3
"""Of what the worker does flat out, in a whole run. Towards the knee p95 tells how long the queue is, and not what
lengthens it; a province's office by day is far below it."""
IN_FLIGHT: Final = 16
GUARD_S: Final = 0.5
"""After each change, not measured: what was begun before is answered, and the log is flushed."""
TELL_RATIOS_EVERY: Final = 10
"""Rounds. What they are is counted right after a change, while nothing is measured."""
ALONE: Final = 6
"""Stretches measured before the first row is rewritten."""
_CODE: Final = re.compile(rb'"code":"([^"]+)"')
SEED: Final = 20260701
"""Of the moments at which requests are sent: the same in every run."""

GoOn = Callable[[float], Awaitable[Stretch]]


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    dossiers: int
    held_s: float
    at_work_s: float
    probe_s: float
    share: float
    most_s: float
    """After so many seconds it stops, whatever is left; such a run is void."""


WHOLE: Final = Size(dossiers=1_000_000, held_s=4.0, at_work_s=16.0, probe_s=2.0, share=SHARE, most_s=5400.0)
QUICK: Final = Size(dossiers=5_000, held_s=0.2, at_work_s=0.5, probe_s=0.1, share=0.03, most_s=150.0)


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A measured piece of time, by the clock of the answers."""

    at_work: bool
    begin: float
    end: float


async def measure(size: Size, root: Path, say: Callable[[str, str], None]) -> Report:
    """Seed, start the worker, find its most, load it with a share of that, and rewrite everything meanwhile.

    Raises:
        RuntimeError: a request failed, or the worker does not answer.
    """
    async with contextlib.AsyncExitStack() as stack:
        earth = await stack.enter_async_context(ground(root, size.dossiers, say))
        pin_database(earth)
        room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motcua-bench-")))
        worker = (await stack.enter_async_context(contenders(earth, room, OURS)))["motcua"]
        pin(OTHER_CORE)
        filed: deque[str] = deque()
        kinds = await scenarios(earth, per_kind=size.dossiers // 31, filed=filed)
        sources = {kind.name: _endless(kind) for kind in kinds}
        await earth.owner.execute(q.add_column)
        most = await _most(worker, sources, size)
        per_s = size.share / sum(1 / rate for rate in most.values())
        say(
            f"Mỗi loại {per_s:.0f} yêu cầu/giây, {size.share:.0%} sức của tiến trình",
            f"{per_s:.0f} requests/s of each kind, {size.share:.0%} of what the worker can do",
        )
        go_on = await stack.enter_async_context(_rewriting(earth))
        began, pressed = (worker.cpu_s(), time.process_time(), time.perf_counter()), await _pressure(earth)
        async with traffic(worker.port, sources, per_s, SEED, partial(_hear, filed)) as seen:
            await asyncio.sleep(2 * GUARD_S)
            alone = await _held(size.held_s * ALONE)
            kept = Measured(kinds, per_s, most, seen, alone)

            def tell(number: int, rows: int) -> None:
                ratios = ""
                if number and number % TELL_RATIOS_EVERY == 0:
                    ratios = "; p95 " + ", ".join(f"{one.name} {one.ratio:.2f}" for one in kept.found())
                words = (f"Viết lại {rows:,} dòng, vòng", f"{rows:,} rows rewritten, round")
                say(*(f"{word} {number}{ratios}" for word in words))

            rounds, stretches = await _rounds(go_on, size, kept.add, tell)
            whole_s = time.perf_counter() - alone.end
        kept.settle()
        took = time.perf_counter() - began[2]
        return Report(
            dossiers=size.dossiers,
            share=size.share,
            held_s=size.held_s,
            at_work_s=size.at_work_s,
            rounds=rounds,
            load=os.getloadavg()[0],
            durability=await earth.durability(),
            kinds=kept.found(),
            rows=stretches[-1].rows,
            left=await earth.owner.fetchval(q.left),
            batches=sum(one.batches for one in stretches),
            work_s=sum(one.seconds for one in stretches),
            whole_s=whole_s,
            longest_s=max(one.longest_s for one in stretches),
            late_s=part(seen.late, 0.95),
            server_busy=(worker.cpu_s() - began[0]) / took,
            generator_busy=(time.process_time() - began[1]) / took,
            pressure=await _pressure(earth, pressed),
        )


def _hear(filed: deque[str], kind: str, answer: bytes) -> None:
    """Keep the code of what was submitted."""
    if kind == "submit" and (found := _CODE.search(answer)):
        filed.append(found[1].decode())


def _endless(kind: Scenario) -> Iterator[bytes]:
    """Return one kind's requests; here nobody else uses up what two more contenders could."""
    return itertools.chain.from_iterable(map(kind.requests, ("motcua", "fastapi", "floor")))


async def _most(worker: Contender, sources: Mapping[str, Iterator[bytes]], size: Size) -> dict[str, float]:
    """Return requests per second of each kind alone, flat out, after as long a time to warm up."""
    most: dict[str, float] = {}
    for name, source in sources.items():
        for _ in ("to warm up", "to measure"):
            run = await drive(worker.port, source, in_flight=IN_FLIGHT, seconds=size.probe_s)
        most[name] = run.rate
    return most


async def _held(seconds: float) -> Span:
    begin = time.perf_counter() + GUARD_S
    await asyncio.sleep(GUARD_S + seconds)
    return Span(at_work=False, begin=begin, end=begin + seconds)


async def _rounds(
    go_on: GoOn, size: Size, add: Callable[[Span, Span], None], tell: Callable[[int, int], None]
) -> tuple[int, list[Stretch]]:
    """Hold and let on in turns to the last row; the stretch in which it ended is not measured, nor its round."""
    rounds = 0
    stretches: list[Stretch] = []
    until = time.perf_counter() + size.most_s
    while not (stretches and stretches[-1].ended) and time.perf_counter() < until:
        held = None if rounds % 2 else await _held(size.held_s)
        begin = time.perf_counter() + GUARD_S
        stretches.append(await go_on(GUARD_S + size.at_work_s))
        if not stretches[-1].ended:
            at_work = Span(at_work=True, begin=begin, end=begin + size.at_work_s)
            add(held or await _held(size.held_s), at_work)
            rounds += 1
        tell(rounds, stretches[-1].rows)
    return rounds, stretches


class Measured:
    """The times of each kind, put to their spans round by round.

    Only what came since the last round is looked at: a generator that goes through hundreds of thousands of answers
    is late with the next requests, and measures itself.
    """

    def __init__(
        self, kinds: Sequence[Scenario], per_s: float, most: Mapping[str, float], seen: Traffic, alone: Span
    ) -> None:
        self._seen, self._began, self._round = seen, 0, tuple[Span, ...]()
        told = self._within([alone])[0]
        self._next = len(seen.answers)
        self.kinds = [
            Kind(
                name=kind.name, vi=kind.vi, en=kind.en, per_s=per_s, most_per_s=most[kind.name], alone=told[kind.name]
            )
            for kind in kinds
        ]  # fmt: skip

    def add(self, held: Span, at_work: Span) -> None:
        """Take a round; its last answers may still be on their way, so it is counted once the next has ended."""
        self.settle()
        self._round, self._began, self._next = (held, at_work), self._next, len(self._seen.answers)

    def settle(self) -> None:
        """Count the round that was added last, whose answers are all there by now."""
        if self._round:
            before, during = self._within(self._round)
            for kind in self.kinds:
                kind.held.append(before[kind.name])
                kind.at_work.append(during[kind.name])
        self._round = ()

    def found(self) -> list[Found]:
        """Return what is known of the rounds that are counted."""
        return [found(kind) for kind in self.kinds]

    def _within(self, spans: Sequence[Span]) -> list[dict[str, list[float]]]:
        """Return, by span and kind, the milliseconds of what was due then, of what was answered since it began."""
        times: list[dict[str, list[float]]] = [defaultdict(list) for _ in spans]
        for answer in self._seen.answers[self._began :]:
            for span, told in zip(spans, times, strict=True):
                if span.begin <= answer.due < span.end:
                    told[answer.kind].append(1000 * answer.took)
        return times


async def _pressure(earth: Ground, before: Pressure | None = None) -> Pressure:
    """Return what the server has done since."""
    row = await earth.owner.fetchrow(q.pressure)
    assert row is not None
    now = Pressure(**dict(row))
    if before is None:
        return now
    return Pressure(**{name: getattr(now, name) - getattr(before, name) for name in Pressure.__struct_fields__})


@asynccontextmanager
async def _rewriting(earth: Ground) -> AsyncGenerator[GoOn]:
    """Start the rewriting process, which may run on any core, and lend what tells it to go on for so many seconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.bench.rewriting", earth.dsn("admin"), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    order, answer = process.stdin, process.stdout
    assert order is not None
    assert answer is not None
    os.sched_setaffinity(process.pid, range(os.cpu_count() or 1))

    async def go_on(seconds: float) -> Stretch:
        order.write(f"{seconds}\n".encode())
        return msgspec.json.decode(await answer.readline(), type=Stretch)

    try:
        yield go_on
    finally:
        order.close()
        await process.wait()


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 where a run is void or somebody waited too long."""
    parser = argparse.ArgumentParser(prog="motcua bench backfill")
    parser.add_argument("--json", action="store_true", help="in JSON / print JSON")
    parser.add_argument("--quick", action="store_true", help="chỉ thử / a trial, too short to measure anything")
    parser.add_argument("--root", type=Path, default=ROOT / "var" / "bench", help="thư mục / where the rows are kept")
    parser.add_argument("--minutes", type=float, help="nhiều nhất mấy phút / stop after so many, whatever is left")
    told = parser.parse_args(arguments)
    size = QUICK if told.quick else WHOLE
    size = msgspec.structs.replace(size, most_s=60 * told.minutes) if told.minutes else size
    with asyncio.Runner(loop_factory=exact_loop) as runner:
        report = runner.run(measure(size, told.root, _say))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n" if told.json else text(report))
    return 0 if report.valid and (told.quick or report.reached) else 1


def _say(vi: str, en: str) -> None:
    sys.stderr.write(f"» {vi}  /  {en}\n")


if __name__ == "__main__":
    raise SystemExit(main())
