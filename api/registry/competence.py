"""Which agency decides: competence is data, and this is the rule that reads it.

Pure. A dossier may be received anywhere in the province and is routed by competence; where no row answers, the
authority is unknown and the dossier goes to the dispatch queue, never to a guess.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

import msgspec

from api.kernel import AgencyId


class Competence(msgspec.Struct, frozen=True, kw_only=True):
    """One row: in this territory this agency decides this procedure, or only one version of it, while it is valid.

    `valid_to` is the first day on which it no longer holds.
    """

    procedure_code: str
    procedure_version_id: UUID | None
    territory_code: str
    agency_id: AgencyId
    legal_basis: str
    valid_from: date
    valid_to: date | None

    def holds(self, day: date) -> bool:
        """Tell whether the row is valid on this day."""
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


def competent(
    rows: Iterable[Competence], *, procedure_code: str, version_id: UUID, territories: Sequence[str], day: date
) -> Competence | None:
    """Return the row that decides, or None where the authority is unknown.

    `territories` runs from the place itself outwards (commune, then province): the nearest territory with a row
    decides; in it, a row for this very version goes before one for all versions, and the newest before older ones.
    Two agencies equally competent are an unknown authority too: a person must choose.
    """
    valid = [
        row
        for row in rows
        if row.territory_code in territories  # first, since hardly any row is of the place
        and row.procedure_code == procedure_code
        and row.procedure_version_id in {None, version_id}
        and row.holds(day)
    ]
    if not valid:
        return None

    def rank(row: Competence) -> tuple[int, bool, int]:
        return (
            territories.index(row.territory_code),
            row.procedure_version_id is None,
            -row.valid_from.toordinal(),
        )

    valid.sort(key=rank)
    best = [row for row in valid if rank(row) == rank(valid[0])]
    return best[0] if len({row.agency_id for row in best}) == 1 else None
