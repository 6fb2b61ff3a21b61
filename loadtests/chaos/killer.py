"""Kills by number only what this run started: a whole service, one process of it, or the database."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter

from loadtests.chaos.product import Product

NAMES = ("api", "signer", "worker", "postgres")
PATIENCE_S = 60.0


class Killer:
    """Draws who dies next; each of the four comes up equally often."""

    def __init__(self, product: Product, chance: random.Random) -> None:
        self._product = product
        self._chance = chance
        self._order: list[str] = []
        self.killed: Counter[str] = Counter()

    async def kill_one(self) -> str:
        """Kill -9 one service, or one process of it; wait for one that is there. Return what was killed.

        Raises:
            RuntimeError: nobody started it again.
        """
        if not self._order:
            self._order = list(NAMES) * 2
            self._chance.shuffle(self._order)
        name = self._order.pop()
        alone = self._chance.random() < 1 / 3
        deadline = time.monotonic() + PATIENCE_S
        while not (family := self._product.processes(name)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"there is no process {name} to kill for {PATIENCE_S:g} s")
            await asyncio.sleep(0.05)
        victims = [self._chance.choice(family)] if alone else family[:1] if name == "postgres" else family
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.killed[name] += 1
        return f"{name} ({'one of ' if alone else ''}{len(family)})"
