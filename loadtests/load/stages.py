"""Where the time of a signature went: stage by stage by the rows, as the signer counted it, and as its asker saw it.

Queue and stages are read from the rows that each stage left (L12). Two independent tellers are held against them: the
signer's own metrics page, and the clock of whoever asked, from the answer to the ask until the end was seen.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from typing import Final

import aiohttp
import asyncpg

from loadtests.load.notes import Acknowledged, Finished
from loadtests.load.site import Place
from loadtests.load.verdict import Drift

STAGES: Final = ("prepare", "send", "confirm", "record", "whole")
"""As `motcua_signature_stage_seconds` has them; the first is the queue and the preparing."""
_PAGE: Final = re.compile(
    r'^motcua_signature_stage_seconds_(sum|count)\{holder="[^"]*",stage="([a-z]+)"\} ([0-9.e+-]+)$', re.MULTILINE
)
_ROWS: Final = """
    SELECT prepared_at - batch.asked_at AS prepare,
           coalesce(sent.started_at, prepared_at) - prepared_at AS send,
           value.received_at - coalesce(sent.started_at, prepared_at) AS confirm,
           request.recorded_at - value.received_at AS record,
           request.recorded_at - batch.asked_at AS whole
      FROM signature_request request
      JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
      JOIN signature_value value ON value.request_id = request.id AND value.attempt = request.attempt
      JOIN signature_batch batch ON batch.id = request.batch_id
      LEFT JOIN holder_transaction sent ON sent.id = request.transaction_id
     WHERE request.recorded_at >= $1
"""
_TICKETS: Final = "SELECT id, asked_at, closed_at FROM signature_batch WHERE asked_at >= $1 AND closed_at IS NOT NULL"

AS_SEEN: Final = "a ticket as its asker saw it, and by the rows"
"""Streams look twice a second: in a trial, where a ticket takes a second or two, that is no fiftieth."""

Counted = Mapping[str, tuple[float, float]]
"""By stage: seconds added up, and how many."""


async def counted(place: Place) -> Counted:
    """Return what the signer has counted of each stage since it started."""
    async with aiohttp.ClientSession() as web, web.get(place.metrics("signer")) as answer:
        return read_stages(await answer.text())


def read_stages(page: str) -> dict[str, tuple[float, float]]:
    """Add up the stages of a metrics page over all key holders."""
    found = {stage: [0.0, 0.0] for stage in STAGES}
    for kind, stage, value in _PAGE.findall(page):
        if stage in found:
            found[stage][kind == "count"] += float(value)
    return {stage: (seconds, count) for stage, (seconds, count) in found.items()}


async def drifts(
    owner: asyncpg.Connection, since: datetime, before: Counted, after: Counted, ledger: Sequence[Acknowledged],
    finished: Sequence[Finished],
) -> tuple[Drift, ...]:  # fmt: skip
    """Hold both tellers against the rows."""
    rows = [{name: took.total_seconds() for name, took in row.items()} for row in await owner.fetch(_ROWS, since)]
    tickets = {
        str(row["id"]): (row["closed_at"] - row["asked_at"]).total_seconds()
        for row in await owner.fetch(_TICKETS, since)
    }
    seen = seen_s(ledger, finished)
    return (*by_stage(rows, before, after), as_seen(tickets, seen))


def by_stage(rows: Sequence[Mapping[str, float]], before: Counted, after: Counted) -> tuple[Drift, ...]:
    """Hold each stage as the signer counted it against the rows; one that was restarted has counted fewer. Pure."""
    found: list[Drift] = []
    for stage in STAGES:
        seconds, count = (after[stage][n] - before[stage][n] for n in (0, 1))
        kept = [max(row[stage], 0.0) for row in rows]
        whole = 0 < count == len(kept)
        found.append(
            Drift(
                what=f"stage {stage} as the signer counted it, and by the rows",
                count=len(kept) if whole else 0,
                http_ms=seconds / count * 1000 if whole else 0.0,
                database_ms=fmean(kept) * 1000 if kept else 0.0,
            )
        )
    return tuple(found)


def seen_s(ledger: Sequence[Acknowledged], finished: Sequence[Finished]) -> dict[str, float]:
    """Return by ticket the seconds from the answer to the ask until its end was seen, on the asker's clock."""
    asked = {one.id: one.ended for one in ledger if one.items}
    return {one.ticket: one.seen - asked[one.ticket] for one in finished if one.ticket in asked}


def as_seen(tickets: Mapping[str, float], seen: Mapping[str, float]) -> Drift:
    """Hold what the askers saw against the rows, of the tickets that both know. Pure."""
    both = sorted(tickets.keys() & seen.keys())
    return Drift(
        what=AS_SEEN,
        count=len(both),
        http_ms=fmean(seen[one] for one in both) * 1000 if both else 0.0,
        database_ms=fmean(tickets[one] for one in both) * 1000 if both else 0.0,
    )
