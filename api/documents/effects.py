"""The force of results: recorded from outside, held, released, replaced, recalled (thu hồi), annulled (hủy bỏ).

Composable: called in the transaction of the dossier's step, so that the verify page answers the new state, with its
basis, from the same commit on.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from api.db import queries
from api.db.pools import Tx
from api.errors import Conflict

_q: Final = queries.load("api.documents", "effects.sql")


async def block(tx: Tx, result_id: UUID) -> None:
    """Hold a sealed result in which an error was found; raise Conflict unless it is issued."""
    _demand(await tx.fetchval(_q.block_result, result_id))


async def unblock(tx: Tx, result_id: UUID) -> None:
    """Release a held result again; raise Conflict unless it is held."""
    _demand(await tx.fetchval(_q.unblock_result, result_id))


async def drop(tx: Tx, result_id: UUID) -> None:
    """Put aside a draft that is not wanted; raise Conflict unless it is one."""
    _demand(await tx.fetchval(_q.drop_result, result_id))


async def record_outside(tx: Tx, result_ids: Sequence[UUID], system: str, reference: str, at: datetime) -> None:
    """Put results in force that a ministry's system issued; raise Conflict unless each is a draft of form (c)."""
    recorded = {row["id"] for row in await tx.fetch(_q.record_outside, list(result_ids), system, reference, at)}
    if recorded != set(result_ids):
        raise Conflict(
            "Chỉ ghi nhận được kết quả do hệ thống của bộ, ngành cấp và chưa được ghi nhận.",
            "Only a ministry's result that is not yet recorded can be recorded.",
            code="result-not-outside",
        )


async def lose_force(
    tx: Tx, result_id: UUID, effect: str, *, legal_basis: str, account_id: UUID | None, at: datetime
) -> None:
    """Note that a result is replaced, recalled or annulled, on which basis; raise Conflict unless it is in force."""
    _demand(await tx.fetchval(_q.set_effect, result_id, effect))
    await tx.execute(_q.insert_effect, result_id, effect, at, legal_basis, account_id)


async def link_replaced(tx: Tx, result_id: UUID, account_id: UUID | None, at: datetime) -> None:
    """Link a result that was just issued with the ones of its dossier and kind that it replaces."""
    await tx.execute(_q.link_replaced, result_id, at, account_id)


def _demand(found: UUID | None) -> None:
    if found is None:
        raise Conflict(
            "Kết quả không còn ở trạng thái cho phép việc này.",
            "The result is no longer in the state that this needs.",
            code="result-moved",
        )
