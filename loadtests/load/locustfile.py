"""What Locust reads: the personas in the shape of the plan. Its own page and its distributed mode work with it as well.

MOTCUA_LOAD_PLAN=var/load/run/plan.json locust -f loadtests/load/locustfile.py [--master | --worker]
"""

from pathlib import Path
from typing import Any

import gevent
from locust import LoadTestShape, events
from locust.runners import MasterRunner

from loadtests.load.citizens import Impatient, Portal, Submitter, Tracker
from loadtests.load.model import FIXED, cast
from loadtests.load.notes import Book
from loadtests.load.officials import Clerk, Head, Officer, PhoneSignatory, Reader
from loadtests.load.people import PLAN, Crew, Person
from loadtests.load.shapes import SHAPES, level_at

FEW = 200
"""Up to so many users the mix is kept exactly, so that nobody is missing."""
STOP_P95_MS, STOP_ERRORS, STOP_TICKS = 2_000, 0.05, 10
_SHAPE = SHAPES[PLAN.shape]
_CAST = cast(PLAN.users, {name: len(seats) for name, seats in PLAN.seats.items()}, _SHAPE.only)


def _weigh() -> None:
    """Give each persona its part; those who are not in this shape are hidden from Locust."""
    for kind in (Tracker, Submitter, Portal, Officer, PhoneSignatory, Clerk, Head, Reader, Impatient):
        kind.abstract = kind.persona not in _CAST
        kind.weight = _CAST.get(kind.persona, 0)
        if kind.persona in FIXED or PLAN.users <= FEW:
            kind.fixed_count = kind.weight


_weigh()


class Course(LoadTestShape):
    """The plan's shape as Locust asks for it."""

    _bad = 0

    def tick(self) -> tuple[int, float] | None:
        if _SHAPE.name == "break" and self._beyond_bearing():
            return None
        level = level_at(_SHAPE, PLAN.users, PLAN.minutes, self.get_run_time(), PLAN.ramp_s)
        return (level.users, level.rate) if level is not None else None

    def _beyond_bearing(self) -> bool:
        """The stop rule of a ramp: so many ticks on end with a p95 or a part of errors that nobody would bear."""
        total = self.runner.stats.total if self.runner is not None else None
        if total is None or not total.num_requests:
            return False
        slow = (total.get_current_response_time_percentile(0.95) or 0) > STOP_P95_MS
        wrong = total.current_fail_per_sec > STOP_ERRORS * max(total.current_rps, 1.0)
        self._bad = self._bad + 1 if slow or wrong else 0
        return self._bad >= STOP_TICKS


@events.test_start.add_listener
def begin(environment: Any, **_: Any) -> None:
    """Open this process's book and begin to watch the process itself."""
    if getattr(Crew, "book", None) is None and not isinstance(environment.runner, MasterRunner):
        Crew.book = Book(Path(PLAN.out))
        gevent.spawn(Crew.book.watch, lambda: environment.runner.user_count)


@events.user_error.add_listener
def note_error(**_: Any) -> None:
    """Note an error of this suite itself."""
    Crew.book.health.missing += 1


@events.quitting.add_listener
def end(**_: Any) -> None:
    """Write what is left."""
    if getattr(Crew, "book", None) is not None:
        Crew.book.save()


__all__ = [
    "Clerk",
    "Course",
    "Head",
    "Impatient",
    "Officer",
    "Person",
    "PhoneSignatory",
    "Portal",
    "Reader",
    "Submitter",
    "Tracker",
]
