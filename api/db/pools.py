"""Two pools: one for reading, one for writing. A transaction is short, and nobody waits inside it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from api.errors import Busy

T = TypeVar("T")
Tx = PoolConnectionProxy
"""A pooled connection inside a transaction; what composable functions take."""
Row = asyncpg.Record
"""One row by column name, where no Struct fits it."""


class Pools:
    """The read pool and the write pool of one process, both under its own database role."""

    def __init__(self, read: asyncpg.Pool, write: asyncpg.Pool, budget_s: float) -> None:
        """Hold the pools; `budget_s` is how many seconds a request may wait for a connection before it is shed."""
        self.read = read
        self.write = write
        self._budget_s = budget_s

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Tx]:
        """Open one short write transaction.

        Raises:
            Busy: no connection came free within the budget.
        """
        async with self._acquire(self.write) as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Tx]:
        """Borrow a connection for reading: one statement, one round trip.

        Raises:
            Busy: no connection came free within the budget.
        """
        async with self._acquire(self.read) as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[Tx]:
        """Open a transaction that only reads and sees one moment of the whole database.

        Raises:
            Busy: no connection came free within the budget.
        """
        async with (
            self._acquire(self.read) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def _acquire(self, pool: asyncpg.Pool) -> AsyncGenerator[Tx]:
        try:
            connection = await pool.acquire(timeout=self._budget_s)
        except TimeoutError:
            raise Busy(
                "Hệ thống đang bận, yêu cầu chưa được xử lý.",
                "The system is busy; the request was not processed.",
                retry_after_s=2,
            ) from None
        try:
            yield connection
        finally:
            await pool.release(connection)

    async def close(self) -> None:
        """Close both pools, waiting for what is running."""
        await self.read.close()
        await self.write.close()


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda raw: msgspec.json.decode(raw[1:]),
        schema="pg_catalog",
        format="binary",
    )


async def open_pools(
    dsn: str, *, read_size: int = 8, write_size: int = 8, budget_s: float = 2.0, statement_s: float = 30
) -> Pools:
    """Open both pools on a DSN; jsonb columns arrive as Python values and are sent as any msgspec-encodable value."""

    async def pool(size: int, options: dict[str, str]) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            init=_prepare_connection,
            server_settings=options,
            command_timeout=statement_s,
        )

    read = await pool(read_size, {"application_name": "motcua-read", "default_transaction_read_only": "on"})
    write = await pool(write_size, {"application_name": "motcua-write", "idle_in_transaction_session_timeout": "10s"})
    return Pools(read, write, budget_s)


def as_struct(row: asyncpg.Record | None, kind: type[T]) -> T | None:
    """Turn one row straight into its Struct, or None into None; lax, so that a UUID fits a NewType."""
    return None if row is None else msgspec.convert(dict(row), kind, strict=False)


def as_structs(rows: Sequence[asyncpg.Record], kind: type[T]) -> list[T]:
    """Turn rows straight into Structs."""
    return [msgspec.convert(dict(row), kind, strict=False) for row in rows]
