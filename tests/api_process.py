"""The API alone as a real process, with failpoints and its server's respawning of workers; it ends with the test."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from tests.conftest import Database, Province
from tests.office import log_in
from tests.signer_process import ROOT, free_port

START_S = 90


class ApiProcess:
    """Where it answers, and the directory of orders that it obeys."""

    def __init__(
        self, database: Database, province: Province, room: Path, *, inside: tuple[str, ...] = (), **more: str
    ) -> None:
        self.province, self.room, self._inside = province, room, inside
        self.orders = room / "failpoints"
        self.orders.mkdir(exist_ok=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process: asyncio.subprocess.Process | None = None
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(room),
            "MOTCUA_DEMO": "1",
            "DATABASE_URL_APP": database.dsn("app"),
            "MOTCUA_SESSION_KEY": secrets.token_hex(32),
            "MOTCUA_DATA_KEYS": f"test1:{province.data_key.hex()}",
            "MOTCUA_BLOB_DIR": str(room / "blobs"),
            "MOTCUA_TRUST_DIR": str(room),
            "MOTCUA_PUBLIC_URL": self.url,
            "MOTCUA_LISTEN": f"127.0.0.1:{port}",
            "MOTCUA_FAILPOINTS": str(self.orders),
            "MOTCUA_LIMITS": "0",
            **more,
        }

    async def start(self) -> None:
        """Start it and wait until it answers."""
        await self._spawn()
        await self.answers()

    async def _spawn(self) -> None:
        with (self.room / "api.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._inside, sys.executable, "-m", "api", "api",
                env=self._environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    async def answers(self) -> None:
        """Wait until it answers, as after a death of its worker; deaths in quick succession end the server, too.

        Then it is started again, once, as its supervisor does.
        """
        deadline = asyncio.get_running_loop().time() + START_S
        respawned = False
        async with httpx.AsyncClient(timeout=5) as web:
            while asyncio.get_running_loop().time() < deadline:
                if self._process.returncode is not None:
                    if respawned:
                        break
                    respawned = True
                    await self._spawn()
                with contextlib.suppress(httpx.TransportError):
                    if (await web.get(f"{self.url}/healthz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)
        raise AssertionError(f"the API does not answer; its last lines:\n{self.log()[-4000:]}")

    def log(self) -> str:
        return (self.room / "api.log").read_text(errors="replace")

    async def stop(self) -> None:
        """Kill it with all that it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    @contextlib.asynccontextmanager
    async def client(self, who: str) -> AsyncIterator[httpx.AsyncClient]:
        """Somebody of the demo ("thuly.kinhbac"), logged in."""
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=self.url, timeout=60, limits=limits) as web:
            account = self.province.accounts.of(who)
            assert (await log_in(web, account.login, account.password)).status_code == 201
            yield web


@contextlib.asynccontextmanager
async def api_process(
    database: Database, province: Province, room: Path, *, inside: tuple[str, ...] = (), **more: str
) -> AsyncIterator[ApiProcess]:
    """Run the API on a database of the demo province, `inside` another program where its surroundings are to differ."""
    api = ApiProcess(database, province, room, inside=inside, **more)
    try:
        await api.start()
        yield api
    finally:
        await api.stop()
