"""The demo province's certificates: a root, an issuing authority, and one certificate with its image per holder.

For demonstration and tests alone: the keys lie in files, every subject says "CHỈ ĐỂ THỬ", and nothing here is used
where officials sign with public-duty certificates of the Government's cipher committee.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from api.embedded.stamps import draw_seal, draw_signature
from signing.making import PrivateKey, make_certificate

DEMO_UNIT: Final = "CHỈ ĐỂ THỬ"
_INDEX: Final = "index.json"
_ISSUING_KEY: Final = "issuing.key.pem"


class CertificateWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate to be made. `owner` is what a key holder is asked by; without it the id."""

    id: str
    common_name: str
    organisation: str
    key: Literal["p256", "rsa2048"] = "p256"
    kind: Literal["person", "seal"] = "person"
    klass: Literal["demo", "public", "public_duty"] = "demo"
    owner: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A laid certificate; file names are relative to the index."""

    credential_id: str
    owner: str
    common_name: str
    organisation: str
    kind: str
    klass: str
    certificate: str
    key: str
    image: str
    serial: str


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in a directory of certificates. `chain` goes from the issuing authority to the root."""

    demo: bool
    chain: tuple[str, ...]
    entries: tuple[Entry, ...]


def lay_pki(directory: Path, people: Sequence[CertificateWanted], *, at: datetime, demo: bool) -> Index:
    """Make what is missing of these certificates; a second call changes nothing, a crash leaves nothing half-made."""
    path = directory / _INDEX
    if not path.exists():
        _lay_authorities(directory, at, demo=demo)
    index = msgspec.json.decode(path.read_bytes(), type=Index)
    held = {entry.credential_id for entry in index.entries}
    wanted = [one for one in people if one.id not in held]
    if not wanted:
        return index
    issuer = x509.load_pem_x509_certificate((directory / index.chain[0]).read_bytes())
    issuing_key = _load_key(directory / _ISSUING_KEY)
    made = tuple(_issue(directory, one, issuer, issuing_key, at, demo=index.demo) for one in wanted)
    index = Index(demo=index.demo, chain=index.chain, entries=(*index.entries, *made))
    _write(directory / f"{_INDEX}.new", msgspec.json.format(msgspec.json.encode(index)))
    (directory / f"{_INDEX}.new").replace(path)
    return index


def _lay_authorities(directory: Path, at: datetime, *, demo: bool) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    try:
        root_key, issuing_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root_name = _name("Motcua Root CA", "Motcua", demo=demo)
        root = make_certificate(root_name, root_name, root_key, root_key, valid=_valid(at, 20), path_length=1)
        issuing_name = _name("Motcua Issuing CA", "Motcua", demo=demo)
        issuing = make_certificate(issuing_name, root_name, issuing_key, root_key, valid=_valid(at, 10), path_length=0)
        _write(room / "root.pem", root.public_bytes(Encoding.PEM))
        _write(room / "issuing.pem", issuing.public_bytes(Encoding.PEM))
        _write(room / _ISSUING_KEY, _pem(issuing_key))
        index = Index(demo=demo, chain=("issuing.pem", "root.pem"), entries=())
        _write(room / _INDEX, msgspec.json.encode(index))
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
        room.replace(directory)
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise


def _name(common_name: str, organisation: str, *, demo: bool) -> x509.Name:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation[:64] or "-"),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
    ]
    if demo:
        parts.insert(2, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, DEMO_UNIT))
    return x509.Name(parts)


def _valid(at: datetime, years: int) -> tuple[datetime, datetime]:
    return at - timedelta(hours=1), at + timedelta(days=365 * years)


def _issue(
    directory: Path,
    wanted: CertificateWanted,
    issuer: x509.Certificate,
    issuing_key: PrivateKey,
    at: datetime,
    *,
    demo: bool,
) -> Entry:
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if wanted.key == "p256"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    subject = _name(wanted.common_name, wanted.organisation, demo=demo)
    certificate = make_certificate(subject, issuer.subject, key, issuing_key, valid=_valid(at, 3))
    names = (f"{wanted.id}.pem", f"{wanted.id}.key.pem", f"{wanted.id}.png")
    _write(directory / names[0], certificate.public_bytes(Encoding.PEM))
    _write(directory / names[1], _pem(key))
    seal = wanted.kind == "seal"
    _write(directory / names[2], draw_seal(wanted.organisation) if seal else draw_signature(wanted.common_name))
    return Entry(
        credential_id=wanted.id,
        owner=wanted.owner or wanted.id,
        common_name=wanted.common_name,
        organisation=wanted.organisation,
        kind=wanted.kind,
        klass=wanted.klass,
        certificate=names[0],
        key=names[1],
        image=names[2],
        serial=f"{certificate.serial_number:x}",
    )


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load_key(path: Path) -> PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, PrivateKey):
        raise TypeError(f"{path.name} holds a key of an unknown kind")
    return key


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
