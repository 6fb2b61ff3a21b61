"""What is not needed any more is forgotten, by a dated rule of the registry."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from api.db.pools import Pools
from api.http.auth.rules import KNOWN_FOR
from api.kernel import Clock
from api.operating import store
from api.registry.service import Registry

RULE: Final = "login_attempts.kept_days"
EVERY_S: Final = 3600.0
AT_ONCE: Final = 5_000

_log: Final = structlog.get_logger("forgetting")


async def run(pools: Pools, clock: Clock) -> None:
    """Forget now and then, until cancelled; any number of workers may."""
    while True:
        try:
            await forget_attempts(pools, clock())
        except Exception:  # noqa: BLE001 - it is tried again in an hour; nothing rests on it but room
            _log.warning("attempts_not_forgotten", exc_info=True)
        await asyncio.sleep(EVERY_S)


async def forget_attempts(pools: Pools, at: datetime) -> int:
    """Forget attempts to log in that neither lock-out nor the rule needs; return how many.

    Raises:
        Broken: no rule says how long they are kept; then all of them are.
    """
    days = await Registry(pools).rule(RULE, at)
    before = at - max(timedelta(days=days), KNOWN_FOR)
    forgotten, last = 0, AT_ONCE
    while last == AT_ONCE:
        async with pools.transaction() as tx:
            last = await store.forget_attempts(tx, before, AT_ONCE)
        forgotten += last
    return forgotten
