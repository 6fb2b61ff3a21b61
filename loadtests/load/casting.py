"""Who sits where in one run: sessions are opened in the database, and everything goes into the plan."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from api.db.queries import load
from api.embedded.province.rows import agency_id
from api.embedded.province.shapes import DemoPerson
from api.embedded.walk import PROCEDURE
from api.http.auth.tokens import TokenKeys
from loadtests.load import model
from loadtests.load.dataset import BY_TOKEN, PASSWORD, SIGNATORIES, Dataset, accounts, secret_of, staff, wards
from loadtests.load.plan import Plan, Seat
from loadtests.load.shapes import SHAPES

_BENCH: Final = load("loadtests.bench", "seed.sql")
_ROLES: Final = {
    "officer": ("tiepnhan", "thuly", "quay", "xahoi", "dothi"),
    "phone-signatory": tuple(post for post in SIGNATORIES if post != BY_TOKEN),
    "token-signatory": (BY_TOKEN,),
    "clerk": ("vanthu",),
    "head": ("giamdoc",),
    "reader": ("chungthuc", "thuly"),
    "late-phone": tuple(post for post in SIGNATORIES if post != BY_TOKEN),
    "entering": ("thuly", "xahoi", "dothi", "tiepnhan", "quay"),
}
"""Posts of a ward by persona, those that come first in front."""
_NAMED: Final = frozenset(post for posts in _ROLES.values() for post in posts)
_CODES: Final = "SELECT code FROM dossier WHERE code LIKE '%-250701-%' ORDER BY id LIMIT 5000"
_LOCKED: Final = "UPDATE account SET state = 'locked' WHERE login = ANY ($1)"
_DOCUMENTS: Final = """
    SELECT dossier.competent_agency_id AS ward, array_agg(document.id::text) AS documents
      FROM document JOIN dossier ON dossier.id = document.dossier_id
     WHERE dossier.code LIKE '%-250702-%' GROUP BY 1
"""


Cast = tuple[dict[str, list[Seat]], dict[str, list[str]]]
"""Seats by persona, and the documents that are read in each ward."""


async def cast(owner: asyncpg.Connection, dataset: Dataset, users: int, only: tuple[str, ...]) -> Cast:
    """Open a session for everybody who is needed by so many users; those of whom few are needed share a ward."""
    name, _, value = secret_of("session_keys").partition(":")
    keys = TokenKeys({name: bytes.fromhex(value)})
    known = staff(dataset.wards)
    secrets = {account.login: account.totp_secret for account in accounts(known).accounts}
    places = {ward.slug: ward for ward in wards(dataset.wards)}
    seats: dict[str, list[Seat]] = {}
    there = {persona: len(_of(known, posts)) for persona, posts in _ROLES.items()}
    needed = model.cast(users, there, only)
    rows: list[tuple[bytes, str, str]] = []
    for persona, posts in _ROLES.items():
        seats[persona] = []
        for person in _of(known, posts)[: needed.get(persona, 1)]:
            token, ward = keys.new(), places[person.slug.rpartition(".")[2]]
            rows.append((keys.digest(token), keys.current, person.slug))
            seat = Seat(
                login=person.slug, token=token, totp_secret=secrets[person.slug], source=ward.source,
                centre_code=ward.centre, ward_id=str(agency_id(ward.committee)), territory=ward.territory,
            )  # fmt: skip
            seats[persona].append(seat)
    await owner.executemany(_BENCH.session, rows)
    seats["entering"] = [
        msgspec.structs.replace(seat, locked=model.lot(number) >= 100 - model.LOCKED)
        for number, seat in enumerate(seats["entering"] if "entering" in only else [])
    ]
    await owner.execute(_LOCKED, [seat.login for seat in seats["entering"] if seat.locked])
    documents = {str(row["ward"]): row["documents"][:300] for row in await owner.fetch(_DOCUMENTS)}
    return seats, documents


def _of(people: Sequence[DemoPerson], posts: Sequence[str]) -> list[DemoPerson]:
    """Return the people of these posts, one ward after another, the first post of each in front."""
    found: list[tuple[int, int, DemoPerson]] = []
    for number, person in enumerate(one for one in people if one.committee):
        post = person.slug.rpartition(".")[0]
        # The second of a post sits as the first does, but for who is named: the second deputy signs by token alone.
        post = post if post in _NAMED else post.rstrip("0123456789")
        if post in posts:
            found.append((posts.index(post), number, person))
    return [person for _, _, person in sorted(found, key=lambda one: one[:2])]


async def plan_of(
    owner: asyncpg.Connection, dataset: Dataset, *, url: str, shape: str, users: int, minutes: float, ramp_s: float,
    haste: float, workers: int, seed: int, out: str, largest_file: int,
) -> Plan:  # fmt: skip
    """Return the plan of a run."""
    seats, documents = await cast(owner, dataset, users, SHAPES[shape].only)
    return Plan(
        url=url, shape=shape, users=users, minutes=minutes, ramp_s=ramp_s, haste=haste, workers=workers, seed=seed,
        out=out, password=PASSWORD, procedure=PROCEDURE, seats=seats,
        sources=[ward.source for ward in wards(dataset.wards)],
        codes=[row["code"] for row in await owner.fetch(_CODES)], documents=documents, largest_file=largest_file,
    )  # fmt: skip
