"""The sealer: every second, what is committed is chained and signed, and the checkpoint copied out of the database.

It costs the acts nothing: it reads below the oldest running transaction (`xid < pg_snapshot_xmin`), where nothing can
appear any more, so neither a late commit with a low id nor a row rolled back can leave a gap. Links and checkpoint are
one transaction; a death before the copy is made good by the next step of any worker.
"""

import asyncio
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import Counter, Gauge

from api import failpoints
from api.audit import store
from api.audit.chain import (
    GENESIS,
    Checkpoint,
    KeyNote,
    Notary,
    Signed,
    digest_of,
    link,
    newest,
)
from api.audit.outside import CheckpointFile
from api.audit.revocations import RevocationLog
from api.db.pools import Pools, Tx
from api.errors import Broken
from api.kernel import Clock

EVERY_S: Final = 0.8
REVOCATIONS_EVERY: Final = 3
"""Steps from one look at what was revoked to the next."""
BATCH: Final = 5_000
COPIED_AT_ONCE: Final = 1_000

_log: Final = structlog.get_logger("audit")
_unsealed: Final = Gauge("motcua_audit_unsealed_rows", "Audit rows not chained yet, counted up to 10,000.")
_oldest: Final = Gauge("motcua_audit_unsealed_oldest_seconds", "Seconds the oldest unchained audit row has waited.")
_age: Final = Gauge("motcua_audit_checkpoint_age_seconds", "Seconds since the last signed checkpoint.")
_behind: Final = Gauge("motcua_audit_checkpoints_to_copy", "Checkpoints that are not outside the database yet.")
_failures: Final = Counter("motcua_audit_sealer_failures", "Steps of the sealer that failed, by reason.", ["reason"])


