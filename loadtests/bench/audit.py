"""`motcua bench audit`: do the writes of two agencies wait for each other?

Three ways to do one act, in turns in the same run, on an own PostgreSQL with fsync on: without an audit row (the
floor), with ours (the sealer runs beside it), and with a peer that chains every row to one head row in the act's own
transaction.
Each is done by one agency alone, by two together, and beside an agency whose transactions stay open for 50 ms.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import uvloop

from api import audit
from api.audit.chain import Notary
from api.audit.outside import CheckpointFile
from api.audit.sealer import Sealer
from api.db.migrate import migrate
from api.db.pools import Pools, Tx, open_pools
from api.embedded.scratch import scratch_cluster
from api.kernel import system_clock

CLIENTS = 8
ROUNDS = 7
ROUND_S = 1.0
HELD_S = 0.05
LAID = """
CREATE TABLE bench_work (id bigint GENERATED ALWAYS AS IDENTITY, agency uuid NOT NULL, at timestamptz NOT NULL,
                         text text NOT NULL);
CREATE TABLE bench_head (id int PRIMARY KEY, hash bytea NOT NULL);
CREATE TABLE bench_chained (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, canonical bytea NOT NULL,
                            hash bytea NOT NULL);
INSERT INTO bench_head VALUES (1, sha256('genesis'));
GRANT SELECT, INSERT, UPDATE ON bench_work, bench_head, bench_chained TO app;
"""

Act = Callable[[Tx, UUID], Awaitable[None]]


async def floor(tx: Tx, agency: UUID) -> None:
    """The act itself."""
    await tx.execute("INSERT INTO bench_work (agency, at, text) VALUES ($1, $2, 'x')", agency, system_clock())


async def ours(tx: Tx, agency: UUID) -> None:
    """The act and its plain row."""
    await floor(tx, agency)
    await audit.append(
        tx, None, process="api", action="bench", subject_kind="agency", subject_id=agency, detail={"n": 1},
        at=system_clock(),
    )  # fmt: skip


async def peer(tx: Tx, agency: UUID) -> None:
    """The act and a row chained at once: the head is locked until the commit, as it must be."""
    await floor(tx, agency)
    head: bytes = await tx.fetchval("SELECT hash FROM bench_head WHERE id = 1 FOR UPDATE")
    canonical = msgspec.json.encode({"action": "bench", "subject_id": agency, "at": system_clock(), "detail": {"n": 1}})
    fresh = sha256(head + canonical).digest()
    await tx.execute("INSERT INTO bench_chained (canonical, hash) VALUES ($1, $2)", canonical, fresh)
    await tx.execute("UPDATE bench_head SET hash = $1 WHERE id = 1", fresh)


WAYS: Mapping[str, Act] = {"floor": floor, "ours": ours, "peer": peer}


async def count(pools: Pools, act: Act, until: float, held_s: float = 0.0) -> int:
    """Let one agency's clients act until then; return how many transactions they committed."""
    agency = uuid4()

    async def client() -> int:
        done = 0
        while time.monotonic() < until:
            async with pools.transaction() as tx:
                await act(tx, agency)
                if held_s:
                    await asyncio.sleep(held_s)
            done += 1
        return done

    return sum(await asyncio.gather(*(client() for _ in range(CLIENTS))))


async def measure(one: Pools, other: Pools, act: Act, seconds: float) -> dict[str, float]:
    """Return transactions a second: one agency alone, two together (sum), and one beside a slow one."""
    found: dict[str, float] = {}
    for how, held_s in (("alone", None), ("together", 0.0), ("beside_slow", HELD_S)):
        until = time.monotonic() + seconds
        agencies = [count(one, act, until)]
        if held_s is not None:
            agencies.append(count(other, act, until, held_s))
        done = await asyncio.gather(*agencies)
        found[how] = (sum(done) if how == "together" else done[0]) / seconds
    return found


