"""One function per statement of `queries.sql`: what the API's side of a signature reads and writes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs, as_they_come
from api.signatures.contract import ChainLine, SignedLine, TicketSummary, ToSign
from api.signatures.rows import (
    Asked,
    AskedItem,
    Candidate,
    ChainMember,
    DocumentToSubmit,
    HolderShare,
    LockedRequest,
    NewRequest,
    OpenChain,
    SignedOfChain,
    TicketRow,
    Waiting,
)

_q: Final = queries.load("api.signatures")


async def lock_document(tx: Tx, document_id: UUID) -> DocumentToSubmit | None:
    """Lock the document to submit."""
    return as_struct(await tx.fetchrow(_q.lock_document, document_id), DocumentToSubmit)


async def lock_dossier_of_document(tx: Tx, document_id: UUID) -> None:
    """Lock the dossier of a document."""
    await tx.execute(_q.lock_dossier_of_document, document_id)


async def open_chain_of_document(tx: Tx, document_id: UUID) -> UUID | None:
    """Return the open chain of a document, if any."""
    return await tx.fetchval(_q.open_chain_of_document, document_id)


async def signatory_candidates(tx: Tx, agency_id: UUID, act: str, procedure_code: str, at: datetime) -> list[Candidate]:
    """Return who may sign, strongest basis first."""
    return as_structs(await tx.fetch(_q.signatory_candidates, agency_id, act, procedure_code, at), Candidate)


async def role_candidates(tx: Tx, agency_id: UUID, role: str, at: datetime) -> list[Candidate]:
    """Return who holds a post with this role."""
    return as_structs(await tx.fetch(_q.role_candidates, agency_id, role, at), Candidate)


async def seal_certificate(tx: Tx, agency_id: UUID, at: datetime) -> Candidate | None:
    """Return the organisation's certificate."""
    return as_struct(await tx.fetchrow(_q.seal_certificate, agency_id, at), Candidate)


async def insert_chain(
    tx: Tx, document: DocumentToSubmit, mark: str | None, lane: str, account_id: UUID, at: datetime
) -> UUID:
    """Open a chain for a document."""
    return await tx.fetchval(
        _q.insert_chain,
        document.id,
        document.dossier_id,
        document.result_id,
        document.head_revision_id,
        mark,
        lane,
        account_id,
        at,
    )


async def insert_request(tx: Tx, new: NewRequest) -> UUID:
    """Insert one request of a chain."""
    d, who = new.document, new.who
    return await tx.fetchval(
        _q.insert_request,
        new.chain_id,
        d.id,
        d.dossier_id,
        d.result_id,
        new.group,
        new.ordinal,
        new.role,
        new.pdf_signature,
        d.act,
        new.field,
        who.person_id,
        who.post_id,
        d.agency_id,
        who.capacity,
        who.title_lines,
        who.mandate_id,
        who.holder,
        who.certificate_id,
        who.certificate_serial,
        None,
        d.due_at,
        new.lane,
        new.at,
    )


async def chain_view(tx: Tx, document_id: UUID) -> list[ChainLine]:
    """Return the chains of a document, newest first."""
    return as_structs(await tx.fetch(_q.chain_view, document_id), ChainLine)


async def to_sign_page(tx: Tx, person_id: UUID, after: tuple[str, datetime, UUID], limit: int) -> list[ToSign]:
    """Return a page of what waits for one person; `limit` is at most 201."""
    return as_they_come(await tx.fetch(_q.to_sign_page, person_id, *after, limit), ToSign)


async def clerks_page(
    tx: Tx, person_id: UUID, agency_id: UUID, after: tuple[str, datetime, UUID], limit: int
) -> list[ToSign]:
    """Return a page of what waits for a clerk, the agency's seals included; `limit` is at most 201."""
    return as_they_come(await tx.fetch(_q.clerks_page, person_id, agency_id, *after, limit), ToSign)


async def lock_dossiers(tx: Tx, request_ids: Sequence[UUID]) -> None:
    """Lock the dossiers of these requests in the order of their ids."""
    await tx.execute(_q.lock_dossiers, request_ids)


async def items_to_ask(tx: Tx, request_ids: Sequence[UUID]) -> dict[UUID, AskedItem]:
    """Return what an ask must know, by request."""
    return {row.id: row for row in as_structs(await tx.fetch(_q.items_to_ask, request_ids), AskedItem)}


async def insert_batch(
    tx: Tx,
    *,
    account_id: UUID,
    person_id: UUID,
    post_id: UUID,
    agency_id: UUID,
    session_id: UUID | None,
    lane: str,
    item_count: int,
    trace_id: str | None,
    authorised_until: datetime,
) -> Asked:
    """Open a ticket; the moment it was asked is the database's."""
    row = await tx.fetchrow(
        _q.insert_batch,
        account_id,
        person_id,
        post_id,
        agency_id,
        session_id,
        lane,
        item_count,
        trace_id,
        authorised_until,
    )
    return msgspec.convert(dict(row), Asked)


async def insert_items(
    tx: Tx,
    batch_id: UUID,
    ordinals: Sequence[int],
    request_ids: Sequence[UUID],
    shown: Sequence[bytes],
    number_ids: Sequence[UUID | None],
) -> None:
    """Write the items of a ticket."""
    await tx.execute(_q.insert_items, batch_id, ordinals, request_ids, shown, number_ids)


async def insert_step_up(tx: Tx, batch_id: UUID, account_id: UUID, kind: str, response: bytes, digest: bytes) -> None:
    """Keep the second factor's answer for the signer."""
    await tx.execute(_q.insert_step_up, batch_id, account_id, kind, response, digest)


