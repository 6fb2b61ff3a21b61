"""Giving numbers: reserved with the document's sealing, then used or void; the counter is taken last before commit."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec

from api import audit
from api.db import queries
from api.db.pools import Pools, Tx, as_struct, as_structs
from api.documents.contract import Register, RegisterLine, Series, SeriesList
from api.documents.numbers import (
    Entry,
    Number,
    NumberSeries,
    counter_year,
    entered_number,
    gaps,
    number_text,
    require_own,
)
from api.errors import Conflict, Forbidden, NotFound, Refused
from api.kernel import Actor, new_id, vn_day

_q: Final = queries.load("api.documents", "numbering.sql")
PAGE: Final = 200


class _Owned(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    state: str
    request_id: UUID | None
    agency_id: UUID


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A number wanted for a document, and the seal's request that will use it."""

    document_id: UUID
    request_id: UUID | None = None


class _Gap(msgspec.Struct, frozen=True, kw_only=True):
    first: int
    last: int
    reason: str


class _DocumentSeries(NumberSeries, frozen=True, kw_only=True):
    document_id: UUID


async def reserve(tx: Tx, document_id: UUID, at: datetime, *, request_id: UUID | None = None) -> Number:
    """Give one document its number; see `reserve_many`."""
    numbers = await reserve_many(tx, [Wanted(document_id=document_id, request_id=request_id)], at)
    return numbers[document_id]


async def reserve_many(tx: Tx, wanted: Sequence[Wanted], at: datetime) -> dict[UUID, Number]:
    """Give each document the next number of its series, in this order; a document that has one keeps it.

    The counters' rows are locked until the commit, series by series in one order for all callers: call this as the
    last step of the transaction. A rollback gives the numbers back unseen.

    Raises:
        Refused: an agency has no series for the kind of document, the register is somebody else's, or not in force.
    """
    ids = [each.document_id for each in wanted]
    numbers = {row.document_id: row for row in as_structs(await tx.fetch(_q.numbers_of_documents, ids), Number)}
    lacking = [each for each in wanted if each.document_id not in numbers]
    rows = as_structs(await tx.fetch(_q.series_of_documents, ids, vn_day(at)), _DocumentSeries)
    series = {row.document_id: row for row in rows}
    groups: dict[UUID, list[Wanted]] = {}
    for each in lacking:
        if each.document_id not in series:
            raise _no_series()
        require_own(series[each.document_id], at)
        groups.setdefault(series[each.document_id].id, []).append(each)
    held = {numbers[each.document_id].id: each.request_id for each in wanted if each.document_id in numbers}
    if held:
        await tx.execute(_q.hold_numbers, list(held), list(held.values()))
    for _, group in sorted(groups.items()):
        given = await _take(tx, series[group[0].document_id], group, at)
        numbers.update({number.document_id: number for number in given})
    return numbers


async def _take(tx: Tx, series: NumberSeries, group: Sequence[Wanted], at: datetime) -> list[Number]:
    year, day = counter_year(series, at), vn_day(at)
    last: int = await tx.fetchval(_q.take_numbers, series.id, year, len(group))
    given = [
        Number(
            id=new_id(at),
            series_id=series.id,
            year=year,
            n=n,
            text=number_text(series.pattern, n, day),
            day=day,
            document_id=each.document_id,
        )
        for n, each in enumerate(group, last - len(group) + 1)
    ]
    columns = ([g.id for g in given], [g.n for g in given], [g.text for g in given], [g.document_id for g in given])
    await tx.execute(_q.insert_numbers, series.id, year, day, at, *columns, [each.request_id for each in group])
    return given


async def enter(tx: Tx, document_id: UUID, text: str, day: date, *, not_before: date | None, at: datetime) -> Number:
    """Enter the number that a foreign register gave a document; the document's sealing will carry it.

    Raises:
        Refused: the register is not foreign, or was not in force. Invalid: see `entered_number`.
        Conflict: the document has a number, or the number is another document's.
    """
    series = as_struct(await tx.fetchrow(_q.series_of_documents, [document_id], day), _DocumentSeries)
    if series is None:
        raise _no_series()
    n = entered_number(series, text, day, not_before=not_before, at=at)
    year = day.year if series.yearly else 0
    number_id = new_id(at)
    if await tx.fetchval(_q.enter_number, number_id, series.id, year, n, text, day, document_id, at) is None:
        raise Conflict(
            "Văn bản đã có số, hoặc số này đã nhập cho văn bản khác.",
            "The document has a number, or this number was entered for another document.",
            code="number-taken",
        )
    return Number(id=number_id, series_id=series.id, year=year, n=n, text=text, day=day, document_id=document_id)


