"""The session endpoints: log in, who am I, switch post, change the password, log out; and all of one's own sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post, put

from api.http.auth import service
from api.http.auth.contract import ChangePassword, LogIn, Opened, OwnSession, SwitchPost, WhoAmI
from api.http.auth.guards import NO_KEY, PUBLIC, RESTRICTED, signed_in
from api.http.auth.tokens import cookie_for
from api.http.control import IN_READ_ONLY
from api.http.edge import edge_of, source_of
from api.http.openapi.answers import REFUSES
from api.kernel import Actor

_KEYLESS: dict[str, Any] = {NO_KEY: True}


class SessionController(Controller):
    """Phiên làm việc của công chức / sessions of officials."""

    path = "/session"
    tags: Sequence[str] | None = ("session",)

    @post(
        "/",
        opt={PUBLIC: True, IN_READ_ONLY: True, NO_KEY: True, "work": "login", REFUSES: (401, 403, 409)},
        summary="Đăng nhập / Log in",
    )
    async def log_in(self, request: Request[Any, Any, Any], data: LogIn, at: datetime) -> Response[Opened]:
        """Open a session: the token comes once, as `token` for `Authorization: Bearer` and as a cookie."""
        edge, agent = edge_of(request), request.headers.get("user-agent")
        opened = await service.log_in(edge, data, source=source_of(request), user_agent=agent, at=at)
        return Response(opened, cookies=[cookie_for(opened.token, edge.sessions)])

    @get("/", guards=[signed_in], opt={RESTRICTED: True}, summary="Tôi là ai / Who am I")
    async def who_am_i(self, request: Request[Any, Any, Any], actor: Actor, at: datetime) -> WhoAmI:
        """Return the account, the post in use, the other posts held, and what this post may do."""
        edge = edge_of(request)
        async with edge.pools.reading() as tx:
            return await service.who_am_i(edge, tx, actor, request.scope["state"]["session_expires_at"], at)

    @put("/", guards=[signed_in], opt=_KEYLESS, summary="Đổi chức danh đang dùng / Switch post")
    async def switch(self, request: Request[Any, Any, Any], data: SwitchPost, actor: Actor, at: datetime) -> WhoAmI:
        """Act in another of one's posts from now on."""
        edge = edge_of(request)
        async with edge.pools.transaction() as tx:
            switched = await service.switch(tx, actor, data.post_id, at)
            return await service.who_am_i(edge, tx, switched, request.scope["state"]["session_expires_at"], at)

    @put(
        "/password",
        guards=[signed_in],
        opt={NO_KEY: True, RESTRICTED: True, "work": "login"},
        status_code=204,
        summary="Đổi mật khẩu / Change the password",
    )
    async def change_password(
        self, request: Request[Any, Any, Any], data: ChangePassword, actor: Actor, at: datetime
    ) -> None:
        """Replace the own password; every other session of the account ends."""
        await service.change_password(edge_of(request), actor, data, at)

    @delete(
        "/", guards=[signed_in], opt={IN_READ_ONLY: True, RESTRICTED: True, **_KEYLESS}, summary="Đăng xuất / Log out"
    )
    async def log_out(self, request: Request[Any, Any, Any], actor: Actor, at: datetime) -> Response[None]:
        """End the session."""
        edge = edge_of(request)
        async with edge.pools.transaction() as tx:
            await service.log_out(tx, actor, at)
        return Response(None, status_code=204, cookies=[cookie_for("", edge.sessions)])


class OwnSessionsController(Controller):
    """Mọi phiên đang mở của chính mình / all of one's own open sessions."""

    path = "/sessions"
    tags: Sequence[str] | None = ("session",)

    @get("/", guards=[signed_in], summary="Các phiên đang mở của tôi / My open sessions")
    async def own(self, request: Request[Any, Any, Any], actor: Actor, at: datetime) -> list[OwnSession]:
        """List where one is logged in, the last used first, 100 at most; tokens are never shown again."""
        edge = edge_of(request)
        async with edge.pools.reading() as tx:
            return await service.own_sessions(edge, tx, actor, at)

    @delete(
        "/{session_id:uuid}",
        guards=[signed_in],
        opt={IN_READ_ONLY: True, **_KEYLESS},
        summary="Kết thúc một phiên của tôi / End one of my sessions",
    )
    async def end(self, request: Request[Any, Any, Any], session_id: UUID, actor: Actor, at: datetime) -> None:
        """End one of one's own sessions, also the one that asks; whoever holds its token is out at the next request."""
        async with edge_of(request).pools.transaction() as tx:
            await service.end_own(tx, actor, session_id, at)
