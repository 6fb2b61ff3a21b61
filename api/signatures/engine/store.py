"""One function per statement of the signer's `queries.sql`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from api.registry.authority import Mandate
from api.signatures.engine import rows
from signing.contract import Prepared, Signed

_q: Final = queries.load("api.signatures.engine")

Detail = Mapping[str, str]
"""Why an item ended as it did: `code`, `vi`, `en`; never personal data."""
_SERVED_LATELY: Final = timedelta(minutes=1)
"""What was recorded since tells which turn is being served; a lane in which nothing was begins anew."""


async def lock_batch(tx: Tx, batch_id: UUID) -> rows.Batch | None:
    """Lock a ticket."""
    return as_struct(await tx.fetchrow(_q.lock_batch, batch_id), rows.Batch)


async def account_holds_post(tx: Tx, batch: rows.Batch, at: datetime) -> bool:
    """Tell whether the asking account is active and its person holds the post."""
    return await tx.fetchval(
        _q.account_holds_post, batch.account_id, batch.person_id, batch.post_id, batch.agency_id, at
    )


async def shown_digests(tx: Tx, batch_id: UUID) -> list[bytes]:
    """Return the digests that a ticket covers."""
    return [row["shown_sha256"] for row in await tx.fetch(_q.shown_digests, batch_id)]


async def lock_dossiers_to_judge(tx: Tx, batch_id: UUID, after: int, limit: int) -> set[UUID]:
    """Lock the dossiers of a ticket's next items; return which."""
    return {row["id"] for row in await tx.fetch(_q.lock_dossiers_to_judge, batch_id, after, limit)}


async def open_items(tx: Tx, batch_id: UUID, after: int, limit: int) -> list[rows.OpenItem]:
    """Return the next items to judge."""
    return as_structs(await tx.fetch(_q.open_items, batch_id, after, limit), rows.OpenItem)


async def lock_requests(tx: Tx, ids: Sequence[UUID], batch: rows.Batch) -> dict[UUID, rows.LockedRequest]:
    """Lock requests of a ticket in the order of their ids; the roles of the asking person's post come along."""
    found = as_structs(await tx.fetch(_q.lock_requests, ids, batch.post_id, batch.id), rows.LockedRequest)
    return {row.id: row for row in found}


async def authority_rows(tx: Tx, person_id: UUID, agency_id: UUID) -> list[Mandate]:
    """Return the rows on which a right to sign may rest."""
    return as_structs(await tx.fetch(_q.authority_rows, person_id, agency_id), Mandate)


async def usable_certificates(tx: Tx, person: UUID | None, agency: UUID | None, at: datetime) -> list[rows.Certificate]:
    """Return valid certificates of a person or of an organisation."""
    return as_structs(await tx.fetch(_q.usable_certificates, person, agency, at), rows.Certificate)


async def move_to_asked(
    tx: Tx,
    item: rows.OpenItem,
    batch: rows.Batch,
    certificate: rows.Certificate,
    *,
    post_id: UUID,
    turn: int,
    at: datetime,
) -> None:
    """Bind a request to its ticket."""
    await tx.execute(
        _q.move_to_asked,
        item.request_id,
        batch.id,
        item.shown_sha256,
        item.number_id,
        certificate.id,
        certificate.serial,
        certificate.holder,
        batch.person_id,
        post_id,
        batch.lane,
        at,
        batch.authorised_until,
        turn,
    )


async def record_approval(tx: Tx, request_id: UUID, batch_id: UUID, sha256: bytes, at: datetime) -> None:
    """Record an approval bound to a hash."""
    await tx.execute(_q.record_approval, request_id, batch_id, sha256, at)


async def end_item(tx: Tx, batch_id: UUID, request_id: UUID, outcome: str, detail: Detail | None, at: datetime) -> None:
    """Write the terminal result of an item, its ticket locked; the first one stays."""
    await tx.execute(_q.end_item, batch_id, request_id, outcome, detail, at)


