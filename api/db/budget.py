"""How much of the database one piece of work may take: a part of each pool, seconds with a connection, a deadline.

The edge sets a budget per request and class of work; what a process does for itself (start, watchers) has none. Long
tasks begun by a request are started in a context of their own, or they would die with it. The time is measured here,
and a statement that is under way when it is over is cancelled in the server: saying a limit there before each statement
would cost a round trip.
"""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from math import inf
from typing import Final

import msgspec

from api.errors import Busy


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What a class may take of each pool.

    `part` is the largest part of the connections it holds at once, `seconds` how long it may keep one, where the route
    does not say otherwise. Only a class that is `first` may use the part that is kept free of all others. A request
    of a class that `lasts` has no end of its own: a body on a slow line, or a stream.
    """

    part: float
    seconds: float
    first: bool = False
    lasts: bool = False


REQUEST_S: Final = 30.0
"""How many seconds a request may take in all, where its class does not last and its caller waits no less."""


KEPT_FOR_FIRST: Final = 0.25
"""The part of each pool that classes which are not `first` leave alone, however many they are."""

SHARES: Final[Mapping[str, Share]] = {
    "signing": Share(part=1.0, seconds=5.0, first=True),
    "officers": Share(part=0.75, seconds=5.0),
    "citizens": Share(part=0.5, seconds=5.0),
    "uploads": Share(part=0.25, seconds=5.0, lasts=True),
    "reports": Share(part=0.25, seconds=20.0),
    "login": Share(part=0.5, seconds=5.0),
    "streams": Share(part=0.5, seconds=5.0, lasts=True),
}
"""By class of work; the classes and their room at the door are in `api.http.admission`."""


@cache
def share_of(work: str, seconds: float | None) -> Share:
    """Return the share of a route: that of its class, with the route's own seconds where it names them."""
    share = SHARES[work]
    return share if seconds is None else msgspec.structs.replace(share, seconds=seconds)


now: Final = time.monotonic
"""The clock of deadlines: the event loop's own, read without asking which loop runs, which costs a call to the system
each time before Python 3.12."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The budget of one request. `deadline` is a time of the event loop, after which nobody waits for the answer."""

    work: str
    share: Share
    deadline: float | None = None

    def left(self, most: float) -> float:
        """Return how many seconds this may still take, at most `most`.

        Raises:
            Busy: the caller's time is over.
        """
        left = self.seconds_left()
        if left <= 0:
            raise not_enough_time()
        return min(most, left)

    def seconds_left(self) -> float:
        """Return how many seconds are left, which may be none, or fewer than none."""
        return inf if self.deadline is None else self.deadline - now()


current: Final[ContextVar[Budget | None]] = ContextVar("budget", default=None)
"""The budget of the request that runs in this context."""


def not_enough_time() -> Busy:
    """Return the refusal of work whose caller, or whose request's own limit, will not wait for its end."""
    return Busy(
        "Không đủ thời gian để làm xong trong hạn của yêu cầu này; chưa có gì thay đổi.",
        "Not enough time is left to finish within this request's limit; nothing has changed.",
        retry_after_s=1,
        code="not-enough-time",
    )


def took_too_long(seconds: float) -> Busy:
    """Return the refusal of work that kept a connection for longer than its route may."""
    return Busy(
        f"Việc này vượt quá {seconds:g} giây làm việc với cơ sở dữ liệu nên đã dừng; chưa có gì thay đổi.",
        f"This took more than {seconds:g} s with the database and was stopped; nothing has changed.",
        retry_after_s=5,
        code="took-too-long",
    )
