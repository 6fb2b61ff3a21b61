"""The open model, one process of several: acts begin when they are due, whoever still waits for an answer.

    MOTCUA_LOAD_PLAN=var/load/run/plan.json python -m loadtests.load.arrivals 0/2

The acts are the closed model's, drawn as often as its users would come to them; a time counts from when a request was
due, so waiting for this process is not left out. Beside them connections stand open and come again when the server
closes them, as a browser's do.
"""

import asyncio
import contextlib
import random
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import uvloop

from api.http.server import raise_descriptors
from loadtests.load import acts
from loadtests.load import plan as plans
from loadtests.load.model import PERSONAS, WATCH_S, cast
from loadtests.load.notes import TICK_S, Asked, Book, Intent, Twin
from loadtests.load.shapes import SHAPES, duration_s
from loadtests.load.tickets import RETRY_S, Desk, acknowledged, finished, told_in
from loadtests.load.visitors import Seats, Visitor

MOST_AT_ONCE: Final = 5_000
"""Acts of one process under way; one that is due beyond them is counted as left out, and not begun."""
PATIENCE_S: Final = 60.0
IMPATIENT_S: Final = 5.0
AGAIN_S: Final = 0.2
"""How soon a connection that stands open comes again."""


def acts_per_s(rate: float) -> dict[str, float]:
    """Return how many acts of each persona are due in a second, for so many requests a second of all together."""
    comes = {one.name: one.share / sum(one.think_s) for one in PERSONAS}
    requests = sum(comes[one.name] * one.requests for one in PERSONAS)
    return {name: rate * often / requests for name, often in comes.items()}


