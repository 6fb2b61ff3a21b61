"""One worker and very many callers: idle, streaming, sending drop by drop, hanging up. The fault is no answer."""

import asyncio
import contextlib
import os
import re
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import msgspec
import pytest
import pytest_asyncio

from api.http.server import CONNECTIONS, connection_budget
from tests.dossier_ground import copied
from tests.journey.test_web_process import REPOSITORY, environment_for, free_port
from tests.office import log_in, new_key
from tests.signing_ground import Ground

IDLE, STREAMS, ANSWER_S = 2000, 1100, 2.0
THINKS_S = 20.0
"""Longer than most servers keep a connection, and than a test should sleep."""
POOL = 8
"""Connections for reading, as by default."""
FEW_DESCRIPTORS = 300
"""With so many a worker could not hold the crowd: it has to raise its limit by itself."""


@pytest.fixture(scope="module", autouse=True)
def room_for_sockets():
    """This process holds the other ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    """A web process of one worker, with one ticket that stays open and the official who asked it."""
    room: Path = tmp_path_factory.mktemp("crowds")
    async with copied(cluster, province.database) as database:
        ground = await Ground(database, province).open()
        ticket = (await ground.ask("kynhay", (await ground.submitted())[0])).ticket
        try:
            async with process(database, province, room, f"ulimit -S -n {FEW_DESCRIPTORS}") as (web, port):
                who = province.accounts.of("kynhay.kinhbac")
                token = (await log_in(web, who.login, who.password)).json()["token"]
                yield SimpleNamespace(
                    web=web, port=port, ticket=ticket, token=token, database=database, log=room / "api.log", who=who
                )
        finally:
            await ground.close()


@contextlib.asynccontextmanager
async def process(
    database, province, room: Path, limit: str, program: str = "-m api api"
) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """A web process of one worker under a limit of the shell's; the same sessions are good in each."""
    port = free_port()
    # One account opens here what a whole province does.
    own = {"MOTCUA_DATA_KEYS": f"test1:{province.data_key.hex()}", "MOTCUA_LIMITS": "0"}
    with (room / "api.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            "sh", "-c", f'{limit}; exec "$0" {program}', sys.executable,
            env=environment_for(database.dsn("app"), room, port) | own, cwd=REPOSITORY, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as web:
            await answering(web, running, room / "api.log")
            yield web, port
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        await running.wait()


async def answering(web, process, log) -> None:
    async with asyncio.timeout(90):
        while True:
            assert process.returncode is None, log.read_text()
            with contextlib.suppress(httpx.TransportError):
                if (await web.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def lines(port: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """A list of connections; whatever is put into it is closed at the end."""
    opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.sleep(0)


async def connect(site, opened, sent: bytes = b""):
    line = await asyncio.open_connection("127.0.0.1", site.port)
    opened.append(line)
    line[1].write(sent)
    return line


def head(site, method: str, path: str, *more: str) -> bytes:
    said = [f"{method} {path} HTTP/1.1", "Host: motcua.test", f"Cookie: motcua={site.token}", *more]
    return "\r\n".join([*said, "", ""]).encode()


async def stream(site, opened, gate) -> asyncio.StreamReader:
    """Open a stream as a browser does: told to come again or cut off, it comes again; return at the first event."""
    asked = head(site, "GET", f"/signature-batches/{site.ticket}/events")
    async with gate:
        while True:
            line = reader, writer = await connect(site, opened, asked)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")), answer
            if answer.startswith(b"HTTP/1.1 200"):
                with contextlib.suppress(asyncio.IncompleteReadError):
                    assert b"event: ticket" in await reader.readuntil(b"data: ")
                    return reader
            opened.remove(line)
            writer.close()
            await asyncio.sleep(0.2)


async def answered_in_time(site) -> None:
    """A newcomer, with a connection of its own, is answered: by the process and by the database behind it."""
    headers = {"Authorization": f"Bearer {site.token}"}
    for path in ("/healthz", "/session", "/readyz"):
        async with httpx.AsyncClient(base_url=site.web.base_url, headers=headers, timeout=10) as fresh:
            began = time.perf_counter()
            assert (await fresh.get(path)).status_code == 200, path
            assert time.perf_counter() - began < ANSWER_S, path


async def test_two_thousand_idle_and_eleven_hundred_streams_keep_nobody_out(site):
    async with lines(site.port) as opened:
        gate = asyncio.Semaphore(16)
        streams = await asyncio.gather(*(stream(site, opened, gate) for _ in range(STREAMS)))
        for _ in range(IDLE // 100):
            fresh = await asyncio.gather(*(connect(site, opened, head(site, "GET", "/healthz")) for _ in range(100)))
            for reader, _ in fresh:
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert len(opened) == IDLE + STREAMS
        await answered_in_time(site)
        assert [reader for reader in streams if reader.at_eof()] == [], "streams were closed to make room"
        assert sum(reader.at_eof() for reader, _ in opened) == 0, "idle connections were closed to make room"
        page = (await site.web.get("/metrics")).text
        assert float(re.search(r'motcua_admitted{work="streams"} (\S+)', page)[1]) == STREAMS


async def test_a_crowd_beyond_what_a_worker_may_hold_keeps_the_newcomer_out(site, province, tmp_path):
    """The test above can fail: here the descriptors end at fewer connections than the crowd has."""
    few = 700
    async with process(site.database, province, tmp_path, f"ulimit -n {few}") as (web, port), lines(port) as opened:
        other = SimpleNamespace(**{**vars(site), "web": web, "port": port})
        await answered_in_time(other)
        await asyncio.gather(*(connect(other, opened) for _ in range(connection_budget(few) + 1)))
        with pytest.raises((AssertionError, httpx.TransportError)):
            await answered_in_time(other)


async def test_streams_that_kept_their_connection_to_the_database_would_be_found(site, province, tmp_path):
    """The test above can fail: here each stream keeps a connection of a pool of 8, with a fault planted for it."""
    program = "-m tests.journey.greedy_streams"
    async with process(site.database, province, tmp_path, ":", program) as (web, port), lines(port) as opened:
        other = SimpleNamespace(**{**vars(site), "web": web, "port": port})
        await answered_in_time(other)
        for _ in range(POOL):
            await connect(other, opened, head(other, "GET", f"/signature-batches/{other.ticket}/events"))
        async with asyncio.timeout(10):
            while f'motcua_pool_in_use{{pool="read"}} {POOL:.1f}' not in (await web.get("/metrics")).text:
                await asyncio.sleep(0.05)
        with pytest.raises((AssertionError, httpx.TransportError)):
            await answered_in_time(other)


async def test_a_connection_stays_open_while_somebody_thinks(site):
    async with lines(site.port) as opened:
        reader, writer = await connect(site, opened)
        for thinks_s in (THINKS_S, 0):
            writer.write(head(site, "GET", "/healthz"))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", answer)[1]))
            await asyncio.sleep(thinks_s)


async def test_half_a_head_holds_nobody_up(site):
    async with lines(site.port) as opened:
        for _ in range(200):
            await connect(site, opened, b"GET /session HTTP/1.1\r\nHost: motcua.test\r\nX-Slow: ")
        await answered_in_time(site)


async def test_half_a_body_keeps_nobody_out_of_its_class(site):
    """More of them than the class has room and places to wait."""
    async with lines(site.port) as opened:
        asked = head(site, "POST", "/session", "Content-Type: application/json", "Content-Length: 500")
        for _ in range(400):
            await connect(site, opened, asked + b'{"login": "')
        await answered_in_time(site)
        async with httpx.AsyncClient(base_url=site.web.base_url, timeout=20) as fresh:
            assert (await log_in(fresh, site.who.login, site.who.password)).status_code == 201
    lines_of = [msgspec.json.decode(line) for line in site.log.read_bytes().splitlines() if line[:1] == b"{"]
    assert [line for line in lines_of if line["event"] == "broken"] == [], "a caller who breaks off is no fault of ours"


@pytest.mark.parametrize("field", [b"X-Long: " + b"a" * 200_000, b"\r\n".join(b"X-%d: a" % n for n in range(300))])
async def test_a_head_without_end_is_refused_and_the_connection_closed(site, field):
    async with lines(site.port) as opened:
        reader, writer = await connect(site, opened)
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: motcua.test\r\n" + field + b"\r\n\r\n")
            await writer.drain()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 431") or answer == b"", answer[:100]
        await answered_in_time(site)


async def waiting(database) -> int:
    return await database.admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'app'"
        " AND datname = current_database()"
    )


async def until(asked, wanted) -> None:
    async with asyncio.timeout(10):
        while await asked() != wanted:
            await asyncio.sleep(0.02)


async def test_work_ends_when_its_caller_hangs_up(site):
    """The lock is still held, so only the caller's leaving can have ended the statement."""
    async with lines(site.port) as opened, site.database.admin.transaction():
        await site.database.admin.execute("LOCK TABLE login_attempt IN ACCESS EXCLUSIVE MODE")
        body = msgspec.json.encode({"login": site.who.login, "password": "sai-mat-khau"})
        asked = head(site, "POST", "/session", "Content-Type: application/json", f"Content-Length: {len(body)}")
        _, writer = await connect(site, opened, asked + body)
        await until(lambda: waiting(site.database), 1)
        writer.close()
        began = time.perf_counter()
        await until(lambda: waiting(site.database), 0)
        assert time.perf_counter() - began < 2.5, "it ended by its class's limit, not with its caller"
    page = (await site.web.get("/metrics")).text
    assert float(re.search(r'motcua_callers_gone_total{route="/session"} (\S+)', page)[1]) == 1
    assert '"status":499' in site.log.read_text()


async def test_a_caller_who_says_how_long_is_told_when_that_is_too_short(site):
    async with site.database.admin.transaction():
        await site.database.admin.execute("LOCK TABLE login_attempt IN ACCESS EXCLUSIVE MODE")
        began = time.perf_counter()
        body = {"login": site.who.login, "password": "sai-mat-khau"}
        refused = await site.web.post("/session", json=body, headers={"Prefer": "respond-async, wait=1"})
        assert (refused.status_code, refused.json()["code"]) == (503, "not-enough-time")
        assert int(refused.headers["retry-after"]) > 0
        assert time.perf_counter() - began < 3
        await until(lambda: waiting(site.database), 0)


async def _names(log: Path, reference: str) -> bool:
    return reference in log.read_text()


async def test_each_error_can_be_found_in_the_log_and_the_log_names_nobody(site):
    secrets = {"password": "mat-khau-0xyz", "login": "024199001234", "name": "Nguyễn Thị Hồng Nhung"}
    filer = {"name": secrets["name"], "id_number": "024199001234", "phone": "0912345678"}
    answers = [
        await site.web.post("/session", json={"login": secrets["login"], "password": secrets["password"]}),
        await site.web.post("/session", json={"login": 5, "password": secrets["password"]}),
        await site.web.get("/khong-co", params={"q": secrets["name"]}),
        await site.web.get(f"/track/{secrets['login']}", headers={"X-Dossier-Secret": secrets["password"]}),
        await site.web.post("/online", json={"filer": filer, "procedure_code": "9.9"}, headers=new_key()),
        await site.web.post("/dossiers", json={"filer": filer}, headers=new_key()),
        await site.web.patch("/session"),
    ]
    await until(lambda: _names(site.log, answers[-1].headers["x-request-id"]), True)  # a line follows its answer
    lines_of = [msgspec.json.decode(line) for line in site.log.read_bytes().splitlines() if line[:1] == b"{"]
    for answer in answers:
        problem = answer.json()
        assert answer.status_code >= 400
        assert problem["reference"] == answer.headers["x-request-id"]
        found = [
            line for line in lines_of if line.get("trace_id") == problem["reference"] and line["event"] == "request"
        ]
        assert [(line["status"], line["problem"]) for line in found] == [(answer.status_code, problem["code"])]
    text = site.log.read_text()
    for secret in (*secrets.values(), "0912345678", site.token):
        assert secret not in text


def test_a_budget_of_connections_follows_from_the_files_one_may_open():
    assert connection_budget(1_000_000) == CONNECTIONS
    assert connection_budget(20_000) == CONNECTIONS
    assert connection_budget(1024) == 768
    assert connection_budget(100) == 64
