"""Apply a change that two persons agreed to: one function per kind, in the caller's transaction."""

from datetime import datetime
from typing import assert_never
from uuid import UUID

from api.db.pools import Tx
from api.errors import Conflict, Invalid, NotFound
from api.jobs.queue import enqueue
from api.kernel import AgencyId, PersonId, PostId, new_id
from api.people import changes as c
from api.people import store as people
from api.people.engine import binding, enrolling, store
from api.people.rows import SubjectAccount
from api.registry import authority
from api.registry.authority import BASIS_OF, Mandate
from api.signatures.engine.context import STOP, Engine


async def apply(
    engine: Engine, tx: Tx, proposal_id: UUID, change: c.Change, looked: binding.LookedAt, at: datetime
) -> UUID | None:
    """Apply one change; return the id of what was made, if anything was. `looked` is what a binding rests on.

    Raises:
        Conflict: the log-in is taken, the certificate bound before, or what should end has ended.
        NotFound: there is no such account.
        Invalid: the right to sign would be unlawful, or the new factor or certificate does not verify.
    """
    match change:
        case c.OpenAccount():
            return await _open_account(engine, tx, change, at)
        case c.BindSeal():
            return await binding.bind(engine, tx, proposal_id, change, None, looked, at)
        case c.UnbindSeal():
            _demand(await binding.unbind(tx, proposal_id, change.certificate_id, None, change.agency_id, at))
            return change.certificate_id
        case _:
            return await _to_account(engine, tx, proposal_id, change, looked, at)


async def _to_account(
    engine: Engine, tx: Tx, proposal_id: UUID, change: c.OfAccount, looked: binding.LookedAt, at: datetime
) -> UUID:
    subject = await people.subject_account(tx, change.account_id)
    if subject is None:
        raise NotFound("Không tìm thấy tài khoản.", "There is no such account.", code="account-not-found")
    match change:
        case c.UnlockAccount():
            await store.lift_blocks(tx, subject.account_id, at)
            _demand(await store.set_state(tx, subject.account_id, "active"))
        case c.CloseAccount():
            _demand(await store.set_state(tx, subject.account_id, "closed"))
            await enqueue(tx, STOP, f"closed:{subject.account_id}", {"account": str(subject.account_id)})
        case c.GivePost():
            return await store.give_post(tx, subject.person_id, change.post, change.legal_basis, at)
        case c.EndPost():
            _demand(await store.end_holding(tx, subject.person_id, change.post_id, at))
        case c.EnrolFactor():
            return await enrolling.offer(engine, tx, proposal_id, change, at)
        case c.GiveMandate():
            return await _give_mandate(tx, change, subject, at)
        case c.RevokeMandate():
            _demand(await store.revoke_mandate(tx, change.mandate_id, subject.person_id, at))
        case c.BindCertificate():
            return await binding.bind(engine, tx, proposal_id, change, subject.person_id, looked, at)
        case c.UnbindCertificate():
            _demand(await binding.unbind(tx, proposal_id, change.certificate_id, subject.person_id, None, at))
        case _:
            assert_never(change)
    return subject.account_id


def _demand(done: bool) -> None:
    if not done:
        raise Conflict("Không còn gì để thay đổi.", "There is nothing left to change.", code="nothing-to-change")


async def _open_account(engine: Engine, tx: Tx, change: c.OpenAccount, at: datetime) -> UUID:
    if await store.login_taken(tx, change.login):
        raise Conflict("Tên đăng nhập đã có người dùng.", "The log-in is taken.", code="login-taken")
    vault, number = engine.personal, change.id_number
    person_id = await store.insert_person(tx, change.display_name)
    sealed = (
        vault.seal("person.name", change.display_name),
        vault.fingerprint("person.name", change.display_name),
        vault.seal("person.id_number", number) if number else None,
        vault.fingerprint("person.id_number", number) if number else None,
    )
    await store.insert_private(tx, person_id, vault.current, sealed)
    await store.give_post(tx, person_id, change.post, change.legal_basis, at)
    return await store.insert_account(tx, person_id, change.agency_id, change.login)


async def _give_mandate(tx: Tx, change: c.GiveMandate, subject: SubjectAccount, at: datetime) -> UUID:
    agency_id = await store.holds_post(tx, subject.person_id, change.post_id, at)
    if agency_id is None:
        raise Conflict("Người này không giữ chức danh đó.", "The person does not hold that post.", code="post-not-held")
    row = Mandate(
        id=new_id(at),
        kind=BASIS_OF[change.capacity],
        capacity=change.capacity,
        person_id=PersonId(subject.person_id),
        post_id=PostId(change.post_id),
        agency_id=AgencyId(agency_id),
        acts=change.acts,
        procedure_codes=change.procedure_codes,
        title_lines=change.title_lines,
        legal_basis=change.legal_basis,
        valid_from=change.valid_from,
        valid_to=change.valid_to,
        revoked_at=None,
    )
    faults = authority.faults(row)
    if faults or (row.valid_to is not None and row.valid_to <= row.valid_from):
        found = "; ".join(faults) or "thời hạn kết thúc trước khi bắt đầu"
        raise Invalid(f"Quyền ký không hợp lệ: {found}.", f"The right to sign is unlawful: {found}.", code="mandate")
    await store.insert_mandate(tx, row)
    return row.id
