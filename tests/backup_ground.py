"""The ground for tests of backup and restore: a server with fsync on, a store, and dossiers with a document each."""

import asyncio
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from api import audit
from api.audit.chain import Notary
from api.audit.outside import CheckpointFile
from api.audit.revocations import RevocationLog
from api.audit.sealer import Sealer
from api.backup.place import Place
from api.backup.restoring import Report, Wish, restore
from api.db.migrate import migrate
from api.db.pools import open_pools, prepare_connection
from api.documents.blobs import BlobStore, FileStore
from api.embedded.postgres import Cluster
from api.kernel import system_clock
from tests.database.test_journal_rebuild import INSERT_DOSSIER, INSERT_LINE, lay_ground, lived_by, lives
from tests.lifecycle_ground import COUNTER

SERIES = UUID("01900000-0000-7000-8000-00000000000a")
LIFE = next(lives(1))


def quiet(_vi: str, _en: str) -> None:
    pass


class Entry(NamedTuple):
    """One acknowledged act: the dossier, the digest of its document, and when the commit returned."""

    number: int
    sha256: bytes
    began: datetime
    acknowledged: datetime


class Office:
    """A running server with its document store, its backup directory, and the ledger of what it acknowledged."""

    def __init__(self, room: Path, cluster: Cluster, admin: asyncpg.Connection, blobs: BlobStore) -> None:
        self.room, self.cluster, self.admin = room, cluster, admin
        self.dsn = cluster.dsn("admin")
        self.blobs = blobs
        self.place = Place(room / "backup")
        self.ledger: list[Entry] = []

    async def write(self, number: int) -> Entry:
        """Store a document, then commit a dossier with its journal, its document and its number; note it."""
        began = datetime.now(UTC)
        content = secrets.token_bytes(3000)
        spare = self.room / f"spare-{number}"
        spare.write_bytes(content)
        stored = await self.blobs.put_file(spare)
        spare.unlink()
        row, lines = lived_by(number, LIFE)
        journal = [(*line[:4], began, *line[5:]) for line in lines]
        async with self.admin.transaction():
            await self.admin.execute(INSERT_DOSSIER, *row)
            await self.admin.executemany(INSERT_LINE, journal)
            await self.admin.execute(
                "INSERT INTO blob (sha256, size, media_type) VALUES ($1, $2, 'application/pdf')",
                stored.sha256,
                stored.size,
            )
            await self.admin.execute("INSERT INTO upload (sha256, profile) VALUES ($1, 'handed_in')", stored.sha256)
            await self.admin.execute(
                "INSERT INTO number_counter VALUES ($1, 2026, 1) ON CONFLICT (series_id, year)"
                " DO UPDATE SET n = number_counter.n + 1",
                SERIES,
            )
        entry = Entry(number, stored.sha256, began, datetime.now(UTC))
        self.ledger.append(entry)
        return entry

    async def keep_writing(self, stop: asyncio.Event, first: int) -> None:
        """Write one dossier after another until told to stop."""
        number = first
        while not stop.is_set():
            await self.write(number)
            number += 1
            await asyncio.sleep(0.02)

    async def lock_the_chairman(self) -> UUID:
        """Lock the one account there is; a worker writes it into the log outside, and a checkpoint that names it.

        By connections of its own: dossiers are being written meanwhile.
        """
        pools = await open_pools(self.dsn, read_size=1, write_size=1)
        notary, outside = Notary({"c1": bytes(32)}), self.room / "outside"
        async with pools.transaction() as tx:
            block: UUID = await tx.fetchval(
                "INSERT INTO account_block (account_id, what, reason, by_account_id)"
                " SELECT id, 'account', 'thử', id FROM account RETURNING id"
            )
            await audit.append(
                tx, None, process="api", action="account.lock", subject_kind="account", subject_id=None, detail={},
                at=system_clock(),
            )  # fmt: skip
        log = RevocationLog(pools, notary, outside, system_clock)
        sealer = Sealer(pools, notary, CheckpointFile(outside), system_clock, log)
        while not await sealer.step():  # a dossier being written bars it for a moment
            await asyncio.sleep(0.02)
        assert await log.note() == 1
        assert await sealer.step() == 0
        await pools.close()
        return block

    async def restore(self, into: str, **wish) -> Report:
        return await restore(self.place, Wish(into=self.room / into, **wish), None, lambda: datetime.now(UTC), quiet)


@contextlib.asynccontextmanager
async def opened_office(
    make_cluster: Callable[[Path], Cluster] = Cluster, make_store: Callable[[Path], BlobStore] = FileStore
) -> AsyncIterator[Office]:
    """Start a server as production has it; everything is gone at the end."""
    room = Path(tempfile.mkdtemp(prefix="motcua-backup-"))
    room.chmod(0o711)
    cluster = make_cluster(room / "pg")
    try:
        await cluster.start(quiet)
        await migrate(cluster.dsn("admin"))
        admin = await asyncpg.connect(cluster.dsn("admin"))
        await prepare_connection(admin)
        office = Office(room, cluster, admin, make_store(room / "blobs"))
        await lay_ground(admin)
        await admin.execute(
            "INSERT INTO number_series (id, agency_id, kind_code, pattern, owner, legal_basis, valid_from)"
            " VALUES ($1, $2, 'QD', '{n}/QĐ-UBND', 'own', 'Quyết định', '2025-07-01')",
            SERIES,
            COUNTER,
        )
        person = await admin.fetchval("INSERT INTO person (kind) VALUES ('official') RETURNING id")
        await admin.execute("INSERT INTO account (person_id, agency_id, login) VALUES ($1, $2, 'ct')", person, COUNTER)
        yield office
        await office.blobs.close()
        await admin.close()
    finally:
        await cluster.stop()
        shutil.rmtree(room)


@contextlib.asynccontextmanager
async def brought_back(office: Office, into: str) -> AsyncIterator[asyncpg.Connection]:
    """Start what was restored, as `up` would, and look at it."""
    cluster = Cluster(office.room / into / "pg")
    await cluster.start(quiet)
    try:
        connection = await asyncpg.connect(cluster.dsn("admin"))
        yield connection
        await connection.close()
    finally:
        await cluster.stop()


def read_report(office: Office, into: str) -> Report:
    return msgspec.json.decode((office.room / into / "restore-report.json").read_bytes(), type=Report)
