"""A signature that is authorised on the provider's page, through the whole engine: replay, another's state, another
session, mix-up, refusal, lateness. Each is told by its own code, and none uses a key."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from api.errors import MotcuaError
from api.signatures import ahead, paging, tickets
from api.signatures.engine import polling, sweeping
from loadtests.outside.csc_page import press
from tests.csc_ground import AS_BEFORE, Csc
from tests.signer_process import remote_signer
from tests.signing_ground import Ground, runner_for

pytestmark = pytest.mark.alone
ISSUER = "https://ky.example.vn"


class Paged(Ground):
    """A ward whose keys lie with a CSC service that asks its persons on a page."""

    async def against(self, url: str) -> "Paged":
        self.csc = Csc(url, "v2", self.room)
        await self.csc.control(**{**AS_BEFORE, "auth": "page", "issuer": ISSUER})
        self.holder = self.another()
        await self.open({"csc": self.holder})
        await self.db.admin.execute("UPDATE certificate SET holder = 'csc', credential_id = serial")
        return self

    def another(self):
        page = {"oauth2_url": f"{self.csc.url}/csc/v2", "redirect_uri": "http://localhost/holders/csc/page"}
        return self.csc.another(oauth2_issuer=ISSUER, **page)

    async def asked(self, who: str, request) -> tuple:
        """Ask, let it leave, and return the ticket with the page that it shows to whoever asked."""
        accepted = await self.ask(who, request)
        await runner_for(self).drain()
        async with self.app.reading() as tx:
            (page,) = (await tickets.ticket(tx, await ahead.look(tx), self.actor(who), accepted.ticket)).pages
        return accepted.ticket, page

    async def brought(self, page: str, button: str = "confirm") -> paging.Brought:
        async with aiohttp.ClientSession() as browser:
            said = dict(parse_qsl(urlsplit(await press(browser, page, button)).query))
        said["issuer"] = said.pop("iss", "")
        return msgspec.convert(said, paging.Brought)

    async def takes(self, who: str, brought: paging.Brought, *, holder: str = "csc", **actor) -> str:
        """What the API says to what a browser brought: the code of a refusal, or nothing."""
        whose = msgspec.structs.replace(self.actor(who), **actor)
        try:
            async with self.app.transaction() as tx:
                await paging.take(tx, whose, holder, brought, at=self.clock())
        except MotcuaError as error:
            return error.kind_code
        return ""

    async def ended(self, ticket) -> tuple[list[str], list]:
        async with asyncio.timeout(60):
            while None in (outcomes := await self.outcomes(ticket)):
                await runner_for(self).drain()
                await sweeping.sweep(self.engine)
                await polling.look(self.engine, "csc")
                await asyncio.sleep(0.05)
        return outcomes, await self.details(ticket)


@pytest_asyncio.fixture
async def ground(province_db, province):
    async with remote_signer(province.pki, "csc") as url:
        ground = await Paged(province_db, province).against(url)
        yield ground
        await ground.close()
        for holder in ground.csc.made:
            await holder.close()


async def to_sign(ground: Paged):
    initials, signatory, seal = await ground.submitted("csc page")
    await ground.sign("kynhay", initials)
    return signatory, seal


async def key_uses(ground: Paged) -> int:
    return sum(one["key_uses"] for one in (await ground.csc.told())["authorisations"])


async def test_signed_and_sealed_by_two_pages_and_each_answer_counts_once(ground):
    for who, request in zip(("chutich", "vanthu"), await to_sign(ground), strict=True):
        ticket, page = await ground.asked(who, request)
        brought = await ground.brought(page)
        assert await ground.takes(who, brought) == ""
        assert await ground.takes(who, brought) == "page-answered"
        assert await ground.takes(who, msgspec.structs.replace(brought, code="other")) == "page-answered"
        async with ground.app.reading() as tx:
            assert (await tickets.ticket(tx, await ahead.look(tx), ground.actor(who), ticket)).pages == []
        assert await ground.ended(ticket) == (["recorded"], [None])
        assert await ground.takes(who, brought) == "page-answered"
    assert await key_uses(ground) == 2
    kept = await ground.db.admin.fetch("SELECT detail FROM audit WHERE action = 'signature.page-answered'")
    assert len(kept) == 2


async def test_only_the_session_that_asked_sees_the_page_and_brings_its_answer(ground):
    signatory, _ = await to_sign(ground)
    ticket, page = await ground.asked("chutich", signatory)
    other = msgspec.structs.replace(ground.actor("chutich"), session_id=uuid4())
    async with ground.app.reading() as tx:
        assert (await tickets.ticket(tx, await ahead.look(tx), other, ticket)).pages == []
    brought = await ground.brought(page)
    assert await ground.takes("chutich", brought, session_id=other.session_id) == "page-of-another-session"
    assert await ground.takes("vanthu", brought) == "page-unknown"
    assert await ground.takes("chutich", msgspec.structs.replace(brought, state="x" * 43)) == "page-unknown"
    assert await ground.takes("chutich", brought, holder="csc2") == "page-mixed-up"
    assert await key_uses(ground) == 0
    assert await ground.takes("chutich", brought) == "", "none of these spoilt it"
    assert await ground.ended(ticket) == (["recorded"], [None])


@pytest.mark.parametrize(
    ("button", "change", "outcome", "code"),
    [
        ("refuse", {}, "refused", "refused-at-holder"),
        ("confirm", {"issuer": "https://evil.example"}, "failed", "page-mixed-up"),
        ("confirm", {"code": "", "error": "server_error"}, "failed", "page-failed"),
        ("confirm", {"code": "stolen"}, "failed", "page-code-refused"),
    ],
)
async def test_what_is_not_an_authorisation_ends_with_its_own_word_and_can_be_asked_again(
    ground, button, change, outcome, code
):
    signatory, _ = await to_sign(ground)
    ticket, page = await ground.asked("chutich", signatory)
    brought = msgspec.structs.replace(await ground.brought(page, button), **change)
    assert await ground.takes("chutich", brought) == ""
    assert await ground.ended(ticket) == ([outcome], [code])
    assert await key_uses(ground) == 0
    again, page = await ground.asked("chutich", signatory)
    assert await ground.takes("chutich", await ground.brought(page)) == ""
    assert await ground.ended(again) == (["recorded"], [None])


async def test_whoever_comes_too_late_is_told_so_and_the_document_is_back_in_the_list(ground):
    signatory, _ = await to_sign(ground)
    ticket, page = await ground.asked("chutich", signatory)
    brought = await ground.brought(page)
    ground.clock.shift += timedelta(minutes=5)
    assert await ground.takes("chutich", brought) == "page-too-late"
    ground.clock.shift += timedelta(minutes=2)
    assert await ground.ended(ticket) == (["expired"], ["not-confirmed"])
    assert await ground.states(signatory) == ["to_sign"]
    assert await key_uses(ground) == 0


async def test_a_signer_that_dies_with_the_code_in_hand_is_followed_by_one_that_goes_on(ground):
    signatory, _ = await to_sign(ground)
    ticket, page = await ground.asked("chutich", signatory)
    brought = await ground.brought(page)
    await ground.csc.control(down=True)
    assert await ground.takes("chutich", brought) == ""
    await runner_for(ground).drain()
    await asyncio.sleep(0.2)
    await ground.holder.close()
    ground.engine.holders["csc"] = ground.another()
    await ground.csc.control(down=False)
    assert await ground.ended(ticket) == (["recorded"], [None])
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use WHERE request_id = $1", signatory) == 1
    assert await key_uses(ground) == 1
