"""What is done to a running cluster, and what must hold: a rolling restart, a primary killed, an object node killed."""

import asyncio
import itertools
import time
from collections import Counter
from typing import Final

import aiohttp
import asyncpg
import msgspec

from loadtests.chaos.judgement import is_there
from loadtests.chaos.ledger import Entry, Ledger
from loadtests.chaos.lives import Ward
from loadtests.cluster import lan
from loadtests.cluster.database import tell_balancer
from loadtests.cluster.objects import VOLUMES
from loadtests.cluster.parts import die, until
from loadtests.cluster.product import Cluster
from loadtests.cluster.pulse import Pulse, told

WRITE_GAP_MOST_S: Final = 30.0
STORE_GAP_MOST_S: Final = 10.0
UNANSWERED_MOST: Final = 3
"""Of requests under way on a host that dies, those whose answer had begun cannot be asked of another."""
PATIENCE_S: Final = 120.0
DRAIN_S: Final = 20.0
STEADY_S: Final = 3.0
READS_LEAST: Final = 100


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What one part found: its figures in a line, and what did not hold."""

    name: str
    figures: str
    faults: tuple[str, ...] = ()

    def line(self) -> str:
        """Return one line: verdict, name, figures, faults."""
        wrong = "".join(f"\n    ✗ {one}" for one in self.faults)
        return f"{'✗ FAIL' if self.faults else '✓ PASS'}  {self.name}: {self.figures}{wrong}"


class TimedLedger(Ledger):
    """A ledger that knows when each line was acknowledged."""

    def __init__(self, path) -> None:  # noqa: ANN001 - a Path
        super().__init__(path)
        self.times: list[float] = []

    def note(self, entry: Entry) -> None:
        super().note(entry)
        self.times.append(time.monotonic())

    def gap_since(self, at: float) -> float:
        """Return the longest time without an acknowledged write from a moment on."""
        times = [at, *(one for one in self.times if one > at)]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


class Acts:
    """Does it to one cluster under one load."""

    def __init__(
        self, cluster: Cluster, web: aiohttp.ClientSession, ward: Ward, ledger: TimedLedger, pulse: Pulse
    ) -> None:
        self._cluster, self._web, self._ward, self._ledger, self._pulse = cluster, web, ward, ledger, pulse

    async def rolling_restart(self) -> Found:
        """Change every API and signer for a new process, one after the other: nobody may notice."""
        since, before, acknowledged = time.monotonic(), Counter(self._ward.trouble), self._ledger.count
        outcomes, ended = Counter(self._ward.outcomes), self._ward.ended
        took: list[str] = []
        for host, name in (("api1", "api"), ("sign1", "signer"), ("api2", "api"), ("sign2", "signer")):
            took.append(f"{host} {await self._change(host, name):.1f} s")
            await asyncio.sleep(STEADY_S)
        await self._until(lambda: self._ward.ended > ended, "a dossier's end")
        reads, trouble = self._pulse.since(since), self._ward.trouble - before
        failed = [one for one in reads if one.wrong]
        signed = self._ward.outcomes - outcomes
        written = self._ledger.count - acknowledged
        faults = [f"reads that failed: {one.wrong}" for one in failed[:3]]
        faults += [f"requests that were not answered well: {dict(trouble)}"] if trouble else []
        faults += [f"signing ended otherwise: {dict(signed)}"] if set(signed) - {"recorded"} else []
        faults += _too_few(len(reads), written)
        figures = (
            f"2 APIs and 2 signers changed in {time.monotonic() - since:.0f} s ({', '.join(took)}); {written} writes "
            f"acknowledged, {sum(trouble.values())} failed; {signed['recorded']} signed; {told(reads)}"
        )
        return Found(name="rolling restart", figures=figures, faults=tuple(faults))

    async def _change(self, host: str, name: str) -> float:
        """Take a process out of the balancer, end it in order, start the next; return how long it was away."""
        part = self._cluster.parts[host, name]
        began = time.monotonic()
        if name == "api":
            await tell_balancer(self._cluster.room, f"set server api/{host} state drain")
            await until(f"{host} is idle", lambda: self._is_idle(host), DRAIN_S)
        await part.end()
        await part.start()
        await self._cluster.until_ready(self._web, host, name)
        if name == "api":
            await tell_balancer(self._cluster.room, f"set server api/{host} state ready")
        return time.monotonic() - began

    async def _is_idle(self, host: str) -> bool:
        head, *rows = (await tell_balancer(self._cluster.room, "show stat api 4 -1")).lstrip("# ").splitlines()
        names = head.split(",")
        found = [dict(zip(names, row.split(","), strict=False)) for row in rows if row]
        return any(one["svname"] == host and one["scur"] == "0" for one in found)

    async def primary_killed(self) -> Found:
        """Kill the primary's whole host under writes: what was acknowledged is on the other, and work goes on."""
        database = self._cluster.database
        victim = await database.primary(self._web)
        acknowledged, ended, since = self._ledger.count, self._ward.ended, time.monotonic()
        killed = await die(database.members[victim])
        before = self._ledger.count
        await self._until(lambda: self._ledger.count > before + 10 and self._ward.ended > ended + 1, "writes after it")
        gap, works_s = self._ledger.gap_since(since), time.monotonic() - since
        heir = await database.primary(self._web)
        lost = await self._lost()
        await database.members[victim].start()
        back_s = await database.until_synchronous(self._web)
        faults = [f"acknowledged and lost: {one}" for one in lost[:3]]
        faults += [] if gap <= WRITE_GAP_MOST_S else [f"no write for {gap:.1f} s, at most {WRITE_GAP_MOST_S:g} s"]
        faults += ["the same member leads"] if heir == victim else []
        figures = (
            f"{victim} ({killed} processes) killed, {heir} leads; {before} writes acknowledged before "
            f"({before - acknowledged} while it died), {len(lost)} lost; none for {gap:.1f} s; signed and "
            f"delivered again after {works_s:.1f} s; {victim} back as synchronous standby in {back_s:.1f} s; "
            f"meanwhile {told(self._pulse.since(since))}"
        )
        return Found(name="primary killed", figures=figures, faults=tuple(faults))

    async def object_node_killed(self) -> Found:
        """Kill the volume server that holds most: every document is read on, byte for byte, and new ones are stored."""
        objects = self._cluster.objects
        victim = max((name for name in VOLUMES if lan.living(name)), key=objects.held)
        held, count, ended, since = objects.held(victim), len(self._ward.sealed), self._ward.ended, time.monotonic()
        killed = await die(objects.volumes[victim])
        await self._until(lambda: self._ward.ended > ended + 1, "a dossier's end")
        await self._until(lambda: len(self._pulse.since(since, "document")) >= READS_LEAST, "document reads")
        reads, gap = self._pulse.since(since, "document"), self._ledger.gap_since(since)
        failed = [one for one in reads if one.wrong]
        faults = [f"document reads that failed: {one.wrong}" for one in failed[:3]]
        faults += [] if gap <= STORE_GAP_MOST_S else [f"no write for {gap:.1f} s, at most {STORE_GAP_MOST_S:g} s"]
        faults += [] if held else ["it held no document"]
        served = 100 * (len(reads) - len(failed)) / len(reads)
        figures = (
            f"{victim} ({killed} process, {held // 1024} kB) of {len(VOLUMES)} killed; {served:.1f} % of the document "
            f"reads served, over {count} documents, byte for byte; {told(reads)}; no write acknowledged for at most "
            f"{gap:.1f} s"
        )
        return Found(name="object node killed", figures=figures, faults=tuple(faults))

    async def api_host_killed(self) -> Found:
        """Kill an API's whole host, with the worker on it: the balancer sends what it had not answered to the other."""
        since, acknowledged, before = time.monotonic(), self._ledger.count, Counter(self._ward.trouble)
        parts = [part for (host, _), part in self._cluster.parts.items() if host == "api1"]
        killed = await die(*parts)
        await self._until(lambda: len(self._pulse.since(since)) >= READS_LEAST, "reads")
        await self._until(lambda: self._ledger.count > acknowledged + 50, "writes after it")
        reads, trouble = self._pulse.since(since - 1), self._ward.trouble - before
        lost, gap = await self._lost(), self._ledger.gap_since(since)
        for part in parts:
            await part.start()
        back_s = await self._cluster.until_ready(self._web, "api1", "api")
        failed = sum(bool(one.wrong) for one in reads) + sum(trouble.values())
        faults = [f"acknowledged and lost: {one}" for one in lost[:3]]
        faults += [f"{failed} requests failed, at most {UNANSWERED_MOST}"] if failed > UNANSWERED_MOST else []
        figures = (
            f"api1 ({killed} processes) killed; {self._ledger.count - acknowledged} writes acknowledged, "
            f"{len(lost)} lost, none for {gap:.1f} s; {sum(trouble.values())} failed once"
            f"{dict(trouble) or ''}; {told(reads)}; back in {back_s:.1f} s"
        )
        return Found(name="API host killed", figures=figures, faults=tuple(faults))

    async def _lost(self) -> list[str]:
        """Ask the primary, whoever that is now, for everything that was ever acknowledged."""
        entries = list(self._ledger.entries)
        owner = await asyncpg.connect(self._cluster.environment["DATABASE_URL"], timeout=30)
        try:
            return [f"{one.method} {one.path} {one.key}" for one in entries if not await is_there(owner, one)]
        finally:
            await owner.close()

    async def _until(self, holds, what: str) -> None:  # noqa: ANN001 - a function without arguments
        async def ask() -> bool:
            return holds()

        began = time.monotonic()
        try:
            await until(what, ask, PATIENCE_S)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; meanwhile {told(self._pulse.since(began))}") from None


def _too_few(reads: int, writes: int) -> list[str]:
    """A part under no load proves nothing."""
    return [] if reads >= READS_LEAST and writes >= 10 else [f"too small a load: {reads} reads, {writes} writes"]
