"""Enter the number of a register that another system keeps, before the clerk seals.

What the document system gives is asked for there and never invented here (Decree 30/2020, Art. 15).
"""

from datetime import datetime
from uuid import UUID

from api import audit
from api.db.pools import Tx
from api.documents import numbering
from api.errors import Refused
from api.kernel import Actor, vn_day
from api.registry.procedures import NUMBERED
from api.signatures import store
from api.signatures.contract import EnteredNumber, EnterNumber
from api.signatures.returning import theirs


async def enter_number(tx: Tx, actor: Actor, request_id: UUID, given: EnterNumber, *, at: datetime) -> EnteredNumber:
    """Enter the number of a document that waits for its seal alone.

    Raises:
        NotFound: no such request at the actor's agency. Invalid: number or day cannot be right.
        Refused: it is not a seal that a number belongs to, persons have yet to sign, or the register is our own.
        Conflict: the document has a number, or the number is another document's.
    """
    request = await theirs(tx, actor, request_id, "number.enter_foreign", states=("to_sign",))
    signed = await store.signed_of_chain(tx, request.chain_id)
    if request.role != "seal" or request.act not in NUMBERED or not signed.all_signed:
        raise Refused(
            "Chỉ nhập số cho văn bản đã ký đủ và đang chờ ký số của cơ quan.",
            "A number is entered for a document that all have signed and that waits for the seal.",
            allowed=(),
            code="not-to-number",
        )
    not_before = None if signed.signed_at is None else vn_day(signed.signed_at)
    number = await numbering.enter(tx, request.document_id, given.text, given.day, not_before=not_before, at=at)
    await audit.append(
        tx,
        actor,
        process="api",
        action="number.enter_foreign",
        subject_kind="number",
        subject_id=number.id,
        detail={"document_id": str(request.document_id)},
        at=at,
    )
    return EnteredNumber(number_id=number.id, text=number.text, day=number.day)
