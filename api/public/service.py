"""Tracking without an account: by the code alone, or with the secret that was told at submission."""

import hashlib
from typing import Any, Final
from uuid import UUID

import msgspec

from api.db.gathering import Gathered
from api.db.pools import Pools, Tx
from api.dossiers import access, holding
from api.dossiers.codes import looks_like_code
from api.dossiers.words import ACTION_VI, NATIONAL, STATUS_VI, Action
from api.errors import NotFound
from api.public import store
from api.public.contract import SecretRow, Tracked, TrackedWithSecret, TrackRow

SHOWN: Final = tuple(
    str(action)
    for action in (
        Action.SUBMIT, Action.IMPORT, Action.RECEIVE, Action.REFUSE_INTAKE, Action.ASK_SUPPLEMENT,
        Action.ANSWER_SUPPLEMENT, Action.CONFIRM_HAND_OVER, Action.APPRAISE, Action.REFUSE_REQUEST, Action.ASK_DUTY,
        Action.FULFIL_DUTY, Action.SUBMIT_FOR_SIGNATURE, Action.ISSUE, Action.RECORD_OUTSIDE_RESULT, Action.DELIVER,
        Action.WITHDRAW, Action.STOP, Action.APOLOGISE,
    )
)  # fmt: skip
"""Journal lines that a citizen follows; internal ones (claims, opinions, who signs) are not theirs."""

Stages = Gathered[str, TrackRow]
"""Look-ups by code alone, which a whole province may ask for at once."""
_NOBODY: Final = hashlib.sha256(b"").digest()


def stages_of(pools: Pools) -> Stages:
    """Return how look-ups that come together are answered."""
    return Gathered(pools, store.track)


async def track(stages: Stages, code: str) -> Tracked:
    """Tell stage and dates to anybody who has the code.

    Raises:
        NotFound: there is no such dossier.
    """
    row = await stages.get(code) if looks_like_code(code) else None
    if row is None:
        raise _unknown()
    return Tracked(**_common(row))


async def track_with_secret(tx: Tx, code: str, secret: str) -> TrackedWithSecret:
    """Tell the citizen who holds the secret the rest; others' personal data are not in it.

    Raises:
        NotFound: no such dossier, or the secret is another's: from outside the two look the same.
    """
    row = await holder(tx, code, secret)
    names = {field.name for field in msgspec.structs.fields(TrackedWithSecret)} - {"status_vi", "national_status"}
    own: dict[str, Any] = {name: getattr(row, name, None) for name in names}
    own["progress"] = tuple(msgspec.structs.replace(line, action_vi=ACTION_VI[line.action]) for line in row.progress)
    own["held"] = holding.told(row.held)
    return TrackedWithSecret(**(own | _common(row)))


async def holder(tx: Tx, code: str, secret: str) -> SecretRow:
    """Return the dossier whose secret this is; documents' downloads ask here too.

    Raises:
        NotFound: no such dossier, or the secret is another's.
    """
    row = await store.track_with_secret(tx, code, SHOWN) if looks_like_code(code) else None
    if not access.fits(secret, row.secret_sha256 if row else _NOBODY) or row is None:
        raise _unknown()
    return row


async def require_result(tx: Tx, code: str, secret: str, result_id: UUID) -> None:
    """Let the holder of the secret fetch one issued result of the own dossier.

    Raises:
        NotFound: no such dossier or result, or the secret is another's.
    """
    row = await holder(tx, code, secret)
    if result_id not in {result.id for result in row.results}:
        raise _unknown()


def _common(row: TrackRow) -> dict[str, Any]:
    return {
        "code": row.code,
        "status": row.status,
        "status_vi": STATUS_VI[row.status],
        "national_status": NATIONAL[row.status],
        "procedure_name": row.procedure_name,
        "received_at": row.received_at,
        "due_at": row.due_at,
        "finished_at": row.finished_at,
    }


def _unknown() -> NotFound:
    return NotFound(
        "Không tìm thấy hồ sơ với mã này, hoặc mã bí mật không đúng.",
        "There is no dossier with this code, or the secret is not right.",
        code="no-dossier",
    )
