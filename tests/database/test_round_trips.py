"""How often a write asks PostgreSQL: counted on the wire, and held to a bound so that it does not creep up.

On the write pool; the guard's one look at the session is on the read pool. What is prepared at its first use is not
counted.
"""

import tempfile
from pathlib import Path

import pytest
import pytest_asyncio

from tests.database.test_dossiers_http import BODY, Site, step
from tests.dossier_ground import MONDAY, actor, copied, province_template
from tests.office import ARGON2, SetClock, new_key, serving
from tests.wire import wired

SUBMIT, STEP = 7, 6
"""BEGIN, the intent, all that hangs on the dossier, its number, row and lines, the answer, COMMIT; a step: BEGIN, the
intent, the dossier, all that is written, the answer, COMMIT."""


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
