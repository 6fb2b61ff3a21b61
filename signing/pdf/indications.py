"""A verdict in the words of ETSI EN 319 102-1 (tables 5 and 6): what it comes to, and the first reason why."""

from datetime import datetime
from typing import Final, Literal

import msgspec

from signing.contract import Indication, Problem, Revocation, Sha256

FORMAT: Final = "FORMAT_FAILURE"
WEAK: Final = "CRYPTO_CONSTRAINTS_FAILURE"
NO_CHAIN: Final = "NO_CERTIFICATE_CHAIN_FOUND"
NOT_YET_VALID: Final = "NOT_YET_VALID"
REVOKED_NO_POE: Final = "REVOKED_NO_POE"
REVOKED_CA_NO_POE: Final = "REVOKED_CA_NO_POE"
TRY_LATER: Final = "TRY_LATER"
"""A certificate is on hold: its authority has yet to say whether it is revoked (EN 319 102-1, 5.2.6)."""

TIME_MAY_HEAL: Final = frozenset({
    "OUT_OF_BOUNDS_NO_POE", "EXPIRED", "OUT_OF_BOUNDS_NOT_REVOKED", "NO_POE", "CERTIFICATE_CHAIN_GENERAL_FAILURE",
})  # fmt: skip
"""Reasons that a proof of the signature's time can set aside (EN 319 102-1, 5.5)."""
_AS_IT_IS: Final = {"EXPIRED": "OUT_OF_BOUNDS_NO_POE", "GENERIC": "CERTIFICATE_CHAIN_GENERAL_FAILURE"}
_FAILED: Final = frozenset({FORMAT, "HASH_FAILURE", "SIG_CRYPTO_FAILURE", "REVOKED"})


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about one signature; `cause` is the sub-indication where no anchor was reached."""

    covers: Literal["whole_file", "revision", "part"]
    well_formed: bool
    intact: bool
    valid: bool
    trusted: bool
    demo: bool
    permitted_changes: bool
    revision_sha256: Sha256
    problems: tuple[Problem, ...]
    cause: str = ""
    proven_at: datetime | None = None
    revocation: Revocation = "unknown"
    revoked_at: datetime | None = None


def of(found: Facts) -> tuple[Indication, str]:
    """Return indication and sub-indication; a passed signature has none of the latter.

    A change that the signature does not permit is a failure of format: what is shown is not what was signed.
    """
    failures = (
        (not found.well_formed, FORMAT),
        (not found.intact, "HASH_FAILURE"),
        (not found.valid, "SIG_CRYPTO_FAILURE"),
        (not found.permitted_changes, FORMAT),
        (found.revocation == "revoked_before", "REVOKED"),
    )
    failed = next((reason for true, reason in failures if true), "")
    if failed:
        return "TOTAL-FAILED", failed
    return ("TOTAL-PASSED", "") if found.trusted or found.demo else because(found.cause)


def because(cause: str) -> tuple[Indication, str]:
    """Return the indication that belongs to a sub-indication."""
    said = _AS_IT_IS.get(cause, cause) or NO_CHAIN
    return ("TOTAL-FAILED" if said in _FAILED else "INDETERMINATE"), said


def whole(ok: bool, each: list[Indication | None]) -> Indication:
    """Return what a file comes to: passed only if all of it is good, open only where something is not known."""
    if ok:
        return "TOTAL-PASSED"
    return "INDETERMINATE" if each and "TOTAL-FAILED" not in each else "TOTAL-FAILED"
