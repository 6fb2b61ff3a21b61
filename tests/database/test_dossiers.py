"""A dossier through its five steps and beside them, on real rows."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from api.dossiers import access, store
from api.dossiers import facts as f
from api.dossiers.contract import ForeignCode, Imported, NewDossier, OnlineDossier, PersonIn
from api.dossiers.rebuild import rebuild
from api.dossiers.views import Views
from api.dossiers.words import Action, Delivery, Finance, Standing, Status
from api.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from api.http.idempotency import store as intents
from api.public import service as tracking
from tests.dossier_ground import MARITAL_STATUS, MONDAY, VAULT, Ground, actor, copied, province_template

NAME = "Nguyễn Thị Sao Mai"
FILER = PersonIn(name=NAME, id_number="024199000001", phone="0912345678", address="12 Lý Thái Tổ")
NOTED = f.Noted()


@pytest_asyncio.fixture(scope="session")
async def province(cluster, template):
    async with province_template(cluster, template) as name:
        yield name


@pytest_asyncio.fixture
async def ground(cluster, province):
    async with copied(cluster, province) as database:
        yield Ground(database, await database.pools("app"))


def marital(**more):
    return NewDossier(
        procedure_code=MARITAL_STATUS,
        filer=FILER,
        territory_code="09187",
        parts=(f.PartIn(part_code="TK", name="Tờ khai", originals=1),),
        **more,
    )


async def submit(ground, at=MONDAY, **more):
    async with ground.pools.transaction() as tx:
        return await ground.intake.submit(tx, actor("tiepnhan.kinhbac"), marital(**more), at=at)


async def to_drafting(ground):
    filed = await submit(ground)
    thuly = actor("thuly.kinhbac")
    over = f.HandOver(agency_id=thuly.agency_id)
    await ground.step("tiepnhan.kinhbac", filed.id, Action.HAND_OVER, over, MONDAY)
    await ground.step("thuly.kinhbac", filed.id, Action.CONFIRM_HAND_OVER, NOTED, MONDAY + timedelta(hours=1))
    await ground.step("thuly.kinhbac", filed.id, Action.APPRAISE, NOTED, MONDAY + timedelta(hours=2))
    return filed


async def to_done(ground):
    filed = await to_drafting(ground)
    result = await ground.result(filed.id)
    at = MONDAY + timedelta(hours=3)
    submission = f.SubmitForSignature(result_ids=(result,))
    await ground.step("thuly.kinhbac", filed.id, Action.SUBMIT_FOR_SIGNATURE, submission, at)
    async with ground.pools.transaction() as tx:
        await ground.dossiers.record_signed(
            tx, filed.id, result, request_id=None, role="signatory", complete=True, at=at
        )
        await ground.dossiers.record_issued(tx, filed.id, result, number_id=None, request_id=None, at=at)
    return filed, result


async def row_of(ground, dossier_id):
    async with ground.pools.transaction() as tx:
        return await store.lock_dossier(tx, dossier_id)


async def test_five_steps_end_in_a_delivered_dossier(ground):
    filed, result = await to_done(ground)
    assert filed.code.endswith("-260309-0001")
    assert filed.due_at == datetime(2026, 3, 12, 10, 0, tzinfo=UTC)
    done = await row_of(ground, filed.id)
    assert (done.status, done.delivery, done.results) == (Status.DONE, Delivery.WAITING, {result: Standing.ISSUED})
    assert done.step_agency_id == done.receipt_agency_id
    async with ground.pools.transaction() as tx:
        handed = await ground.dossiers.deliver_result(
            tx,
            actor("quay1.kinhbac"),
            await ground.dossiers.locked(tx, filed.id),
            f.Deliver(result_id=result, channel="counter"),
            {"received_by": "filer"},
            at=MONDAY + timedelta(hours=5),
        )
    assert handed.status is Status.DELIVERED
    after = await row_of(ground, filed.id)
    assert (after.delivery, after.results) == (Delivery.DELIVERED, {result: Standing.DELIVERED})
    open_tasks = await ground.db.admin.fetchval("SELECT count(*) FROM task WHERE state IN ('open', 'claimed')")
    assert open_tasks == 0
    journal = await ground.db.admin.fetch("SELECT action FROM journal WHERE dossier_id = $1 ORDER BY seq", filed.id)
    assert [line["action"] for line in journal] == [
        "submit", "receive", "hand_over", "confirm_hand_over", "appraise", "submit_for_signature", "record_signature",
        "issue", "deliver",
    ]  # fmt: skip
    assert await ground.db.admin.fetchval("SELECT count(*) FROM audit WHERE subject_id = $1", filed.id) == 8
    assert await ground.db.admin.fetchval("SELECT proof FROM delivery") == {"received_by": "filer"}


async def test_what_a_person_said_is_sealed_and_no_name_stands_in_the_open(ground):
    filed = await to_drafting(ground)
    asked = f.AskOpinion(agency_id=actor("tiepnhan.bacgiang").agency_id, question=f"{NAME} đã kết hôn chưa?")
    await ground.step("thuly.kinhbac", filed.id, Action.ASK_OPINION, asked, MONDAY + timedelta(hours=3))
    for table in (
        "journal",
        "audit",
        "dossier",
        "task",
        "dossier_party",
        "dossier_note",
        "person_private",
        "dossier_part",
    ):
        text = await ground.db.admin.fetchval(f"SELECT string_agg(x::text, ' ') FROM {table} x")
        assert text, table
        for secret in (NAME, "Sao Mai", "kết hôn", "024199000001", "0912345678", "Lý Thái Tổ"):
            assert secret not in text, table
    async with ground.pools.transaction() as tx:
        shown = await Views(ground.dossiers).show(tx, actor("thuly.kinhbac"), filed.code, at=MONDAY)
        journal = await Views(ground.dossiers).journal(tx, actor("thuly.kinhbac"), filed.code, 0, at=MONDAY)
    assert [(p.role, p.name, p.phone) for p in shown.parties] == [("filer", NAME, "0912345678")]
    assert journal.lines[-1].words == {"question": f"{NAME} đã kết hôn chưa?"}
    assert journal.lines[-1].actor_name
    assert await ground.db.admin.fetchval("SELECT count(*) FROM view_log WHERE subject_id = $1", filed.id) == 2
    assert Action.ASK_OPINION in shown.allowed
    assert shown.due_at == filed.due_at


async def test_an_agency_that_takes_no_part_does_not_learn_that_the_dossier_exists(ground):
    filed = await submit(ground)
    async with ground.pools.transaction() as tx:
        with pytest.raises(NotFound):
            await Views(ground.dossiers).show(tx, actor("thuly.bacgiang"), filed.code, at=MONDAY)
        with pytest.raises(NotFound):
            await Views(ground.dossiers).show(tx, actor("thuly.kinhbac"), "H05-260309-9999", at=MONDAY)
    assert await ground.db.admin.fetchval("SELECT count(*) FROM view_log") == 0


async def test_of_two_officers_one_claims_and_the_other_is_told_who(ground):
    filed = await submit(ground)
    task = await ground.db.admin.fetchval("SELECT id FROM task WHERE dossier_id = $1", filed.id)

    async def claim(slug):
        async with ground.pools.transaction() as tx:
            return await ground.dossiers.claim(tx, actor(slug), task, at=MONDAY)

    outcomes = await asyncio.gather(claim("quay1.kinhbac"), claim("quay2.kinhbac"), return_exceptions=True)
    lost = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(lost) == 1
    won = "quay1.kinhbac" if isinstance(outcomes[1], Conflict) else "quay2.kinhbac"
    loser = "quay2.kinhbac" if won == "quay1.kinhbac" else "quay1.kinhbac"
    assert lost[0].kind_code == "task-taken"
    assert lost[0].facts["assignee_account_id"] == str(actor(won).account_id)
    over = f.HandOver(agency_id=actor("thuly.kinhbac").agency_id)
    with pytest.raises(Conflict, match="Another officer"):
        await ground.step(loser, filed.id, Action.HAND_OVER, over, MONDAY)
    async with ground.pools.transaction() as tx:
        with pytest.raises(Conflict):
            await ground.dossiers.release(tx, actor(loser), task, at=MONDAY)
    async with ground.pools.transaction() as tx:
        await ground.dossiers.release(tx, actor(won), task, at=MONDAY)
    await ground.step(loser, filed.id, Action.HAND_OVER, over, MONDAY)


async def step_by_intent(ground, slug, code, action, facts, key):
    async with ground.pools.transaction() as tx:
        row = await ground.dossiers.lock_once(code)(tx, slug, "POST /steps", key)
        before = await ground.dossiers.locked_once(tx, row)
        return await ground.dossiers.take_step(tx, actor(slug), before, action, facts, at=MONDAY)


@pytest.mark.parametrize("by", ["id", "intent"])
async def test_what_was_waited_for_is_read_anew(ground, by):
    """The work is claimed in the very moment in which another officer's step waits for the dossier."""
    filed = await submit(ground)
    task = await ground.db.admin.fetchval("SELECT id FROM task WHERE dossier_id = $1", filed.id)
    over = f.HandOver(agency_id=actor("thuly.kinhbac").agency_id)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
    async with ground.pools.transaction() as tx:
        await ground.dossiers.claim(tx, actor("quay1.kinhbac"), task, at=MONDAY)
        step = (
            ground.step("quay2.kinhbac", filed.id, Action.HAND_OVER, over, MONDAY)
            if by == "id"
            else step_by_intent(ground, "quay2.kinhbac", filed.code, Action.HAND_OVER, over, "key")
        )
        late = asyncio.create_task(step)
        while not await ground.db.admin.fetchval(waiting, ground.db.name):
            assert not late.done(), "the step waited for nobody"
            await asyncio.sleep(0.01)
    with pytest.raises(Conflict, match="Another officer") as taken:
        await late
    assert taken.value.facts["assignee_account_id"] == str(actor("quay1.kinhbac").account_id)


