"""A running dossier keeps the version it began with until somebody moves it, with reason and basis, to another."""

from datetime import timedelta

import msgspec
import pytest
import pytest_asyncio

from api.dossiers import facts as f
from api.dossiers.contract import NewDossier, PersonIn
from api.dossiers.rebuild import rebuild
from api.dossiers.words import Action, Status
from api.embedded.province import data
from api.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from api.kernel import VIETNAM, new_id
from api.registry import publishing
from api.registry.contract import PublishVersion
from api.registry.procedures import StepKind
from tests.dossier_ground import MARITAL_STATUS, MONDAY, Ground, actor, copied, province_template

HEAD = "kynhay.kinhbac"
LATER = MONDAY + timedelta(hours=2)


@pytest_asyncio.fixture(scope="module")
async def laid(cluster, template):
    async with province_template(cluster, template) as name:
        yield name


@pytest_asyncio.fixture
async def ground(cluster, laid):
    async with copied(cluster, laid) as database:
        yield Ground(database, await database.pools("app"))


async def appraising(ground):
    """A dossier that the ward appraises."""
    filing = NewDossier(
        procedure_code=MARITAL_STATUS,
        filer=PersonIn(name="Nguyễn Thị Hồng Nhung"),
        territory_code="09187",
        parts=(f.PartIn(part_code="TK", name="Tờ khai", originals=1),),
    )
    async with ground.pools.transaction() as tx:
        filed = await ground.intake.submit(tx, actor("tiepnhan.kinhbac"), filing, at=MONDAY)
    over = f.HandOver(agency_id=actor("thuly.kinhbac").agency_id)
    await ground.step("tiepnhan.kinhbac", filed.id, Action.HAND_OVER, over, MONDAY)
    return await ground.step("thuly.kinhbac", filed.id, Action.CONFIRM_HAND_OVER, f.Noted(), MONDAY)


async def publish(ground, *, appraisals: int, starts=MONDAY):
    """The next version of the procedure, with steps of appraisal of other names."""
    old = next(row for row in data.procedures() if row.code == MARITAL_STATUS).definition
    one = next(step for step in old.steps if step.kind is StepKind.APPRAISE)
    each = msgspec.structs.replace(one.duration, amount=1)
    named = [msgspec.structs.replace(one, code=f"tham-dinh-{n}", duration=each) for n in range(1, appraisals + 1)]
    first, *others = (step for step in old.steps if step.kind is not StepKind.APPRAISE)
    way = [first, *named, *others]
    steps = [
        msgspec.structs.replace(step, next=(after.code,) if after else ())
        for step, after in zip(way, [*way[1:], None], strict=True)
    ]
    definition = msgspec.structs.replace(old, steps=tuple(steps))
    draft = PublishVersion(
        definition=definition,
        form_of_result="a",
        owning_system="province",
        legal_basis="Quyết định công bố thủ tục",
        valid_from=starts.astimezone(VIETNAM).date(),
    )
    async with ground.pools.transaction() as tx:
        made = await publishing.publish_version(tx, actor("danhmuc.tinh"), MARITAL_STATUS, draft, at=MONDAY)
    ground.registry.invalidate()
    return made.id


def to(version) -> f.Rebase:
    return f.Rebase(version_id=version, legal_basis="Quyết định chuyển tiếp", reason="Áp dụng quy định mới")


async def test_a_moved_dossier_goes_on_by_the_new_steps_and_keeps_its_due_date(ground):
    before = await appraising(ground)
    other = await appraising(ground)
    version = await publish(ground, appraisals=2)
    moved = await ground.step(HEAD, before.id, Action.REBASE, to(version), LATER)
    assert (moved.status, moved.step, moved.due_at) == (Status.APPRAISING, "tham-dinh-1", before.due_at)
    for step, status in (("tham-dinh-2", Status.APPRAISING), ("tham-dinh-2", Status.DRAFTING)):
        done = await ground.step("thuly.kinhbac", before.id, Action.APPRAISE, f.Noted(), LATER)
        assert (done.step, done.status) == (step, status)
    untouched = await ground.db.admin.fetchrow("SELECT step, procedure_version_id FROM dossier WHERE id = $1", other.id)
    assert (untouched["step"], untouched["procedure_version_id"] == version) == (other.step, False)
    line = await ground.db.admin.fetchrow("SELECT data, effect FROM journal WHERE action = 'rebase'")
    assert line["data"] == {"version_id": str(version), "legal_basis": "Quyết định chuyển tiếp"}
    assert line["effect"]["procedure_version_id"] == str(version)
    open_steps = "SELECT step FROM task WHERE dossier_id = $1 AND state IN ('open', 'claimed')"
    assert [row[0] for row in await ground.db.admin.fetch(open_steps, before.id)] == ["tham-dinh-2"]
    async with ground.pools.reading() as tx:
        assert await rebuild(tx) == []


async def test_only_to_a_version_that_fits_and_only_before_a_result_is_drafted(ground):
    dossier = await appraising(ground)
    own = await ground.db.admin.fetchval("SELECT procedure_version_id FROM dossier")
    tomorrow = await publish(ground, appraisals=1, starts=MONDAY + timedelta(days=1))
    foreign = await ground.db.admin.fetchval("SELECT id FROM procedure_version WHERE code = '2.000815'")
    for version, kind in ((own, Refused), (tomorrow, Invalid), (foreign, Invalid), (new_id(MONDAY), NotFound)):
        with pytest.raises(kind):
            await ground.step(HEAD, dossier.id, Action.REBASE, to(version), LATER)
    with pytest.raises(Forbidden):
        await ground.step("thuly.kinhbac", dossier.id, Action.REBASE, to(tomorrow), LATER)
    with pytest.raises(Conflict):
        await ground.step(HEAD, dossier.id, Action.REBASE, to(tomorrow), LATER, expected_version=1)

    at = LATER + timedelta(days=1)
    result = await ground.result(dossier.id)
    async with ground.pools.transaction() as tx:
        await ground.dossiers.record(tx, dossier.id, Action.DRAFT_RESULT, f.OnResult(result_id=result), at=at)
    with pytest.raises(Refused, match="dự thảo"):
        await ground.step(HEAD, dossier.id, Action.REBASE, to(tomorrow), at)
    async with ground.pools.transaction() as tx:
        await ground.dossiers.record(tx, dossier.id, Action.DROP_RESULT, f.OnResult(result_id=result), at=at)
    moved = await ground.step(HEAD, dossier.id, Action.REBASE, to(tomorrow), at)
    assert moved.step == "tham-dinh-1"


async def test_not_where_the_step_is_missing_and_never_once_it_waits_for_a_signature(ground):
    dossier = await appraising(ground)
    version = await publish(ground, appraisals=0)
    with pytest.raises(Refused, match="không có bước"):
        await ground.step(HEAD, dossier.id, Action.REBASE, to(version), LATER)
    await ground.step("thuly.kinhbac", dossier.id, Action.APPRAISE, f.Noted(), LATER)
    result = await ground.result(dossier.id)
    async with ground.pools.transaction() as tx:
        submission = f.SubmitForSignature(result_ids=(result,))
        await ground.dossiers.record(tx, dossier.id, Action.SUBMIT_FOR_SIGNATURE, submission, at=LATER)
    with pytest.raises(Refused) as refused:
        await ground.step("chutich.kinhbac", dossier.id, Action.REBASE, to(new_id(MONDAY)), LATER)
    assert "rebase" not in refused.value.allowed
