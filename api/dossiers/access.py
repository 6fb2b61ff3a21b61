"""A citizen's key to a dossier: a secret of 128 bits told once, of which only the SHA-256 is stored.

It is derived from the dossier's id under the vault's key, so that a repeated submission (its answer was lost)
tells the same secret again although nobody has kept it.
"""

import base64
import hmac
from hashlib import sha256
from typing import Final
from uuid import UUID

from api.db.privacy import Vault

PURPOSE: Final = "dossier.access"
_BYTES: Final = 16


def secrets_of(vault: Vault, dossier_id: UUID) -> list[str]:
    """Return the secret under every key of the vault, the current one's first."""
    derived = [vault.fingerprint(PURPOSE, dossier_id.hex), *vault.fingerprints(PURPOSE, dossier_id.hex)]
    return [_text(value) for value in derived]


def secret_of(vault: Vault, dossier_id: UUID, stored: bytes | None = None) -> str:
    """Return the secret that was told; `stored` finds the one from before a change of keys."""
    current = _text(vault.fingerprint(PURPOSE, dossier_id.hex))
    if stored is None or digest(current) == stored:
        return current
    return next((secret for secret in secrets_of(vault, dossier_id) if digest(secret) == stored), current)


def told_under(vault: Vault, key_id: str, dossier_id: UUID, stored: bytes) -> bool:
    """Tell whether the secret whose hash is stored was derived under this key."""
    return digest(_text(vault.fingerprint_under(key_id, PURPOSE, dossier_id.hex))) == stored


def digest(secret: str) -> bytes:
    """Return what is stored of a secret; small letters and blanks a person typed do not matter."""
    return sha256("".join(secret.split()).upper().encode()).digest()


def fits(secret: str, stored: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def _text(value: bytes) -> str:
    return base64.b32encode(value[:_BYTES]).decode().rstrip("=")
