"""Two pools: one for reading, one for writing. A transaction is short, and nobody waits inside it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Final, TypeVar

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from prometheus_client import Counter

from api.db import budget
from api.db.budget import KEPT_FOR_FIRST, Budget
from api.errors import Busy

T = TypeVar("T")
Tx = PoolConnectionProxy
"""A pooled connection inside a transaction; what composable functions take."""
Listener = asyncpg.Connection
"""A connection of one's own, on which one hears what others NOTIFY."""
Row = asyncpg.Record
"""One row by column name, where no Struct fits it."""

STATEMENT_S: Final = 30
"""The longest statement of work without a budget of its own; the server ends it a little later by itself."""
_PEAK_WINDOW_S: Final = 60.0

_refused = Counter("motcua_pool_refused_total", "Work that got no connection in its time.", ["pool", "work"])
_cut = Counter("motcua_pool_cut_total", "Work stopped because it kept a connection too long.", ["pool", "work"])


def no_connection(pool: str, work: str | None) -> Busy:
    """Count and return the refusal of work that got no connection in its time; of no class is the process's own."""
    _refused.labels(pool, work or "own").inc()
    return Busy(
        "Hệ thống đang bận, yêu cầu chưa được xử lý.",
        "The system is busy; the request was not processed.",
        retry_after_s=2,
    )


class SharedPool:
    """One pool, with what each class of work may take of it and how much of it was in use."""

    def __init__(self, name: str, pool: asyncpg.Pool, budget_s: float) -> None:
        """Share the pool out; `budget_s` is how many seconds anybody waits for a connection."""
        self.name = name
        self.plain = pool
        self.size = pool.get_max_size()
        self.budget_s = budget_s
        self.in_use = 0
        self._kept = asyncio.Semaphore(max(1, self.size - max(1, round(self.size * KEPT_FOR_FIRST))))
        self._of_class: dict[str, list[asyncio.Semaphore]] = {}
        self._peaks = (0, 0)
        self._window = 0.0
        self._busy_s, self._noted = 0.0, time.monotonic()

    def gates(self, mine: Budget) -> list[asyncio.Semaphore]:
        """Return what work of this class must pass, one after the other, before it asks for a connection."""
        found = self._of_class.get(mine.work)
        if found is None:
            own = asyncio.Semaphore(max(1, int(self.size * mine.share.part)))
            found = self._of_class[mine.work] = [own] if mine.share.first else [own, self._kept]
        return found

    def note(self, change: int = 0) -> None:
        """Count a connection that was lent (1) or given back (-1)."""
        now = time.monotonic()
        self._busy_s += self.in_use * (now - self._noted)
        self._noted = now
        self.in_use += change
        if now - self._window > _PEAK_WINDOW_S:
            self._window, self._peaks = now, (self._peaks[1], self.in_use)
        elif self.in_use > self._peaks[1]:
            self._peaks = (self._peaks[0], self.in_use)

    def take_busy_s(self) -> float:
        """Return for how many seconds connections were lent since this was asked last, all added up."""
        self.note()
        busy, self._busy_s = self._busy_s, 0.0
        return busy

    def peak(self) -> int:
        """Return the most connections that were in use at once within the last minute or two."""
        self.note()
        return max(self._peaks)


class _Loan:
    """A connection lent within the budget of the work that asks; plain methods, since every read passes here.

    Raises:
        Busy: no connection came free in time, it was kept too long, or the caller's time is over.
    """

    __slots__ = ("_clock", "_connection", "_held", "_mine", "_pool", "_seconds")

    def __init__(self, pool: SharedPool) -> None:
        self._pool = pool
        self._held: list[asyncio.Semaphore] = []
        self._mine = budget.current.get()
        self._seconds = 0.0

    async def __aenter__(self) -> Tx:
        pool, mine = self._pool, self._mine
        patience = pool.budget_s if mine is None else mine.left(pool.budget_s)
        # One clock, first for the waiting and then for the keeping: it costs as much as all else here.
        self._clock = asyncio.timeout(patience)
        await self._clock.__aenter__()
        try:
            if mine is not None:
                for gate in pool.gates(mine):
                    await gate.acquire()
                    self._held.append(gate)
            self._connection: Tx = await pool.plain.acquire()
        except BaseException as error:
            self._let_go()
            if await self._is_late(error) or isinstance(error, TimeoutError):
                raise self._refused(patience) from None
            raise
        pool.note(1)
        if mine is None:
            self._clock.reschedule(None)
        else:
            # A deadline that has just passed ends the work at its first statement.
            self._seconds = min(mine.share.seconds, mine.seconds_left())
            self._clock.reschedule(budget.now() + self._seconds)
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if await self._is_late(error) and self._mine is not None:
                raise self._cut(self._mine) from None
        finally:
            self._pool.note(-1)
            try:
                await self._pool.plain.release(self._connection)
            finally:
                self._let_go()

    async def _is_late(self, error: BaseException | None) -> bool:
        """Stop the clock, and tell whether it was what ended the work."""
        try:
            await self._clock.__aexit__(None if error is None else type(error), error, None)
        except TimeoutError:
            return True
        return False

    def _cut(self, mine: Budget) -> Busy:
        _cut.labels(self._pool.name, mine.work).inc()
        return budget.not_enough_time() if self._seconds < mine.share.seconds else budget.took_too_long(self._seconds)

    def _refused(self, patience: float) -> Busy:
        refused = no_connection(self._pool.name, self._mine.work if self._mine else None)
        return budget.not_enough_time() if patience < self._pool.budget_s else refused

    def _let_go(self) -> None:
        for gate in self._held:
            gate.release()
        self._held = []


