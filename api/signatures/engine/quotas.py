"""What all signers together may ask of each timestamping authority: one row of it, taken from in one statement."""

from collections.abc import Sequence
from typing import Final

from api.db.pools import Pools
from api.kernel import Clock
from api.signatures.engine import level_store
from signing.levels import Limit

LATE_S: Final = 5.0
"""How much later than it was taken a request may reach its authority, which counts by its own arrival."""


class SharedQuotas:
    """The port `Quotas` over the database; no connection is held while anybody waits."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def take(self, limit: Limit) -> float:
        """Take one request: 0.0 where it may be sent at once, else after how many seconds one is free."""
        async with self._pools.transaction() as tx:
            return await level_store.take_request(tx, limit.authority, limit.quota, limit.window_s + LATE_S)

    async def room(self, limit: Limit) -> int:
        """Return how many requests are left now."""
        async with self._pools.reading() as connection:
            return await level_store.requests_left(connection, limit.authority, limit.quota)


async def declare(pools: Pools, limits: Sequence[Limit], clock: Clock) -> None:
    """Tell of every authority that this signer asks, so that everybody can say when a debt will be paid."""
    async with pools.transaction() as tx:
        for limit in limits:
            await level_store.declare_authority(tx, limit.authority, limit.quota, limit.window_s + LATE_S, clock())
