"""The signatory's own program: what it may fetch, and what it hands back, kept before it is answered.

Nothing is judged here but whose it is and whether it still waits: the signer alone says what a value or a file is
worth.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

import msgspec

from api import audit
from api.db.pools import Pools, Tx
from api.documents import store as documents
from api.documents.blobs import Stored
from api.errors import Conflict, MotcuaError, NotFound
from api.jobs.queue import enqueue
from api.kernel import VIETNAM, Actor
from api.signatures import handing_store as store
from api.signatures.engine.stamp import vietnamese_date
from api.signatures.handing_store import Errand, FileOut, Given, HandedState, Place
from api.signatures.tool_contract import (
    Came,
    FileTaken,
    HandedItem,
    Named,
    Operation,
    SigningErrand,
    SigningTransaction,
    ToolOrder,
    ValueBack,
)

HANDED: Final = "signatures.handed"
PATH: Final = "/signing-tool/transactions"
_FIRST_LOOK_S: Final = 0.05
_SEALING: Final[Mapping[str, Operation]] = {
    "separate_annex": "vgca_sign_appendix",
    "copy": "vgca_sign_copy",
    "digitised_paper": "vgca_sign_copy",
}


async def to_sign(tx: Tx, actor: Actor, base_url: str, at: datetime) -> list[SigningTransaction]:
    """Return all that waits for this person's own program; nothing of anybody else."""
    rows = await store.to_hand_out(tx, actor.person_id, at)
    return [
        SigningTransaction(
            transaction_id=one.transaction_id,
            ticket=one.batch_id,
            expires_at=one.expires_at,
            items=[_errand(row, base_url) for row in (one, *rest)],
        )
        for one, *rest in (list(group) for _, group in groupby(rows, key=lambda row: row.transaction_id))
    ]


def _errand(row: Errand, base_url: str) -> SigningErrand:
    place = f"{base_url}{PATH}/{row.transaction_id}/items/{row.request_id}"
    issued, filled = "", [Named(key="Field", value=row.field)]
    if row.number_text is not None and row.number_day is not None:
        issued = datetime.combine(row.number_day, datetime.min.time(), VIETNAM).isoformat()
        filled += [
            Named(key="Number", value=row.number_text),
            Named(key="IssuedDate", value=vietnamese_date(row.number_day)),
        ]
    tool = ToolOrder(
        operation=_SEALING.get(row.act, "vgca_sign_issued") if row.role == "seal" else "vgca_sign_approved",
        file_upload_handler=f"{place}/file",
        session_id=row.transaction_id,
        file_name=f"{place}/base",
        document_number=row.number_text or "",
        issued_date=issued,
        metadata=filled,
    )
    return SigningErrand(
        request_id=row.request_id,
        dossier_code=row.dossier_code,
        title=row.title,
        role=row.role,
        field=row.field,
        mechanism=row.mechanism,
        certificate_serial=row.serial,
        sha256=row.base_sha256.hex(),
        prepared_size=row.base_size + row.increment_size,
        reserved_start=row.reserved_start,
        reserved_end=row.reserved_end,
        signed_attributes=row.signed_attrs,
        tbs_sha256=row.tbs_sha256.hex(),
        tool=tool,
    )


async def file_out(tx: Tx, actor: Actor, transaction_id: str, request_id: UUID, at: datetime) -> FileOut:
    """Return what one item is made of.

    Raises:
        NotFound: it is not this person's, or does not wait any more.
    """
    found = await store.file_to_hand_out(tx, transaction_id, actor.person_id, request_id, at)
    if found is None:
        raise _not_yours()
    return found


async def demand_own(tx: Tx, actor: Actor, transaction_id: str, request_id: UUID) -> None:
    """Look whose an item is before a byte of its file is read.

    Raises:
        NotFound: it is not this person's.
    """
    if request_id not in await store.places(tx, transaction_id, actor.person_id, [request_id]):
        raise _not_yours()


def given_values(values: Sequence[ValueBack]) -> list[Given]:
    """Return raw values as they are kept; each is known by its own SHA-256, so that a repetition is recognised."""
    return [
        Given(
            request_id=one.request_id,
            content_sha256=hashlib.sha256(one.value + one.certificates[0]).digest(),
            value=one.value,
            certificate=one.certificates[0],
        )
        for one in {each.request_id: each for each in values}.values()
    ]


async def take_file(
    tx: Tx, actor: Actor, transaction_id: str, request_id: UUID, stored: Stored, *, at: datetime
) -> UUID:
    """Keep a whole signed file that lies in the store, and order its judgement; return what it is known by.

    Raises:
        NotFound: the item is not this person's.
        Conflict: it does not wait any more, and this is not the file that was handed back before.
    """
    given = Given(request_id=request_id, content_sha256=stored.sha256, file_sha256=stored.sha256)
    await documents.insert_blob(tx, stored)
    kept, faults = await take(tx, actor, transaction_id, [given], at=at)
    if faults:
        raise faults[request_id]
    return kept[request_id]