class Pools:
    """The read pool and the write pool of one process, both under its own database role."""

    def __init__(self, read: asyncpg.Pool, write: asyncpg.Pool, budget_s: float, dsn: str) -> None:
        """Hold the pools; `budget_s` is how many seconds a request may wait for a connection before it is shed."""
        self.read = read
        self.write = write
        self.budget_s = budget_s
        self.shared = (SharedPool("read", read, budget_s), SharedPool("write", write, budget_s))
        self._reading, self._writing = self.shared
        self._dsn = dsn

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Tx]:
        """Open one short write transaction.

        Raises:
            Busy: no connection came free within the budget, or the transaction took too long.
        """
        async with _Loan(self._writing) as connection, connection.transaction():
            yield connection

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Do work in one short write transaction, once more from its beginning where a migration came between.

        A statement prepared before the schema changed cannot be used after it, and inside a transaction the driver
        cannot repeat it alone; reading outside of one it does so by itself.

        Raises:
            Busy: see `transaction`.
        """
        try:
            return await self._run(work)
        except (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError):
            return await self._run(work)

    async def _run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with _Loan(self._writing) as connection, connection.transaction():
            return await work(connection)

    def writing(self) -> AbstractAsyncContextManager[Tx]:
        """Borrow a connection for statements that write and are each a transaction: one round trip, not three.

        Raises:
            Busy: no connection came free within the budget, or it was kept too long.
        """
        return _Loan(self._writing)

    def reading(self) -> AbstractAsyncContextManager[Tx]:
        """Borrow a connection for reading: one statement, one round trip.

        Raises:
            Busy: no connection came free within the budget, or it was kept too long.
        """
        return _Loan(self._reading)

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Tx]:
        """Open a transaction that only reads and sees one moment of the whole database.

        Raises:
            Busy: no connection came free within the budget, or it was kept too long.
        """
        async with (
            _Loan(self._reading) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[Listener]:
        """Open a connection of one's own, to be kept for as long as one listens: the pools have none to spare."""
        connection = await _connect(
            self._dsn, command_timeout=STATEMENT_S, server_settings={"application_name": "motcua-listen"}
        )
        try:
            yield connection
        finally:
            connection.terminate()  # nothing is under way on it, and a lost server answers no farewell

    async def close(self) -> None:
        """Close both pools, waiting for what is running."""
        await self.read.close()
        await self.write.close()


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """Have jsonb columns come as Python values and go as any value that msgspec encodes."""
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda raw: msgspec.json.decode(raw[1:]),
        schema="pg_catalog",
        format="binary",
    )


async def _connect(*arguments: Any, **options: Any) -> asyncpg.Connection:
    """Connect; a server without a socket file, a name or a route is as far away as one that refuses.

    Raises:
        ConnectionError: there is no way to the server.
    """
    try:
        return await asyncpg.connect(*arguments, **options)
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise ConnectionError(f"no way to the database: {error}") from error


async def _leave_as_it_is(_: asyncpg.Connection) -> None:
    """Ask the server nothing: no statement of ours outlives its transaction (a test reads them all).

    By itself the driver asks for a reset at every release, one more round trip for each small read. An open transaction
    it ends before it comes here, without asking where there is none.
    """


async def open_pools(
    dsn: str, *, read_size: int = 8, write_size: int = 8, budget_s: float = 2.0, statement_s: float = STATEMENT_S
) -> Pools:
    """Open both pools on a DSN; jsonb columns arrive as Python values and are sent as any msgspec-encodable value."""

    async def pool(size: int, options: dict[str, str]) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            dsn,
            connect=_connect,
            min_size=1,
            max_size=size,
            init=prepare_connection,
            reset=_leave_as_it_is,
            # Said once when the connection opens: a limit that holds also where this process has lost its clock.
            server_settings={"statement_timeout": f"{int(statement_s) + 5}s", **options},
            command_timeout=statement_s,
        )

    read = await pool(read_size, {"application_name": "motcua-read", "default_transaction_read_only": "on"})
    write = await pool(write_size, {"application_name": "motcua-write", "idle_in_transaction_session_timeout": "10s"})
    return Pools(read, write, budget_s, dsn)


def as_struct(row: asyncpg.Record | None, kind: type[T]) -> T | None:
    """Turn one row straight into its Struct, or None into None; lax, so that a UUID fits a NewType."""
    return None if row is None else msgspec.convert(dict(row.items()), kind, strict=False)


def as_structs(rows: Sequence[asyncpg.Record], kind: type[T]) -> list[T]:
    """Turn rows straight into Structs."""
    return msgspec.convert([dict(row.items()) for row in rows], list[kind], strict=False)


def as_they_come(rows: Sequence[asyncpg.Record], kind: Callable[..., T]) -> list[T]:
    """Make each row its Struct without a look at the values: columns in the order of its fields, of the driver's types.

    For pages of many columns: to name and check every value would cost as much as all else that is done for the page.
    """
    return [kind(*row) for row in rows]
