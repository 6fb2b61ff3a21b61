"""The words of the levels above B-B: evidence, timestamps, and the ports of those who give them.

Frozen msgspec Structs as in `contract`, and likewise without pyHanko, the web or a key.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, Protocol

import msgspec

from signing.contract import Der, Problem, Sha256, Trust, Verdict
from signing.deadlines import WITHOUT_END, Deadline

Level = Literal["b-b", "b-t", "b-lt", "b-lta"]
LEVELS: Final[tuple[Level, ...]] = ("b-b", "b-t", "b-lt", "b-lta")
"""The baseline levels of PAdES (ETSI EN 319 142-1), each holding what the one before holds."""
RevocationState = Literal["good", "revoked", "on_hold", "unknown"]
CertPath = tuple[Der, ...]
"""A certificate, those who issued it in turn, and the anchor at its end."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Validation data: certificates, OCSP responses and CRLs, DER encoded, each signed by its issuer."""

    certificates: tuple[Der, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Which level a file has reached. `paths` are those of all its signers and timestamps, whose evidence it needs.

    `proven_at` is the oldest good document timestamp behind the last signature; `renew_by` is when the newest one
    stops proving anything: its certificates end, or its algorithm does.
    """

    level: Level
    paths: tuple[CertPath, ...]
    proven_at: datetime | None = None
    renew_by: datetime | None = None


class StampOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A document timestamp to be put on a whole signed file, with the evidence that it is to cover, if any."""

    base: str
    base_sha256: Sha256
    evidence: Evidence | None = None


class PreparedStamp(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a timestamp: the increment, and the digest that leaves; offsets as in `Prepared`."""

    base_sha256: Sha256
    base_size: int
    increment: bytes
    document_digest: Sha256
    reserved_start: int
    reserved_end: int


class FinishStampOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A prepared timestamp with the token that came back; `at` is the moment of judging."""

    base: str
    prepared: PreparedStamp
    token: bytes
    trust: Trust
    at: datetime


class EvidenceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence to be added to a file without a timestamp over it (level B-LT)."""

    base: str
    base_sha256: Sha256
    evidence: Evidence
    trust: Trust
    at: datetime


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose level was raised, verified afterwards like any signed file."""

    sha256: Sha256
    size: int
    verdict: Verdict
    standing: Standing


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A timestamp token (RFC 3161), checked: who gave it, and the time in it."""

    der: bytes
    authority: str
    at: datetime


class CertificateStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a certificate's revocation. `problem` is why nothing newer is known, by code and words.

    `revoked_at` is also since when one is on hold, which its authority may end again.
    """

    state: RevocationState
    revoked_at: datetime | None = None
    known_at: datetime | None = None
    problem: Problem | None = None


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """What an authority allows: `quota` requests in any `window_s` seconds; 0 is without end."""

    authority: str
    quota: int
    window_s: float


class Quotas(Protocol):
    """Whoever counts what was asked of each authority, for one process or for all of them together."""

    async def take(self, limit: Limit) -> float:
        """Take one request: 0.0 where it may be sent at once, else after how many seconds one is free."""
        ...

    async def room(self, limit: Limit) -> int:
        """Return how many requests are left now."""
        ...


class TimestampSource(Protocol):
    """Whoever gives timestamps; several authorities may stand behind it."""

    async def stamp(self, digest: Sha256, deadline: Deadline = WITHOUT_END) -> Token:
        """Return a checked token over this digest; raise TimestampUnavailable, which says when to ask again."""
        ...

    async def room(self) -> int:
        """Return how many tokens may be asked for now."""
        ...

    def limits(self) -> tuple[Limit, ...]:
        """Return what each authority allows."""
        ...

    def well(self) -> dict[str, bool]:
        """Return each authority's name and whether its last calls did not all fail."""
        ...

    async def close(self) -> None:
        """End the connections."""
        ...


class RevocationSource(Protocol):
    """Whoever knows what was revoked: fetched ahead, kept, and asked of the network once however many want it."""

    async def status(
        self, path: CertPath, *, newer_than: datetime | None = None, deadline: Deadline = WITHOUT_END
    ) -> CertificateStatus:
        """Return what is known of a path's first certificate; an authority that is silent never raises here."""
        ...

    async def evidence(
        self, paths: Sequence[CertPath], *, newer_than: datetime, deadline: Deadline = WITHOUT_END
    ) -> Evidence:
        """Return what a verifier needs for these paths, OCSP fetched since then; raise EvidenceUnavailable."""
        ...

    async def close(self) -> None:
        """End the connections."""
        ...


class Shelf(Protocol):
    """Where fetched answers outlive a process."""

    async def get(self, key: str) -> bytes | None:
        """Return what was kept under a key."""
        ...

    async def put(self, key: str, value: bytes, until: datetime) -> None:
        """Keep something; after `until` it may be forgotten."""
        ...
