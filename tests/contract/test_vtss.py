"""What is special in a remote signer of Viettel MySign's shape: log-ins of one person each, its states, its names."""

import asyncio
import hashlib
import os

import aiohttp
import msgspec
import pytest

from signing.contract import Outcome, SignItem, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable, ValueMismatch
from signing.holders import HolderConfig, open_holder
from signing.keys.vtss import VtssSettings
from signing.pdf.cms import check_value, signed_attributes
from tests.paper import pki
from tests.signer_process import remote_signer


@pytest.fixture(scope="module")
async def server():
    async with remote_signer(pki(), "vtss") as url:
        yield url


class MySign:
    """The service, its holders, and the hand that controls it."""

    def __init__(self, url, room) -> None:
        self.url, self.room, self.made = url, room, []
        self.holder = self.another()

    def another(self, **changes):
        values = {
            "base_url": f"{self.url}/vtss/service", "client_id": "motcua", "client_secret": "demo-secret",
            "profile_id": "adss:ras:profile:001", "state_dir": str(self.room / "vtss"), "check_every_s": 0.02,
            "certificate_class": "demo", "timeout_s": 5.0, **changes,
        }  # fmt: skip
        self.made.append(open_holder(HolderConfig(kind="vtss", production=False, vtss=VtssSettings(**values))))
        return self.made[-1]

    async def control(self, path="", **changes):
        async with aiohttp.ClientSession() as web, web.post(f"{self.url}/control{path}", json=changes) as answer:
            return await answer.json()

    async def told(self):
        async with aiohttp.ClientSession() as web, web.get(f"{self.url}/control") as answer:
            return await answer.json()

    async def asked(self, order):
        return [one for one in (await self.told())["transactions"] if one["description"] == order.transaction_id]

    async def order(self, count=3, owner="leader", *, mechanism="ecdsa", digests=None, name="Quyết định"):
        (held,) = await self.holder.list_certificates(owner)
        items = tuple(
            SignItem(item_id=f"item-{number}", tbs_sha256=digest, name=name)
            for number, digest in enumerate(digests or [os.urandom(32) for _ in range(count)])
        )
        told = os.urandom(12).hex()
        return SignOrder(
            transaction_id=told, credential_id=held.credential_id, owner=owner, items=items, mechanism=mechanism,
            description=told,
        )  # fmt: skip


@pytest.fixture
async def mysign(server, tmp_path):
    made = MySign(server, tmp_path)
    await made.control(behaviour="confirm", delay_s=0.0, by_hand=False, answer_delay_s=0.0, down=False, window_s=240.0)
    yield made
    for holder in made.made:
        await holder.close()


async def outcome(holder, order) -> Outcome:
    for _ in range(600):
        told = await holder.poll(order.transaction_id)
        if told.state != "waiting":
            return told
        await asyncio.sleep(0.02)
    raise AssertionError(told)


async def until_asked(mysign, *orders) -> None:
    async with asyncio.timeout(10):
        while not all([await mysign.asked(order) for order in orders]):
            await asyncio.sleep(0.02)


async def test_fifty_documents_are_one_transaction_and_the_person_reads_their_names(mysign):
    order = await mysign.order(50, name="H26.99.01-261120-0001 · Quyết định về việc cấp giấy xác nhận tình trạng " * 2)
    await mysign.holder.start(order)
    assert len((await outcome(mysign.holder, order)).values) == 50
    (asked,) = await mysign.asked(order)
    assert (asked["key_uses"], len(asked["hashes"])) == (1, 50)
    assert asked["names"][0].startswith("H26.99.01-261120-0001 · Quyết định về việc")
    with pytest.raises(HolderRefused):
        await mysign.holder.start(await mysign.order(51))


