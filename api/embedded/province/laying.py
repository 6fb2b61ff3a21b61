"""Laying the demo province into an empty, migrated database: one transaction, one COPY per table, once.

The secrets of the demo's log-ins are made before the laying and handed to the caller, who keeps them in a file of its
own (0600) *before* they are laid: a crash in between loses nobody's password.
"""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec
import pyotp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from api.db.privacy import Vault
from api.db.queries import load
from api.embedded.pki import Entry, Index
from api.embedded.province import data, rows
from api.embedded.province.shapes import DemoPerson
from api.http.auth.passwords import hash_now
from api.kernel import sort_key

q: Final = load("api.embedded.province")

Connection = asyncpg.Connection
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"


class DemoAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A log-in of the demo with its secrets; it stands in the launcher's 0600 file and nowhere else."""

    login: str
    password: str
    totp_secret: str
    name: str
    title: str
    agency_code: str
    roles: tuple[str, ...]


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """The demo's log-ins; `laid` is false where the province stood already and these secrets were not used."""

    accounts: tuple[DemoAccount, ...]
    laid: bool = False

    def of(self, login: str) -> DemoAccount:
        """Return the account of this log-in.

        Raises:
            KeyError: there is none.
        """
        for account in self.accounts:
            if account.login == login:
                return account
        raise KeyError(login)


def new_accounts(*, everyone: bool = False) -> Accounts:
    """Make the secrets of the demo's log-ins; `everyone` gives one to each of the certificate holders too."""
    return Accounts(
        accounts=tuple(
            DemoAccount(
                login=person.slug,
                password="-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4)),
                totp_secret=pyotp.random_base32(),
                name=person.name,
                title=person.title,
                agency_code=person.agency,
                roles=tuple(role.value for role in person.roles),
            )
            for person in data.people()
            if person.demo or everyone
        )
    )


async def lay_province(
    connection: Connection,
    *,
    pki: Path,
    vault: Vault,
    factors: Vault,
    at: datetime,
    accounts: Accounts | None = None,
    holder: str = "software",
    people: Sequence[DemoPerson] | None = None,
) -> Accounts:
    """Lay the province unless the registry holds one; give back the log-ins, with `laid` true if it was now.

    `connection` is the owner's; `vault` seals personal data, `factors` what only the signer may read. `pki` is the
    directory that `lay_pki(data.certificates_wanted())` filled, `holder` the key holder that serves its certificates.
    `people` are the demo's own unless others are given.
    """
    accounts = accounts or new_accounts()
    people = data.people() if people is None else people
    certificates = await asyncio.to_thread(_certificates, pki, holder, vault, people)
    hashes = await asyncio.to_thread(_hashes, accounts.accounts)
    async with connection.transaction():
        await connection.execute(q.lock_laying)
        if await connection.fetchval(q.is_laid):
            return msgspec.structs.replace(accounts, laid=False)
        await _lay_agencies(connection)
        await _lay_law(connection, at)
        await _lay_people(connection, people, vault, at)
        await _lay_log_ins(connection, factors, accounts.accounts, hashes, at)
        columns = (
            "person_id", "agency_id", "named_agency_id", "serial", "issuer", "subject", "certificate", "chain",
            "class", "mechanism", "holder", "credential_id", "owner_sealed", "image_png", "not_before", "not_after",
        )  # fmt: skip
        await _copy(connection, "certificate", columns, certificates)
    return msgspec.structs.replace(accounts, laid=True)


async def _copy(connection: Connection, table: str, columns: Sequence[str], records: Iterable[rows.Row]) -> None:
    await connection.copy_records_to_table(table, records=records, columns=list(columns))


async def _lay_agencies(connection: Connection) -> None:
    agencies = rows.agencies()
    await _copy(
        connection, "territory", ("code", "name", "level", "parent_code", "valid_from"), list(rows.territories())
    )
    await _copy(
        connection,
        "agency",
        ("id", "code", "kind", "name", "sort_key", "parent_id", "territory_code", "valid_from", "valid_to"),
        [
            (a.id, a.code, a.kind, a.name, sort_key(a.name), a.parent_id, a.territory, a.since, a.until)
            for a in agencies
        ],
    )
    await _copy(
        connection,
        "agency_name",
        ("agency_id", "name", "valid_from", "valid_to", "legal_basis"),
        [(a.id, a.name, a.since, a.until, a.basis) for a in agencies],
    )
    await _copy(
        connection,
        "agency_code",
        ("agency_id", "scheme", "code", "valid_from", "valid_to"),
        [row for agency in agencies for row in rows.agency_codes(agency)],
    )
    sites = [(rows.agency_id(one.code), *site) for one in data.agencies().agency for site in one.sites]
    await _copy(connection, "agency_site", ("agency_id", "name", "address"), sites)
    await _copy(
        connection,
        "agency_succession",
        ("predecessor_id", "successor_id", "kind", "procedure_code", "effective_at", "legal_basis"),
        list(rows.successions()),
    )
    await _copy(
        connection,
        "number_series",
        ("agency_id", "kind_code", "book", "pattern", "owner", "foreign_system", "legal_basis", "valid_from"),
        list(rows.number_series(agencies)),
    )


