"""Keys in files of a directory, for development and demonstrations; refuses to open in production.

The directory holds an index.json (as `api.embedded.pki` lays it) that names, per credential, its owner, certificate
and key. A real signatory's key never lies on a server: it sits in a token, a SIM or a remote service.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from signing.contract import CANARY, Capabilities, Der, HeldCertificate, Mechanism, Outcome, Sha256, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused
from signing.keys.canary import CanaryKey

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_REMEMBERED: Final = 10_000


class _Entry(msgspec.Struct, frozen=True):
    credential_id: str
    owner: str
    certificate: str
    key: str


class _Index(msgspec.Struct, frozen=True):
    chain: tuple[str, ...]
    entries: tuple[_Entry, ...]


class SoftwareHolder:
    """Signs at once and asks nobody; keys are parsed on first use and kept."""

    def __init__(self, directory: Path, *, production: bool) -> None:
        if production:
            raise HolderMisconfigured(
                "Khóa phần mềm chỉ để thử, không được dùng khi vận hành thật",
                "Key files are for development only and do not open in production",
            )
        self._directory = directory
        self._keys: dict[str, _Key] = {}
        self._canary = CanaryKey()
        self._outcomes: dict[str, Outcome] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What this holder can do."""
        return Capabilities(
            name="software",
            hashes_per_authorisation=200,
            window=timedelta(minutes=5),
            parallel_limit=4,
            shows_document_names=False,
            certificate_class="demo",
            development=True,
            asks_person=False,
        )

    def _index(self) -> _Index:
        try:
            return msgspec.json.decode((self._directory / "index.json").read_bytes(), type=_Index)
        except (OSError, msgspec.MsgspecError) as error:
            raise HolderMisconfigured(
                "Không đọc được danh mục khóa phần mềm", "The index of key files cannot be read"
            ) from error

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of an owner; the canary is this process's own and stands in no index."""
        if owner == CANARY:
            return (self._canary.held,)
        return await asyncio.to_thread(self._list, owner)

    def _list(self, owner: str) -> tuple[HeldCertificate, ...]:
        index = self._index()
        chain = tuple(_der(self._directory / name) for name in index.chain)
        held: list[HeldCertificate] = []
        for entry in index.entries:
            if entry.owner != owner:
                continue
            parsed = x509.load_pem_x509_certificate((self._directory / entry.certificate).read_bytes())
            held.append(
                HeldCertificate(
                    credential_id=entry.credential_id,
                    certificate=Der(parsed.public_bytes(Encoding.DER)),
                    chain=chain,
                    valid_from=parsed.not_valid_before_utc,
                    valid_to=parsed.not_valid_after_utc,
                )
            )
        return tuple(held)

    async def start(self, order: SignOrder) -> None:
        """Sign all items at once; the same transaction id again changes nothing."""
        if order.transaction_id in self._outcomes:
            return
        values = await asyncio.to_thread(self._sign, order)
        while len(self._outcomes) >= _REMEMBERED:
            del self._outcomes[next(iter(self._outcomes))]
        self._outcomes.setdefault(
            order.transaction_id, Outcome(transaction_id=order.transaction_id, state="signed", values=values)
        )

    def _sign(self, order: SignOrder) -> dict[str, bytes]:
        if order.owner == order.credential_id == CANARY:
            return {item.item_id: self._canary.sign(item.tbs_sha256) for item in order.items}
        key = self._key(order.credential_id, order.owner)
        return {item.item_id: sign_hash(key, item.tbs_sha256, order.mechanism) for item in order.items}

    def _key(self, credential_id: str, owner: str) -> _Key:
        entry = next((one for one in self._index().entries if one.credential_id == credential_id), None)
        if entry is None or entry.owner != owner:
            raise HolderRefused("Không có khóa này cho người ký", "The signatory has no such key")
        if credential_id not in self._keys:
            self._keys[credential_id] = load_key(self._directory / entry.key)
        return self._keys[credential_id]

    async def poll(self, transaction_id: str) -> Outcome:
        """Return the outcome kept since `start`; after a restart of this process it is `unknown`."""
        return self._outcomes.get(transaction_id) or Outcome(transaction_id=transaction_id, state="unknown")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Refuse: this holder never calls back."""
        raise HolderRefused(
            "Khóa phần mềm không gửi trả kết quả", f"Key files send no webhook ({len(headers)}, {len(body)})"
        )

    async def close(self) -> None:
        """Forget the keys."""
        self._keys.clear()


def _der(path: Path) -> Der:
    return Der(x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER))


def load_key(path: Path) -> _Key:
    """Read a PEM key; raise HolderMisconfigured for anything but RSA and EC."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise HolderMisconfigured(f"Không đọc được khóa {path.name}", f"Key {path.name} cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise HolderMisconfigured(f"Loại khóa của {path.name} không dùng được", f"Key {path.name} is of another kind")
    return key


def sign_hash(key: _Key, tbs_sha256: Sha256, mechanism: Mechanism) -> bytes:
    """Sign a SHA-256 that was computed elsewhere; raise HolderRefused when key and mechanism do not fit."""
    digest = utils.Prehashed(hashes.SHA256())
    if len(tbs_sha256) == 32:
        if isinstance(key, ec.EllipticCurvePrivateKey) and mechanism == "ecdsa":
            return key.sign(tbs_sha256, ec.ECDSA(digest))
        if isinstance(key, rsa.RSAPrivateKey) and mechanism == "rsa_pkcs1v15":
            return key.sign(tbs_sha256, padding.PKCS1v15(), digest)
        if isinstance(key, rsa.RSAPrivateKey) and mechanism == "rsa_pss":
            return key.sign(tbs_sha256, padding.PSS(padding.MGF1(hashes.SHA256()), 32), digest)
    raise HolderRefused("Khóa không dùng được với thuật toán này", "The key does not fit this mechanism or hash")
