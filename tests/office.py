"""A small office for tests of the edge: one agency, some people with posts and passwords, and the real app on top."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
from litestar import Litestar

from api.app import create_app
from api.http.auth.passwords import hash_now
from api.kernel import sort_key
from api.settings import Address, Settings

MORNING = datetime(2026, 7, 1, 1, 0, tzinfo=UTC)
"""08:00 in Vietnam on a working day."""

PASSWORD = "mot-cua-2026!"
ARGON2 = hash_now(PASSWORD)


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = MORNING) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class Office:
    """Lays rows of the registry as the owner of the database."""

    def __init__(self, admin) -> None:
        self.admin = admin

    async def agency(self, code: str = "A1", name: str = "UBND phường Một") -> UUID:
        return await self.admin.fetchval(
            "INSERT INTO agency (code, kind, name, sort_key, valid_from) VALUES ($1, 'commune', $2, $3, '2025-07-01')"
            " RETURNING id",
            code,
            name,
            sort_key(name),
        )

    async def post(self, agency_id: UUID, *roles: str, title: str = "Công chức", rank: str = "officer") -> UUID:
        return await self.admin.fetchval(
            "INSERT INTO post (agency_id, title, rank, roles, valid_from) VALUES ($1, $2, $3, $4, '2025-07-01')"
            " RETURNING id",
            agency_id,
            title,
            rank,
            list(roles),
        )

    async def person(self, login: str, agency_id: UUID, *post_ids: UUID, name: str = "Nguyễn Văn An") -> UUID:
        """A person with an account and these posts; returns the account's id."""
        person_id = await self.admin.fetchval("INSERT INTO person (kind) VALUES ('official') RETURNING id")
        await self.admin.execute(
            "INSERT INTO official (person_id, display_name, sort_key) VALUES ($1, $2, $3)",
            person_id,
            name,
            sort_key(name),
        )
        for post_id in post_ids:
            await self.admin.execute(
                "INSERT INTO post_holding (person_id, post_id, valid_from, legal_basis)"
                " VALUES ($1, $2, '2025-07-01', 'QĐ thử nghiệm')",
                person_id,
                post_id,
            )
        account_id = await self.admin.fetchval(
            "INSERT INTO account (person_id, agency_id, login) VALUES ($1, $2, $3) RETURNING id",
            person_id,
            agency_id,
            login,
        )
        await self.admin.execute(
            "INSERT INTO account_password (account_id, argon2) VALUES ($1, $2)", account_id, ARGON2
        )
        return account_id

    async def officer(self, login: str = "an", *roles: str) -> UUID:
        """An agency, a post with these roles, and its holder."""
        agency_id = await self.agency(code=f"A-{login}")
        return await self.person(login, agency_id, await self.post(agency_id, *(roles or ("counter",))))


def settings_for(dsn: str, blob_dir: Path, **changes) -> Settings:
    """Settings of an API process in a test."""
    plain = {
        "process": "api",
        "demo": True,
        "database_url": dsn,
        "data_keys": {"test": bytes(32)},
        "data_key": "test",
        "session_keys": {"test": bytes(32)},
        "blob_dir": blob_dir,
        "listen": Address("127.0.0.1", 0),
        "public_url": "http://127.0.0.1",
    }
    return Settings(**{**plain, **changes})


@contextlib.asynccontextmanager
async def serving(
    dsn: str, blob_dir: Path, *, clock=None, extra: Sequence = (), source: str = "10.0.0.1", **changes
) -> AsyncIterator[tuple[httpx.AsyncClient, Litestar]]:
    """The real app with its lifespan, in this process; the client speaks ASGI to it from one address."""
    app = create_app(settings_for(dsn, blob_dir, **changes), clock=clock or SetClock(), extra=extra)
    async with _alive(app):
        yield client_of(app, source), app


@contextlib.asynccontextmanager
async def _alive(app: Litestar) -> AsyncIterator[None]:
    """Keep the lifespan in one task of its own: a fixture's beginning and end run in two."""
    ready, done = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            ready.set()
            await done.wait()

    task = asyncio.create_task(live())
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            waiting.cancel()
            task.result()
        yield
    finally:
        done.set()
        await task


def client_of(app: Litestar, source: str = "10.0.0.1", **headers: str) -> httpx.AsyncClient:
    """A client at another address."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(source, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://motcua.test", headers=headers)


async def log_in(web: httpx.AsyncClient, login: str = "an", password: str = PASSWORD, **more) -> httpx.Response:
    """Log in; on success the client carries the bearer token from here on."""
    answer = await web.post("/session", json={"login": login, "password": password, **more})
    if answer.status_code == 201:
        web.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    return answer


def new_key() -> dict[str, str]:
    """A fresh Idempotency-Key as headers."""
    return {"Idempotency-Key": secrets.token_hex(16)}
