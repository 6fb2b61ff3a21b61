"""What the driver's exceptions mean to a caller, so that nobody above the database imports the driver."""

from typing import Final

import asyncpg
from prometheus_client import Counter

from api.errors import Busy, Invalid, MotcuaError

_full: Final = Counter("motcua_database_full", "How often PostgreSQL had no room on its disk.")

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # of a connection that was cut as it lay idle, and has not noticed yet
    ConnectionError,
)
_IN_THE_WAY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
    TimeoutError,
)
_NOT_STORABLE = (
    asyncpg.NumericValueOutOfRangeError,
    asyncpg.DatetimeFieldOverflowError,
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
)


def as_kind(error: Exception) -> MotcuaError | None:
    """Return the kind of error that a driver's exception is to a caller, or None where it is our own fault."""
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error.__context__, _AWAY):
        # Leaving a transaction on a lost connection raises this over the loss itself.
        error = error.__context__
    too_large_to_send = isinstance(error, asyncpg.InterfaceError) and isinstance(error.__cause__, OverflowError)
    if too_large_to_send or isinstance(error, _NOT_STORABLE):
        return Invalid(
            "Có giá trị nằm ngoài phạm vi lưu được.",
            "A value is outside what can be stored.",
            code="value-not-storable",
        )
    if isinstance(error, asyncpg.DiskFullError):
        _full.inc()
        return Busy(
            "Đĩa của cơ sở dữ liệu đã đầy; việc này chưa được ghi nhận.",
            "The database's disk is full; this was not recorded.",
            retry_after_s=30,
            code="database-full",
            next_step=(
                "Báo người vận hành giải phóng đĩa, rồi gửi lại với cùng khóa yêu cầu; những gì đã xác nhận vẫn còn.",
                "Tell the operator to make room, then send it again with the same key; what was acknowledged is there.",
            ),
        )
    if isinstance(error, _AWAY):
        return Busy(
            "Cơ sở dữ liệu tạm thời không phản hồi; hãy thử lại.",
            "The database is away for a moment; try again.",
            retry_after_s=3,
            code="database-away",
        )
    if isinstance(error, _IN_THE_WAY):
        return Busy(
            "Việc này gặp xung đột hoặc quá thời gian chờ; chưa có gì thay đổi.",
            "Others were in the way or it took too long; nothing has changed.",
            retry_after_s=1,
            code="database-contended",
        )
    return None
