"""The settings that `motcua up --demo` makes for itself: random secrets once, then one 0600 file per process."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from api.settings import ROLE_VARIABLE, Address, Process

DATABASE_ROLE: Final[Mapping[Process, str]] = {"api": "app", "signer": "signer", "worker": "worker"}
OWNER: Final[Literal["owner"]] = "owner"
_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "VIRTUAL_ENV",
    "MOTCUA_FAILPOINTS",
    "MOTCUA_OTLP_URL",
    "MOTCUA_VAR",
)
"""What a child may see of the launcher's own environment; every other setting is named one by one."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Drawn at the first start and kept: without the data keys the demo's personal data could not be read again."""

    data_keys: str
    factor_keys: str
    session_keys: str
    checkpoint_keys: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "Secrets()"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where the demo keeps its files, all below one directory."""

    var: Path

    @property
    def cluster(self) -> Path:
        """The embedded PostgreSQL."""
        return self.var / "pg"

    @property
    def settings(self) -> Path:
        """One environment file per process."""
        return self.var / "settings"

    @property
    def blobs(self) -> Path:
        """The documents."""
        return self.var / "blobs"

    @property
    def checkpoints(self) -> Path:
        """The copy of the audit's checkpoints; in earnest it belongs on another machine."""
        return self.var / "checkpoints"

    @property
    def demo(self) -> Path:
        """What the demonstration leaves: certificates, accounts, the signed result."""
        return self.var / "demo"

    @property
    def pki(self) -> Path:
        """Demo certificates and keys."""
        return self.demo / "pki"

    @property
    def trust(self) -> Path:
        """The authorities that the demo's verification trusts."""
        return self.demo / "trust"

    @property
    def accounts(self) -> Path:
        """The demo's log-ins with their secrets."""
        return self.demo / "accounts.json"

    @property
    def result(self) -> Path:
        """The signed and sealed PDF that the walk ends in."""
        return self.demo / "result.pdf"

    @property
    def holders(self) -> Path:
        """The signer's key holders."""
        return self.settings / "holders.json"

    @property
    def logs(self) -> Path:
        """One log per process."""
        return self.var / "log"

    @property
    def run(self) -> Path:
        """The state of a running server."""
        return self.var / "run"


def layout(environment: Mapping[str, str] = os.environ) -> Layout:
    """Return the layout below MOTCUA_VAR, or below `var` where the command is run."""
    return Layout(var=Path(environment.get("MOTCUA_VAR") or "var").absolute())


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(path)


def keep_secrets(files: Layout) -> Secrets:
    """Return the demo's secrets; draw what is not kept yet: at the first call all, after an upgrade the new ones."""
    path = files.settings / "secrets.json"
    kept: dict[str, str] = msgspec.json.decode(path.read_bytes()) if path.exists() else {}
    fresh = {name: f"demo1:{secrets.token_hex(32)}" for name in Secrets.__struct_fields__ if name not in kept}
    whole = msgspec.convert({**fresh, **kept}, Secrets)
    if fresh:
        write_private(path, msgspec.json.encode(whole).decode())
    return whole


def browser_url(api: Address) -> str:
    """Return the address for a browser: passkeys are made for a name (WebAuthn Level 3), and `localhost` is one.

    Where that name leads elsewhere or nowhere, the number stays; then there are no passkeys.
    """
    host = api.host
    with suppress(OSError):
        if socket.gethostbyname("localhost") == host:
            host = "localhost"
    return f"http://{host}:{api.port}"


def environments(
    files: Layout, dsn: Callable[[str], str], listen: tuple[Address, Address, Address]
) -> dict[str, dict[str, str]]:
    """Return and write the environment of each process and of the owner's commands.

    Args:
        files: where everything lies.
        dsn: gives asyncpg's DSN of a database role.
        listen: addresses of API, signer and worker.
    """
    files.settings.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.checkpoints.mkdir(parents=True, exist_ok=True, mode=0o700)
    drawn = keep_secrets(files)
    api, signer, worker = (f"{address.host}:{address.port}" for address in listen)
    shared = {
        "MOTCUA_DEMO": "1",
        "MOTCUA_DATA_KEYS": drawn.data_keys,
        "MOTCUA_BLOB_DIR": str(files.blobs),
        "MOTCUA_TRUST_DIR": str(files.trust),
        "MOTCUA_PUBLIC_URL": browser_url(listen[0]),
        "MOTCUA_VAR": str(files.var),
    }
    own: dict[Process, dict[str, str]] = {
        "api": {"MOTCUA_SESSION_KEYS": drawn.session_keys, "MOTCUA_LISTEN": api},
        "signer": {
            "MOTCUA_FACTOR_KEYS": drawn.factor_keys,
            "MOTCUA_SIGNER_LISTEN": signer,
            "MOTCUA_HOLDERS_FILE": str(files.holders),
        },
        "worker": {
            "MOTCUA_WORKER_LISTEN": worker,
            "MOTCUA_CHECKPOINT_KEYS": drawn.checkpoint_keys,
            "MOTCUA_CHECKPOINT_DIR": str(files.checkpoints),
        },
    }
    made: dict[str, dict[str, str]] = {OWNER: {**shared, "DATABASE_URL": dsn("admin")}}
    for process, role in DATABASE_ROLE.items():
        made[process] = {**shared, **own[process], ROLE_VARIABLE[process]: dsn(role)}
    for name, environment in made.items():
        write_private(files.settings / f"{name}.env", "".join(f"{key}={value}\n" for key, value in environment.items()))
    inherited = passed_on()
    return {name: {**inherited, **environment} for name, environment in made.items()}


def read_environment(path: Path) -> dict[str, str]:
    """Read an environment file that `environments` wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def passed_on(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the part of the launcher's environment that every child may see."""
    return {name: environment[name] for name in _PASSED_ON if name in environment}
