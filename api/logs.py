"""Structured logs as JSON lines on stderr: what happened, with the trace id, and no personal data.

Every process sets this up once. What a piece of work binds to the context (`bind`) stands in each of its lines and is
what `api.audit` takes as the trace id and the source of a row.
"""

import asyncio
import logging
import re
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

bind = structlog.contextvars.bind_contextvars

PERSONAL: Final = frozenset(
    {"password", "secret", "token", "authorization", "cookie", "full_name", "phone", "email", "id_number", "address"}
)
_ID_NUMBER: Final = re.compile(r"(?<![0-9a-zA-Z-])0\d{11}(?![0-9a-zA-Z-])")
"""Twelve digits that begin with 0: a personal identity number (số định danh cá nhân, Decree 137/2015)."""


def set_up(process: str, *, level: int = logging.INFO) -> None:
    """Write JSON lines from here on; libraries' own loggers go the same way from warning upwards."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _with_process(process),
            without_personal_data,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[Forward()], level=logging.WARNING, force=True)


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """One answered request: a route's template and ids, nothing a person typed, so there is nothing to take out."""

    method: str
    route: str
    status: int
    ms: float
    account_id: UUID | None
    trace_id: str
    source: str | None
    problem: str | None = None
    event: str = "request"
    level: str = "info"
    process: str = "api"
    timestamp: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


_ended: Final[list[RequestLine]] = []
_lines: Final = msgspec.json.Encoder()


def write_request(line: RequestLine) -> None:
    """Write the line of a request, past the processors, with those of all that end in this turn of the event loop."""
    if not _ended:
        asyncio.get_running_loop().call_soon(_write_ended)
    _ended.append(line)


def _write_ended() -> None:
    sys.stderr.write(_lines.encode_lines(_ended).decode())
    _ended.clear()


def without_personal_data(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out values whose key announces personal data, and identity numbers wherever they stand in a text."""
    for key, value in event.items():
        if key in PERSONAL:
            event[key] = "…"
        elif isinstance(value, str):
            event[key] = _ID_NUMBER.sub("…", value)
    return event


def _with_process(process: str) -> Any:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    return add


def _as_json(event: Any, **_options: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


class Forward(logging.Handler):
    """Sends what libraries log through the same processors."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as a JSON line."""
        logger = structlog.get_logger(record.name)
        logger.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