async def use(tx: Tx, number_id: UUID, at: datetime) -> None:
    """Note that a reserved number stands in a sealed document.

    Raises:
        Conflict: it is used or void already.
    """
    if await tx.fetchval(_q.use_number, number_id, at) is None:
        raise _settled()


async def void(tx: Tx, number_id: UUID, reason: str, at: datetime) -> None:
    """Note that a reserved number will never be used, and why; its row stays in the register.

    Raises:
        Conflict: it is used or void already.
    """
    if await tx.fetchval(_q.void_number, number_id, reason, at) is None:
        raise _settled()


async def void_by_clerk(tx: Tx, actor: Actor, number_id: UUID, reason: str, at: datetime) -> None:
    """Let the register's clerk void a number that no signature holds.

    Raises:
        NotFound: no such number in a register of the clerk's agency.
        Refused: a sealing that is under way holds it.
        Conflict: it is used or void already.
    """
    owned = as_struct(await tx.fetchrow(_q.number_owner, number_id), _Owned)
    if owned is None or owned.agency_id != actor.agency_id:
        raise NotFound("Không có số này trong sổ của cơ quan.", "There is no such number.", code="no-number")
    if owned.state == "reserved" and owned.request_id is not None:
        raise Refused(
            "Số đang giữ cho một văn bản chờ ký số của cơ quan.",
            "A sealing that is under way holds this number.",
            allowed=("signature.send_back",),
            code="number-held",
        )
    await void(tx, number_id, reason, at)
    await audit.append(
        tx,
        actor,
        process="api",
        action="number.void",
        subject_kind="number",
        subject_id=number_id,
        detail={},
        at=at,
    )


async def list_series(pools: Pools, actor: Actor, at: datetime) -> SeriesList:
    """List the series of the actor's agency that are in force today."""
    async with pools.reading() as connection:
        rows = as_structs(await connection.fetch(_q.series_of_agency, actor.agency_id, vn_day(at)), Series)
    return SeriesList(items=tuple(rows))


async def register(pools: Pools, actor: Actor, series_id: UUID, year: int | None, after: int, at: datetime) -> Register:
    """Return a page of a register with its gaps; those that were left on purpose carry their reason.

    `gaps` counts the others: numbers without a row and without a reason, of which there may be none.

    Raises:
        NotFound: no such series.
        Forbidden: it is another agency's.
    """
    async with pools.reading() as connection:
        series = as_struct(await connection.fetchrow(_q.series_by_id, series_id), NumberSeries)
        if series is None:
            raise NotFound("Không có dãy số này.", "There is no such series.", code="no-series")
        if series.agency_id != actor.agency_id:
            raise Forbidden("Sổ này của cơ quan khác.", "This register is another agency's.", code="not-your-register")
        counted = counter_year(series, at) if year is None or not series.yearly else year
        own = series.owner == "own"
        last = await connection.fetchval(_q.last_number if own else _q.last_entered, series_id, counted)
        rows = as_structs(await connection.fetch(_q.register_page, series_id, counted, after, PAGE), Entry)
        explained = as_structs(await connection.fetch(_q.number_gaps, series_id, counted), _Gap)
        # Of a foreign register only what was entered is known: what stands between is no gap of ours.
        missing = last - await connection.fetchval(_q.count_numbers, series_id, counted) if own else 0
    full = len(rows) == PAGE
    until = rows[-1].n if full else max(last, after)
    return Register(
        series_id=series_id,
        year=counted,
        pattern=series.pattern,
        last=last,
        gaps=missing - sum(gap.last - gap.first + 1 for gap in explained),
        lines=_lines(rows, explained, after + 1, until if own else after),
        next=until if full else None,
    )


def _lines(rows: list[Entry], explained: list[_Gap], first: int, last: int) -> tuple[RegisterLine, ...]:
    def why(n: int) -> str | None:
        return next((gap.reason for gap in explained if gap.first <= n <= gap.last), None)

    lines = [msgspec.convert(msgspec.structs.asdict(row), RegisterLine) for row in rows]
    lines += [RegisterLine(n=n, text="", state="gap", reason=why(n)) for n in gaps(rows, first, last)]
    return tuple(sorted(lines, key=lambda line: line.n))


def _no_series() -> Refused:
    return Refused(
        "Cơ quan chưa có dãy số cho loại văn bản này.",
        "The agency has no number series for this kind of document.",
        allowed=(),
        code="no-series",
    )


def _settled() -> Conflict:
    return Conflict("Số này đã dùng hoặc đã hủy.", "This number is used or void already.", code="number-settled")
