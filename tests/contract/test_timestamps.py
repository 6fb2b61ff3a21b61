"""The pool of timestamping authorities against real ones that are slow, silent, over their quota, or liars."""

import asyncio
import time

import aiohttp
import pytest

from signing.deadlines import Deadline
from signing.errors import TimestampUnavailable
from signing.trust import timestamps
from tests import stamping_ground as ground

DIGEST = bytes(range(32))


@pytest.fixture(scope="module")
async def made(tmp_path_factory):
    async with ground.outside(tmp_path_factory.mktemp("authorities")) as authorities:
        yield authorities


@pytest.fixture
async def pool_of(made):
    """Makes pools that are closed afterwards; authorities behave again."""
    opened = []
    made.faults.clear()
    made.asked.clear()

    def make(*names, **changes):
        opened.append(ground.pool(made, *names, **changes))
        return opened[-1]

    yield make
    for one in opened:
        await one.close()
    made.faults.clear()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("429", "429"),
        ("garbage", "garbage"),
        ("wrong-imprint", "wrong-imprint"),
        ("wrong-nonce", "wrong-nonce"),
        ("refused", "refused"),
        ("silent", "silent"),
    ],
)
async def test_a_bad_answer_is_refused_by_name_and_another_authority_steps_in(made, pool_of, fault, code):
    made.faults["tsa/tsa"] = fault
    with pytest.raises(TimestampUnavailable) as raised:
        await pool_of("tsa", timeout_s=0.5).stamp(DIGEST)
    assert [problem.code for problem in raised.value.problems] == [code]
    assert raised.value.retry_s >= 1
    token = await pool_of("tsa", "tsa2", timeout_s=0.5).stamp(DIGEST)
    assert token.authority == "tsa2"


async def test_a_certificate_that_is_not_for_timestamps_is_refused(pool_of):
    with pytest.raises(TimestampUnavailable) as raised:
        await pool_of("not-tsa").stamp(DIGEST)
    assert [problem.code for problem in raised.value.problems] == ["wrong-key-usage"]


async def test_another_authoritys_anchor_is_not_trusted(made, tmp_path):
    async with ground.outside(tmp_path) as strangers:
        pool = ground.pool(strangers)
        pool._trust = ground.trust(made)
        with pytest.raises(TimestampUnavailable) as raised:
            await pool.stamp(DIGEST)
        await pool.close()
    assert [problem.code for problem in raised.value.problems] == ["untrusted"]


async def test_a_token_of_another_time_is_refused(made, pool_of):
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    made.at = datetime.now(UTC) - timedelta(minutes=10)
    try:
        with pytest.raises(TimestampUnavailable) as raised:
            await pool_of("tsa").stamp(DIGEST)
    finally:
        made.at = None
    assert [problem.code for problem in raised.value.problems] == ["wrong-clock"]


@pytest.mark.parametrize("fault", ["5", "429", "silent"])
async def test_a_slow_or_refusing_first_authority_leaves_the_95th_percentile_as_it_was(
    made, pool_of, fault, monkeypatch
):
    """40 stamps with the second alone, then with both of which the first is ill."""
    monkeypatch.setattr(timestamps, "_FIRST_HEDGE_S", 0.5)

    async def measured(pool) -> float:
        took = []
        for _ in range(40):
            began = time.monotonic()
            await pool.stamp(DIGEST)
            took.append(time.monotonic() - began)
        return sorted(took)[37]

    alone = await measured(pool_of("tsa2"))
    made.faults["tsa/tsa"] = fault
    both = await measured(pool_of("tsa", "tsa2"))
    assert both <= 2 * alone + 0.1
    assert made.asked["tsa/tsa"] <= 5


async def test_a_quota_is_kept_and_said_before_anybody_is_asked(made, pool_of):
    """Twenty requests in twenty minutes are real; the twenty-first is not sent."""
    pool = pool_of("tsa", quota=5, quota_s=600)
    for _ in range(5):
        await pool.stamp(DIGEST)
    with pytest.raises(TimestampUnavailable) as raised:
        await pool.stamp(DIGEST)
    assert 590 < raised.value.retry_s <= 600
    assert made.asked["tsa/tsa"] == 5
    assert 590 < pool.free_in() <= 600


