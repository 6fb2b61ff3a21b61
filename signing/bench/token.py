"""A throw-away token of SoftHSM2 for the benchmark: our way to an HSM against the token's own raw signature.

Where `softhsm2-util` is not installed there is no such row, and the report says so.
"""

import asyncio
import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_private_key
from cryptography.x509 import load_der_x509_certificate
from pkcs11 import Attribute, Mechanism, ObjectClass

from signing.bench.ground import Person
from signing.contract import Der, Sha256, SignItem, SignOrder
from signing.keys import pkcs11_module
from signing.keys.pkcs11 import Pkcs11Holder, Pkcs11Key, Pkcs11Settings

_PLACES: Final = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
_LABEL: Final = "bench"
_PIN: Final = "482915"
_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")


def module() -> str | None:
    """Return where SoftHSM2's library lies, if it and its tool are installed."""
    found = next((place for place in _PLACES if Path(place).is_file()), None)
    return found if shutil.which("softhsm2-util") else None


class Token:
    """One token with one RSA key, in a directory of its own; `close` ends its sessions."""

    def __init__(self, room: Path, library: str, who: Person, chain: tuple[Der, ...]) -> None:
        tokens = room / "tokens"
        tokens.mkdir()
        conf = room / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(conf)
        files = {name: room / f"token-{name}" for name in ("pin", "key.pem", "own.pem", "chain.pem")}
        files["pin"].write_text(_PIN)
        files["pin"].chmod(0o600)
        key = load_der_private_key(who.pkcs8, None)
        files["key.pem"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        files["own.pem"].write_bytes(_pem(who.certificate))
        files["chain.pem"].write_bytes(b"".join(_pem(der) for der in chain))
        slot = ("--module", library, "--label", _LABEL, "--pin", _PIN)
        _run(*slot, "--init-token", "--free", "--so-pin", "87654321")
        _run(*slot, "--import", str(files["key.pem"]), "--token", _LABEL, "--id", "01")
        self._loop = asyncio.new_event_loop()
        self._numbers = itertools.count()
        self._holder = Pkcs11Holder(
            Pkcs11Settings(
                module=library,
                token=_LABEL,
                pin_file=str(files["pin"]),
                chain=str(files["chain.pem"]),
                keys=(Pkcs11Key(owner="bench", credential_id=_LABEL, certificate=str(files["own.pem"])),),
                certificate_class="demo",
                development=True,
            )
        )
        self.sign(Sha256(bytes(32)))  # opens the sessions and logs the process in
        self._module = pkcs11_module.take(library)
        self._session: Any = self._module.token(_LABEL).open()
        self._key: Any = self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=_LABEL)
        _ = self._key[Attribute.LABEL]

    def sign(self, tbs: Sha256) -> bytes:
        """Sign by the holder, as the signer process does: a transaction that is started and then asked for."""
        return self._loop.run_until_complete(self._sign(tbs))

    async def _sign(self, tbs: Sha256) -> bytes:
        number = str(next(self._numbers))
        item = SignItem(item_id="1", tbs_sha256=tbs, name="bench")
        order = SignOrder(
            transaction_id=number, credential_id=_LABEL, owner="bench", items=(item,), mechanism="rsa_pkcs1v15"
        )
        await self._holder.start(order)
        told = await self._holder.poll(number)
        while told.state == "waiting":  # each poll waits a little by itself
            told = await self._holder.poll(number)
        return told.values["1"]

    def raw(self, tbs: Sha256) -> bytes:
        """Sign by the token's own call and nothing else."""
        return self._key.sign(_SHA256_INFO + tbs, mechanism=Mechanism.RSA_PKCS)

    def close(self) -> None:
        """End sessions and library."""
        self._session.close()
        self._loop.run_until_complete(self._holder.close())
        pkcs11_module.give_back(self._module)
        self._loop.close()
        os.environ.pop("SOFTHSM2_CONF", None)


def _pem(der: Der) -> bytes:
    return load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def _run(*arguments: str) -> None:
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True, timeout=60)  # noqa: S603, S607
