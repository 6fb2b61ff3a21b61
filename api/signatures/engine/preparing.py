"""Prepare one signature, once its person has acted: fix the bytes to be signed (transaction 2)."""

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

import signing
from api.failpoints import reach
from api.jobs import JobContext
from api.kernel import VIETNAM, Sha256, vn_day
from api.signatures.engine import revoking, rows, stamp, store
from api.signatures.engine.context import (
    MAIN_NOT_SEALED,
    Engine,
    demand_another_try,
    detail,
    give_back,
    move_on,
    move_on_without,
    set_aside,
)
from api.signatures.engine.store import Detail
from signing.contract import Der, FieldPlan, Prepared, PrepareOrder
from signing.contract import Sha256 as BaseSha256
from signing.deadlines import Deadline
from signing.errors import Crashed, SigningError, TimedOut

TIME_LIMIT_S: Final = 60.0


async def prepare(engine: Engine, context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.prepare` job; a repetition finds the request moved on and does nothing."""
    request_id, attempt = UUID(ids["request"]), int(ids["attempt"])
    async with engine.pools.reading() as connection:
        work = await store.to_prepare(connection, request_id)
    if work is None or work.state != "asked" or work.attempt != attempt:
        return
    refused = await revoking.refusal_now(engine, work.certificate_id, _path(work), Deadline(context.ends_at))
    at = engine.clock()
    why, outcome = (refused, "failed") if refused else _not_now(work, at)
    if why is not None:
        async with engine.pools.transaction() as tx:
            await give_back(tx, work.batch_id, work.id, work.number_id, outcome, why, at)
            await move_on_without(tx, work.batch_id, at)
        return
    try:
        base = await engine.blobs.local_path(Sha256(work.head_sha256))
        prepared: Prepared = await engine.workshop.run(
            signing.prepare, order_for(work, str(base), at), timeout_s=TIME_LIMIT_S
        )
    except (TimedOut, Crashed) as error:
        demand_another_try(context, error)
        raise
    except SigningError as error:
        async with engine.pools.transaction() as tx:
            await set_aside(tx, work.batch_id, work.id, work.number_id, detail(error.code, error.vi, error.en), at)
            await move_on_without(tx, work.batch_id, at)
        return
    await reach("prepared-in-memory", work.batch_id)
    async with engine.pools.transaction() as tx:
        new_attempt = await store.move_to_prepared(tx, work.id, work.attempt, at)
        if new_attempt is None:
            return
        await store.insert_preparation(tx, work.id, new_attempt, prepared, work.certificate_id)
        await move_on(tx, work.batch_id)
    await reach("prepared", work.batch_id)


def _path(work: rows.ToPrepare) -> tuple[Der, ...]:
    return tuple(Der(der) for der in (work.certificate, *work.chain))


def _not_now(work: rows.ToPrepare, at: datetime) -> tuple[Detail | None, str]:
    """Return why this may not be prepared any more, with the outcome of its item."""
    if at >= work.authorised_until:
        ended = detail("authorisation-ended", "Quá nửa đêm, cần ký lại.", "The authorisation ended at midnight.")
        return ended, "expired"
    day = work.number_day
    checks: tuple[tuple[bool, Detail], ...] = (
        (
            work.head_sha256 != work.shown_sha256,
            detail("digest-changed", "Văn bản đã thay đổi sau khi hiển thị.", "It changed after it was shown."),
        ),
        (
            work.revoked_at is not None or work.not_after <= at,
            detail("no-certificate", "Chưa có chứng thư hợp lệ.", "There is no valid certificate."),
        ),
        (work.act == "separate_annex" and work.main_number_text is None, MAIN_NOT_SEALED),
        (
            work.number_id is not None and work.number_document_id != work.document_id,
            detail("number-elsewhere", "Số đã cấp cho văn bản khác.", "The number belongs to another document."),
        ),
        (
            day is not None and not _day_fits(day, work.signed_at, at),
            detail(
                "number-day",
                "Ngày cấp số trước ngày ký hoặc sau hôm nay.",
                "The day is before the signature or ahead.",
            ),
        ),
    )
    return next((why for failed, why in checks if failed), None), "failed"


def _day_fits(day: date, signed_at: datetime | None, at: datetime) -> bool:
    """Tell whether a number's day lies between the last person's signature and today, by Vietnam's days."""
    return (signed_at is None or vn_day(signed_at) <= day) and day <= vn_day(at)


def order_for(work: rows.ToPrepare, base: str, at: datetime) -> PrepareOrder:
    """Return the order for the signing core; time, zone and all texts are explicit in it."""
    return PrepareOrder(
        base=base,
        base_sha256=BaseSha256(work.head_sha256),
        field=work.field,
        certificate=Der(work.certificate),
        chain=tuple(Der(der) for der in work.chain),
        appearance=stamp.appearance(work, at, VIETNAM),
        at=at,
        mechanism=work.mechanism,
        plan=msgspec.convert(work.plan, FieldPlan, strict=False),
        fills=stamp.fills(work),
    )
