"""What may be proposed: one Struct per kind of change, its bytes and its digest. Pure.

A change is what two persons agree to: both confirm the SHA-256 of exactly these bytes.
"""

import base64
import hashlib
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from api.registry.authority import Capacity, Role

SEALED: Final = "proposal"
"""The purpose under which the bytes of changes are sealed: one may hold an identity number."""

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
IdNumber = Annotated[str, msgspec.Meta(min_length=6, max_length=20, pattern=r"^[0-9A-Za-z]+(?!\n)$")]
Login = Annotated[str, msgspec.Meta(min_length=3, max_length=100, pattern=r"^[a-z0-9][a-z0-9._-]*(?!\n)$")]
Reason = Annotated[str, msgspec.Meta(min_length=3, max_length=2000)]
Rank = Literal["head", "deputy", "division_head", "officer", "clerk", "administrator"]
Act = Literal["main_document", "separate_annex", "copy", "digitised_paper", "counter_form"]
SpokenCode = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Z2-7]{4}(-[A-Z2-7]{4}){3}$",
        description="Mã mà trình duyệt của người đăng ký hiện ra / the code that the enrolling person's browser shows",
        examples=["MFRG-GZDF-MZTW-Q2LK"],
    ),
]


HolderName = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=40,
        pattern=r"^[a-z0-9_-]+(?!\n)$",
        description="Nơi giữ khóa / the key holder",
    ),
]
HolderOwner = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[0-9A-Za-z._-]+(?!\n)$",
        description="Nơi giữ khóa biết chủ chứng thư bằng số này / what the key holder knows the owner by",
    ),
]
Der = Annotated[
    str,
    msgspec.Meta(
        min_length=200,
        max_length=8192,
        pattern=r"^[A-Za-z0-9_-]+(?!\n)$",
        description="Chứng thư X.509 (DER), base64url / the X.509 certificate (DER) in base64url",
    ),
]
Png = Annotated[
    str,
    msgspec.Meta(
        min_length=16,
        max_length=300_000,
        pattern=r"^[A-Za-z0-9_-]+(?!\n)$",
        description="Ảnh chữ ký hoặc con dấu (PNG), base64url / the image of signature or seal (PNG) in base64url",
    ),
]


class _Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """A change that is proposed."""


class NewPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A post (chức danh) that does not exist yet, with the roles it gives."""

    agency_id: UUID
    title: ShortText
    rank: Rank
    roles: Annotated[tuple[Role, ...], msgspec.Meta(min_length=1, max_length=9)]
    unit: ShortText | None = None


class OpenAccount(_Change, frozen=True, kw_only=True, tag="open_account"):
    """Open an account (mở tài khoản) for a person who has none, with a first post."""

    agency_id: UUID
    login: Login
    display_name: ShortText
    post: NewPost
    legal_basis: ShortText
    id_number: IdNumber | None = None


class _OfAccount(_Change, frozen=True, kw_only=True):
    account_id: UUID


class _OfOrganisation(_Change, frozen=True, kw_only=True):
    agency_id: UUID


class UnlockAccount(_OfAccount, frozen=True, kw_only=True, tag="unlock_account"):
    """Let a locked account work again (mở khóa)."""

    reason: Reason


class CloseAccount(_OfAccount, frozen=True, kw_only=True, tag="close_account"):
    """Close an account for good (đóng tài khoản); its papers keep the name."""

    reason: Reason


class GivePost(_OfAccount, frozen=True, kw_only=True, tag="give_post"):
    """Give a person one more post (giao chức danh)."""

    post: NewPost
    legal_basis: ShortText


class EndPost(_OfAccount, frozen=True, kw_only=True, tag="end_post"):
    """End that a person holds a post (thôi giữ chức danh)."""

    post_id: UUID
    reason: Reason


class EnrolFactor(_OfAccount, frozen=True, kw_only=True, tag="enrol_factor"):
    """Let a person enrol a second factor: the code is read out by that person, never taken from the system."""

    enrolment_id: UUID
    spoken_code: SpokenCode


class GiveMandate(_OfAccount, frozen=True, kw_only=True, tag="give_mandate"):
    """Give a right to sign (phân công, thừa lệnh, ủy quyền) in a post that the person holds."""

    post_id: UUID
    capacity: Capacity
    acts: Annotated[tuple[Act, ...], msgspec.Meta(min_length=1, max_length=5)]
    title_lines: Annotated[tuple[ShortText, ...], msgspec.Meta(min_length=1, max_length=4)]
    legal_basis: ShortText
    valid_from: datetime
    valid_to: datetime | None = None
    procedure_codes: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=200)] | None = None


class RevokeMandate(_OfAccount, frozen=True, kw_only=True, tag="revoke_mandate"):
    """Take back a right to sign."""

    mandate_id: UUID
    reason: Reason


class _Binding(_Change, frozen=True, kw_only=True):
    """Both persons agree to the certificate itself; whether the holder lists it for this owner, the signer asks."""

    holder: HolderName
    owner: HolderOwner
    certificate: Der
    image_png: Png | None = None


class BindCertificate(_Binding, frozen=True, kw_only=True, tag="bind_certificate"):
    """Let a person sign with this certificate (gắn chứng thư); an older one stays beside it, the newest signs."""

    account_id: UUID


class BindSeal(_Binding, frozen=True, kw_only=True, tag="bind_seal"):
    """Let an organisation's seal be put with this certificate (gắn chứng thư của tổ chức)."""

    agency_id: UUID


