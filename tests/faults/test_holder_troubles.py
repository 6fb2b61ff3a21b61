"""Key holders that refuse, are silent, talk nonsense, answer twice or late, or are down: each item ends in its own
clear state, what is unsigned returns to the list, and nothing is signed twice."""

import asyncio
import sys
import time
import types
from datetime import timedelta

import aiohttp
import httpx
import msgspec
import pytest
import pytest_asyncio

from api.signatures import ahead, tickets
from api.signatures.engine import polling, sweeping
from api.telemetry import spans
from signing.keys.sp769 import Sp769Holder, Sp769Settings
from tests.api_process import api_process
from tests.many_documents import lay_many
from tests.office import log_in, new_key, serving
from tests.signer_process import remote_signer
from tests.signing_ground import Ground, runner_for

pytestmark = pytest.mark.alone

SECRET = "chung-toi-biet-nhau"


class Troubled(Ground):
    """A ward whose keys lie with a remote signer that a test may spoil."""

    async def against(self, url: str) -> "Troubled":
        self.url = url
        service = Sp769Settings(
            base_url=url, sp_id="motcua", sp_password="demo", webhook_secret=SECRET, development=True, timeout_s=3
        )
        await self.open({"sp769": Sp769Holder(service)})
        await self.db.admin.execute("UPDATE certificate SET holder = 'sp769', credential_id = serial")
        return self

    async def control(self, path: str = "", **changes) -> dict:
        async with aiohttp.ClientSession() as web, web.post(f"{self.url}/control{path}", json=changes) as answer:
            return await answer.json()

    async def outside(self) -> list[dict]:
        """What happened at the remote signer, by its own account."""
        async with aiohttp.ClientSession() as web, web.get(f"{self.url}/control") as answer:
            return list((await answer.json())["transactions"].values())

    async def once(self) -> None:
        """One round of the signer: its jobs, its sweep, one look at the holder, and the jobs that come of it."""
        await runner_for(self).drain()
        await sweeping.sweep(self.engine)
        await polling.look(self.engine, "sp769")
        await runner_for(self).drain()

    async def ended(self, ticket) -> list[str]:
        """Work until every item of a ticket has ended."""
        async with asyncio.timeout(60):
            while None in (outcomes := await self.outcomes(ticket)):
                await self.once()
        return outcomes

    async def ready_to_seal(self, text: str):
        """A document that all persons have signed; the request of its seal."""
        initials, signatory, seal = await self.submitted(text)
        await self.sign("kynhay", initials)
        accepted = await self.ask("chutich", signatory)
        assert await self.ended(accepted.ticket) == ["recorded"]
        return seal

    async def nothing_twice(self) -> None:
        """No transaction used a key twice, no intent was over two hashes, no request has two revisions."""
        assert all(transaction["key_uses"] <= 1 for transaction in await self.outside())
        twice = "SELECT request_id FROM key_use GROUP BY request_id, attempt HAVING count(DISTINCT tbs_sha256) > 1"
        assert await self.db.admin.fetch(twice) == []
        assert (
            await self.db.admin.fetch("SELECT 1 FROM revision GROUP BY request_id HAVING count(request_id) > 1") == []
        )


@pytest_asyncio.fixture
async def ground(province_db, province):
    async with remote_signer(province.pki) as url:
        ground = await Troubled(province_db, province).against(url)
        yield ground
        await ground.nothing_twice()
        await ground.close()


TROUBLES = [
    ("refuse", "refused", "refused-at-holder", "to_sign"),
    ("expire", "expired", "not-confirmed", "to_sign"),
    ("garbage", "failed", "value-mismatch", "failed"),
    ("wrong_hash", "failed", "value-mismatch", "failed"),
]


async def test_each_trouble_ends_clearly_and_voids_the_number_with_its_reason(ground):
    seal = await ground.ready_to_seal("dong dau")
    for behaviour, outcome, code, state in TROUBLES:
        await ground.control(behaviour=behaviour)
        accepted = await ground.ask("vanthu", seal)
        assert await ground.ended(accepted.ticket) == [outcome], behaviour
        assert await ground.details(accepted.ticket) == [code], behaviour
        assert await ground.states(seal) == [state], behaviour
        if state == "failed":
            await sweeping.release(ground.engine, None, {"request": str(seal)})
    numbers = await ground.db.admin.fetch("SELECT state, reason FROM number ORDER BY n")
    assert [number["state"] for number in numbers] == ["void"] * len(TROUBLES)
    assert all(number["reason"] for number in numbers)
    await ground.control(behaviour="confirm")
    accepted = await ground.ask("vanthu", seal)
    assert await ground.ended(accepted.ticket) == ["recorded"]
    assert await ground.db.admin.fetchval("SELECT n FROM number WHERE state = 'used'") == len(TROUBLES) + 1


