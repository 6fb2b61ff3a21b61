"""A running system seen from outside: one trace of one signature over three real processes and a remote signer, in a
collector, in logs, answers and audit; the operators' commands; every metric that an alert or the dashboard names."""

import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys
import time
from unittest import mock

import aiohttp
import httpx
import msgspec
import pytest
import pytest_asyncio

from api.cli import main
from api.embedded.walk import Walk
from api.telemetry import otlp, spans
from loadtests.outside.collector import Collector
from tests.dossier_ground import copied
from tests.server import Official, serving
from tests.signer_process import ROOT

pytestmark = pytest.mark.timeout(240)

STAGES = ("signatures.judge", "signatures.prepare", "signatures.send", "holder.transaction", "signatures.finish")
PERSONAL = re.compile(r"Nguyễn|Trần|@|chutich|kynhay|(?<!\w)0\d{11}(?!\w)")


class Tracked(Official):
    """An official whose calls bear a trace of the test's own."""

    trace: str | None = None

    async def call(self, method, path, body=None):
        if self.trace and (method, path) == ("POST", "/signature-batches"):
            self._headers["traceparent"] = f"00-{self.trace}-00f067aa0ba902b7-01"
        return await super().call(method, path, body)


@pytest_asyncio.fixture(scope="module")
async def collector():
    async with Collector() as collector:
        yield collector


@pytest_asyncio.fixture(scope="module")
async def server(cluster, province, tmp_path_factory, collector):
    room = tmp_path_factory.mktemp("traces")
    async with (
        copied(cluster, province.database) as database,
        serving(database, province, room, MOTCUA_OTLP_URL=collector.url) as server,
    ):
        yield server


async def signed_once(server, trace):
    """Take a dossier to its first signature; the ticket of the initials, asked under this trace."""
    async with aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(total=60)) as web:
        ward = Walk(web, server.province.accounts, lambda _vi, _en: None)
        ward.head = Tracked(web, server, "kynhay")
        ward.head.trace = trace
        await ward.log_in()
        made = await ward.appraise(await ward.receive())
        return await ward.head.sign(await ward.head.waiting(made["document"]["id"]))


async def sealed(server, trace):
    """Take a dossier to the chairman's signature in the PDF; his ticket, asked under this trace."""
    async with aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(total=60)) as web:
        ward = Walk(web, server.province.accounts, lambda _vi, _en: None)
        ward.head, ward.chair = Official(web, server, "kynhay"), Tracked(web, server, "chutich")
        ward.chair.trace = trace
        await ward.log_in()
        made = await ward.appraise(await ward.receive())
        await ward.head.sign(await ward.head.waiting(made["document"]["id"]))
        return await ward.chair.sign(await ward.chair.waiting(made["document"]["id"]))


async def until(found, patience_s=20):
    """Wait until a function gives something, and return it."""
    async with asyncio.timeout(patience_s):
        while not (value := found()):
            await asyncio.sleep(0.05)
    return value


