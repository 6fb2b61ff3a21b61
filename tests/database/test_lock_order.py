"""Whoever steps a dossier takes it before anything that hangs on it, in API and signer: nobody waits crosswise."""

import asyncio

import pytest
import pytest_asyncio

from api.signatures import laying, returning, store, submitting
from api.signatures.contract import Return, SubmitForSignature
from api.signatures.engine import judging
from tests.signing_ground import Ground, Threads

WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = 'signer' AND wait_event_type = 'Lock'"
)
ROWS_HELD = """
SELECT array_agg(DISTINCT locked.relation::regclass::text)
  FROM pg_locks locked JOIN pg_stat_activity other USING (pid)
 WHERE other.datname = current_database() AND other.usename = 'signer' AND locked.mode = 'RowShareLock'
   AND locked.relation = 'signature_request'::regclass
"""


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


@pytest.mark.timeout(60)
async def test_a_decision_to_certify_and_who_sends_it_back_never_wait_crosswise(ground):
    """The API has the dossier and comes for its requests just when the signer judges them and comes for the dossier."""
    decision, _ = await ground.submit(await ground.copy(), "tiepnhan")
    ticket = (await ground.ask("chutich", decision)).ticket
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = await ground.db.admin.fetchval(deadlocks)
    chair, order = ground.actor("chutich"), Return(reason="vì lý do này")
    async with ground.app.transaction() as tx:
        await store.lock_dossiers(tx, [decision])
        signer = asyncio.create_task(judging.judge(ground.engine, None, {"batch": str(ticket)}))
        while not await ground.db.admin.fetchval(WAITING):
            assert not signer.done(), "the signer did not come for the dossier"
            await asyncio.sleep(0.01)
        assert await ground.db.admin.fetchval(ROWS_HELD) is None, "the signer holds requests while it waits"
        await returning.send_back(ground.dossiers, tx, chair, decision, order, at=ground.clock())
    await signer
    assert await ground.outcomes(ticket) == ["superseded"]
    assert await ground.states(decision) == ["superseded"]
    assert await ground.db.admin.fetchval("SELECT status FROM dossier") == "received"
    assert await ground.db.admin.fetchval(deadlocks) == before


@pytest.mark.timeout(60)
async def test_who_lays_places_and_who_sends_back_never_wait_crosswise(ground):
    """The API has the dossier and comes for chain and requests just when the worker opens the chain."""
    document, _ = await ground.draft()
    drafter = ground.actor("thuly")
    async with ground.app.transaction() as tx:
        made = await submitting.submit(ground.dossiers, tx, drafter, document, SubmitForSignature(), at=ground.clock())
    lay = laying.handler(ground.worker, Threads(), ground.blobs, ground.clock)
    waiting = WAITING.replace("'signer'", "'worker'")
    async with ground.app.transaction() as tx:
        await store.lock_dossiers(tx, made.request_ids[:1])
        worker = asyncio.create_task(lay(None, {"chain": str(made.chain_id)}))
        while not await ground.db.admin.fetchval(waiting):
            assert not worker.done(), "the worker did not come for the dossier"
            await asyncio.sleep(0.01)
        await tx.fetch("SELECT FROM chain WHERE id = $1 FOR UPDATE NOWAIT", made.chain_id)
        await returning.send_back(
            ground.dossiers, tx, ground.actor("kynhay"), made.request_ids[0], Return(reason="vì thế"), at=ground.clock()
        )
    await worker
    assert await ground.states(*made.request_ids) == ["superseded"] * 3
    assert await ground.db.admin.fetchval("SELECT count(*) FROM revision WHERE origin = 'laid'") == 0