async def test_the_code_on_the_phone_stands_in_the_ticket_as_long_as_it_is_to_be_confirmed(ground):
    seal = await ground.ready_to_seal("hai man hinh")
    await ground.control(by_hand=True)
    accepted = await ground.ask("vanthu", seal)
    await runner_for(ground).drain()
    (outside,) = [one for one in await ground.outside() if one["state"] == "sig_wait_for_user_confirm"]
    async with ground.app.reading() as tx:
        waiting = await tickets.ticket(tx, await ahead.look(tx), ground.actor("vanthu"), accepted.ticket)
    assert waiting.codes == [outside["code"]]
    await ground.db.admin.execute("UPDATE holder_transaction SET shown_code = NULL")
    async with ground.app.reading() as tx:
        without = await tickets.ticket(tx, await ahead.look(tx), ground.actor("vanthu"), accepted.ticket)
    assert without.version < waiting.version  # whoever watches the ticket is told of the code
    await ground.control(f"/{outside['id']}/confirm")
    assert await ground.ended(accepted.ticket) == ["recorded"]
    async with ground.app.reading() as tx:
        assert (await tickets.ticket(tx, await ahead.look(tx), ground.actor("vanthu"), accepted.ticket)).codes == []


async def test_a_missing_value_fails_its_own_item_only(ground):
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    requests = await lay_many(ground, model, 4)
    await ground.control(behaviour="partial")
    accepted = await ground.ask("chutich", *requests)
    outcomes = await ground.ended(accepted.ticket)
    assert sorted(outcomes) == ["failed", "failed", "recorded", "recorded"]
    assert {code for code in await ground.details(accepted.ticket) if code} == {"no-value"}
    left = [request for request, outcome in zip(requests, outcomes, strict=True) if outcome == "failed"]
    assert await ground.states(*left) == ["to_sign", "to_sign"]
    await ground.control(behaviour="confirm")
    again = await ground.ask("chutich", *left)
    assert await ground.ended(again.ticket) == ["recorded", "recorded"]


async def test_silence_until_the_window_ends_expires(ground):
    seal = await ground.ready_to_seal("im lang")
    await ground.control(behaviour="silent", window_s=1.0)
    accepted = await ground.ask("vanthu", seal)
    assert await ground.ended(accepted.ticket) == ["expired"]
    assert await ground.details(accepted.ticket) == ["not-confirmed"]
    assert await ground.states(seal) == ["to_sign"]
    assert await ground.db.admin.fetchval("SELECT state FROM number") == "void"
    assert sum(transaction["key_uses"] for transaction in await ground.outside()) == 1


async def test_a_holder_that_was_down_gets_the_same_hashes_when_it_is_back(ground):
    seal = await ground.ready_to_seal("nghi")
    await ground.control(down=True)
    accepted = await ground.ask("vanthu", seal)
    await ground.once()
    assert await ground.states(seal) == ["sent"]
    await ground.control(down=False)
    ground.clock.shift = timedelta(seconds=20)
    await ground.once()
    ground.clock.shift = timedelta(seconds=40)
    assert await ground.ended(accepted.ticket) == ["recorded"]
    uses = await ground.db.admin.fetch("SELECT tbs_sha256 FROM key_use WHERE request_id = $1", seal)
    assert len(uses) == 2
    assert len({use["tbs_sha256"] for use in uses}) == 1


async def test_a_holder_that_never_comes_back_keeps_nobody_waiting_and_its_late_answer_changes_nothing(ground):
    seal = await ground.ready_to_seal("mat lien lac")
    await ground.control(by_hand=True)
    accepted = await ground.ask("vanthu", seal)
    await ground.once()
    await ground.control(down=True)
    ground.clock.shift = timedelta(minutes=5)
    await ground.once()
    assert await ground.states(seal) == ["sent"]
    ground.clock.shift = timedelta(minutes=7)
    await ground.once()
    assert await ground.outcomes(accepted.ticket) == ["expired"]
    assert await ground.details(accepted.ticket) == ["holder-silent"]
    assert await ground.states(seal) == ["to_sign"]
    async with serving(ground.db.dsn("app"), ground.room / "blobs") as (web, _):
        late = (await ground.outside())[-1]
        await ground.control(f"/{late['id']}/confirm")
        assert await call_back(ground, web, late["id"]) == 202
    await ground.once()
    assert await ground.db.admin.fetchval("SELECT verdict FROM answer_verdict") == "after-the-end"
    assert await ground.states(seal) == ["to_sign"]


async def call_back(ground, web, transaction_id: str, *, secret: str = SECRET, state: str = "sig_signed") -> int:
    """Send what the remote signer would send of a transaction; the status of our answer."""
    told = next(one for one in await ground.outside() if one["id"] == transaction_id)
    body = {"sp_id": "motcua", "status_code": 200, "message": state, "transaction_id": transaction_id}
    body["signed_files"] = told["signatures"]
    headers = {"Content-Type": "application/json", "X-Webhook-Secret": secret}
    answer = await web.post("/holders/sp769/answers", content=msgspec.json.encode(body), headers=headers)
    return answer.status_code


