"""A software authenticator (WebAuthn Level 3, ES256, no attestation): real keys, real CBOR, and knobs for faults."""

import base64
import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """One passkey of one person at one relying party."""

    def __init__(self, origin: str, rp_id: str, *, counts: bool = True) -> None:
        self.origin, self.rp_id = origin, rp_id
        self.credential_id = secrets.token_bytes(32)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.counter, self._counts = 0, counts

    @property
    def public_key(self) -> bytes:
        """The key as COSE (RFC 9053): EC2, ES256, P-256."""
        numbers = self._key.public_key().public_numbers()
        parts = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        return cbor2.dumps(parts)

    def _client_data(self, kind: str, challenge: bytes, origin: str | None) -> bytes:
        said = {"type": kind, "challenge": base64url(challenge), "origin": origin or self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _data(self, flags: int, rp_id: str | None, counter: int, more: bytes = b"") -> bytes:
        hashed = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        return hashed + bytes([flags]) + counter.to_bytes(4) + more

    def register(
        self,
        challenge: bytes,
        *,
        origin: str | None = None,
        rp_id: str | None = None,
        flags: int = USER_PRESENT | USER_VERIFIED,
    ) -> dict[str, str]:
        """What `navigator.credentials.create` gives, as its `response`."""
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + self.public_key
        data = self._data(flags | ATTESTED, rp_id, self.counter, attested)
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client_data("webauthn.create", challenge, origin)
        return {"clientDataJSON": base64url(client), "attestationObject": base64url(made)}

    def sign(
        self,
        challenge: bytes,
        *,
        origin: str | None = None,
        rp_id: str | None = None,
        flags: int = USER_PRESENT | USER_VERIFIED,
        counter: int | None = None,
        kind: str = "webauthn.get",
    ) -> dict[str, Any]:
        """What `navigator.credentials.get` gives, as `toJSON()` writes it."""
        self.counter += 1 if self._counts else 0
        data = self._data(flags, rp_id, self.counter if counter is None else counter)
        client = self._client_data(kind, challenge, origin)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "id": base64url(self.credential_id),
            "rawId": base64url(self.credential_id),
            "type": "public-key",
            "response": {
                "clientDataJSON": base64url(client),
                "authenticatorData": base64url(data),
                "signature": base64url(signature),
            },
        }
