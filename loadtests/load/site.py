"""The whole product as processes on a database of the load: API, signer, worker, and the remote signer outside."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from api.embedded import demo_settings, ports
from api.embedded.demo_settings import Layout, write_private
from api.embedded.postgres import Cluster, Progress, die_with_parent
from api.embedded.supervisor import Service, Supervisor
from api.settings import Address
from loadtests.load.dataset import secret_of
from loadtests.processes import descendants, parents, words_of

ROOT: Final = Path(__file__).resolve().parents[2]
START_S: Final = 90.0
STOP_ORDER: Final = ("api", "worker", "signer")
WEBHOOK_SECRET: Final = "load-webhook"
PROCESSES: Final = ("api", "signer", "worker")


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
    postgres: int
    outside: int

    def processes(self) -> dict[str, list[int]]:
        """The processes by part, each with all that it started; PostgreSQL's and the outside's among them."""
        above = parents()
        found: dict[str, list[int]] = {}
        for pid, parent in above.items():
            if parent == self.launcher and (words := words_of(pid))[-1:] and words[-1] in PROCESSES:
                found[words[-1]] = [pid, *descendants(pid, above)]
        found["postgres"] = [self.postgres, *descendants(self.postgres, above)]
        found["remote signer"] = [self.outside]
        return found

    def metrics(self, process: str) -> str:
        """Where a process tells its metrics."""
        return f"http://127.0.0.1:{self.ports[process]}/metrics"

    async def behave(self, **profile: Any) -> None:
        """Tell the remote signer how the people with the phones behave."""
        async with aiohttp.ClientSession() as web, web.post(f"{self.remote}/control", json=profile) as answer:
            answer.raise_for_status()

    async def transactions(self) -> dict[str, Any]:
        """Return what the remote signer was asked for, by its id."""
        async with aiohttp.ClientSession() as web, web.get(f"{self.remote}/control") as answer:
            return (await answer.json())["transactions"]


class Site:
    """Puts the product on a database; `place` tells where it answers."""

    def __init__(self, cluster: Cluster, database: str, files: Layout, pki: Path) -> None:
        self.cluster, self.database, self.files, self.pki = cluster, database, files, pki
        self.ports: dict[str, int] = {}
        self.remote = ""
        self._outside = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def dsn(self, role: str = "admin") -> str:
        return self.cluster.dsn(role, self.database)

    @property
    def place(self) -> Place:
        return Place(
            url=self.url, ports=self.ports, dsn=self.dsn(), blobs=str(self.files.blobs),
            anchors=str(self.files.trust / "demo"), remote=self.remote, launcher=os.getpid(),
            postgres=self.cluster.pid or 0, outside=self._outside,
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def outside(self) -> AsyncIterator[None]:
        """Run the remote signer, which holds every person's key."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "loadtests.outside.sp769", "--keys", str(self.pki), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()),
        )  # fmt: skip
        try:
            if process.stdout is None:
                raise RuntimeError("the remote signer has no output")
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
            self.remote, self._outside = f"http://127.0.0.1:{int(line.split()[1])}", process.pid
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def settings(self) -> Mapping[str, dict[str, str]]:
        """Write every process's settings; each knows its own secrets only."""
        listen = tuple(ports.choose(Address("127.0.0.1", 0), insist=True) for _ in PROCESSES)
        self.ports = {name: address.port for name, address in zip(PROCESSES, listen, strict=True)}
        names = ("data_keys", "factor_keys", "session_keys", "checkpoint_keys")
        kept = {name: secret_of(name) for name in names}
        self.files.settings.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self.files.settings / "secrets.json", msgspec.json.encode(kept).decode())
        anchors = self.files.trust / "demo"
        anchors.mkdir(parents=True, exist_ok=True)
        (anchors / "root.pem").write_bytes((self.pki / "root.pem").read_bytes())
        service = {
            "base_url": self.remote, "sp_id": "motcua", "sp_password": "demo", "webhook_secret": WEBHOOK_SECRET,
            "development": True,
        }  # fmt: skip
        holders = [{"kind": "software", "keys": str(self.pki)}, {"kind": "sp769", "sp769": service}]
        write_private(self.files.holders, msgspec.json.encode(holders).decode())
        made = demo_settings.environments(self.files, self.dsn, (listen[0], listen[1], listen[2]))
        return {name: {**one, "MOTCUA_PUBLIC_URL": self.url} for name, one in made.items()}


@contextlib.asynccontextmanager
async def site(cluster: Cluster, database: str, room: Path, pki: Path, say: Progress) -> AsyncIterator[Site]:
    """Run everything on this database, with files below `room`; nothing of it outlives the block."""
    files = Layout(var=room)
    one = Site(cluster, database, files, pki)
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
