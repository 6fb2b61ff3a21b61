"""What is said while a load lasts, and the wait for what it has asked for."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Final

import aiohttp
import asyncpg

from api.embedded.postgres import Progress
from loadtests.load.plan import Plan
from loadtests.load.sampling import Sample
from loadtests.outside.officer import ROOM

_OPEN: Final = "SELECT count(*) FROM signature_batch WHERE closed_at IS NULL"
_TELL_EVERY_S: Final = 15.0
PATIENCE_S: Final = 300.0
"""A telephone's window, and what the product takes by itself to look again at what stood still."""


async def tell(minutes: float, samples: Sequence[Sample], say: Progress) -> None:
    """Say every minute how far the load has come; cancel to stop."""
    for minute in itertools.count(1):
        await asyncio.sleep(60.0)
        signed = samples[-1].signatures if samples else 0
        say(f"Phút {minute}/{minutes:.0f}, {signed} chữ ký", f"Minute {minute} of {minutes:.0f}, {signed} signatures")


async def drain(owner: asyncpg.Connection, plan: Plan, say: Progress) -> int:
    """Wait until what was asked for has come to an end; return how many tickets have not.

    Whoever signs with a token of their own and has left gives back what they have not signed.
    """
    deadline, told = time.monotonic() + PATIENCE_S, 0.0
    async with aiohttp.ClientSession(plan.url) as web:
        while (left := await owner.fetchval(_OPEN)) and (now := time.monotonic()) < deadline:
            if now - told > _TELL_EVERY_S:
                say(f"Chờ {left} lượt ký…", f"Waiting for {left} tickets, {deadline - now:.0f} s at most")
                told = now
            for seat in plan.seats["token-signatory"]:
                await _give_back(web, {"Authorization": f"Bearer {seat.token}"})
            await asyncio.sleep(1.0)
    return left


async def _give_back(web: aiohttp.ClientSession, heads: dict[str, str]) -> None:
    async with web.get(ROOM, headers=heads) as answer:
        errands = await answer.json() if answer.status == 200 else []
    for one in errands:
        async with web.post(f"{ROOM}/{one['transaction_id']}/refusal", headers=heads) as answer:
            await answer.read()
