"""One function per statement of `queries.sql`."""

from datetime import datetime
from typing import Final
from uuid import UUID

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from api.http.control.rules import Mode, Override

_q: Final = queries.load("api.http.control")


async def service_mode(tx: Tx) -> Mode:
    """Return what the API answers just now."""
    return as_struct(await tx.fetchrow(_q.service_mode), Mode) or Mode()


async def rate_limits(tx: Tx) -> list[Override]:
    """Return where somebody may ask more or less often than by default."""
    return as_structs(await tx.fetch(_q.rate_limits), Override)


async def set_mode(tx: Tx, mode: Mode) -> None:
    """Answer like this from now on."""
    await tx.execute(_q.set_mode, mode.mode, mode.reason, mode.until, mode.since)


async def agency_of_code(tx: Tx, code: str) -> UUID | None:
    """Return the agency of a code."""
    return await tx.fetchval(_q.agency_of_code, code)


async def set_limit(tx: Tx, limit: Override, reason: str, at: datetime) -> None:
    """Let an agency, or every one, ask so often."""
    await tx.execute(_q.set_limit, limit.agency_id, limit.work, limit.per_second, limit.burst, reason, at)


async def drop_limit(tx: Tx, agency_id: UUID | None, work: str | None) -> None:
    """Go back to the default."""
    await tx.execute(_q.drop_limit, agency_id, work)
