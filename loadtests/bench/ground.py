"""The ground under a benchmark: an embedded cluster with full durability, and a province with a million dossiers.

The seeded database is kept below `var/bench` as a template, named by everything it was made from, and copied for each
run; so every run begins with the same rows. Its keys and tokens are constants: nothing in it is anybody's.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from api.db.migrate import SCHEMA_FILE, migrate
from api.db.pools import open_pools
from api.db.privacy import Vault
from api.db.queries import load
from api.dossiers.contract import NewDossier, PersonIn
from api.dossiers.facts import PartIn
from api.dossiers.intake import Intake
from api.dossiers.service import Dossiers
from api.embedded.pki import lay_pki
from api.embedded.postgres import Cluster, Progress
from api.embedded.province import certificates_wanted, data, lay_province, rows
from api.http.auth.tokens import TokenKeys
from api.kernel import Actor
from api.registry.service import Registry

q: Final = load("loadtests.bench", "seed.sql")

WARD: Final = "kinhbac"
FILING: Final = NewDossier(
    procedure_code="1.004873",
    territory_code="09187",
    filer=PersonIn(name="Nguyễn Thị Hồng Nhung", id_number="024199001234", phone="0912345678"),
    parts=(PartIn(part_code="TK", name="Tờ khai", originals=1),),
)
"""What every dossier here is: a request for a confirmation of marital status, handed in at a ward's counter."""

DATA_KEY: Final = sha256(b"bench: personal data").digest()
_KEY_ID: Final = "bench"
_FACTOR_KEY: Final = sha256(b"bench: second factors").digest()
_SESSION_KEY: Final = sha256(b"bench: sessions").digest()
_TOKENS: Final = TokenKeys({_KEY_ID: _SESSION_KEY})
_CHUNK: Final = 50_000
_COPIED: Final = (
    "dossiers", "journals", "tasks", "results", "documents", "blobs", "revisions", "chains", "requests",
)  # fmt: skip
"""In the order in which each stands on the one before."""
_MADE_FROM: Final = sha256(
    SCHEMA_FILE.read_bytes() + "\n".join(q.statements.values()).encode() + Path(__file__).read_bytes()
).hexdigest()[:12]
"""Tells one seeding from another: schema, statements, and this file."""
TUNING: Final[Mapping[str, str]] = {"shared_buffers": "1GB", "max_wal_size": "8GB"}
"""Besides what the embedded cluster has; durability is left on."""


def vault() -> Vault:
    """Return the keys of personal data, which every contender is given."""
    return Vault({_KEY_ID: DATA_KEY}, _KEY_ID)


class Ground:
    """A database of its own for one run, and who is logged in there."""

    def __init__(self, cluster: Cluster, database: str, owner: asyncpg.Connection, model: UUID) -> None:
        self.cluster, self.database, self.owner, self.model = cluster, database, owner, model
        self._tokens: dict[str, str] = {}

    def dsn(self, role: str = "app") -> str:
        return self.cluster.dsn(role, self.database)

    def environment(self, port: int, room: Path) -> dict[str, str]:
        """What an API process is told."""
        return {
            "PATH": os.environ["PATH"],
            "DATABASE_URL_APP": self.dsn(),
            "MOTCUA_DEMO": "1",
            "MOTCUA_LIMITS": "0",  # one person of the benchmark asks for a whole province
            "MOTCUA_DATA_KEYS": f"{_KEY_ID}:{DATA_KEY.hex()}",
            "MOTCUA_SESSION_KEYS": f"{_KEY_ID}:{_SESSION_KEY.hex()}",
            "MOTCUA_BLOB_DIR": str(room),
            "MOTCUA_TRUST_DIR": str(room),
            "MOTCUA_LISTEN": f"127.0.0.1:{port}",
            "MOTCUA_PUBLIC_URL": f"http://127.0.0.1:{port}",
        }

    async def log_in(self, who: str) -> str:
        """Return the token of somebody of the demo ("chutich.kinhbac"), whose session is opened at the first call."""
        if who not in self._tokens:
            self._tokens[who] = token = _TOKENS.new()
            await self.owner.execute(q.session, _TOKENS.digest(token), _TOKENS.current, who)
        return self._tokens[who]

    async def received(self, count: int) -> list[str]:
        """Return codes of dossiers that wait at the ward's counter."""
        return [row["code"] for row in await self.owner.fetch(q.received, self.model, count)]

    async def waiting(self, who: str, count: int) -> list[tuple[str, str]]:
        """Return requests that wait for somebody's signature, with the digests to show."""
        return [(str(row["id"]), row["sha256"]) for row in await self.owner.fetch(q.waiting, who, count)]

    async def durability(self) -> dict[str, str]:
        """Return the settings that a commit depends on."""
        return {row["name"]: row["setting"] for row in await self.owner.fetch(q.durability)}


Seed = Callable[[Cluster, str], Awaitable[None]]
"""Fills an empty, migrated database of a cluster: what a template is made by."""


@contextlib.asynccontextmanager
async def ground(root: Path, dossiers: int, say: Progress) -> AsyncIterator[Ground]:
    """Start the cluster, seed the template unless it is there, and lend a copy of it."""

    async def seed(cluster: Cluster, database: str) -> None:
        await seed_province(cluster, database, dossiers, say)

    async with lend(root, template_of(dossiers), seed, say) as (cluster, database):
        owner = await asyncpg.connect(cluster.dsn("admin", database))
        try:
            model = await owner.fetchval("SELECT id FROM dossier WHERE code NOT LIKE '%-250701-%'")
            await owner.execute("CHECKPOINT")
            yield Ground(cluster, database, owner, model)
        finally:
            await owner.close()


