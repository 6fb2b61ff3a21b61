"""What is special in a remote signer by CSC, v1 and v2: who authorises what, what a crash leaves, what never leaks."""

import asyncio
import hashlib
import os
import socket

import msgspec
import pytest
from aiohttp import web

from signing.contract import Outcome
from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable, ValueMismatch
from signing.holders import HolderConfig, open_holder
from signing.keys.csc import SECRET_HEADER
from signing.pdf.cms import check_value, signed_attributes
from tests.csc_ground import AS_BEFORE, Csc, csc_settings
from tests.paper import pki
from tests.signer_process import remote_signer

ONLY_V2 = pytest.mark.parametrize("csc", ["v2"], indirect=True)
ENDED = ("signed", "refused", "expired", "failed")


@pytest.fixture(scope="module")
async def server():
    async with remote_signer(pki(), "csc") as url:
        yield url


@pytest.fixture(params=["v1", "v2"])
async def csc(request, server, tmp_path):
    made = Csc(server, request.param, tmp_path)
    await made.control(**AS_BEFORE)
    yield made
    for holder in made.made:
        await holder.close()


async def outcome(holder, order, until=ENDED) -> Outcome:
    for _ in range(600):
        told = await holder.poll(order.transaction_id)
        if told.state in until:
            return told
        await asyncio.sleep(0.02)
    raise AssertionError(told)


async def test_two_hundred_documents_are_one_authorisation_and_one_signhash(csc):
    order = await csc.order(200)
    before = (await csc.told())["calls"]
    await csc.holder.start(order)
    assert len((await outcome(csc.holder, order)).values) == 200
    after = (await csc.told())["calls"]
    made = {method: after[method] - before.get(method, 0) for method in after}
    assert made["credentials/authorize"] == made["signatures/signHash"] == 1
    assert made["credentials/list"] == made["credentials/info"] == 1
    (asked,) = await csc.asked(order)
    assert asked["key_uses"] == 1
    assert len(asked["hashes"]) == 200


@pytest.mark.parametrize(
    ("owner", "mechanism"), [("leader", "ecdsa"), ("leader-rsa", "rsa_pkcs1v15"), ("leader-rsa", "rsa_pss")]
)
async def test_services_name_an_algorithm_with_its_hash_or_by_the_key_alone(csc, owner, mechanism):
    (held,) = await csc.holder.list_certificates(owner)
    attributes = signed_attributes(held.certificate, os.urandom(32))
    digests = [hashlib.sha256(attributes).digest()]
    for names_only in (False, True):
        await csc.control(key_names_only=names_only)
        order = await csc.order(owner=owner, mechanism=mechanism, digests=digests)
        if names_only and mechanism == "rsa_pss":
            with pytest.raises(HolderRefused):
                await csc.holder.start(order)
            continue
        await csc.holder.start(order)
        told = await outcome(csc.holder, order)
        check_value(held.certificate, attributes, told.values["item-0"], mechanism)


async def test_a_person_confirms_later_refuses_or_is_silent(csc):
    await csc.control(by_hand=True)
    yes, no, silent = [await csc.order() for _ in range(3)]
    for order in (yes, no, silent):
        await csc.holder.start(order)
        assert (await csc.holder.poll(order.transaction_id)).state == "waiting"
    await until_asked(csc, yes, no, silent)
    await csc.control(f"/{yes.transaction_id}/confirm")
    await csc.control(f"/{no.transaction_id}/refuse")
    assert (await outcome(csc.holder, yes)).state == "signed"
    assert (await outcome(csc.holder, no)).state == "refused"
    assert (await csc.holder.poll(silent.transaction_id)).state == "waiting"
    await csc.control(window_s=0.0)
    assert (await outcome(csc.holder, silent)).state == "expired"
    assert (await csc.asked(silent))[0]["key_uses"] == 0


async def until_asked(csc, *orders) -> None:
    async with asyncio.timeout(10):
        while not all([await csc.asked(order) for order in orders]):
            await asyncio.sleep(0.02)


async def test_our_own_window_ends_a_wait_that_the_service_does_not(csc):
    await csc.control(behaviour="silent")
    holder = csc.another(window_s=1)
    order = await csc.order()
    await holder.start(order)
    assert (await outcome(holder, order)).state == "expired"


