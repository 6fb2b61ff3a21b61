"""What has its turn before a ticket: the whole line at one look, for all who want to know within a second.

A line of thousands that is counted anew at each event of each of hundreds of streams costs the square of what waits,
just when most waits; a place in it is an estimate anyway.
"""

import itertools
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from api.db.joining import Joined
from api.db.pools import Pools, Tx
from api.signatures import cutting, store
from api.signatures.rows import Asked, Waiting

FRESH_S: Final = 1.0
REST: Final = 30
"""After each look, so many times as long as it took: however much waits, to look at it takes a thirtieth of a core."""
LONGEST_REST_S: Final = 10.0
Turn = tuple[int, datetime]
"""What the queue goes by within a lane."""


class Line:
    """The work that is asked or has its value, by lane and turn, and how fast it goes."""

    def __init__(self, waiting: Iterable[Waiting], recorded_last_minute: int) -> None:
        """Put it in order."""
        self.rate = cutting.rate(recorded_last_minute)
        self._of_batch: dict[UUID, list[Waiting]] = defaultdict(list)
        self._latest: dict[tuple[str, UUID], int] = {}
        lanes: dict[str, list[tuple[Turn, int]]] = defaultdict(list)
        for one in waiting:
            lanes[one.lane].append(((one.turn, one.since), one.items))
            self._of_batch[one.batch_id].append(one)
            whose = (one.lane, one.person_id)
            self._latest[whose] = max(one.turn, self._latest.get(whose, one.turn))
        self._turns = {lane: sorted(turn for turn, _ in ones) for lane, ones in lanes.items()}
        self._before = {
            lane: list(itertools.accumulate((items for _, items in sorted(ones)), initial=0))
            for lane, ones in lanes.items()
        }

    def ahead(self, ticket: Asked) -> int:
        """Return how many items come before this ticket's: those of lanes that go first, and of earlier turns."""
        own = self._of_batch.get(ticket.id, [])
        place = (ticket.lane, (self._turn_of(ticket, [one for one in own if one.lane == ticket.lane]), ticket.asked_at))
        turns = self._turns.get(ticket.lane, [])
        first = sum(counts[-1] for lane, counts in self._before.items() if lane < ticket.lane)
        in_lane = self._before[ticket.lane][bisect_left(turns, place[1])] if turns else 0
        return first + in_lane - sum(one.items for one in own if (one.lane, (one.turn, one.since)) < place)

    def _turn_of(self, ticket: Asked, own: list[Waiting]) -> int:
        """Return the turn of its first item; of a ticket not judged yet, the one it will get: behind its own person."""
        if own:
            return min(one.turn for one in own)
        turns = self._turns.get(ticket.lane)
        if not turns:
            return 0
        return max(turns[0][0], 1 + self._latest.get((ticket.lane, ticket.person_id), -1))


async def look(tx: Tx) -> Line:
    """Read the line as it is."""
    return Line(await store.waiting(tx), await store.recorded_last_minute(tx))


class Looks:
    """The last look of this process at the line."""

    def __init__(self, pools: Pools) -> None:
        """Look through the read pool."""
        self._joined: Joined[Line] = Joined(pools, "line")
        self._kept: tuple[float, Line] | None = None
        """Until when it is fresh, and the line."""

    async def line(self) -> Line:
        """Return the line as it was a second ago at most, or where thousands wait a few seconds ago.

        Raises:
            Busy: no connection came free within the budget.
        """
        now = time.monotonic()
        if self._kept is None or now > self._kept[0]:
            line = await self._joined.get("line", look)
            ended = time.monotonic()
            self._kept = (ended + max(FRESH_S, min(LONGEST_REST_S, REST * (ended - now))), line)
        return self._kept[1]
