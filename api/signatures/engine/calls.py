"""Calls to key holders, each in its ticket's trace, timed and counted; and whether a holder can be reached at all."""

import asyncio
import time
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram

from api.jobs.queue import claim_key
from api.signatures.engine import rows
from api.signatures.engine.context import Engine
from api.signatures.engine.judging import prepare_job
from api.telemetry import spans
from signing import tracing
from signing.errors import HolderRefused, SigningError

_SECONDS: Final = Histogram(
    "motcua_holder_seconds",
    "Seconds that a call to a key holder took.",
    ["holder", "call"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
_ERRORS: Final = Counter("motcua_holder_errors", "Calls that a key holder did not answer in order.", ["holder", "kind"])
_UP: Final = Gauge("motcua_holder_up", "Whether the last call to a key holder was answered.", ["holder"])
_LAST: Final = Gauge(
    "motcua_holder_last_answer_timestamp_seconds",
    "When a key holder last answered, in seconds of the epoch.",
    ["holder"],
)

QUIET_FOR_S: Final = 15.0
"""A holder that nobody has called for so long is called, so that its silence is known before a person needs it."""
LIMIT_S: Final = 10.0
_called: dict[str, float] = {}


@contextmanager
def calling(holder: str, call: str, parent: spans.Place | None = None) -> Generator[spans.Span]:
    """Make one call: its span goes out as `traceparent`; a refusal is an answer, silence and nonsense are none."""
    span = spans.Span(f"holder.{call}", parent=parent, kind="client", attributes={"holder": holder})
    began = _called[holder] = time.monotonic()
    answered = True
    with span, tracing.outgoing(span.place.traceparent):
        try:
            yield span
        except HolderRefused:
            raise
        except (SigningError, TimeoutError) as error:
            answered = False
            _ERRORS.labels(holder, type(error).__name__).inc()
            raise
        finally:
            _SECONDS.labels(holder, call).observe(time.monotonic() - began)
            _UP.labels(holder).set(answered)
            if answered:
                _LAST.labels(holder).set_to_current_time()


def ticket(batch_id: UUID, trace_id: str | None) -> AbstractContextManager[None]:
    """Run a block in the trace of a ticket; work ordered in it stands beside the ticket's other stages."""
    return spans.carrying(spans.place_of(trace_id, "ticket", batch_id))


def place(transaction: rows.Transaction) -> spans.Place | None:
    """Return where a transaction stands in its ticket's trace."""
    return spans.place_of(transaction.trace_id, "transaction", transaction.id)


def prepared(batch_id: UUID, trace_id: str | None, items: Iterable[rows.SentItem | rows.Ready]) -> list[spans.Place]:
    """Return the places of the jobs that prepared these items: what one transaction carries, it links to."""
    jobs = (prepare_job(item.id, item.attempt - 1, batch_id, 0) for item in items)
    places = (spans.job_place(trace_id, claim_key(job.kind, job.key)) for job in jobs)
    return [place for place in places if place is not None]


def ended(transaction: rows.Transaction, outcome: str, items: Iterable[rows.SentItem]) -> None:
    """Leave the span of a whole transaction, from its start to the holder's last word."""
    span = spans.Span(
        "holder.transaction",
        parent=spans.place_of(transaction.trace_id, "ticket", transaction.batch_id),
        known_as=place(transaction),
        links=prepared(transaction.batch_id, transaction.trace_id, items),
        attributes={
            "holder": transaction.holder,
            "holder.transaction": transaction.id,
            "outcome": outcome,
            "polls": transaction.polls,
        },
        began_ns=int(transaction.started_at.timestamp() * 1e9),
    )
    span.end(None if outcome == "signed" else outcome)


async def knock(engine: Engine) -> None:
    """Call each holder that has not been called for a while; what it says does not matter."""
    for name, holder in engine.holders.items():
        if time.monotonic() - _called.get(name, -QUIET_FOR_S) < QUIET_FOR_S:
            continue
        with suppress(SigningError, TimeoutError), calling(name, "knock") as span:
            span.quiet = True
            async with asyncio.timeout(LIMIT_S):
                await holder.poll("mc-check")
