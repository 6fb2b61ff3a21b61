"""Accounts as a local administrator sees them, and the two blocks that one person alone may set."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from api.audit import append
from api.db.pools import Tx
from api.errors import Forbidden, NotFound
from api.http.auth import service as sessions
from api.kernel import Actor
from api.people import store
from api.people.contract import AccountPage, Blocked, CertificateLine, LostFactors
from api.people.rows import SubjectAccount
from api.people.rules import Voter
from api.signatures import losing

NOWHERE: Final = UUID(int=0)


async def voter_of(tx: Tx, actor: Actor, at: datetime) -> Voter:
    """Return the actor as the rules of people know them.

    Raises:
        Forbidden: the post no longer stands.
    """
    voter = await store.voter(tx, actor.account_id, actor.post_id, at)
    if voter is None:
        raise Forbidden("Hiện không giữ chức danh này.", "You do not hold this post.", code="not-your-post")
    return voter


async def administered(tx: Tx, actor: Actor, account_id: UUID, at: datetime) -> SubjectAccount:
    """Return an account that the actor is the administrator of.

    Raises:
        NotFound: there is none, or it is another agency's to look after.
    """
    subject = await store.subject_account(tx, account_id)
    if subject is None or not (await voter_of(tx, actor, at)).administers(subject.agency_id):
        raise NotFound("Không tìm thấy tài khoản.", "There is no such account.", code="account-not-found")
    return subject


async def page(tx: Tx, actor: Actor, after: str | None, limit: int, at: datetime) -> AccountPage:
    """List the accounts that the actor's agency looks after; those of the whole province for its administrators."""
    voter = await voter_of(tx, actor, at)
    rows = await store.account_page(
        tx, None if voter.of_province else voter.agency_id, at, (after or "").lower(), limit + 1
    )
    return AccountPage(items=rows[:limit], next=rows[limit - 1].login if len(rows) > limit else None)


async def certificates(tx: Tx, actor: Actor, before: UUID | None, limit: int, at: datetime) -> list[CertificateLine]:
    """List the own certificates, and those of the people and the organisation that the actor is in charge of."""
    voter = await voter_of(tx, actor, at)
    agency_id = voter.agency_id if voter.in_charge else NOWHERE
    return await store.certificates(tx, actor.account_id, agency_id, before, limit, province=voter.of_province)


async def block(
    tx: Tx, actor: Actor, account_id: UUID, what: Literal["account", "factors"], reason: str, at: datetime
) -> Blocked:
    """Block an account or its factors: its sessions end, what it asked and nobody signed returns to the list.

    Who reports the own loss keeps the session in use, to look through what was signed.
    """
    block_id = await store.insert_block(tx, account_id, what, reason, actor.account_id)
    kept = actor.session_id if account_id == actor.account_id else None
    ended = await sessions.end_sessions(tx, account_id, kept, at)
    stopped = await losing.stop_asked(tx, account_id, block_id)
    await append(
        tx,
        actor,
        process="api",
        action="account.lock" if what == "account" else "factor.lost",
        subject_kind="account",
        subject_id=account_id,
        detail={"block_id": block_id, "sessions_ended": ended, "requests_stopped": len(stopped)},
        at=at,
    )
    return Blocked(account_id=account_id, what=what, sessions_ended=ended, stopped_requests=stopped)


async def lose_factors(
    tx: Tx, actor: Actor, account_id: UUID, reason: str, since: datetime, at: datetime
) -> LostFactors:
    """Report a telephone or key as lost, and list all that was signed since the given minute."""
    blocked = await block(tx, actor, account_id, "factors", reason, at)
    minute = since.replace(second=0, microsecond=0)
    return LostFactors(
        account_id=blocked.account_id,
        what=blocked.what,
        sessions_ended=blocked.sessions_ended,
        stopped_requests=blocked.stopped_requests,
        signed=await losing.signed_since(tx, account_id, minute),
    )
