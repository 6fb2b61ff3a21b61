"""The shapes of the load as data: how many users at which moment, and why. Pure: time is an argument.

`--users` is the number of users at the peak, and every level is scaled with it; `--minutes` is how long the peak is
held, and the ramps come on top.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

RAMP_S: Final = 120.0
SIGNATORIES: Final = ("phone-signatory", "token-signatory")
"""The personas with desks."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A level as part of the peak: reached in `ramp` ramps' time, and held for `hold` holds."""

    level: float
    ramp: float = 1.0
    hold: float = 0.0


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One course of a load."""

    name: str
    peak: int
    minutes: float
    stages: tuple[Stage, ...]
    why: str
    only: tuple[str, ...] = ()
    """Personas of this shape; all where there are none named."""
    breaks: bool = False
    """Goes beyond what is promised: errors are looked at, not forbidden."""
    pinned: bool = False
    """Product and PostgreSQL are held to one processor, the generators to another: what capacity is measured by."""
    expects: tuple[str, ...] = ()
    """Operations without which the shape has not shown what it is for, beside those of its personas."""
    desks: bool = False
    """What lies on the desks is measured out by what can be signed in the minutes."""
    faults: bool = False
    """Those of `faults.py` happen one after the other while the peak is held."""
    twice: float = 0.1
    """Part of what the portal hands in that comes a second time under its key."""
    open: bool = False
    """Requests come when they are due, whoever still waits: the peak is the connections that stand open beside them."""


class Level(msgspec.Struct, frozen=True):
    """How many users shall be on, and how fast they come, per second."""

    users: int
    rate: float


_B, _A = 1_500 / 12_300, 6_000 / 12_300
SHAPES: Final[Mapping[str, Shape]] = {
    shape.name: shape
    for shape in (
        Shape(name="before", peak=1_500, minutes=10, stages=(Stage(level=1, hold=1),),
              why="a quarter of 6,000: the average before the merger"),
        Shape(name="average", peak=6_000, minutes=10, stages=(Stage(level=1, hold=1),),
              why="the average after the merger, as it was published"),
        Shape(name="merger-day", peak=12_300, minutes=10,
              stages=(Stage(level=_B, hold=0.2), Stage(level=_A, hold=0.2), Stage(level=1, hold=1),
                      Stage(level=_A, hold=0.2)),
              why="1,500 -> 6,000 -> 12,300 -> 6,000: the day itself, the peak as it was published"),
        Shape(name="day", peak=12_300, minutes=20,
              stages=(Stage(level=0.8, hold=0.2), Stage(level=0.4, hold=0.15), Stage(level=0.15, hold=0.1),
                      Stage(level=0.7, hold=0.2), Stage(level=1, hold=0.2), Stage(level=0.1, hold=0.1)),
              why="07:30 all wards open, noon's trough, 13:30, signing from 16:00 to 17:00; a day in 20 minutes"),
        Shape(name="spike", peak=6_000, minutes=5,
              stages=(Stage(level=0.2, hold=0.4), Stage(level=1, ramp=0.1, hold=0.4),
                      Stage(level=0.2, ramp=0.1, hold=0.6)),
              why="five times as many at once; within 60 s after it p95 is back to +20 %"),
        Shape(name="morning", peak=12_300, minutes=10, stages=(Stage(level=1, ramp=5, hold=0.1),),
              why="12,300 first visits in ten minutes, cold, of which at most 3,960 staff log-ins"),
        Shape(name="signing-storm", peak=396, minutes=15, stages=(Stage(level=1, ramp=0.1, hold=1),),
              only=(*SIGNATORIES, "clerk"), desks=True,
              expects=("counter item sealed", "signed after the tap"),
              why="all 297 signatories and 99 clerks at once; 44,550 results are extrapolated from the rate"),
        Shape(name="portal-outage", peak=170, minutes=10, stages=(Stage(level=1, ramp=0.1, hold=1),),
              only=("portal",), twice=1.0,
              why="what the portal kept for two hours: 5,000 dossiers in ten minutes, twice each and out of order"),
        Shape(name="log-ins", peak=500, minutes=5, stages=(Stage(level=1, ramp=0.1, hold=1),),
              only=("entering", "late-phone"),
              why="every session has ended: 12 log-ins a second, a quarter with a wrong password; late telephones"),
        Shape(name="open", peak=12_300, minutes=10, stages=(Stage(level=1, hold=1),), open=True,
              why="1,000 requests a second come when they are due, beside 12,300 connections that stand open"),
        Shape(name="soak", peak=6_000, minutes=60, stages=(Stage(level=1, hold=1),),
              why="an hour: the last ten minutes against minutes 10 to 20"),
        Shape(name="break", peak=24_600, minutes=20,
              stages=tuple(Stage(level=n / 10, ramp=0.1, hold=0.1) for n in range(1, 11)),
              pinned=True, breaks=True, why="up to twice the peak in ten steps, until the knee stops it"),
        Shape(name="faults", peak=1_500, minutes=30, stages=(Stage(level=1, hold=1),), breaks=True,
              faults=True,
              why="each fault has a start, a stop after 30 s, a cool-down of 60 s and an effect that is said before"),
    )
}  # fmt: skip


def duration_s(shape: Shape, minutes: float, ramp_s: float = RAMP_S) -> float:
    """Return how long the whole takes."""
    return sum(stage.ramp * ramp_s + stage.hold * minutes * 60 for stage in shape.stages)


def peak_of(shape: Shape, minutes: float, ramp_s: float = RAMP_S) -> tuple[float, float]:
    """Return what is judged, in seconds from the start: the hold of the highest level, with a ramp that is longer."""
    at, best, found = 0.0, -1.0, (0.0, 0.0)
    for stage in shape.stages:
        ramp, held = stage.ramp * ramp_s, stage.hold * minutes * 60
        if stage.level > best:
            best, found = stage.level, (at if ramp > held else at + ramp, at + ramp + held)
        at += ramp + held
    return found


def level_at(shape: Shape, users: int, minutes: float, at_s: float, ramp_s: float = RAMP_S) -> Level | None:
    """Return the level at a moment, or None once the shape has ended."""
    before, began = 0.0, 0.0
    for stage in shape.stages:
        ramp, hold = stage.ramp * ramp_s, stage.hold * minutes * 60
        rate = max(1.0, abs(stage.level - before) * users / max(ramp, 1.0) * 1.5)
        if at_s < began + ramp:
            part = (at_s - began) / ramp
            return Level(max(1, round(users * (before + (stage.level - before) * part))), rate)
        if at_s < began + ramp + hold:
            return Level(max(1, round(users * stage.level)), rate)
        before, began = stage.level, began + ramp + hold
    return None
