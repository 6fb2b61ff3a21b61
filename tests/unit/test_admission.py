"""Classes of work at the door: bounded inside, bounded waiting, nobody starves another class."""

import asyncio

import pytest

from api.db.budget import SHARES
from api.errors import Broken, Busy
from api.http.admission import ROOMS, Admission, Room

SMALL = {
    "signing": Room(inside=2, waiting=2, patience_s=0.2, retry_after_s=2),
    "reports": Room(inside=1, waiting=0, patience_s=0.2, retry_after_s=15),
}


class Handler:
    """What the door knows of a handler."""

    def __init__(self, opt: dict[str, str]) -> None:
        self.opt = opt


class Street:
    """Requests that stay inside until told to leave."""

    def __init__(self) -> None:
        self.admission = Admission(SMALL)
        self.leave = asyncio.Event()
        self.inside = 0
        self.most = 0

    async def come(self, work: str) -> str:
        async def app(*_: object) -> None:
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.leave.wait()
            self.inside -= 1

        handler = Handler({"work": work})
        scope = {"type": "http", "method": "GET", "state": {"headers": {}}, "route_handler": handler}
        try:
            await self.admission.handle(scope, None, None, app)
        except Busy as busy:
            return f"{busy.kind_code} {busy.retry_after_s}"
        return "served"


async def test_beyond_room_and_queue_the_next_is_told_to_come_again():
    street = Street()
    first = [asyncio.create_task(street.come("signing")) for _ in range(4)]
    await asyncio.sleep(0.01)
    assert street.inside == 2
    assert await street.come("signing") == "overloaded 2"
    street.leave.set()
    assert await asyncio.gather(*first) == ["served"] * 4
    assert street.most == 2


async def test_who_waits_too_long_is_told_so_and_leaves_no_trace():
    street = Street()
    tasks = [asyncio.create_task(street.come("signing")) for _ in range(4)]
    await asyncio.sleep(0.4)
    assert [task.result() for task in tasks if task.done()] == ["overloaded 2"] * 2
    street.leave.set()
    assert sorted(await asyncio.gather(*tasks)) == ["overloaded 2"] * 2 + ["served"] * 2
    again = [asyncio.create_task(street.come("signing")) for _ in range(4)]
    assert await asyncio.gather(*again) == ["served"] * 4


async def test_a_full_class_does_not_touch_another():
    street = Street()
    report = asyncio.create_task(street.come("reports"))
    await asyncio.sleep(0.01)
    assert await street.come("reports") == "overloaded 15"
    signing = asyncio.create_task(street.come("signing"))
    await asyncio.sleep(0.01)
    assert street.inside == 2
    street.leave.set()
    assert await asyncio.gather(report, signing) == ["served"] * 2


async def test_a_cancelled_waiter_gives_its_place_back():
    street = Street()
    tasks = [asyncio.create_task(street.come("signing")) for _ in range(3)]
    await asyncio.sleep(0.01)
    tasks[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[2]
    street.leave.set()
    assert await asyncio.gather(*tasks[:2]) == ["served"] * 2
    assert await street.come("signing") == "served"


async def test_health_is_never_turned_away():
    street = Street()
    street.leave.set()
    assert await street.come("always") == "served"


async def test_a_class_nobody_knows_is_our_own_fault():
    with pytest.raises(Broken):
        await Street().come("lottery")


def test_every_class_of_work_has_a_room_and_says_when_to_come_again():
    assert set(SHARES) == set(ROOMS)
    assert all(room.retry_after_s > 0 for room in ROOMS.values())
