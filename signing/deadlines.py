"""How much time a piece of work has left, handed down to every call that waits for somebody outside."""

import asyncio
import time
from math import inf
from typing import Final

import msgspec

NO_TIME_LEFT: Final = "no-time-left"
"""The code of a call that was not made, or was broken off, because its work had to end first."""


class Deadline(msgspec.Struct, frozen=True):
    """An instant of this process's monotonic clock, in seconds; without one there is no end."""

    ends: float = inf

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """Return the deadline that is so many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left_s(self) -> float:
        """Return the seconds that are left; never below 0."""
        return max(0.0, self.ends - time.monotonic())

    def sooner(self, seconds: float) -> "Deadline":
        """Return a deadline so many seconds before this one, for what must still be done afterwards."""
        return Deadline(self.ends - seconds)

    def limit(self, at_most_s: float = inf) -> asyncio.Timeout:
        """Return what breaks off a wait at the deadline, or earlier after `at_most_s`, with TimeoutError."""
        left = min(self.left_s(), at_most_s)
        return asyncio.timeout(None if left == inf else left)


WITHOUT_END: Final = Deadline()
