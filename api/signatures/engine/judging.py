"""Judge a ticket: the second factor once, then each item; what passes is `asked`, a bad item is its own result."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from api.audit import append
from api.db.pools import Tx
from api.failpoints import reach
from api.jobs import JobContext
from api.jobs.queue import Job, enqueue_many
from api.kernel import AccountId, Actor, AgencyId, PersonId, PostId
from api.registry.authority import Mandate, Role
from api.registry.procedures import NUMBERED
from api.signatures import cutting, stepup
from api.signatures.chain import CERTIFIED
from api.signatures.engine import factor_store, factors, measures, refusing, rows, store
from api.signatures.engine.context import MAIN_NOT_SEALED, PREPARE, Engine, detail, enqueue_send
from api.signatures.engine.store import Detail

CHUNK: Final = 50
FACTOR_AGE: Final = timedelta(minutes=5)


async def judge(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `signatures.judge` job; safe to repeat at any point."""
    batch_id = UUID(ids["batch"])
    async with engine.pools.transaction() as tx:
        if not await _factor_accepted(engine, tx, batch_id):
            return
    after = 0
    while True:
        async with engine.pools.transaction() as tx:
            # Whoever steps a dossier takes it before its requests, and a decision to certify steps it.
            locked = await store.lock_dossiers_to_judge(tx, batch_id, after, CHUNK)
            batch = await store.lock_batch(tx, batch_id)
            if batch is None or batch.complete:
                return
            items = await store.open_items(tx, batch_id, after, CHUNK)
            if not items:
                await complete(engine, tx, batch_id)
                return
            # Others come next where a twin of this job was faster.
            items = [item for item in items if item.dossier_id in locked]
            await _judge_items(engine, tx, batch, items)
            after = items[-1].ordinal if items else after
        await reach("asked", batch_id)


async def complete(engine: Engine, tx: Tx, batch_id: UUID) -> None:
    """Say that every item of a locked ticket has been judged, and have what passed leave once it is prepared."""
    await store.complete_batches(tx, [batch_id])
    if await store.left_to_prepare(tx, batch_id) == 0:
        await enqueue_send(tx, batch_id)
    await store.close_batch(tx, batch_id, engine.clock())


async def _factor_accepted(engine: Engine, tx: Tx, batch_id: UUID) -> bool:
    batch = await store.lock_batch(tx, batch_id)
    if batch is None or batch.closed_at is not None:
        return False
    if batch.accepted is not None:
        return batch.accepted
    at = engine.clock()
    # The API wrote until when; from here on nothing of it can lie behind the midnight after the ask.
    await factor_store.cap_authorisation(tx, batch_id, cutting.authorised_until(batch.asked_at))
    reason = await _factor_reason(engine, tx, batch, at)
    if reason:
        await refusing.refuse(tx, batch, reason, at)
        return False
    if batch.step_up_id is not None:
        await factor_store.accept_step_up(tx, batch.step_up_id, at)
    await append(
        tx,
        None,
        process="signer",
        action="second-factor.accepted",
        subject_kind="signature_batch",
        subject_id=batch_id,
        detail={"reason": "", "kind": batch.step_up_kind, "account_id": str(batch.account_id)},
        at=at,
    )
    return True


async def _factor_reason(
    engine: Engine, tx: Tx, batch: rows.Batch, at: datetime
) -> stepup.Reason | Literal["no-right"]:
    """Return why the second factor does not count, or an empty text; remember what was used or guessed."""
    if batch.step_up_id is None or batch.step_up_kind is None or batch.response is None or batch.offered_at is None:
        return "missing"
    if batch.step_up_account_id != batch.account_id:
        return "missing"
    digest = stepup.digest_of(await store.shown_digests(tx, batch.id))
    if abs(batch.offered_at - batch.asked_at) > FACTOR_AGE or batch.digest != digest:
        return "other-digests"
    if not await store.account_holds_post(tx, batch, at):
        return "no-right"
    if await factor_store.stopped_by_block(tx, batch.id):
        return "blocked"
    offer = factors.Offer(batch.account_id, batch.step_up_kind, batch.response, "signature", digest, batch.offered_at)
    return await factors.judge(engine, tx, offer)


