"""What a restore must not roll back: numbers on papers, spent codes, ended rights, authorisations already used."""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from api.backup import store
from api.backup.fencing import between, fence, numbers_to_pass
from api.backup.store import Counter, Seen
from api.jobs.runner import Runner
from api.signatures.engine import sweeping
from api.signatures.engine.context import JUDGE
from api.signer import STEPS
from tests.signing_ground import Ground

A, B = UUID(int=10), UUID(int=11)
NOTHING = Seen(
    counters=(), day_counters=(), lines=(), key_uses=(), numbers=(), last_audit=0,
    ended=(), sealed=(),
)  # fmt: skip


def counter(series: UUID, year: int, n: int) -> Counter:
    return Counter(series_id=series, year=year, n=n, agency="H05", pattern="{n}/QĐ")


def having(*counters: Counter) -> Seen:
    return msgspec.structs.replace(NOTHING, counters=counters)


@pytest.mark.parametrize(
    ("restored", "ahead", "margin", "floors", "raised"),
    [
        (having(counter(A, 2026, 5)), None, 0, {}, {}),
        (having(counter(A, 2026, 5)), None, 10, {}, {(A, 2026): 15}),
        (having(counter(A, 2026, 5)), having(counter(A, 2026, 9)), 0, {}, {(A, 2026): 9}),
        (having(counter(A, 2026, 5)), having(counter(A, 2026, 9)), 10, {}, {(A, 2026): 19}),
        # The year turned after the moment: only the running year gets the margin, the other what is known.
        (
            having(counter(A, 2026, 5)), having(counter(A, 2026, 7), counter(A, 2027, 2)), 10, {},
            {(A, 2026): 7, (A, 2027): 12},
        ),
        # A person has seen a paper that no copy knows; a lower floor changes nothing.
        (having(counter(A, 2026, 5), counter(B, 2026, 3)), None, 0, {A: 40, B: 2}, {(A, 2026): 40}),
        (having(counter(A, 2026, 5)), having(counter(A, 2026, 9)), 10, {A: 12}, {(A, 2026): 19}),
    ],
)  # fmt: skip
def test_numbers_are_passed_over_as_far_as_anybody_may_have_seen_them(restored, ahead, margin, floors, raised):
    passing = numbers_to_pass(restored, ahead, margin=margin, floors=floors)
    assert {(each.series_id, each.year): to for each, to in passing} == raised


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


async def sessions_of(admin, account: UUID) -> None:
    await admin.execute(
        "INSERT INTO session (token_sha256, account_id, post_id, expires_at) SELECT sha256('x'), $1, id, now() + '1 h'"
        " FROM post LIMIT 1",
        account,
    )


async def test_what_must_not_be_rolled_back_is_not(ground):
    """The moment lies before an authorisation was used; the history went on with a seal."""
    admin = ground.db.admin
    begun = datetime.now(UTC) - timedelta(hours=1)
    initials, signatory, seal = await ground.submitted()
    for who, request in (("kynhay", initials), ("chutich", signatory)):
        assert await ground.sign(who, request) == ["recorded"]
    code = await ground.fresh_code("vanthu")
    accepted = await ground.ask("vanthu", seal, code=code)
    restored = await store.seen(admin, begun)

    # What the archive knows of the time after: five numbers, one of them printed.
    series = await admin.fetchval("SELECT id FROM number_series WHERE owner = 'own' LIMIT 1")
    ahead = msgspec.structs.replace(
        restored,
        counters=(*restored.counters, counter(series, 2031, 5)),
        last_audit=restored.last_audit + 70,
    )
    await sessions_of(admin, ground.actor("thuly").account_id)
    passing = numbers_to_pass(restored, ahead, margin=0, floors={})
    at = datetime.now(UTC)
    async with (await ground.db.pools("admin")).transaction() as tx:
        passed = await fence(tx, restored, ahead, passing, margin=7, reason="Khôi phục", at=at)

    assert await admin.fetchval("SELECT count(*) FROM session WHERE ended_at IS NULL") == 0
    assert await admin.fetchval("SELECT n FROM number_counter WHERE series_id = $1 AND year = 2031", series) == 5
    gap = await admin.fetchrow("SELECT first, last, reason FROM number_gap WHERE series_id = $1", series)
    assert tuple(gap) == (1, 5, "Khôi phục")
    assert (passed[-1].first, passed[-1].last) == (1, 5)
    assert await admin.fetchval("SELECT nextval(pg_get_serial_sequence('audit', 'id'))") > ahead.last_audit
    days = {each.day: each.n for each in restored.day_counters}
    for row in await admin.fetch("SELECT day, n FROM dossier_counter"):
        assert row["n"] == days[row["day"]] + 7

    # The code that came with the ask is spent, so the signer, which has not judged it, signs nothing with it.
    await sweeping.sweep(ground.engine)
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["failed"]
    judged = "SELECT reason FROM step_up_verdict JOIN step_up s ON s.id = step_up_id WHERE s.batch_id = $1"
    assert await admin.fetchval(judged, accepted.ticket) == "replayed"
    assert await admin.fetchval("SELECT count(*) FROM key_use WHERE request_id = $1", seal) == 0


async def test_what_was_judged_and_not_sent_expires(ground):
    """A key may have been used for it after the moment: the person is asked again instead."""
    initials, signatory, _ = await ground.submitted()
    assert await ground.sign("kynhay", initials) == ["recorded"]
    accepted = await ground.ask("chutich", signatory)
    await Runner(ground.db.dsn("signer"), {JUDGE: partial(STEPS[JUDGE], ground.engine)}).drain()
    assert await ground.states(signatory) == ["asked"]
    seen = await store.seen(ground.db.admin, datetime.now(UTC) - timedelta(hours=1))
    async with (await ground.db.pools("admin")).transaction() as tx:
        await fence(tx, seen, None, [], margin=0, reason="Khôi phục", at=datetime.now(UTC))
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["expired"]
    assert await ground.states(signatory) == ["to_sign"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use WHERE request_id = $1", signatory) == 0


async def test_what_lies_between_two_looks_is_what_was_lost(ground):
    begun = datetime.now(UTC) - timedelta(hours=1)
    initials, signatory, _ = await ground.submitted()
    earlier = await store.seen(ground.db.admin, begun)
    assert await ground.sign("kynhay", initials) == ["recorded"]
    assert await ground.sign("chutich", signatory) == ["recorded"]
    later = await store.seen(ground.db.admin, begun)
    lost = between(earlier, later, datetime.now(UTC))
    assert [use.request_id for use in lost.key_uses] == [signatory]
    assert "record_signature" in {line.action for line in lost.lines}
    assert between(later, later, datetime.now(UTC)).lines == ()