async def test_garbage_anothers_hash_and_missing_values(csc):
    (held,) = await csc.holder.list_certificates("leader")
    attributes = signed_attributes(held.certificate, os.urandom(32))
    for behaviour in ("garbage", "wrong_hash"):
        await csc.control(behaviour=behaviour)
        order = await csc.order(digests=[hashlib.sha256(attributes).digest()])
        await csc.holder.start(order)
        told = await outcome(csc.holder, order)
        with pytest.raises(ValueMismatch):
            check_value(held.certificate, attributes, told.values["item-0"], "ecdsa")
    await csc.control(behaviour="partial")
    order = await csc.order(4)
    await csc.holder.start(order)
    assert set((await outcome(csc.holder, order)).values) == {"item-0", "item-2"}


@pytest.mark.parametrize("profile", [{"auth": "secret"}, {"auth": "page"}, {"scal": "1"}, {"multisign": 2}])
async def test_nobody_is_asked_where_a_secret_would_pass_here_or_hashes_are_not_bound(csc, profile):
    order = await csc.order()
    await csc.control(**profile)
    with pytest.raises(HolderRefused) as refused:
        await csc.holder.start(order)
    assert await csc.asked(order) == []
    assert (await csc.holder.poll(order.transaction_id)).state == "unknown"
    assert ("PIN" in refused.value.en) == (profile == {"auth": "secret"})


async def test_a_sad_that_has_expired_ends_as_expired(csc):
    await csc.control(sad_s=-1.0)
    order = await csc.order()
    await csc.holder.start(order)
    told = await outcome(csc.holder, order)
    assert (told.state, told.values) == ("expired", {})


async def test_ten_starts_in_two_signers_ask_the_person_once(csc):
    await csc.control(by_hand=True)
    order = await csc.order()
    other = csc.another()
    await asyncio.gather(*(holder.start(order) for holder in (csc.holder, other) for _ in range(5)))
    await until_asked(csc, order)
    assert (await other.poll(order.transaction_id)).state == "waiting"
    assert (await csc.holder.poll(order.transaction_id)).state == "waiting"
    await csc.control(f"/{order.transaction_id}/confirm")
    assert await outcome(other, order) == await outcome(csc.holder, order)
    (asked,) = await csc.asked(order)
    assert asked["key_uses"] == 1


async def test_after_a_death_v2_goes_on_by_its_handle_and_v1_is_asked_anew(csc):
    await csc.control(by_hand=True)
    order = await csc.order()
    await csc.holder.start(order)
    await until_asked(csc, order)
    await asyncio.sleep(0.1)
    await csc.holder.close()  # what it knew is gone, and its locks with it
    other = csc.another()
    if csc.version == "v1":
        assert (await other.poll(order.transaction_id)).state == "unknown"
        await other.start(order)
    assert (await other.poll(order.transaction_id)).state == "waiting"
    async with asyncio.timeout(10):
        while len(await csc.asked(order)) != (2 if csc.version == "v1" else 1):
            await asyncio.sleep(0.02)
    last = (await csc.asked(order))[-1]
    await csc.control(f"/{last['handle']}/confirm")
    assert (await outcome(other, order)).state == "signed"
    assert sum(one["key_uses"] for one in await csc.asked(order)) == 1


async def test_silence_is_unavailability_and_the_same_hashes_are_asked_again(csc):
    order = await csc.order()
    await csc.control(down=True)
    with pytest.raises(HolderUnavailable):
        await csc.holder.start(order)
    with pytest.raises(HolderUnavailable):
        await csc.holder.poll(order.transaction_id)
    await csc.control(down=False)
    assert (await csc.holder.poll(order.transaction_id)).state == "unknown"
    await csc.holder.start(order)
    assert (await outcome(csc.holder, order)).state == "signed"
    assert len(await csc.asked(order)) == 1


@ONLY_V2
async def test_v2_outlasts_a_service_that_is_down_while_the_person_confirms(csc):
    await csc.control(by_hand=True)
    order = await csc.order()
    await csc.holder.start(order)
    await until_asked(csc, order)
    await csc.control(down=True)
    with pytest.raises(HolderUnavailable):
        await outcome(csc.holder, order)
    await csc.control(f"/{order.transaction_id}/confirm")
    await csc.control(down=False)
    async with asyncio.timeout(10):
        while True:
            try:
                told = await csc.holder.poll(order.transaction_id)
            except HolderUnavailable:
                continue
            if told.state == "signed":
                break
            await asyncio.sleep(0.02)
    assert len(await csc.asked(order)) == 1