class Arrivals:
    """What is due in one process."""

    def __init__(self, plan: plans.Plan, part: int, parts: int) -> None:
        self.plan, self.part, self.parts = plan, part, parts
        self.book, self.desk = Book(Path(plan.out)), Desk(plan.keys)
        self.chance = random.Random(f"{plan.seed} arrivals {part}")
        self._lines: dict[str, aiohttp.ClientSession] = {}
        self._inside: dict[str, list[Visitor]] = {one.name: [] for one in PERSONAS}
        self._come_in = dict.fromkeys(self._inside, 0)
        self._seats = cast(plan.users, {name: len(seats) for name, seats in plan.seats.items()}, ())
        self._under_way: set[asyncio.Task[None]] = set()
        self._standing = 0

    async def run(self, seconds: float) -> None:
        """Let acts come for so long, and wait for what is under way then."""
        began = time.monotonic()
        beside = [asyncio.create_task(self._beat()), *(asyncio.create_task(self._stand(n)) for n in self._idle())]
        await self._come(began + seconds)
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=PATIENCE_S)
        for task in (*beside, *self._under_way):
            task.cancel()
        await asyncio.gather(*beside, *self._under_way, return_exceptions=True)
        for line in self._lines.values():
            await line.close()
        self.book.save()

    async def _come(self, until: float) -> None:
        often = {name: per_s / self.parts for name, per_s in acts_per_s(self.plan.rate).items()}
        names, weights, whole = list(often), list(often.values()), sum(often.values())
        due = time.monotonic()
        while (due := due + self.chance.expovariate(whole)) < until:
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            if len(self._under_way) >= MOST_AT_ONCE:
                self.book.health.left_out += 1
                continue
            task = asyncio.create_task(self._act(self._somebody(self.chance.choices(names, weights)[0]), due))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            sys.stderr.write(f"{task.exception()!r}\n")
            self.book.health.missing += 1

    def _somebody(self, persona: str) -> Visitor:
        """Return one of those who have come in, or a newcomer where there is room for one."""
        inside, come = self._inside[persona], self._come_in[persona]
        room = -(-self._seats.get(persona, 1) // self.parts)
        if inside and self.chance.random() < come / room:
            return self.chance.choice(inside)
        self._come_in[persona] += 1
        return Visitor(self.plan, persona, Seats.number(self.plan, persona))

    async def _act(self, who: Visitor, due: float) -> None:
        """Perform one act; a newcomer's is to arrive."""
        newcomer, late, answer = not who.arrived, time.monotonic() - due, None
        act = acts.arrive(who) if newcomer else acts.next_act(who)
        with contextlib.suppress(StopIteration):
            while True:
                step = act.send(answer)
                if isinstance(step, acts.Ask):
                    answer, late = await self._ask(who, step, late), 0.0
                else:
                    answer = await self._do(who, step)
        if newcomer:
            who.arrived = True
            self._inside[who.persona.name].append(who)

    async def _do(self, who: Visitor, step: acts.Step) -> Any:
        match step:
            case acts.Pause(seconds):
                await asyncio.sleep(seconds)
            case acts.Follow(ticket):
                return await self._follow(who, ticket)
            case acts.Drop(path):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._send(who, acts.Ask(op="impatient", path=path), {}), 0.005)
            case acts.Twins(first, again):
                self.book.note("twins", Twin(first=first, again=again))
            case acts.Took(op, seconds, right):
                self.book.note("requests", Asked(time.time(), op, seconds * 1000, 200 if right else 0, 0, slow=False))
            case acts.Token():
                return self.desk.sign(step)
            case acts.Ask():
                return await self._ask(who, step, 0.0)
        return None

    async def _ask(self, who: Visitor, step: acts.Ask, late: float) -> Any:
        key = step.key or secrets.token_hex(16)
        headers = {**step.headers, **({"Idempotency-Key": key} if step.effect else {})}
        if step.effect:
            self.book.note("intents", Intent(op=step.op, key=key))
        began, at, status, told, size = time.monotonic(), time.time(), 0, None, 0
        self.book.in_flight += 1
        try:
            status, told, size = await self._send(who, step, headers)
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        finally:
            self.book.in_flight -= 1
        ms = (time.monotonic() - began + late) * 1000
        shown = 200 if status in step.right else status
        self.book.note("requests", Asked(at - late, step.op, ms, shown, size, slow=False))
        if step.effect and isinstance(told, dict):
            self.book.note("ledger", acknowledged(who, step, key, at, told))
        return told

    async def _send(self, who: Visitor, step: acts.Ask, headers: dict[str, str]) -> tuple[int, Any, int]:
        """Return status, what was told where that is 2xx, and how many bytes came."""
        patience = aiohttp.ClientTimeout(total=IMPATIENT_S if step.op == "impatient" else PATIENCE_S)
        sent = {"json": step.body} if step.body is not None else {"data": step.content} if step.content else {}
        heads = {**self._heads(who), **headers}
        async with self._line(who).request(step.method, step.path, headers=heads, timeout=patience, **sent) as answer:
            content = await answer.read()
            good, kind = 200 <= answer.status < 300, answer.headers.get("content-type", "")
            told = (msgspec.json.decode(content) if "json" in kind else content) if good else None
            return answer.status, told, len(content)

    def _heads(self, who: Visitor) -> dict[str, str]:
        heads = {"Accept": "application/json"}
        return {**heads, "Authorization": f"Bearer {who.token}"} if who.token else heads

    def _line(self, who: Visitor) -> aiohttp.ClientSession:
        """Return the lines of a visitor's ward."""
        if who.source not in self._lines:
            local = (who.source, 0) if self.plan.url.startswith("http://127.") else None
            connector = aiohttp.TCPConnector(limit=0, local_addr=local)
            self._lines[who.source] = aiohttp.ClientSession(self.plan.url, connector=connector)
        return self._lines[who.source]

    async def _follow(self, who: Visitor, ticket: str) -> Any:
        """Watch a ticket to its end by its stream; return it, or None where it came to none."""
        deadline, path = time.time() + WATCH_S, f"/signature-batches/{ticket}/events"
        heads, patience = {**self._heads(who), "Accept": "text/event-stream"}, aiohttp.ClientTimeout(total=None)
        while time.time() < deadline:
            at, began = time.time(), time.monotonic()
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with self._line(who).get(path, headers=heads, timeout=patience) as answer:
                    ms = (time.monotonic() - began) * 1000
                    self.book.note("requests", Asked(at, "ticket", ms, answer.status, 0, slow=False))
                    async for line in answer.content if answer.status == 200 else ():
                        now = told_in(line)
                        if now is not None and now.get("finished_at"):
                            self.book.note("tickets", finished(now))
                            return now
            await asyncio.sleep(RETRY_S)
        return None

    def _idle(self) -> range:
        return range(self.part, self.plan.idle, self.parts)

    async def _stand(self, number: int) -> None:
        """Hold one connection open that has asked once; where the server closes it, come again."""
        host, _, port = self.plan.url.rpartition("//")[2].partition(":")
        source = self.plan.sources[number % len(self.plan.sources)]
        await asyncio.sleep(self.chance.uniform(0, self.plan.ramp_s))
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(host, int(port or 80), local_addr=(source, 0))
                self.book.health.stood += 1
                self._standing += 1
                try:
                    writer.write(b"GET /healthz HTTP/1.1\r\nHost: motcua\r\n\r\n")
                    while await reader.read(4096):
                        pass
                finally:
                    self._standing -= 1
                    writer.close()
            await asyncio.sleep(AGAIN_S)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.book.beat(len(self._under_way) + self._standing)


def main() -> int:
    """Run this process's part."""
    part, _, parts = sys.argv[1].partition("/")
    plan = plans.read()
    raise_descriptors()
    seconds = duration_s(SHAPES[plan.shape], plan.minutes, plan.ramp_s)
    uvloop.run(Arrivals(plan, int(part), int(parts)).run(seconds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