async def test_a_twin_neither_waits_for_the_dossier_nor_takes_it(ground):
    """Of two with one intent the second learns so at once; a repeat finds the answer and leaves the dossier alone."""
    filed = await submit(ground)
    intent = ("quay1.kinhbac", "POST /steps", "key")
    lock = ground.dossiers.lock_once(filed.code)
    async with ground.pools.transaction() as first, ground.pools.transaction() as second:
        taken = await lock(first, *intent)
        assert intents.taken(taken) == (True, None)
        assert (await ground.dossiers.locked_once(first, taken)).id == filed.id
        twin = await asyncio.wait_for(lock(second, *intent), 5)
        assert (intents.taken(twin), twin["id"]) == ((False, None), None)
        answer = intents.Answered(body_sha256=b"\0" * 32, status=200, answer="{}")
        await intents.insert_intent(
            first, intents.Intent(actor=intent[0], route=intent[1], key=intent[2]), answer, MONDAY, lasting=False
        )
    async with ground.pools.transaction() as somebody, ground.pools.transaction() as again:
        await ground.dossiers.locked(somebody, filed.id)
        repeat = await asyncio.wait_for(lock(again, *intent), 5)
        assert (intents.taken(repeat), repeat["id"]) == ((True, answer), None)


async def test_two_steps_at_once_are_one_step_and_one_refusal_that_says_what_is_allowed(ground):
    filed = await submit(ground)
    over = f.HandOver(agency_id=actor("thuly.kinhbac").agency_id)
    steps = (ground.step(slug, filed.id, Action.HAND_OVER, over, MONDAY) for slug in ("quay1.kinhbac", "quay2.kinhbac"))
    outcomes = await asyncio.gather(*steps, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refused) == 1
    assert {Action.CONFIRM_HAND_OVER, Action.DECLINE_HAND_OVER} <= set(refused[0].allowed)
    with pytest.raises(Conflict) as moved:
        await ground.step(
            "quay1.kinhbac", filed.id, Action.WITHDRAW, f.Reasoned(reason="thôi"), MONDAY, expected_version=2
        )
    assert moved.value.facts["version"] == 3


