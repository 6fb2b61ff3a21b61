"""One function per statement of `queries.sql`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.db import queries
from api.db.pools import Tx, as_struct, as_structs
from api.documents.blobs import Stored
from api.documents.contract import Draft, Result
from api.documents.rows import (
    DocumentContext,
    DossierAgencies,
    DossierForResult,
    DraftToMake,
    FileRow,
    LockedDocument,
    ResultContext,
    RevisionRow,
    UploadRow,
)
from api.kernel import Sha256

_q: Final = queries.load("api.documents")


async def insert_blob(tx: Tx, stored: Stored, media_type: str = "application/pdf") -> None:
    """Note that a file is durable in the store; call it after the store has answered."""
    await tx.execute(_q.insert_blob, stored.sha256, stored.size, media_type)


async def insert_upload(
    tx: Tx,
    sha256: Sha256,
    profile: str,
    file_name_sealed: bytes | None,
    dossier_id: UUID | None,
    account_id: UUID | None,
    at: datetime,
) -> UUID:
    """Insert a file on its way in."""
    return await tx.fetchval(_q.insert_upload, sha256, profile, file_name_sealed, dossier_id, account_id, at)


async def upload_view(tx: Tx, upload_id: UUID) -> UploadRow | None:
    """Find an upload."""
    return as_struct(await tx.fetchrow(_q.upload_view, upload_id), UploadRow)


async def settle_upload(
    tx: Tx, upload_id: UUID, state: str, accepted: Sha256 | None, report: Mapping[str, Any], at: datetime
) -> bool:
    """End the check of an upload; False when it had ended before."""
    return await tx.fetchval(_q.settle_upload, upload_id, state, accepted, report, at) is not None


async def dossier_for_result(tx: Tx, dossier_id: UUID) -> DossierForResult | None:
    """Find what a new result is made from."""
    return as_struct(await tx.fetchrow(_q.dossier_for_result, dossier_id), DossierForResult)


async def insert_result(
    tx: Tx,
    result_id: UUID,
    dossier_id: UUID,
    form: str,
    kind_code: str,
    title: str,
    verify_code: str,
    at: datetime,
    *,
    refusal: bool,
) -> int:
    """Insert a result; return its number within the dossier."""
    row = (result_id, dossier_id, form, kind_code, title, refusal, verify_code, at)
    return await tx.fetchval(_q.insert_result, *row)


async def results_of_dossier(tx: Tx, dossier_id: UUID) -> list[Result]:
    """List the results of a dossier."""
    return as_structs(await tx.fetch(_q.results_of_dossier, dossier_id), Result)


async def dossier_agencies(tx: Tx, dossier_id: UUID) -> DossierAgencies | None:
    """Find who takes part in a dossier."""
    return as_struct(await tx.fetchrow(_q.dossier_agencies, dossier_id), DossierAgencies)


async def result_context(tx: Tx, result_id: UUID) -> ResultContext | None:
    """Find a result."""
    return as_struct(await tx.fetchrow(_q.result_context, result_id), ResultContext)


async def insert_document(
    tx: Tx,
    document_id: UUID,
    result: ResultContext,
    kind: str,
    act: str,
    title: str,
    main_document_id: UUID | None,
    copy_form: str | None,
    at: datetime,
) -> int:
    """Insert a document; return its number within the result."""
    row = (document_id, result.id, result.dossier_id, kind, act, title, main_document_id, copy_form, at)
    return await tx.fetchval(_q.insert_document, *row)


async def document_context(tx: Tx, document_id: UUID) -> DocumentContext | None:
    """Find a document."""
    return as_struct(await tx.fetchrow(_q.document_context, document_id), DocumentContext)


async def revisions_of_document(tx: Tx, document_id: UUID) -> list[RevisionRow]:
    """List the revisions of a document."""
    return as_structs(await tx.fetch(_q.revisions_of_document, document_id), RevisionRow)


async def insert_draft_order(
    tx: Tx,
    document: DocumentContext,
    template: str | None,
    data_sealed: bytes | None,
    upload_id: UUID | None,
    reason: str,
    account_id: UUID | None,
    at: datetime,
) -> UUID:
    """Insert an order for a draft on top of the document's head."""
    row = (document.id, document.head_sha256, template, data_sealed, upload_id, reason, account_id, at)
    return await tx.fetchval(_q.insert_draft_order, *row)


async def draft_view(tx: Tx, draft_id: UUID) -> Draft | None:
    """Find where an order for a draft stands."""
    return as_struct(await tx.fetchrow(_q.draft_view, draft_id), Draft)


async def draft_to_make(tx: Tx, draft_id: UUID) -> DraftToMake | None:
    """Find an order for a draft as the worker takes it up."""
    return as_struct(await tx.fetchrow(_q.draft_to_make, draft_id), DraftToMake)


async def lock_for_draft(tx: Tx, document_id: UUID) -> LockedDocument | None:
    """Take a document for a new draft."""
    return as_struct(await tx.fetchrow(_q.lock_for_draft, document_id), LockedDocument)


async def insert_draft_revision(
    tx: Tx,
    revision_id: UUID,
    order: DraftToMake,
    sha256: Sha256,
    origin: str,
    places: Any,
    at: datetime,
) -> None:
    """Insert a draft revision."""
    row = (revision_id, order.document_id, sha256, origin, order.reason, order.ordered_by_account_id, places, at)
    await tx.execute(_q.insert_draft_revision, *row)


async def move_head(tx: Tx, document_id: UUID, revision_id: UUID, sha256: Sha256, base: Sha256 | None) -> bool:
    """Move a document's head; False when it has moved meanwhile."""
    return await tx.fetchval(_q.move_head, document_id, revision_id, sha256, base) is not None


async def settle_draft(
    tx: Tx, draft_id: UUID, state: str, revision_id: UUID | None, error: Mapping[str, Any] | None, at: datetime
) -> bool:
    """End an order for a draft; False when it had ended before."""
    return await tx.fetchval(_q.settle_draft, draft_id, state, revision_id, error, at) is not None


async def document_file(tx: Tx, document_id: UUID) -> FileRow | None:
    """Find the head of a document as a file."""
    return as_struct(await tx.fetchrow(_q.document_file, document_id), FileRow)


async def revision_file(tx: Tx, revision_id: UUID) -> FileRow | None:
    """Find one revision as a file."""
    return as_struct(await tx.fetchrow(_q.revision_file, revision_id), FileRow)


async def released_file(tx: Tx, result_id: UUID, dossier_id: UUID, ordinal: int | None) -> FileRow | None:
    """Find what a citizen may be given of a result of this dossier: its main document, or that of this number."""
    return as_struct(await tx.fetchrow(_q.released_file, result_id, dossier_id, ordinal), FileRow)