class UnbindCertificate(_OfAccount, frozen=True, kw_only=True, tag="unbind_certificate"):
    """Let nobody sign with a person's certificate any more (gỡ chứng thư); it never comes back."""

    certificate_id: UUID
    reason: Reason


class UnbindSeal(_OfOrganisation, frozen=True, kw_only=True, tag="unbind_seal"):
    """Let nobody seal with an organisation's certificate any more; it never comes back."""

    certificate_id: UUID
    reason: Reason


Binding = BindCertificate | BindSeal
OfOrganisation = BindSeal | UnbindSeal
OfAccount = (
    UnlockAccount | CloseAccount | GivePost | EndPost | EnrolFactor | GiveMandate | RevokeMandate
    | BindCertificate | UnbindCertificate
)  # fmt: skip
Change = OpenAccount | OfAccount | OfOrganisation
BINDINGS: Final = ("bind_certificate", "bind_seal")
"""The kinds for which the signer asks a key holder before it judges."""


def kind_of(change: Change) -> str:
    """Return the name of a change's kind."""
    return str(type(change).__struct_config__.tag)


def to_bytes(change: Change) -> bytes:
    """Return the bytes that two persons agree to: JSON with its keys sorted."""
    return msgspec.json.encode(change, order="deterministic")


def from_bytes(raw: bytes | str) -> Change:
    """Read a change back.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.json.decode(raw, type=Change)


def digest_of(raw: bytes) -> bytes:
    """Return the SHA-256 that both persons confirm."""
    return hashlib.sha256(b"motcua/proposal/v1\0" + raw).digest()


def spoken_code(enrolment_id: UUID, account_id: UUID, kind: str, public_part: bytes) -> str:
    """Return the 80 bits that a person reads out to the administrator: a hash of what the own browser made.

    Whoever swaps the browser's key for another must find one with the same 80 bits for this very enrolment.
    """
    parts = (b"motcua/enrolment/v1\0", enrolment_id.bytes, account_id.bytes, kind.encode(), b"\0", public_part)
    letters = base64.b32encode(hashlib.sha256(b"".join(parts)).digest()[:10]).decode()
    return "-".join(letters[place : place + 4] for place in range(0, 16, 4))


def enrolment_digest(enrolment_id: UUID, account_id: UUID) -> bytes:
    """Return what the first answer of a new factor is bound to, and what a passkey's registration signs."""
    return hashlib.sha256(b"motcua/enrol/v1\0" + enrolment_id.bytes + account_id.bytes).digest()
