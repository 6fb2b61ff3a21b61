"""Kill API, signer, worker and PostgreSQL at random under a small load; the exit status tells what became of it.

    python -m loadtests.chaos [--kills 50] [--seed N] [--lives 4] [--drain 240]

Runs `motcua up --demo` in a directory of its own with a real database (fsync on), its real supervisor, and nothing
outside loopback. The seed is printed; the same seed kills in the same order. Exit status: 0 all held, 1 something did
not, 2 it did not get so far: then it says what each life waited for, since when, and how every process is.
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

from loadtests.chaos.hanging import account_of
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


class GaveUpError(Exception):
    """A run that came to no end; the text says why in words."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def suffer(product: Product, ledger: Ledger, options: argparse.Namespace) -> tuple[Counter[str], Ward]:
    """Let dossiers live while processes die; every life that was begun is lived to its end.

    Raises:
        GaveUpError: a life does not end, or ends otherwise; the account of it has been printed.
    """
    chance = random.Random(options.seed)
    killer = Killer(product, chance)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(product.url, timeout=timeout) as web:
        ward = Ward(web, product, ledger)
        try:
            await ward.log_in()
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
                for number in range(options.lives):
                    group.create_task(ward.lives(), name=f"life {number + 1}")
                await kill(killer, chance, ledger, ward, options.kills)
                ward.enough.set()
                limit.reschedule(asyncio.get_running_loop().time() + options.drain)
        except (TimeoutError, ExceptionGroup) as error:
            for line in await account_of(product, ward):
                say(line)
            faults = error.exceptions if isinstance(error, ExceptionGroup) else ()
            why = "; ".join(f"it ended by {fault!r}" for fault in faults)
            raise GaveUpError(why or f"a life did not end within {options.drain:g} s of the last kill") from error
    return killer.killed, ward


async def kill(killer: Killer, chance: random.Random, ledger: Ledger, ward: Ward, times: int) -> None:
    """Kill so many times, each once something was acknowledged since the last."""
    for number in range(1, times + 1):
        before = ledger.count
        await asyncio.sleep(chance.uniform(LEAST_PAUSE_S, LONGEST_PAUSE_S))
        await ledger.grown(before, WORK_WITHIN_S)
        say(f"{number:3} {await killer.kill_one():22} {ledger.count:5} acknowledged, {ward.ended} ended")


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
            except GaveUpError as error:
                say(f"✗ gave up: {error}; {ledger.count} acknowledged; seed {options.seed}; logs and ledger: {room}")
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
    parser.add_argument("--drain", type=float, default=DRAIN_S)
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
