"""What one run tells its generators: where, which shape, who sits where. A file, so that any machine can read it."""

import os
from pathlib import Path
from typing import Final

import msgspec

VARIABLE: Final = "MOTCUA_LOAD_PLAN"


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with an account: by session where they resume, by password where they log in."""

    login: str
    token: str
    totp_secret: str
    source: str
    centre_code: str
    ward_id: str
    territory: str
    locked: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    url: str
    shape: str
    users: int
    minutes: float
    ramp_s: float
    haste: float
    """Think times are divided by it: 1 in earnest."""
    workers: int
    seed: int
    out: str
    """Directory for what the generators write: requests, ledger, their own state."""
    password: str
    procedure: str
    seats: dict[str, list[Seat]]
    """By persona: those who have an account."""
    sources: list[str]
    """Addresses of the wards, from which citizens come too."""
    codes: list[str]
    """Dossiers that are looked for."""
    documents: dict[str, list[str]]
    """By ward: documents whose file is read there."""
    largest_file: int = 30_000_000
    keys: str = ""
    """Where the keys of the officials' own tokens lie: on this machine alone."""
    rate: float = 0.0
    """Of an open shape: requests that are due in each second."""
    idle: int = 0
    """Of an open shape: connections that only stand open beside it."""


def read() -> Plan:
    """Read the plan that the environment names."""
    return msgspec.json.decode(Path(os.environ[VARIABLE]).read_bytes(), type=Plan)
