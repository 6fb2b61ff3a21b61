"""Whether a request's turn has come: kept with the row, and always what the other rows say."""

import asyncio
import contextlib
import random
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from api.db import backfill
from api.signatures import tickets
from api.signatures.states import TRANSITIONS, State
from tests.signing_ground import ASTRAY, Ground

STEPS = 150
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
CHAIN = """
INSERT INTO chain (document_id, dossier_id, result_id, draft_revision_id, submitted_by_account_id, submitted_at)
SELECT id, dossier_id, result_id, head_revision_id, $2, now() FROM document WHERE id = $1
RETURNING id
"""
PLACE = """
INSERT INTO signature_request (chain_id, document_id, dossier_id, result_id, group_no, ordinal, role, pdf_signature,
       act, field, agency_id, lane)
SELECT chain.id, document_id, dossier_id, result_id, $2, $3, $4, true, 'main_document', 'Place', $5, 'normal'
  FROM chain
 WHERE id = $1
RETURNING id
"""
TICKET = """
INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, lane, item_count, authorised_until)
VALUES ($1, $2, $3, $4, 'normal', 1, now()) RETURNING id
"""
MOVE = """
UPDATE signature_request
   SET state = $2, batch_id = $3, recorded_at = CASE WHEN $2 = 'recorded' THEN now() END
 WHERE id = $1
"""


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


class Bare:
    """A chain of rows alone, moved by each role as far as its grants and the guard let it."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.places = ground, {}

    async def open(self) -> "Bare":
        document, _ = await self.ground.draft()
        clerk = self.ground.actor("vanthu")
        self.agency = clerk.agency_id
        async with self.ground.app.transaction() as tx:
            self.chain = await tx.fetchval(CHAIN, document, clerk.account_id)
            self.ticket = await tx.fetchval(TICKET, clerk.account_id, clerk.person_id, clerk.post_id, clerk.agency_id)
        return self

    async def add(self, group: int, role: str = "signatory") -> UUID:
        async with self.ground.app.transaction() as tx:
            place = await tx.fetchval(PLACE, self.chain, group, len(self.places) + 1, role, self.agency)
        self.places[place] = role
        return place

    async def turn_chain(self, state: str, pools) -> None:
        async with pools.transaction() as tx:
            await tx.execute("UPDATE chain SET state = $2 WHERE id = $1", self.chain, state)

    async def move(self, place: UUID, after: State, pools) -> None:
        async with pools.transaction() as tx:
            await tx.execute(MOVE, place, str(after), self.ticket)

    async def ready(self, *places: UUID) -> list[bool]:
        rows = await self.ground.db.admin.fetch("SELECT id, ready FROM signature_request")
        return [{row["id"]: row["ready"] for row in rows}[place] for place in places]


@pytest.mark.parametrize("seed", range(4))
async def test_after_every_step_it_is_what_the_rows_say(ground, seed):
    chance, bare = random.Random(seed), await Bare(ground).open()
    for group in chance.sample([1, 1, 2, 3], 4):
        await bare.add(group, "seal" if group == 3 else "signatory")
    seals = set()
    for _ in range(STEPS):
        place = chance.choice(list(bare.places))
        now = State((await ground.states(place))[0])
        ways = [way for way in TRANSITIONS[now] if way is State.RECORDED or chance.random() < 0.5]
        with contextlib.suppress(asyncpg.PostgresError):
            if chance.random() < 0.2 or not ways:
                end = chance.choice(["laying", "open", "open", "open", "superseded"])
                await bare.turn_chain(end, chance.choice([ground.app, ground.worker, ground.signer]))
            elif chance.random() < 0.05 and len(bare.places) < 9:
                await bare.add(chance.choice([1, 2, 3]))
            else:
                await bare.move(place, chance.choice(ways), chance.choice([ground.signer, ground.signer, ground.app]))
        assert await ground.db.admin.fetch(ASTRAY) == []
        seals |= {*await bare.ready(*(place for place, role in bare.places.items() if role == "seal"))}
    assert False in seals


async def test_of_two_who_sign_at_once_the_second_lets_the_seal_through(ground):
    bare = await Bare(ground).open()
    one, other, seal = await bare.add(1), await bare.add(1), await bare.add(2, "seal")
    await bare.turn_chain("open", ground.worker)
    assert await bare.ready(one, other, seal) == [True, True, False]
    async with ground.signer.transaction() as tx:
        await tx.execute(MOVE, one, "recorded", bare.ticket)
        second = asyncio.create_task(bare.move(other, State.RECORDED, ground.signer))
        while not await ground.db.admin.fetchval(WAITING):
            assert not second.done(), "the second did not wait for the first"
            await asyncio.sleep(0.01)
    await second
    assert await bare.ready(one, other, seal) == [False, False, True]


async def test_whoever_may_write_a_row_cannot_write_a_turn_that_has_not_come(ground):
    bare = await Bare(ground).open()
    _, seal = await bare.add(1), await bare.add(2, "seal")
    await bare.turn_chain("open", ground.worker)
    async with ground.signer.transaction() as tx:
        await tx.execute("UPDATE signature_request SET ready = true WHERE id = $1", seal)
    assert await bare.ready(seal) == [False]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with ground.app.transaction() as tx:
            await tx.execute("UPDATE signature_request SET ready = true WHERE id = $1", seal)


async def listed(ground: Ground, who: str) -> list[UUID]:
    async with ground.app.reading() as tx:
        return [item.id for item in (await tickets.to_sign(tx, ground.actor(who), None, 50)).items]


async def test_rows_of_the_version_before_are_listed_before_and_after_they_are_rewritten(ground):
    first = await ground.submitted("mot")
    second = await ground.submitted("hai")
    assert await ground.sign("kynhay", first[0]) == ["recorded"]
    assert await ground.sign("chutich", first[1]) == ["recorded"]
    assert await ground.sign("kynhay", second[0]) == ["recorded"]
    async with ground.db.admin.transaction():
        await ground.db.admin.execute("SET LOCAL session_replication_role = replica")
        await ground.db.admin.execute("UPDATE signature_request SET ready = NULL")
    wanted = {"kynhay": [], "chutich": [second[1]], "vanthu": [first[2]]}
    assert {who: await listed(ground, who) for who in wanted} == wanted
    (rewrite,) = (each for each in backfill.ALL if each.name == "signature_request.ready")
    done = await backfill.run(ground.db.dsn("admin"), rewrite, lambda _: None)
    assert done.rows == 6
    left = "SELECT count(*) FROM signature_request WHERE ready IS NULL AND state = 'to_sign'"
    assert await ground.db.admin.fetchval(left) == 0
    assert {who: await listed(ground, who) for who in wanted} == wanted
    await ground.db.admin.execute("UPDATE signature_request SET ready = false WHERE ready IS NULL")