async def end_unjudged_items(tx: Tx, batch_ids: Sequence[UUID], detail: Detail, at: datetime) -> list[rows.Freed]:
    """End every item of these tickets that was not judged."""
    return as_structs(await tx.fetch(_q.end_unjudged_items, batch_ids, detail, at), rows.Freed)


async def complete_batches(tx: Tx, batch_ids: Sequence[UUID]) -> None:
    """Say that every item has been judged."""
    await tx.execute(_q.complete_batches, batch_ids)


async def close_batches(tx: Tx, batch_ids: Sequence[UUID], at: datetime) -> None:
    """Close those of these tickets that have no open item."""
    await tx.execute(_q.close_batches, batch_ids, at)


async def close_batch(tx: Tx, batch_id: UUID, at: datetime) -> bool:
    """Close a ticket whose every item has ended."""
    return await tx.fetchval(_q.close_batches, [batch_id], at) is not None


async def lock_open_batch(tx: Tx, batch_id: UUID) -> bool:
    """Lock a ticket whose every item has been judged; False where not all have been, or the ticket is closed."""
    return await tx.fetchval(_q.lock_open_batch, batch_id) is not None


async def left_to_prepare(tx: Tx, batch_id: UUID) -> int:
    """Count the items still to be prepared."""
    return await tx.fetchval(_q.left_to_prepare, batch_id)


async def to_prepare(tx: Tx, request_id: UUID) -> rows.ToPrepare | None:
    """Return what one preparation needs."""
    return as_struct(await tx.fetchrow(_q.to_prepare, request_id), rows.ToPrepare)


async def move_to_prepared(tx: Tx, request_id: UUID, attempt: int, at: datetime) -> int | None:
    """Fix the bytes to be signed; return the new attempt, or None when somebody else was first."""
    return await tx.fetchval(_q.move_to_prepared, request_id, attempt, at)


async def insert_preparation(tx: Tx, request_id: UUID, attempt: int, prepared: Prepared, certificate_id: UUID) -> None:
    """Keep what survives the wait."""
    await tx.execute(
        _q.insert_preparation,
        request_id,
        attempt,
        prepared.base_sha256,
        prepared.base_size,
        prepared.increment,
        prepared.document_digest,
        prepared.reserved_start,
        prepared.reserved_end,
        prepared.signed_attrs,
        prepared.tbs_sha256,
        certificate_id,
        prepared.mechanism,
        prepared.prepared_at,
    )


async def prepared_of_batch(tx: Tx, batch_id: UUID) -> list[rows.Ready]:
    """Lock and return what is ready to leave."""
    return as_structs(await tx.fetch(_q.prepared_of_batch, batch_id), rows.Ready)


async def transactions_under_way(tx: Tx, holder: str, person_id: UUID) -> int:
    """Count the confirmations that one person has open at a holder; until the commit nobody else counts them."""
    await tx.execute(_q.lock_turn, holder, person_id)
    return await tx.fetchval(_q.transactions_under_way, holder, person_id)


async def batches_to_send(tx: Tx, holder: str, person_id: UUID) -> list[rows.WaitingTicket]:
    """Return the tickets of a person that wait for their turn at a holder."""
    return as_structs(await tx.fetch(_q.batches_to_send, holder, person_id), rows.WaitingTicket)


async def back_to_asked(tx: Tx, request_id: UUID, at: datetime) -> None:
    """Have a preparation made anew."""
    await tx.execute(_q.back_to_asked, request_id, at)


async def back_to_list(tx: Tx, request_id: UUID, at: datetime, detail: Detail | None) -> bool:
    """Return an unsigned request to the list."""
    return await tx.fetchrow(_q.back_to_list, request_id, at, detail) is not None


async def quarantine(tx: Tx, request_id: UUID, at: datetime, detail: Detail) -> bool:
    """Keep a failed request with its evidence."""
    return await tx.fetchrow(_q.quarantine, request_id, at, detail) is not None


