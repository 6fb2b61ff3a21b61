"""Every place where something is sealed: how it is paged, renewed, counted, and by which process.

A column that is sealed and does not stand here would be lost with its key; a test holds the list against the schema.
"""

import base64
from collections.abc import Callable
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from api.db.pools import Row
from api.db.privacy import Vault
from api.documents import drafts, printing, uploads, verification
from api.dossiers.recording import NOTE_PURPOSE
from api.people.changes import SEALED
from api.rotation.store import Write, q
from api.settings import Process

Kind = Literal["data", "factors"]
Renew = Callable[[Vault, Row], list[Write]]

_FIRST: Final = UUID(int=0)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One table with sealed columns; its rows are gone through in the order of their keys."""

    vi: str
    en: str
    kind: Kind
    process: Process
    """Whose database role may read and write these columns."""
    columns: tuple[str, ...]
    page: str
    uses: str
    renew: Renew
    """Return what puts a row under the current key; nothing where it is."""
    counted_by: Process
    """Whose database role tells what a key still holds up: the one that knows of all places of the kind."""
    before: tuple[Any, ...] = (_FIRST,)
    """What stands before every key."""

    def key_of(self, row: Row) -> tuple[Any, ...]:
        """Return the row's key: its first columns."""
        return tuple(row)[: len(self.before)]


def _plain(column: str, purpose: str, statement: str, *, names_key: bool = False) -> Renew:
    def renew(vault: Vault, row: Row) -> list[Write]:
        blob = row[column]
        if not _is_old(vault, blob):
            return []
        key = tuple(row)[: list(row.keys()).index(column)]
        more = (vault.current,) if names_key else ()
        return [(statement, (*key, blob, _again(vault, purpose, blob), *more))]

    return renew


def _report(column: str, purpose: str, statement: str) -> Renew:
    def renew(vault: Vault, row: Row) -> list[Write]:
        text: str | None = row[column]
        blob = base64.b64decode(text) if text else None
        if not text or not blob or not _is_old(vault, blob):
            return []
        return [(statement, (row["id"], text, base64.b64encode(_again(vault, purpose, blob)).decode()))]

    return renew


def _people(vault: Vault, row: Row) -> list[Write]:
    blobs = [row[name] for name in ("name_sealed", "id_number_sealed", "contact_sealed", "details_sealed")]
    if row["key_id"] == vault.current and not any(_is_old(vault, blob) for blob in blobs):
        return []
    name, number, contact, details = (
        vault.open(purpose, blob) if blob is not None else None for purpose, blob in zip(_PERSON, blobs, strict=True)
    )
    phone = msgspec.json.decode(contact).get("phone") if contact else None
    fresh = (
        vault.current,
        vault.seal(_PERSON[0], name or ""),
        vault.fingerprint(_PERSON[0], name or ""),
        vault.seal(_PERSON[1], number) if number is not None else None,
        vault.fingerprint(_PERSON[1], number) if number is not None else None,
        vault.seal(_PERSON[2], contact) if contact is not None else None,
        vault.fingerprint("person.phone", phone) if phone else None,
        vault.seal(_PERSON[3], details) if details is not None else None,
    )
    return [(q.write_people, (row["person_id"], *blobs, *fresh))]


def _uploads(vault: Vault, row: Row) -> list[Write]:
    return [*_file_name(vault, row), *_foreign(vault, row)]


def _is_old(vault: Vault, blob: bytes | None) -> bool:
    return blob is not None and vault.key_id(blob) != vault.current


def _again(vault: Vault, purpose: str, blob: bytes) -> bytes:
    return vault.seal(purpose, vault.open(purpose, blob))


_PERSON: Final = ("person.name", "person.id_number", "person.contact", "person.details")
_file_name: Final = _plain("file_name_sealed", uploads.FILE_NAME, q.write_file_name)
_foreign: Final = _report("foreign_sealed", uploads.REPORT, q.write_foreign)

PLACES: Final[tuple[Place, ...]] = (
    Place(
        vi="dữ liệu cá nhân", en="personal data", kind="data", process="worker", counted_by="worker",
        columns=(
            "person_private.name_sealed", "person_private.id_number_sealed", "person_private.contact_sealed",
            "person_private.details_sealed",
        ),
        page=q.page_people, uses=q.uses_people, renew=_people,
    ),
    Place(
        vi="ghi chú", en="notes", kind="data", process="worker", counted_by="worker",
        columns=("dossier_note.text_sealed",),
        page=q.page_notes, uses=q.uses_notes, renew=_plain("text_sealed", NOTE_PURPOSE, q.write_note),
        before=(_FIRST, -1),
    ),
    Place(
        vi="tệp tải lên", en="uploads", kind="data", process="worker", counted_by="worker",
        columns=("upload.file_name_sealed",),
        page=q.page_uploads, uses=q.uses_uploads, renew=_uploads,
    ),
    Place(
        vi="dự thảo", en="drafts", kind="data", process="worker", counted_by="worker",
        columns=("draft_order.data_sealed",),
        page=q.page_drafts, uses=q.uses_drafts, renew=_plain("data_sealed", drafts.DATA, q.write_draft),
    ),
    Place(
        vi="biểu mẫu in", en="printed forms", kind="data", process="worker", counted_by="worker",
        columns=("print_order.data_sealed",),
        page=q.page_prints, uses=q.uses_prints, renew=_plain("data_sealed", printing.DATA, q.write_print),
    ),
    Place(
        vi="lần kiểm tra tệp", en="verifications", kind="data", process="worker", counted_by="worker", columns=(),
        page=q.page_checks, uses=q.uses_checks, renew=_report("sealed", verification.REPORT, q.write_check),
    ),
    Place(
        vi="chủ chứng thư", en="owners of certificates", kind="data", process="signer", counted_by="worker",
        columns=("certificate.owner_sealed",),
        page=q.page_owners, uses=q.uses_owners, renew=_plain("owner_sealed", "holder-owner", q.write_owner),
    ),
    Place(
        vi="đề xuất", en="proposals", kind="data", process="worker", counted_by="worker",
        columns=("proposal.content_sealed",),
        page=q.page_proposals, uses=q.uses_proposals, renew=_plain("content_sealed", SEALED, q.write_proposal),
    ),
    Place(
        vi="đăng ký yếu tố", en="enrolments", kind="factors", process="signer", counted_by="signer",
        columns=("enrolment_offer.secret_sealed",),
        page=q.page_offers, uses=q.uses_offers, renew=_plain("secret_sealed", "second-factor", q.write_offer),
    ),
    Place(
        vi="yếu tố thứ hai", en="second factors", kind="factors", process="signer", counted_by="signer",
        columns=("second_factor.secret_sealed",),
        page=q.page_factors, uses=q.uses_factors,
        renew=_plain("secret_sealed", "second-factor", q.write_factor, names_key=True),
    ),
)  # fmt: skip