async def test_an_answer_that_comes_twice_counts_once_and_a_forged_one_never(ground):
    seal = await ground.ready_to_seal("hai lan")
    await ground.control(by_hand=True)
    accepted = await ground.ask("vanthu", seal)
    await runner_for(ground).drain()
    one = (await ground.outside())[-1]["id"]
    async with serving(ground.db.dsn("app"), ground.room / "blobs") as (web, _):
        assert await call_back(ground, web, one, secret="", state="sig_user_rejected") == 202
        assert await call_back(ground, web, one, secret="doan-mo", state="sig_user_rejected") == 202
        await runner_for(ground).drain()
        assert await ground.states(seal) == ["sent"]
        await ground.control(f"/{one}/confirm")
        for _ in range(3):
            assert await call_back(ground, web, one) == 202
    await runner_for(ground).drain()
    assert await ground.outcomes(accepted.ticket) == ["recorded"]
    verdicts = await ground.db.admin.fetch("SELECT verdict, count(*) AS n FROM answer_verdict GROUP BY verdict")
    told = {row["verdict"]: row["n"] for row in verdicts}
    assert told["not-authentic"] == 2
    assert sum(told.values()) == 5
    assert await ground.db.admin.fetchval("SELECT source FROM signature_value WHERE request_id = $1", seal) == "webhook"


async def test_a_webhook_is_judged_in_its_tickets_trace_and_linked_to_the_request_that_brought_it(ground, monkeypatch):
    kept = []
    monkeypatch.setattr(spans._State, "receiver", types.SimpleNamespace(take=kept.append))
    seal = await ground.ready_to_seal("lien ket")
    await ground.control(by_hand=True)
    accepted = await ground.ask("vanthu", seal)
    await runner_for(ground).drain()
    one = (await ground.outside())[-1]["id"]
    await ground.control(f"/{one}/confirm")
    async with serving(ground.db.dsn("app"), ground.room / "blobs") as (web, _):
        assert await call_back(ground, web, one) == 202
    await runner_for(ground).drain()
    assert await ground.outcomes(accepted.ticket) == ["recorded"]
    trace = await ground.db.admin.fetchval("SELECT trace_id FROM signature_batch WHERE id = $1", accepted.ticket)
    (answer,) = [span for span in kept if span.name == "holder.answer"]
    (request,) = [span for span in kept if span.name.startswith("POST /holders/")]
    (job,) = [span for span in kept if span.name == "signatures.answer"]
    assert answer.place.trace_id == trace != request.place.trace_id
    assert answer.parent == spans.place_of(trace, "transaction", one)
    assert job.parent == request.place
    assert answer.links == (job.place,)
    assert trace in {span.place.trace_id for span in kept if span.name == "signatures.finish"}


async def test_an_answer_is_kept_before_it_is_answered(ground):
    seal = await ground.ready_to_seal("giua chung")
    await ground.control(by_hand=True)
    accepted = await ground.ask("vanthu", seal)
    await runner_for(ground).drain()
    one = (await ground.outside())[-1]["id"]
    await ground.control(f"/{one}/confirm")
    async with (
        api_process(ground.db, ground.province, ground.room) as api,
        httpx.AsyncClient(base_url=api.url, timeout=30) as web,
    ):
        (api.orders / "committed.sp769").touch()
        with pytest.raises(httpx.TransportError):
            await call_back(ground, web, one)
        assert await ground.db.admin.fetchval("SELECT count(*) FROM signature_answer") == 1
        await api.answers()
        again = [call_back(ground, web, one) for _ in range(5)]  # the holder never heard, and calls once more, at once
        assert await asyncio.gather(*again) == [202] * 5
        await runner_for(ground).drain()
        assert await ground.outcomes(accepted.ticket) == ["recorded"]
        assert await call_back(ground, web, one) == 202
    await runner_for(ground).drain()
    assert await ground.db.admin.fetchval("SELECT count(*) FROM signature_answer") == 7
    values = await ground.db.admin.fetch("SELECT source FROM signature_value WHERE request_id = $1", seal)
    assert [value["source"] for value in values] == ["webhook"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM revision WHERE request_id = $1", seal) == 1
    assert await ground.db.admin.fetchval("SELECT count(*) FROM answer_verdict") == 7


async def test_asking_is_quick_while_every_holder_is_down(ground, capsys):
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    requests = await lay_many(ground, model, 30)
    await ground.control(down=True)
    keys = {"data_keys": {"test1": ground.province.data_key}, "data_key": "test1"}
    seconds, tickets = [], []
    async with serving(ground.db.dsn("app"), ground.room / "blobs", clock=ground.clock, **keys) as (web, _):
        account = ground.province.accounts.of("chutich.kinhbac")
        assert (await log_in(web, account.login, account.password)).status_code == 201
        for request in requests:
            order = {"items": [{"request_id": str(request), "sha256": await ground.shown(request)}], "code": "000000"}
            began = time.perf_counter()
            answer = await web.post("/signature-batches/", json=order, headers=new_key())
            seconds.append(time.perf_counter() - began)
            assert answer.status_code == 202, answer.text
            tickets.append(answer.json()["ticket"])
    p95 = sorted(seconds)[int(len(seconds) * 0.95)]
    with capsys.disabled():
        sys.stdout.write(f"\n30 asks with every holder down: p95 {p95 * 1000:.0f} ms\n")
    assert len(set(tickets)) == len(requests)
    assert p95 < 1.0
