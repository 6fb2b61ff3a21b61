"""An HSM that loses sessions, fails, hangs, goes away or wants another PIN; SoftHSM2 is the real component."""

import asyncio
import hashlib
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from pkcs11 import Mechanism, ObjectClass, TokenFlag

from api.signatures.engine.canary import _canary_of, _value_of
from signing.contract import CANARY, SignItem, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable
from signing.holders import HolderConfig, open_holder
from signing.keys import pkcs11_module
from signing.keys.pkcs11 import Pkcs11Key
from signing.pdf.cms import check_value, signed_attributes
from tests.hsm import C_SIGN, DEVICE_ERROR, MODULE, PIN, TOKEN, canary_files, hsm, lose_sessions, spoiled_sign
from tests.paper import pki

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.alone


@pytest.fixture
def token():
    with hsm(pki()) as made:
        yield made


@pytest.fixture
async def make(token):
    """Make holders of the token, and close them with the test."""
    made = []

    def holder(**changes):
        made.append(token.holder(**changes))
        return made[-1]

    yield holder
    for one in made:
        await one.close()


@pytest.fixture
def holder(make):
    return make()


def order(count: int = 1, owner: str = "seal", *, name: str = "", mechanism: str = "ecdsa") -> SignOrder:
    items = tuple(SignItem(item_id=f"{n}", tbs_sha256=os.urandom(32), name=f"{n}") for n in range(count))
    return SignOrder(
        transaction_id=name or os.urandom(8).hex(), credential_id=owner, owner=owner, items=items, mechanism=mechanism
    )


async def signed(holder, asked: SignOrder) -> dict[str, bytes]:
    await holder.start(asked)
    told = await holder.poll(asked.transaction_id)
    assert told.state == "signed"
    assert set(told.values) == {item.item_id for item in asked.items}
    return told.values


class Counted:
    """C_Sign as it is, counted; `fault` is asked before each real call and may give an error in its place."""

    def __init__(self, fault=lambda _: 0) -> None:
        self.asked = 0
        self._lock = threading.Lock()
        self._fault = fault

    def __call__(self, real, arguments) -> int:
        if not arguments[3]:  # only the length of a value is asked for
            return real(*arguments)
        with self._lock:
            self.asked += 1
            asked = self.asked
        return self._fault(asked) or real(*arguments)


async def test_many_orders_side_by_side_from_many_threads(holder):
    orders = [order(20, "leader-rsa", mechanism="rsa_pkcs1v15") for _ in range(5)] + [order(20) for _ in range(5)]
    values = await asyncio.gather(*(signed(holder, one) for one in orders))
    assert sum(len(one) for one in values) == 200
    assert len({threading.get_ident()} | {lane.ident for lane in holder._opened._lanes}) == 5


async def test_the_holder_costs_little_beside_the_raw_signature(holder, capsys):
    await signed(holder, order(owner="leader-rsa", mechanism="rsa_pkcs1v15"))
    session = holder._opened._token.open()
    key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="leader-rsa")
    raw, ours = [], []
    for _ in range(150):  # in turn, so that both meet the same weather
        began = time.perf_counter()
        key.sign(os.urandom(51), mechanism=Mechanism.RSA_PKCS)
        raw.append(time.perf_counter() - began)
        asked = order(owner="leader-rsa", mechanism="rsa_pkcs1v15")
        began = time.perf_counter()
        await holder.start(asked)
        ours.append(time.perf_counter() - began)
    one, other = statistics.median(raw) * 1000, statistics.median(ours) * 1000
    with capsys.disabled():
        sys.stdout.write(f"\none RSA-2048 signature by SoftHSM2: raw {one:.2f} ms, through the holder {other:.2f} ms\n")
    assert other < 5 * one


async def test_ten_times_the_same_order_at_once_uses_the_key_once(holder):
    asked = order(30)
    with spoiled_sign(counted := Counted()):
        await asyncio.gather(*(holder.start(asked) for _ in range(10)))
        await holder.start(asked)
    assert counted.asked == 30


async def test_lost_sessions_heal_within_a_second_without_an_alarm(holder):
    await signed(holder, order())
    for _ in range(3):
        lose_sessions(holder)
        began = time.perf_counter()
        await asyncio.gather(*(signed(holder, order(5)) for _ in range(8)))
        assert time.perf_counter() - began < 1.0
    assert holder._opened.flag.trips == 0


async def test_rested_sessions_are_kept_alive_and_healed_before_they_are_needed(make):
    holder = make(keep_alive_s=0.05, sessions=1)
    await signed(holder, order())
    generation = holder._opened._generation
    lose_sessions(holder)
    async with asyncio.timeout(5):
        while holder._opened._generation == generation:
            await asyncio.sleep(0.02)


