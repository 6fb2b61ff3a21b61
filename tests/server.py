"""The whole product as real processes on free ports: API, signer and worker, and the outside remote signer."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.embedded.pki import lay_pki
from api.embedded.province import certificates_wanted
from api.embedded.walk import WARD, Desk
from tests.conftest import Database, Province
from tests.office import log_in
from tests.ports import free_port
from tests.signer_process import ROOT, remote_signer

START_S = 90
LINES_SHOWN = 30


class Server:
    """What runs: where it answers, where its files lie, and whether every process lives."""

    def __init__(self, database: Database, province: Province, room: Path, keys: Path) -> None:
        self.database, self.province, self.room, self.keys = database, province, room, keys
        self.ports = {name: free_port() for name in ("api", "signer", "worker")}
        self.url = f"http://127.0.0.1:{self.ports['api']}"
        self.session_keys, self.checkpoint_keys = (f"test1:{secrets.token_hex(32)}" for _ in range(2))
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.told: dict[str, str] = {}
        """Further settings for every process."""
        self.remote = ""
        """Where the remote signer answers."""

    def environment(self, name: str) -> dict[str, str]:
        """What one process is told, its own secrets only."""
        shared = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.room),
            "MOTCUA_DEMO": "1",
            "MOTCUA_DATA_KEYS": f"test1:{self.province.data_key.hex()}",
            "MOTCUA_BLOB_DIR": str(self.room / "blobs"),
            "MOTCUA_TRUST_DIR": str(self.room / "trust"),
            "MOTCUA_PUBLIC_URL": self.url,
            "MOTCUA_PDF_PROCESSES": "2",
            "MOTCUA_LIMITS": "0",  # one official of a test asks for a whole ward
        }
        own = {
            "api": {"DATABASE_URL_APP": self.database.dsn("app"), "MOTCUA_SESSION_KEYS": self.session_keys},
            "worker": {
                "DATABASE_URL_WORKER": self.database.dsn("worker"),
                "MOTCUA_CHECKPOINT_KEYS": self.checkpoint_keys,
                "MOTCUA_CHECKPOINT_DIR": str(self.room / "checkpoints"),
            },
            "signer": {
                "DATABASE_URL_SIGNER": self.database.dsn("signer"),
                "MOTCUA_FACTOR_KEYS": f"test1:{self.province.factor_key.hex()}",
                "MOTCUA_HOLDERS_FILE": str(self.room / "holders.json"),
            },
        }
        listen = {"api": "MOTCUA_LISTEN", "signer": "MOTCUA_SIGNER_LISTEN", "worker": "MOTCUA_WORKER_LISTEN"}
        return {**shared, **self.told, **own[name], listen[name]: f"127.0.0.1:{self.ports[name]}"}

    def log(self, name: str) -> str:
        """The last lines of a process's log."""
        return "\n".join((self.room / f"{name}.log").read_text(errors="replace").splitlines()[-LINES_SHOWN:])

    def living(self) -> set[str]:
        """The names of the processes that have not ended since they were started."""
        return {name for name, process in self.processes.items() if process.returncode is None}

    async def start(self) -> None:
        """Start every process and wait until each says that it is ready."""
        for name in self.ports:
            with (self.room / f"{name}.log").open("wb") as log:
                self.processes[name] = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "api", name, env=self.environment(name), cwd=ROOT, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
        await asyncio.gather(*(self.ready(name) for name in self.ports))

    async def ready(self, name: str) -> None:
        """Wait for a process; where it ends or stays silent, show what it wrote last."""
        address = f"http://127.0.0.1:{self.ports[name]}/readyz"
        deadline = asyncio.get_running_loop().time() + START_S
        async with httpx.AsyncClient(timeout=10) as web:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await web.get(address)).status_code == 200:
                        return
                ended = name not in self.living()
                if ended or asyncio.get_running_loop().time() > deadline:
                    how = "ended" if ended else "does not answer"
                    raise AssertionError(f"{name} {how}; its last lines:\n{self.log(name)}")
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Kill every process with all that it started."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    @contextlib.asynccontextmanager
    async def client(self, who: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A plain client, logged in as somebody of the demo ("thuly.kinhbac") or nobody."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as web:
            if who is not None:
                account = self.province.accounts.of(who)
                assert (await log_in(web, account.login, account.password)).status_code == 201
            yield web


class Official(Desk):
    """A desk whose second factor is always fresh: the counter is set back before each act."""

    def __init__(self, web: aiohttp.ClientSession, server: Server, who: str) -> None:
        super().__init__(web, server.province.accounts.of(f"{who}.{WARD}"))
        self._admin = server.database.admin

    async def sign(self, *items: Any, lane: str = "normal") -> dict[str, Any]:
        """Sign or seal these in one ask, and wait for the ticket to finish."""
        await self._admin.execute(
            "UPDATE second_factor SET last_counter = 0 FROM account"
            " WHERE account.id = account_id AND account.login = $1",
            self.account.login,
        )
        return await super().sign(*items, lane=lane)


@contextlib.asynccontextmanager
async def officials(server: Server, *names: str) -> AsyncIterator[list[Official]]:
    """Some of the ward's officials ("thuly", "chutich"), logged in."""
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(server.url, timeout=timeout) as web:
        seated = [Official(web, server, name) for name in names]
        await asyncio.gather(*(one.log_in() for one in seated))
        yield seated


async def bind_public_certificates(database: Database, room: Path) -> Path:
    """Give the ward certificates of the class `public`, held by the remote signer, whose papers bear no demo mark."""
    wanted = certificates_wanted()
    ward = next(one.organisation for one in wanted if one.id == f"chutich.{WARD}")
    keys = room / "keys"
    people = [msgspec.structs.replace(one, klass="public") for one in wanted if one.organisation == ward]
    index = lay_pki(keys, people, at=datetime.now(UTC) - timedelta(days=1), demo=False)
    chain = [_certificate(keys / name).public_bytes(Encoding.DER) for name in index.chain]
    for entry in index.entries:
        made = _certificate(keys / entry.certificate)
        await database.admin.execute(
            "UPDATE certificate SET serial = $2, credential_id = $2, issuer = $3, subject = $4, certificate = $5,"
            " chain = $6, class = 'public', holder = 'sp769', not_before = $7, not_after = $8 WHERE credential_id = $1",
            entry.credential_id,
            entry.serial,
            made.issuer.rfc4514_string(),
            made.subject.rfc4514_string(),
            made.public_bytes(Encoding.DER),
            chain,
            made.not_valid_before_utc,
            made.not_valid_after_utc,
        )
    return keys


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@contextlib.asynccontextmanager
async def serving(
    database: Database, province: Province, room: Path, *, anchors: Mapping[str, bytes] | None = None, **told: str
) -> AsyncIterator[Server]:
    """Run the whole product on a database that holds the demo province; nothing of it outlives the block."""
    keys = await bind_public_certificates(database, room)
    (room / "trust").mkdir()
    (room / "checkpoints").mkdir()
    (room / "trust" / "root.pem").write_bytes((keys / "root.pem").read_bytes())
    for name, pem in (anchors or {}).items():
        (room / "trust" / f"{name}.pem").write_bytes(pem)
    async with remote_signer(keys) as url:
        service = {"base_url": url, "sp_id": "motcua", "sp_password": "demo", "development": True}
        holders = [{"kind": "sp769", "sp769": service}]
        (room / "holders.json").write_bytes(msgspec.json.encode(holders))
        server = Server(database, province, room, keys)
        server.told = told
        server.remote = url
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
