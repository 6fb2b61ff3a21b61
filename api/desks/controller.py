"""The work lists over HTTP: what an officer opens in the morning and keeps open."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar

from litestar import Controller, Request, get
from litestar.params import QueryParameter

from api.desks import cursor, store
from api.desks.contract import Counts, Holder, Holders, LateLine, LateList, WorkLine, WorkList
from api.dossiers.table import FINAL
from api.dossiers.words import Status
from api.http.auth.guards import requires, signed_in
from api.http.edge import edge_of
from api.http.hot import HOT
from api.kernel import Actor
from api.registry.service import Registry

After = Annotated[str | None, QueryParameter(name="after", max_length=300, required=False)]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=200, required=False)]
Row = TypeVar("Row", WorkLine, LateLine)
_OFFICERS: Final[Mapping[str, Any]] = MappingProxyType({"work": "officers", "seconds": 3.0})

OPEN: Final = tuple(
    str(status)
    for status in Status
    if status not in FINAL | {Status.DELIVERED, Status.SUBMITTED, Status.SUPPLEMENT_AT_INTAKE}
)
"""Statuses a head of centre watches over: received and not yet handed over."""
LOOK_LASTS: Final = timedelta(minutes=3)
"""After so long without a look of the signer nobody knows; it looks once a minute."""
_HOLDER_VI: Final = {
    "reachable": "đang hoạt động",
    "unreachable": "không trả lời; lượt ký vẫn được giữ và sẽ tiếp tục",
    "unknown": "chưa rõ; dịch vụ ký chưa báo",
}
WATCHED: Final = tuple(s for s in OPEN if s not in {Status.DONE, Status.SUPPLEMENT_ASKED, Status.DUTY_ASKED})
"""Statuses in which a due date can be missed: a paused or finished dossier is within its term."""


class DeskController(Controller):
    """Danh sách việc / work lists."""

    path = "/desk"
    tags: Sequence[str] | None = ("desks",)

    @get(
        "/officer",
        guards=[requires("task.read")],
        opt={**_OFFICERS, HOT: True},
        summary="Việc của công chức / An officer's work",
    )
    async def officer(
        self,
        request: Request[Any, Any, Any],
        actor: Actor,
        whose: Annotated[Literal["all", "mine"], QueryParameter(name="scope", required=False)] = "all",
        after: After = None,
        limit: Limit = 50,
    ) -> WorkList:
        """List open work of one's roles at one's agency, or only what one has taken."""
        keys = cursor.decode(after)
        async with edge_of(request).pools.reading() as tx:
            if whose == "mine":
                rows = await store.own_desk(tx, actor, keys, limit + 1)
            else:
                rows = await store.officer_desk(tx, actor, keys, limit + 1)
        shown, following = _cut(rows, limit)
        return WorkList(items=shown, next=following)

    @get("/dispatch", guards=[requires("dossier.dispatch")], opt=_OFFICERS, summary="Chờ phân luồng / To dispatch")
    async def dispatch(self, request: Request[Any, Any, Any], after: After = None, limit: Limit = 50) -> WorkList:
        """List the province's dossiers whose competent agency nobody knows yet."""
        async with edge_of(request).pools.reading() as tx:
            rows = await store.dispatch_desk(tx, cursor.decode(after), limit + 1)
        shown, following = _cut(rows, limit)
        return WorkList(items=shown, next=following)

    @get("/holders", guards=[signed_in], opt=_OFFICERS, summary="Nơi giữ khóa / Key holders")
    async def holders(self, request: Request[Any, Any, Any], at: datetime) -> Holders:
        """Say which key holders can be reached: a ticket that waits for one that cannot is not lost."""
        async with edge_of(request).pools.reading() as tx:
            return Holders(items=tuple(_holder(row, at) for row in await store.holders(tx)))

    @get("/head", guards=[requires("report.read")], opt=_OFFICERS, summary="Tình hình giải quyết / Where things stand")
    async def head(
        self, status_counts: store.StatusCounts, registry: Registry, actor: Actor, at: datetime
    ) -> Counts:  # fmt: skip
        """Count the own agency's dossiers by status, with those overdue and due soon."""
        soon, agency = at + timedelta(hours=await registry.rule("reminder.hours_left", at)), actor.agency_id
        rows = await status_counts.get(agency, lambda tx: store.head_counts(tx, agency, OPEN, at, soon))
        return Counts(counts=tuple(rows))

    @get("/head/late", guards=[requires("report.read")], opt=_OFFICERS, summary="Quá hạn, sắp đến hạn / Late")
    async def late(
        self,
        request: Request[Any, Any, Any],
        registry: Registry,
        actor: Actor,
        at: datetime,
        soon: bool = False,
        after: After = None,
        limit: Limit = 50,
    ) -> LateList:
        """List the own agency's overdue dossiers, with `soon` also those due within the reminder's hours."""
        before = at + timedelta(hours=await registry.rule("reminder.hours_left", at)) if soon else at
        async with edge_of(request).pools.reading() as tx:
            rows = await store.head_overdue(tx, actor.agency_id, WATCHED, before, cursor.decode(after), limit + 1)
        shown, following = _cut(rows, limit)
        return LateList(items=shown, next=following)


def _holder(row: store.HolderRow, at: datetime) -> Holder:
    seen = row.checked_at is not None and at - row.checked_at < LOOK_LASTS
    state: Literal["reachable", "unreachable", "unknown"] = "unknown"
    if seen and row.reachable is not None:
        state = "reachable" if row.reachable else "unreachable"
    return Holder(name=row.name, state=state, state_vi=_HOLDER_VI[state], since=row.since, checked_at=row.checked_at)


def _cut(rows: list[Row], limit: int) -> tuple[tuple[Row, ...], str | None]:
    shown = tuple(rows[:limit])
    return shown, cursor.encode(shown[-1].due_at, shown[-1].id) if len(rows) > limit else None
