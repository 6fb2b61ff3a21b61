"""Stop what a blocked account has asked: everything that is not signed and has not left returns to the list.

What has left is with its holder and cannot be called back; a value that comes for it is not recorded any more.
"""

import itertools
from typing import Any
from uuid import UUID

from api.jobs import JobContext
from api.signatures.engine import factor_store, store
from api.signatures.engine.context import STOPPED, Engine, give_back, move_on_without


async def stop(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.stop` job; a repetition finds nothing open."""
    async with engine.pools.reading() as connection:
        asked = await factor_store.open_of_account(connection, UUID(ids["account"]))
    at = engine.clock()
    for batch_id, group in itertools.groupby(asked, key=lambda one: one.batch_id):
        async with engine.pools.transaction() as tx:
            if await store.lock_batch(tx, batch_id) is None:
                continue
            for one in group:
                await give_back(tx, batch_id, one.id, one.number_id, "expired", STOPPED, at)
            await move_on_without(tx, batch_id, at)
