"""One function per statement of the signer's `queries.sql` for people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.db.pools import Tx, as_struct
from api.db.queries import load
from api.kernel import sort_key, vn_day
from api.people.changes import NewPost
from api.people.engine.rows import Answer, Confirmation, Material
from api.registry.authority import Mandate
from signing.contract import CertificateFacts, HeldCertificate

q: Final = load("api.people.engine")


async def lock_answer(tx: Tx, answer_id: UUID) -> Answer | None:
    """Return what a person said, with its proposal locked."""
    return as_struct(await tx.fetchrow(q.lock_answer, answer_id), Answer)


async def insert_verdict(tx: Tx, answer_id: UUID, reason: str, at: datetime) -> None:
    """Write the judgement of an answer: accepted where there is no reason against it."""
    await tx.execute(q.insert_verdict, answer_id, not reason, reason, at)


async def now_waiting(tx: Tx, proposal_id: UUID) -> None:
    """Let a proposal wait for its second person."""
    await tx.execute(q.now_waiting, proposal_id)


async def end_proposal(
    tx: Tx, proposal_id: UUID, state: str, why: Mapping[str, Any] | None, at: datetime, made_id: UUID | None = None
) -> None:
    """End a proposal."""
    await tx.fetchval(q.end_proposal, proposal_id, state, why, at, made_id)


async def expire_proposals(tx: Tx, before: datetime, at: datetime, why: Mapping[str, Any]) -> list[UUID]:
    """End proposals that nobody agreed to in time."""
    return [row["id"] for row in await tx.fetch(q.expire_proposals, before, at, why)]


async def expire_offers(tx: Tx, at: datetime) -> list[UUID]:
    """End enrolments that nobody confirmed in time."""
    return [row["enrolment_id"] for row in await tx.fetch(q.expire_offers, at)]


async def forget_nonces(tx: Tx, before: datetime) -> None:
    """Forget challenges that are too old to be offered again."""
    await tx.execute(q.forget_nonces, before)


async def login_taken(tx: Tx, login: str) -> bool:
    """Tell whether an account bears this log-in."""
    return await tx.fetchval(q.login_taken, login)


async def insert_person(tx: Tx, display_name: str) -> UUID:
    """Write an official with the name in public office."""
    person_id: UUID = await tx.fetchval(q.insert_person)
    await tx.execute(q.insert_official, person_id, display_name, sort_key(display_name))
    return person_id


async def insert_private(tx: Tx, person_id: UUID, key_id: str, sealed: tuple[bytes | None, ...]) -> None:
    """Write what is personal of an official: name and identity number, each sealed and as a keyed hash."""
    await tx.execute(q.insert_private, person_id, key_id, *sealed)


async def insert_account(tx: Tx, person_id: UUID, agency_id: UUID, login: str) -> UUID:
    """Open an account."""
    return await tx.fetchval(q.insert_account, person_id, agency_id, login)


async def give_post(tx: Tx, person_id: UUID, post: NewPost, legal_basis: str, at: datetime) -> UUID:
    """Make a post and its holder."""
    roles = [role.value for role in post.roles]
    row = (post.agency_id, post.unit, post.title, post.rank, roles, vn_day(at))
    post_id: UUID = await tx.fetchval(q.insert_post, *row)
    await tx.execute(q.insert_holding, person_id, post_id, at, legal_basis)
    return post_id


async def end_holding(tx: Tx, person_id: UUID, post_id: UUID, at: datetime) -> bool:
    """End that a person holds a post; tell whether it was held."""
    return await tx.fetchval(q.end_holding, person_id, post_id, at) is not None


async def set_state(tx: Tx, account_id: UUID, state: str) -> bool:
    """Let an account work, or close it; tell whether that was possible."""
    return await tx.fetchval(q.set_state, account_id, state) is not None


async def lift_blocks(tx: Tx, account_id: UUID, at: datetime) -> None:
    """End every lock of an account."""
    await tx.execute(q.lift_blocks, account_id, at)


async def holds_post(tx: Tx, person_id: UUID, post_id: UUID, at: datetime) -> UUID | None:
    """Return the agency of a post that a person holds now."""
    agency_id: UUID | None = await tx.fetchval(q.holds_post, person_id, post_id, at)
    return agency_id


async def insert_mandate(tx: Tx, row: Mandate) -> None:
    """Write a right to sign."""
    await tx.execute(
        q.insert_mandate,
        row.id,
        row.kind.value,
        row.capacity.value,
        row.person_id,
        row.post_id,
        row.agency_id,
        row.acts,
        row.procedure_codes,
        row.title_lines,
        row.legal_basis,
        row.valid_from,
        row.valid_to,
    )


async def revoke_mandate(tx: Tx, mandate_id: UUID, person_id: UUID, at: datetime) -> bool:
    """End a right to sign of this person; tell whether there was one."""
    return await tx.fetchval(q.revoke_mandate, mandate_id, person_id, at) is not None


async def material(tx: Tx, enrolment_id: UUID) -> Material | None:
    """Return what the person's browser made."""
    return as_struct(await tx.fetchrow(q.material, enrolment_id), Material)


