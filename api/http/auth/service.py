"""Log in, look, switch post, change the password, log out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Tx
from api.errors import Conflict, Forbidden, NotFound, Unauthenticated
from api.http.auth import choosing, store
from api.http.auth.contract import ChangePassword, HeldPost, LogIn, Opened, OwnSession, WhoAmI
from api.http.auth.passwords import is_outdated
from api.http.auth.rules import (
    ONE_TIME_PASSWORD,
    locked_out,
    one_time_password_expired,
    slowed_down,
    wait_after,
    wait_of_stranger,
    wrong_login,
)
from api.http.edge import Edge
from api.kernel import Actor, PostId

_STRANGERS: Final = "strangers"
_TOLD_FOR: Final = timedelta(days=30)
_USER_AGENT_LIMIT: Final = 200


async def log_in(edge: Edge, asked: LogIn, *, source: str | None, user_agent: str | None, at: datetime) -> Opened:
    """Check the password and open a session; the same work and the same words whether or not the account exists.

    Raises:
        Unauthenticated: wrong log-in, or too many of them from this source.
        Forbidden: the account is locked, or holds no post today (said only after a right password).
        Conflict: the person holds several posts and must choose; `posts` lists them.
        Busy: the queue of password hashing is full.
    """
    login = asked.login.strip().lower()
    fingerprint, known = edge.vault.fingerprint("login", login), edge.vault.fingerprints("login", login)
    async with edge.pools.transaction() as tx:
        await store.lock_attempts(tx, known, source)
        past = await store.count_failures(tx, known, source, at)
        wait = wait_after(past.failures, past.last_failure, at)
        if wait:
            raise locked_out(wait)
        await _require_turn(tx, known, source, at)
        await store.insert_attempt(tx, fingerprint, source, at, ok=False)
        account = await store.find_login(tx, login)
    right = await edge.passwords.check(account.argon2 if account else None, asked.password)
    if not right or account is None or account.state == "closed":
        raise wrong_login()
    if account.one_time_until is not None and at >= account.one_time_until:
        raise one_time_password_expired()
    outdated = account.argon2 is not None and is_outdated(account.argon2)
    renewed = await edge.passwords.hash(asked.password) if outdated else None
    async with edge.pools.transaction() as tx:
        await store.insert_attempt(tx, fingerprint, source, at, ok=True)
        if renewed is not None:
            await store.save_password(tx, account.account_id, renewed, at, one_time_until=account.one_time_until)
        held = await store.list_posts(tx, account.person_id, at)
    post = _choose(account, held, asked.post_id)
    async with edge.pools.transaction() as tx:
        return await _open(edge, tx, account, post, held, source=source, user_agent=user_agent, at=at)


async def _require_turn(tx: Tx, known: Sequence[bytes], source: str | None, at: datetime) -> None:
    """Let sources that are unknown to an account try one after the other, by the budget they share."""
    if not (await store.count_strangers(tx, known, source, at)).stranger:
        return
    await store.lock_attempts(tx, known, _STRANGERS)
    together = await store.count_strangers(tx, known, source, at)
    if wait := wait_of_stranger(together.failures, together.last_failure, at):
        raise slowed_down(wait)


def _choose(account: store.LoginRow, held: list[HeldPost], wanted: UUID | None) -> HeldPost:
    if account.state == "locked":
        raise Forbidden(
            "Tài khoản đang bị khóa.",
            "The account is locked.",
            code="account-locked",
            next_step=("Liên hệ quản trị tài khoản của cơ quan.", "Ask your agency's account administrator."),
        )
    if not held:
        raise Forbidden(
            "Hiện không giữ chức danh nào.",
            "You hold no post at present.",
            code="no-post",
            next_step=("Liên hệ quản trị tài khoản của cơ quan.", "Ask your agency's account administrator."),
        )
    if wanted is None and len(held) > 1:
        raise Conflict(
            "Bạn giữ nhiều chức danh; hãy chọn một để làm việc.",
            "You hold several posts; choose the one to work in.",
            code="choose-post",
            next_step=("Gửi lại kèm post_id đã chọn.", "Send again with the chosen post_id."),
            posts=[msgspec.to_builtins(post) for post in held],
        )
    return held[0] if wanted is None else _held(held, wanted)


def _held(held: list[HeldPost], wanted: UUID) -> HeldPost:
    post = next((post for post in held if post.post_id == wanted), None)
    if post is None:
        raise Forbidden("Bạn không giữ chức danh này.", "You do not hold this post.", code="not-your-post")
    return post


async def _open(
    edge: Edge,
    tx: Tx,
    account: store.LoginRow,
    post: HeldPost,
    held: list[HeldPost],
    *,
    source: str | None,
    user_agent: str | None,
    at: datetime,
) -> Opened:
    token = edge.tokens.new()
    session_id = await store.insert_session(
        tx,
        token_sha256=edge.tokens.digest(token) or b"",
        key_id=edge.tokens.current,
        account_id=account.account_id,
        post_id=post.post_id,
        at=at,
        expires_at=at + timedelta(seconds=edge.sessions.absolute_s),
        source=source,
        user_agent=(user_agent or "")[:_USER_AGENT_LIMIT] or None,
        restricted=account.one_time_until is not None,
    )
    actor = Actor(
        account_id=account.account_id,
        person_id=account.person_id,
        post_id=PostId(post.post_id),
        agency_id=post.agency_id,  # pyright: ignore[reportArgumentType] - the wire type is a plain UUID
        roles=frozenset(post.roles),
        session_id=session_id,
    )
    await _note(tx, actor, "session.open", at, source=source)
    me = await _describe(edge, tx, actor, held, at + timedelta(seconds=edge.sessions.absolute_s), at)
    return Opened(**{name: getattr(me, name) for name in WhoAmI.__struct_fields__}, token=token)


async def who_am_i(edge: Edge, tx: Tx, actor: Actor, expires_at: datetime, at: datetime) -> WhoAmI:
    """Return the actor as a person reads it, with the posts to switch to."""
    return await _describe(edge, tx, actor, await store.list_posts(tx, actor.person_id, at), expires_at, at)


async def _describe(
    edge: Edge, tx: Tx, actor: Actor, held: list[HeldPost], expires_at: datetime, at: datetime
) -> WhoAmI:
    account = await store.find_account(tx, actor.account_id)
    if account is None:
        raise Unauthenticated("Bạn chưa đăng nhập.", "You are not logged in.", code="no-session")
    return WhoAmI(
        account_id=actor.account_id,
        person_id=actor.person_id,
        login=account.login,
        display_name=account.display_name,
        post_id=actor.post_id,
        posts=tuple(held),
        actions=tuple(sorted(action for action in edge.authority.ACTIONS if edge.authority.may(actor, action))),
        changes=tuple(await store.list_changes(tx, actor.account_id, at - _TOLD_FOR)),
        expires_at=expires_at,
        idle_s=edge.sessions.idle_s,
    )


async def switch(tx: Tx, actor: Actor, post_id: UUID, at: datetime) -> Actor:
    """Act in another of one's posts from now on.

    Raises:
        Forbidden: the person does not hold that post now.
    """
    post = _held(await store.list_posts(tx, actor.person_id, at), post_id)
    await store.switch_post(tx, _session(actor), post_id)
    switched = msgspec.structs.replace(
        actor, post_id=post.post_id, agency_id=post.agency_id, roles=frozenset(post.roles)
    )
    await _note(tx, switched, "session.switch_post", at)
    return switched


async def log_out(tx: Tx, actor: Actor, at: datetime) -> None:
    """End the actor's session."""
    await store.end_session(tx, _session(actor), at)
    await _note(tx, actor, "session.end", at)


