"""What the session endpoints take and answer."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

Login = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=100, description="Tên đăng nhập / log-in name", examples=["canbo.tiepnhan"]),
]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
NewPassword = Annotated[
    str, msgspec.Meta(min_length=12, max_length=256, description="Ít nhất 12 ký tự / at least 12 characters")
]


class LogIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Log in (đăng nhập); `post_id` chooses the post when the person holds several."""

    login: Login
    password: Password
    post_id: UUID | None = None


class SwitchPost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Act in another of one's posts (đổi chức danh đang dùng)."""

    post_id: UUID


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Change the own password; every other session of the account ends."""

    current: Password
    new: NewPassword


class HeldPost(msgspec.Struct, frozen=True, kw_only=True):
    """A post (chức danh) that the person holds now."""

    post_id: UUID
    title: str
    unit: str | None
    rank: str
    roles: tuple[str, ...]
    agency_id: UUID
    agency_code: str
    agency_name: str


class ChangeOfMine(msgspec.Struct, frozen=True, kw_only=True):
    """What two other persons changed about the own account: the kind, when, and the proposal that tells all of it."""

    proposal_id: UUID
    kind: str
    decided_at: datetime


class WhoAmI(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in, in which post, and until when."""

    account_id: UUID
    person_id: UUID
    login: str
    display_name: str | None
    post_id: UUID
    posts: tuple[HeldPost, ...]
    actions: tuple[str, ...]
    changes: tuple[ChangeOfMine, ...]
    """Of the last 30 days, the latest first: who did not expect one reports it at once."""
    expires_at: datetime
    idle_s: int


class OwnSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session of one's own that is open: where from, since when, and whether it is the one that asks."""

    session_id: UUID
    this: bool
    title: str
    """The post in which it acts."""
    began_at: datetime
    seen_at: datetime
    """Its last use, to the minute."""
    expires_at: datetime
    source: str | None
    """The address from which it was opened."""
    user_agent: str | None
    """What the browser called itself then; anybody can write anything there."""


class Opened(WhoAmI, frozen=True, kw_only=True):
    """A new session; `token` is shown this once (`Authorization: Bearer …`), browsers get it as a cookie too."""

    token: str
