"""The rewrite as a process of its own, as `motcua migrate --backfill` is one: it works for as long as it is told to.

Each line of its input is a number of seconds; it goes on from its mark for so long and answers with one line of JSON.
"""

import asyncio
import sys
import time
from typing import Final

import msgspec

from api.db import backfill, queries
from loadtests.bench.backfill_report import Stretch
from signing import turns

q: Final = queries.load("loadtests.bench", "rewrite.sql")
REWRITE: Final = backfill.Backfill(name="dossier.folded", statement=q.rewrite)


class _OverError(Exception):
    """The time is over: raised between two batches."""


async def stretch(dsn: str, seconds: float) -> Stretch:
    """Go on for so long, or to the end."""
    began = time.monotonic()
    last: list[backfill.Progress] = []

    def tell(progress: backfill.Progress) -> None:
        last.append(progress)
        if time.monotonic() - began >= seconds:
            raise _OverError

    ended = True
    try:
        await backfill.run(dsn, REWRITE, tell)
    except _OverError:
        ended = False
    return Stretch(
        rows=last[-1].rows,
        batches=len(last),
        seconds=time.monotonic() - began,
        longest_s=last[-1].longest_s,
        ended=ended,
    )


def main(dsn: str) -> None:
    """Answer each line until there is none."""
    turns.stand_back()
    for line in sys.stdin:
        told = asyncio.run(stretch(dsn, float(line)))
        sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