async def test_a_device_error_trips_once_answers_at_once_and_ends_by_itself(holder):
    await signed(holder, order())
    ill = True
    with spoiled_sign(counted := Counted(lambda _: DEVICE_ERROR if ill else 0)):
        holder._opened._probe = lambda _: (_ for _ in ()).throw(HolderUnavailable("-", "-")) if ill else None
        for answer in await asyncio.gather(*(holder.start(order()) for _ in range(50)), return_exceptions=True):
            assert isinstance(answer, HolderUnavailable)
        assert holder._opened.flag.trips == 1
        called = counted.asked
        assert called <= 4, "no more than the lanes that were under way"
        began = time.perf_counter()
        for _ in range(200):
            with pytest.raises(HolderUnavailable):
                await holder.poll("any")
        assert time.perf_counter() - began < 0.5
        await asyncio.sleep(0.8)
        assert counted.asked == called
        assert 1 <= holder._opened.flag.probes <= 4
        ill = False
        async with asyncio.timeout(5):
            while holder._opened.flag.up:
                await asyncio.sleep(0.02)
        assert counted.asked == called, "nothing had waited to rush in"
        await signed(holder, order())
    assert holder._opened.flag.trips == 1


async def test_an_hsm_gone_in_the_middle_of_500_signs_only_the_rest_when_it_is_back(holder):
    await signed(holder, order())
    asked = order(500)
    with spoiled_sign(counted := Counted(lambda asked: DEVICE_ERROR if asked == 200 else 0)):
        with pytest.raises(HolderUnavailable):
            await holder.start(asked)
        before = counted.asked
        with pytest.raises(HolderUnavailable):
            await holder.poll(asked.transaction_id)
        async with asyncio.timeout(5):
            while holder._opened.flag.up:
                await asyncio.sleep(0.02)
        assert (await holder.poll(asked.transaction_id)).state == "unknown"
        await signed(holder, asked)
    assert counted.asked == 501, "only the call that failed was made again"
    assert before >= 200


async def test_a_token_that_was_away_is_found_again(token, holder):
    await signed(holder, order())
    with token.gone():
        with pytest.raises(HolderUnavailable):
            await holder.start(order(owner="leader"))
        with pytest.raises(HolderUnavailable):
            await holder.poll("any")
        await asyncio.sleep(0.3)
        assert holder._opened.flag.up
    async with asyncio.timeout(5):
        while holder._opened.flag.up:
            await asyncio.sleep(0.02)
    await signed(holder, order(owner="leader"))


async def test_a_call_that_hangs_is_given_up_and_the_loop_goes_on(make):
    holder = make(timeout_s=0.5, sessions=2)
    await signed(holder, order())
    hanging = threading.Event()

    def hang(_):
        hanging.wait(10)
        return 0

    with spoiled_sign(Counted(hang)):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        began = time.perf_counter()
        with pytest.raises(HolderUnavailable):
            await holder.start(order())
        assert 0.4 < time.perf_counter() - began < 2
        assert ticks > 20, "the event loop stood still"
        ticking.cancel()
        await asyncio.sleep(0.7)
        assert holder._opened.flag.up, "a device with a call that has not come back is not well"
        hanging.set()
        async with asyncio.timeout(5):
            while holder._opened.flag.up:
                await asyncio.sleep(0.02)
        await signed(holder, order())


def pin_flags() -> TokenFlag:
    module = pkcs11_module.take(MODULE)
    flags = module.token(TOKEN).flags
    pkcs11_module.give_back(module)
    return flags


class Logins:
    """How often the library was asked to log in, by its own count."""

    def __init__(self, monkeypatch) -> None:
        self.tried: list[str] = []
        module = pkcs11_module.Module.token
        logins = self.tried

        class Watched:
            def __init__(self, token) -> None:
                self._token = token

            def __getattr__(self, name):
                return getattr(self._token, name)

            def open(self, **how):
                if "user_pin" in how:
                    logins.append(how["user_pin"])
                return self._token.open(**how)

        monkeypatch.setattr(pkcs11_module.Module, "token", lambda self, label: Watched(module(self, label)))


async def test_a_wrong_pin_is_tried_once_also_after_a_restart_until_its_file_is_mended(token, make, monkeypatch):
    logins = Logins(monkeypatch)
    token.write_pin("000000")
    for _ in range(3):  # three signers, one after the other
        holder = make()
        for _ in range(5):
            with pytest.raises(HolderMisconfigured):
                await holder.start(order(3))
            with pytest.raises(HolderMisconfigured):
                await holder.poll("mc-check")
        await holder.close()
    assert logins.tried == ["000000"]
    token.write_pin(PIN)
    holder = make()
    await signed(holder, order())
    lose_sessions(holder)
    await signed(holder, order())
    await holder.close()
    assert logins.tried == ["000000", PIN, PIN]


