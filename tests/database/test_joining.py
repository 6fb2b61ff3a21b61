"""Reads that take long: made once for all who ask meanwhile, finished though who asked first has gone, never kept."""

import asyncio

import pytest
import pytest_asyncio

from api.db import budget
from api.db.budget import SHARES, Budget
from api.db.joining import Joined
from api.db.pools import open_pools
from api.errors import Busy

COUNT = "SELECT count(*) FROM agency"


@pytest_asyncio.fixture
async def pools(db):
    found = await open_pools(db.dsn("app"), read_size=4, write_size=1, budget_s=0.5)
    yield found
    await found.close()


class Reading:
    """A read that takes as long as it is told to, and counts how often it was begun and came to its end."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.go_on = asyncio.Event()

    async def __call__(self, tx) -> int:
        self.begun += 1
        await self.go_on.wait()
        found = await tx.fetchval(COUNT)
        self.ended += 1
        return found


async def test_five_who_ask_while_it_is_read_are_answered_by_one_reading(pools):
    joined, read = Joined(pools, "test"), Reading()
    asking = [asyncio.create_task(joined.get("a", read)) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert read.begun == 1
    read.go_on.set()
    assert len(set(await asyncio.gather(*asking))) == 1
    assert (read.begun, read.ended) == (1, 1)


async def test_who_drops_a_question_and_asks_it_again_gets_the_answer_of_the_first_reading(pools):
    joined, read = Joined(pools, "test"), Reading()
    for _ in range(5):
        dropped = asyncio.create_task(joined.get("a", read))
        await asyncio.sleep(0.02)
        dropped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dropped
    last = asyncio.create_task(joined.get("a", read))
    await asyncio.sleep(0.02)
    read.go_on.set()
    assert await last == 0
    assert (read.begun, read.ended) == (1, 1)


async def test_nothing_is_kept_and_another_question_is_another_reading(pools):
    joined, read = Joined(pools, "test"), Reading()
    read.go_on.set()
    await joined.get("a", read)
    await joined.get("a", read)
    assert read.ended == 2
    await asyncio.gather(joined.get("a", read), joined.get("b", read))
    assert read.ended == 4


async def test_a_reading_has_the_share_of_its_class_and_nobodys_deadline(pools):
    joined, read = Joined(pools, "test"), Reading()
    budget.current.set(Budget(work="officers", share=SHARES["officers"], deadline=budget.now() + 0.1))
    with pytest.raises(Busy) as refused:
        await joined.get("a", read)
    assert refused.value.kind_code == "not-enough-time"
    budget.current.set(Budget(work="officers", share=SHARES["officers"], deadline=budget.now() + 5))
    again = asyncio.create_task(joined.get("a", read))
    await asyncio.sleep(0.02)
    read.go_on.set()
    assert await again == 0
    assert (read.begun, read.ended) == (1, 1)


async def test_a_fault_is_everybodys_and_the_next_reads_anew(pools):
    joined = Joined(pools, "test")

    async def broken(tx):
        await asyncio.sleep(0.02)
        return await tx.fetchval("SELECT 1 / 0")

    told = await asyncio.gather(*(joined.get("a", broken) for _ in range(3)), return_exceptions=True)
    assert len({type(one) for one in told}) == 1
    assert all(isinstance(one, Exception) for one in told)
    read = Reading()
    read.go_on.set()
    assert await joined.get("a", read) == 0
