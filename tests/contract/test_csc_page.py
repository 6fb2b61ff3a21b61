"""A CSC credential that is authorised on the provider's page: what the page names, and what comes back."""

import asyncio
import hashlib
import os
import time
from urllib.parse import parse_qs, parse_qsl, urlsplit

import aiohttp
import msgspec
import pytest

from loadtests.outside.csc_page import press
from signing.contract import Outcome
from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable
from signing.holders import HolderConfig, open_holder
from signing.pages import PageAnswer, PageHolder
from signing.pdf.cms import check_value, signed_attributes
from tests.csc_ground import AS_BEFORE, Csc, csc_settings
from tests.paper import pki
from tests.signer_process import remote_signer

BACK = "http://localhost:8080/holders/csc/page"
ENDED = ("signed", "refused", "expired", "failed")


@pytest.fixture(scope="module")
async def server():
    async with remote_signer(pki(), "csc") as url:
        yield url


@pytest.fixture(params=["v1", "v2"])
async def csc(request, server, tmp_path):
    made = PageCsc(server, request.param, tmp_path)
    await made.control(**{**AS_BEFORE, "auth": "page", "redirect_uris": [BACK]})
    yield made
    for holder in made.made:
        await holder.close()


class PageCsc(Csc):
    """The same service with its page set up, and a person's browser."""

    def another(self, **changes):
        page = {"oauth2_url": f"{self.url}/csc/{self.version}", "redirect_uri": BACK}
        return super().another(**{**page, **changes})

    async def presses(self, url: str, button: str = "confirm") -> PageAnswer:
        async with aiohttp.ClientSession() as browser:
            said = dict(parse_qsl(urlsplit(await press(browser, url, button)).query))
        return PageAnswer(
            state=said["state"], code=said.get("code", ""), error=said.get("error", ""), issuer=said.get("iss", "")
        )


async def outcome(holder, order) -> Outcome:
    for _ in range(600):
        told = await holder.poll(order.transaction_id)
        if told.state in ENDED:
            return told
        await asyncio.sleep(0.02)
    raise AssertionError(told)


@pytest.mark.parametrize("pushed", [False, True])
async def test_one_page_authorises_a_whole_batch_and_nothing_of_it_passes_through_us(csc, pushed):
    holder = csc.another(pushed=pushed)
    assert isinstance(holder, PageHolder)
    (held,) = await holder.list_certificates("leader")
    attributes = [signed_attributes(held.certificate, os.urandom(32)) for _ in range(200 if pushed else 150)]
    order = await csc.order(digests=[hashlib.sha256(one).digest() for one in attributes])
    begun = await holder.start(order)
    asked = parse_qs(urlsplit(begun.page.url).query)
    if pushed:
        assert set(asked) == {"client_id", "request_uri"}, "no hash stands in the address"
    else:
        assert asked["scope"] == ["credential"]
        assert asked["code_challenge_method"] == ["S256"]
        assert len(asked["hash" if csc.version == "v1" else "hashes"][0].split(",")) == 150
    assert len(begun.page.url) < 8000
    assert await holder.poll(order.transaction_id) == Outcome(transaction_id=order.transaction_id, state="waiting")
    before = (await csc.told())["calls"]
    await holder.take_answer(order.transaction_id, await csc.presses(begun.page.url))
    told = await outcome(holder, order)
    for number, one in enumerate(attributes):
        check_value(held.certificate, one, told.values[f"item-{number}"], "ecdsa")
    after = (await csc.told())["calls"]
    made = {method: after[method] - before.get(method, 0) for method in after}
    assert made["signatures/signHash"] == 1
    assert made.get("credentials/authorize", 0) == 0


async def test_begun_again_it_is_the_same_page_also_in_another_process(csc):
    order = await csc.order()
    first = await csc.holder.start(order)
    other = csc.another()
    assert first.page == (await csc.holder.start(order)).page == (await other.start(order)).page
    await other.take_answer(order.transaction_id, await csc.presses(first.page.url))
    assert (await outcome(csc.holder, order)).state == "signed"
    assert await csc.holder.start(order) is None


async def test_a_second_answer_changes_nothing_and_uses_the_key_once(csc):
    order = await csc.order()
    page = (await csc.holder.start(order)).page
    answer = await csc.presses(page.url)
    for _ in range(3):
        await csc.holder.take_answer(order.transaction_id, answer)
    assert (await outcome(csc.holder, order)).state == "signed"
    await csc.holder.take_answer(order.transaction_id, msgspec.structs.replace(answer, code="another", error="no"))
    assert (await csc.holder.poll(order.transaction_id)).state == "signed"


async def test_anothers_state_is_not_taken(csc):
    mine, theirs = await csc.order(), await csc.order()
    await csc.holder.start(mine)
    answer = await csc.presses((await csc.holder.start(theirs)).page.url)
    await csc.holder.take_answer(mine.transaction_id, answer)
    assert (await csc.holder.poll(mine.transaction_id)).state == "waiting"
    await csc.holder.take_answer(theirs.transaction_id, answer)
    assert (await outcome(csc.holder, theirs)).state == "signed"


