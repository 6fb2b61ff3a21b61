"""The place of a ticket in the line of work is what counting every item by itself would give."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.signatures import ahead
from api.signatures.ahead import Line
from api.signatures.rows import Asked, Waiting

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
PEOPLE, BATCHES = [UUID(int=n) for n in range(1, 4)], [UUID(int=n) for n in range(100, 106)]
OF = {batch: PEOPLE[n % len(PEOPLE)] for n, batch in enumerate(BATCHES)}
MOMENTS = st.integers(-3, 3).map(lambda n: NOON + timedelta(seconds=n))
LANES = st.sampled_from(["counter", "normal"])


@st.composite
def waiting(draw) -> Waiting:
    batch = draw(st.sampled_from(BATCHES))
    return Waiting(
        lane=draw(LANES), turn=draw(st.integers(0, 4)), batch_id=batch, person_id=OF[batch], since=draw(MOMENTS),
        items=draw(st.integers(1, 50)),
    )  # fmt: skip


@st.composite
def ticket(draw) -> Asked:
    batch = draw(st.sampled_from(BATCHES))
    return Asked(id=batch, person_id=OF[batch], lane=draw(LANES), asked_at=draw(MOMENTS))


def counted(line: list[Waiting], mine: Asked) -> int:
    """Item by item, as the rule says it."""
    lane = [one for one in line if one.lane == mine.lane]
    own = [one.turn for one in lane if one.batch_id == mine.id]
    of_person = [one.turn for one in lane if one.person_id == mine.person_id]
    first = min((one.turn for one in lane), default=0)
    turn = min(own) if own else max(first, 1 + max(of_person)) if of_person else first
    return sum(
        one.items
        for one in line
        if one.batch_id != mine.id
        and (one.lane < mine.lane or (one.lane == mine.lane and (one.turn, one.since) < (turn, mine.asked_at)))
    )


@given(st.lists(waiting(), max_size=30), ticket())
def test_a_place_is_what_counting_gives(line, mine):
    assert Line(line, 0).ahead(mine) == counted(line, mine)


def test_a_ticket_that_is_not_judged_yet_comes_after_its_own_persons_and_among_the_others():
    def asked(batch: UUID, turn: int) -> Waiting:
        return Waiting(lane="normal", turn=turn, batch_id=batch, person_id=OF[batch], since=NOON, items=10)

    line = Line([asked(BATCHES[0], 0), asked(BATCHES[0], 1), asked(BATCHES[1], 0), asked(BATCHES[1], 1)], 600)
    late = Asked(id=BATCHES[5], person_id=PEOPLE[2], lane="normal", asked_at=NOON + timedelta(seconds=1))
    assert line.ahead(late) == 20, "a fresh person's first item goes before others' second"
    assert line.rate == 10.0


@pytest.mark.parametrize(("looking_s", "most"), [(0.02, 1), (0.0, 40)])
async def test_a_look_that_takes_long_rests_for_longer(monkeypatch, looking_s, most):
    looks = []

    async def looking(_):
        looks.append(await asyncio.sleep(looking_s))
        return Line([], 0)

    monkeypatch.setattr(ahead, "look", looking)
    monkeypatch.setattr(ahead, "FRESH_S", 0.01)
    lines = ahead.Looks(SimpleNamespace(reading=contextlib.nullcontext))
    async with asyncio.timeout(5):
        for _ in range(60):
            await lines.line()
            await asyncio.sleep(0.005)
    assert 1 <= len(looks) <= most
    assert looking_s or len(looks) > 1
