"""What rotation asks of the database; which statement belongs to which place stands in `columns`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.db import queries
from api.db.pools import Row, Tx

q: Final = queries.load("api.rotation")
Write = tuple[str, tuple[Any, ...]]
"""A statement and its arguments."""


async def page(tx: Tx, statement: str, after: Sequence[Any], limit: int) -> list[Row]:
    """Return the next rows of a place."""
    return list(await tx.fetch(statement, *after, limit))


async def write(tx: Tx, writes: Sequence[Write]) -> None:
    """Put rows under the current key, where nobody has changed them since they were read."""
    for statement in {statement for statement, _ in writes}:
        await tx.executemany(statement, [arguments for other, arguments in writes if other == statement])


async def uses(tx: Tx, statement: str, *arguments: Any) -> dict[str, int]:
    """Return how many values each key still holds up, by its id."""
    return {row["key_id"]: row["used"] for row in await tx.fetch(statement, *arguments)}


async def uses_sessions(tx: Tx, at: datetime) -> dict[str, int]:
    """Return how many living sessions each key has opened."""
    return await uses(tx, q.uses_sessions, at)


async def uses_checkpoints(tx: Tx) -> dict[str, int]:
    """Return the key that signed the newest checkpoint."""
    return await uses(tx, q.uses_checkpoints)


async def secrets_told_since(tx: Tx, since: datetime) -> list[tuple[UUID, bytes]]:
    """Return the dossiers whose citizen was told a secret since then, with its hash."""
    rows = await tx.fetch(q.secrets_told_since, since)
    return [(row["dossier_id"], row["secret_sha256"]) for row in rows]
