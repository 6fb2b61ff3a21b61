"""The citizens' statements, one function each."""

from collections.abc import Sequence
from typing import Final

from api.db.pools import Tx, as_struct
from api.db.queries import load
from api.public.contract import SecretRow, TrackRow

q: Final = load("api.public")


async def track(tx: Tx, code: str) -> TrackRow | None:
    """Return stage and dates of one dossier."""
    return as_struct(await tx.fetchrow(q.track, code), TrackRow)


async def track_with_secret(tx: Tx, code: str, actions: Sequence[str]) -> SecretRow | None:
    """Return all that the holder of the secret may see, and the hash to compare with."""
    return as_struct(await tx.fetchrow(q.track_with_secret, code, actions), SecretRow)
