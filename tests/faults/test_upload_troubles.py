"""The official's own token: what comes back is judged before it is used; each trouble ends in its own clear state."""

import asyncio
import sys
import time
from datetime import timedelta
from hashlib import sha256

import aiohttp
import pytest
import pytest_asyncio

from api.signatures.engine import polling, sweeping
from tests.many_documents import lay_many
from tests.paper import pdfsig_valid
from tests.upload_ground import TokenGround

pytestmark = pytest.mark.alone

FORMS = ("values", "prepared", "own")


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await TokenGround(province_db, province).with_tokens()
    yield ground
    twice = "SELECT request_id FROM key_use GROUP BY request_id, attempt HAVING count(DISTINCT tbs_sha256) > 1"
    assert await ground.db.admin.fetch(twice) == []
    assert await ground.db.admin.fetch("SELECT 1 FROM revision GROUP BY request_id HAVING count(request_id) > 1") == []
    await ground.close()


@pytest_asyncio.fixture
async def api(ground):
    async with ground.api() as api, ground.signer_at_work():
        yield api


async def test_each_form_is_taken_for_signature_and_seal(ground, api):
    for form in FORMS:
        signatory, seal = await ground.ready_to_sign(form)
        for who, request in (("chutich", signatory), ("vanthu", seal)):
            ticket = await ground.until_sent(who, request)
            async with ground.tool(api, who, form) as tool:
                ((status, told),) = await tool.work_once()
                told = told if isinstance(told, dict) else told[0]
                assert (status, told["state"]) == (200, "taken"), (form, who, told)
            assert await ground.ended(ticket) == ["recorded"], (form, who, await ground.details(ticket))
        head = await ground.db.admin.fetchval("SELECT recorded_sha256 FROM signature_request WHERE id = $1", seal)
        assert pdfsig_valid(await ground.blobs.local_path(head)) == 2
        dates = "SELECT verdict #>> '{fills,Number}' FROM revision WHERE sha256 = $1"
        number = await ground.db.admin.fetchval("SELECT text FROM number WHERE request_id = $1", seal)
        assert await ground.db.admin.fetchval(dates, head) == number


TROUBLES = [
    ("values", "wrong_file", "value-mismatch"),
    ("values", "garbage", "value-mismatch"),
    ("values", "another_certificate", "certificate-unfit"),
    ("prepared", "wrong_file", "output-invalid"),
    ("prepared", "garbage", "unreadable-file"),
    ("prepared", "altered_page", "base-changed"),
    ("prepared", "another_certificate", "certificate-unfit"),
    ("own", "wrong_file", "base-changed"),
    ("own", "garbage", "unreadable-file"),
    ("own", "altered_page", "base-changed"),
    ("own", "another_certificate", "certificate-unfit"),
]


async def test_what_is_wrong_is_put_aside_with_its_evidence(ground, api):
    signatory, _ = await ground.ready_to_sign("sai")
    before = await ground.shown(signatory)
    for form, behaviour, code in TROUBLES:
        ticket = await ground.until_sent("chutich", signatory)
        async with ground.tool(api, "chutich", form, behaviour) as tool:
            ((status, told),) = await tool.work_once()
        told = told if isinstance(told, dict) else told[0]
        assert (status, told["state"], told["code"]) == (200, "refused", code), (form, behaviour, told)
        assert await ground.ended(ticket) == ["failed"]
        assert await ground.states(signatory) == ["failed"]
        kept = await ground.db.admin.fetchrow(
            "SELECT coalesce(value, file_sha256) AS content, detail FROM handed_back handed"
            " JOIN handed_back_verdict verdict ON verdict.handed_id = handed.id"
            " WHERE handed.id::text = (SELECT error ->> 'handed' FROM signature_request WHERE id = $1)",
            signatory,
        )
        assert kept["content"]
        assert kept["detail"]["vi"] == told["vi"]
        await sweeping.release(ground.engine, None, {"request": str(signatory)})
    assert await ground.shown(signatory) == before
    assert await ground.db.admin.fetchval("SELECT count(*) FROM signature_value WHERE request_id = $1", signatory) == 0
    ticket = await ground.until_sent("chutich", signatory)
    async with ground.tool(api, "chutich") as tool:
        await tool.work_once()
    assert await ground.ended(ticket) == ["recorded"]


