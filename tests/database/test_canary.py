"""The signer's canary: it goes the whole way in real processes, and what is broken shows where it should."""

import asyncio
import contextlib
from datetime import timedelta

import msgspec
import pytest
import pytest_asyncio

import signing
from api.desks.controller import LOOK_LASTS
from api.kernel import system_clock
from api.signatures.engine import canary
from signing.contract import CANARY, Outcome
from signing.errors import HolderUnavailable
from signing.holders import HolderConfig, open_canary, open_holder
from signing.keys.sp769 import Sp769Settings
from signing.pdf.bounded import BoundedPool
from tests.office import log_in, serving
from tests.signing_ground import Ground


class Ticks:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Forger:
    """A canary whose value belongs to other bytes: a key holder that has gone wrong."""

    def __init__(self) -> None:
        self._real = open_canary()

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def poll(self, transaction_id):
        outcome = await self._real.poll(transaction_id)
        last = {name: value[:-1] + bytes([value[-1] ^ 1]) for name, value in outcome.values.items()}
        return Outcome(transaction_id=transaction_id, state=outcome.state, values=last)


@pytest_asyncio.fixture(scope="module")
async def processes():
    async with BoundedPool(1) as pool:
        yield pool


def nowhere():
    """A remote signer at an address where nobody answers."""
    settings = Sp769Settings(base_url="http://127.0.0.1:9", sp_id="motcua", sp_password="x", timeout_s=2.0)
    return open_holder(HolderConfig(kind="sp769", production=False, sp769=settings))


@contextlib.asynccontextmanager
async def ground_with(province_db, province, processes, **more):
    software = open_holder(HolderConfig(kind="software", production=False, keys=str(province.pki)))
    ground = await Ground(province_db, province).open({"software": software, **more})
    ground.engine = type(ground.engine)(
        **{name: getattr(ground.engine, name) for name in ground.engine.__slots__} | {"workshop": processes}
    )
    try:
        yield ground
    finally:
        await ground.close()


def counted(holder: str, outcome: str) -> float:
    return canary.trials.labels(holder, outcome)._value.get()


async def states(ground) -> dict[str, bool]:
    return {row["name"]: row["reachable"] for row in await ground.db.admin.fetch("SELECT * FROM holder_state")}


async def test_a_canary_goes_the_whole_way_and_uses_nobodys_key(province_db, province, processes):
    async with ground_with(province_db, province, processes) as ground:
        before, software = counted(CANARY, "good"), counted("software", "good")
        flying = canary.Canary(ground.engine, open_canary(), tick=(ticks := Ticks()))
        assert not flying.is_fresh(), "ready before it has shown anything"
        assert await flying.fly()
        assert (counted(CANARY, "good"), counted("software", "good")) == (before + 1, software + 1)
        assert await states(ground) == {"software": True}
        assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use") == 0
        assert not list((ground.room / "blobs" / "incoming").glob("work-*")), "a trial was left lying about"
        ticks.now += canary.FRESH_S - 1
        assert flying.is_fresh()
        ticks.now += 1
        assert not flying.is_fresh(), "a trial of two minutes ago shows nothing"


async def test_a_signer_that_cannot_sign_is_not_ready_and_is_again_once_it_can(province_db, province, processes):
    async with ground_with(province_db, province, processes, sp769=nowhere()) as ground:
        for own in (Forger(), ground.engine.holders["sp769"]):
            flying = canary.Canary(ground.engine, own)
            assert not await flying.fly()
            assert not flying.is_fresh()
        broken = BoundedPool(1)
        await broken.close()
        slots = {name: getattr(ground.engine, name) for name in ground.engine.__slots__}
        flying = canary.Canary(type(ground.engine)(**slots | {"workshop": broken}), open_canary())
        assert not await flying.fly(), "no process could work on a file, and nobody noticed"
        flying._engine = ground.engine
        assert await flying.fly()
        assert flying.is_fresh()


async def test_a_dead_holder_shows_in_metrics_and_on_the_desk_and_nobody_is_less_ready(
    province_db, province, processes
):
    keys = {"data_keys": {"test1": province.data_key}, "data_key": "test1"}
    async with (
        ground_with(province_db, province, processes, sp769=nowhere()) as ground,
        serving(ground.db.dsn("app"), ground.room / "blobs", clock=ground.clock, **keys) as (web, _),
    ):
        chair = province.accounts.of("chutich.kinhbac")
        assert (await log_in(web, chair.login, chair.password)).status_code == 201
        assert {one["state"] for one in (await web.get("/desk/holders")).json()["items"]} == {"unknown"}
        flying = canary.Canary(ground.engine, open_canary())
        assert await flying.fly()
        assert flying.is_fresh(), "another's death made this signer unready"
        assert canary.reachable.labels("sp769")._value.get() == 0
        assert canary.reachable.labels("software")._value.get() == 1
        shown = {one["name"]: one for one in (await web.get("/desk/holders")).json()["items"]}
        assert {name: one["state"] for name, one in shown.items()} == {"software": "reachable", "sp769": "unreachable"}
        assert (await web.get("/readyz")).status_code == 200, "a dead holder made an API node unready"
        since = shown["sp769"]["since"]
        ground.clock.shift += timedelta(seconds=60)
        await flying.fly()
        shown = {one["name"]: one for one in (await web.get("/desk/holders")).json()["items"]}
        assert shown["sp769"]["since"] == since, "it has been away since then, not since the last look"
        assert shown["sp769"]["checked_at"] > since
        ground.clock.shift += LOOK_LASTS + timedelta(seconds=1)
        assert {one["state"] for one in (await web.get("/desk/holders")).json()["items"]} == {"unknown"}


async def test_who_asks_a_person_is_only_looked_at(province_db, province, processes):
    asked = []

    class Phone(Forger):
        @property
        def capabilities(self):
            return msgspec.structs.replace(self._real.capabilities, name="phone", asks_person=True)

        async def list_certificates(self, owner):
            asked.append(owner)
            return ()

        async def start(self, order):
            asked.append(order)
            raise HolderUnavailable("x", "x")

    async with ground_with(province_db, province, processes, phone=Phone()) as ground:
        await canary.Canary(ground.engine, open_canary()).fly()
        assert asked == [], "a person was asked for a trial"
        assert await states(ground) == {"software": True, "phone": True}


async def test_the_app_cannot_say_that_a_holder_is_there(province_db):
    app = await province_db.pools("app")
    with pytest.raises(Exception, match="permission denied"):
        async with app.transaction() as tx:
            await tx.execute("UPDATE holder_state SET reachable = true")


def test_the_smallest_file_is_a_whole_pdf(tmp_path):
    (tmp_path / "least.pdf").write_bytes(canary.least_pdf())
    assert signing.lint(str(tmp_path / "least.pdf"), "to_sign", at=system_clock()).accepted


async def test_trials_come_every_minute_and_sooner_after_a_failure(monkeypatch):
    monkeypatch.setattr(canary, "EVERY_S", 0.2)
    monkeypatch.setattr(canary, "AGAIN_S", 0.01)
    flown, stopping = [], asyncio.Event()

    class Flying:
        async def fly(self):
            flown.append(asyncio.get_running_loop().time())
            if len(flown) == 3:
                stopping.set()
            return len(flown) == 2

    await asyncio.wait_for(canary.run(Flying(), stopping), 5)
    assert flown[1] - flown[0] < 0.15 < flown[2] - flown[1]