async def _judge_items(engine: Engine, tx: Tx, batch: rows.Batch, items: Sequence[rows.OpenItem]) -> None:
    at = engine.clock()
    requests = await store.lock_requests(tx, [item.request_id for item in items], batch)
    mandates: dict[UUID, list[Mandate]] = {}
    certificates: dict[UUID | None, list[rows.Certificate]] = {}
    passed: list[tuple[rows.OpenItem, rows.LockedRequest, rows.Certificate | None]] = []
    for item in items:
        request = requests[item.request_id]
        if request.agency_id not in mandates:
            mandates[request.agency_id] = await store.authority_rows(tx, batch.person_id, request.agency_id)
        sealing = request.agency_id if request.role == "seal" else None
        if sealing not in certificates:
            person = None if sealing else batch.person_id
            certificates[sealing] = await store.usable_certificates(tx, person, sealing, at)
        certificate = choose_certificate(certificates[sealing], request)
        fault = fault_of(request, item, batch, mandates[request.agency_id], certificate, at)
        if fault is None:
            passed.append((item, request, certificate))
        else:
            await store.end_item(tx, batch.id, item.request_id, "failed", fault, at)
            measures.ended("failed")
            if item.number_id is not None:
                await store.give_up_number(tx, item.number_id, fault["vi"], at)
    await _move(engine, tx, batch, passed, at)


async def _certified(engine: Engine, tx: Tx, batch: rows.Batch, request: rows.LockedRequest, at: datetime) -> None:
    """Step the dossier on a decision to certify a copy or digitised paper: no person signs in the file."""
    complete = (await store.left_in_chain(tx, request.chain_id)).persons == 0
    if complete:
        await store.result_signed(tx, request.result_id)
    await engine.dossiers.record_signed(
        tx,
        request.dossier_id,
        request.result_id,
        request_id=request.id,
        role=request.role,
        complete=complete,
        at=at,
        means="certified",
        actor=actor_of(batch),
    )


def actor_of(batch: rows.Batch) -> Actor:
    """Return who asked, as the journal names them."""
    return Actor(
        account_id=AccountId(batch.account_id),
        person_id=PersonId(batch.person_id),
        post_id=PostId(batch.post_id),
        agency_id=AgencyId(batch.agency_id),
        roles=frozenset(),
    )


async def _move(
    engine: Engine,
    tx: Tx,
    batch: rows.Batch,
    passed: Sequence[tuple[rows.OpenItem, rows.LockedRequest, rows.Certificate | None]],
    at: datetime,
) -> None:
    turns = await store.queued_turns(tx, batch.lane, batch.person_id, "asked", at)
    priorities = cutting.turns(len(passed), floor=turns.floor, own_last=turns.own_last, lane=batch.lane)
    jobs: list[Job] = []
    busy: set[UUID] = set()
    for (item, request, certificate), priority in zip(passed, priorities, strict=True):
        if not request.pdf_signature or certificate is None:
            await store.record_approval(tx, request.id, batch.id, item.shown_sha256, at)
            await store.end_item(tx, batch.id, request.id, "recorded", None, at)
            measures.ended("recorded")
            if request.role == "signatory":
                await _certified(engine, tx, batch, request, at)
            continue
        if request.document_id in busy:
            await store.end_item(tx, batch.id, request.id, "failed", _BUSY, at)
            measures.ended("failed")
            continue
        busy.add(request.document_id)
        turn = cutting.turn_of(priority)
        post_id = request.post_id or batch.post_id
        await store.move_to_asked(tx, item, batch, certificate, post_id=post_id, turn=turn, at=at)
        jobs.append(prepare_job(request.id, request.attempt, batch.id, priority))
    await enqueue_many(tx, jobs)


