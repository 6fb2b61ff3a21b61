"""Enrol a second factor of the own, as far as the API goes: keep what the browser made, hand on what the signer made.

The API never sees a secret: a TOTP secret comes sealed to a key that only the person's browser holds.
"""

import base64
import binascii
from datetime import datetime
from typing import Final
from uuid import UUID

from api.audit import append
from api.db.pools import Tx
from api.errors import Conflict, Invalid, NotFound
from api.jobs.queue import enqueue
from api.kernel import Actor, new_id
from api.people import changes, store
from api.people.contract import Enrolment, Registration, StartEnrolment
from api.people.rows import EnrolmentRow
from api.signatures import asking
from api.signatures.contract import Challenge, WithFactor

CONFIRM_FACTOR: Final = "people.confirm"
POINT_BYTES: Final = 65
"""An uncompressed point of P-256, as `crypto.subtle.exportKey("raw", …)` gives it."""


async def start(tx: Tx, actor: Actor, order: StartEnrolment, *, at: datetime) -> Enrolment:
    """Begin an enrolment for the own account.

    Raises:
        Invalid: a TOTP comes without a P-256 public key, or a passkey with one.
    """
    enrolment_id = new_id(at)
    await store.insert_enrolment(tx, enrolment_id, actor.account_id, order.kind)
    if (order.kind == "totp") != (order.public_key is not None):
        raise _bad_key()
    if order.public_key is not None:
        point = decoded(order.public_key)
        if len(point) != POINT_BYTES or point[0] != 4:
            raise _bad_key()
        await store.insert_material(tx, enrolment_id, point, None)
    await _note(tx, actor, enrolment_id, "factor.enrol", at)
    return await show(tx, actor, enrolment_id)


def _bad_key() -> Invalid:
    return Invalid(
        "Cần khóa công khai P-256 dùng một lần của trình duyệt (chỉ với TOTP).",
        "A one-time P-256 public key of the browser is needed (for a TOTP only).",
        code="public-key",
    )


def decoded(text: str) -> bytes:
    """Decode base64url without padding.

    Raises:
        Invalid: it is not that.
    """
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("Không phải base64url.", "This is not base64url.", code="base64url") from None


async def register(tx: Tx, actor: Actor, enrolment_id: UUID, made: Registration, *, at: datetime) -> Enrolment:
    """Keep the passkey that the browser made for this enrolment; the signer verifies it once two persons agreed.

    Raises:
        NotFound: the enrolment is not the actor's.
        Conflict: it has its passkey, or is none of a passkey.
    """
    row = await _own(tx, actor, enrolment_id)
    parts = decoded(made.attestation_object), decoded(made.client_data_json)
    if row.kind != "passkey" or not await store.insert_material(tx, enrolment_id, *parts):
        raise Conflict(
            "Lượt đăng ký này đã có khóa hoặc không phải của khóa truy cập.",
            "This enrolment has its key, or is none of a passkey.",
            code="enrolment-taken",
        )
    await _note(tx, actor, enrolment_id, "factor.register", at)
    return await show(tx, actor, enrolment_id)


async def show(tx: Tx, actor: Actor, enrolment_id: UUID) -> Enrolment:
    """Return an own enrolment as far as it has come.

    Raises:
        NotFound: it is not the actor's.
    """
    row = await _own(tx, actor, enrolment_id)
    spoken = (
        changes.spoken_code(row.id, row.account_id, row.kind, row.public_part) if row.public_part is not None else None
    )
    state = row.outcome or ("offered" if row.offered else "proposed" if spoken else "started")
    return Enrolment(
        id=row.id,
        kind="totp" if row.kind == "totp" else "passkey",
        account_id=row.account_id,
        challenge=asking.base64url(changes.enrolment_digest(row.id, row.account_id)),
        spoken_code=spoken,
        state=state,  # pyright: ignore[reportArgumentType] - the outcomes of the table are among the states
        handed=asking.base64url(row.handed) if row.handed is not None else None,
        tries=row.tries or 0,
        expires_at=row.expires_at,
    )


async def challenge(tx: Tx, actor: Actor, enrolment_id: UUID, *, at: datetime) -> Challenge:
    """Return what the new passkey must sign once before it counts.

    Raises:
        NotFound: the enrolment is not the actor's.
    """
    row = await _own(tx, actor, enrolment_id)
    return await asking.challenge_for(tx, actor, "enrolment", changes.enrolment_digest(row.id, row.account_id), at=at)


async def confirm(tx: Tx, actor: Actor, enrolment_id: UUID, order: WithFactor, *, at: datetime) -> Enrolment:
    """Give the first answer of a new factor; the signer judges it, and only then the factor counts.

    Raises:
        NotFound: the enrolment is not the actor's.
        Conflict: nothing is offered to be confirmed.
    """
    row = await _own(tx, actor, enrolment_id)
    if not row.offered or row.outcome is not None:
        raise Conflict(
            "Chưa có gì để xác nhận: hai người phải đồng ý trước, hoặc lượt đăng ký đã kết thúc.",
            "There is nothing to confirm: two persons must agree first, or the enrolment has ended.",
            code="nothing-offered",
        )
    answer_id = new_id(at)
    await store.insert_answer(
        tx,
        answer_id,
        purpose="confirm",
        enrolment_id=enrolment_id,
        account_id=actor.account_id,
        post_id=actor.post_id,
        factor=order.factor,
        digest=changes.enrolment_digest(row.id, row.account_id),
    )
    await enqueue(tx, CONFIRM_FACTOR, str(answer_id), {"answer": str(answer_id)})
    await _note(tx, actor, enrolment_id, "factor.confirm", at)
    return await show(tx, actor, enrolment_id)


async def _own(tx: Tx, actor: Actor, enrolment_id: UUID) -> EnrolmentRow:
    row = await store.enrolment(tx, enrolment_id)
    if row is None or row.account_id != actor.account_id:
        raise NotFound("Không tìm thấy lượt đăng ký.", "There is no such enrolment.", code="enrolment-not-found")
    return row


async def _note(tx: Tx, actor: Actor, enrolment_id: UUID, action: str, at: datetime) -> None:
    await append(
        tx,
        actor,
        process="api",
        action=action,
        subject_kind="enrolment",
        subject_id=enrolment_id,
        detail={},
        at=at,
    )
