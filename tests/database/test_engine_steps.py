"""The signer's checks before a hash leaves, every answer a holder can give, and the sweep of what stands still."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import pytest_asyncio

from api.jobs import ParkedJob
from api.jobs.runner import Runner
from api.signatures.engine import parking, polling, sending, store, sweeping
from api.signatures.engine.context import FINISH, JUDGE, PREPARE, SEND
from api.signer import STEPS
from signing.contract import Outcome
from tests.signing_ground import Ground

LATE = datetime(2026, 12, 31, 16, 59, 0, tzinfo=UTC)


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


async def ready(ground, text: str = "Xac nhan"):
    """A request of the chairman that may be asked."""
    initials, signatory, _ = await ground.submitted(text)
    await ground.sign("kynhay", initials)
    return signatory


async def only(ground, *kinds: str) -> None:
    """Let the signer do only these kinds of work."""
    steps = {kind: partial(STEPS[kind], ground.engine) for kind in kinds}
    await Runner(ground.db.dsn("signer"), steps).drain()


async def prepared(ground):
    signatory = await ready(ground)
    accepted = await ground.ask("chutich", signatory)
    await only(ground, JUDGE, PREPARE)
    assert await ground.states(signatory) == ["prepared"]
    return signatory, accepted.ticket


CHANGED_BEFORE_SENDING = [
    ("UPDATE certificate SET revoked_at = now() WHERE person_id IS NOT NULL", timedelta(), "failed", "no-certificate"),
    ("UPDATE mandate SET revoked_at = now()", timedelta(), "failed", "no-authority"),
    ("SELECT 1", timedelta(minutes=2), "expired", "authorisation-ended"),
]


@pytest.mark.parametrize(("change", "shift", "outcome", "code"), CHANGED_BEFORE_SENDING)
async def test_what_changed_after_preparing_leaves_no_hash(ground, change, shift, outcome, code):
    if shift:
        ground.clock.fixed = LATE
    signatory, ticket = await prepared(ground)
    await ground.db.admin.execute(change)
    ground.clock.shift = shift
    await only(ground, SEND)
    assert await ground.outcomes(ticket) == [outcome]
    assert await ground.details(ticket) == [code]
    assert await ground.states(signatory) == ["to_sign"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use") == 0
    assert await ground.db.admin.fetchval("SELECT closed_at FROM signature_batch WHERE id = $1", ticket)


async def test_a_preparation_older_than_its_window_is_made_anew_and_signed(ground):
    signatory, ticket = await prepared(ground)
    ground.clock.shift = timedelta(minutes=11)
    await only(ground, SEND)
    assert await ground.states(signatory) == ["asked"]
    await ground.work()
    assert await ground.outcomes(ticket) == ["recorded"]
    attempts = await ground.db.admin.fetch("SELECT attempt FROM preparation WHERE request_id = $1", signatory)
    assert sorted(row["attempt"] for row in attempts) == [1, 2]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use") == 1


async def sent(ground):
    signatory, ticket = await prepared(ground)
    await only(ground, SEND)
    async with ground.signer.reading() as tx:
        name = await ground.db.admin.fetchval("SELECT id FROM holder_transaction WHERE state <> 'ended'")
        return signatory, ticket, await store.transaction(tx, name)


ANSWERS = [
    ("refused", "refused", "refused", "refused-at-holder"),
    ("expired", "expired", "expired", "not-confirmed"),
    ("failed", "failed", "failed", "holder-failed"),
]


@pytest.mark.parametrize(("state", "told", "outcome", "code"), ANSWERS)
async def test_each_answer_without_a_value_returns_the_item_to_the_list(ground, state, told, outcome, code):
    signatory, ticket, transaction = await sent(ground)
    answer = Outcome(transaction_id=transaction.id, state=state)
    assert await polling.settle(ground.engine, transaction, answer, "poll") == told
    assert (await ground.outcomes(ticket), await ground.details(ticket)) == ([outcome], [code])
    assert await ground.states(signatory) == ["to_sign"]
    async with ground.signer.reading() as tx:
        ended = await store.transaction(tx, transaction.id)
    assert await polling.settle(ground.engine, ended, answer, "poll") == "after-the-end"


async def test_waiting_is_believed_in_until_its_grace_is_over(ground):
    signatory, ticket, transaction = await sent(ground)
    waiting = Outcome(transaction_id=transaction.id, state="waiting")
    assert await polling.settle(ground.engine, transaction, waiting, "poll") == "waiting"
    assert await ground.states(signatory) == ["sent"]
    ground.clock.shift = timedelta(minutes=8)
    assert await polling.settle(ground.engine, transaction, waiting, "poll") == "expired"
    assert await ground.details(ticket) == ["not-confirmed"]


async def test_a_transaction_that_its_holder_does_not_know_is_started_again_until_its_window_ends(ground):
    signatory, _, transaction = await sent(ground)
    unknown = Outcome(transaction_id=transaction.id, state="unknown")
    assert await polling.settle(ground.engine, transaction, unknown, "poll") == "started-again"
    uses = await ground.db.admin.fetch("SELECT use_no, tbs_sha256 FROM key_use ORDER BY use_no")
    assert [use["use_no"] for use in uses] == [1, 2]
    assert len({use["tbs_sha256"] for use in uses}) == 1
    ground.clock.shift = timedelta(minutes=6)
    assert await polling.settle(ground.engine, transaction, unknown, "poll") == "expired"
    assert await ground.states(signatory) == ["to_sign"]


async def lose_jobs(ground) -> None:
    await ground.db.admin.execute("DELETE FROM pgqueuer")


@pytest.mark.parametrize("done", [(), (JUDGE,), (JUDGE, PREPARE), (JUDGE, PREPARE, SEND)])
async def test_whatever_stands_still_is_pushed_on_by_the_sweep(ground, done):
    signatory = await ready(ground)
    accepted = await ground.ask("chutich", signatory)
    for kind in done:
        await only(ground, kind)
    if SEND in done:
        await polling.look(ground.engine, "software")
    state = {0: "to_sign", 1: "asked", 2: "prepared", 3: "value_received"}[len(done)]
    assert await ground.states(signatory) == [state]
    await lose_jobs(ground)
    await sweeping.sweep(ground.engine)
    assert await ground.db.admin.fetchval("SELECT count(*) FROM pgqueuer") == 0, "nothing stands still yet"
    ground.clock.shift = timedelta(seconds=40)
    await sweeping.sweep(ground.engine)
    await sweeping.sweep(ground.engine)
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["recorded"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM revision WHERE origin = 'signed'") == 1


async def test_the_sweep_orders_one_send_for_a_ticket_however_many_items_stand_still(ground):
    first, second = await ready(ground, "mot"), await ready(ground, "hai")
    await ground.ask("chutich", first, second)
    await only(ground, JUDGE, PREPARE)
    await lose_jobs(ground)
    ground.clock.shift = timedelta(seconds=40)
    await sweeping.sweep(ground.engine)
    assert await ground.db.admin.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", SEND) == 1


@pytest.mark.parametrize("done", [(JUDGE,), (JUDGE, PREPARE)])
async def test_the_sweep_ends_at_midnight_what_has_not_left(ground, done):
    ground.clock.fixed = LATE
    signatory = await ready(ground)
    accepted = await ground.ask("chutich", signatory)
    await only(ground, *done)
    await lose_jobs(ground)
    ground.clock.shift = timedelta(minutes=2)
    await sweeping.sweep(ground.engine)
    assert await ground.outcomes(accepted.ticket) == ["expired"]
    assert await ground.states(signatory) == ["to_sign"]


async def test_a_ticket_that_could_not_be_judged_ends_with_a_reason(ground):
    signatory = await ready(ground)
    accepted = await ground.ask("chutich", signatory)
    job = ParkedJob(
        key=f"{JUDGE}:{accepted.ticket}", kind=JUDGE, claims=4, failures=0, parked_at=ground.clock(), reason="poison"
    )
    async with ground.signer.transaction() as tx:
        await parking.note_parked(ground.engine, tx, job)
    assert await ground.details(accepted.ticket) == ["parked"]
    assert await ground.states(signatory) == ["to_sign"]
    assert await ground.db.admin.fetchval("SELECT closed_at FROM signature_batch WHERE id = $1", accepted.ticket)


async def test_two_tickets_of_a_person_that_leave_at_once_keep_to_what_the_holder_allows(ground):
    waiting = [await ready(ground, name) for name in ("mot", "hai")]
    await ground.db.admin.execute("UPDATE key_holder SET parallel_limit = 1")
    tickets = []
    for one in waiting:
        tickets.append(await ground.ask("chutich", one))
        await only(ground, JUDGE)
    await only(ground, PREPARE)
    first, second = (sending.send(ground.engine, None, {"batch": str(one.ticket)}) for one in tickets)
    async with ground.signer.transaction() as tx:
        # Somebody has counted and not yet committed: whoever comes next must wait, not count beside it.
        await store.transactions_under_way(tx, "software", ground.actor("chutich").person_id)
        late = asyncio.create_task(second)
        done, _ = await asyncio.wait([late], timeout=1)
        assert not done
    await asyncio.gather(first, late)
    assert sorted(await ground.states(*waiting)) == ["prepared", "sent"]


async def test_the_next_ticket_of_a_person_leaves_when_the_one_before_frees_its_turn(ground):
    first, second = await ready(ground, "mot"), await ready(ground, "hai")
    await ground.db.admin.execute("UPDATE key_holder SET parallel_limit = 1")
    one = await ground.ask("chutich", first)
    await only(ground, JUDGE)
    two = await ground.ask("chutich", second)
    await only(ground, JUDGE, PREPARE, SEND)
    assert sorted(await ground.states(first, second)) == ["prepared", "sent"]
    await polling.look(ground.engine, "software")
    await only(ground, SEND, FINISH)
    assert "prepared" not in await ground.states(first, second)
    await ground.work()
    assert await ground.outcomes(one.ticket) + await ground.outcomes(two.ticket) == ["recorded", "recorded"]
