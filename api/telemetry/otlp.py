"""Sending spans to a collector by OTLP over HTTP, from a thread of its own; loaded only where a collector is set.

Whoever ends a span puts it into a bounded queue and goes on: a collector that is slow or gone costs spans, which are
counted, and never a request or a signature.
"""

import logging
import queue
import threading
import time
from importlib.metadata import version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from prometheus_client import Counter

from api.telemetry.spans import Place, Span

_SPANS: Final = Counter("motcua_spans", "Spans by what became of them: sent, dropped, failed.", ["fate"])
_SENT, _DROPPED, _FAILED = (_SPANS.labels(fate) for fate in ("sent", "dropped", "failed"))

HELD: Final = 2048
"""Spans that may wait; the next is dropped."""
AT_ONCE: Final = 128
"""Spans of one message: encoding them holds the interpreter for about a millisecond, which the event loop feels."""
GATHER_S: Final = 1.0
TIMEOUT_S: Final = 5.0
LAST_S: Final = 2.0
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_KINDS: Final = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}


class Sender:
    """Takes spans from any thread and sends them from its own."""

    def __init__(self, url: str, process: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Send to a collector's base address, such as http://collector:4318, as `motcua-<process>`."""
        logging.getLogger("opentelemetry").setLevel(
            logging.CRITICAL
        )  # what fails is counted, not written a thousandfold
        self._resource = Resource({"service.name": f"motcua-{process}", "service.version": version("motcua")})
        self._scope = InstrumentationScope("motcua", version("motcua"))
        self._exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=timeout_s)
        self._held: queue.Queue[Span | None] = queue.Queue(HELD)
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def take(self, span: Span) -> None:
        """Keep one span for sending, or count it as dropped."""
        try:
            self._held.put_nowait(span)
        except queue.Full:
            _DROPPED.inc()

    def close(self) -> None:
        """Send what is held, for at most two seconds."""
        try:
            self._held.put(None, timeout=LAST_S / 2)
        except queue.Full:
            pass
        else:
            self._thread.join(LAST_S)
        self._exporter.shutdown()

    def _run(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            if batch:
                self._send(batch)

    def _gather(self) -> tuple[list[Span], bool]:
        """Return the next spans to send, and whether more may come."""
        batch: list[Span] = []
        until = time.monotonic() + GATHER_S
        while len(batch) < AT_ONCE:
            try:
                span = self._held.get(timeout=max(until - time.monotonic(), 0.001))
            except queue.Empty:
                break
            if span is None:
                return batch, False
            batch.append(span)
        return batch, True

    def _send(self, batch: list[Span]) -> None:
        try:
            outcome = self._exporter.export([self._readable(span) for span in batch])
        except Exception:  # noqa: BLE001 - whatever the sending raises, the thread goes on and the spans are counted
            outcome = SpanExportResult.FAILURE
        (_SENT if outcome is SpanExportResult.SUCCESS else _FAILED).inc(len(batch))

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.place),
            parent=_context(span.parent) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            links=[Link(_context(place)) for place in span.links],
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR, span.failed) if span.failed else Status(StatusCode.UNSET),
            start_time=span.began_ns,
            end_time=span.ended_ns,
            instrumentation_scope=self._scope,
        )


def _context(place: Place) -> SpanContext:
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=False, trace_flags=_SAMPLED)
