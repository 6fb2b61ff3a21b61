"""What each key holder declares of itself, and what the signer last saw of it, for those who wait at a desk."""

from datetime import datetime
from typing import Final

from api.db import queries
from api.db.pools import Tx
from signing.contract import Capabilities

_q: Final = queries.load("api.signatures.engine")


async def save_holder_state(tx: Tx, name: str, code: str | None, at: datetime) -> None:
    """Note whether a holder was reached (no code) or why not, and since when that is so."""
    await tx.execute(_q.save_holder_state, name, code is None, at, code)


async def declare_holder(tx: Tx, kind: str, can: Capabilities, at: datetime) -> None:
    """Write what a holder declares of itself."""
    await tx.execute(
        _q.declare_holder,
        can.name,
        kind,
        can.hashes_per_authorisation,
        int(can.window.total_seconds()),
        can.parallel_limit,
        can.shows_document_names,
        can.certificate_class,
        can.asks_person,
        can.development,
        at,
        can.carried,
    )