async def run(rounds: int, seconds: float, say: Callable[[str], object]) -> dict[str, object]:
    """Measure all ways in turns, and return figures and ratios."""
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(scratch_cluster(lambda _vi, en: say(en)))
        await migrate(cluster.dsn("admin"))
        owner = await open_pools(cluster.dsn("admin"), read_size=1, write_size=1)
        stack.push_async_callback(owner.close)
        async with owner.transaction() as tx:
            await tx.execute(LAID)
            names = ("fsync", "full_page_writes", "synchronous_commit")
            durable = {name: await tx.fetchval("SELECT current_setting($1)", name) for name in names}
        opened = [await open_pools(cluster.dsn("app"), write_size=CLIENTS, budget_s=60.0) for _ in range(2)]
        worker = await open_pools(cluster.dsn("worker"), budget_s=60.0)
        for pools in (*opened, worker):
            stack.push_async_callback(pools.close)
        room = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sealing = asyncio.create_task(
            Sealer(worker, Notary({"bench": bytes(32)}), CheckpointFile(room), system_clock).run()
        )
        try:
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for number in range(1, rounds + 1):
                for way, act in WAYS.items():
                    found[way].append(await measure(*opened, act, seconds))
                    say(f"round {number}/{rounds}, {way}: {found[way][-1]}")
            async with owner.reading() as tx:
                await asyncio.sleep(2.0)
                unsealed = await tx.fetchval("SELECT (SELECT count(*) FROM audit) - (SELECT count(*) FROM audit_chain)")
        finally:
            sealing.cancel()
            with suppress(asyncio.CancelledError):
                await sealing
    return report(found, durable, unsealed)


def report(
    rounds: Mapping[str, list[dict[str, float]]], durable: Mapping[str, str], unsealed: int
) -> dict[str, object]:
    """Return medians of the rounds; a ratio is taken within its round, so that a noisy neighbour meets both sides."""

    def ratio(way: str, how: str, other: str, as_done: str) -> float:
        pairs = zip(rounds[way], rounds[other], strict=True)
        return round(statistics.median(mine[how] / max(theirs[as_done], 1e-9) for mine, theirs in pairs), 2)

    per_s = {
        way: {how: statistics.median(one[how] for one in found) for how in found[0]} for way, found in rounds.items()
    }
    return {
        "clients_per_agency": CLIENTS,
        "durability": durable,
        "transactions_per_s": {way: {how: round(value) for how, value in one.items()} for way, one in per_s.items()},
        "to_alone": {way: {how: ratio(way, how, way, "alone") for how in one} for way, one in per_s.items()},
        "ours_to_floor": {how: ratio("ours", how, "floor", how) for how in per_s["ours"]},
        "ours_to_peer": {how: ratio("ours", how, "peer", how) for how in per_s["ours"]},
        "unsealed_after_2_s": unsealed,
    }


def words(found: Mapping[str, object]) -> str:
    """Return the report as a table."""
    told = msgspec.convert(found["transactions_per_s"], dict[str, dict[str, float]])
    ratios = msgspec.convert(found["to_alone"], dict[str, dict[str, float]])
    lines = [f"durability: {found['durability']}; {found['clients_per_agency']} clients an agency, transactions/s", ""]
    lines.append(f"{'':8}{'one alone':>12}{'two together':>22}{'one beside a slow one':>26}")
    for way, one in told.items():
        cells = [f"{one[how]:,.0f} ({ratios[way][how]:.2f} of alone)" for how in ("together", "beside_slow")]
        lines.append(f"{way:8}{one['alone']:>12,.0f}{cells[0]:>22}{cells[1]:>26}")
    lines += ["", f"ours : floor {found['ours_to_floor']}", f"ours : peer  {found['ours_to_peer']}"]
    return "\n".join([*lines, f"rows not sealed 2 s after the end: {found['unsealed_after_2_s']}", ""])


def main() -> int:
    parser = argparse.ArgumentParser(prog="motcua bench audit", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=ROUND_S, help="of each measurement")
    options = parser.parse_args()
    say = partial(print, file=sys.stderr, flush=True)
    found = uvloop.run(run(options.rounds, options.seconds, say))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found)).decode() + "\n" if options.json else words(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