@pytest_asyncio.fixture(scope="module")
async def ticket(server):
    """The chairman's signature, traced from outside."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    signed = await sealed(server, trace)
    assert [item["stage"] for item in signed["items"]] == ["recorded"]
    assert signed["trace_id"] == trace
    return signed


@pytest_asyncio.fixture(scope="module")
async def trace(ticket, collector):
    """The spans of that ticket, once the last stage has come in."""
    mine = lambda: [span for span in collector.spans if span.trace_id == ticket["trace_id"]]  # noqa: E731
    await until(lambda: {*STAGES, "signatures.record", "POST /signature-batches"} <= {span.name for span in mine()})
    return mine()


def one(trace, name):
    (found,) = [span for span in trace if span.name == name]
    return found


def test_one_trace_holds_every_stage_in_order_under_its_ticket(trace, ticket):
    request, asked = one(trace, "POST /signature-batches"), one(trace, "signatures.ask")
    assert request.parent == "00f067aa0ba902b7"
    assert asked.parent == request.span_id
    assert asked.span_id == spans.place_of(ticket["trace_id"], "ticket", ticket["ticket"]).span_id
    stages = [one(trace, name) for name in STAGES]
    assert {stage.parent for stage in stages} == {asked.span_id}
    ended = [stage.ended_ns for stage in stages]
    assert ended == sorted(ended)
    assert [stage.began_ns for stage in (asked, *stages)] == sorted(stage.began_ns for stage in (asked, *stages))
    finish = one(trace, "signatures.finish")
    for part in ("signatures.embed", "signatures.record"):
        assert one(trace, part).parent == finish.span_id
    assert {span.service for span in trace} == {"motcua-api", "motcua-signer"}
    assert not [span.name for span in trace if span.failed]


def test_the_holder_is_called_in_the_same_trace_and_the_transaction_links_what_it_carries(trace):
    transaction = one(trace, "holder.transaction")
    calls = [span for span in trace if span.name in ("holder.start", "holder.poll")]
    assert {call.parent for call in calls} == {transaction.span_id}
    assert [call.name for call in calls].count("holder.start") == 1
    prepared = one(trace, "signatures.prepare")
    assert transaction.links == ((prepared.trace_id, prepared.span_id),)
    assert transaction.attributes["outcome"] == "signed"


async def test_the_holder_received_the_trace(server, trace, ticket):
    named = one(trace, "holder.transaction").attributes["holder.transaction"]
    async with aiohttp.ClientSession() as web, web.get(f"{server.remote}/control") as answer:
        came = (await answer.json())["transactions"][named]["traceparents"]
    assert len(came) >= 2
    assert {header.split("-")[1] for header in came} == {ticket["trace_id"]}
    calls = {span.span_id for span in trace if span.name in ("holder.start", "holder.poll")}
    assert {came[0].split("-")[2], came[-1].split("-")[2]} <= calls


def test_no_span_tells_of_a_person(trace):
    for span in trace:
        assert not PERSONAL.search(" ".join((span.name, *map(str, span.attributes.values())))), span


async def test_audit_and_logs_name_the_trace(server, ticket):
    acted = await server.database.admin.fetch(
        "SELECT process, action FROM audit WHERE trace_id = $1", ticket["trace_id"]
    )
    assert {(row["process"], row["action"]) for row in acted} >= {
        ("api", "signature.ask"),
        ("signer", "second-factor.accepted"),
        ("signer", "signature.signed"),
    }

    def lines(name):
        raw = (server.room / f"{name}.log").read_bytes().splitlines()
        return [msgspec.json.decode(line) for line in raw if line[:1] == b"{"]

    mine = [line for line in lines("signer") if line.get("trace_id") == ticket["trace_id"]]
    assert {line["key"].split(":")[0] for line in mine if line["event"] == "job"} == {
        "signatures.judge", "signatures.prepare", "signatures.send", "signatures.finish",
    }  # fmt: skip
    requests = {line["trace_id"] for line in lines("api") if line["event"] == "request"}
    ordered = {line["trace_id"] for line in lines("worker") if line["event"] == "job" and "trace_id" in line}
    assert ordered
    assert ordered <= requests


async def motcua(server, *words):
    """Run a command as an operator does, in a thread; its status and everything it says."""
    said = io.StringIO()
    as_worker = mock.patch.dict(os.environ, {"DATABASE_URL_WORKER": server.database.dsn("worker")})
    with as_worker, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = await asyncio.to_thread(main, words)
    return status, said.getvalue()


async def test_an_operator_is_told_where_a_ticket_stands(server, trace, ticket):
    status, said = await motcua(server, "trace", ticket["ticket"])
    assert status == 0, said
    named = one(trace, "holder.transaction").attributes["holder.transaction"]
    for part in ("second factor accepted", "prepared ", "sent ", "value by poll ", "recorded ", "key uses 1", named):
        assert part in said
    for action in ("signature.ask", "second-factor.accepted", "signature.signed"):
        assert f"  {action}  " in said
    assert "All is signed; nothing is to be done." in said
    assert not PERSONAL.search(said)
    assert (await motcua(server, "trace", "00000000-0000-0000-0000-000000000001"))[0] == 1


async def test_the_support_sees_failures_with_cause_and_next_step(server):
    async with aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(total=60)) as web:
        ward = Walk(web, server.province.accounts, lambda _vi, _en: None)
        await ward.log_in()
        made = await ward.appraise(await ward.receive())
        waiting = await ward.head.waiting(made["document"]["id"])
        order = {"items": [{"request_id": waiting["id"], "sha256": waiting["sha256"]}], "code": "000000"}
        failed = await ward.head.finished((await ward.head.call("POST", "/signature-batches", order))["ticket"])
    assert failed["items"][0]["stage"] == "failed"
    for words in (("--ticket", failed["ticket"]), ("--account", "kynhay.kinhbac"), ()):
        status, said = await motcua(server, "failures", *words)
        assert status == 0, said
        assert f"ticket {failed['ticket']}" in said
        assert "second-factor-wrong" in said
        assert "check the phone's clock" in said
        assert not PERSONAL.search(said)
    assert "No signature has failed" in (await motcua(server, "failures", "--account", "vanthu.kinhbac"))[1]
    assert (await motcua(server, "failures", "--account", "khong-co"))[0] == 1


async def test_parked_work_is_listed_taken_up_again_or_dropped_and_the_audit_says_so(server):
    admin = server.database.admin
    keys = ["documents.check:planted-1", "documents.check:planted-2"]
    for key in keys:
        payload = msgspec.json.encode({"key": key.partition(":")[2], "ids": {}})
        await admin.execute(
            "INSERT INTO job_claim (key, kind, claims, parked_at, reason, payload)"
            " VALUES ($1, 'planted.kind', 3, now(), 'begun 3 times', $2)",
            key,
            payload,
        )
    said = (await motcua(server, "jobs", "parked"))[1]
    assert all(key in said for key in keys)
    assert "begun 3 times" in said
    for action, key in zip(("requeue", "drop"), keys, strict=True):
        assert (await motcua(server, "jobs", action, key))[0] == 0
        assert (await motcua(server, "jobs", action, key))[0] == 1
    assert "Nothing lies parked" in (await motcua(server, "jobs", "parked"))[1]
    assert await admin.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'planted.kind'") == 1
    rows = await admin.fetch("SELECT action, detail ->> 'key' AS key FROM audit WHERE process = 'operator' ORDER BY id")
    assert [(row["action"], row["key"]) for row in rows] == [("job.requeued", keys[0]), ("job.dropped", keys[1])]
    await admin.execute("DELETE FROM pgqueuer WHERE entrypoint = 'planted.kind'")


async def test_certificates_that_end_soon_are_listed_by_the_ids_of_their_owners(server):
    far = (await motcua(server, "certificates", "--within", "20000"))[1]
    assert "holder sp769" in far
    assert not PERSONAL.search(far)
    assert "No certificate ends soon" in (await motcua(server, "certificates", "--within", "1"))[1]


async def test_every_metric_of_alerts_and_dashboard_exists(server, trace):
    async with httpx.AsyncClient(timeout=10) as web:
        pages = {name: (await web.get(f"http://127.0.0.1:{port}/metrics")).text for name, port in server.ports.items()}
    typed = [line.split()[2:4] for page in pages.values() for line in page.splitlines() if line.startswith("# TYPE ")]
    there = {name for name, _ in typed}
    there |= {f"{name}_{part}" for name, kind in typed if kind == "histogram" for part in ("bucket", "count", "sum")}
    deploy = ROOT / "deploy"
    for source in (deploy / "alerts" / "motcua.yml", deploy / "dashboards" / "motcua.json"):
        named = set(re.findall(r"\bmotcua_[a-z_]+", source.read_text(encoding="utf-8")))
        assert len(named) > 15
        assert named - there == set(), source.name
    assert 'motcua_signature_items_total{outcome="recorded"}' in pages["signer"]
    assert 'motcua_signature_stage_seconds_count{holder="sp769",stage="confirm"} 1.0' in pages["signer"]
    assert 'motcua_holder_up{holder="sp769"} 1.0' in pages["signer"]
    assert 'motcua_disk_free_bytes{files="documents"}' in pages["worker"]
    assert 'motcua_certificates_expiring{within_days="60"} 0.0' in pages["worker"]
    assert 'motcua_pool_size{pool="write"}' in pages["api"]


@pytest.mark.parametrize("fault", ["slow", "refusing", "gone"])
async def test_spans_that_cannot_be_sent_hold_nobody_up(fault):
    """Put in far more than is held: each is taken at once, and what is lost is counted."""
    before = {fate: otlp._SPANS.labels(fate)._value.get() for fate in ("sent", "dropped", "failed")}
    async with Collector(delay_s=30 if fault == "slow" else 0, status=503 if fault == "refusing" else 200) as collector:
        url = "http://127.0.0.1:9" if fault == "gone" else collector.url
        sender = otlp.Sender(url, "test", timeout_s=0.5)
        spans.send_to(sender)
        try:
            took = await overflowing(2 * otlp.HELD)
            lost = lambda: sum(otlp._SPANS.labels(fate)._value.get() - before[fate] for fate in ("dropped", "failed"))  # noqa: E731
            await until(lambda: lost() >= 2 * otlp.AT_ONCE)
        finally:
            spans.send_to(None)
            began = time.monotonic()
            await asyncio.to_thread(sender.close)
    assert took < 5.0  # sending them would have taken half a second for each of 32 messages
    assert time.monotonic() - began < 2 * otlp.LAST_S + 1
    assert otlp._SPANS.labels("sent")._value.get() == before["sent"]


async def overflowing(count: int) -> float:
    """End so many spans; the seconds that took."""
    began = time.monotonic()
    for number in range(count):
        with spans.Span("work", attributes={"number": number}):
            await asyncio.sleep(0)
    return time.monotonic() - began


async def test_signing_goes_on_while_the_collector_hangs(server, collector):
    """The receiver takes the connection and never answers; the next signature is recorded all the same."""
    collector._delay_s = 60.0
    try:
        ticket = await signed_once(server, None)
    finally:
        collector._delay_s = 0.0
    assert [item["stage"] for item in ticket["items"]] == ["recorded"]


async def test_without_a_collector_nothing_of_it_is_loaded():
    told = (
        "import sys, api.app, api.signer, api.worker; print([n for n in sys.modules if n.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
