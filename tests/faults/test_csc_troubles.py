"""A signature by CSC through the whole engine: confirmed, refused, spoilt, asked for again by another signer."""

import asyncio

import pytest
import pytest_asyncio

from api.signatures.engine import polling, sweeping
from signing.errors import HolderUnavailable
from tests.csc_ground import AS_BEFORE, Csc
from tests.signer_process import remote_signer
from tests.signing_ground import Ground, runner_for

pytestmark = pytest.mark.alone


class Clouded(Ground):
    """A ward whose keys lie with a CSC service of version 2."""

    async def against(self, url: str) -> "Clouded":
        self.csc = Csc(url, "v2", self.room)
        await self.csc.control(**AS_BEFORE)
        await self.open({"csc": self.csc.holder})
        await self.db.admin.execute("UPDATE certificate SET holder = 'csc', credential_id = serial")
        return self

    async def ended(self, ticket) -> list[str]:
        async with asyncio.timeout(120):
            while None in (outcomes := await self.outcomes(ticket)):
                await runner_for(self).drain()
                await sweeping.sweep(self.engine)
                await polling.look(self.engine, "csc")
                await runner_for(self).drain()
                await asyncio.sleep(0.05)
        return outcomes


@pytest_asyncio.fixture
async def ground(province_db, province):
    async with remote_signer(province.pki, "csc") as url:
        ground = await Clouded(province_db, province).against(url)
        yield ground
        assert all(one["key_uses"] <= 1 for one in (await ground.csc.told())["authorisations"])
        await ground.close()
        for holder in ground.csc.made:
            await holder.close()


async def test_each_trouble_ends_clearly_and_in_the_end_it_is_signed_and_sealed(ground):
    initials, signatory, seal = await ground.submitted("csc")
    await ground.sign("kynhay", initials)
    for behaviour, outcome, code in (
        ("refuse", "refused", "refused-at-holder"),
        ("expire", "expired", "not-confirmed"),
        ("garbage", "failed", "value-mismatch"),
    ):
        await ground.csc.control(behaviour=behaviour)
        accepted = await ground.ask("chutich", signatory)
        assert await ground.ended(accepted.ticket) == [outcome], behaviour
        assert await ground.details(accepted.ticket) == [code], behaviour
    await sweeping.release(ground.engine, None, {"request": str(signatory)})
    await ground.csc.control(behaviour="confirm")
    for who, request in (("chutich", signatory), ("vanthu", seal)):
        accepted = await ground.ask(who, request)
        assert await ground.ended(accepted.ticket) == ["recorded"]


async def test_a_signer_that_dies_while_the_person_looks_is_followed_by_one_that_goes_on(ground):
    initials, signatory, _ = await ground.submitted("csc")
    await ground.sign("kynhay", initials)
    await ground.csc.control(by_hand=True)
    before = len((await ground.csc.told())["authorisations"])
    accepted = await ground.ask("chutich", signatory)
    await runner_for(ground).drain()
    async with asyncio.timeout(20):
        while len((await ground.csc.told())["authorisations"]) == before:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    await ground.csc.holder.close()
    ground.engine.holders["csc"] = ground.csc.another()
    await ground.csc.control(down=True)
    await polling.look(ground.engine, "csc")
    assert await ground.states(signatory) == ["sent"]
    with pytest.raises(HolderUnavailable):
        await ground.engine.holders["csc"].list_certificates("anybody")
    await ground.csc.control(down=False)
    (asked,) = (await ground.csc.told())["authorisations"][before:]
    await ground.csc.control(f"/{asked['handle']}/confirm")
    assert await ground.ended(accepted.ticket) == ["recorded"]
    uses = await ground.db.admin.fetchval("SELECT count(*) FROM key_use WHERE request_id = $1", signatory)
    assert uses == 1
    assert len((await ground.csc.told())["authorisations"]) == before + 1
