"""What follows a step of a dossier, in its transaction: the force of its results, the chains of its documents.

The wiring binds `after_step` to the dossiers, which know nothing of documents or signatures.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from api.db.pools import Tx
from api.documents import effects
from api.documents.results import Drafted
from api.dossiers import facts as f
from api.dossiers.lifecycle import Entry
from api.dossiers.projection import Projection
from api.dossiers.service import Dossiers
from api.dossiers.table import FINAL
from api.dossiers.words import Action, Standing
from api.kernel import Actor
from api.signatures import returning

_IN_SIGNING: Final = frozenset({Standing.TO_SIGN, Standing.SIGNED})
_KEPT: Final = _IN_SIGNING | {Standing.ISSUED}


async def after_step(tx: Tx, before: Projection, after: Projection, entry: Entry, actor: Actor | None) -> None:
    """Follow one step.

    Raises:
        Conflict: a result is not in the state that the dossier takes it to be in.
        Refused: the step ends a chain in which a key may be in use at this moment.
    """
    account_id = actor.account_id if actor else None
    await _force(tx, entry, account_id)
    left = [
        result_id
        for result_id, standing in before.results.items()
        if standing in _IN_SIGNING and (after.status in FINAL or after.results.get(result_id) not in _KEPT)
    ]
    if left:
        await returning.end_chains_of(tx, left, str(entry.action), account_id, entry.occurred_at)


async def _force(tx: Tx, entry: Entry, account_id: UUID | None) -> None:
    at = entry.occurred_at
    match entry.action:
        case Action.BLOCK_HANDOVER:
            await effects.block(tx, _result(entry))
        case Action.UNBLOCK_HANDOVER:
            await effects.unblock(tx, _result(entry))
        case Action.DROP_RESULT:
            await effects.drop(tx, _result(entry))
        case Action.REPLACE_RESULT | Action.RECALL_RESULT:
            effect = "replaced" if entry.action is Action.REPLACE_RESULT else entry.data.get("kind", "recalled")
            basis = entry.data["legal_basis"]
            await effects.lose_force(tx, _result(entry), effect, legal_basis=basis, account_id=account_id, at=at)
        case Action.ISSUE:
            await effects.link_replaced(tx, _result(entry), account_id, at)
        case Action.RECORD_OUTSIDE_RESULT:
            ids = [UUID(str(result_id)) for result_id in entry.data["result_ids"]]
            await effects.record_outside(tx, ids, entry.data["system"], entry.data["reference"], at)
            for result_id in ids:
                await effects.link_replaced(tx, result_id, account_id, at)
        case _:
            return


def _result(entry: Entry) -> UUID:
    return UUID(str(entry.data["result_id"]))


def drafting(dossiers: Dossiers) -> Drafted:
    """Return what tells a dossier of a result that is being drafted: it is done only when every result is."""

    async def drafted(tx: Tx, actor: Actor, dossier_id: UUID, result_id: UUID, at: datetime) -> None:
        facts = f.OnResult(result_id=result_id)
        await dossiers.record(tx, dossier_id, Action.DRAFT_RESULT, facts, at=at, actor=actor)

    return drafted
