"""Which statements PostgreSQL spends a load's time on, as it counts itself: the profile behind a figure not reached."""

import re
from typing import Final

import asyncpg
import msgspec

LIBRARY: Final = "pg_stat_statements"
_MOST: Final = 12
_WORDS: Final = 110
_HEAVIEST: Final = """
    SELECT userid::regrole::text AS role, query, calls, total_exec_time AS ms,
           total_exec_time / nullif(sum(total_exec_time) OVER (), 0) AS part
      FROM pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY total_exec_time DESC
     LIMIT $1
"""
_NOTE: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


class Heavy(msgspec.Struct, frozen=True, kw_only=True):
    """One statement: who sends it, how often, its time in milliseconds, and its part of all statements' time."""

    role: str
    words: str
    calls: int
    ms: float
    part: float


async def begin(owner: asyncpg.Connection) -> None:
    """Count anew; a server without the library counts nothing."""
    try:
        await owner.execute(f"CREATE EXTENSION IF NOT EXISTS {LIBRARY}; SELECT pg_stat_statements_reset()")
    except asyncpg.PostgresError:
        return


async def heaviest(owner: asyncpg.Connection) -> tuple[Heavy, ...]:
    """Return those that took most, the heaviest first."""
    try:
        rows = await owner.fetch(_HEAVIEST, _MOST)
    except asyncpg.PostgresError:
        return ()
    return tuple(
        Heavy(role=row["role"], words=_words(row["query"]), calls=row["calls"], ms=row["ms"], part=row["part"] or 0.0)
        for row in rows
    )


def _words(query: str) -> str:
    return " ".join(_NOTE.sub(" ", query).split())[:_WORDS]


def told(heavy: Heavy) -> str:
    """Return one line of a report."""
    each = heavy.ms / max(heavy.calls, 1)
    return f"{100 * heavy.part:4.0f}% {each:8.2f} ms x {heavy.calls:<8} {heavy.role:<7} {heavy.words}"
