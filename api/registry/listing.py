"""The public lists, cut into pages out of what the process already holds. Pure."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from api.kernel import Page, fold
from api.registry.contract import Agency, AgencyKind, AgencyList, ProcedureList, ProcedureSummary, ProcedureVersion

T = TypeVar("T")

_folded: Final = lru_cache(8192)(fold)
"""Names change rarely and are searched at every keystroke."""


def procedures(rows: Sequence[ProcedureVersion], *, search: str | None, page: Page) -> ProcedureList:
    """Return one page of the procedures in force, found by parts of name or code."""
    found = [row for row in rows if _matches(search, row.name, row.code)]
    shown, following = _cut(found, page, lambda row: row.code)
    items = tuple(
        ProcedureSummary(
            code=row.code,
            name=row.name,
            field_name=row.field_name,
            version=row.version,
            form_of_result=row.form_of_result,
            level=row.definition.level,
        )
        for row in shown
    )
    return ProcedureList(items=items, next=following)


def agencies(rows: Sequence[Agency], *, kind: AgencyKind | None, search: str | None, page: Page) -> AgencyList:
    """Return one page of the agencies that exist, found by kind and by parts of name or code."""
    found = [row for row in rows if kind in {None, row.kind} and _matches(search, row.name, row.code)]
    shown, following = _cut(found, page, lambda row: str(row.id))
    return AgencyList(items=tuple(shown), next=following)


def _matches(search: str | None, name: str, code: str) -> bool:
    if not search:
        return True
    wanted = fold(search)
    return wanted in _folded(name) or wanted in code.casefold()


def _cut(rows: Sequence[T], page: Page, key: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """Return the rows after the cursor and the next cursor; an unknown cursor begins anew, since the row has ended."""
    start = next((place + 1 for place, row in enumerate(rows) if key(row) == page.after), 0) if page.after else 0
    shown = rows[start : start + page.limit]
    more = start + page.limit < len(rows)
    return shown, key(shown[-1]) if more and shown else None
