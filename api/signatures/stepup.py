"""The second factor as the signer judges it (TOTP, RFC 6238): pure; the secret and the counter are arguments."""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from pyotp.totp import TOTP

STEP_S: Final = 30
DRIFT_STEPS: Final = 1
"""Accept one step either side: a telephone's clock is often off by half a minute."""

GUESSES_ALLOWED: Final = 5
GUESS_PAUSE: Final = timedelta(minutes=15)

Reason = Literal["", "wrong", "replayed", "locked", "missing", "other-digests"]


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """A TOTP factor as it stands: base32 secret, the last counter used, wrong guesses and the time of the last."""

    secret: str
    last_counter: int
    failures: int
    last_failure_at: datetime | None


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a code, and how the factor stands afterwards."""

    accepted: bool
    reason: Reason
    last_counter: int
    failures: int


def digest_of(shown: Iterable[bytes]) -> bytes:
    """Return the SHA-256 over the sorted digests that were shown: what one act authorises."""
    return hashlib.sha256(b"".join(sorted(shown))).digest()


def judge(factor: Factor | None, code: str, *, offered_at: datetime) -> Judged:
    """Judge a code against the time at which the ask was committed, not the time at which the signer looks.

    A code is good once: its counter must be later than the last one used. After five wrong codes the factor rests
    for a quarter of an hour; a right code then clears the count.
    """
    if factor is None:
        return Judged(accepted=False, reason="missing", last_counter=0, failures=0)
    resting = factor.last_failure_at is not None and offered_at - factor.last_failure_at < GUESS_PAUSE
    if factor.failures >= GUESSES_ALLOWED and resting:
        return Judged(accepted=False, reason="locked", last_counter=factor.last_counter, failures=factor.failures)
    failures = factor.failures if resting else 0
    totp = TOTP(factor.secret, interval=STEP_S)
    now = int(offered_at.timestamp()) // STEP_S
    matched = [
        c for c in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1) if hmac.compare_digest(totp.generate_otp(c), code)
    ]
    if not matched:
        return Judged(accepted=False, reason="wrong", last_counter=factor.last_counter, failures=failures + 1)
    if matched[-1] <= factor.last_counter:
        return Judged(accepted=False, reason="replayed", last_counter=factor.last_counter, failures=failures)
    return Judged(accepted=True, reason="", last_counter=matched[-1], failures=0)
