"""What a citizen, or the portal for one, reaches without an account."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.params import HeaderParameter, PathParameter

from api.db.pools import Pools
from api.db.privacy import Vault
from api.dossiers.contract import FiledWithSecret, OnlineDossier
from api.dossiers.controller import with_secret
from api.dossiers.intake import Intake
from api.dossiers.service import Dossiers
from api.http import idempotency
from api.http.auth.guards import PUBLIC
from api.http.edge import edge_of
from api.http.hot import HOT
from api.http.lighter import Json
from api.http.openapi.answers import ANSWERS, Answer
from api.public import service
from api.public.contract import Tracked, TrackedWithSecret

Code = Annotated[str, PathParameter(max_length=64)]
Secret = Annotated[str | None, HeaderParameter(name="X-Dossier-Secret", min_length=1, max_length=64, required=False)]
CACHED_S: Final = 15
"""Seconds for which anybody may keep the answer to a code alone."""
_CITIZENS: Final[Mapping[str, Any]] = MappingProxyType({PUBLIC: True, "work": "citizens"})
_TRACKED: Final = (Answer(status=200, kind=Tracked), Answer(status=200, kind=TrackedWithSecret))


class TrackController(Controller):
    """Tra cứu hồ sơ / tracking."""

    path = "/track"
    tags: Sequence[str] | None = ("public",)

    @get(
        "/{code:str}",
        opt={**_CITIZENS, "seconds": 3.0, HOT: True, ANSWERS: _TRACKED},
        summary="Tra cứu hồ sơ / Track a dossier",
    )
    async def track(
        self, pools: Pools, stages: service.Stages, code: Code, secret: Secret = None
    ) -> Response[Tracked | TrackedWithSecret]:
        """Tell stage and dates by the code; with the secret in `X-Dossier-Secret`, the rest."""
        if secret is None:
            return Json(await service.track(stages, code), headers=_SHARED)
        async with pools.reading() as tx:
            return Json(await service.track_with_secret(tx, code, secret), headers=_OWN)


class OnlineController(Controller):
    """Nộp hồ sơ trực tuyến / online submission."""

    path = "/online"
    tags: Sequence[str] | None = ("public",)

    @post("/", opt={**_CITIZENS, HOT: True}, summary="Nộp hồ sơ trực tuyến / Hand in online")
    async def submit(
        self, request: Request[Any, Any, Any], dossiers: Dossiers, vault: Vault, data: OnlineDossier, at: datetime
    ) -> Response[FiledWithSecret]:
        """Hand a dossier in; an officer of the receiving agency answers within the rule's working hours."""
        answer = await idempotency.run(
            request, "online", lambda tx: Intake(dossiers).submit_online(tx, data, "online", at=at), lasting=True
        )
        return await with_secret(answer, vault, edge_of(request).pools)


_SHARED: Final = {"Cache-Control": f"public, max-age={CACHED_S}", "Vary": "X-Dossier-Secret"}
_OWN: Final = {"Cache-Control": "private, no-store", "Vary": "X-Dossier-Secret"}
