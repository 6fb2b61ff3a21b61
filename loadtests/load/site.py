"""The whole product as processes on a database of the load: API, signer, worker, and what is outside of it.

Outside are the remote signer with the telephones, the timestamping authority, and with `mischief` an HSM for the seals
and a clock that can be set, where this machine has SoftHSM2 and libfaketime.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import asyncpg
import msgspec

from api.embedded import demo_settings, ports
from api.embedded.demo_settings import Layout, write_private
from api.embedded.pki import Index
from api.embedded.postgres import Cluster, Progress, die_with_parent
from api.embedded.supervisor import Service, Supervisor
from api.settings import Address
from loadtests.journeys.holders import lay_certificates
from loadtests.load.dataset import secret_of
from loadtests.outside.hsm import MODULE, SoftToken
from loadtests.processes import descendants, parents, words_of

ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 90.0
STOP_ORDER: Final = ("api", "worker", "signer")
WEBHOOK_SECRET: Final = "load-webhook"
PROCESSES: Final = ("api", "signer", "worker")
FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
WINDOW_S: Final = 240
"""How long an own token may take for one batch, as a telephone may."""
_DISK: Final = ROOT / "loadtests" / "outside" / "disk"
_SEALS: Final = "UPDATE certificate SET holder = 'pkcs11' WHERE agency_id IS NOT NULL"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A product that runs, as everything beside it needs to know it; a file tells it to other commands."""

    url: str
    ports: dict[str, int]
    dsn: str
    """The owner's."""
    blobs: str
    anchors: str
    remote: str
    launcher: int
    """The process that started API, signer and worker."""
    clock: str
    """Where the timestamping authority answers."""
    keys: str
    """The directory of everybody's keys."""
    outside: tuple[int, ...]
    tokens: str = ""
    """The HSM's objects; moved away, the HSM is gone. Empty where there is none."""
    disk: str = ""
    """The file of orders for the disk under the document store; empty where it takes none."""
    faketime: str = ""
    """The file by which the API's clock is set; empty where it cannot be."""

    def processes(self) -> dict[str, list[int]]:
        """The processes by part, each with all that it started; PostgreSQL's and the outside's among them."""
        above = parents()
        found: dict[str, list[int]] = {}
        for pid, parent in above.items():
            if parent != self.launcher or not (words := words_of(pid)):
                continue
            name = "postgres" if words[0].endswith("postgres") else words[-1]
            if name in PROCESSES or (name == "postgres" and self._sockets in words):
                found[name] = [pid, *descendants(pid, above)]
        found["outside"] = list(self.outside)
        return found

    @property
    def _sockets(self) -> str:
        """The word that tells this PostgreSQL from another one that the same launcher has started."""
        return f"unix_socket_directories={parse_qs(urlsplit(self.dsn).query)['host'][0]}"

    def metrics(self, process: str) -> str:
        """Where a process tells its metrics."""
        return f"http://127.0.0.1:{self.ports[process]}/metrics"

    async def behave(self, **profile: Any) -> None:
        """Tell the remote signer how the people with the phones behave."""
        async with aiohttp.ClientSession() as web, web.post(f"{self.remote}/control", json=profile) as answer:
            answer.raise_for_status()

    async def stamp(self, **profile: Any) -> None:
        """Tell the timestamping authority how to behave from now on."""
        async with aiohttp.ClientSession() as web, web.post(f"{self.clock}/control", json=profile) as answer:
            answer.raise_for_status()

    async def transactions(self) -> dict[str, Any]:
        """Return what the remote signer was asked for, by its id."""
        async with aiohttp.ClientSession() as web, web.get(f"{self.remote}/control") as answer:
            return (await answer.json())["transactions"]


