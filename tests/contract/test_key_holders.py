"""One contract for every key holder: key files and a token in this process, remote signers as real servers."""

import asyncio
import contextlib
import hashlib
import os
import socket

import aiohttp
import msgspec
import pytest
from aiohttp import web
from cryptography import x509

from signing.contract import Outcome, SignItem, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable, ValueMismatch
from signing.holders import HolderConfig, open_holder
from signing.keys.sp769 import SECRET_HEADER, Sp769Settings
from signing.keys.vtss import VtssSettings
from signing.pdf.cms import check_value, signed_attributes
from tests.csc_ground import csc_settings
from tests.hsm import hsm
from tests.paper import chain, pki
from tests.signer_process import remote_signer
from tests.upload_ground import upload_settings


class Remote:
    """The remote signer, its holder, and the hand that controls it."""

    def __init__(self, url, **changes):
        self.url = url
        settings = {
            "base_url": url, "sp_id": "motcua", "sp_password": "demo", "timeout_s": 5.0,
            "webhook_secret": "let me in", "certificate_class": "demo", **changes,
        }  # fmt: skip
        self.holder = open_holder(HolderConfig(kind="sp769", production=False, sp769=Sp769Settings(**settings)))

    async def control(self, path="", **body):
        async with aiohttp.ClientSession() as session:
            if body or path:
                async with session.post(f"{self.url}/control{path}", json=body) as answer:
                    return await answer.json()
            async with session.get(f"{self.url}/control") as answer:
                return await answer.json()


@pytest.fixture(scope="module")
async def server():
    async with remote_signer(pki()) as url:
        yield url


@pytest.fixture(scope="module")
async def csc_server():
    async with remote_signer(pki(), "csc") as url:
        yield url


@pytest.fixture(scope="module")
async def vtss_server():
    async with remote_signer(pki(), "vtss") as url:
        yield url


@pytest.fixture
async def remote(server):
    made = Remote(server)
    await made.control(
        behaviour="confirm", delay_s=0.0, by_hand=False, answer_delay_s=0.0, down=False, window_s=240.0,
        webhook_url="", webhook_times=1,
    )  # fmt: skip
    yield made
    await made.holder.close()


@pytest.fixture(scope="module")
def token():
    with hsm(pki()) as made:
        yield made


ANSWERING = ["software", "pkcs11", "sp769", "csc-v1", "csc-v2", "vtss"]
"""They are asked and answer; what a token signed is handed back by its bearer (tests/contract/test_upload.py)."""


@pytest.fixture(params=[*ANSWERING, "upload"])
async def holder(request, remote, token, csc_server, vtss_server, tmp_path):
    async with opened(request.param, remote, token, csc_server, vtss_server, tmp_path) as made:
        yield made