async def take(
    tx: Tx, actor: Actor, transaction_id: str, given: Sequence[Given], *, at: datetime
) -> tuple[dict[UUID, UUID], dict[UUID, MotcuaError]]:
    """Keep what was handed back and order its judgement; return by request what is kept, and why another is not.

    Safe to repeat: the same content is the same row, whatever has become of its item since.

    Raises:
        NotFound: the transaction is not this person's.
    """
    if await store.own_transaction(tx, transaction_id, actor.person_id) is None:
        raise _not_yours()
    before = await store.handed_before(tx, transaction_id, given)
    places = await store.places(tx, transaction_id, actor.person_id, [one.request_id for one in given])
    new: list[Given] = []
    faults: dict[UUID, MotcuaError] = {}
    for one in given:
        fault = fault_of(places.get(one.request_id), known=one.request_id in before, at=at)
        if fault is not None:
            faults[one.request_id] = fault
        elif one.request_id not in before:
            new.append(one)
    kept = {request: handed for request, handed in before.items() if request not in faults}
    if not new:
        return kept, faults
    added = await store.insert_handed(tx, transaction_id, actor.account_id, new)
    twins = [one for one in new if one.request_id not in added]
    if twins:
        kept |= await store.handed_before(tx, transaction_id, twins)
    if added:
        await _order(tx, transaction_id, list(added.values()), refused=False)
        await _note(tx, actor, "signature.handed-back", places[new[0].request_id].batch_id, len(added), at)
    return kept | added, faults


def fault_of(place: Place | None, *, known: bool, at: datetime) -> MotcuaError | None:
    """Return why an item may not be handed back now, or None. Pure."""
    if place is None:
        return _not_yours()
    if known:
        return None
    if place.state in {"value_received", "recorded", "superseded"}:
        return Conflict(
            "Văn bản này đã có chữ ký được ghi nhận; tệp hoặc giá trị khác không được nhận.",
            "This document's signature has been taken already; another file or value is not.",
            code="already-signed",
        )
    if at >= place.expires_at or place.state is None:
        return Conflict(
            "Đã quá thời hạn ký; văn bản trở lại danh sách chờ ký.",
            "It came too late; the document waits to be signed again.",
            code="handed-back-late",
            next_step=("Mở lại danh sách chờ ký rồi ký lại.", "Open the list to sign, then sign again."),
        )
    if place.state != "sent" or place.transaction_state == "ended":
        return Conflict(
            "Văn bản này đang được giữ lại để người xem xét; chưa nhận thêm.",
            "This document has been put aside until a person has looked; nothing more is taken.",
            code="put-aside",
        )
    return None


def _not_yours() -> NotFound:
    return NotFound(
        "Không có văn bản này trong lượt ký của bạn.",
        "There is no such document among those that you are to sign.",
        code="no-signing-errand",
    )


async def refuse(tx: Tx, actor: Actor, transaction_id: str, *, at: datetime) -> UUID:
    """Give a transaction back unsigned, since the person refused at their program; return its ticket.

    Raises:
        NotFound: the transaction is not this person's.
    """
    found = await store.own_transaction(tx, transaction_id, actor.person_id)
    if found is None:
        raise _not_yours()
    if found.state != "ended":
        await _order(tx, transaction_id, [], refused=True)
        await _note(tx, actor, "signature.refused-at-tool", found.batch_id, 0, at)
    return found.batch_id


async def _order(tx: Tx, transaction_id: str, handed: Sequence[UUID], *, refused: bool) -> None:
    ids = {"transaction": transaction_id, "handed": [str(one) for one in handed], "refused": refused}
    await enqueue(tx, HANDED, f"{transaction_id}:{handed[0] if handed else secrets.token_hex(4)}", ids)


async def _note(tx: Tx, actor: Actor, action: str, batch_id: UUID, count: int, at: datetime) -> None:
    await audit.append(
        tx,
        actor,
        process="api",
        action=action,
        subject_kind="signature_batch",
        subject_id=batch_id,
        detail={"items": count},
        at=at,
    )


async def judged(pools: Pools, kept: Sequence[UUID], budget_s: float = 2.0) -> list[HandedItem]:
    """Return what the signer says of what was kept, waiting a little for it; no connection is held meanwhile."""
    deadline, pause = asyncio.get_running_loop().time() + budget_s, _FIRST_LOOK_S
    while True:
        async with pools.reading() as tx:
            states = await store.handed_states(tx, kept)
        if all(one.code is not None for one in states) or asyncio.get_running_loop().time() + pause > deadline:
            return [_told(one) for one in states]
        await asyncio.sleep(pause)
        pause *= 1.5


def _told(one: HandedState) -> HandedItem:
    if one.code is None:
        return _item(one, "checking", "checking", "Đã nhận, đang kiểm tra.", "Taken in, being checked.")
    if one.code == "signed":
        return _item(one, "taken", one.code, "Đã nhận chữ ký.", "The signature was taken.")
    if one.detail is None:
        late = "Văn bản không còn chờ chữ ký này.", "The document does not wait for this signature any more."
        return _item(one, "refused", one.code, *late)
    return _item(one, "refused", one.code, one.detail["vi"], one.detail["en"])


def _item(one: HandedState, state: Came, code: str, vi: str, en: str) -> HandedItem:
    return HandedItem(request_id=one.request_id, state=state, code=code, vi=vi, en=en)


def refused_item(request_id: UUID, fault: MotcuaError) -> HandedItem:
    """Say why one item of many was not taken in."""
    return HandedItem(request_id=request_id, state="refused", code=fault.kind_code, vi=fault.vi, en=fault.en)


def file_taken(item: HandedItem) -> FileTaken:
    """Say what became of a file, in the desktop tool's words too."""
    status = 1 if item.state == "refused" else 0
    return FileTaken(**msgspec.structs.asdict(item), status=status, message=item.vi)
