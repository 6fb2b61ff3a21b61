"""Fill PostgreSQL's disk under the same load, first for its tables, then for its WAL too; make room; judge as ever.

    unshare --mount python -m loadtests.chaos.fullness DIRECTORY

Mounts a small disk of memory in DIRECTORY, so it wants a mount namespace of its own. Exit status as of `make chaos`.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from loadtests.chaos.hanging import account_of
from loadtests.chaos.judgement import Judgement, counts
from loadtests.chaos.ledger import Ledger
from loadtests.chaos.lives import Ward
from loadtests.chaos.product import Product

DISK_MB: Final = 450
LIVES: Final = 2
FULL, AWAY = "503 database-full", "503 database-away"
PATIENCE_S: Final = 90.0
AFTERWARDS: Final = 8
"""Acknowledged writes that show that it goes on."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come; the text says what was waited for.
    """
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not holds():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"waited in vain: {what}")
        await asyncio.sleep(0.05)


def fill(disk: Path) -> Path:
    """Take all that is left of a disk; return the file that holds it."""
    balloon = disk / "balloon"
    with balloon.open("wb") as out:
        while (left := os.statvfs(disk)).f_bavail:
            # PostgreSQL writes meanwhile, and then there is less than was counted: count again.
            with contextlib.suppress(OSError):
                os.posix_fallocate(out.fileno(), out.seek(0, os.SEEK_END), left.f_bavail * left.f_frsize)
    return balloon


async def use_up_the_wal(product: Product) -> None:
    """Have PostgreSQL begin one WAL file after the other, until it finds no room for the next and ends itself."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        owner = await asyncpg.connect(product.environment["DATABASE_URL"], timeout=10)
        try:
            while True:
                await owner.execute("SELECT pg_logical_emit_message(false, 'full', repeat('x', 1000000))")
                await owner.execute("SELECT pg_switch_wal()")
        finally:
            owner.terminate()


async def starve(product: Product, ward: Ward, ledger: Ledger, disk: Path) -> None:
    """Let dossiers live while the disk is full, and on once there is room."""
    await ledger.grown(ledger.count + AFTERWARDS, PATIENCE_S)
    balloon = fill(disk)
    await until("a write refused for want of room", lambda: ward.trouble[FULL] > 0)
    say(f"full: {ledger.count} acknowledged, {dict(ward.trouble)}")
    (server, *_) = product.processes("postgres")
    await use_up_the_wal(product)
    await until("PostgreSQL's end", lambda: server not in product.processes("postgres"))
    await until("a caller told of it", lambda: ward.trouble[AWAY] > 0)
    before = ledger.count
    say(f"no room for WAL: {before} acknowledged, {dict(ward.trouble)}")
    balloon.unlink()
    await until("writes after there was room", lambda: ledger.count > before + AFTERWARDS)
    say(f"room again: {ledger.count} acknowledged, {dict(ward.trouble)}")


async def run(room: Path) -> int:
    """Run once; return the exit status."""
    disk = room / "var" / "pg"
    disk.mkdir(parents=True)
    options = f"size={DISK_MB}m,mode=0755"
    await asyncio.to_thread(subprocess.run, ["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    async with Product(room) as product, aiohttp.ClientSession(product.url) as web:
        ledger, before = Ledger(room / "ledger.jsonl"), await counts(product)
        ward = Ward(web, product, ledger)
        await ward.log_in()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(LIVES):
                    group.create_task(ward.lives(), name=f"life {number + 1}")
                await starve(product, ward, ledger, disk)
                ward.enough.set()
        except ExceptionGroup as error:
            for line in (*await account_of(product, ward), f"✗ gave up: {error.exceptions}"):
                say(line)
            return 2
        judgement = Judgement(product, ledger, ward, before)
        good = await judgement.pass_()
        for line in judgement.lines:
            say(line)
        return 0 if good else 1


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.chaos.fullness", description=__doc__)
    parser.add_argument("room", type=Path)
    return asyncio.run(run(parser.parse_args().room))


if __name__ == "__main__":
    sys.exit(main())
