"""What the signer knows of second factors: the secrets, what was used up, what was judged, whom a block has stopped."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from api.signatures.engine import rows
from api.signatures.stepup import GUESS_PAUSE, GUESSES_ALLOWED

_q: Final = queries.load("api.signatures.engine")


async def lock_factor(tx: Tx, account_id: UUID) -> rows.FactorRow | None:
    """Lock the TOTP factor of an account."""
    return as_struct(await tx.fetchrow(_q.lock_factor, account_id), rows.FactorRow)


async def save_factor(
    tx: Tx, factor_id: UUID, last_counter: int, failures: int, last_failure_at: datetime | None
) -> None:
    """Remember a counter used or a wrong guess."""
    await tx.execute(_q.save_factor, factor_id, last_counter, failures, last_failure_at)


async def lock_passkey(tx: Tx, account_id: UUID, credential_id: bytes) -> rows.PasskeyRow | None:
    """Lock a passkey of this account."""
    return as_struct(await tx.fetchrow(_q.lock_passkey, account_id, credential_id), rows.PasskeyRow)


async def save_passkey(tx: Tx, passkey_id: UUID, sign_count: int, failures: int, failed_at: datetime | None) -> None:
    """Remember a counter seen or a wrong answer."""
    await tx.execute(_q.save_passkey, passkey_id, sign_count, failures, failed_at)


async def use_nonce(tx: Tx, account_id: UUID, nonce: UUID, at: datetime) -> bool:
    """Use a challenge; tell whether it was unused."""
    return await tx.fetchval(_q.use_nonce, account_id, nonce, at) is not None


async def cap_authorisation(tx: Tx, batch_id: UUID, at_most: datetime) -> None:
    """Let an authorisation end no later than this."""
    await tx.execute(_q.cap_authorisation, batch_id, at_most)


async def stopped_by_block(tx: Tx, batch_id: UUID) -> bool:
    """Tell whether the asking account was blocked after it asked."""
    return await tx.fetchval(_q.stopped_by_block, batch_id)


async def open_of_account(tx: Tx, account_id: UUID) -> list[rows.Asked]:
    """Return what an account has asked and what has not left yet."""
    return as_structs(await tx.fetch(_q.open_of_account, account_id), rows.Asked)


async def accept_step_up(tx: Tx, step_up_id: UUID, at: datetime) -> None:
    """Write that a second factor counts."""
    await tx.execute(_q.insert_step_up_verdicts, [step_up_id], True, "", at)


async def refuse_step_ups(tx: Tx, step_up_ids: Sequence[UUID], reason: str, at: datetime) -> None:
    """Write why these second factors do not count."""
    await tx.execute(_q.insert_step_up_verdicts, step_up_ids, False, reason, at)


async def offered_while_resting(tx: Tx, batch: rows.Batch, limit: int) -> list[rows.Offered]:
    """Lock and return other tickets whose codes were given while this ticket's factor rests."""
    found = await tx.fetch(
        _q.offered_while_resting,
        batch.person_id,
        batch.account_id,
        batch.id,
        GUESSES_ALLOWED,
        GUESS_PAUSE,
        limit,
    )
    return as_structs(found, rows.Offered)
