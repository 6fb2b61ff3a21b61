"""The signing storm made to fit its minutes: so many documents on each desk as the measured rate clears, and no more.

The worst day is 99 wards x 3 signatories x 150 = 44,550 results, 89,100 signatures with their seals. Two cores do not
sign these in a quarter of an hour; what is on the desks is therefore scaled, and the whole is told as extrapolated.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from loadtests.load.history import Entry

RESULTS: Final = 44_550
A_RESULT: Final = 2
"""Signatures: the person's and the seal."""
ASSUMED_PER_S: Final = 10.0
"""Signatures a second where no storm has been measured on such a machine: half of what is wanted of two cores."""
FILLED: Final = 0.7
"""The part of the minutes that the measured rate would need: telephones are slow, and some ask twice."""
_ALL: Final = 1_000_000
_LAY: Final = """
    UPDATE signature_request request SET ready = ranked.place <= $2
      FROM (SELECT id, row_number() OVER (PARTITION BY person_id ORDER BY lane, due_at, id) AS place
              FROM signature_request
             WHERE role = 'signatory' AND state = 'to_sign' AND person_id = ANY ($1::uuid[])
               AND signature_request_ready(state, chain_id, group_no)) ranked
     WHERE request.id = ranked.id AND request.ready IS DISTINCT FROM (ranked.place <= $2)
"""
_PEOPLE: Final = "SELECT person_id FROM account WHERE login = ANY ($1::text[])"
_WAITING: Final = """
    SELECT request.chain_id, request.id FROM signature_request request
     WHERE role = 'signatory' AND state = 'to_sign' AND ready AND person_id = ANY ($1::uuid[])
"""
_ENDED: Final = """
    SELECT count(*) FILTER (WHERE ended.sealed) AS sealed, count(*) FILTER (WHERE ended.refused) AS refused
      FROM (SELECT chain_id, bool_or(role = 'seal' AND state = 'recorded') AS sealed,
                   bool_or(role = 'signatory' AND state = 'refused') AS refused
              FROM signature_request WHERE chain_id = ANY ($1::uuid[]) GROUP BY chain_id) ended
"""


class Desks(msgspec.Struct, frozen=True, kw_only=True):
    """What lies on the desks of a storm, and by which rate it was measured out."""

    desks: int
    each: int
    people: tuple[UUID, ...]
    per_s: float
    """Signatures a second that were counted on."""
    source: str
    chains: tuple[UUID, ...]


def rate(entries: Sequence[Entry], cores: int) -> tuple[float, str]:
    """Return the signatures a second of the last storm that counts on so many cores, and which run that was.

    Those of its best two minutes: once the desks are empty nobody has anything to sign.
    """
    for entry in reversed(entries):
        run, told = entry.evidence, entry.evidence.standing.best_signatures_per_s
        counts = run.shape == "signing-storm" and entry.word != "VOID" and run.machine.cores == cores
        if counts and told and not run.quick:
            return told, f"the run of {run.commit}, {run.at}"
    return ASSUMED_PER_S, "assumed: no storm has been measured on such a machine"


def each(per_s: float, minutes: float, desks: int, most: int) -> int:
    """Return how many documents each desk gets so that all are signed and sealed within the minutes. Pure."""
    results = per_s * minutes * 60 * FILLED / A_RESULT
    return max(1, min(most, math.floor(results / max(desks, 1))))


async def lay(
    owner: asyncpg.Connection, logins: Sequence[str], minutes: float, most: int, measured: tuple[float, str]
) -> Desks:
    """Leave so many documents on each of these desks as can be cleared; the others are not there for this run."""
    people = [row["person_id"] for row in await owner.fetch(_PEOPLE, logins)]
    count = each(measured[0], minutes, len(people), most)
    await _leave(owner, people, count)
    chains = tuple(row["chain_id"] for row in await owner.fetch(_WAITING, people))
    return Desks(
        desks=len(people), each=count, people=tuple(people), per_s=measured[0], source=measured[1], chains=chains
    )


async def lift(owner: asyncpg.Connection, desks: Desks) -> None:
    """Put everything back on the desks that was kept off them."""
    await _leave(owner, desks.people, _ALL)


async def _leave(owner: asyncpg.Connection, people: Sequence[UUID], count: int) -> None:
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")  # turns are the product's to keep, else
        await owner.execute(_LAY, people, count)


async def ended(owner: asyncpg.Connection, desks: Desks) -> tuple[int, int]:
    """Return how many of the results on the desks are signed and sealed, and how many somebody refused to sign."""
    row = await owner.fetchrow(_ENDED, desks.chains)
    return (0, 0) if row is None else (row["sealed"], row["refused"])


def findings(desks: Desks, ended: tuple[int, int], signatures_per_s: float) -> list[tuple[str, str]]:
    """Return what became of the desks, and what the whole day would take, labelled as what it is. Pure."""
    there, (done, refused) = len(desks.chains), ended
    found = [
        (
            "NOTE",
            f"desks: {desks.desks} with {desks.each} documents each, measured out for {desks.per_s:.1f} signatures/s "
            f"({desks.source})",
        ),
        (
            "NOTE" if done + refused >= there else "FAIL",
            f"of {there} results on the desks {done} are signed and sealed, {refused} refused by their signatory",
        ),
    ]
    if signatures_per_s > 0:
        whole = timedelta(seconds=round(RESULTS * A_RESULT / signatures_per_s))
        found.append(
            (
                "NOTE",
                f"extrapolated, not run: {RESULTS:,} results would take {whole} at {signatures_per_s:.1f} signatures/s",
            )
        )
    return found
