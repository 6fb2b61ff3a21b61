"""The citizens' statements, one function each."""

from collections.abc import Sequence
from typing import Final

from api.db.pools import Tx, as_struct, as_structs
from api.db.queries import load
from api.public.contract import SecretRow, TrackRow

q: Final = load("api.public")


async def track(tx: Tx, codes: Sequence[str]) -> dict[str, TrackRow]:
    """Return stage and dates of dossiers by their codes."""
    return {row.code: row for row in as_structs(await tx.fetch(q.track, codes), TrackRow)}


async def track_with_secret(tx: Tx, code: str, actions: Sequence[str]) -> SecretRow | None:
    """Return all that the holder of the secret may see, and the hash to compare with."""
    return as_struct(await tx.fetchrow(q.track_with_secret, code, actions), SecretRow)
