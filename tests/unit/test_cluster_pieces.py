"""The pieces of `make cluster-test`: what it counts, and that it would notice."""

import asyncio
import os
import signal
import sys
import time
from hashlib import sha256

import aiohttp
import pytest
from aiohttp import web

from loadtests.chaos.ledger import Entry
from loadtests.cluster import __main__ as command
from loadtests.cluster import lan
from loadtests.cluster.acts import Found, TimedLedger, _too_few
from loadtests.cluster.parts import until
from loadtests.cluster.pulse import Pulse, Read, told


def test_a_line_says_the_verdict_its_figures_and_what_did_not_hold():
    assert Found(name="primary killed", figures="0 lost").line() == "✓ PASS  primary killed: 0 lost"
    bad = Found(name="primary killed", figures="1 lost", faults=("POST /dossiers",)).line()
    assert bad.splitlines() == ["✗ FAIL  primary killed: 1 lost", "    ✗ POST /dossiers"]


def test_a_gap_is_the_longest_time_without_an_acknowledged_write(tmp_path):
    ledger = TimedLedger(tmp_path / "ledger")
    entry = Entry(who="a", method="POST", path="/dossiers", key="k", status=201, tries=1, answer={})
    ledger.note(entry)
    assert ledger.count == len(ledger.times) == 1
    ledger.times = [10.0, 11.0, 14.0, 14.5]
    assert ledger.gap_since(10.5) == 3.0
    assert ledger.gap_since(2.0) == 8.0
    assert ledger.gap_since(20.0) == 0.0


def test_a_part_without_a_load_proves_nothing():
    assert _too_few(100, 10) == []
    assert _too_few(100, 9) == ["too small a load: 100 reads, 9 writes"]


def test_reads_are_told_with_what_was_wrong():
    reads = [Read(what="list", at=0.0, took_s=0.1), Read(what="document", at=1.0, took_s=0.3, wrong="503 away")]
    assert told(reads) == "2 reads, 1 failed {'503 away': 1}, p95 300 ms, longest 300 ms"
    assert told([]) == "no read"


def test_every_host_has_an_address_of_its_own():
    addresses = [lan.address(host) for host in lan.HOSTS]
    assert len(set(addresses)) == len(addresses)
    assert all(address.startswith("10.77.0.") for address in addresses)


class Readers:
    """What a pulse asks of a ward: somebody's session, and what was sealed."""

    def __init__(self) -> None:
        self.appraiser = self
        self.session_headers: dict[str, str] = {}
        self.sealed = [("G01", "d1")]


async def read_from(handler) -> list[Read]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        pulse = Pulse(client, Readers(), 200)
        task = asyncio.create_task(pulse.run())
        while len(pulse.reads) < 20:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await runner.cleanup()
    return pulse.reads


async def test_a_reader_notices_a_refusal_a_cut_and_other_bytes():
    asked = {"count": 0}

    async def serve(request: web.Request) -> web.StreamResponse:
        asked["count"] += 1
        if request.path == "/session":
            return web.json_response({"code": "database-away"}, status=503)
        if request.path.startswith("/signature-requests"):
            request.transport.close()
        content = b"%d" % asked["count"]
        tag = sha256(content if asked["count"] % 2 else b"as recorded").hexdigest()
        return web.Response(body=content, headers={"ETag": f'"{tag}"'})

    reads = await read_from(serve)
    wrong = {what: {one.wrong for one in reads if one.what == what} for what in ("session", "list", "dossier")}
    assert all(one.startswith("503 ") for one in wrong["session"])
    assert all("Disconnected" in one for one in wrong["list"])
    assert wrong["dossier"] == {""}
    documents = [one.wrong for one in reads if one.what == "document"]
    assert set(documents) == {"", "d1: other bytes than were recorded"}


async def test_who_waits_in_vain_is_told_for_what():
    async def never() -> bool:
        return False

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="in vain: the moon"):
        await until("the moon", never, 0.3)
    assert time.monotonic() - began < 5


def test_process_one_buries_what_others_leave_and_ends_with_its_child():
    leave = "import os, time\nfor _ in range(3):\n if os.fork() == 0:\n  os._exit(0)\ntime.sleep(0.3)\nos._exit(7)"
    program = (
        "import os, sys\nfrom loadtests.cluster.__main__ import reap\nchild = os.fork()\n"
        f"if child == 0:\n exec({leave!r})\nsys.exit(reap(child))"
    )
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    code = os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", program])
    assert code == 7
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_what_is_missing_is_said_at_once(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("MOTCUA_PATRONI", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    missing = command.lacks()
    assert len(missing) == len(command.PROGRAMS) + 2
    assert any("root" in one for one in missing)


def test_rooms_of_killed_runs_are_removed_and_evidence_and_living_runs_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(command.tempfile, "gettempdir", lambda: str(tmp_path))
    dead, kept, living = (tmp_path / f"{command.ROOM}{name}" for name in ("dead", "kept", "living"))
    for room in (dead, kept, living):
        room.mkdir()
    (kept / "keep").touch()
    held = command.lock(living)
    command.clear()
    os.close(held)
    assert sorted(tmp_path.iterdir()) == [kept, living]
