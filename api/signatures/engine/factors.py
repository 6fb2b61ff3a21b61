"""Judge a second factor, whatever it is for: a signature, a proposal. The one place that spends a code or a challenge.

What was used or guessed is remembered in the caller's transaction, so nothing is good twice, and five wrong answers
rest the factor for a quarter of an hour wherever they were given.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from api.db.pools import Tx
from api.signatures import stepup
from api.signatures.engine import factor_store, passkeys, rows
from api.signatures.engine.context import Engine, detail
from api.signatures.engine.passkeys import NotVerified
from api.signatures.engine.store import Detail
from api.signatures.stepup import Purpose, Reason

REASONS: Final[dict[Reason, Detail]] = {
    "wrong": detail(
        "second-factor-wrong", "Mã xác thực không đúng; chưa có văn bản nào được ký.", "The code was wrong."
    ),
    "replayed": detail(
        "second-factor-replayed", "Mã xác thực đã được dùng; chờ mã mới rồi ký lại.", "The code was used."
    ),
    "locked": detail(
        "second-factor-locked", "Nhập sai quá nhiều lần; thử lại sau 15 phút.", "Too many wrong codes; wait 15 minutes."
    ),
    "missing": detail(
        "second-factor-missing", "Tài khoản chưa có yếu tố xác thực thứ hai.", "No second factor enrolled."
    ),
    "blocked": detail(
        "second-factor-blocked",
        "Yếu tố xác thực đã bị báo mất; cần đăng ký yếu tố mới.",
        "The factor was reported lost; enrol a new one.",
    ),
    "other-digests": detail(
        "second-factor-other", "Mã xác thực không đi với các văn bản này.", "The factor was for other documents."
    ),
    "stale": detail(
        "second-factor-stale",
        "Xác nhận đã quá 5 phút; hãy xác nhận lại.",
        "The confirmation is older than 5 minutes; confirm again.",
    ),
    "cloned": detail(
        "second-factor-cloned",
        "Bộ đếm của khóa truy cập đi lùi, có thể đã bị sao chép; hãy báo mất và đăng ký khóa mới.",
        "The passkey's counter went back, it may have been copied; report it lost and enrol a new one.",
    ),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What somebody offered as a second factor, for which act (`digest`), and when the offer was committed."""

    account_id: UUID
    kind: str
    response: bytes
    purpose: Purpose
    digest: bytes
    offered_at: datetime


async def judge(engine: Engine, tx: Tx, offer: Offer) -> Reason:
    """Return why the offer does not count, or an empty text; remember what was used or guessed."""
    if offer.kind == "totp":
        return await _totp(engine, tx, offer)
    if offer.kind == "passkey" and engine.relying_party is not None:
        return await _passkey(engine.relying_party, tx, offer)
    return "missing"


async def _totp(engine: Engine, tx: Tx, offer: Offer) -> Reason:
    row = await factor_store.lock_factor(tx, offer.account_id)
    if row is None:
        return "missing"
    if row.blocked:
        return "blocked"
    factor = stepup.Factor(
        secret=engine.factors.open("second-factor", row.secret_sealed),
        last_counter=row.last_counter,
        failures=row.failures,
        last_failure_at=row.last_failure_at,
    )
    judged = stepup.judge(factor, offer.response.decode("ascii", "replace"), offered_at=offer.offered_at)
    failed_at = offer.offered_at if judged.reason == "wrong" else row.last_failure_at
    await factor_store.save_factor(tx, row.id, judged.last_counter, judged.failures, failed_at)
    return judged.reason


async def _passkey(party: passkeys.RelyingParty, tx: Tx, offer: Offer) -> Reason:
    """Judge an assertion: it belongs to the account, is fresh, was never used, and signs this very act."""
    try:
        answer = passkeys.read_answer(offer.response)
        row = await factor_store.lock_passkey(tx, offer.account_id, passkeys.unpadded(answer.assertion.id))
    except NotVerified as error:
        return error.reason
    unusable = _unusable(row, answer.nonce, offer.offered_at)
    if unusable or row is None:
        return unusable
    try:
        counter = passkeys.verify_assertion(
            party,
            answer.assertion,
            public_key=row.public_key,
            sign_count=row.sign_count,
            challenge=stepup.challenge(offer.purpose, offer.account_id, answer.nonce, offer.digest),
        )
    except NotVerified as error:
        failures = row.failures if stepup.within_pause(row.last_failure_at, offer.offered_at) else 0
        await factor_store.save_passkey(tx, row.id, row.sign_count, failures + 1, offer.offered_at)
        return error.reason
    if not await factor_store.use_nonce(tx, offer.account_id, answer.nonce, offer.offered_at):
        return "replayed"
    await factor_store.save_passkey(tx, row.id, counter, 0, row.last_failure_at)
    return ""


def _unusable(row: rows.PasskeyRow | None, nonce: UUID, offered_at: datetime) -> Reason:
    """Return why a passkey may not even be tried, or an empty text."""
    if row is None:
        return "missing"
    if row.blocked:
        return "blocked"
    if stepup.is_resting(row.failures, row.last_failure_at, offered_at):
        return "locked"
    return "" if stepup.nonce_is_fresh(nonce, offered_at) else "stale"
