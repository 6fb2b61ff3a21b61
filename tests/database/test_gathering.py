"""Reads that are asked for together go as one statement, and each is answered as if it had been alone."""

import asyncio
import contextlib

import pytest
import pytest_asyncio

from api.db import budget
from api.db.budget import SHARES, Budget
from api.db.gathering import AT_ONCE, Gathered
from api.db.pools import open_pools
from api.errors import Busy, Invalid

READ = "SELECT n, n * n AS square FROM unnest($1::int[]) n WHERE n < 1000 AND pg_sleep($2) IS NOT NULL"


class Squares(Gathered[int, int]):
    """Squares of numbers below a thousand, by the database; counts the statements and can be made slow, or to fail."""

    def __init__(self, pools) -> None:
        super().__init__(pools, self.read)
        self.statements: list[list[int]] = []
        self.takes_s = 0.0
        self.fails: Exception | None = None

    async def read(self, tx, numbers):
        self.statements.append(sorted(numbers))
        if self.fails is not None:
            raise self.fails
        return {row["n"]: row["square"] for row in await tx.fetch(READ, numbers, self.takes_s / len(numbers))}


@pytest_asyncio.fixture
async def squares(db):
    pools = await open_pools(db.dsn("app"), read_size=8, write_size=1, budget_s=0.3)
    yield Squares(pools)
    await pools.close()


def together(squares, numbers):
    return asyncio.gather(*(squares.get(number) for number in numbers), return_exceptions=True)


async def test_who_asks_together_goes_together_and_each_gets_its_own(squares):
    squares.takes_s = 0.02
    numbers = [*range(40), 7, 7, 5000]
    assert await together(squares, numbers) == [*(n * n for n in range(40)), 49, 49, None]
    assert squares.statements == [[*range(40), 5000]]
    assert await squares.get(3) == 9
    assert squares.statements[-1] == [3]


async def test_an_answer_never_comes_from_a_statement_that_began_before_the_question(squares, db):
    """Whoever asks while a statement is under way is not answered by it: a session ended meanwhile would count on."""
    squares.takes_s = 0.1
    first = asyncio.create_task(squares.get(2))
    async with asyncio.timeout(5):
        while not squares.statements:
            await asyncio.sleep(0.001)
    second = asyncio.create_task(squares.get(2))
    assert await asyncio.gather(first, second) == [4, 4]
    assert squares.statements == [[2], [2]]


async def test_a_failure_reaches_everybody_who_went_with_it_and_nobody_after(squares):
    squares.fails = Invalid("hỏng", "broken", code="planted")
    assert {str(error) for error in await together(squares, range(5))} == {str(squares.fails)}
    squares.fails = None
    assert await squares.get(5) == 25


async def test_who_leaves_takes_nobody_along(squares):
    squares.takes_s = 0.05
    asks = [asyncio.create_task(squares.get(number)) for number in range(6)]
    await asyncio.sleep(0.01)
    asks[2].cancel()
    answers = await asyncio.gather(*asks, return_exceptions=True)
    assert [answer for n, answer in enumerate(answers) if n != 2] == [0, 1, 9, 16, 25]
    assert isinstance(answers[2], asyncio.CancelledError)


async def test_nobody_waits_for_slow_statements_longer_than_for_a_connection(squares):
    squares.takes_s = 0.9
    slow = []
    for number in range(AT_ONCE):
        slow.append(asyncio.create_task(squares.get(number)))
        async with asyncio.timeout(5):
            while len(squares.statements) <= number:
                await asyncio.sleep(0.001)
    began = asyncio.get_running_loop().time()
    late = await together(squares, [100, 101])
    assert {type(answer) for answer in late} == {Busy}
    assert asyncio.get_running_loop().time() - began < 0.7
    squares.takes_s = 0
    assert await asyncio.gather(*slow) == [0, 1]
    assert await squares.get(102) == 102 * 102


async def test_each_class_goes_in_its_own_share_and_a_deadline_is_its_owners_alone(squares):
    async def ask(work: str, number: int, deadline: float | None = None) -> int | None:
        budget.current.set(Budget(work=work, share=SHARES[work], deadline=deadline))
        return await squares.get(number)

    squares.takes_s = 0.1
    soon = asyncio.get_running_loop().time() + 0.03
    asks = (ask("citizens", 1, soon), ask("citizens", 2), ask("signing", 3))
    hurried, patient, signing = await asyncio.gather(*asks, return_exceptions=True)
    assert isinstance(hurried, Busy)
    assert hurried.kind_code == "not-enough-time"
    assert (patient, signing) == (4, 9)
    assert squares.statements == [[1, 2], [3]]


async def test_what_is_under_way_when_the_process_ends_leaves_nobody_waiting(squares):
    squares.takes_s = 5
    asked = asyncio.create_task(squares.get(1))
    async with asyncio.timeout(5):
        while not squares.statements:
            await asyncio.sleep(0.001)
    for task in asyncio.all_tasks() - {asyncio.current_task(), asked}:
        if "_carry" in str(task.get_coro()):
            task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    with contextlib.suppress(Busy):
        squares.takes_s = 0
        assert await squares.get(2) == 4
