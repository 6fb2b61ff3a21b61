"""Who asks: a persona at a place, with the seat, the chance and the one-time codes that are theirs alone.

The closed model and the open one both play visitors; an act sees nothing else of who performs it.
"""

import os
import random
import time
from pathlib import Path
from typing import ClassVar, Final

from pyotp.totp import TOTP

from loadtests.load.model import BY_NAME
from loadtests.load.plan import Plan, Seat

PART: Final = "MOTCUA_LOAD_PART"
"""`0/2` on the first of two machines that generate: each takes its part of the seats."""
_STEP_S: Final = 30


class Seats:
    """Who has sat down. The processes of one machine take the seats one after another, by files of one directory."""

    _next: ClassVar[dict[str, int]] = {}

    @classmethod
    def number(cls, plan: Plan, persona: str) -> int:
        """Return a number that no other user of this persona has, in any process."""
        part, _, parts = os.environ.get(PART, "0/1").partition("/")
        taken, seats = cls._next.get(persona, 0), Path(plan.out) / "seats"
        seats.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                (seats / f"{persona}-{taken}").touch(exist_ok=False)
            except FileExistsError:
                taken += 1
            else:
                cls._next[persona] = taken + 1
                return int(part) + taken * int(parts)


class Visitor:
    """One user as the acts see them."""

    def __init__(self, plan: Plan, persona: str, number: int) -> None:
        self.plan, self.persona, self.number = plan, BY_NAME[persona], number
        self.chance = random.Random(f"{plan.seed} {persona} {number}")
        seats = plan.seats.get(persona, [])
        self.seat: Seat | None = seats[number % len(seats)] if seats else None
        self.source = self.seat.source if self.seat else plan.sources[number % len(plan.sources)]
        self.token = ""
        self.arrived = False
        self._last_step = 0

    def rest(self) -> float:
        """Return how long this user thinks before the next act, in seconds."""
        return self.chance.uniform(*self.persona.think_s) / self.plan.haste

    def code(self) -> str | None:
        """Return this half minute's one-time code, once; None where it has been used."""
        step = int(time.time()) // _STEP_S
        if self.seat is None or step == self._last_step:
            return None
        self._last_step = step
        return TOTP(self.seat.totp_secret).now()

    def late_code(self, late_s: int) -> str:
        """Return what a telephone shows whose clock is so many seconds late."""
        assert self.seat is not None
        return TOTP(self.seat.totp_secret).at(int(time.time()) - late_s)
