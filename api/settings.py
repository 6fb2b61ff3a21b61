"""What a process is told from outside: read once from the environment, checked whole, refused with all faults at once.

Each process is given its own secrets only: the API never sees the signer's password or the keys of second factors.
Secrets have no default. `motcua up --demo` writes its own into `var/settings/`; nothing here knows about that.
"""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from api.errors import Invalid

Process = Literal["api", "signer", "worker"]
T = TypeVar("T")

ROLE_VARIABLE: Final[Mapping[Process, str]] = {
    "api": "DATABASE_URL_APP",
    "signer": "DATABASE_URL_SIGNER",
    "worker": "DATABASE_URL_WORKER",
}
"""Which DSN each process connects with; `DATABASE_URL` is the owner's, for `migrate` and `up`."""


class Address(msgspec.Struct, frozen=True):
    """Where a process listens."""

    host: str
    port: int


class S3(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket of an S3 service for the documents, instead of a directory."""

    bucket: str
    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def __repr__(self) -> str:
        """Show where, never the keys."""
        return f"S3(bucket={self.bucket!r}, endpoint={self.endpoint!r})"


class StorePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where the documents are, for a command that needs nothing else."""

    blob_dir: Path | None
    s3: S3 | None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one process is told."""

    process: Process
    demo: bool
    """True makes key files and demo certificates acceptable; production refuses to start with them."""
    database_url: str
    data_keys: dict[str, bytes]
    """Keys of 32 bytes by id that seal personal data; the first named one seals from now on."""
    data_key: str
    factor_keys: dict[str, bytes] = {}
    """Signer only: keys that seal second factors; the first named one seals from now on."""
    factor_key: str = ""
    session_keys: dict[str, bytes] = {}
    """API only: keys under which session tokens are hashed; the first named one from now on."""
    checkpoint_keys: dict[str, bytes] = {}
    """Worker only: Ed25519 keys that sign the audit's checkpoints; the first named one from now on."""
    checkpoint_dir: Path | None = None
    """Worker only: where the checkpoints are copied, out of reach of the database's administrators."""
    blob_dir: Path | None = None
    s3: S3 | None = None
    holders: tuple[dict[str, Any], ...] = ()
    """Signer only: the configuration of each key holder, as `signing.holders` reads it."""
    authorities: tuple[dict[str, Any], ...] = ()
    """Signer only: the timestamping authorities, as `signing.holders` reads them; without any no level is paid."""
    trust_dir: Path | None = None
    """PEM files of the certification authorities that verification trusts."""
    listen: Address = Address("127.0.0.1", 8080)
    signer_listen: Address = Address("127.0.0.1", 8081)
    worker_listen: Address = Address("127.0.0.1", 8082)
    public_url: str = ""
    """How citizens reach the API; stands in QR codes."""
    api_workers: int = 1
    pdf_processes: int = 2
    pool_read: int = 8
    pool_write: int = 8
    pool_budget_s: float = 2.0
    limits: bool = True
    """API only: count how often an account and an agency ask; off where something in front of it counts already."""
    max_upload_mb: int = 50
    session_idle_s: int = 8 * 3600
    session_absolute_s: int = 16 * 3600
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose `X-Forwarded-For` is believed, such as `127.0.0.1/32`."""
    failpoints: str = ""
    """Names of places at which to fail, for fault tests; refused in production."""
    otlp_url: str = ""
    """Base address of a collector that takes spans by OTLP over HTTP; without one nothing is sent or loaded for it."""
    data_dir: Path | None = None
    """Where database and documents of a one-machine installation lie, to watch how full that disk is."""

    def __repr__(self) -> str:
        """Name the process only, so that a log or a traceback never shows a secret."""
        return f"Settings(process={self.process!r}, demo={self.demo})"


class BadSettings(Invalid):
    """One or more settings are missing or wrong; the text lists every one of them."""

    code = "settings"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        """List the faults, each in Vietnamese and English."""
        vi = "Cấu hình chưa đúng:\n" + "\n".join(f"  - {fault[0]}" for fault in faults)
        en = "The settings are wrong:\n" + "\n".join(f"  - {fault[1]}" for fault in faults)
        next_step = ("Đặt các biến môi trường nêu trên; để thử: motcua up --demo", "Set them; to try: motcua up --demo")
        super().__init__(vi, en, next_step=next_step)
        self.faults = faults


class _Reader:
    """Reads variables one by one and keeps what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.faults: list[tuple[str, str]] = []

    def fault(self, name: str, vi: str, en: str) -> None:
        self.faults.append((f"{name}: {vi}", f"{name}: {en}"))

    def has(self, name: str) -> bool:
        return bool(self._environment.get(name))

    def need(self, name: str, parse: Callable[[str], T], instead: T) -> T:
        """Read a variable that must be there; `instead` only fills the place until the faults are raised."""
        if not self.has(name):
            self.fault(name, "chưa có", "is missing")
            return instead
        return self.may(name, parse, instead)

    def may(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Read a variable that has a default."""
        text = self._environment.get(name)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.fault(name, f"sai ({error})", f"is wrong ({error})")
            return default


def read(process: Process, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of one process.

    Raises:
        BadSettings: with every fault found, not only the first.
    """
    reader = _Reader(environment)
    demo = reader.may("MOTCUA_DEMO", _flag, default=False)
    data_keys = reader.need("MOTCUA_DATA_KEYS", _keys, {})
    factor_keys = reader.need("MOTCUA_FACTOR_KEYS", _keys, {}) if process == "signer" else {}
    blob_dir = reader.may("MOTCUA_BLOB_DIR", Path, None)
    listen = reader.may("MOTCUA_LISTEN", address, Address("127.0.0.1", 8080))
    settings = Settings(
        process=process,
        demo=demo,
        database_url=reader.need(ROLE_VARIABLE[process], _dsn, ""),
        data_keys=data_keys,
        data_key=next(iter(data_keys), ""),
        factor_keys=factor_keys,
        factor_key=next(iter(factor_keys), ""),
        session_keys=_session_keys(reader) if process == "api" else {},
        checkpoint_keys=reader.need("MOTCUA_CHECKPOINT_KEYS", _keys, {}) if process == "worker" else {},
        checkpoint_dir=reader.need("MOTCUA_CHECKPOINT_DIR", _directory, None) if process == "worker" else None,
        blob_dir=blob_dir,
        s3=_s3(reader) if blob_dir is None else None,
        holders=_holders(reader, demo=demo) if process == "signer" else (),
        authorities=reader.may("MOTCUA_TIMESTAMPS_FILE", _holder_file, ()) if process == "signer" else (),
        trust_dir=reader.need("MOTCUA_TRUST_DIR", _directory, None),
        listen=listen,
        signer_listen=reader.may("MOTCUA_SIGNER_LISTEN", address, Address("127.0.0.1", 8081)),
        worker_listen=reader.may("MOTCUA_WORKER_LISTEN", address, Address("127.0.0.1", 8082)),
        public_url=reader.need("MOTCUA_PUBLIC_URL", _url, ""),
        api_workers=reader.may("MOTCUA_API_WORKERS", _whole, 1),
        pdf_processes=reader.may("MOTCUA_PDF_PROCESSES", _whole, 2),
        pool_read=reader.may("MOTCUA_POOL_READ", _whole, 8),
        pool_write=reader.may("MOTCUA_POOL_WRITE", _whole, 8),
        pool_budget_s=reader.may("MOTCUA_POOL_BUDGET_S", _seconds, 2.0),
        limits=reader.may("MOTCUA_LIMITS", _flag, default=True),
        max_upload_mb=reader.may("MOTCUA_MAX_UPLOAD_MB", _whole, 50),
        session_idle_s=reader.may("MOTCUA_SESSION_IDLE_S", _whole, 8 * 3600),
        session_absolute_s=reader.may("MOTCUA_SESSION_ABSOLUTE_S", _whole, 16 * 3600),
        trusted_proxies=reader.may("MOTCUA_TRUSTED_PROXIES", _networks, ()),
        failpoints=_failpoints(reader, demo=demo),
        otlp_url=reader.may("MOTCUA_OTLP_URL", _url, ""),
        data_dir=reader.may("MOTCUA_VAR", Path, None),
    )
    if reader.faults:
        raise BadSettings(reader.faults)
    return settings


def store_place(environment: Mapping[str, str] = os.environ) -> StorePlace:
    """Read where the documents are, and nothing else.

    Raises:
        BadSettings: neither a directory nor a bucket is named, or the bucket by half.
    """
    reader = _Reader(environment)
    blob_dir = reader.may("MOTCUA_BLOB_DIR", Path, None)
    place = StorePlace(blob_dir=blob_dir, s3=_s3(reader) if blob_dir is None else None)
    if reader.faults:
        raise BadSettings(reader.faults)
    return place


_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

_OF_ONE_PROCESS: Final[Mapping[str, Process | Literal["owner"]]] = {
    "DATABASE_URL": "owner",
    **{variable: process for process, variable in ROLE_VARIABLE.items()},
    "MOTCUA_SESSION_KEY": "api",
    "MOTCUA_SESSION_KEYS": "api",
    "MOTCUA_CHECKPOINT_KEYS": "worker",
    "MOTCUA_CHECKPOINT_DIR": "worker",
    "MOTCUA_FACTOR_KEYS": "signer",
    "MOTCUA_HOLDERS_FILE": "signer",
    "MOTCUA_TIMESTAMPS_FILE": "signer",
}


def own_environment(process: Process | Literal["owner"], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for one process, or for the owner's commands: all but what belongs to the others."""
    return {name: value for name, value in environment.items() if _OF_ONE_PROCESS.get(name, process) == process}


def all_faults(environment: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """Return what is missing or wrong for all processes together and for the owner's DSN, each fault once."""
    found: dict[str, tuple[str, str]] = {}
    if not environment.get("DATABASE_URL"):
        found["DATABASE_URL: is missing"] = ("DATABASE_URL: chưa có", "DATABASE_URL: is missing")
    for process in ROLE_VARIABLE:
        try:
            read(process, environment)
        except BadSettings as error:
            found.update({fault[1]: fault for fault in error.faults})
    return list(found.values())


def owner_keys(environment: Mapping[str, str] = os.environ) -> tuple[str, dict[str, bytes], dict[str, bytes]]:
    """Return the owner's DSN, the keys of personal data and those of second factors: for commands of the operator.

    Raises:
        BadSettings: with every one that is missing or wrong.
    """
    reader = _Reader(environment)
    dsn = reader.need("DATABASE_URL", _dsn, "")
    data_keys = reader.need("MOTCUA_DATA_KEYS", _keys, {})
    factor_keys = reader.need("MOTCUA_FACTOR_KEYS", _keys, {})
    if reader.faults:
        raise BadSettings(reader.faults)
    return dsn, data_keys, factor_keys


def _session_keys(reader: _Reader) -> dict[str, bytes]:
    """Read the session keys; MOTCUA_SESSION_KEY, one key without an id, still counts as the key `first`."""
    alone = reader.may("MOTCUA_SESSION_KEY", _key, None)
    if alone is not None and not reader.has("MOTCUA_SESSION_KEYS"):
        return {"first": alone}
    return reader.need("MOTCUA_SESSION_KEYS", _keys, {})


def _s3(reader: _Reader) -> S3 | None:
    names = ("MOTCUA_S3_BUCKET", "MOTCUA_S3_ENDPOINT", "MOTCUA_S3_ACCESS_KEY", "MOTCUA_S3_SECRET_KEY")
    if not any(reader.has(name) for name in names):
        reader.fault("MOTCUA_BLOB_DIR", "chưa có (hoặc đặt MOTCUA_S3_*)", "is missing (or set MOTCUA_S3_*)")
        return None
    bucket, endpoint, access_key, secret_key = (reader.need(name, str, "") for name in names)
    region = reader.may("MOTCUA_S3_REGION", str, "us-east-1")
    return S3(bucket=bucket, endpoint=endpoint, access_key=access_key, secret_key=secret_key, region=region)


def _holders(reader: _Reader, *, demo: bool) -> tuple[dict[str, Any], ...]:
    holders = reader.need("MOTCUA_HOLDERS_FILE", _holder_file, ())
    if not demo and any(holder.get("kind") == "software" for holder in holders):
        reader.fault(
            "MOTCUA_HOLDERS_FILE",
            "khóa dạng tệp chỉ để thử, không dùng khi vận hành thật",
            "key files are for trying out and refuse to start in production",
        )
    return holders


def _failpoints(reader: _Reader, *, demo: bool) -> str:
    names = reader.may("MOTCUA_FAILPOINTS", str, "")
    if names and not demo:
        reader.fault("MOTCUA_FAILPOINTS", "chỉ dùng khi thử", "is for tests only")
    return names


def _holder_file(text: str) -> tuple[dict[str, Any], ...]:
    try:
        return msgspec.json.decode(Path(text).read_bytes(), type=tuple[dict[str, Any], ...])
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from None


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 | 1")
    return text == "1"


def _key(text: str) -> bytes:
    key = bytes.fromhex(text) if len(text) == 64 else b""
    if len(key) != 32:
        raise ValueError("32 byte, hex")
    return key


def _keys(text: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        key_id, colon, value = part.strip().partition(":")
        if not _KEY_ID.fullmatch(key_id) or not colon or key_id in keys:
            raise ValueError("id:hex,id:hex")
        keys[key_id] = _key(value)
    return keys


def _dsn(text: str) -> str:
    if urlsplit(text).scheme not in ("postgresql", "postgres"):
        raise ValueError("postgresql://…")
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("https://…")
    return text.rstrip("/")


def _directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise ValueError("không có thư mục này / no such directory")
    return Path(text)


def address(text: str) -> Address:
    """Read `host:port`; an IPv6 host may stand in brackets.

    Raises:
        ValueError: it is not of that form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError("host:port")
    return Address(host.strip("[]"), int(port))


def _networks(text: str) -> tuple[str, ...]:
    return tuple(str(ip_network(part.strip())) for part in text.split(","))


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("số nguyên dương / a positive whole number")
    return int(text)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 60:
        raise ValueError("0 < s <= 60")
    return value
