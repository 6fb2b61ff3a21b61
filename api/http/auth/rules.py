"""Pure rules: when a session has ended, and how long somebody who guessed wrong must wait."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from api.errors import Forbidden, MotcuaError, Unauthenticated
from api.kernel import AccountId, AgencyId, PersonId, PostId


class SessionRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long a session lives (seconds), and whether its cookie may travel over TLS only."""

    idle_s: int = 8 * 3600
    absolute_s: int = 16 * 3600
    secure_cookie: bool = True

    @property
    def cookie(self) -> str:
        """Return the cookie's name; `__Host-` makes browsers insist on TLS, on this host and on path `/`."""
        return "__Host-motcua" if self.secure_cookie else "motcua"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session as one statement finds it; `entitled` is whether account and post still stand."""

    token_sha256: bytes
    id: UUID
    account_id: AccountId
    person_id: PersonId
    post_id: PostId
    agency_id: AgencyId
    roles: frozenset[str]
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    restricted: bool
    entitled: bool


TOUCH_AFTER: Final = timedelta(minutes=1)
"""`seen_at` is written at most this often, so that reading stays reading."""


def fault_of(session: Session | None, rules: SessionRules, at: datetime) -> MotcuaError | None:
    """Return why a session gives no access at this instant, or None if it does."""
    if session is None or session.ended_at is not None:
        return Unauthenticated("Bạn chưa đăng nhập.", "You are not logged in.", code="no-session")
    if at >= session.expires_at or at - session.seen_at >= timedelta(seconds=rules.idle_s):
        return Unauthenticated(
            "Phiên làm việc đã hết hạn; hãy đăng nhập lại.",
            "Your session has expired; log in again.",
            code="session-expired",
        )
    if not session.entitled:
        return Forbidden(
            "Tài khoản đã bị khóa hoặc không còn giữ chức danh này.",
            "The account is locked or no longer holds this post.",
            code="not-entitled",
            next_step=("Liên hệ quản trị tài khoản của cơ quan.", "Ask your agency's account administrator."),
        )
    return None


ONE_TIME_PASSWORD: Final = timedelta(hours=24)
"""How long a password that an administrator gave is good for its one log-in."""


def must_change_password() -> Forbidden:
    """Return the refusal of everything but changing a one-time password."""
    return Forbidden(
        "Mật khẩu này chỉ dùng một lần; hãy đặt mật khẩu của riêng bạn trước.",
        "This is a one-time password; set one of your own first.",
        code="password-change-required",
        next_step=("Đổi mật khẩu tại PUT /session/password.", "Change the password at PUT /session/password."),
    )


def one_time_password_expired() -> Forbidden:
    """Return the refusal of a one-time password that is too old; said only after it was right."""
    return Forbidden(
        "Mật khẩu dùng một lần đã hết hạn.",
        "The one-time password has expired.",
        code="one-time-password-expired",
        next_step=(
            "Nhờ quản trị tài khoản của cơ quan đặt lại.",
            "Ask your agency's account administrator to reset it.",
        ),
    )


FREE_FAILURES: Final = 5
LONGEST_WAIT: Final = timedelta(minutes=15)
COUNTED_WITHIN: Final = timedelta(hours=1)
"""Failures older than this are forgotten."""


def wait_after(failures: int, last_failure: datetime | None, at: datetime) -> timedelta:
    """Return how long this account from this source must still wait: at first nothing, then 1, 2, 4 … 15 min.

    Counting is by account and source together, so nobody locks a chairman out from outside, and a ward behind one
    address is not locked as a whole.
    """
    if failures < FREE_FAILURES or last_failure is None:
        return timedelta()
    lock = min(timedelta(minutes=2 ** min(failures - FREE_FAILURES, 10)), LONGEST_WAIT)
    return max(last_failure + lock - at, timedelta())


STRANGERS_FREE: Final = 20
STRANGERS_PAUSE: Final = timedelta(minutes=1)
KNOWN_FOR: Final = timedelta(days=30)
"""A source from which somebody logged in to an account within this time is no stranger to it."""


def wait_of_stranger(failures: int, last_failure: datetime | None, at: datetime) -> timedelta:
    """Return how long a source that is unknown to an account must wait: guesses from many sources share one budget.

    After 20 failures within the hour they get one try a minute together. Nobody is locked out: where the owner has
    logged in within the last month, the door is as open as ever.
    """
    if failures < STRANGERS_FREE or last_failure is None:
        return timedelta()
    return max(last_failure + STRANGERS_PAUSE - at, timedelta())


def slowed_down(wait: timedelta) -> Unauthenticated:
    """Return the refusal of a source that shares the strangers' budget; it is the same for an unknown account."""
    seconds = int(wait.total_seconds()) + 1
    return Unauthenticated(
        f"Tài khoản này đang bị thử mật khẩu từ nhiều nơi; hãy thử lại sau {seconds} giây.",
        f"This account's password is being guessed from many places; try again in {seconds} seconds.",
        code="slowed-down",
        next_step=(
            "Đăng nhập từ máy thường dùng, nơi không phải chờ, hoặc chờ rồi thử lại.",
            "Log in from your usual machine, where there is no wait, or wait and try again.",
        ),
        retry_after_s=seconds,
    )


def locked_out(wait: timedelta) -> Unauthenticated:
    """Return the refusal that says how long to wait and whom to ask; it is the same for an unknown account."""
    seconds = int(wait.total_seconds()) + 1
    minutes = -(-seconds // 60)
    return Unauthenticated(
        f"Sai tên đăng nhập hoặc mật khẩu nhiều lần từ máy này; hãy chờ {minutes} phút rồi thử lại.",
        f"Too many wrong log-ins from this machine; wait {minutes} minutes and try again.",
        code="locked-out",
        next_step=(
            "Chờ hết thời gian rồi thử lại, hoặc nhờ quản trị tài khoản của cơ quan đặt lại mật khẩu."
            " Tài khoản vẫn đăng nhập được từ máy khác.",
            "Wait and try again, or ask your agency's account administrator to reset the password."
            " The account still works from other machines.",
        ),
        retry_after_s=seconds,
    )


def wrong_login() -> Unauthenticated:
    """Return the one refusal for unknown account, wrong password and closed account alike."""
    return Unauthenticated(
        "Tên đăng nhập hoặc mật khẩu không đúng.",
        "The account or the password is wrong.",
        code="wrong-login",
        next_step=(
            "Kiểm tra bộ gõ và phím Caps Lock rồi thử lại.",
            "Check the keyboard layout and Caps Lock, then try again.",
        ),
    )
