"""After the load: every signed file opened, the ledger held against the rows, journals folded, times reconciled."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from api.embedded.postgres import Progress
from loadtests.load import gather, reconcile, stages
from loadtests.load.site import Place
from loadtests.load.verdict import Drift, Kept
from loadtests.load.verifier import Checked, verify_all

_AFTER_TAP: Final = """
    SELECT transaction_id, max(recorded_at) AS at, count(*) AS items FROM signature_request
     WHERE transaction_id IS NOT NULL AND recorded_at IS NOT NULL GROUP BY 1
"""


class Tap(msgspec.Struct, frozen=True, kw_only=True):
    """One confirmation on a telephone, and what came of it; times in seconds since the epoch."""

    at: float
    recorded: float
    """When the last of its signatures was."""
    items: int

    @property
    def took_s(self) -> float:
        return self.recorded - self.at


class LookedBack(msgspec.Struct, frozen=True, kw_only=True):
    """What was found."""

    checked: Checked
    kept: Kept
    drifts: tuple[Drift, ...]
    taps: tuple[Tap, ...]


async def look_back(
    place: Place, owner: asyncpg.Connection, since: datetime, written: gather.Written, counted: stages.Counted,
    say: Progress, *, jumped_s: float = 0.0,
) -> LookedBack:  # fmt: skip
    """Check everything that happened on a product since then, when the signer had counted so much; its clock was put
    back by `jumped_s` at most.
    """
    after = await stages.counted(place)
    checked = await _verified(place, owner, since, written, say)
    kept = await reconcile.kept(owner, since, written.ledger, written.intents)
    disorder = await reconcile.reordered(owner, place.dsn, since, jumped_s)
    twins = tuple(f"{one.again}: the second answer to what made {one.first}" for one in written.twins)
    return LookedBack(
        checked=checked,
        kept=msgspec.structs.replace(kept, reordered=disorder, unasked=(*kept.unasked, *twins)),
        drifts=(
            *await reconcile.drifts(owner, since, written.finished),
            *await stages.drifts(owner, since, counted, after, written.ledger, written.finished),
        ),
        taps=await _after_the_tap(place, owner),
    )


async def _verified(
    place: Place, owner: asyncpg.Connection, since: datetime, written: gather.Written, say: Progress
) -> Checked:
    said = {request: name for one in written.finished for request, name in one.recorded.items()}
    began = time.monotonic()
    path_of = stored(Path(place.blobs))
    checked = await verify_all(owner, since, path_of, Path(place.anchors), said, datetime.now(UTC))
    took = time.monotonic() - began
    say(f"Đã mở {checked.opened} tệp đã ký, {took:.0f} giây", f"Opened {checked.opened} signed files in {took:.0f} s")
    return checked


def stored(blobs: Path) -> Callable[[bytes], Path]:
    """Return where a directory store keeps a file of this SHA-256."""

    def path_of(name: bytes) -> Path:
        text = name.hex()
        return blobs / text[:2] / text[2:4] / text

    return path_of


async def _after_the_tap(place: Place, owner: asyncpg.Connection) -> tuple[Tap, ...]:
    tapped = {key: one["tapped_at"] for key, one in (await place.transactions()).items() if one["tapped_at"]}
    rows = await owner.fetch(_AFTER_TAP)
    return tuple(
        Tap(at=tapped[row["transaction_id"]], recorded=row["at"].timestamp(), items=row["items"])
        for row in rows
        if row["transaction_id"] in tapped
    )
