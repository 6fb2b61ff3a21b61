"""What a handler knows of its job, and how it gives up; the queue's library is for `runner` alone."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import msgspec


class JobContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler may know of its job. `claim` fences: a later claim means that somebody else took over.

    At `ends_at`, an instant of the monotonic clock in seconds, this run is broken off.
    """

    kind: str
    key: str
    claim: int
    failures: int
    ends_at: float = inf


class Park(Exception):
    """Raised by a handler for work that no repetition can mend; the text is the named reason, without personal data."""


Handler = Callable[[JobContext, dict[str, Any]], Awaitable[None]]