async def test_an_access_token_that_ended_early_is_fetched_anew_once(csc):
    order = await csc.order()
    await csc.control("/all/forget-tokens")
    before = (await csc.told())["calls"]["oauth2/token"]
    await csc.holder.start(order)
    assert (await outcome(csc.holder, order)).state == "signed"
    assert (await csc.told())["calls"]["oauth2/token"] == before + 1
    stranger = csc.another(client_secret="wrong")
    with pytest.raises(HolderMisconfigured):
        await stranger.list_certificates("leader")


async def test_the_pages_of_a_long_list_are_read(csc):
    await csc.control(page_size=1)
    assert len(await csc.holder.list_certificates("leader")) == 1
    assert await csc.holder.list_certificates("nobody") == ()


async def test_tokens_and_sads_are_in_no_file_error_or_repr(csc, caplog):
    await csc.control(sad_s=-1.0)
    bad, good = await csc.order(), await csc.order()
    await csc.holder.start(bad)
    told = [await outcome(csc.holder, bad)]
    await csc.control(sad_s=300.0, by_hand=True)
    await csc.holder.start(good)
    await until_asked(csc, good)
    await csc.control(f"/{good.transaction_id}/confirm")
    told.append(await outcome(csc.holder, good))
    secret = ["demo-secret", *(await csc.told())["secrets"]]
    assert len(secret) >= 4
    files = [path.read_bytes().decode() for path in (csc.room / "csc").iterdir()]
    shown = "\n".join([*files, *map(repr, told), repr(csc.holder._settings), caplog.text])
    assert not [one for one in secret if one in shown]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (csc.room / "csc").iterdir())


@ONLY_V2
async def test_values_that_are_ready_later_are_polled_or_come_by_webhook_twice(csc):
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
    await csc.control(asynchronous=True, delay_s=0.3, webhook_times=2, webhook_secret="let me in")
    holder = csc.another(response_uri=url, webhook_secret="let me in")
    try:
        order = await csc.order()
        await holder.start(order)
        (headers, body), again = [await asyncio.wait_for(received.get(), 10) for _ in range(2)]
    finally:
        await runner.cleanup()
    polled = await outcome(holder, order)
    told = holder.read_webhook(headers, body)
    assert told == holder.read_webhook(*again) == polled
    assert csc.another(webhook_secret="let me in").read_webhook(headers, body) == told
    for forged in ({}, {SECRET_HEADER: ""}, {SECRET_HEADER: "guess"}):
        with pytest.raises(HolderRefused):
            holder.read_webhook(forged, body)
    for spoilt in (b"", b"{}", body[:-20], msgspec.json.encode({"responseID": "others", "signatures": []})):
        with pytest.raises(HolderRefused):
            holder.read_webhook({SECRET_HEADER: "let me in"}, spoilt)
    with pytest.raises(HolderRefused):
        csc.holder.read_webhook({SECRET_HEADER: ""}, body)


@ONLY_V2
async def test_an_asynchronous_service_is_taken_up_after_a_death_by_its_response_id(csc):
    await csc.control(asynchronous=True, delay_s=0.5)
    order = await csc.order()
    await csc.holder.start(order)
    async with asyncio.timeout(10):
        while not csc.holder._ledger.read(order.transaction_id).response_id:
            await asyncio.sleep(0.02)
    await csc.holder.close()
    other = csc.another()
    assert (await outcome(other, order)).state == "signed"
    (asked,) = await csc.asked(order)
    assert asked["key_uses"] == 1


async def test_production_wants_tls_and_no_test_service(tmp_path):
    for settings in (
        csc_settings("http://127.0.0.1:1", "v2", tmp_path),
        csc_settings("https://csc", "v2", tmp_path, development=True),
    ):
        with pytest.raises(HolderMisconfigured):
            open_holder(HolderConfig(kind="csc", production=True, csc=settings))


async def test_an_illegible_answer_and_nobody_listening_are_unavailability(tmp_path):
    async def nonsense(_):
        return web.Response(text="<html>proxy error</html>")

    app = web.Application()
    app.router.add_post("/{rest:.*}", nonsense)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        for port in (runner.addresses[0][1], nobody.getsockname()[1]):
            odd = Csc(f"http://127.0.0.1:{port}", "v2", tmp_path).holder
            with pytest.raises(HolderUnavailable):
                await odd.poll("x")
            await odd.close()
    await runner.cleanup()
