"""What the signer last saw of each key holder, for those who wait at a desk."""

from datetime import datetime
from typing import Final

from api.db import queries
from api.db.pools import Tx

_q: Final = queries.load("api.signatures.engine")


async def save_holder_state(tx: Tx, name: str, code: str | None, at: datetime) -> None:
    """Note whether a holder was reached (no code) or why not, and since when that is so."""
    await tx.execute(_q.save_holder_state, name, code is None, at, code)
