"""An HSM: a token of SoftHSM2 in a directory of its own, with the keys of a directory of certificates."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from api.embedded.pki import Entry

TOKEN: Final = "seal-room"
PIN: Final = "482915"
_PLACES: Final = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
MODULE: Final = os.environ.get("SOFTHSM2_MODULE") or next((place for place in _PLACES if Path(place).exists()), "")


class SoftToken:
    """One token; `room` holds its objects, the PIN's file and its configuration."""

    def __init__(self, room: Path, directory: Path, entries: Sequence[Entry], *, configuration: Path) -> None:
        self.room, self.directory, self.entries = room, directory, entries
        self.tokens = room / "tokens"
        self.tokens.mkdir(parents=True)
        self.pin_file = room / "pin"
        self.write_pin(PIN)
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.environment: Mapping[str, str] = {**os.environ, "SOFTHSM2_CONF": str(configuration)}
        self.util("--init-token", "--free", "--label", TOKEN, "--so-pin", "87654321", "--pin", PIN)

    def util(self, *arguments: str) -> None:
        """Run SoftHSM2's own tool on the token."""
        done = subprocess.run(
            ["softhsm2-util", "--module", MODULE, *arguments],
            env=self.environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def write_pin(self, pin: str) -> None:
        """Keep the PIN as an operator does."""
        self.pin_file.write_text(pin + "\n")
        self.pin_file.chmod(0o600)

    def put(self, label: str, number: int, key_pem: bytes) -> None:
        """Bring a key into the token."""
        path = self.room / f"{label}.pem"
        path.write_bytes(key_pem)
        self.util("--import", str(path), "--token", TOKEN, "--pin", PIN, "--label", label, "--id", f"{number:02x}")

    def put_all(self) -> None:
        """Bring in the key of every entry."""
        for number, one in enumerate(self.entries, start=1):
            self.put(one.credential_id, number, (self.directory / one.key).read_bytes())

    def settings(self) -> dict[str, Any]:
        """Return how a signer is told of the token; certificates come from files."""
        chain = self.room / "chain.pem"
        chain.write_bytes(b"".join((self.directory / f"{name}.pem").read_bytes() for name in ("issuing", "root")))
        keys = [
            {
                "owner": one.owner,
                "credential_id": one.credential_id,
                "certificate": str(self.directory / one.certificate),
            }
            for one in self.entries
        ]
        return {
            "module": MODULE, "token": TOKEN, "pin_file": str(self.pin_file), "chain": str(chain), "keys": keys,
            "certificate_class": "demo",
        }  # fmt: skip
