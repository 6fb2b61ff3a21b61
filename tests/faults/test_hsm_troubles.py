"""Seals and signatures by an HSM through the whole engine: gone and back, out of order, restarted, of one mind."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
import pytest_asyncio

from api.signatures.engine import polling, sweeping
from tests.hsm import DEVICE_ERROR, hsm, spoiled_sign
from tests.many_documents import lay_many
from tests.signing_ground import Ground, Threads, runner_for

pytestmark = pytest.mark.alone


class OneByOne(Threads):
    """One piece of PDF work at a time: pictures are not made for several threads."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(self, work, *args, timeout_s, **kwargs):
        async with self._lock:
            return await super().run(work, *args, timeout_s=timeout_s, **kwargs)


class Housed(Ground):
    """A ward whose keys are in an HSM."""

    async def housed(self, token) -> "Housed":
        self.token = token
        await self.open({"pkcs11": token.holder()})
        self.engine = dataclasses.replace(self.engine, workshop=OneByOne())
        await self.db.admin.execute("UPDATE certificate SET holder = 'pkcs11'")
        return self

    async def once(self) -> None:
        await runner_for(self).drain()
        await sweeping.sweep(self.engine)
        await polling.look(self.engine, "pkcs11")
        await runner_for(self).drain()

    async def ended(self, ticket) -> list[str]:
        async with asyncio.timeout(60):
            while None in (outcomes := await self.outcomes(ticket)):
                await self.once()
                await asyncio.sleep(0.05)
        return outcomes

    async def key_uses(self) -> list:
        return await self.db.admin.fetch(
            "SELECT request_id, count(*) AS uses, count(DISTINCT tbs_sha256) AS hashes FROM key_use GROUP BY request_id"
        )


@pytest_asyncio.fixture
async def ground(province_db, province):
    with hsm(province.pki, ("chutich.kinhbac", "seal.")) as token:
        ground = await Housed(province_db, province).housed(token)
        yield ground
        assert all(row["hashes"] == 1 for row in await ground.key_uses())
        await ground.close()


async def submitted_many(ground, count: int) -> list:
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    return await lay_many(ground, model, count)


async def test_a_document_is_signed_and_sealed_by_an_hsm(ground):
    initials, signatory, seal = await ground.submitted("hsm")
    await ground.sign("kynhay", initials)
    for who, request in (("chutich", signatory), ("vanthu", seal)):
        accepted = await ground.ask(who, request)
        assert await ground.ended(accepted.ticket) == ["recorded"]
    assert [row["uses"] for row in await ground.key_uses()] == [1, 1]


async def test_an_hsm_that_is_ill_in_the_middle_of_a_batch_ends_every_item_over_the_same_hashes(ground):
    requests = await submitted_many(ground, 12)
    asked = 0

    def ill(real, arguments):
        nonlocal asked
        asked += bool(arguments[3])
        return DEVICE_ERROR if arguments[3] and asked == 9 else real(*arguments)

    with spoiled_sign(ill):
        accepted = await ground.ask("chutich", *requests)
        await runner_for(ground).drain()
        assert await ground.states(*requests) == ["sent"] * 12
        holder = ground.engine.holders["pkcs11"]
        async with asyncio.timeout(10):
            while holder._opened.flag.up:
                await asyncio.sleep(0.02)
        await ground.db.admin.execute("UPDATE holder_transaction SET poll_at = now()")
        outcomes = await ground.ended(accepted.ticket)
        assert await ground.details(accepted.ticket) == [None] * 12
        assert outcomes == ["recorded"] * 12
    assert asked == 13, "what was signed before was not signed again"


async def test_a_token_that_stays_away_keeps_nobody_waiting_beyond_the_window(ground):
    (request,) = await submitted_many(ground, 1)
    with ground.token.gone():
        accepted = await ground.ask("chutich", request)
        await runner_for(ground).drain()
        assert await ground.states(request) == ["sent"]
        ground.clock.shift = timedelta(minutes=8)
        assert await ground.ended(accepted.ticket) == ["expired"]
        assert await ground.details(accepted.ticket) == ["holder-silent"]
    assert await ground.states(request) == ["to_sign"]


async def test_after_a_restart_the_same_hashes_are_signed_and_counted(ground):
    (request,) = await submitted_many(ground, 1)
    accepted = await ground.ask("chutich", request)
    await runner_for(ground).drain()
    await ground.engine.holders["pkcs11"].close()
    ground.engine.holders["pkcs11"] = ground.token.holder()
    assert await ground.ended(accepted.ticket) == ["recorded"]
    (row,) = [row for row in await ground.key_uses() if row["request_id"] == request]
    assert (row["uses"], row["hashes"]) == (2, 1)
