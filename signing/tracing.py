"""The trace that a call to the outside belongs to (W3C Trace Context): set by the caller, sent by each key holder."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_traceparent: ContextVar[str] = ContextVar("signing_traceparent", default="")


@contextmanager
def outgoing(traceparent: str) -> Generator[None]:
    """Let every call made in this block bear a trace."""
    token = _traceparent.set(traceparent)
    try:
        yield
    finally:
        _traceparent.reset(token)


def headers() -> dict[str, str]:
    """Return what a call to the outside adds to its headers."""
    traceparent = _traceparent.get()
    return {"traceparent": traceparent} if traceparent else {}
