"""A collector of spans by OTLP over HTTP: reads the protobuf it is sent, keeps the spans, may be slow or refuse."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One span as it came; ids are hexadecimal, times nanoseconds of the epoch."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, Any]
    began_ns: int
    ended_ns: int
    failed: bool


class Collector:
    """Listens on a free port of loopback while the block runs."""

    def __init__(self, *, delay_s: float = 0.0, status: int = 200) -> None:
        self.spans: list[Received] = []
        self.messages = 0
        self.url = ""
        self._delay_s = delay_s
        self._status = status
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "Collector":
        app = web.Application(client_max_size=64 << 20)
        app.add_routes([web.post("/v1/traces", self._take)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.messages += 1
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        if self._status != 200:
            return web.Response(status=self._status)
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            self.spans += [_received(service, span) for scope in resource.scope_spans for span in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


def _received(service: str, span: Any) -> Received:
    return Received(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes=_values(span.attributes),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        failed=span.status.code == 2,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
