"""PostgreSQL with Patroni: two members and etcd, told of by the files in deploy/cluster/."""

import asyncio
import os
import secrets
import shutil
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from api.embedded.binaries import ServerUser, can_enter, find_bindir, reachable_bindir, server_user
from api.embedded.postgres import ADMIN, DATABASE, ROLES
from loadtests.cluster.lan import address
from loadtests.cluster.parts import ROOT, Part, answers, until

MEMBERS: Final = ("db1", "db2")
SETTINGS: Final = ROOT / "deploy" / "cluster" / "patroni.yml"
VARIABLE: Final = "MOTCUA_PATRONI"
"""Where the Makefile has installed Patroni: the program's path."""


class Database:
    """The members, who of them is the primary, and the DSN of each role through the balancer."""

    def __init__(self, room: Path) -> None:
        self._room = room
        self._user = server_user()
        names = (ADMIN, *ROLES, "replicator", "rewind")
        self._passwords = {name: secrets.token_urlsafe(24) for name in names}
        home = room / "pg"
        home.mkdir(mode=0o755)
        self._bindir = reachable_bindir(find_bindir(), home, self._user)
        patroni = Path(os.environ[VARIABLE])
        if self._user.drop and not can_enter(self._user, patroni.parent):
            raise RuntimeError(f"the user {self._user.name} cannot reach {patroni}")
        self.etcd = self._etcd()
        self.members = {name: self._member(name, patroni, home) for name in MEMBERS}

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """Return asyncpg's DSN of a role, on whichever member is the primary."""
        return f"postgresql://{role}:{self._passwords[role]}@{address('lb')}:5432/{database}?sslmode=disable"

    async def start(self, web: aiohttp.ClientSession) -> None:
        """Start etcd and the members, the second once the first leads: it copies from it."""
        await self.etcd.start()
        await until("etcd", answers(web, f"http://{address('etcd')}:2379/health", 200), 20, self.etcd)
        for name, member in self.members.items():
            await member.start()
            wanted = answers(web, f"http://{address(name)}:8008/{'primary' if name == MEMBERS[0] else 'replica'}", 200)
            await until(f"{name} runs", wanted, 90, member)
        await self.until_synchronous(web)

    async def until_synchronous(self, web: aiohttp.ClientSession, patience_s: float = 90) -> float:
        """Wait until a standby takes part in every commit; return how many seconds that took."""

        async def synchronous() -> bool:
            return any(one["role"] in ("sync_standby", "quorum_standby") for one in await self._told(web))

        return await until("a synchronous standby", synchronous, patience_s, *self.members.values())

    async def primary(self, web: aiohttp.ClientSession) -> str:
        """Return the member that leads."""
        return next(one["name"] for one in await self._told(web) if one["role"] == "leader")

    async def lay(self) -> None:
        """Make the database and the processes' roles."""
        owner = await asyncpg.connect(self.dsn(ADMIN, "postgres"), timeout=10)
        try:
            for role in ROLES:
                await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self._passwords[role]}'")
            await owner.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await owner.close()

    async def _told(self, web: aiohttp.ClientSession) -> list[dict[str, Any]]:
        for name in MEMBERS:
            try:
                timeout = aiohttp.ClientTimeout(total=3)
                async with web.get(f"http://{address(name)}:8008/cluster", timeout=timeout) as answer:
                    return (await answer.json(content_type=None))["members"]
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
        return []

    def _etcd(self) -> Part:
        here, data = address("etcd"), self._room / "etcd"
        words = [
            "etcd", "--name", "etcd", "--data-dir", str(data), "--listen-client-urls", f"http://{here}:2379",
            "--advertise-client-urls", f"http://{here}:2379", "--listen-peer-urls", f"http://{here}:2380",
            "--initial-advertise-peer-urls", f"http://{here}:2380", "--initial-cluster", f"etcd=http://{here}:2380",
        ]  # fmt: skip
        return Part(self._room, "etcd", "etcd", words)

    def _member(self, name: str, patroni: Path, home: Path) -> Part:
        here = address(name)
        place = home / name
        place.mkdir(mode=0o700)
        own(place, self._user)
        settings = place / "patroni.yml"
        shutil.copyfile(SETTINGS, settings)
        own(settings, self._user)
        logins = {"SUPERUSER": ADMIN, "REPLICATION": "replicator", "REWIND": "rewind"}
        environment = {
            "PATRONI_NAME": name,
            "PATRONI_RESTAPI_LISTEN": f"{here}:8008",
            "PATRONI_RESTAPI_CONNECT_ADDRESS": f"{here}:8008",
            "PATRONI_ETCD3_HOSTS": f"{address('etcd')}:2379",
            "PATRONI_POSTGRESQL_LISTEN": f"{here}:5432",
            "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"{here}:5432",
            "PATRONI_POSTGRESQL_DATA_DIR": str(place / "data"),
            "PATRONI_POSTGRESQL_BIN_DIR": str(self._bindir),
            "PATRONI_POSTGRESQL_PGPASS": str(place / "pgpass"),
            **{f"PATRONI_{what}_USERNAME": login for what, login in logins.items()},
            **{f"PATRONI_{what}_PASSWORD": self._passwords[login] for what, login in logins.items()},
        }
        words = [str(patroni), str(settings)]
        return Part(self._room, name, "patroni", words, environment=environment, user=self._user)


def own(path: Path, user: ServerUser) -> None:
    """Give a file to the server's user."""
    if user.drop:
        os.chown(path, user.uid, user.gid)


def balancer(room: Path) -> Part:
    """Return HAProxy with the file of deploy/cluster/."""
    hosts = {"LB": "lb", "API1": "api1", "API2": "api2", "DB1": "db1", "DB2": "db2"}
    environment = {f"MOTCUA_{name}": address(host) for name, host in hosts.items()}
    environment["MOTCUA_LB_SOCKET"] = str(room / "lb.socket")
    words = ["haproxy", "-db", "-f", str(ROOT / "deploy" / "cluster" / "haproxy.cfg")]
    return Part(room, "lb", "haproxy", words, environment=environment)


async def tell_balancer(room: Path, order: str) -> str:
    """Give HAProxy an order at run time; return its answer."""
    reader, writer = await asyncio.open_unix_connection(str(room / "lb.socket"))
    try:
        writer.write(f"{order}\n".encode())
        await writer.drain()
        return (await reader.read()).decode()
    finally:
        writer.close()
