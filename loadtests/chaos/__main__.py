"""Kill API, signer, worker and PostgreSQL at random under a small load; the exit status tells what became of it.

    python -m loadtests.chaos [--kills 50] [--seed N] [--lives 4]

Runs `motcua up --demo` in a directory of its own with a real database (fsync on), its real supervisor, and nothing
outside loopback. The seed is printed; the same seed kills in the same order. Exit status: 0 all held, 1 something did
not, 2 it did not get so far.
"""

import argparse
import asyncio
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp

from loadtests.chaos.judgement import Judgement, counts
from loadtests.chaos.killer import Killer
from loadtests.chaos.ledger import Ledger
from loadtests.chaos.lives import Ward
from loadtests.chaos.product import Product

LEAST_PAUSE_S = 0.8
LONGEST_PAUSE_S = 5.0
WORK_WITHIN_S = 15.0
"""A kill waits for so long that something was acknowledged since the last one: it is to meet work, not a ruin."""
DRAIN_S = 240.0
"""How long what was begun may take to end after the last kill."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def suffer(product: Product, ledger: Ledger, options: argparse.Namespace) -> tuple[Counter[str], Ward]:
    """Let dossiers live while processes die; every life that was begun is lived to its end."""
    chance = random.Random(options.seed)
    killer = Killer(product, chance)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(product.url, timeout=timeout) as web:
        ward = Ward(web, product, ledger)
        await ward.log_in()
        begun = [asyncio.create_task(ward.lives(), name=f"life-{n}") for n in range(options.lives)]
        try:
            for number in range(1, options.kills + 1):
                before = ledger.count
                await asyncio.sleep(chance.uniform(LEAST_PAUSE_S, LONGEST_PAUSE_S))
                await ledger.grown(before, WORK_WITHIN_S)
                say(f"{number:3} {await killer.kill_one():22} {ledger.count:5} acknowledged, {ward.ended} ended")
            ward.enough.set()
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*begun)
        finally:
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
    return killer.killed, ward


async def run(options: argparse.Namespace) -> int:
    """Run once; return the exit status."""
    say(f"seed {options.seed}, {options.kills} kills, {options.lives} lives at once")
    room = Path(tempfile.mkdtemp(prefix="motcua-chaos-"))
    began = time.monotonic()
    kept = True
    try:
        async with Product(room) as product:
            ledger, before = Ledger(room / "ledger.jsonl"), await counts(product)
            try:
                killed, ward = await suffer(product, ledger, options)
            except TimeoutError:
                say(f"✗ a life did not end within {DRAIN_S:g} s; logs: {room}")
                return 2
            say(f"{sum(killed.values())} kills in {time.monotonic() - began:.0f} s: {dict(sorted(killed.items()))}")
            judgement = Judgement(product, ledger, ward, before)
            good = await judgement.pass_()
            for line in judgement.lines:
                say(line)
            kept = not good
            if kept:
                say(f"logs and ledger: {room}")
            return 0 if good else 1
    finally:
        if not kept:
            shutil.rmtree(room, ignore_errors=True)


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--lives", type=int, default=4)
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
