"""The API with a fault planted: each stream keeps a connection to the database for as long as it lives.

A script, so that the server's workers, which are spawned, run it again and have the fault as well.
"""

import sys

from api.cli import main
from api.db import budget
from api.signatures import tickets

_whole = tickets.stream


async def _greedy(watch, *rest):
    budget.current.set(None)  # or the share of its class would keep the others free
    async with watch._pools.reading():
        async for now in _whole(watch, *rest):
            yield now


tickets.stream = _greedy

if __name__ == "__main__":
    sys.exit(main(["api"]))
