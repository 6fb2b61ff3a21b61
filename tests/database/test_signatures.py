"""The signer's steps on real rows, real keys and real PDFs: what is recorded, what is refused, what a crash leaves."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import pytest_asyncio

from api.dossiers import facts as f
from api.dossiers.words import Action
from api.errors import Conflict, NotFound, Refused
from api.signatures import ahead, returning, tickets
from api.signatures.contract import Because, Return
from tests.paper import pdfsig_valid
from tests.signing_ground import Ground


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


async def test_one_document_is_initialled_signed_numbered_and_sealed(ground):
    initials, signatory, seal = await ground.submitted()
    assert await ground.sign("kynhay", initials) == ["recorded"]
    assert await ground.sign("chutich", signatory) == ["recorded"]
    assert await ground.sign("vanthu", seal) == ["recorded"]
    assert await ground.states(initials, signatory, seal) == ["recorded"] * 3
    head = await ground.db.admin.fetchval("SELECT head_sha256 FROM document")
    path = await ground.blobs.local_path(head)
    assert sha256(path.read_bytes()).digest() == head
    assert pdfsig_valid(path) == 2
    number = await ground.db.admin.fetchrow("SELECT text, state FROM number")
    assert (number["text"], number["state"]) == ("01/UBND-XNTTHN", "used")
    assert await ground.db.admin.fetchval("SELECT status FROM dossier") == "done"
    assert await ground.db.admin.fetchval("SELECT state FROM result") == "issued"
    assert await ground.db.admin.fetchval("SELECT effect FROM result") == "in_force"
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use") == 2


async def test_the_order_of_groups_is_kept(ground):
    initials, signatory, seal = await ground.submitted()
    for who, request in (("chutich", signatory), ("vanthu", seal)):
        with pytest.raises(Conflict) as refused:
            await ground.ask(who, request)
        assert refused.value.facts["items"] == {str(request): "order"}
    assert await ground.states(initials, signatory, seal) == ["to_sign"] * 3


async def test_a_main_document_is_not_sealed_unsigned_however_its_chain_was_made(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.db.admin.execute("DELETE FROM signature_request WHERE id IN ($1, $2)", initials, signatory)
    accepted = await ground.ask("vanthu", seal)
    await ground.work()
    assert await ground.details(accepted.ticket) == ["not-signed"]
    assert await ground.states(seal) == ["to_sign"]
    assert await ground.db.admin.fetchval("SELECT state FROM number") == "void"


async def test_a_bad_item_is_its_own_result_and_the_others_go_on(ground):
    first, second = await ground.submitted("mot"), await ground.submitted("hai")
    await ground.sign("kynhay", first[0])
    accepted = await ground.ask("kynhay", second[0])
    assert accepted.items == 1
    await ground.work()
    mixed = [first[1], second[1]]
    shown = await ground.shown(first[1])
    await ground.db.admin.execute(
        "UPDATE document SET version = version + 1, head_sha256 = head_sha256 WHERE id = (SELECT document_id FROM"
        " signature_request WHERE id = $1)",
        first[1],
    )
    assert shown == await ground.shown(first[1])
    assert await ground.sign("chutich", *mixed) == ["recorded", "recorded"]


async def test_a_wrong_code_signs_nothing_and_says_why(ground):
    initials, *_ = await ground.submitted()
    right = await ground.fresh_code("kynhay")
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    accepted = await ground.ask("kynhay", initials, code=wrong)
    await ground.work()
    assert await ground.details(accepted.ticket) == ["second-factor-wrong"]
    assert await ground.states(initials) == ["to_sign"]
    assert await ground.db.admin.fetchval("SELECT failures FROM second_factor WHERE failures > 0") == 1


async def test_a_code_is_good_for_one_act(ground):
    one, two = (await ground.submitted("mot"))[0], (await ground.submitted("hai"))[0]
    code = await ground.fresh_code("kynhay")
    first = await ground.ask("kynhay", one, code=code)
    await ground.work()
    again = await ground.ask("kynhay", two, code=code)
    await ground.work()
    assert await ground.outcomes(first.ticket) == ["recorded"]
    assert await ground.details(again.ticket) == ["second-factor-replayed"]
    assert await ground.states(two) == ["to_sign"]


async def test_nobody_signs_for_another(ground):
    initials, signatory, _ = await ground.submitted()
    await ground.sign("kynhay", initials)
    with pytest.raises(NotFound):
        await ground.ask("phochutich", signatory)
    with pytest.raises(NotFound):
        await ground.ask("vanthu", signatory)


async def test_authority_that_ends_between_asking_and_judging_signs_nothing(ground):
    initials, signatory, _ = await ground.submitted()
    await ground.sign("kynhay", initials)
    accepted = await ground.ask("chutich", signatory)
    await ground.db.admin.execute("UPDATE mandate SET revoked_at = now()")
    await ground.work()
    assert await ground.details(accepted.ticket) == ["no-authority"]
    assert await ground.states(signatory) == ["to_sign"]


async def test_a_revoked_certificate_stops_before_any_hash_leaves(ground):
    initials, signatory, _ = await ground.submitted()
    await ground.sign("kynhay", initials)
    accepted = await ground.ask("chutich", signatory)
    await ground.db.admin.execute("UPDATE certificate SET revoked_at = now() WHERE person_id IS NOT NULL")
    await ground.work()
    assert await ground.details(accepted.ticket) == ["no-certificate"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use") == 0


async def test_the_digest_that_was_shown_is_what_is_signed(ground):
    initials, signatory, _ = await ground.submitted()
    await ground.sign("kynhay", initials)
    accepted = await ground.ask("chutich", signatory)
    other = await ground.db.admin.fetchval("SELECT sha256 FROM blob LIMIT 1")
    await ground.db.admin.execute("UPDATE batch_item SET shown_sha256 = $2 WHERE batch_id = $1", accepted.ticket, other)
    await ground.work()
    assert await ground.details(accepted.ticket) == ["second-factor-other"]
    assert await ground.states(signatory) == ["to_sign"]


async def test_a_seal_asked_before_midnight_and_not_sent_expires_and_its_number_is_void(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.sign("kynhay", initials)
    await ground.sign("chutich", signatory)
    ground.clock.fixed = datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC)
    accepted = await ground.ask("vanthu", seal)
    ground.clock.shift = timedelta(seconds=2)
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["expired"]
    number = await ground.db.admin.fetchrow("SELECT year, n, text, state, day, reason FROM number")
    assert (number["year"], number["state"], number["day"].isoformat()) == (2026, "void", "2026-12-31")
    assert await ground.sign("vanthu", seal) == ["recorded"]
    used = await ground.db.admin.fetchrow("SELECT year, n, text, day FROM number WHERE state = 'used'")
    assert (used["year"], used["n"], used["day"].isoformat()) == (2027, 1, "2027-01-01")


async def test_a_seal_at_the_last_second_of_the_year_keeps_that_years_number(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.sign("kynhay", initials)
    await ground.sign("chutich", signatory)
    ground.clock.fixed = datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC)
    assert await ground.sign("vanthu", seal) == ["recorded"]
    used = await ground.db.admin.fetchrow("SELECT year, day, state FROM number")
    assert (used["year"], used["day"].isoformat(), used["state"]) == (2026, "2026-12-31", "used")


async def test_sending_back_keeps_the_evidence_and_uses_no_number(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.sign("kynhay", initials)
    await ground.sign("chutich", signatory)
    async with ground.app.transaction() as tx:
        order = Return(reason="Sai họ tên")
        await returning.send_back(ground.dossiers, tx, ground.actor("vanthu"), seal, order, at=ground.clock())
    assert await ground.states(seal) == ["superseded"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM number") == 0
    assert await ground.db.admin.fetchval("SELECT count(*) FROM revision_withdrawal") == 1
    assert await ground.db.admin.fetchval("SELECT status FROM dossier") == "drafting"
    with pytest.raises(Conflict):
        await ground.ask("vanthu", seal)


async def test_declining_ends_the_chain(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.sign("kynhay", initials)
    async with ground.app.transaction() as tx:
        because = Because(reason="Không đủ căn cứ")
        await returning.decline(ground.dossiers, tx, ground.actor("chutich"), signatory, because, at=ground.clock())
    assert await ground.states(signatory, seal) == ["refused", "superseded"]


async def test_ones_own_signature_can_be_taken_back_until_a_number_is_given(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.sign("kynhay", initials)
    await ground.sign("chutich", signatory)
    because = Because(reason="Ký nhầm")
    chair = ground.actor("chutich")
    async with ground.app.transaction() as tx:
        await returning.take_back(ground.dossiers, tx, chair, signatory, because, at=ground.clock())
    assert await ground.states(seal) == ["superseded"]
    assert await ground.db.admin.fetchval("SELECT status FROM dossier") == "drafting"


async def test_a_signature_is_not_taken_back_once_a_number_is_given(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.sign("kynhay", initials)
    await ground.sign("chutich", signatory)
    await ground.sign("vanthu", seal)
    chair, because = ground.actor("chutich"), Because(reason="Ký nhầm")
    async with ground.app.transaction() as tx:
        with pytest.raises(Refused) as refused:
            await returning.take_back(ground.dossiers, tx, chair, signatory, because, at=ground.clock())
    assert refused.value.kind_code == "number-given"


async def test_a_ticket_belongs_to_its_asker_and_tells_each_stage(ground):
    initials, *_ = await ground.submitted()
    accepted = await ground.ask("kynhay", initials)
    async with ground.app.reading() as tx:
        before = await tickets.ticket(tx, await ahead.look(tx), ground.actor("kynhay"), accepted.ticket)
        with pytest.raises(NotFound):
            await tickets.ticket(tx, await ahead.look(tx), ground.actor("chutich"), accepted.ticket)
    await ground.work()
    async with ground.app.reading() as tx:
        after = await tickets.ticket(tx, await ahead.look(tx), ground.actor("kynhay"), accepted.ticket)
    assert (before.stage, after.stage) == ("queued", "finished")
    assert after.version > before.version
    assert after.finished_at is not None


async def test_a_withdrawn_dossier_takes_its_documents_out_of_every_list(ground):
    initials, signatory, seal = await ground.submitted()
    await ground.sign("kynhay", initials)
    dossier = await ground.db.admin.fetchval("SELECT id FROM dossier")
    async with ground.app.transaction() as tx:
        reason = f.Reasoned(reason="Công dân rút hồ sơ")
        counter = ground.actor("tiepnhan")
        await ground.dossiers.take_step(
            tx, counter, await ground.dossiers.locked(tx, dossier), Action.WITHDRAW, reason, at=ground.clock()
        )
    assert await ground.states(signatory, seal) == ["superseded", "superseded"]
    assert await ground.db.admin.fetchval("SELECT state FROM chain") == "superseded"


async def test_a_recalled_result_says_so_from_the_same_commit_on(ground):
    requests = await ground.submitted()
    for who, request in zip(("kynhay", "chutich", "vanthu"), requests, strict=True):
        assert await ground.sign(who, request) == ["recorded"]
    row = await ground.db.admin.fetchrow("SELECT id, dossier_id FROM result")
    async with ground.app.transaction() as tx:
        facts = f.RecallResult(result_id=row["id"], reason="Cấp sai", legal_basis="Nghị định 30/2020, Điều 18")
        chair = ground.actor("chutich")
        await ground.dossiers.record(tx, row["dossier_id"], Action.RECALL_RESULT, facts, at=ground.clock(), actor=chair)
    assert await ground.db.admin.fetchval("SELECT effect FROM result") == "recalled"
    history = await ground.db.admin.fetch("SELECT effect, legal_basis FROM result_effect ORDER BY ordinal")
    assert [line["effect"] for line in history] == ["in_force", "recalled"]
    assert history[1]["legal_basis"] == "Nghị định 30/2020, Điều 18"


async def test_a_copy_is_certified_by_a_decision_and_carries_the_seal_alone(ground):
    document = await ground.copy()
    decision, seal = await ground.submit(document, "tiepnhan")
    with pytest.raises(Conflict):
        await ground.ask("vanthu", seal)
    assert await ground.sign("chutich", decision) == ["recorded"]
    assert await ground.db.admin.fetchval("SELECT status FROM dossier") == "awaiting_issue"
    assert await ground.sign("vanthu", seal) == ["recorded"]
    assert await ground.db.admin.fetchval("SELECT status FROM dossier") == "done"
    head = await ground.db.admin.fetchval("SELECT head_sha256 FROM document WHERE id = $1", document)
    assert pdfsig_valid(await ground.blobs.local_path(head)) == 1
    lines = await ground.db.admin.fetch("SELECT action, data FROM journal ORDER BY seq")
    means = {line["action"]: line["data"].get("means") for line in lines}
    assert (means["record_signature"], means["issue"]) == ("certified", "sealed_copy")
    assert "SCT/BS" in await ground.db.admin.fetchval("SELECT text FROM number WHERE state = 'used'")
