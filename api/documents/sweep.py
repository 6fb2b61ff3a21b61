"""Looking for orphans both ways: files without a row, rows without a file. What a row needs is never removed."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
import structlog
from prometheus_client import Gauge

from api import audit
from api.db import queries
from api.db.pools import as_structs
from api.documents.blobs import FileStore, Listed
from api.documents.printing import forget_prints
from api.documents.verification import forget_checks
from api.documents.workshop import Workshop
from api.jobs import JobContext
from api.kernel import Sha256

T = TypeVar("T")
_q: Final = queries.load("api.documents", "sweep.sql")
SWEEP: Final = "documents.sweep"
GRACE: Final = timedelta(hours=24)
"""A file is written before its row is committed: one without a row is left alone for so long."""
_BATCH: Final = 500
_log: Final = structlog.get_logger("documents")
_missing: Final = Gauge("motcua_blobs_missing", "Rows whose file the store does not have, at the last sweep.")


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep found and did; digests are hexadecimal."""

    removed: tuple[str, ...]
    missing: tuple[str, ...]
    found_again: tuple[str, ...]
    leftovers: int


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    sha256: Sha256
    size: int
    missing_since: datetime | None


class Sweeper:
    """Handler of `documents.sweep`."""

    def __init__(self, workshop: Workshop, grace: timedelta = GRACE) -> None:
        """Work with the worker's tools; leave files younger than `grace` alone."""
        self._shop = workshop
        self._grace = grace

    async def __call__(self, context: JobContext, payload: dict[str, Any]) -> None:
        """Sweep once and report what was found."""
        del context, payload
        await self.sweep()

    async def sweep(self) -> Swept:
        """Sweep both ways; each orphan is reported by name, in the log and in the audit."""
        at = self._shop.clock()
        async with self._shop.pools.transaction() as tx:
            await forget_checks(tx, at)
            await forget_prints(tx, at)
            await tx.fetch(_q.forget_unreferenced, at - self._grace)
        removed = [name async for name in self._remove_files_without_row(at)]
        missing, found = await self._mark_rows_without_file(at)
        store = self._shop.blobs
        leftovers = 0
        if isinstance(store, FileStore):
            leftovers = await store.sweep_incoming(self._grace.total_seconds(), at)
        _missing.set(len(missing))
        swept = Swept(removed=tuple(removed), missing=tuple(missing), found_again=tuple(found), leftovers=leftovers)
        if removed or missing or found:
            await self._report(swept, at)
        return swept

    async def _remove_files_without_row(self, at: datetime) -> AsyncIterator[str]:
        async for batch in _batches(self._shop.blobs.iter_all(), _BATCH):
            old = [listed for listed in batch if at - listed.stored_at > self._grace]
            if not old:
                continue
            async with self._shop.pools.reading() as connection:
                rows = await connection.fetch(_q.rows_of, [listed.sha256 for listed in old])
            known = {bytes(row["sha256"]) for row in rows}
            for listed in old:
                if listed.sha256 not in known:
                    await self._shop.blobs.delete(listed.sha256)
                    _log.warning("blob_without_row_removed", sha256=listed.sha256.hex(), size=listed.size)
                    yield listed.sha256.hex()

    async def _mark_rows_without_file(self, at: datetime) -> tuple[list[str], list[str]]:
        missing: list[str] = []
        found: list[str] = []
        after = Sha256(b"")
        while rows := await self._rows(after):
            after = rows[-1].sha256
            for row in rows:
                there = await self._shop.blobs.exists(row.sha256)
                if not there:
                    missing.append(row.sha256.hex())
                    _log.error("blob_missing", sha256=row.sha256.hex(), since=str(row.missing_since or at))
                elif row.missing_since is not None:
                    found.append(row.sha256.hex())
                if there != (row.missing_since is None):
                    await self._note(row, at, there=there)
        return missing, found

    async def _rows(self, after: Sha256) -> Sequence[_Row]:
        async with self._shop.pools.reading() as connection:
            return as_structs(await connection.fetch(_q.blobs_after, after, _BATCH), _Row)

    async def _note(self, row: _Row, at: datetime, *, there: bool) -> None:
        async with self._shop.pools.transaction() as tx:
            if there:
                await tx.execute(_q.note_found, row.sha256)
            else:
                await tx.execute(_q.note_missing, row.sha256, at)

    async def _report(self, swept: Swept, at: datetime) -> None:
        async with self._shop.pools.transaction() as tx:
            await audit.append(
                tx,
                None,
                process="worker",
                action="documents.sweep",
                subject_kind="store",
                subject_id=None,
                detail=msgspec.to_builtins(swept),
                at=at,
            )


async def _batches(items: AsyncIterator[Listed], size: int) -> AsyncIterator[list[Listed]]:
    batch: list[Listed] = []
    async for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
