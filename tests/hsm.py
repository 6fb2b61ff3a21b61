"""A real token of SoftHSM2 in a directory of its own, with the test certificates' keys, and a hand that spoils it."""

import contextlib
import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pkcs11 import Attribute, CertificateType, ObjectClass

from api.embedded.pki import Entry, Index
from loadtests.outside.hsm import MODULE, PIN, TOKEN, SoftToken
from signing.contract import CANARY
from signing.keys import pkcs11_module
from signing.keys.canary import CanaryKey
from signing.keys.pkcs11 import Pkcs11Holder, Pkcs11Key, Pkcs11Settings

C_SIGN = 44
SIGN_TYPE = ctypes.CFUNCTYPE(
    ctypes.c_ulong, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p
)
DEVICE_ERROR = 0x30


class Hsm(SoftToken):
    """One token with keys of a directory of certificates. `room` holds its objects; moved away, the token is gone."""

    def __init__(self, room: Path, directory: Path, entries: list[Entry]) -> None:
        super().__init__(room, directory, entries, configuration=room / "softhsm2.conf")

    def settings(self, **changes) -> Pkcs11Settings:
        chain = self.room / "chain.pem"
        chain.write_bytes(b"".join((self.directory / f"{name}.pem").read_bytes() for name in ("issuing", "root")))
        keys = tuple(Pkcs11Key(owner=one.owner, credential_id=one.credential_id) for one in self.entries)
        values = {
            "module": MODULE, "token": TOKEN, "pin_file": str(self.pin_file), "chain": str(chain), "keys": keys,
            "certificate_class": "demo", "probe_s": 0.1,
        }  # fmt: skip
        return Pkcs11Settings(**{**values, **changes})

    def holder(self, **changes) -> Pkcs11Holder:
        return Pkcs11Holder(self.settings(**changes))

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Take the token away while the block runs."""
        away = self.room / "away"
        self.tokens.rename(away)
        try:
            yield
        finally:
            away.rename(self.tokens)


@contextlib.contextmanager
def hsm(directory: Path, wanted: tuple[str, ...] = ("",)) -> Iterator[Hsm]:
    """Make a token with the keys of a directory whose ids begin so, and leave this process's settings as they were."""
    room = Path(tempfile.mkdtemp(prefix="motcua-hsm-"))
    before = os.environ.get("SOFTHSM2_CONF")
    index = msgspec.json.decode((directory / "index.json").read_bytes(), type=Index)
    entries = [one for one in index.entries if one.credential_id.startswith(wanted)]
    try:
        made = Hsm(room, directory, entries)
        made.put_all()
        os.environ["SOFTHSM2_CONF"] = made.environment["SOFTHSM2_CONF"]
        _write_certificates({one.credential_id: (directory / one.certificate).read_bytes() for one in entries})
        yield made
    finally:
        os.environ.pop("SOFTHSM2_CONF", None)
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before
        shutil.rmtree(room, ignore_errors=True)


def _write_certificates(pems: dict[str, bytes]) -> None:
    module = pkcs11_module.take(MODULE)
    session = module.token(TOKEN).open(rw=True, user_pin=PIN)
    for label, pem in pems.items():
        certificate = x509.load_pem_x509_certificate(pem)
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                Attribute.TOKEN: True,
                Attribute.LABEL: label,
                Attribute.SUBJECT: certificate.subject.public_bytes(),
                Attribute.VALUE: certificate.public_bytes(Encoding.DER),
            }
        )
    session.close()
    pkcs11_module.give_back(module)


def lose_sessions(holder: Pkcs11Holder) -> None:
    """Close every session behind the holder's back, as a restarted HSM does."""
    sessions = holder._opened
    sessions._module.close_all_sessions(sessions._token.slot.slot_id)


@contextlib.contextmanager
def spoiled_sign(instead: Callable[[Callable[..., int], tuple], int]) -> Iterator[None]:
    """Put a function of ours in the place of SoftHSM2's C_Sign; it is given the real one and its arguments."""
    module = pkcs11_module.take(MODULE)
    real_address = module._table[C_SIGN]
    real = SIGN_TYPE(real_address)
    ours = SIGN_TYPE(lambda *arguments: instead(real, arguments))
    module._table[C_SIGN] = ctypes.cast(ours, ctypes.c_void_p).value
    try:
        yield
    finally:
        module._table[C_SIGN] = real_address
        pkcs11_module.give_back(module)


def canary_files(room: Path) -> tuple[bytes, Path, Path]:
    """Make a canary's key with its certificate and chain as files."""
    canary = CanaryKey()
    key = canary._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    own, root = (
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
        for der in (canary.held.certificate, canary.held.chain[0])
    )
    (room / f"{CANARY}.crt").write_bytes(own)
    (room / "canary-root.crt").write_bytes(root)
    return key, room / f"{CANARY}.crt", room / "canary-root.crt"