async def own_sessions(edge: Edge, tx: Tx, actor: Actor, at: datetime) -> list[OwnSession]:
    """List the actor's own open sessions, the last used first."""
    used_since = at - timedelta(seconds=edge.sessions.idle_s)
    return await store.list_sessions(tx, actor.account_id, _session(actor), at, used_since)


async def end_own(tx: Tx, actor: Actor, session_id: UUID, at: datetime) -> None:
    """End one of the actor's own sessions, such as one left open on another machine.

    Raises:
        NotFound: the actor has no open session of this id.
    """
    if not await store.end_own_session(tx, session_id, actor.account_id, at):
        raise NotFound(
            "Bạn không có phiên nào như vậy đang mở.", "You have no such open session.", code="no-such-session"
        )
    await _note(tx, actor, "session.end_one", at, session_id=session_id)


async def change_password(edge: Edge, actor: Actor, asked: ChangePassword, at: datetime) -> None:
    """Replace the own password; every other session of the account ends.

    Raises:
        Unauthenticated: the current password is wrong, or was wrong too often from this session.
        Invalid: the new password is too common, too plain, the account's own name, or the old one.
        Busy: the queue of password hashing is full.
    """
    own = f"session {_session(actor)}"
    attempts, known = edge.vault.fingerprint("login", own), edge.vault.fingerprints("login", own)
    async with edge.pools.transaction() as tx:
        await store.lock_attempts(tx, known, None)
        past = await store.count_failures(tx, known, None, at)
        wait = wait_after(past.failures, past.last_failure, at)
        if wait:
            raise locked_out(wait)
        await store.insert_attempt(tx, attempts, None, at, ok=False)
        current = await store.find_password(tx, actor.account_id)
        account = await store.find_account(tx, actor.account_id)
    if not await edge.passwords.check(current, asked.current):
        raise Unauthenticated("Mật khẩu hiện tại không đúng.", "The current password is wrong.", code="wrong-password")
    names = (account.login, account.display_name or "") if account else ()
    choosing.demand_good(asked.new, old=asked.current, names=names)
    argon2 = await edge.passwords.hash(asked.new)
    async with edge.pools.transaction() as tx:
        await store.insert_attempt(tx, attempts, None, at, ok=True)
        await store.save_password(tx, actor.account_id, argon2, at)
        await store.end_other_sessions(tx, actor.account_id, _session(actor), at)
        await store.free_session(tx, _session(actor))
        await _note(tx, actor, "password.change", at)


