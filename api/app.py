"""The web process, wired: the only place that knows the slices' controllers and the edge together."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from ipaddress import ip_network
from typing import Any, Final

import structlog
from litestar import Litestar, Request
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from api import logs
from api.db.pools import Pools, open_pools
from api.db.privacy import Vault
from api.desks.controller import DeskController
from api.documents.blobs import BlobStore, open_store
from api.documents.controller import PrintController, RegisterController, ResultController, UploadController
from api.documents.file_controller import FileController
from api.documents.verify_controller import VerifyController
from api.dossiers.controller import DossierController, TaskController
from api.dossiers.service import Dossiers
from api.http import idempotency, openapi, problems
from api.http.admission import Admission, check_budgets
from api.http.auth.controller import OwnSessionsController, SessionController
from api.http.auth.guards import check_guards, open_sessions
from api.http.auth.passwords import PasswordPool
from api.http.auth.rules import SessionRules
from api.http.auth.tokens import TokenKeys
from api.http.control import Control
from api.http.edge import Edge, source_of
from api.http.health import HealthController
from api.http.hot import HotRoutes
from api.http.lighter import Json, lighten
from api.http.outermost import Outermost
from api.http.request import EdgeRequest
from api.kernel import Actor, Clock, system_clock
from api.people.controller import AccountController, CertificateController, FactorController, ProposalController
from api.public import service as public
from api.public.controller import OnlineController, TrackController
from api.public.file_controller import CitizenFileController
from api.registry import authority
from api.registry.controller import AgencyController, ProcedureController
from api.registry.service import Registry
from api.settings import Settings, read
from api.signatures import following
from api.signatures.controller import BatchController, ChainController, RequestController
from api.signatures.holder_controller import HolderController
from api.signatures.tickets import Watch
from api.signatures.tool_controller import ToolController
from api.telemetry import process

_log = structlog.get_logger("api.app")

CONTROLLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    HealthController,
    SessionController,
    OwnSessionsController,
    ProcedureController,
    AgencyController,
    DossierController,
    TaskController,
    ChainController,
    RequestController,
    BatchController,
    HolderController,
    ToolController,
    DeskController,
    AccountController,
    CertificateController,
    ProposalController,
    FactorController,
    UploadController,
    ResultController,
    FileController,
    RegisterController,
    PrintController,
    VerifyController,
    TrackController,
    OnlineController,
    CitizenFileController,
)
"""What each slice serves."""

PUBLIC: Final = frozenset(
    {
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/schema"),
        ("GET", "/schema/openapi.json"),
        ("GET", "/schema/{path}"),
        ("POST", "/session"),
        ("GET", "/procedures"),
        ("GET", "/procedures/{code}"),
        ("GET", "/agencies"),
        ("POST", "/holders/{holder}/answers"),
        ("GET", "/holders/{holder}/page"),
        ("GET", "/verify/{code}"),
        ("POST", "/verify"),
        ("GET", "/verify/checks/{check_id}"),
        ("GET", "/track/{code}"),
        ("POST", "/online"),
        ("GET", "/track/{code}/results/{result_id}/file"),
        ("POST", "/track/{code}/uploads"),
        ("GET", "/track/{code}/uploads/{upload_id}"),
    }
)
"""Every route that carries no session. A route that is neither here nor guarded stops the start."""

MAX_BODY_BYTES: Final = 1 << 20
"""Of a JSON body; uploads set their own limit at the handler."""

_FORBIDDEN: Final = ("signing.keys.", "signing.holders", "pkcs11")


def create_app(
    settings: Settings, *, clock: Clock = system_clock, extra: Sequence[ControllerRouterHandler] = ()
) -> Litestar:
    """Build the app; pools and caches open with its lifespan. `extra` routes are for tests of the edge itself.

    Raises:
        RuntimeError: a route is neither guarded nor public, or has a budget that no request has.
    """
    control = Control(clock, limits=settings.limits)
    admission = Admission(control=control)
    app = Litestar(
        route_handlers=[*CONTROLLERS, *extra],
        dependencies={name: Provide(give, sync_to_thread=False) for name, give in _DEPENDENCIES.items()},
        exception_handlers={Exception: problems.answer},
        lifespan=[_lifespan(settings, clock, control)],
        middleware=[admission],
        before_request=control.count,
        request_class=EdgeRequest,
        response_class=Json,
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=openapi.config(version("motcua"), _sessions(settings).cookie),
        logging_config=None,
        type_encoders=None,
    )
    check_guards(app, PUBLIC, authority.ACTIONS)
    check_budgets(app)
    lighten(app)
    app.asgi_handler = Outermost(
        HotRoutes(app, admission),
        tls=settings.public_url.startswith("https://"),
        trusted_proxies=[ip_network(network) for network in settings.trusted_proxies],
    )
    return app


def refuse_key_holders() -> None:
    """Stop the start where code that can use a signing key has been loaded: the web process holds no key.

    Raises:
        RuntimeError: with the modules found.
    """
    found = sorted(name for name in sys.modules if name.startswith(_FORBIDDEN))
    if found:
        raise RuntimeError(f"the web process must not load {', '.join(found)}")


def _lifespan(
    settings: Settings, clock: Clock, control: Control
) -> Callable[[Litestar], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(process.sending_spans("api", settings.otlp_url))
            pools = await open_pools(
                settings.database_url,
                read_size=settings.pool_read,
                write_size=settings.pool_write,
                budget_s=settings.pool_budget_s,
            )
            stack.push_async_callback(pools.close)
            blobs = open_store(settings)
            stack.push_async_callback(blobs.close)
            edge = _edge(settings, pools, clock)
            stack.callback(edge.passwords.close)
            await control.reload(pools)
            registry = await stack.enter_async_context(Registry(pools).watching(lambda: control.reload(pools)))
            dossiers = Dossiers(registry, edge.vault, after_step=(following.after_step,))
            tickets = Watch(pools)
            stack.callback(tickets.close)
            stack.callback(asyncio.create_task(process.watch_loop(pools.shared), name="loop-lag").cancel)
            stack.callback(asyncio.create_task(idempotency.forget(edge), name="forget-intents").cancel)
            app.state.update(
                edge=edge,
                control=control,
                pools=pools,
                vault=edge.vault,
                settings=settings,
                blobs=blobs,
                probe_store=lambda: _probe(blobs),
                registry=registry,
                stages=public.stages_of(pools),
                dossiers=dossiers,
                result_drafted=following.drafting(dossiers),
                watch=tickets,
            )
            process.spare_the_collector()
            _log.info("ready", listen=f"{settings.listen.host}:{settings.listen.port}")
            yield

    return lifespan


def _sessions(settings: Settings) -> SessionRules:
    return SessionRules(
        idle_s=settings.session_idle_s,
        absolute_s=settings.session_absolute_s,
        secure_cookie=settings.public_url.startswith("https://"),
    )


def _edge(settings: Settings, pools: Pools, clock: Clock) -> Edge:
    return Edge(
        pools=pools,
        vault=Vault(settings.data_keys, settings.data_key),
        clock=clock,
        authority=authority,
        sessions=_sessions(settings),
        open_sessions=open_sessions(pools, clock),
        tokens=TokenKeys(settings.session_keys),
        passwords=PasswordPool(),
    )


async def _probe(blobs: BlobStore) -> bool:
    """Store one small constant file; as it is named by its hash, there is ever only one of it."""

    async def canary() -> AsyncIterator[bytes]:
        yield b"motcua readiness canary\n"

    await blobs.put_stream(canary(), limit=1024)
    return True


def _actor(request: Request[Any, Any, Any]) -> Actor:
    actor: Actor = request.scope["state"]["actor"]
    return actor


def _at(request: Request[Any, Any, Any]) -> datetime:
    edge: Edge = request.app.state.edge
    return edge.clock()


def _source(request: Request[Any, Any, Any]) -> str | None:
    return source_of(request)


def _kept(name: str) -> Callable[[Request[Any, Any, Any]], Any]:
    """Return the provider of what the lifespan put into the app's state under this name."""

    def give(request: Request[Any, Any, Any]) -> Any:
        return request.app.state[name]

    return give


_KEPT: Final = ("pools", "vault", "registry", "stages", "dossiers", "result_drafted", "watch", "blobs", "settings")
_DEPENDENCIES: Final[dict[str, Callable[..., Any]]] = {
    "actor": _actor,
    "at": _at,
    "source": _source,
    **{name: _kept(name) for name in _KEPT},
}
"""What a handler may ask for by name; `actor` only behind a guard."""


def from_environment() -> Litestar:
    """Build the app in a worker of the server, from its environment."""
    logs.set_up("api")
    app = create_app(read("api"))
    refuse_key_holders()
    return app
