"""What each route may take of the database: said beside its class and rights, held by the clock, told as a problem."""

import asyncio
import time

import pytest
import pytest_asyncio
from litestar import Request, get

from api.app import create_app
from api.db import budget
from api.db.budget import REQUEST_S, Share, share_of
from api.db.gathering import Gathered
from api.errors import Busy
from api.http.admission import deadline_of
from api.http.auth.guards import handlers_of, requires
from api.http.edge import edge_of
from tests.journey.test_edge import is_problem
from tests.office import Office, SetClock, log_in, serving, settings_for

SHORT_S, LONG_S = 0.3, 1.0
_SLEEP = "SELECT 1 FROM pg_sleep(0.6)"
RIGHT = requires("dossier.read")


async def sleep(request: Request) -> int:
    async with edge_of(request).pools.reading() as tx:
        return await tx.fetchval(_SLEEP)


@get("/probe/short", guards=[RIGHT], opt={"work": "officers", "seconds": SHORT_S})
async def short(request: Request) -> int:
    return await sleep(request)


@get("/probe/long", guards=[RIGHT], opt={"work": "officers", "seconds": LONG_S})
async def long(request: Request) -> int:
    return await sleep(request)


@pytest_asyncio.fixture
async def web(db, tmp_path):
    await Office(db.admin).officer("an")
    async with serving(db.dsn("app"), tmp_path, clock=SetClock(), extra=[short, long]) as (client, _):
        await log_in(client)
        yield client


async def test_a_statement_ends_with_the_budget_of_its_route(web):
    """The same statement, by the same person, in the same class of work: one route has time for it, the other none."""
    began = time.perf_counter()
    refused, done = await asyncio.gather(web.get("/probe/short"), web.get("/probe/long"))
    assert time.perf_counter() - began < REQUEST_S / 2
    assert (done.status_code, done.json()) == (200, 1)
    problem = is_problem(refused, 503, "took-too-long")
    assert f"{SHORT_S:g}" in problem["detail"]
    assert refused.headers["retry-after"] == "5"
    described = (await web.get("/schema/openapi.json")).json()["paths"]
    assert all("503" in operation["responses"] for path in described.values() for operation in path.values())
    assert (await web.get("/session")).status_code == 200, "the connection is good for others"


async def test_what_is_cut_is_cancelled_in_the_server(web, db):
    await web.get("/probe/short")
    async with asyncio.timeout(0.25):  # by itself it would sleep for longer
        while await db.admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'", _SLEEP
        ):
            await asyncio.sleep(0.01)


def _app(extra=()):
    return create_app(settings_for("postgresql://app@/nowhere", "var"), extra=extra)


def test_every_route_has_a_budget_within_its_request():
    own = 0
    for method, path, handler in handlers_of(_app()):
        work, seconds = handler.opt.get("work", "officers"), handler.opt.get("seconds")
        if work != "always":
            own += seconds is not None
            assert 0 < share_of(work, seconds).seconds <= REQUEST_S, f"{method} {path}"
    assert own >= 5


@pytest.mark.parametrize(
    ("opt", "said"),
    [
        ({"seconds": REQUEST_S + 1}, "31 s with a connection, of 30 s for a request"),
        ({"seconds": 0}, "0 s with a connection"),
        ({"work": "lottery"}, "no class of work 'lottery'"),
        ({"work": "always", "seconds": 1.0}, "no seconds to give"),
    ],
)
def test_a_route_with_another_budget_stops_the_start(opt, said):
    @get("/planted", guards=[RIGHT], opt=opt)
    async def planted() -> None:
        return None

    with pytest.raises(RuntimeError, match=f"GET /planted: .*{said}"):
        _app([planted])


async def test_a_request_ends_by_itself_and_no_later_than_its_caller_waits():
    now = asyncio.get_running_loop().time()
    asked = {b"prefer": b"respond-async, wait=7"}
    patient = {b"prefer": b"wait=600"}
    assert deadline_of({}) == pytest.approx(now + REQUEST_S, abs=1)
    assert deadline_of(asked) == pytest.approx(now + 7, abs=1)
    assert deadline_of(patient) == pytest.approx(now + REQUEST_S, abs=1)
    assert deadline_of({}, lasts=True) is None
    assert deadline_of(patient, lasts=True) == pytest.approx(now + 600, abs=1)


def test_a_route_keeps_the_rest_of_its_class():
    mine = share_of("signing", 10.0)
    assert mine == Share(part=1.0, seconds=10.0, first=True)
    assert share_of("signing", None) is budget.SHARES["signing"]


async def test_reads_that_are_carried_together_keep_to_their_own_routes_budgets(db):
    """Whoever asks first does not say for all others of the class how long they may wait."""
    pools = await db.pools("app")

    async def slowly(tx, keys):
        await tx.execute(_SLEEP)
        return dict.fromkeys(keys, 1)

    gathered = Gathered(pools, slowly)

    async def ask(seconds: float):
        deadline = asyncio.get_running_loop().time() + REQUEST_S
        budget.current.set(budget.Budget(work="officers", share=share_of("officers", seconds), deadline=deadline))
        return await gathered.get("x")

    told = await asyncio.gather(
        *(asyncio.create_task(ask(seconds)) for seconds in (LONG_S, SHORT_S, LONG_S)), return_exceptions=True
    )
    assert (told[0], told[2]) == (1, 1)
    assert isinstance(told[1], Busy)
    assert told[1].kind_code == "took-too-long"
