"""The operators' commands: trace, failures, jobs, certificates. Each opens the database, says its lines, and ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from api import jobs
from api.audit import append
from api.db.pools import Pools, open_pools
from api.errors import NotFound
from api.kernel import Clock, system_clock
from api.operating import causes, store, telling

Write = Callable[[str], object]
MOST: int = 200


@asynccontextmanager
async def _opened(dsn: str) -> AsyncGenerator[Pools]:
    pools = await open_pools(dsn, read_size=1, write_size=1)
    try:
        yield pools
    finally:
        await pools.close()


def trace(dsn: str, ticket_id: UUID, write: Write, clock: Clock = system_clock) -> int:
    """Tell where a ticket stands.

    Raises:
        NotFound: there is no such ticket.
    """
    told = asyncio.run(_told(dsn, ticket_id))
    for line in telling.lines(told, clock()):
        write(f"{line}\n")
    return 0


async def _told(dsn: str, ticket_id: UUID) -> telling.Told:
    async with _opened(dsn) as pools, pools.reading() as tx:
        ticket = await store.ticket(tx, ticket_id)
        if ticket is None:
            raise NotFound("Không tìm thấy mã lượt ký.", "There is no such ticket.", code="ticket-not-found")
        items = await store.items(tx, ticket_id)
        return telling.Told(
            ticket=ticket,
            items=items,
            transactions=await store.transactions(tx, ticket_id),
            jobs=await store.jobs_of(tx, [str(ticket_id), *(str(item.request_id) for item in items)]),
            audit=await store.audit_of(tx, ticket, [item.request_id for item in items]),
        )


def failures(dsn: str, login: str | None, ticket_id: UUID | None, limit: int, write: Write) -> int:
    """Tell of the last items that were not signed, with cause and next step and without personal data.

    Raises:
        NotFound: nobody logs in by this name.
    """

    async def read() -> int:
        async with _opened(dsn) as pools, pools.reading() as tx:
            account_id = await store.account_id(tx, login) if login is not None else None
            if login is not None and account_id is None:
                raise NotFound("Không có tài khoản này.", "There is no such account.", code="account-not-found")
            found = await store.failures(tx, account_id, ticket_id, limit)
        for one in found:
            cause = causes.cause_of(one.detail, one.outcome)
            write(f"{one.ended_at:%Y-%m-%dT%H:%M:%SZ}  ticket {one.ticket}  item {one.ordinal}\n")
            write(f"  {one.outcome}: {cause.code}\n")
            write(f"  request {one.request_id}  account {one.account_id}  trace {one.trace_id or '-'}\n")
            write(f"  {cause.vi} / {cause.en}\n→ {cause.next_vi}\n→ {cause.next_en}\n")
        if not found:
            write("Không có lần ký nào thất bại. / No signature has failed.\n")
        return 0

    return asyncio.run(read())


def parked(dsn: str, write: Write) -> int:
    """List what lies parked."""

    async def read() -> int:
        async with _opened(dsn) as pools, pools.reading() as tx:
            found = await jobs.parked(tx, MOST)
        for job in found:
            write(f"{job.parked_at:%Y-%m-%dT%H:%M:%SZ}  {job.key}  claims {job.claims}  failures {job.failures}\n")
            write(f"  {job.reason}\n")
        if not found:
            write("Không có việc tạm giữ. / Nothing lies parked.\n")
        return 0

    return asyncio.run(read())


def settle(dsn: str, key: str, *, again: bool, write: Write, clock: Clock = system_clock) -> int:
    """Put parked work back into the queue, or forget it for good; the audit says so.

    Raises:
        NotFound: nothing is parked under that key.
    """
    action = "job.requeued" if again else "job.dropped"

    async def act() -> None:
        async with _opened(dsn) as pools, pools.transaction() as tx:
            kind = await (jobs.unpark if again else jobs.drop)(tx, key)
            detail, at = {"key": key}, clock()
            await append(
                tx, None, process="operator", action=action, subject_kind=kind, subject_id=None, detail=detail, at=at
            )

    asyncio.run(act())
    write(f"{action}: {key}\n")
    return 0


def certificates(dsn: str, within_days: int, write: Write, clock: Clock = system_clock) -> int:
    """List the certificates that end within so many days and have no successor, soonest first; owners are ids."""

    async def read() -> int:
        async with _opened(dsn) as pools, pools.reading() as tx:
            found = await store.expiring_certificates(tx, timedelta(days=within_days), MOST)
        for one in found:
            owner = f"agency {one.agency_id}" if one.agency_id else f"person {one.person_id}"
            days = (one.not_after - clock()).total_seconds() / 86400
            write(f"{one.not_after:%Y-%m-%d}  {days:.0f} d  {owner}  holder {one.holder}  serial {one.serial}\n")
        if not found:
            write("Không có chứng thư sắp hết hạn. / No certificate ends soon.\n")
        return 0

    return asyncio.run(read())
