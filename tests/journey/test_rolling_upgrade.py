"""Two API processes on one database, changed one after the other under constant requests: nobody is turned away.

Each node's listening socket is held open beyond its process, as systemd does (socket activation): whoever comes while
one stops and its successor starts waits in the kernel's queue. So nothing is ever repeated here, and a connection that
is refused, or closed without an answer, fails the test.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import signal
import socket
import sys
import time

import httpx
import pytest

from api.embedded.walk import CITIZEN, PROCEDURE, TERRITORY
from tests.dossier_ground import copied
from tests.office import log_in, new_key
from tests.server import Server
from tests.signer_process import ROOT, free_port

STEADY_S = 1.5
"""How long the load runs before, between and after the changes."""


AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "api", "api"])
"""
"""Passes a socket as sd_listen_fds(3) describes it, then becomes the API."""


class Node:
    """One API process that can be changed for a new one on the same address."""

    def __init__(self, server: Server, shared: dict[str, str]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", free_port()), backlog=1024)
        address = "{}:{}".format(*self._listener.getsockname())
        self._environment = {**shared, "MOTCUA_LISTEN": address}
        self.url = f"http://{address}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with (self._server.room / "api.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", AS_SYSTEMD, str(self._listener.fileno()),
                env=self._environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
                pass_fds=(self._listener.fileno(),),
            )  # fmt: skip
        async with httpx.AsyncClient() as web:
            while True:
                with contextlib.suppress(httpx.TimeoutException):  # nobody accepts yet, and nobody is refused
                    if (await web.get(f"{self.url}/readyz")).status_code == 200:
                        return
                assert self.process.returncode is None, self._server.log("api")
                await asyncio.sleep(0.1)

    async def end(self) -> None:
        """Kill it with all that it started."""
        self._listener.close()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()

    async def change(self) -> float:
        """Stop it in order and start its successor; return how long the stop took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self.process.wait(), 40) == 0
        took = time.monotonic() - began
        await self.start()
        return took


class Load:
    """Constant reading and writing at both nodes in turn, each act sent once and counted once."""

    def __init__(self, nodes: list[Node], cookies: httpx.Cookies) -> None:
        self._turn = itertools.cycle(nodes)
        # A connection of its own for each request: whether a kept one is still open is a proxy's matter.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._web = httpx.AsyncClient(limits=limits, timeout=60, cookies=cookies)
        self.failed: list[str] = []
        self.filed: list[str] = []
        self.read = 0

    async def _offer(self, method: str, path: str, **content) -> httpx.Response:
        return await self._web.request(method, f"{next(self._turn).url}{path}", **content)

    async def one(self, number: int) -> None:
        parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
        body = {"procedure_code": PROCEDURE, "filer": CITIZEN, "parts": parts, "territory_code": TERRITORY}
        try:
            if number % 3:
                answer = await self._offer("GET", "/session")
                self.read += 1
            else:
                answer = await self._offer("POST", "/dossiers", json=body, headers=new_key())
                if answer.is_success:
                    self.filed.append(answer.json()["code"])
            if not answer.is_success:
                self.failed.append(answer.text)
        except httpx.TransportError as error:
            self.failed.append(repr(error))

    async def run(self, stop: asyncio.Event) -> None:
        number = itertools.count()

        async def client() -> None:
            while not stop.is_set():
                await self.one(next(number))

        await asyncio.gather(*(client() for _ in range(3)))
        await self._web.aclose()


@pytest.mark.timeout(200)
async def test_nobody_is_turned_away_while_the_nodes_are_changed(cluster, province, tmp_path, capsys):
    async with copied(cluster, province.database) as database:
        server = Server(database, province, tmp_path, tmp_path)
        (tmp_path / "trust").mkdir()
        (tmp_path / "trust" / "root.pem").write_bytes((province.pki / "root.pem").read_bytes())
        shared = {**server.environment("api"), "MOTCUA_SESSION_KEY": secrets.token_hex(32)}
        nodes = [Node(server, shared) for _ in range(2)]
        try:
            await asyncio.gather(*(node.start() for node in nodes))
            account = province.accounts.of("tiepnhan.kinhbac")
            async with httpx.AsyncClient(base_url=nodes[0].url, timeout=60) as web:
                assert (await log_in(web, account.login, account.password)).status_code == 201
                load = Load(nodes, web.cookies)
            stop = asyncio.Event()
            running = asyncio.create_task(load.run(stop))
            await asyncio.sleep(STEADY_S)
            took = []
            for node in nodes:
                took.append(await node.change())
                await asyncio.sleep(STEADY_S)
            stop.set()
            await running
        finally:
            for node in nodes:
                await node.end()
        there = {row["code"] for row in await database.admin.fetch("SELECT code FROM dossier")}
    with capsys.disabled():
        stops = ", ".join(f"{seconds:.1f} s" for seconds in took)
        sys.stdout.write(f"\n{load.read} read, {len(load.filed)} filed, {len(load.failed)} failed; stops {stops}\n")
    assert load.failed == []
    assert load.read > 20
    assert sorted(there) == sorted(load.filed)
