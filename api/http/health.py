"""Is the process alive, can it work, and what has it counted."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
import structlog
from litestar import Controller, Request, Response, get

from api.http import metrics
from api.http.auth.guards import PUBLIC
from api.http.control import Control
from api.http.control.rules import Mode
from api.http.edge import edge_of
from api.http.openapi.answers import ANSWERS, Answer
from api.telemetry.process import note_pools

_log = structlog.get_logger("api.http")
_PATIENCE_S: Final = 2.0
_OPEN: dict[str, Any] = {PUBLIC: True, "work": "always"}


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What this process needs for work, each with whether it is there; and the mode, in which it answers all the same.

    A node under maintenance stays ready: it says so itself, where an empty balancer would say nothing.
    """

    ready: bool
    database_read: bool
    database_write: bool
    store: bool
    mode: Mode


_READY: Final = (
    Answer(status=200, kind=Readiness),
    Answer(status=503, kind=Readiness, headers=("Retry-After",)),
)


class HealthController(Controller):
    """For load balancers, orchestrators and Prometheus. A dead key holder or timestamp authority never shows here."""

    tags: Sequence[str] | None = ("health",)

    @get("/healthz", opt=_OPEN, summary="Tiến trình còn chạy / The process is alive")
    async def healthz(self) -> Health:
        """Answer as long as the event loop turns."""
        return Health(status="ok")

    @get("/readyz", opt={**_OPEN, ANSWERS: _READY}, summary="Sẵn sàng phục vụ / Ready for work")
    async def readyz(self, request: Request[Any, Any, Any]) -> Response[Readiness]:
        """Try the database for reading and for writing, and the store; 503 where one is missing."""
        pools = edge_of(request).pools
        probe_store: Callable[[], Awaitable[bool]] = request.app.state.probe_store
        read, write, stored = await asyncio.gather(
            _holds("database_read", lambda: pools.read.fetchval("SELECT true")),
            _holds("database_write", lambda: pools.write.fetchval("SELECT NOT pg_is_in_recovery()")),
            _holds("store", probe_store),
        )
        control: Control = request.app.state.control
        found = Readiness(
            ready=read and write and stored,
            database_read=read,
            database_write=write,
            store=stored,
            mode=control.mode,
        )
        return Response(found, status_code=200 if found.ready else 503, headers=None if found.ready else _SOON)

    @get("/metrics", opt=_OPEN, include_in_schema=False)
    async def metrics(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return what Prometheus reads; a page of a thousand lines is not made on the event loop."""
        note_pools(edge_of(request).pools.shared)
        return Response(await asyncio.to_thread(metrics.page), media_type=metrics.CONTENT_TYPE)


_SOON: Final = {"Retry-After": "5"}


async def _holds(what: str, ask: Callable[[], Awaitable[Any]]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return bool(await ask())
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        _log.warning("not-ready", what=what, kind=type(error).__name__)
        return False