class Sealer:
    """Chains, signs and copies for one worker; of many workers one at a time."""

    def __init__(
        self, pools: Pools, notary: Notary, file: CheckpointFile, clock: Clock, revocations: RevocationLog | None = None
    ) -> None:
        """Work on the worker's pools; the notary's current key signs."""
        self._pools = pools
        self._notary = notary
        self._file = file
        self._clock = clock
        self._revocations = revocations

    async def run(self) -> None:
        """Step until cancelled; a step that fails is told and tried again."""
        steps = 0
        while True:
            try:
                while await self.step() == BATCH:
                    pass
                await self.measure()
                if self._revocations is not None and steps % REVOCATIONS_EVERY == 0:
                    await self._revocations.note()
                steps += 1
            except Exception as error:  # noqa: BLE001 - without a sealer rows wait, and the gauge says so
                _failures.labels(error.kind_code if isinstance(error, Broken) else "other").inc()
                _log.error("not_sealed", exc_info=True)
            await asyncio.sleep(EVERY_S)

    async def step(self) -> int:
        """Seal what is committed and copy it out; return how many rows, 0 also where another worker is at it.

        Raises:
            Broken: the copy outside tells of another history, or the key is not vouched for: nothing is signed then.
            OSError: the copy could not be written; what is sealed stands, and the next step copies it.
        """
        async with self._pools.transaction() as tx:
            if not await store.lock_sealer(tx):
                return 0
            last = await store.last_checkpoint(tx)
            outside = await self._outside(tx, last)
            rows = await self._seal(tx, last)
        if rows is not None:
            await failpoints.reach("audit-sealed", "audit")
        if rows is not None or (last is not None and outside != newest([last])):
            await self.copy()
        return rows or 0

    async def copy(self) -> None:
        """Add to the file outside whatever it lacks."""
        async with self._pools.transaction() as tx:
            if not await store.lock_sealer(tx):
                return
            last = await store.last_checkpoint(tx)
            outside = await self._outside(tx, last)
            if last is None:
                return
            keys = await store.audit_keys(tx)
            if outside is None:  # a new file begins with where the chain stands
                await asyncio.to_thread(self._file.append, [*keys, last])
                outside = newest([last])
            while outside and (missing := await store.checkpoints_after(tx, outside.number, COPIED_AT_ONCE)):
                noted = [*keys, *missing] if _other_key(outside, missing) else missing
                await asyncio.to_thread(self._file.append, noted)
                outside = newest(missing)
        await failpoints.reach("audit-copied", "audit")

    async def measure(self) -> None:
        """Set the gauges.

        Raises:
            Broken: the transactions of this database stand below the chain, as after a restore from a logical dump.
        """
        async with self._pools.reading() as tx:
            last = await store.last_checkpoint(tx)
            stands = newest([last]) if last else None
            waiting = await store.unsealed(tx, *((stands.xid, stands.audit_id) if stands else (0, 0)))
        _unsealed.set(waiting.rows)
        _oldest.set(waiting.oldest_s)
        if stands is None:
            return
        _age.set(max(0.0, (self._clock() - stands.at).total_seconds()))
        outside = await asyncio.to_thread(self._file.last)
        _behind.set(stands.number - (newest([outside]) or stands).number if outside else 1)
        if waiting.next_xid <= stands.xid:
            raise Broken(
                "Số giao dịch của cơ sở dữ liệu thấp hơn chuỗi kiểm toán: đây là bản khôi phục từ tệp kết xuất?",
                "The database's transactions stand below the audit chain: was it restored from a logical dump?",
                code="audit-below-chain",
                next_step=(
                    "Khôi phục bằng `motcua restore` (bản sao vật lý).",
                    "Restore with `motcua restore` (a physical copy).",
                ),
            )

    async def _outside(self, tx: Tx, last: Signed | None) -> Checkpoint | None:
        """Return the last checkpoint of the copy outside, which must be part of what the database says."""
        line = await asyncio.to_thread(self._file.last)
        outside = newest([line]) if line else None
        if line is None or outside is None:
            return None
        stands = newest([last]) if last else None
        if stands is None or stands.number < outside.number:
            raise _other_history(f"it ends before checkpoint {outside.number}", str(self._file.path))
        if await store.checkpoint_body(tx, outside.number) != line.body:
            raise _other_history(f"checkpoint {outside.number} is another", str(self._file.path))
        return outside

    async def _seal(self, tx: Tx, last: Signed | None) -> int | None:
        """Chain what is committed and sign a checkpoint, also over no row where the log of revocations has grown.

        Returns:
            How many rows; None where there was nothing to sign.
        """
        stands = newest([last]) if last else None
        xid, audit_id = (stands.xid, stands.audit_id) if stands else (0, 0)
        position, reached = (stands.rows, bytes.fromhex(stands.hash)) if stands else (0, GENESIS)
        rows = await store.rows_to_chain(tx, xid, audit_id, BATCH)
        named = stands.revocations if stands else None
        end = await self._revocations.end(stands) if self._revocations else named
        if not rows and (stands is None or end == named):
            return None
        hashes: list[bytes] = []
        for row in rows:
            reached = link(reached, audit_id=row.id, xid=row.xid, recorded_at=row.recorded_at, digest=row.digest)
            hashes.append(reached)
        positions = range(position + 1, position + 1 + len(rows))
        await store.insert_links(tx, positions, [row.id for row in rows], hashes)
        await failpoints.reach("audit-chained", "audit")
        at = self._clock()
        await self._vouch(tx, at)
        signed = self._notary.sign(
            Checkpoint(
                number=stands.number + 1 if stands else 1,
                rows=position + len(rows),
                hash=reached.hex(),
                audit_id=rows[-1].id if rows else audit_id,
                xid=rows[-1].xid if rows else xid,
                at=at,
                previous=digest_of(last.body) if last else "",
                key=self._notary.current,
                revocations=end,
            )
        )
        await store.insert_checkpoint(tx, stands.number + 1 if stands else 1, signed)
        return len(rows)

    async def _vouch(self, tx: Tx, at: datetime) -> None:
        """See that the current key is noted, signed by one that was noted before it."""
        current = self._notary.current
        public = self._notary.public(current)
        said = [line.read() for line in await store.audit_keys(tx)]
        noted = [one for one in said if isinstance(one, KeyNote)]
        known = next((note for note in noted if note.id == current), None)
        if known is not None and known.public == public:
            return
        if known is not None:
            raise Broken(
                f"Khóa điểm kiểm tra {current!r} khác với khóa đã dùng dưới tên này.",
                f"The checkpoint key {current!r} is another than the one used under this name.",
                code="audit-key-changed",
            )
        elder = next((note.id for note in reversed(noted) if self._notary.holds(note.id)), current)
        if noted and elder == current:
            raise Broken(
                f"Khóa điểm kiểm tra mới {current!r} chưa được khóa cũ bảo đảm.",
                f"No earlier checkpoint key vouches for {current!r}.",
                code="audit-key-alone",
                next_step=(
                    f"Ghi thêm khóa {noted[-1].id!r} sau khóa mới trong MOTCUA_CHECKPOINT_KEYS.",
                    f"Name the key {noted[-1].id!r} after the new one in MOTCUA_CHECKPOINT_KEYS.",
                ),
            )
        note = KeyNote(id=current, public=public, at=at, key=elder)
        await store.insert_audit_key(tx, current, self._notary.sign(note))


def _other_key(outside: Checkpoint, missing: list[Signed]) -> bool:
    """Tell whether these checkpoints need a key that the last one in the file did not."""
    return any(isinstance(said := line.read(), Checkpoint) and said.key != outside.key for line in missing)


def _other_history(how: str, path: str) -> Broken:
    return Broken(
        f"Chuỗi kiểm toán trong cơ sở dữ liệu không khớp bản sao bên ngoài {path}.",
        f"The audit chain in the database is not the one copied to {path}: {how}.",
        code="audit-other-history",
        next_step=(
            "Chạy `motcua audit verify --checkpoint` với tệp ấy. Nếu vừa khôi phục có chủ ý về một thời điểm trước, "
            "giữ tệp ấy làm bằng chứng dưới tên khác; một tệp mới sẽ được bắt đầu.",
            "Run `motcua audit verify --checkpoint` with that file. After a deliberate restore to an earlier point, "
            "keep the file as evidence under another name; a new one will be begun.",
        ),
    )
