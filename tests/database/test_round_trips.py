"""How often a write asks PostgreSQL: counted on the wire, and held to a bound so that it does not creep up.

On the write pool; the guard's one look at the session is on the read pool. What is prepared at its first use is not
counted.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.database.test_dossiers_http import BODY, Site, step
from tests.dossier_ground import MONDAY, actor, copied, province_template
from tests.office import ARGON2, SetClock, new_key, serving
from tests.wire import wired

SUBMIT, STEP, LEFT = 6, 5, 3
"""BEGIN, the intent, all that hangs on the dossier, its number, row and lines, the answer, COMMIT; a step: BEGIN, the
intent with the dossier, all that is written, the answer, COMMIT."""


@pytest_asyncio.fixture(scope="module")
async def province(cluster, template):
    async with province_template(cluster, template) as name:
        yield name


@pytest_asyncio.fixture
async def site(cluster, province, tmp_path):
    with tempfile.TemporaryDirectory() as room:
        async with copied(cluster, province) as db, wired(db, "app", Path(room)) as wire:
            await db.admin.execute(
                "INSERT INTO account_password (account_id, argon2) SELECT id, $1 FROM account", ARGON2
            )
            changes = {"pool_read": 1, "pool_write": 1}
            async with serving(wire.dsn, tmp_path, clock=SetClock(MONDAY), **changes) as (web, app):
                here = Site(web, app, db, SetClock(MONDAY))
                here.wire = wire
                yield here


@pytest.mark.timeout(60)
async def test_a_submission_and_a_step_ask_the_database_as_few_times_as_they_did(site):
    web = await site.as_("tiepnhan.kinhbac")
    over = {"agency_id": str(actor("thuly.kinhbac").agency_id)}
    counted = []
    for _ in range(3):
        site.wire.trips.clear()
        filed = await web.post("/dossiers", json=BODY, headers=new_key())
        assert filed.status_code == 201, filed.text
        submitted = site.wire.trips["motcua-write"]
        done = await step(web, filed.json()["code"], "hand_over", over)
        assert done.status_code == 200, done.text
        counted.append((submitted, site.wire.trips["motcua-write"] - submitted))
    assert counted[-1][0] <= SUBMIT
    assert counted[-1][1] <= STEP


@pytest.mark.timeout(60)
async def test_what_submissions_of_one_agency_share_is_held_for_the_last_statements_only(site):
    """Somebody holds the day's counter: a submission has written all else by the time it waits for it."""
    web, _ = await site.filed()
    waiting = "SELECT query FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
    trips = site.wire.trips
    somebody = await asyncpg.connect(site.db.dsn("admin"))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(somebody.close)
        await stack.enter_async_context(somebody.transaction())
        await somebody.execute("UPDATE dossier_counter SET n = n")
        submission = asyncio.create_task(web.post("/dossiers", json=BODY, headers=new_key()))
        while not (asked := await site.db.admin.fetchval(waiting, site.db.name)):
            assert not submission.done(), "the submission took no counter"
            await asyncio.sleep(0.01)
        before = trips["motcua-write"]
    assert "dossier_counter" in asked
    assert (await submission).status_code == 201
    assert trips["motcua-write"] - before <= LEFT