async def insert_transaction(tx: Tx, new: rows.Transaction, count: int, *, poll_at: datetime) -> None:
    """Write that an authorisation is about to be asked."""
    await tx.execute(
        _q.insert_transaction,
        new.id,
        new.holder,
        new.batch_id,
        new.credential_id,
        new.person_id,
        count,
        new.started_at,
        new.expires_at,
        poll_at,
    )


async def insert_key_use(
    tx: Tx, request_id: UUID, attempt: int, tbs_sha256: bytes, transaction: rows.Transaction, at: datetime
) -> int:
    """Commit the intent to use a key; return how many times it has been used for these bytes."""
    key = (transaction.holder, transaction.credential_id, transaction.id)
    return await tx.fetchval(_q.insert_key_use, request_id, attempt, tbs_sha256, *key, at)


async def move_to_sent(tx: Tx, request_id: UUID, transaction_id: str, at: datetime, deadline_at: datetime) -> None:
    """Let the hash leave."""
    await tx.execute(_q.move_to_sent, request_id, transaction_id, at, deadline_at)


async def transaction_started(tx: Tx, transaction_id: str, poll_at: datetime, code: str | None) -> None:
    """Note that the holder has taken the order, and the code that it shows beside it."""
    await tx.execute(_q.transaction_started, transaction_id, poll_at, code)


async def claim_transactions(
    tx: Tx, holder: str, at: datetime, next_look: datetime, limit: int
) -> list[rows.Transaction]:
    """Take what is due to be looked at."""
    return as_structs(await tx.fetch(_q.claim_transactions, holder, at, next_look, limit), rows.Transaction)


async def next_polls(tx: Tx, due: Mapping[str, datetime]) -> None:
    """Look again at these times, by transaction."""
    await tx.execute(_q.next_polls, list(due), list(due.values()))


async def end_transaction(tx: Tx, transaction_id: str, outcome: str, at: datetime) -> UUID | None:
    """End a transaction; return its ticket, or None when it had ended."""
    return await tx.fetchval(_q.end_transaction, transaction_id, outcome, at)


async def transaction(tx: Tx, transaction_id: str) -> rows.Transaction | None:
    """Return one transaction."""
    return as_struct(await tx.fetchrow(_q.transaction, transaction_id), rows.Transaction)


async def items_of_transaction(tx: Tx, transaction_id: str) -> list[rows.SentItem]:
    """Return the hashes of a transaction."""
    return as_structs(await tx.fetch(_q.items_of_transaction, transaction_id), rows.SentItem)


async def receive_values(
    tx: Tx, values: Sequence[tuple[UUID, int, bytes, int]], source: str, at: datetime
) -> list[rows.Received]:
    """Commit values that fit as (request, attempt, value, turn), and move on; a second one changes nothing."""
    columns = zip(*values, strict=True)
    return as_structs(await tx.fetch(_q.receive_values, *map(list, columns), source, at), rows.Received)


async def to_finish(tx: Tx, request_id: UUID) -> rows.ToFinish | None:
    """Return what finishing needs."""
    return as_struct(await tx.fetchrow(_q.to_finish, request_id), rows.ToFinish)


async def annexes_beside(tx: Tx, request_id: UUID, batch_id: UUID) -> list[rows.Received]:
    """Return the annexes of a request's document that wait in its ticket for what becomes of it."""
    return as_structs(await tx.fetch(_q.annexes_beside, request_id, batch_id), rows.Received)


async def lock_dossier(tx: Tx, dossier_id: UUID) -> None:
    """Lock the dossier first."""
    await tx.execute(_q.lock_dossier, dossier_id)


async def insert_signed_blob(tx: Tx, sha256: bytes, size: int, at: datetime) -> None:
    """Write the row of a file that is on disk."""
    await tx.execute(_q.insert_signed_blob, sha256, size, at)


