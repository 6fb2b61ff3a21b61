"""What Locust reads: the personas in the shape of the plan. Its own page and its distributed mode work with it as well.

MOTCUA_LOAD_PLAN=var/load/run/plan.json locust -f loadtests/load/locustfile.py [--master | --worker]
"""

import gc
import itertools
from functools import cache
from pathlib import Path
from typing import Any, Final

import gevent
from locust import LoadTestShape, argument_parser, events
from locust.runners import MasterRunner

from loadtests.load.model import FIXED, cast
from loadtests.load.notes import TICK_S, Book
from loadtests.load.people import PLAN, Person
from loadtests.load.shapes import SHAPES, level_at
from loadtests.load.tickets import Desk

# Locust 2.47 makes its whole command line anew for each of its options whenever a worker is told how many users there
# shall be: half of a generator's time during a ramp, and seconds in which none of its users moves.
argument_parser.default_args_dict = cache(argument_parser.default_args_dict)

FEW = 200
"""Up to so many users the mix is kept exactly, so that nobody is missing."""
SPARE_TICKS: Final = 100
"""How often those who have come are spared from the garbage collector, which else goes through thousands of them."""
STOP_P95_MS, STOP_ERRORS, STOP_TICKS = 2_000, 0.05, 10
_SHAPE = SHAPES[PLAN.shape]
_CAST = cast(PLAN.users, {name: len(seats) for name, seats in PLAN.seats.items()}, _SHAPE.only)


def _user(persona: str, weight: int) -> type[Person]:
    """Return the class of one persona's users, as Locust wants one."""
    users = type(persona, (Person,), {"persona": persona, "weight": weight})
    if persona in FIXED or PLAN.users <= FEW:
        users.fixed_count = weight
    return users


globals().update({f"User{number}": _user(*one) for number, one in enumerate(_CAST.items())})


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
    if getattr(Person, "book", None) is None and not isinstance(environment.runner, MasterRunner):
        Person.book, Person.desk = Book(Path(PLAN.out)), Desk(PLAN.keys)
        gevent.spawn(_watch, environment.runner)


def _watch(runner: Any) -> None:
    for tick in itertools.count(1):
        gevent.sleep(TICK_S)
        if tick % SPARE_TICKS == 0:
            gc.collect(1)
            gc.freeze()
        if Person.book.beat(runner.user_count):
            for person in list(Person.all):
                person.cut()


@events.user_error.add_listener
def note_error(**_: Any) -> None:
    """Note an error of this suite itself."""
    Person.book.health.missing += 1


@events.quitting.add_listener
def end(**_: Any) -> None:
    """Write what is left."""
    if getattr(Person, "book", None) is not None:
        Person.book.save()