async def test_a_pin_that_others_got_wrong_is_not_tried_on(token, make, monkeypatch):
    logins = Logins(monkeypatch)
    token.write_pin("000000")
    holder = make()
    with pytest.raises(HolderMisconfigured):
        await holder.poll("x")
    await holder.close()
    assert pin_flags() & TokenFlag.USER_PIN_COUNT_LOW
    (token.room / "pin.refused").unlink()  # as if it had been somebody else's try
    token.write_pin(PIN)
    holder = make()
    with pytest.raises(HolderMisconfigured):
        await holder.poll("x")
    await holder.close()
    assert logins.tried == ["000000"]


async def test_a_pin_file_that_others_can_read_is_refused(token, make, monkeypatch):
    logins = Logins(monkeypatch)
    token.pin_file.chmod(0o644)
    holder = make()
    with pytest.raises(HolderMisconfigured):
        await holder.poll("x")
    await holder.close()
    assert logins.tried == []


async def test_the_canary_key_of_a_token_shows_that_it_signs(token, make):
    key, own, root = canary_files(token.room)
    token.put(CANARY, 9, key)
    keys = (Pkcs11Key(owner=CANARY, credential_id=CANARY, certificate=str(own)),)
    holder = make(keys=keys, chain=str(root))
    held = await _canary_of(holder)
    attributes = signed_attributes(held.certificate, bytes(32))
    value = await _value_of(holder, hashlib.sha256(attributes).digest())
    check_value(held.certificate, attributes, value, "ecdsa")
    lane = type("Lane", (), {"session": holder._opened._token.open(), "keys": {}, "generation": 1})()
    with spoiled_sign(counted := Counted()):
        holder._probe(lane)
    assert counted.asked == 1


async def test_orders_that_do_not_fit_are_refused_before_the_key_is_used(holder):
    with spoiled_sign(counted := Counted()):
        for wrong in (
            order(501),
            order(mechanism="rsa_pss"),
            msgspec.structs.replace(order(), owner="leader"),
            msgspec.structs.replace(order(), items=(SignItem(item_id="0", tbs_sha256=b"short", name=""),)),
        ):
            with pytest.raises(HolderRefused):
                await holder.start(wrong)
    assert counted.asked == 0
    assert holder._opened.flag.trips == 0


async def test_a_key_that_the_token_has_not_is_a_matter_for_the_operator_and_stops_nobody_else(token, make):
    holder = make(keys=(*token.settings().keys, Pkcs11Key(owner="a", credential_id="a", label="nowhere")))
    for _ in range(3):
        with pytest.raises(HolderMisconfigured):
            await holder.start(order(owner="a"))
        await signed(holder, order())
    assert holder._opened.flag.trips == 0


async def test_two_tokens_of_one_library_are_two_holders(make):
    one, other = make(name="hsm-1"), make(name="hsm-2")
    await asyncio.gather(signed(one, order(50)), signed(other, order(50, "leader")))
    one._opened.flag.trip("test")
    async with asyncio.timeout(5):
        while one._opened.flag.up:
            await asyncio.sleep(0.02)
    await asyncio.gather(signed(one, order(50)), signed(other, order(50, "leader")))
    assert {one.capabilities.name, other.capabilities.name} == {"hsm-1", "hsm-2"}


async def test_a_library_that_is_none_is_a_matter_for_the_operator(token, tmp_path):
    (tmp_path / "no.so").write_bytes(b"not a library")
    for module in (str(tmp_path / "absent.so"), str(tmp_path / "no.so")):
        holder = open_holder(HolderConfig(kind="pkcs11", production=True, pkcs11=token.settings(module=module)))
        with pytest.raises(HolderMisconfigured):
            await holder.poll("x")
        await holder.close()


def test_a_forked_child_does_not_use_the_parents_hsm(token):
    program = f"""
import asyncio, os, msgspec
from signing.errors import HolderMisconfigured
from signing.keys.pkcs11 import Pkcs11Holder, Pkcs11Settings
settings = {msgspec.json.encode(token.settings())!r}
holder = Pkcs11Holder(msgspec.json.decode(settings, type=Pkcs11Settings))
asyncio.run(holder.poll("x"))
child = os.fork()
if child == 0:
    try:
        asyncio.run(holder.poll("x"))
    except HolderMisconfigured:
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=ROOT, env=token.environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_settings_that_are_printed_hold_no_pin(token):
    assert PIN not in repr(HolderConfig(kind="pkcs11", production=True, pkcs11=token.settings()))
    assert token.environment["SOFTHSM2_CONF"].startswith(str(token.room))
    assert C_SIGN < pkcs11_module.FUNCTIONS
