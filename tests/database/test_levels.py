"""Conformance debt on real rows, with real authorities: owed at the seal, paid beside the signatures."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import pytest_asyncio
import structlog

import signing
from api.documents.store import released_file
from api.jobs import JobContext
from api.operating import sampling
from api.operating import store as operating
from api.signatures.engine import quotas, repaying
from signing.levels import Limit
from signing.raising import FINISH_S
from tests import stamping_ground
from tests.level_ground import LevelGround
from tests.paper import pdfsig_valid
from tests.signing_ground import Ground, runner_for

RUN = JobContext(kind="signatures.repay", key="", claim=1, failures=0)


@pytest_asyncio.fixture
async def ward(province_db, province, tmp_path):
    async with stamping_ground.outside(tmp_path) as made:
        ground = await Ground(province_db, province).open()
        one = await LevelGround(ground, made, tmp_path).open()
        yield one
        await one.close()
        await ground.close()


async def test_nothing_is_owed_where_the_province_wants_nothing(ward):
    await ward.wants("B-B")
    await ward.sealed()
    assert await ward.debts() == []


async def test_a_sealed_document_is_released_at_once_and_has_its_level_soon_after(ward):
    """One evidence and one timestamp for both signatures; the head and what was released before stay."""
    await ward.wants("B-LTA")
    await ward.sealed()
    (debt,) = await ward.debts()
    assert (debt["wanted"], debt["level"], debt["paid_at"]) == ("B-LTA", "B-B", None)
    assert debt["due_at"] - debt["signed_at"] == timedelta(hours=24)
    head = await ward.db.admin.fetchval("SELECT head_sha256 FROM document")
    assert await ward.pay() == 1
    (paid,) = await ward.debts()
    assert (paid["level"], paid["problem"]) == ("B-LTA", None)
    assert paid["paid_at"] is not None
    assert paid["renew_at"] > ward.ground.clock() + timedelta(days=3000)
    assert await ward.db.admin.fetchval("SELECT head_sha256 FROM document") == head
    path = await ward.newest()
    first = await ward.ground.blobs.local_path(head)
    assert path.read_bytes().startswith(first.read_bytes())
    verdict = await asyncio.to_thread(signing.verify, str(path), ward.ground.engine.trust, at=ward.ground.clock())
    assert verdict.ok
    assert [one.kind for one in verdict.signatures] == ["signatory", "seal", "timestamp"]
    assert pdfsig_valid(path) == 2
    result = await ward.db.admin.fetchrow("SELECT id, dossier_id FROM result")
    async with ward.ground.app.reading() as connection:
        released = await released_file(connection, result["id"], result["dossier_id"], None)
    assert released.sha256 == paid["sha256"]
    said = await ward.db.admin.fetchrow("SELECT process, detail FROM audit WHERE action = 'level.raised'")
    assert (said["process"], said["detail"]["level"]) == ("signer", "B-LTA")
    assert await ward.pay() == 0


async def test_a_procedures_word_counts_before_its_agencys(ward):
    agency = str(ward.ground.actor("vanthu").agency_id)
    await ward.wants(
        "B-B", agencies={agency: {"level": "B-LT"}}, procedures={"1.004873": {"level": "B-T", "within_hours": 1}}
    )
    await ward.sealed()
    (debt,) = await ward.debts()
    assert (debt["wanted"], debt["due_at"] - debt["signed_at"]) == ("B-T", timedelta(hours=1))
    await ward.pay()
    assert (await ward.debts())[0]["level"] == "B-T"


async def test_an_outage_costs_a_level_for_a_while_and_never_a_signature(ward):
    await ward.wants("B-LTA")
    ward.made.faults["tsa/tsa"] = "garbage"
    await ward.sealed()
    assert await ward.pay() == 1
    (debt,) = await ward.debts()
    assert (debt["paid_at"], debt["attempts"], debt["problem"]) == (None, 1, "garbage")
    assert debt["try_at"] > ward.ground.clock()
    assert await ward.pay() == 0
    ward.made.faults.clear()
    ward.ground.clock.shift += timedelta(minutes=1)
    ward.timestamps._all[0]._rests_until = 0.0
    ward.timestamps._clock = ward.ground.clock
    ward.made.at = ward.ground.clock()
    assert await ward.pay() == 1
    assert (await ward.debts())[0]["level"] == "B-LTA"


async def test_evidence_that_is_not_to_be_had_puts_off_the_level_by_name(ward):
    await ward.wants("B-LT")
    await ward.sealed()
    ward.made.faults.update({"ocsp/interm": "garbage", "crl/interm": "garbage"})
    await ward.ground.db.admin.execute("DELETE FROM revocation_answer")
    await ward.pay()
    (debt,) = await ward.debts()
    assert (debt["paid_at"], debt["problem"]) == (None, "crl-garbage")


async def test_what_is_due_first_is_paid_first_and_a_quota_is_never_exceeded(ward, tmp_path):
    await ward.wants("B-T")
    for text in ("mot", "hai", "ba"):
        await ward.sealed(text)
    await ward.db.admin.execute(
        "UPDATE level_debt SET due_at = signed_at + interval '1 hour'"
        " WHERE signed_at = (SELECT max(signed_at) FROM level_debt)"
    )
    limited = stamping_ground.pool(ward.made, quota=1, quota_s=600)
    ward.ground.engine = replace(ward.ground.engine, timestamps=limited)
    assert await ward.pay() == 1
    levels = [debt["level"] for debt in await ward.debts()]
    assert levels == ["B-B", "B-B", "B-T"]
    assert await ward.pay() == 0
    assert ward.made.asked["tsa/tsa"] == 1
    await limited.close()


async def test_two_at_once_and_a_second_delivery_raise_a_document_once(ward):
    await ward.wants("B-T")
    await ward.sealed()
    (debt,) = await ward.debts()
    engine, ids = ward.ground.engine, {"revision": str(debt["revision_id"])}
    await asyncio.gather(repaying.repay(engine, RUN, ids), repaying.repay(engine, RUN, ids))
    await repaying.repay(engine, RUN, ids)
    assert await ward.db.admin.fetchval("SELECT count(*) FROM rendition") == 1
    assert await ward.db.admin.fetchval("SELECT count(*) FROM audit WHERE action = 'level.raised'") == 1


async def test_a_file_that_cannot_be_raised_is_parked_and_the_others_go_on(ward):
    await ward.wants("B-T")
    await ward.sealed("mot")
    await ward.sealed("hai")
    first, _ = await ward.debts()
    path = await ward.ground.blobs.local_path(first["sha256"])
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")
    assert await ward.pay() == 2
    one, other = await ward.debts()
    assert (one["paid_at"], one["problem"]) == (None, "base-changed")
    assert other["level"] == "B-T"
    assert await ward.db.admin.fetchval("SELECT count(*) FROM job_claim WHERE parked_at IS NOT NULL") == 1
    assert await ward.pay() == 0


async def test_an_archived_document_is_renewed_before_its_last_timestamp_ends(ward):
    await ward.wants("B-LTA")
    await ward.sealed()
    await ward.pay()
    (paid,) = await ward.debts()
    await ward.db.admin.execute("UPDATE level_debt SET renew_at = now() - interval '1 day'")
    async with ward.ground.signer.transaction() as tx:
        await repaying.level_store.owe_renewals(tx, ward.ground.clock(), timedelta(days=90), 10)
    (owed,) = await ward.debts()
    assert owed["paid_at"] is None
    assert owed["due_at"] > ward.ground.clock() + timedelta(days=80)
    assert await ward.pay() == 1
    (renewed,) = await ward.debts()
    assert renewed["sha256"] != paid["sha256"]
    verdict = await asyncio.to_thread(
        signing.verify, str(await ward.newest()), ward.ground.engine.trust, at=ward.ground.clock()
    )
    assert [one.kind for one in verdict.signatures] == ["signatory", "seal", "timestamp", "timestamp"]
    assert verdict.ok
    assert await ward.db.admin.fetchval("SELECT count(*) FROM rendition") == 2


async def test_the_operator_sees_the_debt_and_when_it_will_be_nought(ward):
    await ward.wants("B-T")
    await ward.sealed("mot")
    await ward.pay()
    await ward.sealed("hai")
    await ward.db.admin.execute(
        "UPDATE level_debt SET paid_at = now() - interval '10 seconds' WHERE paid_at IS NOT NULL"
    )
    await sampling.sample(ward.ground.worker, ward.ground.clock())
    assert sampling._DEBT._value.get() == 1
    assert 10 <= sampling._DEBT_ZERO._value.get() < 12
    async with ward.ground.worker.reading() as connection:
        told = await operating.level_debt(connection)
    assert (told.owed, told.overdue, told.paid) == (1, 0, 1)
    await ward.db.admin.execute(
        "UPDATE level_debt SET due_at = now() - interval '1 hour', paid_at = NULL, level = 'B-B'"
    )
    await sampling.sample(ward.ground.worker, ward.ground.clock())
    assert sampling._DEBT_OVERDUE._value.get() == 2
    assert sampling._DEBT_ZERO._value.get() == float("inf")


async def test_a_certificate_revoked_in_mid_batch_is_refused_before_anybody_is_asked(ward):
    """Two signed, then the authority revokes; the third has its own state, and no key was used for it."""
    requests = [await ward.ground.submitted(text) for text in ("mot", "hai", "ba")]
    for one in requests:
        await ward.ground.sign("kynhay", one[0])
    assert await ward.ground.sign("chutich", requests[0][1], requests[1][1]) == ["recorded", "recorded"]
    used = await ward.db.admin.fetchval("SELECT count(*) FROM key_use")
    accepted = await ward.ground.ask("chutich", requests[2][1])
    ward.made.revoke("leader", ward.ground.clock() - timedelta(seconds=5))
    ward.ground.clock.shift += timedelta(minutes=2)
    await ward.ground.work()
    assert await ward.ground.details(accepted.ticket) == ["certificate-revoked"]
    assert await ward.db.admin.fetchval("SELECT count(*) FROM key_use") == used
    assert await ward.db.admin.fetchval("SELECT count(*) FROM certificate WHERE revoked_at IS NOT NULL") == 1
    assert await ward.db.admin.fetchval("SELECT count(*) FROM audit WHERE action = 'certificate.revoked'") == 1


async def test_a_certificate_on_hold_signs_nothing_until_its_authority_lifts_that(ward):
    """It has a word of its own, is not revoked for good, and signs again once it is off the list."""
    (_, signatory, _) = requests = await ward.ground.submitted("tam dung")
    await ward.ground.sign("kynhay", requests[0])
    accepted = await ward.ground.ask("chutich", signatory)
    ward.made.hold("leader", ward.ground.clock() - timedelta(seconds=5))
    ward.ground.clock.shift = timedelta(minutes=2)
    await ward.ground.work()
    assert await ward.ground.details(accepted.ticket) == ["certificate-on-hold"]
    assert await ward.ground.states(signatory) == ["to_sign"]
    assert await ward.db.admin.fetchval("SELECT count(*) FROM key_use WHERE request_id = $1", signatory) == 0
    assert await ward.db.admin.fetchval("SELECT count(*) FROM certificate WHERE revoked_at IS NOT NULL") == 0
    assert await ward.db.admin.fetchval("SELECT count(*) FROM certificate_status WHERE state = 'on_hold'") == 1
    ward.made.lift("leader")
    ward.ground.clock.shift = timedelta()
    accepted = await ward.ground.ask("chutich", signatory)
    ward.ground.clock.shift = timedelta(minutes=4)
    await ward.ground.work()
    assert await ward.ground.outcomes(accepted.ticket) == ["recorded"]


async def test_silence_and_garbage_of_a_revocation_authority_stop_no_signature(ward):
    from api.signatures.engine import revoking  # noqa: PLC0415

    await revoking.look(ward.ground.engine)
    for after, fault in ((30, "silent"), (60, "garbage")):
        ward.made.faults.update({"ocsp/interm": fault, "crl/interm": fault})
        ward.ground.clock.fixed = datetime.now(UTC) + timedelta(minutes=after)
        requests = await ward.ground.submitted(fault)
        for who, request in zip(("kynhay", "chutich", "vanthu"), requests, strict=True):
            assert await ward.ground.sign(who, request) == ["recorded"]
    await revoking.look(ward.ground.engine)
    said = await ward.db.admin.fetch("SELECT state, problem FROM certificate_status WHERE problem LIKE 'crl-%'")
    assert {(row["state"], row["problem"]) for row in said} == {("good", "crl-garbage")}


async def test_jobs_of_levels_are_the_signers_own_kind(ward):
    assert {"signatures.repay"} <= runner_for(ward.ground).kinds


async def test_a_debt_whose_time_runs_out_is_put_off_by_that_name(ward):
    """The authority takes longer than the run has left: told in the row and in the log, and no failure of the work."""
    await ward.wants("B-T")
    await ward.sealed()
    ward.made.faults["tsa/tsa"] = "131"
    (debt,) = await ward.debts()
    short = msgspec.structs.replace(RUN, ends_at=time.monotonic() + FINISH_S + 1.0)
    with structlog.testing.capture_logs() as said:
        await repaying.repay(ward.ground.engine, short, {"revision": str(debt["revision_id"])})
    (put_off,) = await ward.debts()
    assert (put_off["paid_at"], put_off["attempts"], put_off["problem"]) == (None, 1, "no-time-left")
    assert put_off["version"] == debt["version"] + 1
    assert [(line["event"], line["why"]) for line in said if "why" in line] == [("level_put_off", "no-time-left")]
    ward.made.faults.clear()
    async with asyncio.timeout(2):
        while ward.made.waiting["tsa/tsa"]:
            await asyncio.sleep(0.02)


async def taken(ward, limit: Limit, count: int) -> list[float]:
    """Two signers ask for so many requests at once."""
    ones = [quotas.SharedQuotas(ward.ground.signer) for _ in range(2)]
    await quotas.declare(ward.ground.signer, [limit], ward.ground.clock)
    return list(await asyncio.gather(*(ones[n % 2].take(limit) for n in range(count))))


async def test_a_quota_is_one_row_for_all_signers_and_never_taken_twice(ward):
    limit = Limit(authority="one", quota=20, window_s=1200.0)
    waits = await taken(ward, limit, 50)
    assert waits.count(0.0) == 20
    assert all(1190 < wait <= 1200 + quotas.LATE_S for wait in waits if wait)
    assert await quotas.SharedQuotas(ward.ground.signer).room(limit) == 0
    async with ward.ground.app.reading() as tx:
        (first, later, last) = await tx.fetchrow(
            "SELECT extract(epoch FROM timestamp_expected(1) - now())::float8,"
            " extract(epoch FROM timestamp_expected(21) - now())::float8,"
            " extract(epoch FROM timestamp_expected(41) - now())::float8"
        )
    assert 1190 < first <= 1205
    assert later - first == pytest.approx(1205, abs=1)
    assert last - later == pytest.approx(1205, abs=1)


async def test_a_large_quota_is_kept_in_few_numbers(ward):
    limit = Limit(authority="large", quota=300, window_s=2.0)
    assert (await taken(ward, limit, 320)).count(0.0) == 300
    row = await ward.db.admin.fetchrow("SELECT slots, sent FROM timestamp_authority WHERE name = 'large'")
    assert sum(row["sent"]) == 300
    assert len(row["slots"]) <= 256
    await asyncio.sleep(2.0 + quotas.LATE_S + 0.1)
    assert await quotas.SharedQuotas(ward.ground.signer).room(limit) == 300
    assert (await taken(ward, limit, 5)).count(0.0) == 5
    assert await ward.db.admin.fetchval("SELECT sum(n) FROM timestamp_authority, unnest(sent) n") == 5


@pytest.mark.parametrize("handed_back", [True, False])
async def test_what_a_signatorys_own_program_made_is_looked_through_for_timestamps(ward, tmp_path, handed_back):
    """Such a file may bear an authority's timestamp inside its signature; the register does not know of it."""
    await ward.wants("B-LTA")
    _, signatory, _ = await ward.sealed()
    made = await stamping_ground.signed_elsewhere(ward.made, tmp_path)
    stored = await ward.ground.blobs.put_file(made)
    admin = ward.db.admin
    await admin.execute(
        "INSERT INTO blob (sha256, size, media_type) VALUES ($1, $2, 'application/pdf')", stored.sha256, stored.size
    )
    await admin.execute("UPDATE level_debt SET sha256 = $1", stored.sha256)
    if handed_back:
        await admin.execute(
            "INSERT INTO handed_back (transaction_id, request_id, content_sha256, file_sha256, account_id)"
            " SELECT transaction_id, id, $2, $2, $3 FROM signature_request WHERE id = $1",
            signatory, stored.sha256, ward.ground.actor("chutich").account_id,
        )  # fmt: skip
    await ward.pay()
    (debt,) = await ward.debts()
    assert (debt["level"], debt["problem"]) == (("B-LTA", None) if handed_back else ("B-B", "evidence-unavailable"))


async def test_when_a_level_is_expected_is_told_by_turn_pace_and_quota_and_not_in_an_outage(ward):
    await ward.wants("B-T")
    await ward.sealed()
    told = "SELECT extract(epoch FROM level_expected(due_at, revision_id, try_at) - now())::float8 FROM level_debt"
    assert await ward.db.admin.fetchval(told) is None, "no signer has an authority"
    limit = Limit(authority="one", quota=2, window_s=600.0)
    await quotas.declare(ward.ground.signer, [limit], ward.ground.clock)
    assert 0 <= await ward.db.admin.fetchval(told) < 1
    await taken(ward, limit, 2)
    assert 590 < await ward.db.admin.fetchval(told) <= 605
    await quotas.declare(ward.ground.signer, [Limit(authority="free", quota=0, window_s=1.0)], ward.ground.clock)
    assert 0 <= await ward.db.admin.fetchval(told) < 1
    await ward.db.admin.execute("UPDATE level_debt SET attempts = 1, problem = 'silent'")
    assert await ward.db.admin.fetchval(told) is None, "who has failed once may fail again"
