"""OCSP and CRL from real authorities: fetched once, kept through outages, garbage refused by name."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from signing.deadlines import Deadline
from signing.errors import EvidenceUnavailable
from tests import stamping_ground as ground
from tests.signing_ground import Clock


@pytest.fixture
async def made(tmp_path):
    async with ground.outside(tmp_path) as authorities:
        yield authorities


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def source(tmp_path, clock):
    one = ground.revocation(tmp_path, clock=clock, patience_s=0.5)
    yield one
    await one.close()


def path(made, who="leader"):
    return (made.der(who), made.der("interm"), made.der("root"))


async def test_however_many_ask_at_once_the_authority_is_asked_once(made, source):
    said = await asyncio.gather(*(source.status(path(made)) for _ in range(50)))
    assert {one.state for one in said} == {"good"}
    assert made.asked == {"ocsp/interm": 1}


async def test_a_list_is_loaded_once_for_all_who_are_on_it(made, source):
    made.faults["ocsp/interm"] = "garbage"
    said = await asyncio.gather(*(source.status(path(made, who)) for who in ("leader", "leader2", "seal")))
    assert [(one.state, one.problem) for one in said] == [("good", None)] * 3
    assert made.asked["crl/interm"] == 1


async def test_an_outage_of_half_an_hour_changes_nothing_also_after_a_restart(made, source, clock, tmp_path):
    """The levels' evidence as well, as long as what is kept is newer than the signature."""
    signed_at = clock() - timedelta(minutes=1)
    before = await source.evidence([path(made)], newer_than=signed_at)
    for service in ("ocsp/interm", "crl/interm", "crl/root"):
        made.faults[service] = "silent"
    restarted = ground.revocation(tmp_path, clock=clock, patience_s=0.5)
    clock.shift = timedelta(minutes=30)
    said = await restarted.status(path(made), newer_than=clock() - timedelta(minutes=5))
    assert (said.state, said.problem.code) == ("good", "crl-silent")
    assert await restarted.evidence([path(made)], newer_than=signed_at) == before
    await restarted.close()


async def test_garbage_is_never_good_and_is_called_by_its_name(made, source, clock):
    made.faults.update({"ocsp/interm": "garbage", "crl/interm": "garbage"})
    said = await source.status(path(made))
    assert (said.state, said.problem.code) == ("unknown", "crl-garbage")
    assert "không hợp lệ" in said.problem.vi
    with pytest.raises(EvidenceUnavailable) as raised:
        await source.evidence([path(made)], newer_than=clock())
    assert [problem.code for problem in raised.value.problems] == ["crl-garbage"]
    made.faults.clear()
    clock.shift = timedelta(seconds=30)
    assert (await source.status(path(made))).state == "good"


async def test_one_certificates_answer_is_not_taken_for_anothers(made, source):
    """An answer about the seal, given for the leader's certificate, proves nothing."""
    from signing.trust import answers  # noqa: PLC0415

    asked = answers.ask_ocsp(made.der("seal"), made.der("interm"))
    import aiohttp  # noqa: PLC0415

    async with aiohttp.ClientSession() as web, web.post(f"{made.prefix}/a/ocsp/interm", data=asked) as answer:
        der = await answer.read()
    at = datetime.now(UTC)
    assert (await asyncio.to_thread(answers.judge, "ocsp", der, path(made, "seal"), at)).state == "good"
    with pytest.raises(answers.BadAnswer, match="proves-nothing"):
        await asyncio.to_thread(answers.judge, "ocsp", der, path(made), at)


async def test_a_revocation_is_learned_at_the_next_look_and_never_forgotten(made, source, clock, tmp_path):
    assert (await source.status(path(made))).state == "good"
    since = (datetime.now(UTC) - timedelta(minutes=1)).replace(microsecond=0)
    made.revoke("leader", since)
    clock.shift = timedelta(minutes=1)
    assert (await source.status(path(made))).state == "good", "still by what is kept"
    said = await source.status(path(made), newer_than=clock() - timedelta(seconds=1))
    assert (said.state, said.revoked_at) == ("revoked", since)
    made.faults.update({"ocsp/interm": "silent", "crl/interm": "silent"})
    clock.shift = timedelta(days=300)
    restarted = ground.revocation(tmp_path, clock=clock, patience_s=0.5)
    assert (await restarted.status(path(made))).state == "revoked"
    await restarted.close()


async def test_a_fetch_has_what_is_left_of_its_callers_time_and_says_so(made, tmp_path, clock):
    made.faults.update({"ocsp/interm": "silent", "crl/interm": "silent"})
    patient = ground.revocation(tmp_path, clock=clock)
    began = asyncio.get_running_loop().time()
    with pytest.raises(EvidenceUnavailable) as raised:
        await patient.evidence([path(made)], newer_than=clock(), deadline=Deadline.within(0.6))
    assert asyncio.get_running_loop().time() - began < 1.2
    assert [problem.code for problem in raised.value.problems] == ["no-time-left"]
    said = await patient.status(path(made), deadline=Deadline.within(0.0))
    assert (said.state, said.problem.code) == ("unknown", "no-time-left")
    await patient.close()


async def test_a_fetch_lives_as_long_as_somebody_waits_for_it(made, tmp_path, clock):
    patient = ground.revocation(tmp_path, clock=clock)
    made.faults["ocsp/interm"] = "1"
    short, long = await asyncio.gather(
        patient.status(path(made), deadline=Deadline.within(0.3)), patient.status(path(made))
    )
    assert (short.problem.code, long.state) == ("no-time-left", "good")
    assert made.asked["ocsp/interm"] == 1
    made.faults["ocsp/interm"] = "silent"
    callers = [asyncio.create_task(patient.status(path(made, "seal"))) for _ in range(2)]
    while not made.waiting.get("ocsp/interm"):
        await asyncio.sleep(0.02)
    callers[0].cancel()
    await asyncio.sleep(0.2)
    assert made.waiting["ocsp/interm"] == 1, "the other one still waits"
    callers[1].cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    async with asyncio.timeout(2):
        while made.waiting["ocsp/interm"]:
            await asyncio.sleep(0.02)
    await patient.close()
