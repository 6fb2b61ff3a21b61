"""Configuration is asked for once and kept: a change is everywhere within 2 s, and no request asks for it again."""

import asyncio
import contextlib
import time

import pytest_asyncio

from api.db import queries
from api.registry.service import Registry
from tests.lifecycle_ground import AT
from tests.office import log_in, new_key, serving

KEY = "reminder.hours_left"
HEARD_S = 2.0


@pytest_asyncio.fixture
async def processes(province_db):
    """Two processes that follow the registry."""
    pools = await province_db.pools("app")
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Registry(pools).watching()) for _ in range(2)]


async def listening(db) -> int:
    return await db.admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'motcua-listen' AND state = 'idle'"
        " AND query LIKE '%registry_version%' AND datname = current_database()"
    )


async def everywhere(registries, wanted) -> float:
    """Seconds until every process gives this value."""
    began = time.perf_counter()
    async with asyncio.timeout(20):
        while {await registry.rule(KEY, AT) for registry in registries} != {wanted}:
            await asyncio.sleep(0.02)
    return time.perf_counter() - began


async def change(db, value: int) -> None:
    await db.admin.execute("UPDATE legal_rule SET value = $1 WHERE key = $2", value, KEY)


async def test_a_change_is_everywhere_within_two_seconds_also_when_the_bell_is_lost(province_db, processes):
    async with asyncio.timeout(10):
        while await listening(province_db) < 2:
            await asyncio.sleep(0.02)
    before = {await registry.rule(KEY, AT) for registry in processes}
    assert 41 not in before
    await change(province_db, 41)
    assert await everywhere(processes, 41) < HEARD_S
    await province_db.admin.execute(
        "CREATE OR REPLACE FUNCTION registry_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$ BEGIN UPDATE public.registry_version SET version = version + 1; RETURN NULL; END $$"
    )
    await change(province_db, 42)
    assert await everywhere(processes, 42) < HEARD_S
    await province_db.admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'motcua-listen'"
        " AND datname = current_database()"
    )
    await change(province_db, 43)
    assert await everywhere(processes, 43) < HEARD_S


class Counted:
    """Every statement that goes through an app's pools."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def note(self, record) -> None:
        self.statements.append(record.query)

    async def listen(self, pools) -> None:
        for pool in (pools.read, pools.write):
            held = [await pool.acquire() for _ in range(pool.get_max_size())]
            for connection in held:
                connection.add_query_logger(self.note)
                await pool.release(connection)


async def test_a_request_asks_for_no_configuration_at_steady_state(province_db, province, tmp_path):
    configuration = {
        statement
        for package in ("api.registry", "api.http.control")
        for name, statement in queries.load(package).statements.items()
        if name not in FRESH
    }
    keys = {"data_keys": {"test1": province.data_key}, "data_key": "test1", "pool_read": 3, "pool_write": 3}
    async with serving(province_db.dsn("app"), tmp_path, clock=lambda: AT, **keys) as (web, app):
        counted = Counted()
        await counted.listen(app.state.edge.pools)
        clerk, head = (province.accounts.of(f"{who}.kinhbac") for who in ("tiepnhan", "giamdoc"))
        await log_in(web, head.login, head.password)
        assert (await web.get("/desk/head")).status_code == 200
        await log_in(web, clerk.login, clerk.password)
        await ask_everything(web)
        warm = [one for one in counted.statements if one in configuration]
        assert warm, "nothing of the configuration was ever asked for: this test looks at the wrong statements"
        counted.statements.clear()
        for _ in range(3):
            await ask_everything(web)
        assert len(counted.statements) > 20
        assert [one for one in counted.statements if one in configuration] == []


FRESH = {"mandates_of_post", "holds_post", "signatories_of_agency", "agencies_by_code", "successors"}
"""Who may sign what is read fresh: a right that ended must not live on in a cache."""


async def ask_everything(web) -> None:
    assert (await web.get("/procedures")).status_code == 200
    assert (await web.get("/procedures/1.004873")).status_code == 200
    assert (await web.get("/agencies")).status_code == 200
    filing = {
        "procedure_code": "1.004873",
        "territory_code": "09187",
        "filer": {"name": "Nguyễn Thị Hồng Nhung", "id_number": "024199001234"},
        "parts": [{"part_code": "TK", "name": "Tờ khai", "originals": 1}],
    }
    made = await web.post("/dossiers", json=filing, headers=new_key())
    assert made.status_code == 201, made.text
    assert (await web.get(f"/dossiers/{made.json()['code']}")).status_code == 200
