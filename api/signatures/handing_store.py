"""One function per statement of `handing.sql`: what goes out to a signatory's own program, and what it hands back."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from signing.contract import Mechanism

_q: Final = queries.load("api.signatures", "handing.sql")


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One item that waits for a person's own program."""

    transaction_id: str
    batch_id: UUID
    expires_at: datetime
    request_id: UUID
    role: str
    act: str
    field: str
    dossier_code: str
    title: str
    number_text: str | None
    number_day: date | None
    base_sha256: bytes
    base_size: int
    increment_size: int
    reserved_start: int
    reserved_end: int
    signed_attrs: bytes
    tbs_sha256: bytes
    mechanism: Mechanism
    serial: str


class FileOut(msgspec.Struct, frozen=True, kw_only=True):
    """The base of one item and what our own increment adds to it."""

    document_id: UUID
    base_sha256: bytes
    base_size: int
    increment: bytes


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an item stands that left in a transaction; no state where it has left it again."""

    request_id: UUID
    transaction_state: str
    expires_at: datetime
    batch_id: UUID
    state: str | None


class OwnTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A person's own transaction."""

    batch_id: UUID
    state: str
    expires_at: datetime


class HandedState(msgspec.Struct, frozen=True, kw_only=True):
    """What the signer said of one item handed back; no code until it has been judged."""

    id: UUID
    request_id: UUID
    code: str | None
    detail: dict[str, str] | None


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One item as it is handed back: a raw value with its certificate, or a file that lies in the store."""

    request_id: UUID
    content_sha256: bytes
    value: bytes | None = None
    certificate: bytes | None = None
    file_sha256: bytes | None = None


ROW_OF: Final[dict[str, type[msgspec.Struct]]] = {
    "to_hand_out": Errand,
    "file_to_hand_out": FileOut,
    "places": Place,
    "own_transaction": OwnTransaction,
    "handed_states": HandedState,
}
"""Which Struct each reading statement fills; a test compares their columns."""


async def to_hand_out(tx: Tx, person_id: UUID, at: datetime) -> list[Errand]:
    """Return what waits for a person's own program."""
    return as_structs(await tx.fetch(_q.to_hand_out, person_id, at), Errand)


async def file_to_hand_out(
    tx: Tx, transaction_id: str, person_id: UUID, request_id: UUID, at: datetime
) -> FileOut | None:
    """Return what one item is made of, while it waits for this person."""
    return as_struct(await tx.fetchrow(_q.file_to_hand_out, transaction_id, person_id, request_id, at), FileOut)


async def places(tx: Tx, transaction_id: str, person_id: UUID, request_ids: Sequence[UUID]) -> dict[UUID, Place]:
    """Return where these items of a person's own transaction stand; others' are not among them."""
    found = as_structs(await tx.fetch(_q.places, transaction_id, person_id, request_ids), Place)
    return {row.request_id: row for row in found}


async def own_transaction(tx: Tx, transaction_id: str, person_id: UUID) -> OwnTransaction | None:
    """Return a transaction that is this person's own."""
    return as_struct(await tx.fetchrow(_q.own_transaction, transaction_id, person_id), OwnTransaction)


async def handed_before(tx: Tx, transaction_id: str, given: Sequence[Given]) -> dict[UUID, UUID]:
    """Return by request what was handed back before with the same content."""
    ids, contents = [one.request_id for one in given], [one.content_sha256 for one in given]
    rows = await tx.fetch(_q.handed_before, transaction_id, ids, contents)
    return {row["request_id"]: row["id"] for row in rows}


async def insert_handed(tx: Tx, transaction_id: str, account_id: UUID, given: Sequence[Given]) -> dict[UUID, UUID]:
    """Keep what was handed back; return by request what is new."""
    rows = await tx.fetch(
        _q.insert_handed,
        transaction_id,
        account_id,
        [one.request_id for one in given],
        [one.content_sha256 for one in given],
        [one.value for one in given],
        [one.certificate for one in given],
        [one.file_sha256 for one in given],
    )
    return {row["request_id"]: row["id"] for row in rows}


async def handed_states(tx: Tx, ids: Sequence[UUID]) -> list[HandedState]:
    """Return what the signer said of these, so far."""
    return as_structs(await tx.fetch(_q.handed_states, ids), HandedState)