@pytest.fixture(params=ANSWERING)
async def answering(request, remote, token, csc_server, vtss_server, tmp_path):
    async with opened(request.param, remote, token, csc_server, vtss_server, tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def opened(kind, remote, token, csc_server, vtss_server, tmp_path):
    if kind == "sp769":
        yield remote.holder
        return
    config = {
        "software": HolderConfig(kind="software", production=False, keys=str(pki())),
        "pkcs11": HolderConfig(kind="pkcs11", production=False, pkcs11=token.settings()),
    }
    for version in ("v1", "v2"):
        service = csc_settings(csc_server, version, tmp_path, name=f"csc-{version}")
        config[f"csc-{version}"] = HolderConfig(kind="csc", production=False, csc=service)
    mysign = VtssSettings(
        base_url=f"{vtss_server}/vtss/service", client_id="motcua", client_secret="demo-secret", profile_id="profile",
        state_dir=str(tmp_path / "vtss"), check_every_s=0.02, certificate_class="demo",
    )  # fmt: skip
    config["vtss"] = HolderConfig(kind="vtss", production=False, vtss=mysign)
    config["upload"] = HolderConfig(kind="upload", production=False, upload=upload_settings(pki(), tmp_path))
    made = open_holder(config[kind])
    yield made
    await made.close()


def hashes(count: int) -> list[bytes]:
    return [hashlib.sha256(os.urandom(16)).digest() for _ in range(count)]


async def order_for(holder, owner="leader", *, count=3, mechanism="ecdsa", name=None, digests=None) -> SignOrder:
    held = (await holder.list_certificates(owner))[0]
    items = tuple(
        SignItem(item_id=f"item-{number}", tbs_sha256=digest, name=f"Quyết định {number}")
        for number, digest in enumerate(digests or hashes(count))
    )
    return SignOrder(
        transaction_id=name or os.urandom(12).hex(),
        credential_id=held.credential_id,
        owner=owner,
        items=items,
        mechanism=mechanism,
        description="Phê duyệt 3 văn bản",
    )


async def outcome(holder, transaction_id, *, until=("signed", "refused", "expired", "failed")) -> Outcome:
    for _ in range(400):
        told = await holder.poll(transaction_id)
        if told.state in until:
            return told
        await asyncio.sleep(0.02)
    raise AssertionError(told)


async def test_certificates_come_with_their_chain(holder):
    (held,) = await holder.list_certificates("leader")
    parsed = x509.load_der_x509_certificate(held.certificate)
    assert held.chain == chain()
    assert (parsed.not_valid_before_utc, parsed.not_valid_after_utc) == (held.valid_from, held.valid_to)
    assert await holder.list_certificates("nobody") == ()


@pytest.mark.parametrize(
    ("owner", "mechanism"), [("leader", "ecdsa"), ("leader-rsa", "rsa_pkcs1v15"), ("leader-rsa", "rsa_pss")]
)
async def test_values_fit_what_was_asked(answering, owner, mechanism):
    held = (await answering.list_certificates(owner))[0]
    attributes = [signed_attributes(held.certificate, digest) for digest in hashes(3)]
    digests = [hashlib.sha256(one).digest() for one in attributes]
    order = await order_for(answering, owner, mechanism=mechanism, digests=digests)
    if answering.capabilities.name == "vtss" and mechanism == "rsa_pss":  # its interface has no parameters for it
        with pytest.raises(HolderRefused):
            await answering.start(order)
        return
    await answering.start(order)
    told = await outcome(answering, order.transaction_id)
    assert told.state == "signed"
    assert set(told.values) == {"item-0", "item-1", "item-2"}
    for number, one in enumerate(attributes):
        check_value(held.certificate, one, told.values[f"item-{number}"], mechanism)
    with pytest.raises(ValueMismatch):
        check_value(held.certificate, attributes[0], told.values["item-1"], mechanism)


async def test_asking_twice_is_asking_once(answering):
    order = await order_for(answering)
    await answering.start(order)
    first = await outcome(answering, order.transaction_id)
    await answering.start(order)
    assert await outcome(answering, order.transaction_id) == first


async def test_an_unseen_transaction_is_unknown(answering):
    assert (await answering.poll("never-seen")).state == "unknown"


async def test_anothers_key_is_refused(holder):
    order = await order_for(holder)
    with pytest.raises(HolderRefused):
        await holder.start(msgspec.structs.replace(order, owner="leader-rsa"))


async def test_a_holder_says_what_it_can(holder):
    able = holder.capabilities
    assert able.hashes_per_authorisation > 0
    assert able.window.total_seconds() > 0
    assert able.parallel_limit > 0
    asks = {
        "software": False,
        "pkcs11": False,
        "sp769": True,
        "csc-v1": True,
        "csc-v2": True,
        "vtss": True,
        "upload": True,
    }
    assert able.asks_person == asks[able.name]
    assert able.carried == (able.name == "upload")
    assert able.development == (able.name in {"software", "upload"})


def test_key_files_do_not_open_in_production():
    with pytest.raises(HolderMisconfigured):
        open_holder(HolderConfig(kind="software", production=True, keys=str(pki())))
    plain = Sp769Settings(base_url="http://127.0.0.1:1", sp_id="x", sp_password="y")
    with pytest.raises(HolderMisconfigured):
        open_holder(HolderConfig(kind="sp769", production=True, sp769=plain))


def test_settings_keep_their_secrets_out_of_logs():
    settings = Sp769Settings(base_url="https://sca", sp_id="x", sp_password="hidden-1", webhook_secret="hidden-2")
    assert "hidden" not in repr(HolderConfig(kind="sp769", production=False, sp769=settings))


async def test_a_person_confirms_later_or_refuses_or_is_silent(remote):
    await remote.control(by_hand=True)
    yes, no, silent = [await order_for(remote.holder) for _ in range(3)]
    for order in (yes, no, silent):
        await remote.holder.start(order)
        assert (await remote.holder.poll(order.transaction_id)).state == "waiting"
    await remote.control(f"/{yes.transaction_id}/confirm")
    await remote.control(f"/{no.transaction_id}/refuse")
    assert (await remote.holder.poll(yes.transaction_id)).state == "signed"
    assert (await remote.holder.poll(no.transaction_id)).state == "refused"
    await remote.control(window_s=0.0)
    assert (await remote.holder.poll(silent.transaction_id)).state == "expired"


async def test_garbage_and_anothers_hash_do_not_pass_for_values(remote):
    (held,) = await remote.holder.list_certificates("leader")
    attributes = signed_attributes(held.certificate, hashes(1)[0])
    for behaviour in ("garbage", "wrong_hash"):
        await remote.control(behaviour=behaviour)
        order = await order_for(remote.holder, digests=[hashlib.sha256(attributes).digest()])
        await remote.holder.start(order)
        told = await outcome(remote.holder, order.transaction_id)
        with pytest.raises(ValueMismatch):
            check_value(held.certificate, attributes, told.values["item-0"], "ecdsa")


async def test_some_values_may_be_missing(remote):
    await remote.control(behaviour="partial")
    order = await order_for(remote.holder, count=4)
    await remote.holder.start(order)
    assert set((await outcome(remote.holder, order.transaction_id)).values) == {"item-0", "item-2"}


async def test_a_batch_over_the_limit_is_refused_before_it_is_sent(remote):
    order = await order_for(remote.holder, count=51)
    with pytest.raises(HolderRefused):
        await remote.holder.start(order)
    assert (await remote.holder.poll(order.transaction_id)).state == "unknown"


async def test_silence_and_breakdown_are_unavailability_and_no_second_key_use(remote):
    order = await order_for(remote.holder)
    await remote.control(down=True)
    with pytest.raises(HolderUnavailable):
        await remote.holder.start(order)
    await remote.control(down=False)
    hasty = Remote(remote.url, timeout_s=0.3)
    await remote.control(answer_delay_s=1.0)
    with pytest.raises(HolderUnavailable):
        await hasty.holder.start(order)
    await remote.control(answer_delay_s=0.0)
    await asyncio.sleep(1.1)
    await remote.holder.start(order)
    await outcome(remote.holder, order.transaction_id)
    assert (await remote.control())["transactions"][order.transaction_id]["key_uses"] == 1
    await hasty.holder.close()


async def test_wrong_credentials_are_a_matter_for_the_operator(remote):
    stranger = Remote(remote.url, sp_password="wrong")
    with pytest.raises(HolderMisconfigured):
        await stranger.holder.list_certificates("leader")
    await stranger.holder.close()


async def test_nobody_listening_is_unavailability():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        lonely = Remote(f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(HolderUnavailable):
            await lonely.holder.poll("x")
        await lonely.holder.close()


async def test_an_illegible_answer_is_unavailability():
    async def nonsense(_):
        return web.Response(text="<html>proxy error</html>")

    app = web.Application()
    app.router.add_post("/{rest:.*}", nonsense)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    odd = Remote(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        with pytest.raises(HolderUnavailable):
            await odd.holder.list_certificates("leader")
    finally:
        await odd.holder.close()
        await runner.cleanup()


async def test_webhooks_are_believed_with_the_secret_alone_and_may_come_twice(remote):
    received: asyncio.Queue = asyncio.Queue()

    async def take(request):
        received.put_nowait((dict(request.headers), await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    try:
        await remote.control(webhook_url=url, webhook_times=2, webhook_secret="let me in")
        order = await order_for(remote.holder)
        await remote.holder.start(order)
        (headers, body), again = [await asyncio.wait_for(received.get(), 10) for _ in range(2)]
    finally:
        await runner.cleanup()
    told = remote.holder.read_webhook(headers, body)
    assert told == remote.holder.read_webhook(*again)
    assert told == await remote.holder.poll(order.transaction_id)
    for forged in ({}, {SECRET_HEADER: ""}, {SECRET_HEADER: "guess"}):
        with pytest.raises(HolderRefused):
            remote.holder.read_webhook(forged, body)
    for spoilt in (b"", b"{}", body[:-20], body.replace(b"motcua", b"others")):
        with pytest.raises(HolderRefused):
            remote.holder.read_webhook({SECRET_HEADER: "let me in"}, spoilt)
    without = Remote(remote.url, webhook_secret="")
    with pytest.raises(HolderRefused):
        without.holder.read_webhook({SECRET_HEADER: ""}, body)


async def test_software_keys_keep_one_outcome_and_forget_with_the_process():
    first = open_holder(HolderConfig(kind="software", production=False, keys=str(pki())))
    order = await order_for(first)
    await asyncio.gather(*(first.start(order) for _ in range(5)))
    kept = await first.poll(order.transaction_id)
    assert kept.state == "signed"
    assert await first.poll(order.transaction_id) == kept
    second = open_holder(HolderConfig(kind="software", production=False, keys=str(pki())))
    assert (await second.poll(order.transaction_id)).state == "unknown"
