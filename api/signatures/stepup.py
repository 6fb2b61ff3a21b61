"""The second factor as the signer judges it: TOTP (RFC 6238), and the challenge that a passkey signs.

Pure: secrets and counters are arguments. A TOTP code proves a person, a time and one use. A passkey signs a challenge
that is made of the digests which are authorised: what was signed for one set of documents says nothing about another.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from pyotp.totp import TOTP

STEP_S: Final = 30
DRIFT_STEPS: Final = 1
"""Accept one step either side: a telephone's clock is often off by half a minute."""

GUESSES_ALLOWED: Final = 5
GUESS_PAUSE: Final = timedelta(minutes=15)

NONCE_AGE: Final = timedelta(minutes=5)
"""How long before the ask a passkey's challenge may have been made."""

Purpose = Literal["signature", "proposal", "enrolment"]
Reason = Literal["", "wrong", "replayed", "locked", "missing", "blocked", "other-digests", "stale", "cloned"]


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


def challenge(purpose: Purpose, account_id: UUID, nonce: UUID, digest: bytes) -> bytes:
    """Return the 32 bytes that a passkey signs: purpose, account, a nonce of its own, and the digest of the act.

    Whoever knows the nonce and what is shown can compute it, so a page need not believe the challenge it is given.
    """
    parts = (b"motcua/step-up/v1", purpose.encode(), account_id.bytes, nonce.bytes, digest)
    return hashlib.sha256(b"\0".join(parts[:2]) + b"\0" + b"".join(parts[2:])).digest()


def nonce_is_fresh(nonce: UUID, offered_at: datetime) -> bool:
    """Tell whether a nonce (UUID version 7, which carries its time) was made within five minutes of the offer."""
    if nonce.version != 7:
        return False
    made_at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=nonce.int >> 80)
    return abs(offered_at - made_at) <= NONCE_AGE


def within_pause(last_failure_at: datetime | None, offered_at: datetime) -> bool:
    """Tell whether the last wrong answer is recent enough to count."""
    return last_failure_at is not None and offered_at - last_failure_at < GUESS_PAUSE


def is_resting(failures: int, last_failure_at: datetime | None, offered_at: datetime) -> bool:
    """Tell whether a factor rests after five wrong answers within a quarter of an hour."""
    return failures >= GUESSES_ALLOWED and within_pause(last_failure_at, offered_at)


def judge(factor: Factor | None, code: str, *, offered_at: datetime) -> Judged:
    """Judge a code against the time at which the ask was committed, not the time at which the signer looks.

    A code is good once: its counter must be later than the last one used. After five wrong codes the factor rests
    for a quarter of an hour; a right code then clears the count.
    """
    if factor is None:
        return Judged(accepted=False, reason="missing", last_counter=0, failures=0)
    if is_resting(factor.failures, factor.last_failure_at, offered_at):
        return Judged(accepted=False, reason="locked", last_counter=factor.last_counter, failures=factor.failures)
    failures = factor.failures if within_pause(factor.last_failure_at, offered_at) else 0
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
