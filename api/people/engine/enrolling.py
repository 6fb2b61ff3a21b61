"""Make a new second factor after two persons agreed, hand it over once, and let it count after its first right answer.

A TOTP secret is drawn here and leaves only sealed to the one-time key of the person's own browser, whose hash the
person read out and two others confirmed. The API's role can store the sealed secret and nothing else.
"""

import os
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import pyotp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.audit import append
from api.db.pools import Tx
from api.errors import Conflict, Invalid
from api.jobs import JobContext
from api.people import changes, rules
from api.people.changes import EnrolFactor
from api.people.engine import store
from api.people.engine.rows import Confirmation, Material
from api.signatures import stepup
from api.signatures.engine import factor_store, passkeys
from api.signatures.engine.context import Engine
from api.signatures.engine.passkeys import NotVerified

_NONCE_BYTES: Final = 12


def seal_to(point: bytes, enrolment_id: UUID, secret: str) -> bytes:
    """Seal a secret to a P-256 key: ephemeral point (65 bytes), nonce (12), AES-256-GCM under HKDF-SHA256 of the ECDH.

    Raises:
        ValueError: the point is none of the curve.
    """
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    own = ec.generate_private_key(ec.SECP256R1())
    own_point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    info = b"motcua/totp/v1" + enrolment_id.bytes + own_point + point
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(own.exchange(ec.ECDH(), theirs))
    nonce = os.urandom(_NONCE_BYTES)
    return own_point + nonce + AESGCM(key).encrypt(nonce, secret.encode(), enrolment_id.bytes)


async def offer(engine: Engine, tx: Tx, proposal_id: UUID, change: EnrolFactor, at: datetime) -> UUID:
    """Make what two persons agreed to, from exactly the material whose code was read out.

    Raises:
        Conflict: the enrolment was used.
        Invalid: it is another's, its code differs, or the material does not verify.
    """
    material = await store.material(tx, change.enrolment_id)
    if material is None or material.account_id != change.account_id:
        raise Invalid("Không có lượt đăng ký này.", "There is no such enrolment.", code="enrolment-not-found")
    spoken = changes.spoken_code(material.id, material.account_id, material.kind, material.public_part)
    if spoken != change.spoken_code:
        raise Invalid("Mã đọc lên không khớp.", "The code that was read out does not fit.", code="spoken-code-wrong")
    made = _totp(engine, material) if material.kind == "totp" else _passkey(engine, material)
    if not await store.insert_offer(tx, material.id, proposal_id, *made, at, at + rules.OFFERED):
        raise Conflict("Lượt đăng ký đã được dùng.", "The enrolment was used.", code="enrolment-taken")
    return material.id


def _totp(engine: Engine, material: Material) -> tuple[Any, ...]:
    secret = pyotp.random_base32()
    try:
        handed = seal_to(material.public_part, material.id, secret)
    except ValueError:
        raise Invalid("Khóa của trình duyệt không hợp lệ.", "The browser's key is none.", code="public-key") from None
    return engine.factors.seal("second-factor", secret), handed, None, None, None


def _passkey(engine: Engine, material: Material) -> tuple[Any, ...]:
    invalid = Invalid(
        "Khóa truy cập vừa tạo không hợp lệ; hãy tạo lại.",
        "The new passkey does not verify; make it again.",
        code="passkey-invalid",
    )
    if engine.relying_party is None or material.client_data is None:
        raise invalid
    try:
        made = passkeys.verify_registration(
            engine.relying_party,
            attestation_object=material.public_part,
            client_data=material.client_data,
            challenge=changes.enrolment_digest(material.id, material.account_id),
        )
    except NotVerified:
        raise invalid from None
    return None, None, made.credential_id, made.public_key, made.sign_count


async def confirm(engine: Engine, _context: JobContext, ids: dict[str, Any]) -> None:
    """Handle a `people.confirm` job: judge the first answer of a new factor; right, it counts from now on."""
    async with engine.pools.transaction() as tx:
        answer = await store.lock_confirmation(tx, UUID(ids["answer"]))
        if answer is None or answer.accepted is not None:
            return
        at = engine.clock()
        reason = await _judge(engine, tx, answer, at)
        await store.insert_verdict(tx, answer.id, reason, at)
        if not reason:
            await store.end_offer(tx, answer.enrolment_id, at)
        elif answer.outcome is None:
            last = answer.blocked or answer.tries + 1 >= rules.TRIES
            await store.count_try(tx, answer.enrolment_id, "failed" if last else None, at if last else None)
        await append(
            tx,
            None,
            process="signer",
            action="factor.refused" if reason else "factor.enrolled",
            subject_kind="enrolment",
            subject_id=answer.enrolment_id,
            detail={"account_id": answer.owner_account_id, "kind": answer.kind, "reason": reason},
            at=at,
        )


async def _judge(engine: Engine, tx: Tx, answer: Confirmation, at: datetime) -> str:
    if answer.outcome is not None or at >= answer.expires_at or answer.tries >= rules.TRIES:
        return "expired"
    if answer.blocked:
        return "blocked"
    if answer.account_id != answer.owner_account_id or answer.factor != answer.kind:
        return "missing"
    if answer.secret_sealed is not None:
        return await _first_code(engine, tx, answer, answer.secret_sealed, at)
    return await _first_assertion(engine, tx, answer)


async def _first_code(engine: Engine, tx: Tx, answer: Confirmation, sealed: bytes, at: datetime) -> str:
    secret = engine.factors.open("second-factor", sealed)
    fresh = stepup.Factor(secret=secret, last_counter=0, failures=0, last_failure_at=None)
    judged = stepup.judge(fresh, answer.response.decode("ascii", "replace"), offered_at=answer.offered_at)
    if judged.accepted:
        key_id = engine.factors.key_id(sealed)
        await store.replace_totp(tx, answer.owner_account_id, key_id, sealed, judged.last_counter, at)
    return judged.reason


async def _first_assertion(engine: Engine, tx: Tx, answer: Confirmation) -> str:
    owner, credential_id, public_key = answer.owner_account_id, answer.credential_id, answer.public_key
    if engine.relying_party is None or credential_id is None or public_key is None:
        return "missing"
    try:
        given = passkeys.read_answer(answer.response)
        if passkeys.unpadded(given.assertion.id) != credential_id:
            return "missing"
        counter = passkeys.verify_assertion(
            engine.relying_party,
            given.assertion,
            public_key=public_key,
            sign_count=answer.sign_count or 0,
            challenge=stepup.challenge(
                "enrolment", owner, given.nonce, changes.enrolment_digest(answer.enrolment_id, owner)
            ),
        )
    except NotVerified as error:
        return error.reason
    if not stepup.nonce_is_fresh(given.nonce, answer.offered_at):
        return "stale"
    if not await factor_store.use_nonce(tx, owner, given.nonce, answer.offered_at):
        return "replayed"
    return "" if await store.insert_passkey(tx, owner, credential_id, public_key, counter) else "missing"
