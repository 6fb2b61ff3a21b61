"""What goes out to a signatory's own program and what it hands back; names are the wire's names."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from signing.contract import Mechanism

SignedValue = Annotated[bytes, Meta(min_length=1, max_length=4096)]
CertificateDer = Annotated[bytes, Meta(min_length=1, max_length=16384)]


Operation = Literal["vgca_sign_approved", "vgca_sign_issued", "vgca_sign_appendix", "vgca_sign_copy"]
Came = Literal["checking", "taken", "refused"]
"""What became of an item: `taken` once it was found good."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the desktop tool's `MetaData`."""

    key: str = msgspec.field(name="Key")
    value: str = msgspec.field(name="Value")


class ToolOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the public-duty signing tool is called with (VGCA's desktop tool): operation and parameters.

    The page that calls the tool adds its own bearer token as `JWTToken`.
    """

    operation: Operation
    file_upload_handler: str = msgspec.field(name="FileUploadHandler")
    session_id: str = msgspec.field(name="SessionId")
    file_name: str = msgspec.field(name="FileName")
    document_number: str = msgspec.field(name="DocNumber", default="")
    issued_date: str = msgspec.field(name="IssuedDate", default="")
    metadata: list[Named] = msgspec.field(name="MetaData", default_factory=list[Named])


class SigningErrand(msgspec.Struct, frozen=True, kw_only=True):
    """One document to sign.

    `signed_attributes` is the DER whose SHA-256, `tbs_sha256`, is signed for a raw value: a careful program computes it
    from the prepared file. In that file the room for /Contents goes from `reserved_start` to `reserved_end`, both
    brackets included.
    """

    request_id: UUID
    dossier_code: str
    title: str
    role: str
    field: str
    mechanism: Mechanism
    certificate_serial: str
    sha256: str
    prepared_size: int
    reserved_start: int
    reserved_end: int
    signed_attributes: bytes
    tbs_sha256: str
    tool: ToolOrder


class SigningTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is to sign with one entry of the PIN, until when, and for which ticket."""

    transaction_id: str
    ticket: UUID
    expires_at: datetime
    items: list[SigningErrand]


class ValueBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One raw value over the signed attributes, with the certificate chain of the key that made it, its own first."""

    request_id: UUID
    value: SignedValue
    certificates: Annotated[list[CertificateDer], Meta(min_length=1, max_length=5)]


class ValuesBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All values of a transaction, or some."""

    values: Annotated[list[ValueBack], Meta(min_length=1, max_length=500)]


class HandedItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one item that was handed back, and why it was not taken where it was not."""

    request_id: UUID
    state: Came
    code: str
    vi: str
    en: str


class FileTaken(HandedItem, frozen=True, kw_only=True):
    """The answer to a file: as every item's, and in the desktop tool's own words (`Status` 0 is good)."""

    status: int = msgspec.field(name="Status")
    message: str = msgspec.field(name="Message")
    file_server: str = msgspec.field(name="FileServer", default="")
    document_number: str = msgspec.field(name="DocumentNumber", default="")
    document_date: str = msgspec.field(name="DocumentDate", default="")
