"""How a batch is cut for its key holder, how turns are shared, how long it may take: pure arithmetic."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Final, TypeVar

from api.kernel import VIETNAM, vn_day

T = TypeVar("T")

COUNTER_LANE: Final = 1_000_000
"""Added to the priority of work that a citizen waits for at a counter (công dân đang chờ tại quầy)."""

DOCUMENTS_PER_AUTHORISATION: Final = 200
"""No single authorisation covers more, whatever a holder allows."""


def cut(items: Sequence[T], hashes_per_authorisation: int) -> list[Sequence[T]]:
    """Cut items into the parts that one confirmation each can cover, in order."""
    size = min(hashes_per_authorisation, DOCUMENTS_PER_AUTHORISATION)
    return [items[start : start + size] for start in range(0, len(items), size)]


def confirmations(count: int, hashes_per_authorisation: int) -> tuple[int, int]:
    """Return how many times a person will be asked to confirm, and for how many documents at most each time."""
    size = min(hashes_per_authorisation, DOCUMENTS_PER_AUTHORISATION)
    return -(-count // size), min(count, size)


def turns(count: int, *, floor: int, own_last: int | None, lane: str) -> list[int]:
    """Return the queue priorities of a signatory's next `count` items, so that all signatories share fairly.

    Start-time fair queueing (Goyal, Vin and Cheng 1996): an item's turn is one more than the same person's last
    queued turn, or the turn being served now (`floor`) where that is later. 500 items of one therefore never stand
    before the single item of another. A higher priority goes first, so turns are negative.
    """
    first = floor if own_last is None else max(floor, own_last + 1)
    base = COUNTER_LANE if lane == "counter" else 0
    return [base - turn for turn in range(first, first + count)]


def turn_of(priority: int) -> int:
    """Return the turn that a priority of `turns` stands for."""
    return -priority if priority <= 0 else COUNTER_LANE - priority


def authorised_until(at: datetime) -> datetime:
    """Return the next midnight in Vietnam: until then a given authorisation may be used for its digests."""
    return datetime.combine(vn_day(at) + timedelta(days=1), time(0), VIETNAM)


def preparation_is_stale(prepared_at: datetime, at: datetime, window: timedelta) -> bool:
    """Tell whether a preparation is too old to leave: older than its window, or from another Vietnamese day."""
    return at - prepared_at > window or vn_day(prepared_at) != vn_day(at)


def rate(recorded_last_minute: int) -> float:
    """Return signatures a second as last measured; ten, the slowest that was ever planned for, where nothing ran."""
    return recorded_last_minute / 60 or 10.0


def estimate_seconds(ahead: int, own: int, per_second: float) -> int:
    """Return an honest guess at the seconds until the last own item is signed, the holder's person not counted."""
    return max(1, round((ahead + own) / max(per_second, 0.5)))
