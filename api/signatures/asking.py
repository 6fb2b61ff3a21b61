"""Ask for signatures: one short transaction that commits what a person wants, and a durable ticket at once.

It is answered while every key holder is down. The API passes the second factor on; the signer alone can judge it.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from api.audit import append
from api.db.pools import Tx
from api.documents import numbering
from api.errors import Conflict, Invalid, NotFound
from api.jobs.queue import enqueue
from api.kernel import Actor, new_id
from api.registry import authority
from api.registry.procedures import NUMBERED
from api.signatures import cutting, stepup, store
from api.signatures.ahead import Line
from api.signatures.contract import Accepted, Ask, AskChallenge, Challenge, Confirmations, PlanAsk
from api.signatures.rows import Asked, AskedItem
from api.telemetry.spans import Span

JUDGE: Final = "signatures.judge"
ACTION_OF: Final = {
    "initials": "signature.initial",
    "coordinator": "signature.initial",
    "signatory": "signature.sign",
    "seal": "signature.seal",
}


async def ask(tx: Tx, actor: Actor, order: Ask, line: Line, *, at: datetime, trace_id: str | None = None) -> Accepted:
    """Write the ticket of an ask: batch, items with the digests shown, factor, numbers, audit row and one job.

    Items that cannot be signed end with their own reason; only an ask of which no item can is refused as a whole.

    Raises:
        NotFound: a request is not there, or not this person's to know of.
        Forbidden: the post in use may not sign or seal.
        Conflict: no item can be signed now; `items` says why for each.
        Invalid: a request stands twice.
    """
    ids = [item.request_id for item in order.items]
    if len(set(ids)) != len(ids):
        raise Invalid("Một văn bản được nêu hai lần.", "A request stands twice.", code="item-twice")
    with Span("signatures.ask", attributes={"items": len(ids)}) as span:
        return await _ask(tx, actor, order, ids, line, at, trace_id or span.place.trace_id, span)


async def _ask(
    tx: Tx, actor: Actor, order: Ask, ids: Sequence[UUID], line: Line, at: datetime, trace_id: str, span: Span
) -> Accepted:
    await store.lock_dossiers(tx, ids)
    known = await store.items_to_ask(tx, ids)
    _demand_theirs(actor, ids, known)
    shown = {item.request_id: bytes.fromhex(item.sha256) for item in order.items}
    askable = _askable(ids, known, shown)
    ticket = await _write(tx, actor, order, stepup.digest_of(shown.values()), at, trace_id, span)
    # The counters of the number series are the only rows that asks share: taken last, just before the commit.
    given = await _reserve_numbers(tx, [known[request_id] for request_id in askable], at)
    await store.insert_items(
        tx, ticket.id, list(range(1, len(ids) + 1)), ids, [shown[i] for i in ids], [given.get(i) for i in ids]
    )
    ahead = line.ahead(ticket)
    return Accepted(
        ticket=ticket.id,
        items=len(ids),
        stage="queued",
        position=ahead,
        estimate_s=cutting.estimate_seconds(ahead, len(ids), line.rate),
        authorised_until=cutting.authorised_until(at),
    )


def _askable(ids: Sequence[UUID], known: Mapping[UUID, AskedItem], shown: Mapping[UUID, bytes]) -> list[UUID]:
    """Return the requests that can be asked now; the others end with their own reason, unless there are none but them.

    Raises:
        Conflict: no item can be signed now.
    """
    reasons = {request_id: reason for request_id in ids if (reason := why_not(known[request_id], shown[request_id]))}
    if len(reasons) == len(ids):
        raise Conflict(
            "Không văn bản nào ký được lúc này; xem lý do từng văn bản.",
            "None of these can be signed now; see the reason of each.",
            code="nothing-to-sign",
            items={str(request_id): reason for request_id, reason in reasons.items()},
        )
    return [request_id for request_id in ids if request_id not in reasons]


async def _write(tx: Tx, actor: Actor, order: Ask, digest: bytes, at: datetime, trace_id: str, span: Span) -> Asked:
    """Write the ticket without its items: batch, factor, audit row, and the job that judges it."""
    ticket = await store.insert_batch(
        tx,
        account_id=actor.account_id,
        person_id=actor.person_id,
        post_id=actor.post_id,
        agency_id=actor.agency_id,
        session_id=actor.session_id,
        lane=order.lane,
        item_count=len(order.items),
        trace_id=trace_id,
        authorised_until=cutting.authorised_until(at),
    )
    span.known_as("ticket", ticket.id)
    kind, response = order.factor
    await store.insert_step_up(tx, ticket.id, actor.account_id, kind, response, digest)
    await append(
        tx,
        actor,
        process="api",
        action="signature.ask",
        subject_kind="signature_batch",
        subject_id=ticket.id,
        detail={"items": len(order.items), "digest": digest.hex(), "lane": order.lane, "factor": kind},
        at=at,
        trace_id=trace_id,
    )
    priority = cutting.COUNTER_LANE if order.lane == "counter" else 0
    await enqueue(tx, JUDGE, str(ticket.id), {"batch": str(ticket.id)}, priority=priority)
    return ticket


def _demand_theirs(actor: Actor, ids: Sequence[UUID], known: Mapping[UUID, AskedItem]) -> None:
    """Let nobody learn of requests that are not theirs."""
    for request_id in ids:
        item = known.get(request_id)
        theirs = item is not None and (
            item.agency_id == actor.agency_id if item.role == "seal" else item.person_id == actor.person_id
        )
        if item is None or not theirs:
            raise NotFound(
                "Không tìm thấy yêu cầu ký.",
                "There is no such signature request.",
                code="request-not-found",
                request_id=str(request_id),
            )
        authority.require(actor, ACTION_OF[item.role], item.agency_id)


def why_not(item: AskedItem, shown: bytes) -> str | None:
    """Return the code of why this cannot be asked now, or None. The signer judges again, and alone decides."""
    if item.already_asked:
        return "already-asked"
    if item.state != "to_sign":
        return "not-to-sign"
    if item.chain_state != "open":
        return "chain-closed"
    if item.head_sha256 != shown:
        return "digest-changed"
    if item.waits_for_others:
        return "order"
    return None


async def _reserve_numbers(tx: Tx, items: Sequence[AskedItem], at: datetime) -> dict[UUID, UUID]:
    """Give each document that is about to be sealed its number, in the order of the series and then of the ask."""
    sealed = [item for item in items if item.role == "seal" and item.act in NUMBERED]
    if not sealed:
        return {}
    wanted = [numbering.Wanted(document_id=item.document_id, request_id=item.id) for item in sealed]
    given = await numbering.reserve_many(tx, wanted, at)
    return {item.id: given[item.document_id].id for item in sealed}


async def challenge(tx: Tx, actor: Actor, order: AskChallenge, *, at: datetime) -> Challenge:
    """Return what a passkey must sign to have exactly these items signed."""
    digest = stepup.digest_of(bytes.fromhex(item.sha256) for item in order.items)
    return await challenge_for(tx, actor, "signature", digest, at=at)


async def challenge_for(tx: Tx, actor: Actor, purpose: stepup.Purpose, digest: bytes, *, at: datetime) -> Challenge:
    """Return a fresh challenge for one act, and the passkeys of the account that may answer it."""
    nonce = new_id(at)
    return Challenge(
        nonce=nonce,
        purpose=purpose,
        digest=digest.hex(),
        challenge=base64url(stepup.challenge(purpose, actor.account_id, nonce, digest)),
        credential_ids=tuple(base64url(one) for one in await store.passkeys_of(tx, actor.account_id)),
    )


def base64url(raw: bytes) -> str:
    """Return base64url without padding, as WebAuthn writes bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def plan(tx: Tx, actor: Actor, order: PlanAsk) -> list[Confirmations]:
    """Say how a batch would be cut, before anybody confirms anything: "3 lần xác nhận, mỗi lần 50".

    Raises:
        NotFound: a request is not there, or not this person's to know of.
        Forbidden: the post in use may not sign or seal.
    """
    _demand_theirs(actor, order.request_ids, await store.items_to_ask(tx, order.request_ids))
    told: list[Confirmations] = []
    for share in await store.holders_of_requests(tx, order.request_ids):
        times, each = cutting.confirmations(share.documents, share.hashes_per_authorisation)
        told.append(
            Confirmations(
                holder=share.holder,
                documents=share.documents,
                times=times,
                at_most_each=each,
                asks_person=share.asks_person,
                window_s=share.window_s,
                vi=f"{times} lần xác nhận, mỗi lần {each}",
                en=f"{times} confirmation(s) of up to {each}",
            )
        )
    return told
