"""One function per statement of `queries.sql`: what the API's role reads and writes of people."""

from datetime import datetime
from typing import Final
from uuid import UUID

from api.db.pools import Tx, as_struct, as_structs
from api.db.queries import load
from api.kernel import vn_day
from api.people.contract import AccountLine, CertificateLine, ProposalLine, Voice
from api.people.rows import AgencyParent, EnrolmentRow, ProposalRow, SubjectAccount
from api.people.rules import Voter

q: Final = load("api.people")


async def voter(tx: Tx, account_id: UUID, post_id: UUID, at: datetime) -> Voter | None:
    """Return somebody in a post as it stands now."""
    return as_struct(await tx.fetchrow(q.voter, account_id, post_id, at, vn_day(at)), Voter)


async def subject_account(tx: Tx, account_id: UUID) -> SubjectAccount | None:
    """Return whose account it is."""
    return as_struct(await tx.fetchrow(q.subject_account, account_id), SubjectAccount)


async def agency_parent(tx: Tx, agency_id: UUID) -> AgencyParent | None:
    """Return a present agency and the one above it."""
    return as_struct(await tx.fetchrow(q.agency_parent, agency_id), AgencyParent)


async def account_page(tx: Tx, agency_id: UUID | None, at: datetime, after: str, limit: int) -> list[AccountLine]:
    """Return accounts in the order of their log-ins."""
    return as_structs(await tx.fetch(q.account_page, agency_id, at, after, limit), AccountLine)


async def insert_block(tx: Tx, account_id: UUID, what: str, reason: str, by: UUID) -> UUID:
    """Block an account or its factors."""
    return await tx.fetchval(q.insert_block, account_id, what, reason, by)


async def insert_proposal(
    tx: Tx,
    proposal_id: UUID,
    *,
    kind: str,
    agency_id: UUID,
    subject_account_id: UUID | None,
    content_sealed: bytes,
    digest: bytes,
    by: UUID,
) -> None:
    """Write a proposal."""
    row = (proposal_id, kind, agency_id, subject_account_id, content_sealed, digest, by)
    await tx.execute(q.insert_proposal, *row)


async def insert_answer(
    tx: Tx,
    answer_id: UUID,
    *,
    purpose: str,
    account_id: UUID,
    post_id: UUID,
    factor: tuple[str, bytes],
    digest: bytes,
    proposal_id: UUID | None = None,
    enrolment_id: UUID | None = None,
) -> None:
    """Write what a person said."""
    row = (answer_id, purpose, proposal_id, enrolment_id, account_id, post_id, *factor, digest)
    await tx.execute(q.insert_answer, *row)


async def proposal(tx: Tx, proposal_id: UUID) -> ProposalRow | None:
    """Return one proposal."""
    return as_struct(await tx.fetchrow(q.proposal, proposal_id), ProposalRow)


async def voices(tx: Tx, proposal_id: UUID) -> list[Voice]:
    """Return what was said to a proposal."""
    return as_structs(await tx.fetch(q.voices, proposal_id), Voice)


async def proposals(
    tx: Tx, agency_id: UUID | None, account_id: UUID, state: str | None, before: UUID | None, limit: int
) -> list[ProposalLine]:
    """Return the latest proposals."""
    return as_structs(await tx.fetch(q.proposals, agency_id, account_id, state, before, limit), ProposalLine)


async def certificates(
    tx: Tx, account_id: UUID, agency_id: UUID, before: UUID | None, limit: int, *, province: bool
) -> list[CertificateLine]:
    """Return the latest certificates of an account, an agency, or of the whole province."""
    return as_structs(await tx.fetch(q.certificates, account_id, agency_id, before, province, limit), CertificateLine)


async def insert_enrolment(tx: Tx, enrolment_id: UUID, account_id: UUID, kind: str) -> None:
    """Begin an enrolment."""
    await tx.execute(q.insert_enrolment, enrolment_id, account_id, kind)


async def insert_material(tx: Tx, enrolment_id: UUID, public_part: bytes, client_data: bytes | None) -> bool:
    """Keep what the browser made; tell whether it is the first."""
    return await tx.fetchval(q.insert_material, enrolment_id, public_part, client_data) is not None


async def enrolment(tx: Tx, enrolment_id: UUID) -> EnrolmentRow | None:
    """Return an enrolment as far as it has come."""
    return as_struct(await tx.fetchrow(q.enrolment, enrolment_id), EnrolmentRow)
