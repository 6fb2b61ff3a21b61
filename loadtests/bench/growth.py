"""`motcua bench growth`: what a list page and a look-up cost with few dossiers and with many, of the statements alone.

Two databases of one cluster hold the demo province, one with few and one with many dossiers: their own tables only,
no audit, files or archive of tickets. The product's own functions read in turns from both, prepared as in the API and
under its role, and PostgreSQL tells by itself what each statement took (pg_stat_statements) and what it touched.
"""

import argparse
import os
import random
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg
import msgspec
import uvloop

from api.db.pools import Pools, Tx, open_pools
from api.desks import cursor as desk_cursor
from api.desks import store as desks
from api.desks.controller import OPEN, WATCHED
from api.dossiers import store as dossiers
from api.embedded.postgres import Cluster
from api.public import store as public
from api.signatures import cursor as sign_cursor
from api.signatures import store as signatures
from loadtests.bench.contenders import ROOT
from loadtests.bench.ground import TUNING, actor, has_template, make_template, seed_province, template_of

AIM, WANTED = 1.1, 1.5
"""A page or a look-up may cost so many times as much where there are many dossiers."""
PAGE: Final = 51
"""What is read for a page of fifty: one row more tells whether there is another."""
BYTES: Final = 3_000
"""Of disk for each dossier with its lines, tasks and indexes, and what waits to be signed: measured at a million."""
LOG_BYTES: Final = 9 << 30
"""Of write-ahead log, at most, while seeding."""
_SEED: Final = 20250701
_TOLD: Final = """
    SELECT coalesce(sum(calls), 0)::bigint AS calls, coalesce(sum(total_exec_time), 0) AS ms,
           coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint AS blocks,
           coalesce(sum(shared_blks_read), 0)::bigint AS fetched
      FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1) AND userid = 'app'::regrole
"""
_DURABILITY: Final = """
    SELECT name, setting FROM pg_settings
     WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'shared_buffers', 'server_version')
"""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    few: int
    many: int
    rounds: int
    reads: int
    """Of each statement in each round."""


