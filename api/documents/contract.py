"""What the document routes take and give; names are the wire's names, digests are hexadecimal."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from api.http.text import Code, LongText, ShortText

Profile = Literal["handed_in", "to_sign"]
UploadState = Literal["checking", "accepted", "refused"]
DraftState = Literal["queued", "done", "failed"]
Act = Literal["main_document", "separate_annex", "copy", "digitised_paper", "counter_form"]
CopyForm = Literal["true_copy", "copy_of_copy", "extract", "certified_copy"]
Effect = Literal["none", "in_force", "corrected", "replaced", "recalled", "annulled"]
Form = Literal["a", "b", "c", "d"]


class _In(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request: what is not known is refused."""


class _Out(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""


class Finding(_Out, frozen=True, kw_only=True):
    """Why a file was refused, or what was noticed; the remedy says what the person can do."""

    code: str
    vi: str
    en: str
    remedy_vi: str = ""
    remedy_en: str = ""


class ForeignSignature(_Out, frozen=True, kw_only=True):
    """A signature that a file handed in bears: verified and shown, never touched."""

    signer: str
    organisation: str
    signed_at: datetime | None
    valid: bool
    trusted: bool
    summary_vi: str
    summary_en: str


class Upload(_Out, frozen=True, kw_only=True):
    """A file on its way in. `sha256` is of what came; `accepted_sha256` differs only where a draft was rewritten."""

    id: UUID
    profile: Profile
    state: UploadState
    sha256: str
    size: int
    dossier_id: UUID | None
    accepted_sha256: str | None = None
    file_name: str | None = None
    pages: int | None = None
    repaired: bool = False
    problems: tuple[Finding, ...] = ()
    foreign_signatures: tuple[ForeignSignature, ...] = ()
    created_at: datetime
    checked_at: datetime | None = None


class Received(_Out, frozen=True, kw_only=True):
    """The reference that an upload is answered with; its state is asked for under this id."""

    id: UUID
    sha256: str
    state: UploadState = "checking"


class NewResult(_In, frozen=True, kw_only=True):
    """A result to be drafted; without `kind_code` the one that the dossier's procedure version states."""

    refusal: bool = False
    title: ShortText | None = None
    kind_code: Code | None = None


class NewDocument(_In, frozen=True, kw_only=True):
    """A document of a result: the main one, an annex, a copy, a digitised paper; without `act`, what its form is.

    `copy_form` is of a copy alone: sao y, sao lục, trích sao or chứng thực bản sao, which its stamp prints.
    """

    act: Act | None = None
    title: ShortText | None = None
    main_document_id: UUID | None = None
    copy_form: CopyForm | None = None


class SignatoryChoice(_In, frozen=True, kw_only=True):
    """Whose title and name are printed in the draft; without it, the strongest right to sign this act."""

    person_id: UUID
    post_id: UUID


Points = Annotated[float, Meta(ge=-20_000, le=20_000)]


class Place(_In, frozen=True, kw_only=True):
    """Where a signature, number or date goes on an uploaded draft, in one of three ways.

    `anchor` is a text on the page, spaces aside, with the `side` of it on which the place lies, and which `occurrence`
    of it (from 1, from the end below 0). `form_field` names a form field of the file. `box` is left, foot, right, head
    in points from the page's lower left. `page` counts from 0, -1 is the last.
    """

    field: Annotated[str, Meta(min_length=1, max_length=40, pattern="^[A-Za-z]+[0-9]*$")]
    anchor: ShortText | None = None
    side: Literal["over", "below", "above", "right"] | None = None
    occurrence: Annotated[int, Meta(ge=-200, le=200)] | None = None
    size: tuple[Annotated[float, Meta(ge=4, le=2000)], Annotated[float, Meta(ge=4, le=2000)]] | None = None
    form_field: ShortText | None = None
    page: Annotated[int, Meta(ge=-2000, le=2000)] | None = None
    box: tuple[Points, Points, Points, Points] | None = None


class NewDraft(_In, frozen=True, kw_only=True):
    """A draft: from a template with its `data`, or of an accepted upload of the profile `to_sign`; one of the two.

    `places` are for an upload; a field that is not among them goes where Decree 30/2020 has it.
    """

    template: Code | None = None
    data: dict[str, Any] | None = None
    signatory: SignatoryChoice | None = None
    upload_id: UUID | None = None
    places: Annotated[tuple[Place, ...], Meta(max_length=40)] = ()
    reason: LongText | None = None


class NewPrint(_In, frozen=True, kw_only=True):
    """A national form to be printed, with the data that `GET /dossiers/{code}/forms/{form}` gives."""

    template: Code
    data: dict[str, Any]
    number: ShortText | None = None


class Print(_Out, frozen=True, kw_only=True):
    """Where a print stands; its file is under /prints/{id}/file once it is done, for a day."""

    id: UUID
    template: str
    state: DraftState = "queued"
    error: Finding | None = None


class ResultMade(_Out, frozen=True, kw_only=True):
    """The reference to a new result."""

    id: UUID
    dossier_id: UUID
    ordinal: int
    form: Form
    verify_code: str


class DocumentMade(_Out, frozen=True, kw_only=True):
    """The reference to a new document."""

    id: UUID
    result_id: UUID
    ordinal: int


class Ordered(_Out, frozen=True, kw_only=True):
    """The reference to a draft that was ordered; its state is asked for under this id."""

    id: UUID
    document_id: UUID
    state: DraftState = "queued"


class Draft(_Out, frozen=True, kw_only=True):
    """Where an order for a draft stands."""

    id: UUID
    document_id: UUID
    state: DraftState
    revision_id: UUID | None = None
    error: Finding | None = None
    ordered_at: datetime
    done_at: datetime | None = None


class Revision(_Out, frozen=True, kw_only=True):
    """An immutable state of a document."""

    id: UUID
    ordinal: int
    sha256: str
    size: int
    origin: Literal["rendered", "uploaded", "laid", "signed", "sealed"]
    reason: str
    created_at: datetime
    withdrawn: bool
    head: bool


class Document(_Out, frozen=True, kw_only=True):
    """A document with all its revisions, newest last."""

    id: UUID
    result_id: UUID
    dossier_id: UUID
    act: Act
    title: str
    ordinal: int
    version: int
    main_document_id: UUID | None
    copy_form: CopyForm | None = None
    revisions: tuple[Revision, ...] = ()


class Result(_Out, frozen=True, kw_only=True):
    """A result (kết quả) of a dossier with its documents' ids."""

    id: UUID
    dossier_id: UUID
    ordinal: int
    form: Form
    kind_code: str
    title: str
    state: Literal["draft", "in_signing", "signed", "issued", "blocked", "dropped"]
    effect: Effect
    refusal: bool
    verify_code: str
    foreign_system: str | None
    foreign_reference: str | None
    issued_at: datetime | None
    documents: tuple[UUID, ...] = ()


class Results(_Out, frozen=True, kw_only=True):
    """The results of a dossier, in order."""

    items: tuple[Result, ...]


class RegisterLine(_Out, frozen=True, kw_only=True):
    """One number of a register; a gap is a line without a document that says so."""

    n: int
    text: str
    state: Literal["reserved", "used", "void", "gap"]
    day: date | None = None
    document_id: UUID | None = None
    reason: str | None = None


class Register(_Out, frozen=True, kw_only=True):
    """A page of the register of a series in one year, with its gaps printed; `next` is where to go on."""

    series_id: UUID
    year: int
    pattern: str
    last: int
    gaps: int
    lines: tuple[RegisterLine, ...]
    next: int | None = None


class Series(_Out, frozen=True, kw_only=True):
    """A number series of an agency."""

    id: UUID
    kind_code: str
    book: str
    pattern: str
    owner: Literal["own", "foreign"]
    yearly: bool
    legal_basis: str


class SeriesList(_Out, frozen=True, kw_only=True):
    """The series of the actor's agency."""

    items: tuple[Series, ...]


class VoidNumber(_In, frozen=True, kw_only=True):
    """Why a reserved number is not used (hủy số)."""

    reason: LongText
