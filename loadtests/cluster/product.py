"""The product on its hosts: two APIs, each with a worker beside it, and two signers, on one database and one store."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp

from api.db.migrate import migrate
from api.embedded import demo_settings
from api.embedded.demo_laying import lay_demo, read_accounts
from api.embedded.demo_settings import Layout, read_environment, write_private
from api.embedded.postgres import ADMIN, Progress
from api.embedded.province import Accounts
from api.settings import Address
from loadtests.cluster.database import Database, balancer
from loadtests.cluster.lan import address
from loadtests.cluster.objects import Objects
from loadtests.cluster.parts import Part, answers, until

PORTS: Final = {"api": 8080, "signer": 8081, "worker": 8082}
PLACES: Final = (
    ("api1", "api"), ("api2", "api"), ("sign1", "signer"), ("sign2", "signer"), ("api1", "worker"), ("api2", "worker"),
)  # fmt: skip
READY_S: Final = 90.0


class Cluster:
    """Everything; also what a load and its judgement ask of a product (`loadtests.chaos.product.Standing`)."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.files = Layout(var=room / "var")
        self.objects = Objects(room)
        self.database = Database(room)
        self.balancer = balancer(room)
        self.url = f"http://{address('lb')}:8080"
        self.parts: dict[tuple[str, str], Part] = {}

    async def start(self, web: aiohttp.ClientSession, say: Progress) -> None:
        """Start it from the bottom up; the demo province is laid on the way."""
        await self.balancer.start()
        await asyncio.gather(self.database.start(web), self.objects.start(web))
        primary = f"http://{address(await self.database.primary(web))}:8008/primary"
        await until("the primary", answers(web, primary, 200), 30)
        await self.database.lay()
        environments = self._environments()
        await migrate(self.environment["DATABASE_URL"])
        await lay_demo(self.files, self.environment["DATABASE_URL"], environments, say)
        for host, name in PLACES:
            listen = f"{address(host)}:{PORTS[name]}"
            environment = {**environments[name], f"MOTCUA_{_LISTEN[name]}": listen}
            words = [sys.executable, "-m", "api", name]
            self.parts[host, name] = Part(self.room, host, name, words, environment=environment, keep=True)
        await asyncio.gather(*(part.start() for part in self.parts.values()))
        await asyncio.gather(*(self.until_ready(web, host, name) for host, name in self.parts))
        await until("the balancer serves", answers(web, f"{self.url}/readyz", 200), 30, self.balancer)

    async def until_ready(self, web: aiohttp.ClientSession, host: str, name: str) -> float:
        """Wait until a process says that it can work; return how many seconds that took."""
        ready = answers(web, f"http://{address(host)}:{PORTS[name]}/readyz", 200)
        return await until(f"{name} on {host}", ready, READY_S, self.parts[host, name])

    async def stop_people(self) -> None:
        """End the APIs, so that nobody adds to what is to be judged."""
        await asyncio.gather(*(part.end() for (_, name), part in self.parts.items() if name == "api"))

    def work_done(self, name: str) -> dict[str, int]:
        """Return how many jobs each host's process of this name has done, as its log tells."""
        done: dict[str, int] = {}
        for (host, process), part in self.parts.items():
            if process == name:
                done[host] = part.log.read_text(errors="replace").count('"event":"job"')
        return done

    @property
    def accounts(self) -> Accounts:
        """The demo's log-ins."""
        return read_accounts(self.files)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the owner's commands are told."""
        return self.settings_of("owner")

    def settings_of(self, process: str) -> Mapping[str, str]:
        """What one process is told."""
        return read_environment(self.files.settings / f"{process}.env")

    def _environments(self) -> dict[str, dict[str, str]]:
        """Write every process's settings: those of a demonstration, but with the bucket and the balancer's address."""
        self.files.trust.mkdir(parents=True)
        nobody = Address("127.0.0.1", 0)
        made = demo_settings.environments(self.files, self._dsn, (nobody, nobody, nobody))
        told: dict[str, dict[str, str]] = {}
        for name, one in made.items():
            kept = {key: value for key, value in one.items() if key != "MOTCUA_BLOB_DIR" and key not in _OF_THE_HOST}
            told[name] = {**kept, **self.objects.environment, "MOTCUA_PUBLIC_URL": self.url}
            if name == "api":
                told[name]["MOTCUA_TRUSTED_PROXIES"] = f"{address('lb')}/32"
            lines = "".join(f"{key}={value}\n" for key, value in told[name].items())
            write_private(self.files.settings / f"{name}.env", lines)
        return told

    def _dsn(self, role: str) -> str:
        return self.database.dsn(ADMIN if role == "admin" else role)


_LISTEN: Final = {"api": "LISTEN", "signer": "SIGNER_LISTEN", "worker": "WORKER_LISTEN"}
_OF_THE_HOST: Final = frozenset({"TMPDIR", "HOME", *(f"MOTCUA_{name}" for name in _LISTEN.values())})
