"""Spans of work under one trace id (W3C Trace Context), from a request through jobs to the call of a key holder.

The ids travel always, since logs, audit rows and outgoing calls name them; a span itself leaves the process only where
a receiver was set, and without one nothing of OpenTelemetry is loaded. A span's attributes are ids and counts.

The span id of a piece of work that others must name (a ticket, a first run of a job, a holder's transaction) is made
from its own id: any process can say what is its parent or its link, and nothing is stored for it.
"""

import os
import random
import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from hashlib import sha256
from types import TracebackType
from typing import Final, Literal, Protocol, Self

import msgspec
import structlog

Kind = Literal["internal", "server", "client", "consumer"]
Attribute = str | int | float | bool

_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED: Final = 1


class Place(msgspec.Struct, frozen=True):
    """One span as others name it: the trace it belongs to (32 hexadecimal digits) and its own id (16)."""

    trace_id: str
    span_id: str
    sampled: bool = True
    """What a caller asked for; work of our own is always worth keeping."""

    @property
    def traceparent(self) -> str:
        """The header that carries this place to another service."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


class Receiver(Protocol):
    """Takes ended spans; it neither blocks nor raises."""

    def take(self, span: "Span") -> None:
        """Take one span, or count that it was dropped."""
        ...


class _State:
    receiver: Receiver | None = None


_here: ContextVar[Place | None] = ContextVar("motcua_here", default=None)
_origin: ContextVar[Place | None] = ContextVar("motcua_origin", default=None)


def send_to(receiver: Receiver | None) -> None:
    """Give every span that ends from now on to a receiver; None gives them to nobody."""
    _State.receiver = receiver


def are_sent() -> bool:
    """Tell whether anybody takes spans here; where not, none need be made."""
    return _State.receiver is not None


def here() -> Place | None:
    """Return the span in which this code runs."""
    return _here.get()


def origin() -> str | None:
    """Return the traceparent that work ordered now is to carry.

    It is the request's or the ticket's and not that of the job that orders: the stages of a ticket stand side by side.
    """
    place = _origin.get()
    return place.traceparent if place else None


def read(traceparent: str | None) -> Place | None:
    """Read a `traceparent` header (W3C Trace Context, level 1); None where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    return Place(found[1], found[2], bool(int(found[3], 16) & _SAMPLED)) if found else None


def place_of(trace_id: str | None, *names: object) -> Place | None:
    """Return the place of a piece of work that is known by these names, or None where its trace is not known."""
    return Place(trace_id, _made_of(names)) if trace_id and len(trace_id) == 32 else None


def _made_of(names: Sequence[object]) -> str:
    return sha256(":".join(str(name) for name in names).encode()).hexdigest()[:16]


_draw: Final = random.Random(os.urandom(32)).getrandbits  # noqa: S311 - ids that anybody may see, drawn for each request


def _drawn(size: int) -> str:
    return f"{_draw(8 * size):0{2 * size}x}"


def new_place(caller: Place | None) -> Place:
    """Return the place of a request: in the caller's trace, or in a new one that nobody has asked for."""
    if caller is not None:
        return Place(caller.trace_id, _drawn(8), caller.sampled)
    drawn = _drawn(24)
    return Place(drawn[16:], drawn[:16], sampled=False)


def enter(place: Place) -> None:
    """Let the rest of this task run in a place."""
    _here.set(place)
    _origin.set(place)


@contextmanager
def carrying(place: Place | None) -> Generator[None]:
    """Run a block in the place of other work, such as the ticket it is for; log lines name its trace."""
    if place is None:
        yield
        return
    tokens = _here.set(place), _origin.set(place)
    try:
        with structlog.contextvars.bound_contextvars(trace_id=place.trace_id):
            yield
    finally:
        _here.reset(tokens[0])
        _origin.reset(tokens[1])


class Span:
    """One piece of work: `with Span("signatures.record"): ...`; an exception that leaves the block marks it failed."""

    __slots__ = (
        "_tokens",
        "attributes",
        "began_ns",
        "ended_ns",
        "failed",
        "kind",
        "links",
        "name",
        "parent",
        "place",
        "quiet",
    )

    def __init__(
        self,
        name: str,
        *,
        parent: Place | None = None,
        known_as: Place | None = None,
        kind: Kind = "internal",
        links: Sequence[Place] = (),
        attributes: Mapping[str, Attribute] | None = None,
        began_ns: int | None = None,
    ) -> None:
        """Begin a span; one that nobody has placed stands in what runs here. `began_ns` is nanoseconds of the epoch."""
        self.name = name
        self.parent = parent if parent or known_as else _here.get()
        trace_id = self.parent.trace_id if self.parent else _drawn(16)
        self.place = known_as or Place(trace_id, _drawn(8))
        self.kind: Kind = kind
        self.links = tuple(links)
        self.attributes: dict[str, Attribute] = dict(attributes or {})
        self.began_ns = time.time_ns() if began_ns is None else began_ns
        self.ended_ns = 0
        self.failed: str | None = None
        self.quiet = False
        """True keeps the span here: one of many looks that found nothing new."""
        self._tokens: list[tuple[ContextVar[Place | None], Token[Place | None]]] = []

    def __enter__(self) -> Self:
        self._tokens = [(_here, _here.set(self.place))]
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        for variable, token in reversed(self._tokens):
            variable.reset(token)
        self.end(kind.__name__ if kind else None)

    def known_as(self, *names: object) -> None:
        """Give this span the id that its piece of work is known by, and let work ordered from here on hang on it."""
        self.place = Place(self.place.trace_id, _made_of(names))
        self._tokens += [(_here, _here.set(self.place)), (_origin, _origin.set(self.place))]

    def end(self, failed: str | None = None) -> None:
        """End the span; `failed` is the kind of an error, never its text, which could hold somebody's data."""
        self.failed = failed or self.failed
        self.ended_ns = time.time_ns()
        if _State.receiver is not None and not self.quiet:
            _State.receiver.take(self)


@contextmanager
def job(kind: str, key: str, carried: str | None, *, run: int) -> Generator[Span]:
    """Run a job in the trace of what ordered it; its first run is known by its key, so that others may link to it."""
    parent = read(carried)
    place = place_of(parent.trace_id if parent else None, "job", key) if run == 1 else None
    span = Span(kind, parent=parent, known_as=place, kind="consumer", attributes={"job.key": key, "job.run": run})
    with carrying(parent or span.place), span:
        yield span


def job_place(trace_id: str | None, key: str) -> Place | None:
    """Return the place of the first run of a job, to link to it."""
    return place_of(trace_id, "job", key)
