"""Classes of work at the door: bounded inside, bounded waiting, nobody starves another class."""

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from api.app import create_app
from api.db.budget import SHARES, Budget
from api.errors import Broken, Busy
from api.http import problems
from api.http.admission import Admission
from api.http.doors import ROOMS, Door, Doors, Room
from api.http.outermost import always
from api.http.turnstile import Turnstile
from tests.office import settings_for

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


# --- who gives way when time is short ---

LATE_S = 0.05
YIELDING = Room(inside=32, waiting=4, patience_s=0.2, retry_after_s=5, gives_way_s=0.01, least=3)


def mine() -> Budget:
    return Budget(work="citizens", share=SHARES["citizens"])


async def test_while_the_loop_is_late_fewer_are_let_in_and_more_again_once_it_is_not():
    door = Door("citizens", YIELDING)
    for _ in range(20):
        door.feel(LATE_S)
    for _ in range(YIELDING.least):
        await door.enter(mine())
    waiting = asyncio.create_task(door.enter(mine()))
    await asyncio.sleep(0.01)
    assert (door.inside, waiting.done()) == (YIELDING.least, False)
    door.feel(0.0)
    await waiting
    assert door.inside == YIELDING.least + 1
    for _ in range(20):
        door.feel(0.0)
    for _ in range(YIELDING.inside - YIELDING.least - 1):
        await door.enter(mine())
    assert door.inside == YIELDING.inside


async def test_who_is_inside_stays_there_however_late_the_loop_is():
    street, rooms = Street(), {"signing": YIELDING}
    street.admission = Admission(rooms)
    inside = [asyncio.create_task(street.come("signing")) for _ in range(10)]
    await asyncio.sleep(0.01)
    for door in street.admission.doors.all():
        door.feel(LATE_S)
    assert street.inside == 10
    street.leave.set()
    assert await asyncio.gather(*inside) == ["served"] * 10


async def test_signing_gives_way_to_nobody():
    door = Door("signing", ROOMS["signing"])
    for _ in range(20):
        door.feel(10.0)
    for _ in range(ROOMS["signing"].inside):
        await door.enter(mine())
    assert door.inside == ROOMS["signing"].inside


async def test_the_loops_lateness_is_felt_while_somebody_is_inside_and_nobody_looks_otherwise():
    doors = Doors({"citizens": YIELDING})
    door = doors.of("citizens")
    assert door is not None
    await door.enter(mine())
    for _ in range(4):
        time.sleep(0.06)  # what nobody may do: the loop stands still
        await asyncio.sleep(0.03)
    held = [asyncio.create_task(door.enter(mine())) for _ in range(30)]
    await asyncio.sleep(0)
    assert door.inside < YIELDING.inside
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    while door.inside:
        door.leave()
    assert door.is_empty
    await asyncio.sleep(0.05)
    assert not doors.is_looking


async def test_whoever_is_let_in_and_leaves_at_the_same_moment_gives_the_place_back():
    door = Door("citizens", Room(inside=1, waiting=4, patience_s=1, retry_after_s=1))
    await door.enter(mine())
    waiting = asyncio.create_task(door.enter(mine()))
    await asyncio.sleep(0)
    door.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert door.is_empty


async def test_room_that_comes_free_as_a_waiter_gives_up_is_the_next_ones():
    door = Door("citizens", Room(inside=1, waiting=4, patience_s=0.02, retry_after_s=1))
    await door.enter(mine())
    waiting = asyncio.create_task(door.enter(mine()))
    await asyncio.sleep(0)
    time.sleep(0.03)  # their time is over, and the loop has not told them
    asyncio.get_running_loop().call_soon(door.leave)
    await asyncio.wait_for(asyncio.gather(door.enter(mine()), waiting, return_exceptions=True), 1)
    assert door.inside == 1


async def test_those_who_gave_up_are_forgotten_while_nobody_leaves():
    door = Door("citizens", Room(inside=1, waiting=3, patience_s=0.01, retry_after_s=1))
    await door.enter(mine())
    for _ in range(3):
        late = await asyncio.gather(*(door.enter(mine()) for _ in range(3)), return_exceptions=True)
        assert [one.kind_code for one in late] == ["overloaded"] * 3
    assert door.waiting == 0


# --- before everything else ---


async def turned(method: str, path: str, *, full: str, headers=(), body=()):
    """Ask a turnstile in front of the product's own routes, with one class of work full; return what was sent."""
    app = create_app(settings_for("postgresql://app@/nowhere", Path("/nowhere")))
    doors = Doors(
        {work: msgspec.structs.replace(room, inside=0, waiting=0) for work, room in ROOMS.items() if work == full}
    )
    turnstile = Turnstile(app, doors, always(tls=False))
    scope = {"type": "http", "method": method, "path": path, "headers": [*headers]}
    refusal = turnstile.refusal(scope)
    if refusal is None:
        return None
    sent, left = [], [*body]

    async def receive():
        return left.pop(0)

    async def send(message):
        sent.append(message)

    await refusal(scope, receive, send)
    assert not left
    return sent[0]["status"], dict(sent[0]["headers"]), msgspec.json.decode(sent[1]["body"])


async def test_at_a_full_door_one_is_told_so_before_anything_else_as_anywhere():
    status, headers, problem = await turned("GET", "/track/H26-1", full="citizens")
    assert (status, headers[b"retry-after"]) == (503, b"5")
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-request-id"].decode() == problem["reference"]
    assert len(problem["reference"]) == 32
    assert headers[b"x-content-type-options"] == b"nosniff"
    door = Door("citizens", ROOMS["citizens"])
    assert problem == problems.problem_of(door.refusal(), problem["reference"])
    assert int(headers[b"content-length"]) == len(msgspec.json.encode(problem))


async def test_the_callers_own_trace_names_the_refusal():
    trace = "0af7651916cd43dd8448eb211c80319c"
    sent = [(b"traceparent", f"00-{trace}-b7ad6b7169203331-01".encode())]
    _, headers, _ = await turned("GET", "/track/H26-1", full="citizens", headers=sent)
    assert headers[b"x-request-id"].decode() == trace


async def test_a_small_body_is_taken_in_so_that_the_refusal_is_not_lost_with_the_connection():
    body = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.request", "body": b"}"}]
    status, _, _ = await turned("POST", "/online", full="citizens", headers=[(b"content-length", b"2")], body=body)
    assert status == 503


@pytest.mark.parametrize(
    ("method", "path", "full"),
    [
        ("GET", "/track/H26-1", "officers"),
        ("GET", "/signature-requests", "citizens"),
        ("POST", "/track/H26-1/uploads", "uploads"),  # a body that may be long goes the long way
        ("GET", "/healthz", "citizens"),
        ("GET", "/", "citizens"),
        ("GET", "", "citizens"),
    ],
)
async def test_who_may_find_room_goes_on(method, path, full):
    assert await turned(method, path, full=full) is None