@contextlib.asynccontextmanager
async def lend(
    root: Path, template: str, seed: Seed, say: Progress, *, preload: str = ""
) -> AsyncIterator[tuple[Cluster, str]]:
    """Start the cluster of a directory, seed the template unless it is there, and lend a copy of it by its name.

    `preload` names a library of PostgreSQL's own that must be there when it starts.
    """
    cluster = Cluster(root, tuning={**TUNING, "shared_preload_libraries": preload})
    await cluster.start(say)
    try:
        await make_template(cluster, template, seed)
        database = f"run_{os.getpid()}"
        await _command(cluster, f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield cluster, database
        finally:
            await _command(cluster, f"DROP DATABASE {database} WITH (FORCE)")
    finally:
        await cluster.stop()


def template_of(dossiers: int) -> str:
    """Return the name of the template with so many dossiers."""
    return f"seeded_{dossiers}_{_MADE_FROM}"


async def has_template(cluster: Cluster, name: str) -> bool:
    """Tell whether a template is there already."""
    return await _command(cluster, f"SELECT FROM pg_database WHERE datname = '{name}'") == "SELECT 1"


async def make_template(cluster: Cluster, name: str, seed: Seed) -> None:
    """Seed a database of this name, unless it is there; it bears the name only once it is whole."""
    if await has_template(cluster, name):
        return
    await _command(cluster, f"DROP DATABASE IF EXISTS {name}_half WITH (FORCE)")
    await _command(cluster, f"CREATE DATABASE {name}_half")
    await migrate(cluster.dsn("admin", f"{name}_half"))
    await seed(cluster, f"{name}_half")
    await _command(cluster, f"ALTER DATABASE {name}_half RENAME TO {name}")


async def seed_province(cluster: Cluster, database: str, dossiers: int, say: Progress) -> None:
    """Fill an empty, migrated database: the demo province, and so many dossiers copied in by two hands."""
    owner, second = [await asyncpg.connect(cluster.dsn("admin", database)) for _ in range(2)]
    try:
        with tempfile.TemporaryDirectory(prefix="motcua-bench-") as room:
            pki, now = Path(room) / "pki", datetime.now(UTC)
            lay_pki(pki, certificates_wanted(), at=now - timedelta(days=1), demo=True)
            factors = Vault({_KEY_ID: _FACTOR_KEY}, _KEY_ID)
            await lay_province(owner, pki=pki, vault=vault(), factors=factors, at=now)
        await fill(owner, cluster.dsn("app", database), vault(), dossiers, say, beside=(second,))
        await owner.execute(q.settle)
    finally:
        await owner.close()
        await second.close()


async def fill(
    owner: asyncpg.Connection, app: str, keys: Vault, dossiers: int, say: Progress,
    *, beside: Sequence[asyncpg.Connection] = (),
) -> None:  # fmt: skip
    """Copy dossiers into a province, for the owner's session and those beside it, each a part at a time.

    `app` is the DSN by which the model is handed in.
    """
    began, done = time.monotonic(), 0
    model = await _model(app, keys)
    parts = iter(range(1, dossiers + 1, _CHUNK))

    async def copy(hand: asyncpg.Connection) -> None:
        nonlocal done
        await hand.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        for once in ("naming", "places", "signatories"):
            await hand.execute(q.statements[once])
        for first in parts:
            last = min(first + _CHUNK - 1, dossiers)
            for name in _COPIED:
                await hand.execute(q.statements[name], model, first, last)
            done += last - first + 1
            say(*bar(done, dossiers, time.monotonic() - began))

    await asyncio.gather(*map(copy, (owner, *beside)))


async def _model(app: str, keys: Vault) -> UUID:
    """Hand one dossier in by the product's own use case: what the others are copied from."""
    pools = await open_pools(app, read_size=2, write_size=1)
    try:
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        intake = Intake(Dossiers(Registry(pools), keys))
        async with pools.transaction() as tx:
            return (await intake.submit(tx, actor(f"tiepnhan.{WARD}"), FILING, at=at)).id
    finally:
        await pools.close()


def actor(slug: str) -> Actor:
    """Return an official of the demo as a session would give them."""
    person = next(person for person in data.people() if person.slug == slug)
    return Actor(
        account_id=rows.account_id(person),
        person_id=rows.person_id(person),
        post_id=rows.post_id(person),
        agency_id=rows.agency_id(person.agency),
        roles=frozenset(role.value for role in person.roles),
    )


def bar(done: int, of: int, seconds: float) -> tuple[str, str]:
    """Return how far a seeding has come, in Vietnamese and English."""
    drawn = "█" * (done * 20 // of)
    return (f"Gieo {drawn:░<20} {done:,} hồ sơ, {seconds:.0f} giây", f"Seeded {done:,} dossiers, {seconds:.0f} s")


async def _command(cluster: Cluster, statement: str) -> str:
    connection = await asyncpg.connect(cluster.dsn("admin", "postgres"))
    try:
        return await connection.execute(statement)
    finally:
        await connection.close()
