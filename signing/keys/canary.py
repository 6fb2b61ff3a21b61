"""A key for trial signatures alone: made in memory, worth nothing, under a root that no document's trust knows.

Whoever holds it can only show that signing works. It ends with its process and is never written anywhere.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from signing.contract import CANARY, Capabilities, Der, HeldCertificate, Outcome, Sha256, SignOrder
from signing.errors import HolderRefused
from signing.making import make_certificate

VALID: Final = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
"""No clock is asked: whether a clock is right is one of the things a trial shows."""


class CanaryKey:
    """A fresh key with its certificate and the root above it."""

    def __init__(self) -> None:
        root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root_name = _name("Motcua canary root")
        root = make_certificate(root_name, root_name, root_key, root_key, valid=VALID, path_length=0)
        own = make_certificate(_name("Motcua canary"), root_name, self._key, root_key, valid=VALID)
        self.held = HeldCertificate(
            credential_id=CANARY,
            certificate=Der(own.public_bytes(Encoding.DER)),
            chain=(Der(root.public_bytes(Encoding.DER)),),
            valid_from=VALID[0],
            valid_to=VALID[1],
        )

    def sign(self, tbs_sha256: Sha256) -> bytes:
        """Sign a SHA-256 (ECDSA on P-256)."""
        return self._key.sign(tbs_sha256, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


class CanaryHolder:
    """The signer's own canary behind the port of every key holder; it asks nobody and keeps the last outcome."""

    def __init__(self) -> None:
        self._canary = CanaryKey()
        self._last = Outcome(transaction_id="", state="unknown")

    @property
    def capabilities(self) -> Capabilities:
        """What this holder can do."""
        return Capabilities(
            name=CANARY,
            hashes_per_authorisation=1,
            window=timedelta(minutes=1),
            parallel_limit=1,
            shows_document_names=False,
            certificate_class="demo",
            development=False,
            asks_person=False,
        )

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """Return the one certificate there is, to its one owner."""
        return (self._canary.held,) if owner == CANARY else ()

    async def start(self, order: SignOrder) -> None:
        """Sign at once; the same transaction id again changes nothing."""
        if order.credential_id != CANARY or order.owner != CANARY or order.mechanism != "ecdsa":
            raise HolderRefused("Khóa thử chỉ dùng để tự kiểm tra", "The canary key signs for trials alone")
        if order.transaction_id != self._last.transaction_id:
            values = {item.item_id: await asyncio.to_thread(self._canary.sign, item.tbs_sha256) for item in order.items}
            self._last = Outcome(transaction_id=order.transaction_id, state="signed", values=values)

    async def poll(self, transaction_id: str) -> Outcome:
        """Return the outcome of the last transaction; of any other it knows nothing."""
        known = transaction_id == self._last.transaction_id
        return self._last if known else Outcome(transaction_id=transaction_id, state="unknown")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Refuse: this holder never calls back."""
        raise HolderRefused("Khóa thử không gửi trả kết quả", f"The canary never calls ({len(headers)}, {len(body)})")

    async def close(self) -> None:
        """Forget the outcome."""
        self._last = Outcome(transaction_id="", state="unknown")


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Motcua"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