async def passkeys_of(tx: Tx, account_id: UUID) -> list[bytes]:
    """Return the credential ids of an account's passkeys."""
    return [row["credential_id"] for row in await tx.fetch(_q.passkeys_of, account_id)]


async def open_of_account(tx: Tx, account_id: UUID) -> list[UUID]:
    """Return what an account has asked and nobody has signed yet."""
    return [row["id"] for row in await tx.fetch(_q.open_of_account, account_id)]


async def signed_since(tx: Tx, account_id: UUID, since: datetime, limit: int) -> list[SignedLine]:
    """Return what an account has signed since an instant, latest first."""
    return as_structs(await tx.fetch(_q.signed_since, account_id, since, limit), SignedLine)


async def waiting(tx: Tx) -> list[Waiting]:
    """Return the line of work."""
    return as_structs(await tx.fetch(_q.waiting), Waiting)


async def recorded_last_minute(tx: Tx) -> int:
    """Return how many signatures were recorded within the last minute."""
    return await tx.fetchval(_q.recorded_last_minute)


async def tickets_moved(tx: Tx, known: Mapping[UUID, int], most: int) -> list[TicketRow]:
    """Return the first `most` of those tickets whose version has grown above the known one."""
    return as_structs(await tx.fetch(_q.tickets_moved, list(known), list(known.values()), most), TicketRow)


async def my_tickets(tx: Tx, account_id: UUID, limit: int) -> list[TicketSummary]:
    """Return the latest tickets of an account."""
    return as_structs(await tx.fetch(_q.my_tickets, account_id, limit), TicketSummary)


async def lock_chain_of_request(tx: Tx, request_id: UUID) -> LockedRequest | None:
    """Lock a request and its chain."""
    return as_struct(await tx.fetchrow(_q.lock_chain_of_request, request_id), LockedRequest)


async def requests_of_chain(tx: Tx, chain_id: UUID) -> list[ChainMember]:
    """Lock and return all requests of a chain."""
    return as_structs(await tx.fetch(_q.requests_of_chain, chain_id), ChainMember)


async def supersede_requests(tx: Tx, ids: Sequence[UUID], state: str, reason: str, at: datetime) -> list[UUID]:
    """Move requests that nobody is signing to a final state."""
    return [row["id"] for row in await tx.fetch(_q.supersede_requests, ids, state, reason, at)]


async def close_chain(tx: Tx, chain_id: UUID, at: datetime) -> bool:
    """End a chain; False when it had ended."""
    return await tx.fetchval(_q.close_chain, chain_id, at) is not None


async def withdraw_signed_revisions(tx: Tx, chain_id: UUID, reason: str, at: datetime, account_id: UUID | None) -> None:
    """Keep what was signed in a chain as evidence."""
    await tx.execute(_q.withdraw_signed_revisions, chain_id, reason, at, account_id)


async def open_requests_of_person(tx: Tx, person_id: UUID, agency_id: UUID, limit: int) -> list[UUID]:
    """Return what waits for one person."""
    return [row["id"] for row in await tx.fetch(_q.open_requests_of_person, person_id, agency_id, limit)]


async def insert_answer(tx: Tx, holder: str, transaction_id: str | None, body: bytes, headers: dict[str, str]) -> UUID:
    """Keep what came from outside."""
    return await tx.fetchval(_q.insert_answer, holder, transaction_id, body, headers)


async def holders_of_requests(tx: Tx, request_ids: Sequence[UUID]) -> list[HolderShare]:
    """Return how an ask divides among key holders."""
    return as_structs(await tx.fetch(_q.holders_of_requests, request_ids), HolderShare)


async def void_number_of_chain(tx: Tx, chain_id: UUID, reason: str, at: datetime) -> None:
    """Give up the number of a document whose chain has ended, with a reason."""
    await tx.execute(_q.void_number_of_chain, chain_id, reason, at)


async def signed_of_chain(tx: Tx, chain_id: UUID) -> SignedOfChain:
    """Return how far a chain's persons are, and whether its document has a number."""
    found = as_struct(await tx.fetchrow(_q.signed_of_chain, chain_id), SignedOfChain)
    assert found is not None  # noqa: S101 - an aggregate always gives a row
    return found


async def supersede_items(tx: Tx, request_ids: Sequence[UUID], at: datetime) -> None:
    """End the ticket items of requests that ended with their chain."""
    await tx.execute(_q.supersede_items, request_ids, at)


async def result_in_signing(tx: Tx, result_id: UUID) -> bool:
    """Submit a draft; False when it was submitted before."""
    return await tx.fetchval(_q.result_in_signing, result_id) is not None


async def result_to_draft(tx: Tx, result_id: UUID) -> None:
    """Make a result a draft again."""
    await tx.execute(_q.result_to_draft, result_id)


async def results_to_sign(tx: Tx, dossier_id: UUID) -> list[UUID]:
    """Return the results of a dossier that are to be signed."""
    return [row["id"] for row in await tx.fetch(_q.results_to_sign, dossier_id)]


async def may_sign_here(tx: Tx, person_id: UUID, post_id: UUID, agency_id: UUID, at: datetime) -> bool:
    """Tell whether a person in a post has any authority to sign at an agency."""
    return await tx.fetchval(_q.may_sign_here, person_id, post_id, agency_id, at)


async def open_chains_of_results(tx: Tx, result_ids: Sequence[UUID]) -> list[OpenChain]:
    """Lock and return the open chains of these results."""
    return as_structs(await tx.fetch(_q.open_chains_of_results, result_ids), OpenChain)


async def held_of_results(tx: Tx, result_ids: Sequence[UUID]) -> bool:
    """Say whether a sealed document of these results waits for its level."""
    return await tx.fetchval(_q.held_of_results, result_ids)
