"""End tickets whose second factor does not count: one, or with a factor that rests all that wait behind it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from api import audit
from api.db.pools import Tx
from api.jobs.queue import withdraw
from api.signatures.engine import factor_store, factors, measures, rows, store
from api.signatures.engine.context import JUDGE, detail
from api.signatures.stepup import Reason

AT_ONCE: Final = 500
_NO_RIGHT: Final = detail(
    "account-without-post", "Tài khoản không còn giữ chức danh đã dùng để ký.", "The account no longer holds the post."
)


async def refuse(tx: Tx, batch: rows.Batch, reason: Reason | Literal["no-right"], at: datetime) -> None:
    """Judge a locked ticket's factor as not counting; guesses that came while the factor rests are judged with it."""
    tickets = [rows.Offered(batch_id=batch.id, step_up_id=batch.step_up_id)]
    if reason == "locked" and batch.step_up_kind == "totp":
        tickets += await factor_store.offered_while_resting(tx, batch, AT_ONCE)
    why = _NO_RIGHT if reason == "no-right" else factors.REASONS[reason]
    await factor_store.refuse_step_ups(tx, [one.step_up_id for one in tickets if one.step_up_id], reason, at)
    noted = (
        audit.columns(
            None,
            process="signer",
            action="second-factor.refused",
            subject_kind="signature_batch",
            subject_id=ticket.batch_id,
            detail={"reason": reason, "kind": batch.step_up_kind, "account_id": str(batch.account_id)},
            at=at,
        )
        for ticket in tickets
    )
    await audit.append_all(tx, noted)
    await _end(tx, tickets, why, at)
    await withdraw(tx, JUDGE, [str(ticket.batch_id) for ticket in tickets[1:]])


async def _end(tx: Tx, tickets: Sequence[rows.Offered], why: store.Detail, at: datetime) -> None:
    ids = [ticket.batch_id for ticket in tickets]
    ended = await store.end_unjudged_items(tx, ids, why, at)
    measures.ended("failed", len(ended))
    for freed in ended:
        if freed.number_id is not None:
            await store.give_up_number(tx, freed.number_id, why["vi"], at)
    await store.complete_batches(tx, ids)
    await store.close_batches(tx, ids, at)
