"""Proving a restored database: journals folded against rows, registers against counters, documents against digests."""

from collections.abc import Sequence

import msgspec

from api.backup import store
from api.db.pools import Tx
from api.dossiers.rebuild import rebuild
from api.kernel import Sha256


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; the tuples and the last two numbers are empty and zero where everything is whole."""

    counts: dict[str, int]
    dossiers_differing: tuple[str, ...]
    documents_missing: tuple[str, ...]
    counters_behind: int
    audit_altered: int

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        found = (self.dossiers_differing, self.documents_missing, self.counters_behind, self.audit_altered)
        return not any(found)


async def prove(tx: Tx, documents_missing: Sequence[Sha256]) -> Proof:
    """Look at every dossier, register and audit row; the documents were read when they were copied."""
    differing = await rebuild(tx)
    return Proof(
        counts=await store.counts(tx),
        dossiers_differing=tuple(f"{each.dossier_id}: {each.reason} {', '.join(each.columns)}" for each in differing),
        documents_missing=tuple(sha256.hex() for sha256 in documents_missing),
        counters_behind=await store.counters_behind(tx),
        audit_altered=await store.altered_audit(tx),
    )
