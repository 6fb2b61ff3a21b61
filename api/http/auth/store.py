"""One function per statement of `queries.sql`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from api.http.auth.contract import ChangeOfMine, HeldPost, OwnSession
from api.http.auth.rules import COUNTED_WITHIN, KNOWN_FOR, Session
from api.kernel import AccountId, PersonId, vn_day

_q = queries.load("api.http.auth")


class LoginRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account at the door."""

    account_id: AccountId
    person_id: PersonId
    state: str
    argon2: str | None
    one_time_until: datetime | None


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """How an account is called."""

    login: str
    display_name: str | None


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """How often an account failed from one source since its last success there."""

    failures: int
    last_failure: datetime | None


class Strangers(Failures, frozen=True, kw_only=True):
    """How often unknown sources together failed at an account, and whether this source is unknown."""

    stranger: bool


async def find_sessions(tx: Tx, tokens_sha256: Sequence[bytes], at: datetime) -> dict[bytes, Session]:
    """Find sessions by the hashes of their tokens."""
    found = as_structs(await tx.fetch(_q.find_sessions, tokens_sha256, at, vn_day(at)), Session)
    return {session.token_sha256: session for session in found}


async def touch_session(tx: Tx, session_id: UUID, at: datetime) -> None:
    """Note that a session is in use."""
    await tx.execute(_q.touch_session, session_id, at)


async def insert_session(
    tx: Tx,
    *,
    token_sha256: bytes,
    key_id: str,
    account_id: UUID,
    post_id: UUID,
    at: datetime,
    expires_at: datetime,
    source: str | None,
    user_agent: str | None,
    restricted: bool,
) -> UUID:
    """Open a session and return its id."""
    row = (token_sha256, account_id, post_id, at, expires_at, source, user_agent, key_id, restricted)
    return await tx.fetchval(_q.insert_session, *row)


async def end_session(tx: Tx, session_id: UUID, at: datetime) -> None:
    """End one session."""
    await tx.execute(_q.end_session, session_id, at)


async def list_sessions(tx: Tx, account_id: UUID, this: UUID, at: datetime, used_since: datetime) -> list[OwnSession]:
    """List the sessions of an account that are open at this instant and were used since the other."""
    return as_structs(await tx.fetch(_q.list_sessions, account_id, this, at, used_since), OwnSession)


async def end_own_session(tx: Tx, session_id: UUID, account_id: UUID, at: datetime) -> bool:
    """End one session of an account; False where it has none of this id that is open."""
    return await tx.fetchval(_q.end_own_session, session_id, account_id, at) is not None


async def end_other_sessions(tx: Tx, account_id: UUID, kept: UUID | None, at: datetime) -> int:
    """End every session of an account but one; return how many."""
    return len(await tx.fetch(_q.end_other_sessions, account_id, kept, at))


async def free_session(tx: Tx, session_id: UUID) -> None:
    """Let a session do what its post may."""
    await tx.execute(_q.free_session, session_id)


async def switch_post(tx: Tx, session_id: UUID, post_id: UUID) -> None:
    """Act in another post from now on."""
    await tx.execute(_q.switch_post, session_id, post_id)


async def lock_attempts(tx: Tx, fingerprints: Sequence[bytes], source: str | None) -> None:
    """Queue behind other attempts of this account from this source, until the transaction ends."""
    await tx.execute(_q.lock_attempts, [f"{one.hex()} {source}" for one in fingerprints])


async def count_failures(tx: Tx, fingerprints: Sequence[bytes], source: str | None, at: datetime) -> Failures:
    """Count the failures since the last success, whichever key they were counted under."""
    row = await tx.fetchrow(_q.count_failures, fingerprints, source, at - COUNTED_WITHIN)
    return msgspec.convert(dict(row or {}), Failures)


async def count_strangers(tx: Tx, login_fingerprints: Sequence[bytes], source: str | None, at: datetime) -> Strangers:
    """Count what sources failed at an account that are not known for it."""
    row = await tx.fetchrow(_q.count_strangers, list(login_fingerprints), source, at - COUNTED_WITHIN, at - KNOWN_FOR)
    return msgspec.convert(dict(row or {}), Strangers)


async def insert_attempt(tx: Tx, login_fingerprint: bytes, source: str | None, at: datetime, *, ok: bool) -> None:
    """Count an attempt."""
    await tx.execute(_q.insert_attempt, login_fingerprint, source, ok, at)


async def find_login(tx: Tx, login: str) -> LoginRow | None:
    """Find an account by its log-in."""
    return as_struct(await tx.fetchrow(_q.find_login, login), LoginRow)


async def find_password(tx: Tx, account_id: UUID) -> str | None:
    """Find the password hash of an account."""
    found: Any = await tx.fetchval(_q.find_password, account_id)
    return found


async def save_password(
    tx: Tx, account_id: UUID, argon2: str, at: datetime, *, one_time_until: datetime | None = None
) -> None:
    """Keep a new password hash, of a one-time password until the given instant."""
    await tx.execute(_q.save_password, account_id, argon2, at, one_time_until)


async def list_changes(tx: Tx, account_id: UUID, since: datetime) -> list[ChangeOfMine]:
    """List what two others changed about an account."""
    return as_structs(await tx.fetch(_q.list_changes, account_id, since), ChangeOfMine)


async def list_posts(tx: Tx, person_id: UUID, at: datetime) -> list[HeldPost]:
    """List the posts a person holds at this instant."""
    return as_structs(await tx.fetch(_q.list_posts, person_id, at, vn_day(at)), HeldPost)


async def find_account(tx: Tx, account_id: UUID) -> AccountRow | None:
    """Find how an account is called."""
    return as_struct(await tx.fetchrow(_q.find_account, account_id), AccountRow)
