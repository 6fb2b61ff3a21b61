"""A dossier through its five steps and beside them, on real rows."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from api.dossiers import access, store
from api.dossiers import facts as f
from api.dossiers.contract import ForeignCode, Imported, NewDossier, OnlineDossier, PersonIn
from api.dossiers.words import Action, Delivery, Finance, Standing, Status
from api.errors import Conflict, Forbidden, Invalid, NotFound, Refused
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
            filed.id,
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
