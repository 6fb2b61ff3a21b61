"""Everything a person may do instead of signing: send back, decline, take back, pass on, reassign a whole list.

What was signed in a chain that ends so stays as evidence and can never be released; no number is used up.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from api.audit import append
from api.db.pools import Tx
from api.dossiers import facts as f
from api.dossiers.service import Dossiers
from api.dossiers.words import Action
from api.errors import Invalid, MotcuaError, NotFound, Refused
from api.jobs.queue import enqueue
from api.kernel import Actor
from api.registry import authority
from api.signatures import store
from api.signatures.contract import Because, ChainLine, PassOn, Reassign, Reassigned, Return
from api.signatures.rows import ChainMember, LockedRequest
from api.signatures.states import OPEN

REASSIGN_AT_ONCE: Final = 500
_UNDER_WAY: Final = OPEN - {"asked"}


async def send_back(dossiers: Dossiers, tx: Tx, actor: Actor, request_id: UUID, order: Return, *, at: datetime) -> UUID:
    """Send a document back to a named step to be mended: by a signatory, or by the clerk before numbering."""
    request = await theirs(tx, actor, request_id, "signature.send_back")
    await _end_chain(tx, actor, request, order.reason, "superseded", at)
    facts = f.SendBack(to=order.to_step, result_id=request.result_id, reason=order.reason)
    await dossiers.record(tx, request.dossier_id, Action.SEND_BACK, facts, at=at, actor=actor)
    return request.chain_id


async def decline(dossiers: Dossiers, tx: Tx, actor: Actor, request_id: UUID, order: Because, *, at: datetime) -> UUID:
    """Decline to sign (không ký): the chain ends and the drafter learns why."""
    request = await theirs(tx, actor, request_id, "signature.decline")
    await _end_chain(tx, actor, request, order.reason, "refused", at)
    facts = f.SendBack(to="draft", result_id=request.result_id, reason=order.reason)
    await dossiers.record(tx, request.dossier_id, Action.SEND_BACK, facts, at=at, actor=actor)
    return request.chain_id


async def take_back(
    dossiers: Dossiers, tx: Tx, actor: Actor, request_id: UUID, order: Because, *, at: datetime
) -> UUID:
    """Take back one's own signature, until a number is given (rút lại chữ ký)."""
    request = await theirs(tx, actor, request_id, "signature.take_back", states=("recorded",))
    members = await store.requests_of_chain(tx, request.chain_id)
    sealing = any(member.role == "seal" and member.state != "to_sign" for member in members)
    if sealing or (await store.signed_of_chain(tx, request.chain_id)).numbered:
        raise Refused(
            "Đã cấp số hoặc đang ký số của cơ quan, không rút lại chữ ký được.",
            "A number has been given; the signature cannot be taken back.",
            allowed=(),
            code="number-given",
        )
    await _end_chain(tx, actor, request, order.reason, "superseded", at)
    facts = f.OnSignature(result_id=request.result_id, request_id=request.id, reason=order.reason)
    await dossiers.record(tx, request.dossier_id, Action.TAKE_BACK_SIGNATURE, facts, at=at, actor=actor)
    return request.chain_id


async def pass_on(dossiers: Dossiers, tx: Tx, actor: Actor, request_id: UUID, order: PassOn, *, at: datetime) -> UUID:
    """Pass to another competent signatory: title and name are printed, so the draft is made anew for them."""
    request = await theirs(tx, actor, request_id, "signature.pass_on")
    await _pass(dossiers, tx, actor, request, order, at)
    return request.chain_id


async def reassign(dossiers: Dossiers, tx: Tx, actor: Actor, order: Reassign, *, at: datetime) -> Reassigned:
    """Reassign an absent signatory's whole list: one act with a result per item."""
    authority.require(actor, "signature.reassign")
    done: list[UUID] = []
    failed: dict[str, str] = {}
    for request_id in await store.open_requests_of_person(tx, order.from_person_id, actor.agency_id, REASSIGN_AT_ONCE):
        await store.lock_dossiers(tx, [request_id])
        request = await store.lock_chain_of_request(tx, request_id)
        if request is None:
            continue
        try:
            async with tx.transaction():
                await _pass(dossiers, tx, actor, request, order, at)
        except MotcuaError as error:
            failed[str(request_id)] = error.kind_code
        else:
            done.append(request_id)
    return Reassigned(done=done, failed=failed)


async def release(tx: Tx, actor: Actor, request_id: UUID, *, at: datetime) -> UUID:
    """Return a failed request to its list after a person has looked at it; the signer does it."""
    request = await theirs(tx, actor, request_id, "signature.send_back", states=("failed",))
    await enqueue(tx, "signatures.release", str(request_id), {"request": str(request_id)})
    await _note(tx, actor, request, "signature.release", "", at)
    return request.id