async def test_refusal_and_silence_return_it_to_the_list_and_what_comes_late_is_told_so(ground, api):
    signatory, _ = await ground.ready_to_sign("tu choi")
    ticket = await ground.until_sent("chutich", signatory)
    async with ground.tool(api, "chutich", behaviour="refuse") as tool:
        assert await tool.work_once() == [(202, None)]
    assert await ground.ended(ticket) == ["refused"]
    assert await ground.details(ticket) == ["refused-at-holder"]
    assert await ground.states(signatory) == ["to_sign"]

    ticket = await ground.until_sent("chutich", signatory)
    async with ground.tool(api, "chutich", "prepared") as tool:
        (waiting,) = await tool.waiting()
        (errand,) = waiting["items"]
        signed = await tool.signed(waiting["transaction_id"], errand)
        value = tool.token.value(errand)
        ground.clock.shift = timedelta(minutes=31)
        await ground.db.admin.execute("UPDATE holder_transaction SET expires_at = now() - interval '1 s'")
        assert await tool.waiting() == []
        status, told = await tool.hand_back_file(waiting["transaction_id"], errand, signed)
        assert (status, told["code"]) == (409, "handed-back-late")
        ground.clock.shift = timedelta(minutes=33)
        await ground.db.admin.execute("UPDATE holder_transaction SET poll_at = now() WHERE state <> 'ended'")
        await polling.look(ground.engine, "upload")
        assert await ground.ended(ticket) == ["expired"]
        assert await ground.details(ticket) == ["not-confirmed"]
        status, told = await tool.hand_back_values(waiting["transaction_id"], [value])
        assert (status, [one["code"] for one in told]) == (200, ["handed-back-late"])
    assert await ground.states(signatory) == ["to_sign"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM handed_back") == 0


async def test_the_same_twice_is_one_and_another_after_it_is_refused(ground, api):
    signatory, seal = await ground.ready_to_sign("hai lan")
    ticket = await ground.until_sent("chutich", signatory)
    async with ground.tool(api, "chutich", "prepared") as tool:
        (waiting,) = await tool.waiting()
        (errand,), transaction = waiting["items"], waiting["transaction_id"]
        prepared = await tool.fetch(transaction, errand, "prepared")
        signed, another = [await tool.token.into_the_room(prepared, errand) for _ in range(2)]
        assert signed != another  # a token's ECDSA is another each time
        answers = await asyncio.gather(*(tool.hand_back_file(transaction, errand, signed) for _ in range(5)))
        assert all(answer == answers[0] for answer in answers)
        assert answers[0][1]["state"] == "taken"
        assert await ground.ended(ticket) == ["recorded"]
        assert await tool.hand_back_file(transaction, errand, signed) == answers[0]
        status, told = await tool.hand_back_file(transaction, errand, another)
        assert (status, told["code"]) == (409, "already-signed")
        with pytest.raises(aiohttp.ClientResponseError, match="404"):
            await tool.fetch(transaction, errand, "prepared")
        status, told = await tool.hand_back_values(transaction, [tool.token.value(errand)])
        assert [one["code"] for one in told] == ["already-signed"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM handed_back") == 1
    async with ground.app.reading() as tx:  # the API reads no preparation that does not wait for a tool
        assert await tx.fetch("SELECT * FROM signing_errand") == []
    head = await ground.db.admin.fetchval("SELECT recorded_sha256 FROM signature_request WHERE id = $1", signatory)
    assert head == sha256(signed).digest()
    source = await ground.db.admin.fetchval("SELECT source FROM signature_value WHERE request_id = $1", signatory)
    assert source == "upload"
    assert await ground.states(seal) == ["to_sign"]


async def test_anothers_errand_is_not_there_for_anybody_else(ground, api):
    signatory, _ = await ground.ready_to_sign("cua nguoi khac")
    await ground.until_sent("chutich", signatory)
    async with ground.tool(api, "chutich", "prepared") as own, ground.tool(api, "vanthu", "prepared") as other:
        (waiting,) = await own.waiting()
        (errand,), transaction = waiting["items"], waiting["transaction_id"]
        signed, value = await own.signed(transaction, errand), own.token.value(errand)
        assert await other.waiting() == []
        for what in ("base", "prepared"):
            with pytest.raises(aiohttp.ClientResponseError, match="404"):
                await other.fetch(transaction, errand, what)
        assert (await other.hand_back_file(transaction, errand, signed))[0] == 404
        assert (await other.hand_back_values(transaction, [value]))[0] == 404
        foreign = {**value, "request_id": str(ground.actor("vanthu").account_id)}
        told = (await own.hand_back_values(transaction, [foreign]))[1]
        assert [one["code"] for one in told] == ["no-signing-errand"]
        assert await other.refuse(transaction) == 404
        assert await ground.states(signatory) == ["sent"]
        assert (await own.hand_back_file("mc-none", errand, signed))[0] == 404
    assert await ground.db.admin.fetchval("SELECT count(*) FROM handed_back") == 0


async def test_what_the_api_writes_by_itself_moves_nothing(ground, api):
    """Whoever has the API's role has no key: values of others, or for what nobody asked, are never taken."""
    signatory, _ = await ground.ready_to_sign("khong tin")
    other, _ = await ground.ready_to_sign("chua hoi")
    ticket = await ground.until_sent("chutich", signatory)
    transaction = await ground.db.admin.fetchval("SELECT id FROM holder_transaction WHERE batch_id = $1", ticket)
    account = ground.actor("chutich").account_id
    write = (
        "INSERT INTO handed_back (transaction_id, request_id, content_sha256, value, account_id)"
        " VALUES ($1, $2, sha256($3), $3, $4) RETURNING id"
    )
    made_up, for_whom = b"made up", (other, signatory)
    async with ground.app.transaction() as tx:
        written = [await tx.fetchval(write, transaction, request, made_up, account) for request in for_whom]
    job = {"transaction": transaction, "handed": [str(one) for one in written], "refused": False}
    await ground.engine_step("signatures.handed", job)
    verdicts = {
        row["handed_id"]: row["code"] for row in await ground.db.admin.fetch("SELECT * FROM handed_back_verdict")
    }
    assert [verdicts[one] for one in written] == ["after-the-end", "value-mismatch"]
    assert await ground.states(signatory, other) == ["failed", "to_sign"]


async def test_what_was_handed_back_is_kept_before_it_is_answered(ground, api):
    signatory, _ = await ground.ready_to_sign("giua chung")
    ticket = await ground.until_sent("chutich", signatory)
    async with ground.tool(api, "chutich", "prepared") as tool:
        (waiting,) = await tool.waiting()
        (errand,), transaction = waiting["items"], waiting["transaction_id"]
        signed = await tool.signed(transaction, errand)
        (api.orders / f"committed.{transaction}").touch()
        with pytest.raises(aiohttp.ClientError):
            await tool.hand_back_file(transaction, errand, signed)
        assert await ground.db.admin.fetchval("SELECT count(*) FROM handed_back") == 1
        await api.answers()
        status, told = await tool.hand_back_file(transaction, errand, signed)
        assert (status, told["state"]) == (200, "taken")
    assert await ground.ended(ticket) == ["recorded"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM handed_back") == 1


async def test_two_hundred_documents_are_one_authorisation_and_two_calls(ground, api, capsys):
    initials, model, _ = await ground.submitted("mau")
    assert await ground.ended((await ground.ask("kynhay", initials)).ticket) == ["recorded"]
    requests = await lay_many(ground, model, 200)
    ticket = await ground.until_sent("chutich", *requests)
    assert await ground.db.admin.fetchval("SELECT count(*) FROM holder_transaction WHERE batch_id = $1", ticket) == 1
    while await looks(ground, ticket) < 1:  # the one after it was sent
        await asyncio.sleep(0.01)
    began = time.perf_counter()
    async with ground.tool(api, "chutich") as tool:
        ((status, told),) = await tool.work_once()
        assert (status, tool.calls) == (200, 2)
        answered = time.perf_counter() - began
        assert {one["request_id"] for one in told} == {str(request) for request in requests}
        assert "refused" not in {one["state"] for one in told}
    assert set(await ground.ended(ticket)) == {"recorded"}
    took = time.perf_counter() - began
    with capsys.disabled():
        sys.stdout.write(
            f"\n200 documents by one token: fetched, signed, answered {answered:.1f} s, recorded {took:.1f} s\n"
        )
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use WHERE at > now() - interval '1 h'") == 200
    assert await looks(ground, ticket) == 1


async def looks(ground, ticket) -> int:
    return await ground.db.admin.fetchval("SELECT polls FROM holder_transaction WHERE batch_id = $1", ticket)