async def test_after_three_failures_an_authority_rests_and_comes_back(made, pool_of, monkeypatch):
    monkeypatch.setattr(timestamps, "_FIRST_REST_S", 0.3)
    pool = pool_of("tsa")
    made.faults["tsa/tsa"] = "garbage"
    for _ in range(3):
        pool._all[0]._rests_until = 0.0
        with pytest.raises(TimestampUnavailable):
            await pool.stamp(DIGEST)
    assert pool.well() == {"tsa": False}
    with pytest.raises(TimestampUnavailable) as raised:
        await pool.stamp(DIGEST)
    assert raised.value.problems == ()
    assert made.asked["tsa/tsa"] == 3
    made.faults.clear()
    pool._all[0]._rests_until = 0.0
    assert (await pool.stamp(DIGEST)).authority == "tsa"
    assert pool.well() == {"tsa": True}


async def test_one_connection_is_kept_for_all_requests(made, pool_of, monkeypatch):
    created = []
    real = aiohttp.TCPConnector._create_connection

    async def counted(self, *args, **kwargs):
        created.append(1)
        return await real(self, *args, **kwargs)

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", counted)
    pool = pool_of("tsa")
    for _ in range(6):
        await pool.stamp(DIGEST)
    assert len(created) == 1
    many = pool_of("tsa", parallel=4)
    done = await asyncio.gather(*(many.stamp(DIGEST) for _ in range(4)))
    assert len(done) == 4
    assert len(created) <= 5


@pytest.mark.parametrize("answers_after_s", ["5", "131", "silent"])
async def test_a_call_ends_with_its_deadline_and_is_not_made_where_too_little_time_is_left(
    made, pool_of, answers_after_s
):
    """Real authorities take 2 to 131 s. That one is too slow for a caller is not held against it."""
    pool = pool_of("tsa")
    made.faults["tsa/tsa"] = answers_after_s
    began = time.monotonic()
    with pytest.raises(TimestampUnavailable) as raised:
        await pool.stamp(DIGEST, Deadline.within(1.0))
    assert 0.9 < time.monotonic() - began < 1.5
    assert [problem.code for problem in raised.value.problems] == ["no-time-left"]
    assert "phần còn lại" in raised.value.problems[0].vi
    assert pool.well() == {"tsa": True}
    with pytest.raises(TimestampUnavailable) as raised:
        await pool.stamp(DIGEST, Deadline.within(0.8))
    assert [problem.code for problem in raised.value.problems] == ["no-time-left"]
    assert made.asked["tsa/tsa"] == 1, "it is known to take longer"


async def test_a_slow_answer_is_waited_for_while_there_is_time(made, pool_of):
    made.faults["tsa/tsa"] = "2"
    assert (await pool_of("tsa").stamp(DIGEST, Deadline.within(6.0))).authority == "tsa"


async def test_whoever_waits_for_a_place_ends_with_the_deadline_too(made, pool_of):
    pool = pool_of("tsa", parallel=1)
    made.faults["tsa/tsa"] = "silent"
    first = asyncio.create_task(pool.stamp(DIGEST))
    await asyncio.sleep(0.2)
    with pytest.raises(TimestampUnavailable) as raised:
        await pool.stamp(DIGEST, Deadline.within(0.7))
    assert [problem.code for problem in raised.value.problems] == ["no-time-left"]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_call_dies_with_its_caller(made, pool_of):
    pool = pool_of("tsa")
    made.faults["tsa/tsa"] = "silent"
    caller = asyncio.create_task(pool.stamp(DIGEST))
    while not made.waiting.get("tsa/tsa"):
        await asyncio.sleep(0.02)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    async with asyncio.timeout(2):
        while made.waiting["tsa/tsa"]:
            await asyncio.sleep(0.02)
