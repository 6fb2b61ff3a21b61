"""The API with a fault planted: each stream keeps a connection to the database for as long as it lives.

A script, so that the server's workers, which are spawned, run it again and have the fault as well.
"""

import contextlib
import sys

from api.cli import main
from api.db import budget
from api.signatures import tickets

_whole = tickets.stream


class _Kept:
    """Pools of one connection, which is never given back."""

    def __init__(self, connection) -> None:
        self._connection = connection

    @contextlib.asynccontextmanager
    async def reading(self):
        yield self._connection


async def _greedy(pools, *rest):
    budget.current.set(None)  # or the share of its class would keep the others free
    async with pools.reading() as connection:
        async for now in _whole(_Kept(connection), *rest):
            yield now


tickets.stream = _greedy

if __name__ == "__main__":
    sys.exit(main(["api"]))
