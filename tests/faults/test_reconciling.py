"""Our account of key uses against the holder's own: what agrees, and each way in which the two may differ."""

from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio

from api.operating import sampling
from api.signatures.engine import polling, reconciling, sweeping
from signing.contract import Outcome
from signing.keys.sp769 import Sp769Holder, Sp769Settings
from tests.signer_process import remote_signer
from tests.signing_ground import Ground, runner_for

pytestmark = pytest.mark.alone


class Accounted(Ground):
    """A ward whose keys lie with a service that can be asked by our own ids."""

    async def against(self, url: str) -> "Accounted":
        self.url = url
        settings = Sp769Settings(base_url=url, sp_id="motcua", sp_password="demo", development=True, timeout_s=3)
        await self.open({"sp769": Sp769Holder(settings)})
        await self.db.admin.execute("UPDATE certificate SET holder = 'sp769', credential_id = serial")
        return self

    async def control(self, path: str = "", **changes) -> None:
        async with aiohttp.ClientSession() as web, web.post(f"{self.url}/control{path}", json=changes) as answer:
            answer.raise_for_status()

    async def found(self) -> list[str]:
        """Look a quarter of an hour later; everything that was found so far."""
        before, self.clock.shift = self.clock.shift, self.clock.shift + timedelta(minutes=15)
        await reconciling.look(self.engine)
        await reconciling.look(self.engine)
        self.clock.shift = before
        kept = await self.db.admin.fetch("SELECT found FROM key_use_check ORDER BY checked_at")
        return [row["found"] for row in kept]


@pytest_asyncio.fixture
async def ground(province_db, province):
    async with remote_signer(province.pki) as url:
        ground = await Accounted(province_db, province).against(url)
        yield ground
        await ground.close()


async def test_what_agrees_is_checked_once_and_a_late_confirmation_is_found(ground):
    initials, signatory, _ = await ground.submitted("doi soat")
    await ground.sign("kynhay", initials)
    await ground.control(behaviour="confirm", delay_s=0.0)
    assert await ground.sign("chutich", signatory) == ["recorded"]
    await reconciling.look(ground.engine)
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use_check") == 0, "it is not ripe yet"
    assert await ground.found() == ["agreed"]
    await sampling.sample(ground.worker, ground.clock())
    assert sampling._DIFFERENCES._value.get() == 0

    initials, signatory, _ = await ground.submitted("muon")
    await ground.sign("kynhay", initials)
    await ground.control(behaviour="silent")
    accepted = await ground.ask("chutich", signatory)
    await runner_for(ground).drain()
    await polling.look(ground.engine, "sp769")
    ground.clock.shift = timedelta(minutes=8)
    await sweeping.sweep(ground.engine)
    await polling.look(ground.engine, "sp769")
    assert await ground.outcomes(accepted.ticket) == ["expired"]
    assert await ground.found() == ["agreed"], "the service still waits for the person"
    late = await ground.db.admin.fetchval("SELECT id FROM holder_transaction WHERE outcome = 'expired'")
    await ground.control(f"/{late}/confirm")
    assert await ground.found() == ["agreed", "signed-there"]
    assert await ground.found() == ["agreed", "signed-there"]
    told = await ground.db.admin.fetchval("SELECT detail FROM audit WHERE action = 'key-use.differs'")
    assert told == {"holder": "sp769", "transaction": late, "found": "signed-there"}
    await sampling.sample(ground.worker, ground.clock())
    assert sampling._DIFFERENCES._value.get() == 1


def test_each_difference_has_its_word():
    def told(state: str, **values: bytes) -> Outcome:
        return Outcome(transaction_id="mc", state=state, values=values)

    ours = {"a": b"1", "b": None}
    assert reconciling.found_of("signed", ours, told("signed", a=b"1")) == "agreed"
    assert reconciling.found_of("signed", ours, told("signed", a=b"1", b=b"unfit")) == "agreed", "put aside here"
    for values in ({"a": b"2"}, {}, {"a": b"1", "c": b"3"}):
        assert reconciling.found_of("signed", ours, told("signed", **values)) == "other-values"
    for state in ("unknown", "refused", "expired", "failed"):
        assert reconciling.found_of("signed", ours, told(state)) == "not-known"
        assert reconciling.found_of("expired", {}, told(state)) == "agreed"
    assert reconciling.found_of("refused", {}, told("signed", a=b"1")) == "signed-there"
    assert reconciling.found_of("expired", {}, told("waiting")) is None