async def reset_password(edge: Edge, actor: Actor, account_id: UUID, at: datetime) -> str:
    """Give an account a one-time password, returned this once; every session of the account ends.

    Whose account it may be is the caller's to check. A password alone signs nothing.

    Raises:
        Busy: the queue of password hashing is full.
    """
    password = choosing.one_time_password()
    argon2 = await edge.passwords.hash(password)
    async with edge.pools.transaction() as tx:
        await store.save_password(tx, account_id, argon2, at, one_time_until=at + ONE_TIME_PASSWORD)
        ended = await store.end_other_sessions(tx, account_id, None, at)
        await audit.append(
            tx,
            actor,
            process="api",
            action="password.reset",
            subject_kind="account",
            subject_id=account_id,
            detail={"sessions_ended": ended},
            at=at,
        )
    return password


async def end_sessions(tx: Tx, account_id: UUID, kept: UUID | None, at: datetime) -> int:
    """End every session of an account but one, or every one; return how many."""
    return await store.end_other_sessions(tx, account_id, kept, at)


def _session(actor: Actor) -> UUID:
    if actor.session_id is None:
        raise AssertionError("an actor of the edge has a session")
    return actor.session_id


async def _note(
    tx: Tx, actor: Actor, action: str, at: datetime, *, source: str | None = None, session_id: UUID | None = None
) -> None:
    await audit.append(
        tx,
        actor,
        process="api",
        action=action,
        subject_kind="account",
        subject_id=actor.account_id,
        detail={"session_id": session_id or _session(actor)},
        at=at,
        source=source,
    )
