"""The generators' ledger of acknowledged writes against the database, and times by HTTP against times kept there."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import fmean
from typing import Any, Final
from uuid import UUID

import asyncpg

from api.db.pools import open_pools
from api.dossiers import store
from api.dossiers.rebuild import compare
from loadtests.load.notes import Acknowledged, Finished
from loadtests.load.verdict import Drift, Kept

_BY_CODE: Final = ("submit online", "receive")
_TICKETS: Final = ("sign these", "sign by token", "seal these")
_KEYS: Final = "SELECT key, count(*) AS times FROM idempotency WHERE created_at >= $1 GROUP BY key"
_DOSSIERS: Final = "SELECT code FROM dossier WHERE submitted_at >= $1"
_UPLOADS: Final = "SELECT id FROM upload WHERE created_at >= $1"
_BATCHES: Final = """
    SELECT id, item_count, asked_at, closed_at,
           (SELECT max(ended_at) FROM batch_item WHERE batch_id = signature_batch.id) AS last_at
      FROM signature_batch WHERE asked_at >= $1
"""
_UNENDED: Final = """
    SELECT batch.id, extract(epoch FROM now() - batch.asked_at)::int AS old_s, batch.complete, batch.lane,
           string_agg(format('%s since %s s, attempt %s', request.state,
                             extract(epoch FROM now() - request.state_at)::int, request.attempt), '; ') AS waiting
      FROM signature_batch batch LEFT JOIN batch_item item ON item.batch_id = batch.id AND item.ended_at IS NULL
           LEFT JOIN signature_request request ON request.id = item.request_id
     WHERE batch.asked_at >= $1 AND batch.closed_at IS NULL GROUP BY batch.id ORDER BY batch.asked_at
"""
_STEPS: Final = """
    SELECT dossier.code, count(*) AS times FROM journal JOIN dossier ON dossier.id = journal.dossier_id
     WHERE journal.action = 'hand_over' AND journal.recorded_at >= $1 GROUP BY dossier.code
"""
_REORDERED: Final = """
    SELECT DISTINCT dossier_id FROM (
           SELECT dossier_id, seq, recorded_at, occurred_at, lag(recorded_at) OVER lines AS before,
                  lag(seq, 1, 0) OVER lines AS number_before
             FROM journal WHERE dossier_id IN (SELECT dossier_id FROM journal WHERE recorded_at >= $1)
           WINDOW lines AS (PARTITION BY dossier_id ORDER BY seq)) line
     WHERE recorded_at < before - $2::float8 * interval '1 s' OR seq <> number_before + 1
"""
_TOUCHED: Final = "SELECT DISTINCT dossier_id FROM journal WHERE recorded_at >= $1 ORDER BY 1"


async def kept(
    owner: asyncpg.Connection, since: datetime, ledger: Sequence[Acknowledged], intents: Iterable[str]
) -> Kept:
    """Hold every line of the ledger against the rows, and the rows against what was asked for."""
    asked = set(intents)
    keys = {row["key"]: row["times"] for row in await owner.fetch(_KEYS, since)}
    codes = {row["code"] for row in await owner.fetch(_DOSSIERS, since)}
    uploads = {str(row["id"]) for row in await owner.fetch(_UPLOADS, since)}
    batches = {str(row["id"]): row for row in await owner.fetch(_BATCHES, since)}
    steps = {row["code"]: row["times"] for row in await owner.fetch(_STEPS, since)}
    missing = [f"{one.op} {one.key}" for one in ledger if not _there(one, keys, codes, uploads, batches)]
    unasked = [f"a write under the key {key}" for key in keys if key not in asked]
    unasked += [f"{code}: handed over {times} times" for code, times in steps.items() if times > 1]
    unasked += _beyond(ledger, keys, codes, uploads, batches, asked)
    return Kept(
        acknowledged=len(ledger),
        missing=tuple(missing),
        unasked=tuple(unasked),
        unended=tuple(
            f"{row['id']} on {row['lane']}, asked {row['old_s']} s ago, "
            f"{'complete' if row['complete'] else 'not complete'}: {row['waiting'] or 'no item waits'}"
            for row in await owner.fetch(_UNENDED, since)
        ),
    )


def _there(
    one: Acknowledged, keys: dict[str, int], codes: set[str], uploads: set[str], batches: dict[str, Any]
) -> bool:
    if keys.get(one.key) != 1:
        return False
    if one.op in _BY_CODE:
        return one.code in codes
    if one.op == "hand a file in":
        return one.id in uploads
    if one.op in _TICKETS:
        return one.id in batches and batches[one.id]["item_count"] == one.items
    return True


def _beyond(
    ledger: Sequence[Acknowledged], keys: dict[str, int], codes: set[str], uploads: set[str], batches: dict[str, Any],
    asked: set[str],
) -> list[str]:  # fmt: skip
    """Effects that nobody was told of may be those whose answer was lost with the generator, and no more than these."""
    untold = sum(key in asked for key in keys) - len({one.key for one in ledger} & keys.keys())
    told = {one.code for one in ledger if one.op in _BY_CODE} | {one.id for one in ledger}
    extra = [name for name in (*codes, *uploads, *batches) if name not in told]
    return [f"{name}: made, and nobody asked for it" for name in extra] if len(extra) > untold else []


async def reordered(owner: asyncpg.Connection, dsn: str, since: datetime, jumped_s: float) -> tuple[str, ...]:
    """Return the dossiers touched since then whose journal is out of order or folds to something else.

    Lines bear the API's time: where its clock was put back, a later line may bear an earlier one by `jumped_s`.
    """
    found = {str(row["dossier_id"]) for row in await owner.fetch(_REORDERED, since, jumped_s)}
    pools = await open_pools(dsn, read_size=1, write_size=1, budget_s=120)
    try:
        async with pools.reading() as tx:
            for row in await owner.fetch(_TOUCHED, since):
                key: UUID = row["dossier_id"]
                before = UUID(int=key.int - 1)
                (stands,) = await store.dossiers_after(tx, before, 1)
                difference = compare(stands, await store.effects_between(tx, key, key))
                if difference is not None:
                    found.add(f"{key}: {', '.join(difference.columns)} {difference.reason}")
    finally:
        await pools.close()
    return tuple(sorted(found))


async def drifts(owner: asyncpg.Connection, since: datetime, finished: Sequence[Finished]) -> tuple[Drift, ...]:
    """Hold times that HTTP told against those of the rows."""
    rows = {str(row["id"]): row for row in await owner.fetch(_BATCHES, since)}
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in finished:
        row = rows.get(one.ticket)
        if row is None or row["closed_at"] is None:
            continue
        whole = (row["closed_at"] - row["asked_at"]).total_seconds() * 1000
        told = (_instant(one.finished_at) - _instant(one.asked_at)).total_seconds() * 1000
        pairs["a ticket from the ask to its end"].append((told, whole))
        if row["last_at"] is not None:
            last = (row["last_at"] - row["asked_at"]).total_seconds() * 1000
            pairs["the ends of its items, which make up its end"].append((told, last))
    return tuple(
        Drift(what=what, count=len(found), http_ms=fmean(a for a, _ in found), database_ms=fmean(b for _, b in found))
        for what, found in pairs.items()
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
