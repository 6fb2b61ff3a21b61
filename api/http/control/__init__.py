"""What an operator sets while the system runs, as one API process knows it: the mode, and limits of how often."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from litestar import Request

from api.db.pools import Pools
from api.errors import MotcuaError
from api.http.control import store
from api.http.control.rules import ACCOUNT, CALLER, Buckets, Limit, Mode, Override, chosen, refusal, too_often
from api.kernel import Clock, system_clock

_log = structlog.get_logger("api.http")

IN_READ_ONLY = "in_read_only"
"""Handler option (`opt={IN_READ_ONLY: True}`) of the few writes without which nobody could read: log-in and log-out."""


class Control:
    """The mode and the limits in force here; `reload` reads them anew when the registry's version has moved."""

    def __init__(self, clock: Clock = system_clock, *, limits: bool = True) -> None:
        """Begin in normal mode with the default limits; `limits` False where something in front counts already."""
        self.mode = Mode()
        self._clock = clock
        self._counting = limits
        self._overrides: Sequence[Override] = ()
        self._of_agency: dict[tuple[UUID, str], Limit | None] = {}
        self._buckets = Buckets()

    async def reload(self, pools: Pools) -> None:
        """Read mode and limits; while the database is away, what was last read goes on."""
        try:
            async with pools.reading() as connection:
                mode, overrides = await store.service_mode(connection), await store.rate_limits(connection)
        except (MotcuaError, OSError) as error:
            _log.warning("control_not_read", kind=type(error).__name__)
            return
        if mode.mode != self.mode.mode:
            _log.warning("mode", mode=mode.mode, reason=mode.reason)
        self.mode = mode
        if overrides != self._overrides:
            self._overrides = overrides
            self._of_agency.clear()
            self._buckets.clear()

    def check_mode(self, method: str, *, stays_open: bool) -> None:
        """Refuse what the mode does not allow.

        Raises:
            Busy: read-only or maintenance, with reason and end.
        """
        if self.mode.mode != "normal":
            refused = refusal(self.mode, method=method, stays_open=stays_open, at=self._clock())
            if refused is not None:
                raise refused

    async def count(self, request: Request[Any, Any, Any]) -> None:
        """Count a request against its agency, its account, or its address with what it asks for.

        Runs behind the guards, where it is known who asks.

        Raises:
            Busy: asked too often (429).
        """
        if not self._counting:
            return
        work: str = request.route_handler.opt.get("work", "officers")
        actor, now = request.scope["state"].get("actor"), time.monotonic()
        if actor is None:
            code = request.path_params.get("code") or request.scope["path_template"]
            self._take("caller", (request.scope["state"].get("source"), code, work), CALLER.get(work), work, now)
            return
        self._take("account", (actor.account_id, work), ACCOUNT.get(work), work, now)
        self._take("agency", (actor.agency_id, work), self._agency_limit(actor.agency_id, work), work, now)

    def _agency_limit(self, agency_id: UUID, work: str) -> Limit | None:
        key = (agency_id, work)
        if key not in self._of_agency:
            self._of_agency[key] = chosen(self._overrides, agency_id, work)
        return self._of_agency[key]

    def _take(self, of: Any, key: tuple[object, ...], limit: Limit | None, work: str, now: float) -> None:
        if limit is not None:
            wait = self._buckets.take(key, limit, now)
            if wait:
                raise too_often(wait, of=of, work=work)
