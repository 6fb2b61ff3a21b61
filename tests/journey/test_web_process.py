"""The web process as `motcua api` runs it: serves, stops cleanly, says in words why it cannot start."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.office import Office, log_in
from tests.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]


def environment_for(dsn: str, tmp_path: Path, port: int, workers: int = 1) -> dict[str, str]:
    trust = tmp_path / "trust"
    trust.mkdir(exist_ok=True)
    return os.environ | {
        "DATABASE_URL_APP": dsn,
        "MOTCUA_DEMO": "1",
        "MOTCUA_DATA_KEYS": "test:" + "00" * 32,
        "MOTCUA_SESSION_KEY": "00" * 32,
        "MOTCUA_BLOB_DIR": str(tmp_path / "blobs"),
        "MOTCUA_TRUST_DIR": str(trust),
        "MOTCUA_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "MOTCUA_LISTEN": f"127.0.0.1:{port}",
        "MOTCUA_API_WORKERS": str(workers),
    }


async def start(environment: dict[str, str], log: Path) -> asyncio.subprocess.Process:
    with log.open("wb") as stream:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api", "api", env=environment, cwd=REPOSITORY, stdout=stream, stderr=stream
        )


@contextlib.asynccontextmanager
async def server(dsn: str, tmp_path: Path, workers: int = 1) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """The web process as `motcua api`."""
    port = free_port()
    process = await start(environment_for(dsn, tmp_path, port, workers), tmp_path / "api.log")
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            await answering(client, process, tmp_path)
            yield client, process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 20)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answering(client: httpx.AsyncClient, process: Any, tmp_path) -> None:
    async with asyncio.timeout(60):
        while True:
            assert process.returncode is None, (tmp_path / "api.log").read_text()
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.1)


async def test_the_real_server_serves_and_stops_cleanly(db, tmp_path):
    await Office(db.admin).officer("an")
    async with server(db.dsn("app"), tmp_path) as (web, process):
        opened = await log_in(web)
        assert opened.status_code == 201
        assert (await web.get("/session")).json()["login"] == "an"
        assert (await web.get("/khong-co")).json()["code"] == "route-not-found"
        assert (await web.get("/procedures?search=%ff")).json()["code"] == "not-utf-8"
        raw = await asyncio.open_connection("127.0.0.1", web.base_url.port)
        raw[1].write(b"GET /a%00b%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 400 " in (await raw[0].read()).split(b"\r\n", 1)[0]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    lines = [msgspec.json.decode(line) for line in (tmp_path / "api.log").read_bytes().splitlines() if line[:1] == b"{"]
    requests = [line for line in lines if line["event"] == "request"]
    assert {line["process"] for line in lines} == {"api"}
    assert all(len(line["trace_id"]) == 32 for line in requests)
    token = opened.json()["token"]
    assert token not in (tmp_path / "api.log").read_text()


async def refused_start(environment: dict[str, str], log: Path) -> str:
    """What `motcua api` says when it refuses to start; it must do so by itself, with status 1 and no traceback."""
    process = await start(environment, log)
    try:
        assert await asyncio.wait_for(process.wait(), 60) == 1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "Traceback" not in log.read_text()
    return log.read_text()


async def test_a_taken_port_and_a_database_that_refuses_end_in_words(db, tmp_path):
    log = tmp_path / "api.log"
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        environment = environment_for(db.dsn("app"), tmp_path, holder.getsockname()[1])
        assert "Không mở được 127.0.0.1" in await refused_start(environment, log)
    nobody = db.dsn("app").replace("app@", "nobody@")
    said = await refused_start(environment_for(nobody, tmp_path, free_port()), log)
    assert "Không kết nối được cơ sở dữ liệu" in said


async def test_two_workers_share_sessions_and_one_page_of_metrics(db, tmp_path):
    await Office(db.admin).officer("an")
    async with server(db.dsn("app"), tmp_path, workers=2) as (web, _):
        await log_in(web)
        bearer = {"Authorization": web.headers["Authorization"]}
        for _ in range(8):
            async with httpx.AsyncClient(base_url=web.base_url, headers=bearer) as fresh:
                assert (await fresh.get("/session")).status_code == 200
        page = (await web.get("/metrics")).text
        counted = [
            line for line in page.splitlines() if line.startswith("motcua_http_requests_total") and '"/session"' in line
        ]
        assert sum(float(line.rpartition(" ")[2]) for line in counted) == 9


async def test_the_web_process_holds_no_key_holder():
    program = (
        "import sys, api.app; api.app.refuse_key_holders();"
        "bad = [n for n in sys.modules if n.startswith(('signing.keys.', 'signing.holders')) or 'pkcs11' in n];"
        "print(bad); import signing.holders, signing.keys.software\n"
        "try: api.app.refuse_key_holders()\n"
        "except RuntimeError: print('refused')"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert said.decode().split() == ["[]", "refused"]