async def _pass(
    dossiers: Dossiers, tx: Tx, actor: Actor, request: LockedRequest, order: PassOn | Reassign, at: datetime
) -> None:
    if not await store.may_sign_here(tx, order.to_person_id, order.to_post_id, request.agency_id, at):
        raise Invalid(
            "Người được chuyển không có thẩm quyền ký tại cơ quan này.",
            "That person has no authority to sign at this agency.",
            code="nobody-may-sign",
        )
    await _end_chain(tx, actor, request, order.reason, "superseded", at)
    facts = f.OnSignature(result_id=request.result_id, request_id=request.id, reason=order.reason)
    await dossiers.record(tx, request.dossier_id, Action.PASS_SIGNATURE, facts, at=at, actor=actor)


async def theirs(
    tx: Tx, actor: Actor, request_id: UUID, action: str, states: tuple[str, ...] = ("to_sign", "asked")
) -> LockedRequest:
    """Lock a request that the actor may act on in this way, with its chain.

    Raises:
        NotFound: there is none that is theirs. Forbidden: no right to the act. Refused: it is in another state.
    """
    await store.lock_dossiers(tx, [request_id])
    request = await store.lock_chain_of_request(tx, request_id)
    at_home = request is not None and request.agency_id == actor.agency_id
    mine = request is not None and (request.role == "seal" or request.person_id == actor.person_id)
    if request is None or not at_home or not (mine or action == "signature.send_back"):
        raise NotFound("Không tìm thấy yêu cầu ký.", "There is no such signature request.", code="request-not-found")
    authority.require(actor, action, request.agency_id)
    if request.state not in states:
        raise Refused(
            f"Yêu cầu ký đang ở trạng thái «{request.state}», không làm việc này được.",
            f"The request is in state '{request.state}'.",
            allowed=states,
            code="signature-state",
        )
    return request


async def _end_chain(tx: Tx, actor: Actor, request: LockedRequest, reason: str, state: str, at: datetime) -> None:
    members = await store.requests_of_chain(tx, request.chain_id)
    _demand_idle(members)
    if state == "refused":
        await store.supersede_requests(tx, [request.id], "refused", reason, at)
    if not await _close(tx, request.chain_id, request.result_id, members, reason, actor.account_id, at):
        raise Refused("Lượt trình ký đã kết thúc.", "The chain has ended already.", allowed=(), code="chain-closed")
    await _note(tx, actor, request, f"signature.{state}", reason, at)


async def _close(
    tx: Tx,
    chain_id: UUID,
    result_id: UUID,
    members: list[ChainMember],
    reason: str,
    account_id: UUID | None,
    at: datetime,
) -> bool:
    """End a chain with everything in it; False when it had ended."""
    if not await store.close_chain(tx, chain_id, at):
        return False
    rest = [member.id for member in members]
    await store.supersede_requests(tx, rest, "superseded", reason, at)
    await store.supersede_items(tx, rest, at)
    await store.void_number_of_chain(tx, chain_id, reason, at)
    await store.result_to_draft(tx, result_id)
    await store.withdraw_signed_revisions(tx, chain_id, reason, at, account_id)
    return True


async def end_chains_of(tx: Tx, result_ids: Sequence[UUID], reason: str, account_id: UUID | None, at: datetime) -> None:
    """End the open chains of results that left signing by a step of their dossier.

    Raises:
        Refused: a key may be in use for one of them at this moment, or one is sealed and waits for its level.
    """
    if await store.held_of_results(tx, result_ids):
        raise Refused(
            "Kết quả đã cấp số, đã ký số của cơ quan, đang chờ dấu thời gian; phát hành rồi mới thay, thu hồi được.",
            "The result is numbered, sealed and waits for its level; once it is issued it can be replaced or recalled.",
            allowed=(),
            code="result-held",
        )
    for chain in await store.open_chains_of_results(tx, result_ids):
        members = await store.requests_of_chain(tx, chain.id)
        _demand_idle(members)
        await _close(tx, chain.id, chain.result_id, members, reason, account_id, at)


def _demand_idle(members: list[ChainMember]) -> None:
    """Let nothing end while a key may already be in use: its answer is waited for first."""
    if any(member.state in _UNDER_WAY for member in members):
        raise Refused(
            "Đang có chữ ký được thực hiện trên văn bản này; chờ xong rồi làm lại.",
            "A signature of this document is under way; wait for it to end.",
            allowed=(),
            code="document-busy",
        )


async def _note(tx: Tx, actor: Actor, request: LockedRequest, action: str, reason: str, at: datetime) -> None:
    await append(
        tx,
        actor,
        process="api",
        action=action,
        subject_kind="document",
        subject_id=request.document_id,
        detail={"request_id": str(request.id), "chain_id": str(request.chain_id), "reason_given": bool(reason)},
        at=at,
    )


async def chains(tx: Tx, actor: Actor, document_id: UUID) -> list[ChainLine]:
    """Return the chains of a document to somebody of the agency that signs it.

    Raises:
        NotFound: there is none that this actor may know of.
    """
    lines = await store.chain_view(tx, document_id)
    if lines and not any(line.agency_id == actor.agency_id for line in lines):
        raise NotFound("Không tìm thấy văn bản.", "There is no such document.", code="document-not-found")
    return lines
