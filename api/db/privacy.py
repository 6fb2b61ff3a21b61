"""Personal data at rest: sealed under named keys, found again by keyed hashes.

Keys come from the settings of a process and never stand in the database. A sealed value names the key that sealed it,
so keys are rotated by adding one and making it current: what older keys sealed stays readable until it is sealed again.
Law 91/2025/QH15 on personal data protection asks for encryption of such data; the choice of AES-256-GCM is ours.
"""

import hmac
import os
import unicodedata
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from api.errors import Broken
from api.kernel import fold

_FORMAT: Final = b"\x01"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class Vault:
    """Seals and opens personal data; one per process, never logged."""

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        """Take the keys by id, each of 32 bytes, and the id of the one that seals from now on.

        Raises:
            ValueError: a key is not 32 bytes long, an id is empty or too long, or the current one is missing.
        """
        for key_id, key in keys.items():
            if len(key) != _KEY_BYTES:
                raise ValueError(f"key {key_id!r} has {len(key)} bytes, not {_KEY_BYTES}")
            if not 1 <= len(key_id.encode()) <= 255:
                raise ValueError("a key id has 1 to 255 bytes")
        if current not in keys:
            raise ValueError(f"there is no key {current!r}")
        self._keys = dict(keys)
        self.current: Final = current
        self._derived: dict[tuple[str, str, str], bytes] = {}
        self._ciphers: dict[tuple[str, str], AESGCM] = {}

    def __repr__(self) -> str:
        """Name the key ids only, so that a traceback or a log never shows a key."""
        return f"Vault(keys={sorted(self._keys)}, current={self.current!r})"

    @property
    def is_rotating(self) -> bool:
        """Tell whether there is more than one key: then what is stored may be under an older one."""
        return len(self._keys) > 1

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, the current one's first."""
        return (self.current, *(key_id for key_id in self._keys if key_id != self.current))

    def seal(self, purpose: str, text: str) -> bytes:
        """Encrypt a text for one purpose; a blob moved to another purpose does not open."""
        head = _head(self.current)
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._cipher(self.current, purpose)
        return head + nonce + cipher.encrypt(nonce, text.encode(), head + purpose.encode())

    def open(self, purpose: str, blob: bytes) -> str:
        """Decrypt what `seal` gave for this purpose, under whichever key it names.

        Raises:
            Broken: the key is unknown here, the purpose is another, or the blob was altered.
        """
        key_id, head, rest = _split(blob)
        if key_id not in self._keys:
            raise _unreadable(f"key {key_id!r} is not among this process's keys")
        cipher = self._cipher(key_id, purpose)
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], head + purpose.encode()).decode()
        except InvalidTag:
            raise _unreadable("it was altered or sealed for another purpose") from None

    def key_id(self, blob: bytes) -> str:
        """Return the id of the key that sealed a blob: rotation seals again where it is not the current one."""
        return _split(blob)[0]

    def fingerprint(self, purpose: str, text: str) -> bytes:
        """Return the keyed hash (HMAC-SHA256, 32 bytes) of a text's canonical form, to be stored for exact search."""
        return self.fingerprint_under(self.current, purpose, text)

    def fingerprints(self, purpose: str, text: str) -> list[bytes]:
        """Return the hashes under every key, for `= ANY($1)`: rows not yet rotated are found too."""
        return [self.fingerprint_under(key_id, purpose, text) for key_id in self._keys]

    def fingerprint_under(self, key_id: str, purpose: str, text: str) -> bytes:
        """Return the hash under one of the keys."""
        key = self._key(key_id, "fingerprint", purpose)
        return hmac.digest(key, canonical(purpose, text).encode(), "sha256")

    def _cipher(self, key_id: str, purpose: str) -> AESGCM:
        known = self._ciphers.get((key_id, purpose))
        if known is None:
            known = self._ciphers[key_id, purpose] = AESGCM(self._key(key_id, "seal", purpose))
        return known

    def _key(self, key_id: str, use: str, purpose: str) -> bytes:
        known = self._derived.get((key_id, use, purpose))
        if known is None:
            info = f"motcua/{use}/{purpose}".encode()
            known = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(self._keys[key_id])
            self._derived[key_id, use, purpose] = known
        return known


def canonical(purpose: str, text: str) -> str:
    """Return the form under which equal things hash equally: by the last word of the purpose (`person.phone`).

    Names are folded (no marks, no case), phone numbers are digits with +84 as 0, identity numbers keep letters
    (passports) and digits; anything else is NFC without outer blanks.
    """
    rule = _CANONICAL.get(purpose.rpartition(".")[2])
    plain = unicodedata.normalize("NFC", text).strip()
    return rule(plain) if rule else plain


def _phone(text: str) -> str:
    digits = _digits(text)
    national = text.lstrip().startswith("+84") or digits.startswith("0084")
    return "0" + digits.removeprefix("00").removeprefix("84").removeprefix("0") if national else digits


def _digits(text: str) -> str:
    return "".join(str(unicodedata.digit(c)) for c in text if c.isdigit())


def _id_number(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum()).upper()


_CANONICAL: Final[dict[str, Callable[[str], str]]] = {"name": fold, "phone": _phone, "id_number": _id_number}


def _head(key_id: str) -> bytes:
    name = key_id.encode()
    return _FORMAT + bytes([len(name)]) + name


def _split(blob: bytes) -> tuple[str, bytes, bytes]:
    if len(blob) < 2 or blob[:1] != _FORMAT or len(blob) < 2 + blob[1] + _NONCE_BYTES + 16:
        raise _unreadable("it is not a sealed value")
    end = 2 + blob[1]
    try:
        return blob[2:end].decode(), blob[:end], blob[end:]
    except UnicodeDecodeError:
        raise _unreadable("it is not a sealed value") from None


def _unreadable(why: str) -> Broken:
    return Broken(
        "Không đọc được dữ liệu đã mã hóa.", f"A sealed value cannot be read: {why}.", code="sealed-unreadable"
    )
