"""What must hold once everything rests: nothing acknowledged is lost, nothing is there twice, nothing dangles."""

import asyncio
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

import signing
from api.db.pools import Pools, open_pools
from api.db.privacy import Vault
from api.documents.blobs import BlobStore, open_store
from api.documents.sweep import Sweeper
from api.documents.workshop import Workshop
from api.dossiers.rebuild import rebuild
from api.kernel import system_clock
from api.settings import read
from loadtests.chaos.ledger import Entry, Ledger
from loadtests.chaos.lives import Ward
from loadtests.chaos.product import Standing
from signing.contract import LintLimits

REST_S: Final = 90.0

AT_REST: Final = {
    "jobs": "SELECT entrypoint || ' ' || status FROM pgqueuer WHERE entrypoint <> 'documents.sweep'",
    "tickets": "SELECT id::text FROM signature_batch WHERE closed_at IS NULL",
    "items": "SELECT request_id::text FROM batch_item WHERE outcome IS NULL",
    "confirmations": "SELECT id FROM holder_transaction WHERE state <> 'ended'",
    "uploads": "SELECT id::text FROM upload WHERE state = 'checking'",
    "numbers": "SELECT text FROM number WHERE state = 'reserved'",
}
"""What is under way: empty, once all has come to rest."""

NEVER: Final = {
    "parked work": "SELECT key || ': ' || reason FROM job_claim WHERE parked_at IS NOT NULL",
    "claims without a job": "SELECT key FROM job_claim WHERE parked_at IS NULL",
    "two revisions of one request": (
        "SELECT request_id::text FROM revision WHERE request_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    ),
    "two values of one intent": (
        "SELECT request_id::text FROM signature_value GROUP BY request_id, attempt HAVING count(*) > 1"
    ),
    "one intent over two hashes": (
        "SELECT request_id::text FROM key_use GROUP BY request_id, attempt HAVING count(DISTINCT tbs_sha256) > 1"
    ),
    "a value without a use of its key": (
        "SELECT request_id::text FROM signature_value v WHERE NOT EXISTS"
        " (SELECT 1 FROM key_use u WHERE u.request_id = v.request_id AND u.attempt = v.attempt)"
    ),
    "recorded without its revision": (
        "SELECT id::text FROM signature_request r WHERE state = 'recorded' AND pdf_signature"
        " AND NOT EXISTS (SELECT 1 FROM revision WHERE request_id = r.id)"
    ),
    "a gap in a register": ("SELECT series_id::text FROM number GROUP BY series_id, year HAVING max(n) <> count(*)"),
    "a void number without its reason": "SELECT text FROM number WHERE state = 'void' AND coalesce(reason, '') = ''",
    "a number on two documents": (
        "SELECT text FROM number WHERE state = 'used' GROUP BY series_id, text HAVING count(*) > 1"
    ),
    "a document whose head is not its last revision": (
        "SELECT id::text FROM document d WHERE head_revision_id IS DISTINCT FROM"
        " (SELECT id FROM revision WHERE document_id = d.id ORDER BY ordinal DESC LIMIT 1)"
    ),
    "a dossier without an end": "SELECT code FROM dossier WHERE status <> 'delivered'",
}


COUNTED: Final = {
    "dossiers": ("/dossiers", "SELECT count(*) FROM dossier"),
    "uploads": (r"/uploads\?.*", "SELECT count(*) FROM upload"),
    "tickets": ("/signature-batches", "SELECT count(*) FROM signature_batch"),
    "results": ("/dossiers/.*/results", "SELECT count(*) FROM result"),
    "chains": ("/documents/.*/chains", "SELECT count(*) FROM chain"),
    "steps": (
        ".*/steps/.*",
        "SELECT count(*) FROM journal WHERE action IN ('hand_over', 'confirm_hand_over', 'appraise')",
    ),
    "deliveries": (".*/deliveries", "SELECT count(*) FROM journal WHERE action = 'deliver'"),
}
"""Effects of which there are exactly as many as were asked for: the paths that ask, and the rows that stand."""

MADE: Final = (
    ("/dossiers", "id", "SELECT count(*) FROM dossier WHERE id = $1"),
    (r"/uploads\?.*", "id", "SELECT count(*) FROM upload WHERE id = $1"),
    ("/signature-batches", "ticket", "SELECT count(*) FROM signature_batch WHERE id = $1"),
    ("/dossiers/.*/results", "id", "SELECT count(*) FROM result WHERE id = $1"),
    ("/documents/.*/drafts", "id", "SELECT count(*) FROM draft_order WHERE id = $1"),
    ("/documents/.*/chains", "chain_id", "SELECT count(*) FROM chain WHERE id = $1"),
)
"""Answers that name what they made."""


async def counts(product: Standing) -> dict[str, int]:
    """Count what stands of each effect."""
    owner = await asyncpg.connect(product.environment["DATABASE_URL"], timeout=30)
    try:
        return {name: await owner.fetchval(query) for name, (_, query) in COUNTED.items()}
    finally:
        await owner.close()


class Judgement:
    """Reads everything once more, as the owner, and says what holds."""

    def __init__(self, product: Standing, ledger: Ledger, ward: Ward, before: Mapping[str, int]) -> None:
        self._product, self._ledger, self._ward, self._before = product, ledger, ward, before
        self.lines: list[str] = []
        self._good = True

    async def pass_(self) -> bool:
        """Judge; `lines` says what was found. True when all holds."""
        dsn = self._product.environment["DATABASE_URL"]
        owner = await asyncpg.connect(dsn, timeout=30)
        pools = await open_pools(self._product.settings_of("worker")["DATABASE_URL_WORKER"])
        try:
            await self._durability(owner)
            await self._rest(owner)
            for name, query in NEVER.items():
                self._hold(name, [row[0] for row in await owner.fetch(query)])
            self._hold("unexpected answers (5xx)", self._ward.faults)
            await self._acknowledged(owner)
            await self._journals()
            await self._blobs(pools)
            await self._signatures(owner)
        finally:
            await pools.close()
            await owner.close()
        self.lines.append(f"  on the way: {dict(self._ward.trouble)}, signing ended {dict(self._ward.outcomes)}")
        self.lines += [f"  ended otherwise, and was done again: {strange}" for strange in self._ward.strange]
        self.lines.append("0 lost, 0 doubled, 0 dangling" if self._good else "✗ something did not hold")
        return self._good

    def _hold(self, name: str, found: Sequence[Any], counted: int | None = None) -> None:
        of = "" if counted is None else f" of {counted}"
        self.lines.append(f"{'✗' if found else '✓'} {name}: {len(found)}{of}")
        self.lines += [f"    {one}" for one in found[:5]]
        self._good = self._good and not found

    async def _durability(self, owner: asyncpg.Connection) -> None:
        kept = {
            name: await owner.fetchval(f"SHOW {name}") for name in ("fsync", "full_page_writes", "synchronous_commit")
        }
        self.lines.append(f"  durability: {kept}")
        self._hold("durability settings that were off", [name for name, value in kept.items() if value != "on"])

    async def _rest(self, owner: asyncpg.Connection) -> None:
        deadline = time.monotonic() + REST_S
        while True:
            left = {name: [row[0] for row in await owner.fetch(query)] for name, query in AT_REST.items()}
            if not any(left.values()) or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        for name, rows in left.items():
            self._hold(f"{name} still under way", rows)

    async def _acknowledged(self, owner: asyncpg.Connection) -> None:
        """Hold each line of the ledger against the rows, and the rows against the ledger."""
        entries = self._ledger.entries
        lost = [entry for entry in entries if not await is_there(owner, entry)]
        self._hold("acknowledged and lost", [f"{e.method} {e.path} {e.key}" for e in lost], len(entries))
        repeated = sum(entry.tries > 1 for entry in entries)
        self.lines.append(f"  {repeated} of {len(entries)} intents were sent more than once")
        now = await counts(self._product)
        for what, (pattern, _) in COUNTED.items():
            asked = sum(re.fullmatch(pattern, entry.path) is not None for entry in entries)
            made = now[what] - self._before[what]
            self._hold(f"{what} doubled", [f"{made} stand, {asked} were asked for"] if made != asked else [], asked)

    async def _journals(self) -> None:
        pools = await open_pools(self._product.environment["DATABASE_URL"])
        try:
            async with pools.reading() as tx:
                self._hold("dossiers that differ from their journal", await rebuild(tx))
        finally:
            await pools.close()

    async def _blobs(self, pools: Pools) -> None:
        """Sweep once without any grace, then look: every file has its row and every row its file."""
        told = read("worker", dict(self._product.settings_of("worker")))
        store = open_store(told)
        shop = Workshop(
            pools=pools,
            processes=_NoProcesses(),
            blobs=store,
            vault=Vault(told.data_keys, told.data_key),
            trust=signing.load_trust(None, None),
            clock=lambda: system_clock() + timedelta(seconds=1),
            public_url=told.public_url,
            limits=LintLimits(),
        )
        first = await Sweeper(shop, grace=timedelta()).sweep()
        self.lines.append(f"  the sweep removed {len(first.removed)} files and {first.leftovers} leftovers of uploads")
        again = await Sweeper(shop, grace=timedelta()).sweep()
        self._hold("dangling blobs after one sweep", [*again.removed, *again.missing])
        wrong = [listed.sha256.hex() async for listed in store.iter_all() if not await _is_itself(store, listed.sha256)]
        self._hold("files that are not what their name says", wrong)
        await store.close()

    async def _signatures(self, owner: asyncpg.Connection) -> None:
        """Verify every signed revision with our verifier, and with pdfsig where it is there."""
        demo = self._product.files.trust / "demo"
        trust = signing.load_trust(self._product.files.trust, demo)
        store = open_store(read("worker", dict(self._product.settings_of("worker"))))
        rows = await owner.fetch("SELECT sha256, ordinal, origin FROM revision WHERE origin IN ('signed', 'sealed')")
        bad: list[str] = []
        for row in rows:
            path = await store.local_path(row["sha256"])
            told = await asyncio.to_thread(signing.verify, str(path), trust, at=system_clock())
            wanted = 1 if row["origin"] == "signed" else 2
            if len(told.signatures) != wanted or not all(one.intact for one in told.signatures):
                bad.append(row["sha256"].hex())
            elif await _pdfsig(path) not in (None, wanted):
                bad.append(f"{row['sha256'].hex()} (pdfsig)")
        self._hold("signed files that do not verify", bad, len(rows))
        await store.close()


async def is_there(owner: asyncpg.Connection, entry: Entry) -> bool:
    """Tell whether an acknowledged write is: its intent, and what its answer says it made."""
    kept = await owner.fetchval("SELECT count(*) FROM idempotency WHERE key = $1", entry.key)
    answer = entry.answer or {}
    named = next((row for row in MADE if re.fullmatch(row[0], entry.path)), None)
    if kept != 1 or named is None:
        return kept == 1
    _, field, query = named
    return await owner.fetchval(query, UUID(answer[field])) == 1


class _NoProcesses:
    async def run(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("a sweep needs no process")


async def _is_itself(store: BlobStore, name: Any) -> bool:
    path = await store.local_path(name)
    return await asyncio.to_thread(lambda: sha256(Path(path).read_bytes()).digest()) == name


async def _pdfsig(path: Any) -> int | None:
    """How many signatures pdfsig calls valid, or None without that program."""
    program = shutil.which("pdfsig")
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program, "-nocert", str(path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    return out.decode(errors="replace").count("Signature is Valid")
