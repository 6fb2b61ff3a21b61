"""What the driver's exceptions mean to a caller, so that nobody above the database imports the driver."""

import asyncpg

from api.errors import Busy, Invalid, MotcuaError

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
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