@pytest.mark.parametrize(("owner", "mechanism"), [("leader", "ecdsa"), ("leader-rsa", "rsa_pkcs1v15")])
async def test_values_in_lines_fit_what_was_asked(mysign, owner, mechanism):
    (held,) = await mysign.holder.list_certificates(owner)
    attributes = signed_attributes(held.certificate, os.urandom(32))
    digests = [hashlib.sha256(attributes).digest()]
    order = await mysign.order(owner=owner, mechanism=mechanism, digests=digests)
    await mysign.holder.start(order)
    check_value(held.certificate, attributes, (await outcome(mysign.holder, order)).values["item-0"], mechanism)
    for behaviour in ("garbage", "wrong_hash"):
        await mysign.control(behaviour=behaviour)
        order = await mysign.order(owner=owner, mechanism=mechanism, digests=digests)
        await mysign.holder.start(order)
        with pytest.raises(ValueMismatch):
            check_value(held.certificate, attributes, (await outcome(mysign.holder, order)).values["item-0"], mechanism)
    with pytest.raises(HolderRefused):
        await mysign.holder.start(await mysign.order(owner="leader-rsa", mechanism="rsa_pss"))


async def test_a_person_confirms_later_refuses_or_is_silent(mysign):
    await mysign.control(by_hand=True)
    yes, no, silent = [await mysign.order() for _ in range(3)]
    for order in (yes, no, silent):
        await mysign.holder.start(order)
        assert (await mysign.holder.poll(order.transaction_id)).state == "waiting"
    await until_asked(mysign, yes, no, silent)
    await mysign.control(f"/{yes.transaction_id}/confirm")
    await mysign.control(f"/{no.transaction_id}/refuse")
    assert (await outcome(mysign.holder, yes)).state == "signed"
    assert (await outcome(mysign.holder, no)).state == "refused"
    await mysign.control(window_s=0.0)
    assert (await outcome(mysign.holder, silent)).state == "expired"


async def test_two_signers_ask_once_and_after_a_death_it_is_asked_anew(mysign):
    await mysign.control(by_hand=True)
    order, other = await mysign.order(), mysign.another()
    await asyncio.gather(*(holder.start(order) for holder in (mysign.holder, other) for _ in range(4)))
    await until_asked(mysign, order)
    assert {(await one.poll(order.transaction_id)).state for one in (mysign.holder, other)} == {"waiting"}
    assert len(await mysign.asked(order)) == 1
    await mysign.holder.close()
    await other.close()
    third = mysign.another()
    assert (await third.poll(order.transaction_id)).state == "unknown"
    await third.start(order)
    async with asyncio.timeout(10):
        while len(await mysign.asked(order)) < 2:
            await asyncio.sleep(0.02)
    await mysign.control(f"/{(await mysign.asked(order))[-1]['id']}/confirm")
    assert (await outcome(third, order)).state == "signed"


async def test_log_ins_that_ended_early_and_a_service_that_is_down_while_the_person_looks(mysign):
    await mysign.control(by_hand=True)
    order = await mysign.order()
    await mysign.holder.start(order)
    await until_asked(mysign, order)
    await mysign.control("/all/forget-tokens")
    await mysign.control(down=True)
    with pytest.raises(HolderUnavailable):
        await outcome(mysign.holder, order)
    await mysign.control(f"/{order.transaction_id}/confirm")
    await mysign.control(down=False)
    async with asyncio.timeout(10):
        while mysign.holder._errands._under_way:
            await asyncio.sleep(0.02)
    assert (await mysign.holder.poll(order.transaction_id)).state == "signed"
    assert len(await mysign.asked(order)) == 1


async def test_silence_strangers_and_others_keys(mysign):
    order = await mysign.order()
    await mysign.control(down=True)
    with pytest.raises(HolderUnavailable):
        await mysign.holder.poll("never-seen")
    await mysign.control(down=False)
    with pytest.raises(HolderRefused):
        await mysign.holder.start(msgspec.structs.replace(order, owner="leader-rsa"))
    assert await mysign.asked(order) == []
    with pytest.raises(HolderMisconfigured):
        await mysign.another(client_secret="wrong").list_certificates("leader")
    with pytest.raises(HolderRefused):
        mysign.holder.read_webhook({}, b"{}")


async def test_neither_tokens_nor_the_persons_number_are_in_a_file(mysign):
    order = await mysign.order()
    await mysign.holder.start(order)
    told = await outcome(mysign.holder, order)
    kept = "\n".join(path.read_text() for path in (mysign.room / "vtss").iterdir())
    assert order.transaction_id in kept
    for secret in ("demo-secret", '"leader"', *(await mysign.told())["secrets"]):
        assert secret not in kept + repr(told) + repr(mysign.holder._settings)
