"""When an account is blocked: stop what it has asked, and list what it has signed. The signer does the stopping."""

from datetime import datetime
from typing import Final
from uuid import UUID

from api.db.pools import Tx
from api.jobs.queue import enqueue
from api.signatures import store
from api.signatures.contract import SignedLine

STOP: Final = "signatures.stop"
MOST: Final = 2000
"""Lines of a list; more than a person signs in two of the worst days."""


async def stop_asked(tx: Tx, account_id: UUID, block_id: UUID) -> list[UUID]:
    """Order the signer to return to the list what is asked and unsigned; return those requests."""
    await enqueue(tx, STOP, str(block_id), {"account": str(account_id)})
    return await store.open_of_account(tx, account_id)


async def signed_since(tx: Tx, account_id: UUID, since: datetime) -> list[SignedLine]:
    """Return what an account has signed since an instant, latest first."""
    return await store.signed_since(tx, account_id, since, MOST)