async def test_a_code_of_anothers_page_does_not_fit_this_verifier(csc):
    mine, theirs = await csc.order(), await csc.order()
    page = (await csc.holder.start(mine)).page
    stolen = await csc.presses((await csc.holder.start(theirs)).page.url)
    await csc.holder.take_answer(mine.transaction_id, msgspec.structs.replace(stolen, state=page.state))
    told = await outcome(csc.holder, mine)
    assert (told.state, told.detail) == ("failed", "page-code-refused")


async def test_the_person_refuses_the_page_fails_or_is_too_late(csc):
    refused, failed, late = [await csc.order() for _ in range(3)]
    page = (await csc.holder.start(refused)).page
    await csc.holder.take_answer(refused.transaction_id, await csc.presses(page.url, "refuse"))
    assert (await outcome(csc.holder, refused)).state == "refused"
    page = (await csc.holder.start(failed)).page
    await csc.holder.take_answer(failed.transaction_id, PageAnswer(state=page.state, error="server_error"))
    assert (await outcome(csc.holder, failed)).detail == "page-failed"
    hasty = csc.another(window_s=1)
    page = (await hasty.start(late)).page
    answer = await csc.presses(page.url)
    await asyncio.sleep(1.1)
    assert (await hasty.poll(late.transaction_id)).state == "expired"
    await hasty.take_answer(late.transaction_id, answer)
    assert (await hasty.poll(late.transaction_id)).state == "expired"


async def test_a_code_that_is_too_old_is_not_taken(csc):
    await csc.control(code_s=0.0)
    order = await csc.order()
    answer = await csc.presses((await csc.holder.start(order)).page.url)
    await csc.holder.take_answer(order.transaction_id, answer)
    assert (await outcome(csc.holder, order)).detail == "page-code-refused"


async def test_an_authorisation_server_that_is_not_the_one_set_up_gets_nothing(csc):
    """Mix-up (RFC 9207): the answer must name the issuer that is set up, and no code goes anywhere else."""
    holder = csc.another(oauth2_issuer="https://ky.example.vn")
    for issuer in ("", "https://evil.example"):
        await csc.control(issuer=issuer)
        order = await csc.order()
        await holder.take_answer(order.transaction_id, await csc.presses((await holder.start(order)).page.url))
        assert (await outcome(holder, order)).detail == "page-mixed-up"
        assert (await csc.told())["authorisations"][-1]["sad"] == "", "the code stays here"
    await csc.control(issuer="https://ky.example.vn")
    order = await csc.order()
    await holder.take_answer(order.transaction_id, await csc.presses((await holder.start(order)).page.url))
    assert (await outcome(holder, order)).state == "signed"


async def test_a_process_that_dies_with_a_code_in_hand_leaves_it_to_the_next(csc):
    order = await csc.order()
    page = (await csc.holder.start(order)).page
    answer = await csc.presses(page.url)
    await csc.control(down=True)
    await csc.holder.take_answer(order.transaction_id, answer)
    await asyncio.sleep(0.2)
    with pytest.raises(HolderUnavailable):
        await csc.holder.poll(order.transaction_id)
    await csc.holder.close()
    await csc.control(down=False)
    assert (await outcome(csc.another(), order)).state == "signed"


async def test_without_the_page_set_up_or_known_here_nothing_is_asked(csc):
    order = await csc.order()
    plain = csc.another(oauth2_url="")
    with pytest.raises(HolderRefused, match="page"):
        await plain.start(order)
    with pytest.raises(HolderUnavailable):
        await csc.holder.take_answer("mc-nobody-knows", PageAnswer(state="x" * 43, code="y"))
    assert plain.capabilities.hashes_per_authorisation == 200
    assert csc.holder.capabilities.hashes_per_authorisation == 150
    assert csc.another(pushed=True).capabilities.hashes_per_authorisation == 200


def test_in_production_page_and_way_back_use_tls(tmp_path):
    good = {"base_url": "https://ky", "oauth2_url": "https://ky", "redirect_uri": "https://mc", "development": False}
    for wrong in ("oauth2_url", "redirect_uri"):
        settings = csc_settings("", "v2", tmp_path, **{**good, wrong: "http://ky"})
        with pytest.raises(HolderMisconfigured, match="TLS"):
            open_holder(HolderConfig(kind="csc", production=True, csc=settings))


async def test_the_ledger_holds_no_sad_and_no_token(csc):
    order = await csc.order()
    began = time.time()
    await csc.holder.take_answer(order.transaction_id, await csc.presses((await csc.holder.start(order)).page.url))
    await outcome(csc.holder, order)
    written = b"".join(path.read_bytes() for path in (csc.room / "csc").iterdir() if path.stat().st_mtime >= began - 1)
    secrets = (await csc.told())["secrets"]
    assert secrets
    assert not [one for one in secrets if one.encode() in written]
