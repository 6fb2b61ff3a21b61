"""The data set under the load, stated as data: how much of what, who works there, and how everybody is known.

Everything follows from constants, so that two machines seed the same rows. Keys, passwords and TOTP secrets are
constants as well: nothing in this data set is anybody's.
"""

import base64
from hashlib import sha256
from typing import Final

import msgspec

from api.embedded.province import Accounts, DemoAccount, data
from api.embedded.province.shapes import DemoPerson, Ward

PASSWORD: Final = "merger-load-2025"
SIGNATORIES: Final = ("chutich", "phochutich", "phochutich2")
"""The three who sign in each ward: 99 x 3 = 297."""
BY_TOKEN: Final = "phochutich2"
"""Of these the one who signs with a token of their own; the others sign by telephone."""
_GIVEN: Final = ("An", "Bình", "Chi", "Dũng", "Giang", "Hà", "Khánh", "Lan", "Minh", "Nga", "Phúc", "Quang", "Sơn")
_MIDDLE: Final = ("Văn", "Thị", "Đức", "Ngọc", "Hữu", "Thu", "Quang")
_FAMILY: Final = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Đỗ", "Ngô", "Dương")


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """How much lies there before anybody comes."""

    dossiers: int
    """In the archive, each with `journal` lines, `files` rows of files and `tasks` tasks."""
    wards: int
    to_sign: int
    """Documents that wait for each signatory when the load begins."""
    papers: int
    """Distinct real PDFs, to which all rows of files point."""
    journal: int = 20
    files: int = 6
    tasks: int = 5


WHOLE: Final = Dataset(dossiers=1_000_000, wards=99, to_sign=150, papers=1_000)
QUICK: Final = Dataset(dossiers=2_000, wards=4, to_sign=12, papers=12)


class WardPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One ward of the data set: its slug in log-ins, codes, and the address from which everybody there comes."""

    slug: str
    territory: str
    committee: str
    centre: str
    source: str


def wards(count: int) -> tuple[WardPlace, ...]:
    """Return the first wards; those two that the demo staffs by name come first."""
    known = {person.committee: person.slug.split(".")[1] for person in data.people() if person.committee}
    places = [(data.commune_code(one.code), one.code) for one in data.communes()]
    places.sort(key=lambda place: (place[0] not in known, place[0]))
    return tuple(
        WardPlace(
            slug=known.get(committee, f"p{territory}"),
            territory=territory,
            committee=committee,
            centre=data.centre_code(committee),
            source=f"127.99.{number + 1}.1",
        )
        for number, (committee, territory) in enumerate(places[:count])
    )


def staff(count: int) -> tuple[DemoPerson, ...]:
    """Return the officials of so many wards, forty each, and the province's; every signatory may sign everything."""
    people: list[DemoPerson] = []
    for number, ward in enumerate(wards(count)):
        names = tuple(_name(number * 40 + place) for place in range(40))
        people += data.ward_staff(Ward(territory=ward.territory, slug=ward.slug, names=names))
    people += [person for person in data.people() if person.committee is None]
    return tuple(map(_unrestricted, people))


def accounts(people: tuple[DemoPerson, ...]) -> Accounts:
    """Return everybody's log-in: one password, and a TOTP secret that follows from the log-in."""
    return Accounts(
        accounts=tuple(
            DemoAccount(
                login=person.slug,
                password=PASSWORD,
                totp_secret=base64.b32encode(sha256(f"load totp {person.slug}".encode()).digest()[:20]).decode(),
                name=person.name,
                title=person.title,
                agency_code=person.agency,
                roles=tuple(role.value for role in person.roles),
            )
            for person in people
        )
    )


def secret_of(purpose: str) -> str:
    """Return a constant secret of 32 bytes as the product's settings write it."""
    return f"load1:{sha256(f'load: {purpose}'.encode()).hexdigest()}"


def _name(number: int) -> str:
    return f"{_FAMILY[number % 11]} {_MIDDLE[number // 11 % 7]} {_GIVEN[number // 77 % 13]}"


def _unrestricted(person: DemoPerson) -> DemoPerson:
    """Let a deputy sign every procedure: in the load all three signatories have the same work."""
    if person.right is None or not person.slug.startswith(SIGNATORIES):
        return person
    return msgspec.structs.replace(person, right=msgspec.structs.replace(person.right, procedures=None))
