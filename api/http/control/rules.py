"""What the operator's mode refuses, and how often somebody may ask. Pure: time is an argument."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import ceil
from typing import Final, Literal
from uuid import UUID

import msgspec

from api.errors import Busy

ModeName = Literal["normal", "read-only", "maintenance"]
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_AGAIN_S: Final = 60
"""When to come again where the operator gave no end, or the one given has passed."""
_SOONEST_S: Final = 5


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """What the API answers: everything, reading alone, or only that it is being maintained, and why."""

    mode: ModeName = "normal"
    reason: str | None = None
    until: datetime | None = None
    since: datetime | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How often: `per_second` in the long run, `burst` at once."""

    per_second: float
    burst: int


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that differs from the default: of one agency or of every one, for one class of work or for each."""

    agency_id: UUID | None
    work: str | None
    per_second: float
    burst: int


AGENCY: Final[Mapping[str, Limit]] = {
    "signing": Limit(per_second=60, burst=600),
    "officers": Limit(per_second=200, burst=1500),
    "uploads": Limit(per_second=20, burst=200),
    "reports": Limit(per_second=1, burst=10),
    "streams": Limit(per_second=50, burst=600),
}
"""Per agency and process: a ward has about 60 accounts of 2 to 5 tabs, which all come back at once after a cut."""

ACCOUNT: Final[Mapping[str, Limit]] = {
    "signing": Limit(per_second=10, burst=200),
    "officers": Limit(per_second=30, burst=300),
    "uploads": Limit(per_second=5, burst=60),
    "reports": Limit(per_second=0.5, burst=5),
    "streams": Limit(per_second=5, burst=50),
}
"""Per account and process, so that one runaway page does not use up what its agency may."""

CALLER: Final[Mapping[str, Limit]] = {
    "citizens": Limit(per_second=10, burst=100),
    "uploads": Limit(per_second=2, burst=40),
    "officers": Limit(per_second=50, burst=500),
}
"""Per address *and* what is asked for (a dossier's code, or the route): everybody in a ward shares one address.

Log-in is in none of these tables: it counts failures by account and address, and queues for its hashing.
"""


def refusal(mode: Mode, *, method: str, stays_open: bool, at: datetime) -> Busy | None:
    """Return why a request is refused in this mode, or None where it is not; `stays_open` marks log-in and log-out."""
    reading = method in SAFE or stays_open
    if mode.mode == "normal" or (mode.mode == "read-only" and reading):
        return None
    left = (mode.until - at).total_seconds() if mode.until else 0
    wait = max(_SOONEST_S, ceil(left)) if left > 0 else _AGAIN_S
    vi, en = _SAID[mode.mode]
    return Busy(
        f"{vi}: {mode.reason}.",
        f"{en}: {mode.reason}.",
        retry_after_s=wait,
        code=mode.mode,
        next_step=(
            "Thử lại sau thời điểm nêu trên với cùng khóa yêu cầu.",
            "Try again after the time given, with the same key.",
        ),
        reason=mode.reason,
        until=mode.until,
    )


_SAID: Final[Mapping[ModeName, tuple[str, str]]] = {
    "read-only": ("Hệ thống tạm thời chỉ cho xem, chưa nhận thay đổi", "Only reading is possible for a while"),
    "maintenance": ("Hệ thống đang bảo trì", "The system is being maintained"),
}


class Buckets:
    """Token buckets by key in bounded memory; of too many, the one unused for longest is forgotten, that is full again.

    Each is a single instant: when it would be full (the generic cell rate algorithm, ITU-T I.371).
    """

    def __init__(self, most: int = 20_000) -> None:
        """Keep at most so many."""
        self._most = most
        self._full_at: OrderedDict[tuple[object, ...], float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._full_at)

    def take(self, key: tuple[object, ...], limit: Limit, now: float) -> float:
        """Take one token; return 0, or in how many seconds there will be one (then none is taken)."""
        step = 1 / limit.per_second
        full_at = max(self._full_at.get(key, now), now)
        wait = full_at + step - now - limit.burst * step
        if wait > 1e-9:
            return wait
        self._full_at[key] = full_at + step
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0

    def clear(self) -> None:
        """Forget all: they are counted anew under other limits."""
        self._full_at.clear()


def chosen(overrides: Iterable[Override], agency_id: UUID, work: str) -> Limit | None:
    """Return the agency's limit for a class of work: the narrowest override, else the default, else none at all."""
    found = [one for one in overrides if one.agency_id in (agency_id, None) and one.work in (work, None)]
    if not found:
        return AGENCY.get(work)
    narrowest = max(found, key=lambda one: (one.agency_id is not None, one.work is not None))
    return Limit(per_second=narrowest.per_second, burst=narrowest.burst)


def too_often(wait_s: float, *, of: Literal["agency", "account", "caller"], work: str) -> Busy:
    """Return the refusal of somebody who asks too often (429)."""
    vi, en = _WHO[of]
    return Busy(
        f"{vi} gửi yêu cầu loại này quá dồn dập; yêu cầu chưa được xử lý.",
        f"{en} for this kind of work; the request was not processed.",
        retry_after_s=max(1, ceil(wait_s)),
        code="rate-limited",
        limit_of=of,
        work=work,
    )


_WHO: Final = {
    "agency": ("Cơ quan của bạn", "Your agency asks too often"),
    "account": ("Tài khoản của bạn", "Your account asks too often"),
    "caller": ("Địa chỉ này", "This address asks too often"),
}