def prepare_job(request_id: UUID, attempt: int, batch_id: UUID, priority: int) -> Job:
    """Return the job that prepares this attempt of a request for this ticket.

    The ticket stands in the key: what was parked for one ask is tried anew when a person asks again.
    """
    ids = {"request": str(request_id), "attempt": attempt}
    return Job(kind=PREPARE, key=f"{request_id}:{attempt}:{batch_id}", payload=ids, priority=priority)


def choose_certificate(usable: Sequence[rows.Certificate], request: rows.LockedRequest) -> rows.Certificate | None:
    """Return the certificate named at submission if it is still usable, else the newest bound one."""
    named = next((c for c in usable if c.id == request.certificate_id), None)
    return named or (usable[0] if usable else None)


_BUSY: Final = detail(
    "document-busy", "Văn bản đang được người khác ký; thử lại sau.", "Another signature of this document is under way."
)


def fault_of(
    request: rows.LockedRequest,
    item: rows.OpenItem,
    batch: rows.Batch,
    mandates: Sequence[Mandate],
    certificate: rows.Certificate | None,
    at: datetime,
) -> Detail | None:
    """Return why this item may not be signed, or None. Pure; the signer's own judgement, whatever the API thought."""
    checks: tuple[tuple[bool, Detail], ...] = (
        (request.state != "to_sign", detail("not-to-sign", "Văn bản không còn chờ ký.", "It no longer waits.")),
        (request.chain_state != "open", detail("chain-closed", "Lượt trình ký đã kết thúc.", "The chain has ended.")),
        (
            request.head_sha256 != item.shown_sha256,
            detail(
                "digest-changed",
                "Văn bản đã thay đổi sau khi hiển thị; mở lại để xem.",
                "It changed after it was shown.",
            ),
        ),
        (request.waits_for_others, detail("order", "Nhóm ký trước chưa ký xong.", "The group before has not signed.")),
        (request.document_busy, _BUSY),
        (
            not _is_theirs(request, batch),
            detail("not-yours", "Văn bản không chờ người này ký.", "It is another's to sign."),
        ),
        (
            not has_authority(request, mandates, at),
            detail("no-authority", "Không có thẩm quyền ký văn bản này lúc này.", "No authority to sign this now."),
        ),
        (
            request.pdf_signature and certificate is None,
            detail("no-certificate", "Chưa có chứng thư hợp lệ.", "There is no valid certificate."),
        ),
        *_seal_checks(request, item),
    )
    return next((why for failed, why in checks if failed), None)


def _is_theirs(request: rows.LockedRequest, batch: rows.Batch) -> bool:
    if request.role == "seal":
        return request.agency_id == batch.agency_id and Role.CLERK in (request.post_roles or ())
    return request.person_id == batch.person_id and request.post_id == batch.post_id


def has_authority(request: rows.LockedRequest, mandates: Sequence[Mandate], at: datetime) -> bool:
    """Tell whether a signatory's right to sign holds at this moment; other roles rest on their post."""
    if request.role != "signatory":
        return True
    return any(
        row.id == request.mandate_id and row.holds(at) and row.covers(request.act, request.procedure_code)
        for row in mandates
    )


def _seal_checks(request: rows.LockedRequest, item: rows.OpenItem) -> tuple[tuple[bool, Detail], ...]:
    if request.role != "seal":
        return ()
    return (
        (
            request.act in NUMBERED and item.number_id is None,
            detail("no-number", "Chưa cấp số cho văn bản.", "No number has been given."),
        ),
        (
            # However the chain was put together: a main document is never sealed on anybody's word but a signatory's.
            request.act == "main_document" and not request.head_is_signed,
            detail("not-signed", "Văn bản chưa có chữ ký của người có thẩm quyền.", "No signatory has signed it."),
        ),
        (
            # Its corner prints the main document's number: of one that is sealed, or is about to be by the same ask.
            request.act == "separate_annex" and not request.main_at_hand,
            MAIN_NOT_SEALED,
        ),
        (
            request.act in CERTIFIED and not request.head_is_certified,
            detail("no-decision", "Chưa có quyết định chứng thực.", "No certifying decision is recorded."),
        ),
    )
