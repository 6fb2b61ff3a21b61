"""Issuing a result: once every document of it is sealed, and none waits for its level any longer."""

from datetime import datetime

from api.db.pools import Tx
from api.dossiers.service import Dossiers
from api.kernel import AccountId, Actor, AgencyId, PersonId, PostId
from api.signatures.chain import CERTIFIED
from api.signatures.engine import level_store, rows, store

Seal = rows.ToFinish | level_store.SealedBy
"""A recorded seal, by whose number and request the journal names the issue, and who asked for it."""


def actor_of(work: Seal) -> Actor:
    """Return who asked for this signature, as the journal names them."""
    return Actor(
        account_id=AccountId(work.account_id),
        person_id=PersonId(work.actor_person_id),
        post_id=PostId(work.actor_post_id),
        agency_id=AgencyId(work.actor_agency_id),
        roles=frozenset(),
    )


async def issue(dossiers: Dossiers, tx: Tx, seal: Seal, at: datetime) -> bool:
    """Put the result in force and step its dossier; False while a document of it lacks its seal or its level.

    Raises:
        MotcuaError: the dossier's state does not allow the step.
    """
    if not await store.result_issued(tx, seal.result_id, at):
        return False
    await store.insert_effect(tx, seal.result_id, at, "Nghị định 30/2020/NĐ-CP, Điều 5", seal.account_id)
    await dossiers.record_issued(
        tx,
        seal.dossier_id,
        seal.result_id,
        number_id=seal.number_id,
        request_id=seal.id,
        at=at,
        means="sealed_copy" if seal.act in CERTIFIED else "sealed",
        actor=actor_of(seal),
    )
    return True
