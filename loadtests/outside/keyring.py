"""The keys that an outside signer holds: read from a directory, used as its hardware would use them."""

import base64
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key


class Held(msgspec.Struct):
    owner: str
    serial: str
    kind: str
    key: str
    certificate: bytes
    valid_from: str
    valid_to: str


class Keyring:
    """Certificates by owner and serial; an index that grows on disk is read again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.by_serial: dict[str, Held] = {}
        self.parsed: dict[str, Any] = {}
        self.read_at = 0
        self.chain: list[bytes] = []

    def refresh(self) -> None:
        index = self.directory / "index.json"
        changed = index.stat().st_mtime_ns
        if changed == self.read_at:
            return
        content = msgspec.json.decode(index.read_bytes())
        self.chain = [self.der(name) for name in content["chain"]]
        for entry in content["entries"]:
            if entry["serial"] not in self.by_serial:
                self.by_serial[entry["serial"]] = self.load(entry)
        self.read_at = changed

    def der(self, name: str) -> bytes:
        return x509.load_pem_x509_certificate((self.directory / name).read_bytes()).public_bytes(Encoding.DER)

    def load(self, entry: dict[str, str]) -> Held:
        der = self.der(entry["certificate"])
        parsed = x509.load_der_x509_certificate(der)
        return Held(
            owner=entry["owner"],
            serial=entry["serial"],
            kind=entry["kind"],
            key=entry["key"],
            certificate=der,
            valid_from=parsed.not_valid_before_utc.isoformat(),
            valid_to=parsed.not_valid_after_utc.isoformat(),
        )

    def of_owner(self, owner: str) -> list[Held]:
        self.refresh()
        return [one for one in self.by_serial.values() if one.owner == owner]

    def chain_data(self) -> dict[str, str]:
        coded = [base64.b64encode(one).decode() for one in self.chain]
        return {"ca_cert": coded[0], "root_cert": coded[-1]}

    def key(self, serial: str) -> Any:
        if serial not in self.parsed:
            path = self.directory / self.by_serial[serial].key
            self.parsed[serial] = load_pem_private_key(path.read_bytes(), None)
        return self.parsed[serial]

    def default_mechanism(self, serial: str) -> str:
        return "ecdsa" if isinstance(self.key(serial), ec.EllipticCurvePrivateKey) else "rsa_pkcs1v15"

    def sign(self, serial: str, digest: bytes, mechanism: str) -> bytes:
        key, hashed = self.key(serial), utils.Prehashed(hashes.SHA256())
        if mechanism == "ecdsa":
            return key.sign(digest, ec.ECDSA(hashed))
        if mechanism == "rsa_pss":
            return key.sign(digest, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashed)
        return key.sign(digest, padding.PKCS1v15(), hashed)