async def insert_offer(tx: Tx, enrolment_id: UUID, proposal_id: UUID, *made: Any) -> bool:
    """Keep what was made of an enrolment: sealed secret, what is handed on, or credential, key, counter; the times."""
    return await tx.fetchval(q.insert_offer, enrolment_id, proposal_id, *made) is not None


async def lock_confirmation(tx: Tx, answer_id: UUID) -> Confirmation | None:
    """Return the first answer of a new factor, with its offer locked."""
    return as_struct(await tx.fetchrow(q.lock_confirmation, answer_id), Confirmation)


async def count_try(tx: Tx, enrolment_id: UUID, outcome: str | None, at: datetime | None) -> None:
    """Count a wrong first answer."""
    await tx.execute(q.count_try, enrolment_id, outcome, at)


async def end_offer(tx: Tx, enrolment_id: UUID, at: datetime) -> None:
    """Note that the factor counts."""
    await tx.execute(q.end_offer, enrolment_id, at)


async def replace_totp(
    tx: Tx, account_id: UUID, key_id: str, secret_sealed: bytes, last_counter: int, at: datetime
) -> None:
    """Write a new TOTP in place of the old."""
    await tx.execute(q.revoke_totp, account_id, at)
    await tx.fetchval(q.insert_totp, account_id, key_id, secret_sealed, last_counter)


async def insert_passkey(tx: Tx, account_id: UUID, credential_id: bytes, public_key: bytes, sign_count: int) -> bool:
    """Write a passkey; tell whether its credential was new."""
    return await tx.fetchval(q.insert_passkey, account_id, credential_id, public_key, sign_count) is not None


async def binding_of(tx: Tx, answer_id: UUID, kinds: Sequence[str]) -> bytes | None:
    """Return the sealed content of an open proposal of these kinds to which somebody says yes."""
    return await tx.fetchval(q.binding_of, answer_id, kinds)


async def official_name(tx: Tx, person_id: UUID) -> str:
    """Return the name in public office, or an empty text."""
    name: str | None = await tx.fetchval(q.official_name, person_id)
    return name or ""


async def agencies_named(tx: Tx, key: str) -> list[UUID]:
    """Return the agencies with this sort key of a name."""
    return [row["id"] for row in await tx.fetch(q.agencies_named, key)]


async def agency_and_predecessors(tx: Tx, agency_id: UUID) -> set[UUID]:
    """Return an agency with those whose successor it is."""
    return {row["id"] for row in await tx.fetch(q.agency_and_predecessors, agency_id)}


async def insert_certificate(
    tx: Tx,
    whose: tuple[UUID | None, UUID | None, UUID | None],
    held: HeldCertificate,
    facts: CertificateFacts,
    *,
    klass: str,
    holder: str,
    owner_sealed: bytes,
    image_png: bytes | None,
    at: datetime,
) -> UUID | None:
    """Bind a certificate to a person or an organisation, with the agency that it names; None where it is known."""
    return await tx.fetchval(
        q.insert_certificate,
        *whose,
        facts.serial,
        facts.issuer,
        facts.subject,
        held.certificate,
        held.chain,
        klass,
        facts.mechanism,
        holder,
        held.credential_id,
        owner_sealed,
        image_png,
        facts.valid_from,
        facts.valid_to,
        at,
    )


async def unbind_certificate(
    tx: Tx, certificate_id: UUID, person_id: UUID | None, agency_id: UUID | None, at: datetime
) -> str | None:
    """End a binding; return its serial, or None where there was none."""
    return await tx.fetchval(q.unbind_certificate, certificate_id, person_id, agency_id, at)
