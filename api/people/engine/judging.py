"""Judge what a person said to a proposal, as strictly as a signature's step-up; apply it after the second person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.audit import append
from api.db.pools import Tx
from api.errors import MotcuaError, NotFound
from api.jobs import JobContext
from api.people import changes, proposing, rules
from api.people import store as people
from api.people.changes import Change
from api.people.engine import applying, binding, store
from api.people.engine.rows import Answer
from api.signatures.engine import factors
from api.signatures.engine.context import Engine, detail

_EXPIRED: Final = detail("expired", "Không ai đồng ý trong 3 ngày.", "Nobody agreed within 3 days.")
_REASONS: Final = {
    "not-waiting": detail("not-waiting", "Đề xuất không còn chờ.", "The proposal no longer waits."),
    "other-digests": detail(
        "digest-changed", "Nội dung đã xác nhận khác nội dung đề xuất.", "What was confirmed is not what is proposed."
    ),
    "holder-unreachable": detail(
        "holder-unreachable",
        "Nơi giữ khóa không trả lời nên chưa xem được chứng thư; thử lại sau.",
        "The key holder does not answer, so the certificate could not be looked at; try again later.",
    ),
    "no-right": detail(
        "no-right",
        "Người đề xuất hoặc người đồng ý không có quyền với việc này lúc này.",
        "Whoever proposed or agreed has no right to this now.",
    ),
}


async def judge(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `people.judge` job; a repetition finds the answer judged and does nothing."""
    looked = await binding.look(engine, UUID(ids["answer"]), engine.clock())
    async with engine.pools.transaction() as tx:
        answer = await store.lock_answer(tx, UUID(ids["answer"]))
        if answer is None or answer.accepted is not None:
            return
        at = engine.clock()
        reason, change = await _weigh(engine, tx, answer, looked, at)
        await store.insert_verdict(tx, answer.id, reason, at)
        await _note(tx, answer, "refused" if reason else "accepted", {"purpose": answer.purpose, "reason": reason}, at)
        await _go_on(engine, tx, answer, reason, change, looked, at)


async def _weigh(
    engine: Engine, tx: Tx, answer: Answer, looked: binding.LookedAt, at: datetime
) -> tuple[str, Change | None]:
    """Return why the answer does not count, or an empty text, with the change as its bytes say it."""
    state = "checking" if answer.purpose == "propose" else "waiting"
    if answer.state != state or rules.has_expired(answer.created_at, at):
        return "not-waiting", None
    raw = engine.personal.open(changes.SEALED, answer.content_sealed).encode()
    digest = changes.digest_of(raw)
    if not digest == answer.digest == answer.proposal_digest:
        return "other-digests", None
    try:
        change = changes.from_bytes(raw)
        subject = await proposing.subject_of(tx, change)
    except (msgspec.ValidationError, NotFound):
        return "no-right", None
    if not await _may(tx, answer, change, subject, at):
        return "no-right", change
    if answer.purpose == "refuse" or isinstance(looked, binding.Unreachable):
        return "" if answer.purpose == "refuse" else "holder-unreachable", change
    offer = factors.Offer(answer.account_id, answer.kind, answer.response, "proposal", digest, answer.offered_at)
    return await factors.judge(engine, tx, offer), change


async def _may(tx: Tx, answer: Answer, change: Change, subject: rules.Subject, at: datetime) -> bool:
    voter = await people.voter(tx, answer.account_id, answer.post_id, at)
    if voter is None or not voter.entitled:
        return False
    if answer.purpose == "propose":
        return answer.account_id == answer.proposed_by_account_id and rules.may_propose(voter, change, subject)
    fit = rules.may_approve(voter, change, subject, answer.proposer_person_id)
    if answer.purpose == "approve":
        return fit
    # Refusing is easy: whoever proposed may withdraw, whoever benefits may decline.
    return fit or voter.person_id in {answer.proposer_person_id, subject.person_id}


async def _go_on(
    engine: Engine,
    tx: Tx,
    answer: Answer,
    reason: str,
    change: Change | None,
    looked: binding.LookedAt,
    at: datetime,
) -> None:
    """Move the proposal on: a wrong second person leaves it waiting, a wrong proposer or certificate ends it."""
    if answer.purpose == "propose":
        if reason:
            await _end(tx, answer, "refused", _why(reason), at)
        elif isinstance(looked, MotcuaError):
            await _end(tx, answer, "refused", _told(looked), at)
        else:
            await store.now_waiting(tx, answer.proposal_id)
    elif reason or change is None:
        return
    elif answer.purpose == "refuse":
        reason = answer.response.decode("utf-8", "replace")
        await _end(tx, answer, "refused", detail("declined", f"Bị từ chối: {reason}", f"Declined: {reason}"), at)
    else:
        await _apply(engine, tx, answer, change, looked, at)


async def _apply(
    engine: Engine, tx: Tx, answer: Answer, change: Change, looked: binding.LookedAt, at: datetime
) -> None:
    """Apply the change whole or not at all; what cannot be applied ends the proposal with its reason."""
    try:
        async with tx.transaction():
            made_id = await applying.apply(engine, tx, answer.proposal_id, change, looked, at)
    except MotcuaError as error:
        await _end(tx, answer, "refused", _told(error), at)
        return
    await _end(tx, answer, "applied", None, at, made_id)


async def _end(
    tx: Tx, answer: Answer, state: str, why: Mapping[str, str] | None, at: datetime, made_id: UUID | None = None
) -> None:
    await store.end_proposal(tx, answer.proposal_id, state, why, at, made_id)
    await _note(tx, answer, state, {"code": why["code"] if why else "", "made_id": made_id}, at)


async def _note(tx: Tx, answer: Answer, what: str, facts: dict[str, Any], at: datetime) -> None:
    await append(
        tx,
        None,
        process="signer",
        action=f"proposal.{what}",
        subject_kind="proposal",
        subject_id=answer.proposal_id,
        detail={**facts, "account_id": answer.account_id},
        at=at,
    )


def _told(error: MotcuaError) -> Mapping[str, str]:
    return detail(error.kind_code, error.vi, error.en)


def _why(reason: str) -> Mapping[str, str]:
    return _REASONS.get(reason) or factors.REASONS[reason]  # pyright: ignore[reportArgumentType] - all others are its


async def upkeep(engine: Engine) -> None:
    """End what nobody agreed to or confirmed in time; forget used challenges that are too old to be offered again."""
    at = engine.clock()
    async with engine.pools.transaction() as tx:
        for proposal_id in await store.expire_proposals(tx, at - rules.LIVES, at, _EXPIRED):
            await append(
                tx,
                None,
                process="signer",
                action="proposal.expired",
                subject_kind="proposal",
                subject_id=proposal_id,
                detail={},
                at=at,
            )
        for enrolment_id in await store.expire_offers(tx, at):
            await append(
                tx,
                None,
                process="signer",
                action="factor.expired",
                subject_kind="enrolment",
                subject_id=enrolment_id,
                detail={},
                at=at,
            )
        await store.forget_nonces(tx, at - rules.OFFERED)
