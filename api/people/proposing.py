"""Propose a change, and answer a proposal: the API writes what was said, the signer judges and applies it."""

from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Tx
from api.db.privacy import Vault
from api.errors import Conflict, Forbidden, Invalid, NotFound
from api.jobs.queue import enqueue
from api.kernel import Actor, new_id
from api.people import changes, rules, store
from api.people.accounts import NOWHERE, voter_of
from api.people.changes import Change, EnrolFactor, GivePost, OfOrganisation, OpenAccount
from api.people.contract import Approve, Proposal, ProposalLine, Propose, Proposed, Refuse
from api.people.rows import AgencyParent, ProposalRow
from api.people.rules import Subject, Voter
from api.signatures import asking
from api.signatures.contract import Challenge

JUDGE_ANSWER: Final = "people.judge"


async def subject_of(tx: Tx, change: Change) -> Subject:
    """Return what a change is about.

    Raises:
        NotFound: there is no such account, or no such agency at present.
    """
    if isinstance(change, OfOrganisation):
        return Subject(agency_id=(await _agency(tx, change.agency_id)).id)
    post_agency = await _agency(tx, change.post.agency_id) if isinstance(change, OpenAccount | GivePost) else None
    place = {
        "post_agency_id": post_agency.id if post_agency else None,
        "post_agency_parent_id": post_agency.parent_id if post_agency else None,
    }
    if isinstance(change, OpenAccount):
        return Subject(agency_id=change.agency_id, **place)
    account = await store.subject_account(tx, change.account_id)
    if account is None:
        raise NotFound("Không tìm thấy tài khoản.", "There is no such account.", code="account-not-found")
    return Subject(agency_id=account.agency_id, account_id=account.account_id, person_id=account.person_id, **place)


async def _agency(tx: Tx, agency_id: UUID) -> AgencyParent:
    found = await store.agency_parent(tx, agency_id)
    if found is None:
        raise NotFound("Không tìm thấy cơ quan.", "There is no such agency.", code="agency-not-found")
    return found


async def challenge(tx: Tx, actor: Actor, change: Change, *, at: datetime) -> Challenge:
    """Return what a passkey must sign to propose exactly this change."""
    digest = changes.digest_of(changes.to_bytes(change))
    return await asking.challenge_for(tx, actor, "proposal", digest, at=at)


async def challenge_of(tx: Tx, actor: Actor, proposal_id: UUID, *, at: datetime) -> Challenge:
    """Return what a passkey must sign to agree to this proposal.

    Raises:
        NotFound: there is none that the actor may know of.
    """
    row, *_ = await _known(tx, actor, proposal_id, at)
    return await asking.challenge_for(tx, actor, "proposal", row.digest, at=at)


async def propose(tx: Tx, vault: Vault, actor: Actor, order: Propose, *, at: datetime) -> Proposed:
    """Write a proposal with the proposer's factor; the signer judges it next.

    Raises:
        NotFound: there is no such account or agency.
        Forbidden: the post in use may not propose this.
        Invalid: the change cannot be right.
    """
    change = order.change
    subject = await subject_of(tx, change)
    if not rules.may_propose(await voter_of(tx, actor, at), change, subject):
        raise Forbidden(
            "Chức danh đang dùng không được đề xuất việc này.",
            "The post in use may not propose this.",
            code="may-not-propose",
            next_step=(
                "Nhờ quản trị tài khoản của cơ quan hoặc của tỉnh.",
                "Ask the agency's or the province's administrator.",
            ),
        )
    await _demand_right(tx, change)
    raw = changes.to_bytes(change)
    proposal_id, digest = new_id(at), changes.digest_of(raw)
    await store.insert_proposal(
        tx,
        proposal_id,
        kind=changes.kind_of(change),
        agency_id=subject.agency_id,
        subject_account_id=subject.account_id,
        content_sealed=vault.seal(changes.SEALED, raw.decode()),
        digest=digest,
        by=actor.account_id,
    )
    await _say(tx, actor, proposal_id, "propose", order.factor, digest, at)
    return Proposed(proposal_id=proposal_id, digest=digest.hex())


async def _demand_right(tx: Tx, change: Change) -> None:
    """Refuse early, with clear words, what the signer would refuse anyway."""
    if not isinstance(change, EnrolFactor):
        return
    enrolment = await store.enrolment(tx, change.enrolment_id)
    if enrolment is None or enrolment.account_id != change.account_id or enrolment.public_part is None:
        raise NotFound("Không tìm thấy lượt đăng ký.", "There is no such enrolment.", code="enrolment-not-found")
    spoken = changes.spoken_code(enrolment.id, enrolment.account_id, enrolment.kind, enrolment.public_part)
    if spoken != change.spoken_code:
        raise Invalid(
            "Mã đọc lên không khớp với lượt đăng ký; hỏi lại người đăng ký.",
            "The code does not fit the enrolment; ask the person again.",
            code="spoken-code-wrong",
        )


