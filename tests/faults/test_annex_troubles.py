"""A separate annex sealed in one ticket with its main document: one authorisation, and what a failure leaves."""

import asyncio

import pytest
import pytest_asyncio

from api.documents import results
from api.documents.contract import NewDocument
from api.signatures import tickets
from api.signatures.engine import polling, sweeping
from tests.csc_ground import AS_BEFORE, Csc
from tests.signer_process import remote_signer
from tests.signing_ground import Ground, runner_for

pytestmark = pytest.mark.alone


class Office(Ground):
    """A ward whose keys lie with a CSC service: it can leave out a value, or be refused."""

    async def against(self, url: str) -> "Office":
        self.csc = Csc(url, "v1", self.room)
        await self.csc.control(**AS_BEFORE)
        await self.open({"csc": self.csc.holder})
        await self.db.admin.execute("UPDATE certificate SET holder = 'csc', credential_id = serial")
        return self

    async def both(self, *, signed: bool = True, annex_first: bool = True):
        """A main document and its annex, both submitted; the requests of the main one, and the annex's seal.

        Hashes leave in the order in which their documents were submitted.
        """
        main, _ = await self.draft("van ban chinh")
        result = await self.db.admin.fetchval("SELECT result_id FROM document WHERE id = $1", main)
        drafter = self.actor("thuly")
        async with self.app.transaction() as tx:
            wanted = NewDocument(act="separate_annex", main_document_id=main)
            annex = await results.add_document(tx, drafter, result, wanted, self.clock())
        await self.drafted_from_a_page(annex.id, drafter, "phu luc")
        made = {one: await self.submit(one, "thuly") for one in ((annex.id, main) if annex_first else (main, annex.id))}
        (annexed,), (initials, signatory, seal) = made[annex.id], made[main]
        if signed:
            await self.sign("kynhay", initials)
            assert await self.signs("chutich", signatory) == ["recorded"]
        return initials, signatory, seal, annexed

    async def signs(self, who: str, *requests) -> list[str]:
        accepted = await self.ask(who, *requests)
        async with asyncio.timeout(120):
            while None in (outcomes := await self.outcomes(accepted.ticket)):
                await runner_for(self).drain()
                await sweeping.sweep(self.engine)
                await polling.look(self.engine, "csc")
                await runner_for(self).drain()
                await asyncio.sleep(0.05)
        self.ticket = accepted.ticket
        return outcomes

    async def listed(self) -> set:
        """What the clerk's list shows."""
        async with self.app.reading() as tx:
            return {line.id for line in (await tickets.to_sign(tx, self.actor("vanthu"), None, 200)).items}

    async def numbers(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in await self.db.admin.fetch("SELECT text, state FROM number ORDER BY n")]


@pytest_asyncio.fixture
async def ground(province_db, province):
    async with remote_signer(province.pki, "csc") as url:
        ground = await Office(province_db, province).against(url)
        yield ground
        await ground.close()
        for holder in ground.csc.made:
            await holder.close()


async def test_one_ask_one_authorisation_and_the_same_number_in_either_order(ground):
    for annex_first in (False, True):
        *_, seal, annexed = await ground.both()
        before = len((await ground.csc.told())["authorisations"])
        asked = (annexed, seal) if annex_first else (seal, annexed)
        assert await ground.signs("vanthu", *asked) == ["recorded", "recorded"]
        (one,) = (await ground.csc.told())["authorisations"][before:]
        assert len(one["hashes"]) == 2
        issued = "SELECT state FROM result WHERE id = (SELECT result_id FROM signature_request WHERE id = $1)"
        assert await ground.db.admin.fetchval(issued, seal) == "issued"
        order = await ground.db.admin.fetch(
            "SELECT id FROM signature_request WHERE id = ANY ($1::uuid[]) ORDER BY recorded_at", [seal, annexed]
        )
        assert [row["id"] for row in order] == [seal, annexed], "the annex is recorded after its main document"


async def test_the_clerks_list_shows_an_annex_when_its_main_document_waits_for_the_seal(ground):
    initials, signatory, seal, annexed = await ground.both(signed=False)
    assert await ground.listed() == set()
    await ground.sign("kynhay", initials)
    assert await ground.listed() == set()
    assert await ground.signs("chutich", signatory) == ["recorded"]
    assert await ground.listed() == {seal, annexed}
    assert await ground.signs("vanthu", annexed) == ["failed"]
    assert await ground.details(ground.ticket) == ["main-not-sealed"]
    assert await ground.listed() == {seal, annexed}
    assert await ground.signs("vanthu", seal) == ["recorded"]
    assert await ground.listed() == {annexed}
    assert await ground.signs("vanthu", annexed) == ["recorded"]


@pytest.mark.parametrize("main_fails", [True, False])
async def test_where_one_of_the_two_gets_no_value_the_other_is_in_a_clear_state(ground, main_fails):
    """The service leaves out the second value. Without its main document no annex is recorded, whatever it has."""
    *_, seal, annexed = await ground.both(annex_first=main_fails)
    await ground.csc.control(behaviour="partial")
    asked = (annexed, seal) if main_fails else (seal, annexed)
    outcomes = await ground.signs("vanthu", *asked)
    codes = await ground.details(ground.ticket)
    if main_fails:
        assert (outcomes, codes) == (["failed", "failed"], ["main-not-sealed", "no-value"])
        assert await ground.listed() == {seal, annexed}
        assert [state for _, state in await ground.numbers()] == ["void"]
    else:
        assert (outcomes, codes) == (["recorded", "failed"], [None, "no-value"])
        assert await ground.listed() == {annexed}
    await ground.csc.control(behaviour="confirm")
    again = (seal, annexed) if main_fails else (annexed,)
    assert await ground.signs("vanthu", *again) == ["recorded"] * len(again)
    assert [state for _, state in await ground.numbers()] == (["void", "used"] if main_fails else ["used"])


async def test_where_the_person_refuses_both_are_back_in_the_list(ground):
    *_, seal, annexed = await ground.both()
    await ground.csc.control(behaviour="refuse")
    assert await ground.signs("vanthu", seal, annexed) == ["refused", "refused"]
    assert await ground.listed() == {seal, annexed}


async def test_the_database_records_no_annex_before_its_main_document_is_sealed(ground):
    *_, annexed = await ground.both()
    with pytest.raises(Exception, match="main document is not sealed"):
        await ground.db.admin.execute(
            "UPDATE signature_request SET state = 'recorded', recorded_at = now() WHERE id = $1", annexed
        )
