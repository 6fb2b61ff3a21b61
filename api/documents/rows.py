"""The rows that the documents slice reads: one Struct per reading statement of `queries.sql`."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from api.documents.contract import Form
from api.kernel import Sha256
from api.registry.procedures import CopyForm, Definition


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    pass


class UploadRow(_Row, frozen=True, kw_only=True):
    """An upload with who may see it; names in it are sealed."""

    id: UUID
    profile: str
    state: str
    sha256: Sha256
    size: int
    dossier_id: UUID | None
    account_id: UUID | None
    accepted_sha256: Sha256 | None
    file_name_sealed: bytes | None
    report: dict[str, Any] | None
    created_at: datetime
    checked_at: datetime | None
    agencies: tuple[UUID, ...]
    uploader_agency_id: UUID | None


class DossierForResult(_Row, frozen=True, kw_only=True):
    """What a new result is made from."""

    id: UUID
    procedure_code: str
    step_agency_id: UUID
    competent_agency_id: UUID | None
    status: str
    definition: Definition
    form_of_result: Form


class DossierAgencies(_Row, frozen=True, kw_only=True):
    """The agencies that take part in a dossier."""

    agencies: tuple[UUID, ...]
    step_agency_id: UUID
    status: str


class ResultContext(_Row, frozen=True, kw_only=True):
    """A result with what deciding on it needs."""

    id: UUID
    dossier_id: UUID
    state: str
    title: str
    kind_code: str
    form: Form
    step_agency_id: UUID
    agencies: tuple[UUID, ...]


class DocumentContext(_Row, frozen=True, kw_only=True):
    """A document with what deciding on it and rendering it needs."""

    id: UUID
    result_id: UUID
    dossier_id: UUID
    act: str
    title: str
    ordinal: int
    version: int
    main_document_id: UUID | None
    copy_form: CopyForm | None
    head_revision_id: UUID | None
    head_sha256: Sha256 | None
    result_state: str
    kind_code: str
    verify_code: str
    refusal: bool
    dossier_code: str
    step_agency_id: UUID
    issuing_agency_id: UUID
    procedure_code: str
    definition: Definition
    agencies: tuple[UUID, ...]
    in_chain: bool


class RevisionRow(_Row, frozen=True, kw_only=True):
    """One revision of a document."""

    id: UUID
    ordinal: int
    sha256: Sha256
    size: int
    origin: str
    reason: str
    created_at: datetime
    withdrawn: bool
    head: bool | None


class DraftToMake(_Row, frozen=True, kw_only=True):
    """An order for a draft as the worker takes it up."""

    id: UUID
    document_id: UUID
    base_sha256: Sha256 | None
    template: str | None
    data_sealed: bytes | None
    reason: str
    state: str
    ordered_by_account_id: UUID | None
    upload_sha256: Sha256 | None
    upload_state: str | None
    act: str


class LockedDocument(_Row, frozen=True, kw_only=True):
    """A document taken for a new draft."""

    head_sha256: Sha256 | None
    result_state: str
    in_chain: bool


class FileRow(_Row, frozen=True, kw_only=True):
    """A file to be served, with who may see it."""

    document_id: UUID
    title: str
    sha256: Sha256
    size: int
    media_type: str
    origin: str
    result_state: str
    agencies: tuple[UUID, ...]