async def approve(tx: Tx, vault: Vault, actor: Actor, proposal_id: UUID, order: Approve, *, at: datetime) -> Proposed:
    """Write a second person's agreement with their factor; the signer judges it and applies the change.

    Raises:
        NotFound: there is no such proposal that the actor may know of.
        Forbidden: the actor is no fit second person.
        Conflict: it no longer waits, or another content was shown.
    """
    row, voter, proposer = await _known(tx, actor, proposal_id, at)
    change = changes.from_bytes(vault.open(changes.SEALED, row.content_sealed))
    if not rules.may_approve(voter, change, await subject_of(tx, change), proposer):
        raise Forbidden(
            "Cần người thứ hai: không phải người đề xuất, không phải người được lợi, có quyền tại cơ quan này.",
            "A second person is needed: not the proposer, not who benefits, in charge at this agency.",
            code="not-a-second-person",
            next_step=(
                "Nhờ quản trị khác, thủ trưởng cơ quan hoặc quản trị của tỉnh.",
                "Ask another administrator, the agency's head or the province's administrator.",
            ),
        )
    _demand_waiting(row, at)
    if order.digest != row.digest.hex():
        raise Conflict(
            "Nội dung đã xem khác nội dung đề xuất; mở lại để xem.",
            "What was shown is not what is proposed; open it again.",
            code="digest-changed",
        )
    await _say(tx, actor, proposal_id, "approve", order.factor, row.digest, at)
    return Proposed(proposal_id=proposal_id, digest=row.digest.hex())


async def refuse(tx: Tx, actor: Actor, proposal_id: UUID, order: Refuse, *, at: datetime) -> Proposed:
    """Refuse a proposal, or withdraw one's own; needs no factor.

    Raises:
        NotFound: there is no such proposal that the actor may know of.
        Conflict: it no longer waits.
    """
    row, *_ = await _known(tx, actor, proposal_id, at)
    _demand_waiting(row, at)
    await _say(tx, actor, proposal_id, "refuse", ("none", order.reason.encode()), row.digest, at)
    return Proposed(proposal_id=proposal_id, digest=row.digest.hex())


def _demand_waiting(row: ProposalRow, at: datetime) -> None:
    if row.state != "waiting" or rules.has_expired(row.created_at, at):
        raise Conflict(
            "Đề xuất không còn chờ người thứ hai.",
            "The proposal no longer waits for a second person.",
            code="not-waiting",
            state=row.state,
        )


async def _say(
    tx: Tx, actor: Actor, proposal_id: UUID, purpose: str, factor: tuple[str, bytes], digest: bytes, at: datetime
) -> None:
    answer_id = new_id(at)
    await store.insert_answer(
        tx,
        answer_id,
        purpose=purpose,
        proposal_id=proposal_id,
        account_id=actor.account_id,
        post_id=actor.post_id,
        factor=factor,
        digest=digest,
    )
    await audit.append(
        tx,
        actor,
        process="api",
        action=f"proposal.{purpose}",
        subject_kind="proposal",
        subject_id=proposal_id,
        detail={"digest": digest.hex(), "factor": factor[0]},
        at=at,
    )
    await enqueue(tx, JUDGE_ANSWER, str(answer_id), {"answer": str(answer_id)})


async def _known(tx: Tx, actor: Actor, proposal_id: UUID, at: datetime) -> tuple[ProposalRow, Voter, UUID]:
    """Return a proposal that the actor may know of, the actor as the rules know them, and the proposer's person."""
    row = await store.proposal(tx, proposal_id)
    voter = await voter_of(tx, actor, at)
    involved = row is not None and actor.account_id in {row.proposed_by_account_id, row.subject_account_id}
    in_charge = row is not None and (
        voter.administers(row.agency_id) or (voter.rank == "head" and voter.agency_id == row.agency_id)
    )
    proposer = await store.subject_account(tx, row.proposed_by_account_id) if row else None
    if row is None or proposer is None or not (involved or in_charge):
        raise NotFound("Không tìm thấy đề xuất.", "There is no such proposal.", code="proposal-not-found")
    return row, voter, proposer.person_id


async def show(tx: Tx, vault: Vault, actor: Actor, proposal_id: UUID, *, at: datetime) -> Proposal:
    """Return a proposal whole, and log the view where it holds personal data.

    Raises:
        NotFound: there is none that the actor may know of.
    """
    row, *_ = await _known(tx, actor, proposal_id, at)
    change = changes.from_bytes(vault.open(changes.SEALED, row.content_sealed))
    if isinstance(change, OpenAccount):
        await audit.log_view(tx, actor, "proposal", row.id, "proposal.read", at)
    return Proposal(
        **{name: getattr(row, name) for name in ProposalLine.__struct_fields__},
        change=msgspec.to_builtins(change),
        digest=row.digest.hex(),
        made_id=row.made_id,
        voices=tuple(await store.voices(tx, row.id)),
    )


async def listed(
    tx: Tx, actor: Actor, state: str | None, before: UUID | None, limit: int, *, at: datetime
) -> list[ProposalLine]:
    """Return the latest proposals that the actor may know of: of the agency, of the province, or the own."""
    voter = await voter_of(tx, actor, at)
    if voter.of_province:
        return await store.proposals(tx, None, actor.account_id, state, before, limit)
    agency_id = voter.agency_id if voter.in_charge else NOWHERE
    return await store.proposals(tx, agency_id, actor.account_id, state, before, limit)