async def _lay_law(connection: Connection, at: datetime) -> None:
    since = data.agencies().province.since
    procedures = data.procedures()
    await _copy(
        connection,
        "procedure",
        ("code", "name", "sort_key", "field_code", "field_name", "code_checked"),
        [(p.code, p.name, sort_key(p.name), p.field_code, p.field_name, p.code_checked) for p in procedures],
    )
    await connection.executemany(
        q.insert_version,
        [
            (
                rows.id_of("procedure", p.code), p.code, _json(p.definition), p.form, p.owning_system,
                p.legal_basis, since, at,
            )
            for p in procedures
        ],
    )  # fmt: skip
    await _copy(
        connection,
        "competence",
        ("procedure_code", "territory_code", "agency_id", "legal_basis", "valid_from"),
        list(rows.competences()),
    )
    await connection.executemany(
        q.insert_rule,
        [(r.key, _json(r.value), r.basis, r.checked, r.valid_from, r.valid_to) for r in data.rules()],
    )
    versions = data.calendar()
    await _copy(
        connection, "calendar_version", ("version", "note", "published_at"), [(v.version, v.note, at) for v in versions]
    )
    await _copy(
        connection,
        "calendar_day",
        ("version", "day", "kind", "name", "legal_ref"),
        [(v.version, d.day, d.kind.value, d.name, d.legal_ref) for v in versions for d in v.days],
    )


async def _lay_people(connection: Connection, people: Sequence[DemoPerson], vault: Vault, at: datetime) -> None:
    since = data.agencies().province.since
    begun = rows.midnight(since)
    await _copy(connection, "person", ("id", "kind"), [(rows.person_id(p), "official") for p in people])
    await _copy(
        connection,
        "person_private",
        (
            "person_id", "key_id", "name_sealed", "name_fingerprint", "id_number_sealed", "id_number_fingerprint",
        ),
        [rows.private(person, number, vault) for number, person in enumerate(people)],
    )  # fmt: skip
    await _copy(connection, "official", ("person_id", "display_name", "sort_key"), [rows.official(p) for p in people])
    await _copy(
        connection,
        "post",
        ("id", "agency_id", "unit", "title", "rank", "roles", "valid_from"),
        [(rows.post_id(p), rows.agency_id(p.agency), p.unit, p.title, p.rank, _roles(p), since) for p in people],
    )
    await _copy(
        connection,
        "post_holding",
        ("person_id", "post_id", "valid_from", "legal_basis"),
        [(rows.person_id(p), rows.post_id(p), begun, "Quyết định bổ nhiệm, phân công (dữ liệu mẫu)") for p in people],
    )
    await _copy(
        connection,
        "account",
        ("id", "person_id", "agency_id", "login"),
        [(rows.account_id(p), rows.person_id(p), rows.agency_id(p.committee or p.agency), p.slug) for p in people],
    )
    columns = (
        "id", "kind", "capacity", "person_id", "post_id", "agency_id", "given_by_post_id", "acts", "procedure_codes",
        "title_lines", "legal_basis", "valid_from", "valid_to",
    )  # fmt: skip
    await _copy(connection, "mandate", columns, list(rows.mandates(people, at)))


async def _lay_log_ins(
    connection: Connection, vault: Vault, accounts: Sequence[DemoAccount], hashes: Sequence[str], at: datetime
) -> None:
    ids = [rows.id_of("account", account.login) for account in accounts]
    await _copy(
        connection,
        "account_password",
        ("account_id", "argon2", "changed_at"),
        [(account_id, argon2, at) for account_id, argon2 in zip(ids, hashes, strict=True)],
    )
    await _copy(
        connection,
        "second_factor",
        ("account_id", "kind", "key_id", "secret_sealed", "enrolled_at"),
        [
            (account_id, "totp", vault.current, vault.seal("second-factor", account.totp_secret), at)
            for account_id, account in zip(ids, accounts, strict=True)
        ],
    )


def _hashes(accounts: Sequence[DemoAccount]) -> list[str]:
    passwords = {account.password for account in accounts}
    with ThreadPoolExecutor(2) as threads:
        hashed = dict(zip(passwords, threads.map(hash_now, passwords), strict=True))
    return [hashed[account.password] for account in accounts]


def _certificates(directory: Path, holder: str, vault: Vault, staff: Sequence[DemoPerson]) -> list[rows.Row]:
    index = msgspec.json.decode((directory / "index.json").read_bytes(), type=Index)
    chain = [_der(directory / name) for name in index.chain]
    people = {person.slug: person for person in staff}
    return [_certificate(directory, entry, chain, people, holder, vault) for entry in index.entries]


def _certificate(
    directory: Path, entry: Entry, chain: list[bytes], people: dict[str, DemoPerson], holder: str, vault: Vault
) -> rows.Row:
    made = x509.load_pem_x509_certificate((directory / entry.certificate).read_bytes())
    person = people.get(entry.credential_id)
    committee = (person.committee if person else None) or entry.credential_id.removeprefix("seal.")
    named = rows.agency_id(committee)
    elliptic = isinstance(made.public_key(), ec.EllipticCurvePublicKey)
    return (
        rows.person_id(person) if person else None, None if person else named, named, entry.serial,
        made.issuer.rfc4514_string(), made.subject.rfc4514_string(), made.public_bytes(Encoding.DER), chain,
        entry.klass, "ecdsa" if elliptic else "rsa_pkcs1v15", holder, entry.credential_id,
        vault.seal("holder-owner", entry.owner),
        (directory / entry.image).read_bytes(), made.not_valid_before_utc, made.not_valid_after_utc,
    )  # fmt: skip


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def _roles(person: DemoPerson) -> list[str]:
    return [role.value for role in person.roles]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