async def test_the_sender_stays_responsible_until_the_receiver_confirms(ground):
    filed = await submit(ground)
    thuly = actor("thuly.kinhbac")
    await ground.step("quay1.kinhbac", filed.id, Action.HAND_OVER, f.HandOver(agency_id=thuly.agency_id), MONDAY)
    works = await ground.db.admin.fetch("SELECT kind, agency_id, state FROM task ORDER BY started_at, kind")
    assert {(row["kind"], row["state"]) for row in works} == {("work", "open"), ("hand_over", "open")}
    with pytest.raises(Forbidden):
        await ground.step("thuly.kinhbac", filed.id, Action.APPRAISE, NOTED, MONDAY)
    with pytest.raises(Forbidden):
        await ground.step("thuly.bacgiang", filed.id, Action.CONFIRM_HAND_OVER, NOTED, MONDAY)
    stepped = await ground.step("thuly.kinhbac", filed.id, Action.CONFIRM_HAND_OVER, NOTED, MONDAY)
    assert stepped.step_due_at == datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
    now = await ground.db.admin.fetchrow("SELECT agency_id, role FROM task WHERE state = 'open'")
    assert (now["agency_id"], now["role"]) == (thuly.agency_id, "appraiser")


async def test_an_opinion_gives_no_other_right_and_both_stand_in_the_audit(ground):
    filed = await to_drafting(ground)
    other = actor("thuly.bacgiang")
    asked = await ground.step(
        "thuly.kinhbac",
        filed.id,
        Action.ASK_OPINION,
        f.AskOpinion(agency_id=other.agency_id, question="Ý kiến?"),
        MONDAY,
    )
    result = await ground.result(filed.id)
    submission = f.SubmitForSignature(result_ids=(result,))
    with pytest.raises(Refused, match="silence"):
        await ground.step("thuly.kinhbac", filed.id, Action.SUBMIT_FOR_SIGNATURE, submission, MONDAY)
    with pytest.raises(Forbidden):
        await ground.step("thuly.bacgiang", filed.id, Action.APPRAISE, NOTED, MONDAY)
    answer = f.AnswerOpinion(task_id=asked.task_id, opinion="Đồng ý", verdict="agree")
    async with ground.pools.transaction() as tx:
        with pytest.raises(Forbidden):
            await ground.dossiers.answer_opinion(tx, actor("thuly.kinhbac"), asked.task_id, answer, at=MONDAY)
    async with ground.pools.transaction() as tx:
        await ground.dossiers.answer_opinion(tx, other, asked.task_id, answer, at=MONDAY)
    async with ground.pools.transaction() as tx:
        with pytest.raises((Conflict, Refused)):
            await ground.dossiers.answer_opinion(tx, other, asked.task_id, answer, at=MONDAY)
    actions = {row["action"] for row in await ground.db.admin.fetch("SELECT action FROM audit")}
    assert {"dossier.ask_opinion", "dossier.answer_opinion"} <= actions
    await ground.step("thuly.kinhbac", filed.id, Action.SUBMIT_FOR_SIGNATURE, submission, MONDAY)


