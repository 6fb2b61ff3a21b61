"""The registry over HTTP: what everybody may read, and the publishing of a procedure version."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.params import PathParameter, QueryParameter

from api.http import idempotency
from api.http.auth.guards import PUBLIC, requires
from api.kernel import Actor, Page
from api.registry import listing, publishing
from api.registry.contract import AgencyKind, AgencyList, ProcedureList, ProcedureVersion, Published, PublishVersion
from api.registry.service import Registry

After = Annotated[str | None, QueryParameter(name="after", max_length=300, required=False)]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, required=False)]
Code = Annotated[str, PathParameter(pattern=r"^\d\.\d{6}(\.[0-9A-Z.]{1,24})?$")]
Search = Annotated[str | None, QueryParameter(name="search", max_length=200, required=False)]


def registry_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Registry:
    """Return the process's registry, which `api.app` puts at `app.state.registry`."""
    registry: Registry = connection.app.state.registry
    return registry


class ProcedureController(Controller):
    """Thủ tục hành chính / administrative procedures."""

    path = "/procedures"
    tags: Sequence[str] | None = ("registry",)

    @get("/", opt={PUBLIC: True}, summary="Danh mục thủ tục / The procedures in force")
    async def list_procedures(
        self,
        request: Request[Any, Any, Any],
        at: datetime,
        search: Search = None,
        after: After = None,
        limit: Limit = 50,
    ) -> ProcedureList:
        """List what is in force today; `search` finds parts of name or code, with or without marks."""
        page = Page(after=after, limit=limit)
        return listing.procedures(await registry_of(request).procedures(at), search=search, page=page)

    @get("/{code:str}", opt={PUBLIC: True}, summary="Một thủ tục / One procedure")
    async def show_procedure(self, request: Request[Any, Any, Any], code: Code, at: datetime) -> ProcedureVersion:
        """Show the version in force today: steps, terms, parts, fees, channels, basis."""
        return await registry_of(request).current_version(code, at)

    @post(
        "/{code:str}/versions",
        guards=[requires("procedure.publish")],
        summary="Công bố phiên bản thủ tục / Publish a version",
    )
    async def publish(
        self, request: Request[Any, Any, Any], code: Code, data: PublishVersion, actor: Actor, at: datetime
    ) -> Response[Published]:
        """Publish the next version, or the first of a new procedure; running dossiers keep theirs."""
        answer = await idempotency.run(
            request, actor, lambda tx: publishing.publish_version(tx, actor, code, data, at=at)
        )
        registry_of(request).invalidate()
        return answer


class AgencyController(Controller):
    """Cơ quan / agencies."""

    path = "/agencies"
    tags: Sequence[str] | None = ("registry",)

    @get("/", opt={PUBLIC: True}, summary="Danh mục cơ quan / The agencies")
    async def list_agencies(
        self,
        request: Request[Any, Any, Any],
        at: datetime,
        kind: AgencyKind | None = None,
        search: Search = None,
        after: After = None,
        limit: Limit = 50,
    ) -> AgencyList:
        """List the agencies that exist today; `search` finds parts of the name or the code."""
        page = Page(after=after, limit=limit)
        return listing.agencies(await registry_of(request).agencies(at), kind=kind, search=search, page=page)