class Site:
    """Puts the product on a database; `place` tells where it answers."""

    def __init__(self, cluster: Cluster, database: str, files: Layout, pki: Path, **how: Any) -> None:
        """Lay it out; `how` is `mischief` (an HSM, a clock that can be set) and `window_s` of the own tokens."""
        self.cluster, self.database, self.files, self.pki = cluster, database, files, pki
        self.mischief: bool = how.get("mischief", False)
        self.window_s: int = how.get("window_s", WINDOW_S)
        self.ports: dict[str, int] = {}
        self.remote = self.clock = "http://127.0.0.1:1"
        self._outside: list[int] = []
        self._hsm: SoftToken | None = None
        self._disk: Path | None = None
        self._faketime: Path | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def dsn(self, role: str = "admin") -> str:
        return self.cluster.dsn(role, self.database)

    @property
    def anchors(self) -> Path:
        return self.files.trust / "demo"

    @property
    def place(self) -> Place:
        return Place(
            url=self.url, ports=self.ports, dsn=self.dsn(), blobs=str(self.files.blobs), anchors=str(self.anchors),
            remote=self.remote, launcher=os.getpid(), clock=self.clock, keys=str(self.pki),
            outside=tuple(self._outside), tokens=str(self._hsm.tokens) if self._hsm else "",
            disk=str(self._disk or ""), faketime=str(self._faketime or ""),
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def outside(self) -> AsyncIterator[None]:
        """Run the remote signer, which holds the telephones' keys, and the timestamping authority."""
        self.anchors.mkdir(parents=True, exist_ok=True)
        (self.anchors / "root.pem").write_bytes((self.pki / "root.pem").read_bytes())
        async with self._server("sp769", self.pki) as self.remote, self._server("clock", self.anchors) as self.clock:
            if self.mischief:
                await self._mischievous()
            yield

    @contextlib.asynccontextmanager
    async def _server(self, name: str, keys: Path) -> AsyncIterator[str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"loadtests.outside.{name}", "--keys", str(keys), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()),
        )  # fmt: skip
        try:
            if process.stdout is None:
                raise RuntimeError(f"{name} has no output")
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
            self._outside.append(process.pid)
            yield f"http://127.0.0.1:{int(line.split()[1])}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _mischievous(self) -> None:
        """Put the seals into an HSM, and lay the files by which the disk is ordered and the API's clock is set."""
        self._disk = self.files.var / "disk-orders"
        if MODULE:
            index = msgspec.json.decode((self.pki / "index.json").read_bytes(), type=Index)
            seals = [entry for entry in index.entries if entry.kind == "seal"]
            room = self.files.var / "hsm"
            self._hsm = SoftToken(room, self.pki, seals, configuration=room / "softhsm2.conf")
            await asyncio.to_thread(self._hsm.put_all)
            owner = await asyncpg.connect(self.dsn())
            await owner.execute(_SEALS)
            await owner.close()
        if FAKETIME.exists():
            self._faketime = self.files.var / "faketime"
            self._faketime.write_text("+0")

    def _holders(self) -> list[dict[str, Any]]:
        service = {
            "base_url": self.remote, "sp_id": "motcua", "sp_password": "demo", "webhook_secret": WEBHOOK_SECRET,
            "development": True,
        }  # fmt: skip
        officials = lay_certificates(self.pki, self.files.var / "officials")
        tokens = {"certificates": str(officials), "window_s": self.window_s, "certificate_class": "demo"}
        tokens["development"] = True
        holders = [
            {"kind": "software", "keys": str(self.pki)}, {"kind": "sp769", "sp769": service},
            {"kind": "upload", "upload": tokens},
        ]  # fmt: skip
        if self._hsm is not None:
            holders.append(
                {"kind": "pkcs11", "pkcs11": {"name": "pkcs11", **self._hsm.settings(), "development": True}}
            )
        return holders

    def settings(self) -> Mapping[str, dict[str, str]]:
        """Write every process's settings; each knows its own secrets only."""
        listen = tuple(ports.choose(Address("127.0.0.1", 0), insist=True) for _ in PROCESSES)
        self.ports = {name: address.port for name, address in zip(PROCESSES, listen, strict=True)}
        names = ("data_keys", "factor_keys", "session_keys", "checkpoint_keys")
        kept = {name: secret_of(name) for name in names}
        self.files.settings.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.files.settings / "secrets.json", msgspec.json.encode(kept).decode())
        self.anchors.mkdir(parents=True, exist_ok=True)
        write_private(self.files.holders, msgspec.json.encode(self._holders()).decode())
        authority = {"name": "clock", "url": f"{self.clock}/", "development": True}
        write_private(self.files.settings / "timestamps.json", msgspec.json.encode([authority]).decode())
        made = demo_settings.environments(self.files, self.dsn, (listen[0], listen[1], listen[2]))
        made["signer"]["MOTCUA_TIMESTAMPS_FILE"] = str(self.files.settings / "timestamps.json")
        if self._hsm is not None:
            made["signer"]["SOFTHSM2_CONF"] = self._hsm.environment["SOFTHSM2_CONF"]
        if self._disk is not None:
            for name in PROCESSES:
                made[name] |= {"PYTHONPATH": str(_DISK), "MOTCUA_LOAD_DISK": str(self._disk)}
        if self._faketime is not None:
            made["api"] |= {
                "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self._faketime),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }  # fmt: skip
        return {name: {**one, "MOTCUA_PUBLIC_URL": self.url} for name, one in made.items()}


@contextlib.asynccontextmanager
async def site(
    cluster: Cluster, database: str, room: Path, pki: Path, say: Progress, **how: Any
) -> AsyncIterator[Site]:
    """Run everything on this database, with files below `room`; nothing of it outlives the block."""
    files = Layout(var=room)
    one = Site(cluster, database, files, pki, **how)
    async with one.outside():
        environments = one.settings()
        supervisor = Supervisor(files.logs, files.run, say, echo=False)
        try:
            for name in PROCESSES:
                command = (sys.executable, "-m", "api", name)
                await supervisor.start(Service(name=name, command=command, environment=environments[name]))
            await asyncio.gather(*(_ready(one, name) for name in PROCESSES))
            await one.place.behave(
                webhook_url=f"{one.url}/holders/sp769/answers", webhook_secret=WEBHOOK_SECRET, delay_s=0.0
            )
            yield one
        finally:
            await supervisor.stop(STOP_ORDER)


async def _ready(one: Site, name: str) -> None:
    deadline = time.monotonic() + START_S
    async with aiohttp.ClientSession() as web:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with web.get(f"http://127.0.0.1:{one.ports[name]}/readyz") as answer:
                    if answer.status == 200:
                        return
            if time.monotonic() > deadline:
                log = one.files.logs / f"{name}.log"
                raise RuntimeError(f"{name} is not ready; its last words:\n{log.read_text()[-3000:]}")
            await asyncio.sleep(0.1)