async def test_the_clock_stands_while_a_supplement_is_asked_and_every_date_is_kept(ground):
    filed = await to_drafting(ground)
    ask = f.AskSupplement(items=(f.Wanted(part_code="CH", certified_copies=1),), reason="thiếu trích lục ly hôn")
    await ground.step("thuly.kinhbac", filed.id, Action.ASK_SUPPLEMENT, ask, MONDAY + timedelta(hours=3))
    more = f.AnswerSupplement(parts=(f.PartIn(part_code="CH", name="Trích lục", certified_copies=1),))
    stranger = f.AnswerSupplement(parts=(f.PartIn(part_code="XX", name="Lạ"),))
    with pytest.raises(Invalid, match="no such parts"):
        await ground.step("tiepnhan.kinhbac", filed.id, Action.ANSWER_SUPPLEMENT, stranger, MONDAY + timedelta(days=2))
    stepped = await ground.step(
        "tiepnhan.kinhbac", filed.id, Action.ANSWER_SUPPLEMENT, more, MONDAY + timedelta(days=2)
    )
    assert stepped.due_at == datetime(2026, 3, 16, 10, 0, tzinfo=UTC)
    pause = await ground.db.admin.fetchrow("SELECT stage, items, from_at, to_at FROM dossier_pause")
    assert (pause["stage"], pause["to_at"]) == ("appraise", MONDAY + timedelta(days=2))
    assert pause["items"] == [{"part_code": "CH", "certified_copies": 1}]
    given = await ground.db.admin.fetch("SELECT reason FROM dossier_deadline ORDER BY seq")
    assert [row["reason"] for row in given] == ["receive", "answer_supplement"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM dossier_part") == 2


async def test_what_nobody_is_known_to_decide_waits_for_dispatch(ground):
    async with ground.pools.transaction() as tx:
        new = NewDossier(procedure_code=MARITAL_STATUS, filer=FILER)
        filed = await ground.intake.submit(tx, actor("tiepnhan.kinhbac"), new, at=MONDAY)
    assert await ground.db.admin.fetchval("SELECT count(*) FROM task WHERE kind = 'dispatch'") == 1
    found = f.Dispatch(agency_id=actor("thuly.kinhbac").agency_id)
    with pytest.raises(Forbidden):
        await ground.step("tiepnhan.kinhbac", filed.id, Action.DISPATCH, found, MONDAY)
    await ground.step("dieuphoi.tinh", filed.id, Action.DISPATCH, found, MONDAY)
    with pytest.raises(NotFound):
        await ground.step("dieuphoi.tinh", filed.id, Action.DISPATCH, f.Dispatch(agency_id=uuid4()), MONDAY)
    assert (await row_of(ground, filed.id)).competent_agency_id == found.agency_id


async def test_codes_count_per_agency_and_vietnamese_day_without_gap_or_double(ground):
    late = datetime(2026, 3, 9, 16, 59, tzinfo=UTC)
    filed = await asyncio.gather(*(submit(ground, at=late) for _ in range(6)))
    assert sorted(one.code[-11:] for one in filed) == [f"260309-{n:04d}" for n in range(1, 7)]
    next_day = await submit(ground, at=late + timedelta(minutes=1))
    assert next_day.code.endswith("-260310-0001")


async def test_recorded_afterwards_but_not_in_the_future_nor_before_the_dossier(ground):
    filed = await submit(ground)
    over = f.HandOver(agency_id=actor("thuly.kinhbac").agency_id)
    at = MONDAY + timedelta(days=1)
    for wrong in (at + timedelta(minutes=1), MONDAY - timedelta(minutes=1)):
        with pytest.raises(Invalid):
            await ground.step("quay1.kinhbac", filed.id, Action.HAND_OVER, over, at, occurred_at=wrong)
    then = MONDAY + timedelta(hours=1)
    await ground.step("quay1.kinhbac", filed.id, Action.HAND_OVER, over, at, occurred_at=then)
    line = await ground.db.admin.fetchrow("SELECT source, occurred_at, recorded_at FROM journal WHERE seq = 3")
    assert tuple(line) == ("contingency", then, at)


async def test_online_submission_tracking_and_the_secret(ground):
    new = OnlineDossier(
        procedure_code=MARITAL_STATUS,
        receipt_agency_code=await ground.code_of("tiepnhan.kinhbac"),
        filer=FILER,
        territory_code="09187",
        foreign_code=ForeignCode(issuer="DVCQG", code="G01.899-260309-0001"),
    )
    async with ground.pools.transaction() as tx:
        filed = await ground.intake.submit_online(tx, new, "portal", at=MONDAY)
    with pytest.raises(Conflict):
        async with ground.pools.transaction() as tx:
            await ground.intake.submit_online(tx, new, "portal", at=MONDAY)
    assert (filed.status, filed.due_at) == (Status.SUBMITTED, None)
    assert (await row_of(ground, filed.id)).step_due_at == datetime(2026, 3, 10, 2, 0, tzinfo=UTC)
    secret = access.secret_of(VAULT, filed.id)
    async with ground.pools.reading() as tx:
        seen = await tracking.track(tracking.stages_of(ground.pools), filed.code)
        assert (seen.status, seen.national_status) == (Status.SUBMITTED, 1)
        more = await tracking.track_with_secret(tx, filed.code, secret.lower())
        assert [line.action for line in more.progress] == ["submit"]
        assert more.finance is Finance.DUE
        for code, wrong in ((filed.code, "A" * 26), ("H05-260309-9999", secret), ("x", secret)):
            with pytest.raises(NotFound):
                await tracking.track_with_secret(tx, code, wrong)
    await ground.step("tiepnhan.kinhbac", filed.id, Action.RECEIVE, NOTED, MONDAY + timedelta(hours=1))


async def test_a_dossier_from_another_system_opens_with_its_state_as_received(ground):
    old = Imported(
        procedure_code=MARITAL_STATUS,
        filer=FILER,
        status=Status.DONE,
        foreign_code=ForeignCode(issuer="bac-giang", code="H02-260101-0009"),
        submitted_at=MONDAY - timedelta(days=60),
        due_at=MONDAY - timedelta(days=50),
        finished_at=MONDAY - timedelta(days=51),
    )
    async with ground.pools.transaction() as tx:
        filed = await ground.intake.take_over(tx, actor("tiepnhan.kinhbac"), old, at=MONDAY)
    line = await ground.db.admin.fetchrow("SELECT action, source, data FROM journal WHERE dossier_id = $1", filed.id)
    assert (line["action"], line["source"], line["data"]["issuer"]) == ("import", "import", "bac-giang")
    async with ground.pools.reading() as tx:
        assert await rebuild(tx) == []


async def test_every_row_is_what_its_journal_says_after_real_use_cases(ground):
    await to_done(ground)
    withdrawn = await submit(ground)
    await ground.step("tiepnhan.kinhbac", withdrawn.id, Action.WITHDRAW, f.Reasoned(reason="không cần nữa"), MONDAY)
    async with ground.pools.reading() as tx:
        assert await rebuild(tx) == []
    left = await ground.db.admin.fetch("SELECT state FROM task WHERE dossier_id = $1", withdrawn.id)
    assert {row["state"] for row in left} == {"cancelled"}