WHOLE: Final = Size(few=100_000, many=10_000_000, rounds=9, reads=200)
QUICK: Final = Size(few=2_000, many=10_000, rounds=2, reads=20)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What PostgreSQL told of one statement in one round: milliseconds and blocks of each reading."""

    ms: float
    blocks: float
    fetched: float
    """Of the blocks those that were not in its own buffers."""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One statement with few dossiers and with many, by rounds."""

    name: str
    judged: bool
    """A page or a look-up; a count grows with what it counts, and is told."""
    few: Sequence[Told]
    many: Sequence[Told]

    @property
    def times(self) -> float:
        """How often the cost of few the cost of many is: the median of the rounds."""
        return median(b.ms / a.ms if a.ms else 0.0 for a, b in zip(self.few, self.many, strict=True))


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of one run."""

    few: int
    many: int
    statements: Sequence[Statement]
    rounds: int
    reads: int
    load: float
    durability: dict[str, str]

    @property
    def missed(self) -> list[str]:
        return [one.name for one in self.statements if one.judged and one.times > WANTED]


class Reader:
    """Reads from one of the two databases as the API does."""

    def __init__(self, pools: Pools, name: str, prefix: str, count: int) -> None:
        self.pools, self.name = pools, name
        self._prefix, self._count, self._chance = prefix, count, random.Random(_SEED)
        self.known = [self.code() for _ in range(200)]

    def code(self) -> str:
        return f"{self._prefix}-250701-{self._chance.randint(1, self._count):08}"

    def any_code(self) -> str:
        """Return one of those that are looked up again and again: what is hot is in the buffers."""
        return self._chance.choice(self.known)


Read = Callable[[Tx, Reader], Awaitable[Any]]
_CHAIR, _CLERK, _COUNTER = actor("chutich.kinhbac"), actor("vanthu.kinhbac"), actor("tiepnhan.kinhbac")
_HEAD: Final = actor("giamdoc.kinhbac")


async def _look_up(tx: Tx, reader: Reader) -> None:
    if not await public.track(tx, [reader.any_code()]):
        raise RuntimeError("a dossier that was seeded is not there")


async def _dossier(tx: Tx, reader: Reader) -> None:
    if await dossiers.dossier_view(tx, reader.any_code()) is None:
        raise RuntimeError("a dossier that was seeded is not there")


async def _to_sign(tx: Tx, _: Reader) -> Sequence[Any]:
    return await signatures.to_sign_page(tx, _CHAIR.person_id, sign_cursor.START, PAGE)


async def _clerk(tx: Tx, _: Reader) -> Sequence[Any]:
    return await signatures.clerks_page(tx, _CLERK.person_id, _CLERK.agency_id, sign_cursor.START, PAGE)


async def _work(tx: Tx, _: Reader) -> Sequence[Any]:
    return await desks.officer_desk(tx, _COUNTER, desk_cursor.START, PAGE)


async def _own(tx: Tx, _: Reader) -> Sequence[Any]:
    return await desks.own_desk(tx, _COUNTER, desk_cursor.START, PAGE)


async def _late(tx: Tx, _: Reader) -> Sequence[Any]:
    at = datetime.now(UTC) + timedelta(days=30)
    return await desks.head_overdue(tx, _HEAD.agency_id, WATCHED, at, desk_cursor.START, PAGE)


async def _counts(tx: Tx, _: Reader) -> Sequence[Any]:
    at = datetime.now(UTC)
    return await desks.head_counts(tx, _HEAD.agency_id, OPEN, at, at + timedelta(hours=24))


READS: Final[dict[str, Read]] = {
    "look-up by code": _look_up,
    "an officer's dossier": _dossier,
    "to-sign page": _to_sign,
    "to-sign page of a clerk": _clerk,
    "work list": _work,
    "own work": _own,
    "late list": _late,
    "a head's counts": _counts,
}
COUNTS: Final = frozenset({"a head's counts"})


async def measure(size: Size, root: Path, say: Callable[[str, str], None]) -> Report:
    """Seed what is not there yet, then read from both in turns.

    Raises:
        RuntimeError: the disk has no room, or the server does not count.
    """
    cluster = Cluster(root, tuning={**TUNING, "shared_preload_libraries": "pg_stat_statements"})
    await cluster.start(say)
    try:
        names = [await template_with_room(cluster, count, root, say) for count in (size.few, size.many)]
        owner = await asyncpg.connect(cluster.dsn("admin", "postgres"))
        readers: list[Reader] = []
        try:
            await owner.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            for name, count in zip(names, (size.few, size.many), strict=True):
                readers.append(await _reader(cluster, name, count))
            told: dict[str, tuple[list[Told], list[Told]]] = {}
            for name, read in READS.items():
                reads = max(2, size.reads // 50) if name in COUNTS else size.reads
                told[name] = await _measured(owner, readers, read, size.rounds, reads)
                say(f"Đã đo: {name}", f"Measured: {name}")
            durability = {row["name"]: row["setting"] for row in await owner.fetch(_DURABILITY)}
        finally:
            for reader in readers:
                await reader.pools.close()
            await owner.close()
    finally:
        await cluster.stop()
    return Report(
        few=size.few, many=size.many, rounds=size.rounds, reads=size.reads, load=os.getloadavg()[0],
        durability=durability,
        statements=[
            Statement(name=name, judged=name not in COUNTS, few=few, many=many) for name, (few, many) in told.items()
        ],
    )  # fmt: skip


async def template_with_room(cluster: Cluster, count: int, root: Path, say: Callable[[str, str], None]) -> str:
    """Return the template with so many dossiers, seeded where it is not there yet.

    Raises:
        RuntimeError: the disk has no room for it.
    """
    name = template_of(count)
    if not await has_template(cluster, name):
        need, free = count * BYTES + min(LOG_BYTES, count * BYTES), shutil.disk_usage(root).free
        gib = f"{need / 2**30:.1f} GiB", f"{free / 2**30:.1f} GiB"
        say(
            f"Gieo {count:,} hồ sơ: cần khoảng {gib[0]}, đĩa còn {gib[1]}",
            f"Seeding {count:,} dossiers: about {gib[0]} needed, {gib[1]} free",
        )
        if free < need:
            raise RuntimeError(f"{root}: {gib[0]} are needed for {count:,} dossiers, {gib[1]} are free")

    async def seed(cluster: Cluster, database: str) -> None:
        await seed_province(cluster, database, count, say)

    await make_template(cluster, name, seed)
    return name


async def _reader(cluster: Cluster, name: str, count: int) -> Reader:
    pools = await open_pools(cluster.dsn("app", name), read_size=1, write_size=1)
    async with pools.reading() as tx:
        prefix = await tx.fetchval("SELECT split_part(code, '-', 1) FROM dossier WHERE code LIKE '%-250701-%' LIMIT 1")
    return Reader(pools, name, prefix, count)


async def _measured(
    owner: asyncpg.Connection, readers: Sequence[Reader], read: Read, rounds: int, reads: int
) -> tuple[list[Told], list[Told]]:
    """Read from both in turns; what is looked up again is in the buffers from the warming up on."""
    found: tuple[list[Told], list[Told]] = ([], [])
    for turn in range(-1, rounds):
        for kept, reader in zip(found, readers, strict=True):
            await owner.execute("SELECT pg_stat_statements_reset()")
            async with reader.pools.reading() as tx:
                for _ in range(reads if turn >= 0 else 5 * reads):
                    await read(tx, reader)
            row = await owner.fetchrow(_TOLD, reader.name)
            if row is None or not row["calls"]:
                raise RuntimeError("the server does not count its statements")
            calls = row["calls"]
            if turn >= 0:
                kept.append(Told(ms=row["ms"] / calls, blocks=row["blocks"] / calls, fetched=row["fetched"] / calls))
    return found


def text(report: Report) -> str:
    """Return the report as a person reads it."""
    kept = ", ".join(f"{name}={value}" for name, value in report.durability.items())
    lines = [
        f"{report.many:,} dossiers against {report.few:,}; {report.rounds} rounds of {report.reads} readings in turns; "
        f"medians; load of the machine {report.load:.1f}",
        f"PostgreSQL: {kept}",
        f"{'':26}{'few ms':>9}{'many ms':>9}{'times':>8}{'few blocks':>12}{'many blocks':>12}{'not buffered':>14}",
    ]
    for one in report.statements:
        few, many = (median(told.ms for told in those) for those in (one.few, one.many))
        blocks = [median(told.blocks for told in those) for those in (one.few, one.many)]
        told = "a count, told" if not one.judged else "MISSED" if one.times > WANTED else (
            "aim reached" if one.times <= AIM else "reached"
        )  # fmt: skip
        lines.append(
            f"{one.name:26}{few:>9.4f}{many:>9.4f}{one.times:>7.2f}x{blocks[0]:>12.1f}{blocks[1]:>12.1f}"
            f"{median(told.fetched for told in one.many):>14.2f}  {told}"
        )
    verdict = f"MISSED: {', '.join(report.missed)}" if report.missed else "reached"
    return "\n".join([*lines, f"wanted at most {WANTED:g} times, aim {AIM:g}: {verdict}"]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 where a page or a look-up costs more than is wanted."""
    parser = argparse.ArgumentParser(prog="motcua bench growth")
    parser.add_argument("--json", action="store_true", help="in JSON / print JSON")
    parser.add_argument("--quick", action="store_true", help="chỉ thử / a trial, too short to measure anything")
    parser.add_argument("--dossiers", type=int, help="bên nhiều có bao nhiêu / how many the larger one holds")
    parser.add_argument("--root", type=Path, default=ROOT / "var" / "bench", help="thư mục / where the rows are kept")
    told = parser.parse_args(arguments)
    size = QUICK if told.quick else WHOLE
    size = msgspec.structs.replace(size, many=told.dossiers) if told.dossiers else size
    report = uvloop.run(measure(size, told.root, _say))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n" if told.json else text(report))
    return 0 if told.quick or not report.missed else 1


def _say(vi: str, en: str) -> None:
    sys.stderr.write(f"» {vi}  /  {en}\n")


if __name__ == "__main__":
    raise SystemExit(main())
