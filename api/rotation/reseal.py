"""Sealing again, page by page: on a live system, in the order of the keys, again from the start after a death.

A page is one short transaction. What is under the current key already is passed over, and a row that changes meanwhile
is left to whoever changed it, so the work may be stopped and repeated at any moment.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from api import audit, failpoints
from api.db.pools import Pools
from api.db.privacy import Vault
from api.dossiers import access
from api.rotation import store
from api.rotation.columns import PLACES, Kind, Place
from api.settings import Process

PAGE: Final = 500
REPEATED_WITHIN: Final = timedelta(hours=24)
"""How long a submission may be repeated and must tell the same secret."""

Progress = Callable[[Place, int, int], object]
"""Told of a place, how many rows were looked at and how many sealed again."""


async def reseal(
    pools: Pools, vault: Vault, kind: Kind, process: Process, at: datetime, progress: Progress
) -> Mapping[str, int]:
    """Put everything of a kind that this process's role may write under the current key; return how many rows each.

    Raises:
        Broken: a value names a key that is not among the process's keys.
    """
    done: dict[str, int] = {}
    for place in PLACES:
        if (place.kind, place.process) == (kind, process):
            done[place.en] = await _reseal_place(pools, vault, place, progress)
    if any(done.values()):
        async with pools.transaction() as tx:
            await audit.append(
                tx,
                None,
                process=process,
                action="keys.resealed",
                subject_kind="key",
                subject_id=None,
                detail={"keys": kind, "under": vault.current, "rows": done},
                at=at,
            )
    return done


async def _reseal_place(pools: Pools, vault: Vault, place: Place, progress: Progress) -> int:
    after, seen, renewed = place.before, 0, 0
    while True:
        async with pools.transaction() as tx:
            rows = await store.page(tx, place.page, after, PAGE)
            writes = [(index, write) for index, row in enumerate(rows) for write in place.renew(vault, row)]
            await store.write(tx, [write for _, write in writes])
        await failpoints.reach("keys-page", "keys")
        seen += len(rows)
        renewed += len({index for index, _ in writes})
        progress(place, seen, renewed)
        if len(rows) < PAGE:
            return renewed
        after = place.key_of(rows[-1])


async def uses_of(pools: Pools, kind: Kind, vault: Vault, process: Process, at: datetime) -> dict[str, dict[str, int]]:
    """Return by key id what it still holds up, as far as this process's role knows."""
    found: dict[str, dict[str, int]] = {}
    async with pools.reading() as tx:
        for place in PLACES:
            if (place.kind, place.counted_by) == (kind, process):
                for key_id, used in (await store.uses(tx, place.uses)).items():
                    found.setdefault(key_id, {})[place.en] = used
        told = await store.secrets_told_since(tx, at - REPEATED_WITHIN) if kind == "data" else []
    for key_id in vault.key_ids if told else ():
        older = sum(access.told_under(vault, key_id, dossier_id, stored) for dossier_id, stored in told)
        if older:
            found.setdefault(key_id, {})["secrets told within a day"] = older
    return found
