"""The chain over audit rows and the signed statements that pin it down: pure, the same for sealer, verifier, bundle.

A link is SHA-256 over the link before it and the row's id, transaction, time of recording and digest, at fixed
widths. A chain without a key proves nothing against somebody who can recompute it, so checkpoints are signed
(Ed25519, RFC 8032) by a key that the database does not hold.
"""

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from api.errors import Invalid

GENESIS: Final = bytes(32)
"""What the first link follows."""

_DOMAIN: Final = b"motcua audit v1\n"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LogEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of the log of revocations at a moment: its number, and SHA-256 of its body."""

    number: int
    digest: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="checkpoint", tag_field="kind"):
    """How long the chain was at a moment, and its last hash."""

    number: int
    rows: int
    hash: str
    audit_id: int
    """The last row in the chain, with its transaction: where the sealer goes on."""
    xid: int
    at: datetime
    """The worker's clock, as it was: the order is that of the numbers, so a clock set back does no harm."""
    previous: str
    """SHA-256 of the body of the checkpoint before this one; empty for the first."""
    key: str
    revocations: LogEnd | None = None
    """Where the log of revocations ended; None before its first line, and in checkpoints made before this was named."""


class KeyNote(msgspec.Struct, frozen=True, kw_only=True, tag="key", tag_field="kind"):
    """The public half of a checkpoint key, signed by the key that signed before it, or by itself if it is the first."""

    id: str
    public: str
    at: datetime
    key: str
    """Who signed this note."""


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag="taken", tag_field="kind"):
    """A right that somebody no longer has, or with `back` has again: a line of the log of revocations."""

    number: int
    what: str
    id: UUID
    account_id: UUID | None
    state: str
    ended_at: datetime
    back: bool
    at: datetime
    previous: str
    """SHA-256 of the body of the line before this one; empty for the first."""
    key: str


Statement = Checkpoint | KeyNote | Taken


class Signed(msgspec.Struct, frozen=True):
    """A statement as its very bytes, with the signature in hexadecimal: one line of a checkpoint file."""

    body: str
    signature: str

    def read(self) -> Statement:
        """Return what the statement says, proven or not.

        Raises:
            Invalid: it is no statement of ours.
        """
        try:
            return msgspec.json.decode(self.body, type=Statement)
        except msgspec.MsgspecError as error:
            raise Invalid(f"Dòng không đọc được: {error}", f"Not a statement: {error}") from None

    def line(self) -> bytes:
        """Return the line of a file, with its end."""
        return msgspec.json.encode(self) + b"\n"


def link(previous: bytes, *, audit_id: int, xid: int, recorded_at: datetime, digest: bytes) -> bytes:
    """Return the hash of a row's place in the chain, 32 bytes."""
    microseconds = (recorded_at - _EPOCH) // timedelta(microseconds=1)
    return sha256(previous + struct.pack(">QQq", audit_id, xid, microseconds) + digest).digest()


def body_of(statement: Statement) -> str:
    """Return the deterministic text that is signed and stored."""
    return msgspec.json.encode(statement, order="deterministic").decode()


def digest_of(body: str) -> str:
    """Return the hash by which the next checkpoint names this one."""
    return sha256(body.encode()).hexdigest()


class Notary:
    """Signs statements with the checkpoint keys of a worker: the first named one from now on."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take the private keys (seeds of 32 bytes) by id."""
        self._keys = {key_id: Ed25519PrivateKey.from_private_bytes(seed) for key_id, seed in keys.items()}
        self.current: Final = next(iter(keys))

    def __repr__(self) -> str:
        """Name the key ids only."""
        return f"Notary(keys={sorted(self._keys)}, current={self.current!r})"

    def holds(self, key_id: str) -> bool:
        """Tell whether this key can sign here."""
        return key_id in self._keys

    def public(self, key_id: str) -> str:
        """Return the public half of a key in hexadecimal."""
        return self._keys[key_id].public_key().public_bytes_raw().hex()

    def sign(self, statement: Statement) -> Signed:
        """Sign a statement with the key that it names."""
        body = body_of(statement)
        return Signed(body, self._keys[statement.key].sign(_DOMAIN + body.encode()).hex())


class Ring:
    """The public keys that a verifier believes: those it was given, and those that one of them vouches for."""

    def __init__(self, trusted: Mapping[str, str] | None = None) -> None:
        """Trust these keys (hexadecimal by id); with none, the first key that vouches for itself is believed."""
        self._public = {key_id: _public(text) for key_id, text in (trusted or {}).items()}
        self.given: Final = bool(trusted)

    def known(self) -> dict[str, str]:
        """Return the believed keys in hexadecimal, by id."""
        return {key_id: key.public_bytes_raw().hex() for key_id, key in self._public.items()}

    def check(self, line: Signed) -> Statement | None:
        """Return the statement if a believed key signed it; a proven `KeyNote` makes its key believed, too."""
        statement = line.read()
        if isinstance(statement, KeyNote) and not self._public and statement.key == statement.id:
            first = _public(statement.public)
            if _signed_by(first, line):
                self._public[statement.id] = first
        key = self._public.get(statement.key)
        if key is None or not _signed_by(key, line):
            return None
        if isinstance(statement, KeyNote):
            fresh = _public(statement.public)
            known = self._public.setdefault(statement.id, fresh)
            if known.public_bytes_raw() != fresh.public_bytes_raw():
                return None
        return statement


def newest(lines: Sequence[Signed]) -> Checkpoint | None:
    """Return the last checkpoint among these statements."""
    said = [statement for line in lines if isinstance(statement := line.read(), Checkpoint)]
    return said[-1] if said else None


def _public(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
    except ValueError:
        raise Invalid(
            "Khóa công khai phải là 32 byte dạng hex.", "A public key is 32 bytes in hexadecimal.", code="audit-key"
        ) from None


def _signed_by(key: Ed25519PublicKey, line: Signed) -> bool:
    try:
        key.verify(bytes.fromhex(line.signature), _DOMAIN + line.body.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