async def record_revision(tx: Tx, work: rows.ToFinish, signed: Signed, origin: str, at: datetime) -> UUID | None:
    """Record a request from its attempt and make its file the head; None where either has moved: roll back then."""
    return await tx.fetchval(
        _q.record_revision,
        work.id,
        work.attempt,
        at,
        work.document_id,
        signed.sha256,
        signed.size,
        work.base_sha256,
        origin,
        work.role,
        work.account_id,
        msgspec.to_builtins(signed.verdict),
    )


async def left_in_chain(tx: Tx, chain_id: UUID) -> rows.Left:
    """Count what is left in a chain."""
    return msgspec.convert(dict(await tx.fetchrow(_q.left_in_chain, chain_id)), rows.Left)


async def chain_done(tx: Tx, chain_id: UUID, at: datetime) -> None:
    """End a chain whose every request is recorded."""
    await tx.execute(_q.chain_done, chain_id, at)


async def use_number(tx: Tx, number_id: UUID, at: datetime, request_id: UUID) -> bool:
    """Mark a number as used."""
    return await tx.fetchval(_q.use_number, number_id, at, request_id) is not None


async def give_up_number(tx: Tx, number_id: UUID, reason: str, at: datetime) -> None:
    """Void a reserved number with a reason; a foreign register's stays the document's."""
    await tx.execute(_q.give_up_number, number_id, reason, at)


async def result_signed(tx: Tx, result_id: UUID) -> None:
    """Note that all persons have signed."""
    await tx.execute(_q.result_signed, result_id)


async def result_issued(tx: Tx, result_id: UUID, at: datetime) -> bool:
    """Issue a result once every document of it is sealed."""
    return await tx.fetchval(_q.result_issued, result_id, at) is not None


async def insert_effect(tx: Tx, result_id: UUID, at: datetime, basis: str, account_id: UUID) -> None:
    """Put a result in force."""
    await tx.execute(_q.insert_effect, result_id, at, basis, account_id)


async def stuck_requests(tx: Tx, before: datetime, limit: int) -> list[rows.Stuck]:
    """Return open requests that have not moved."""
    return as_structs(await tx.fetch(_q.stuck_requests, before, limit), rows.Stuck)


async def stuck_batches(tx: Tx, before: datetime, limit: int) -> list[rows.WaitingTicket]:
    """Return tickets nobody has finished judging."""
    return as_structs(await tx.fetch(_q.stuck_batches, before, limit), rows.WaitingTicket)


async def parked_work(tx: Tx, request_id: UUID, attempt: int) -> rows.ParkedRequest | None:
    """Return the open request whose work was parked."""
    return as_struct(await tx.fetchrow(_q.parked_work, request_id, attempt), rows.ParkedRequest)


async def release_failed(tx: Tx, request_id: UUID, at: datetime) -> None:
    """Return a failed request to the list."""
    await tx.execute(_q.release_failed, request_id, at)


async def closable_batches(tx: Tx, limit: int) -> list[UUID]:
    """Return tickets whose every item has ended."""
    return [row["id"] for row in await tx.fetch(_q.closable_batches, limit)]


async def queued_turns(
    tx: Tx, lane: str, person_id: UUID, state: Literal["asked", "value_received"], at: datetime
) -> rows.Turns:
    """Return from where the next turns of a person count, before preparing or before embedding."""
    row = await tx.fetchrow(_q.queued_turns, lane, person_id, state, at - _SERVED_LATELY)
    return msgspec.convert(dict(row), rows.Turns)


async def answer(tx: Tx, answer_id: UUID) -> rows.Answer | None:
    """Return one answer from outside."""
    return as_struct(await tx.fetchrow(_q.answer, answer_id), rows.Answer)


async def insert_answer_verdict(tx: Tx, answer_id: UUID, verdict: str, at: datetime) -> None:
    """Write the judgement of an answer."""
    await tx.execute(_q.insert_answer_verdict, answer_id, verdict, at)
