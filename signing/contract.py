"""The words of the signature service: orders, answers and the port of a key holder; the errors are in `errors`.

Every type is a frozen msgspec Struct, so it crosses a process boundary by pickle, a database column by JSON
(bytes become base64), and never changes on the way. Nothing here imports pyHanko, the web or a key.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, NewType, Protocol

import msgspec

from signing.pages import Begun

Sha256 = NewType("Sha256", bytes)
"""The 32 raw bytes of a SHA-256."""
Der = NewType("Der", bytes)
"""One X.509 certificate, DER encoded."""

Mechanism = Literal["rsa_pkcs1v15", "rsa_pss", "ecdsa"]
FieldKind = Literal["signature", "text"]
AppearanceKind = Literal["initials", "signatory", "seal", "corner", "none"]
CertificationLevel = Literal["none", "forms", "final"]
SignatureKind = Literal["initials", "signatory", "seal", "timestamp", "other"]
LintProfile = Literal["handed_in", "to_sign"]
OutcomeState = Literal["waiting", "signed", "refused", "expired", "failed", "unknown"]
Layout = Literal["document", "annex", "copy"]
"""How a file shows who signs it: with title, name and seal at its end, or by the seal's corner of page 1 alone."""
CORNERS: Final[dict[Layout, tuple[float, float, float, float]]] = {
    "annex": (325.0, 788.0, 553.0, 828.0),
    "copy": (270.0, 725.0, 556.0, 827.05),
}
"""The organisation's signature in the upper right corner of an A4 page, in points: of an annex its text in the top
margin, of a copy the seal in real size (36 mm) with the text at its left (Decree 30/2020, Appendix I)."""
Side = Literal["over", "below", "above", "right"]
CertificateClass = Literal["demo", "public", "public_duty"]

Indication = Literal["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"]
"""What a validation comes to in the words of ETSI EN 319 102-1, 5.1.3."""
Revocation = Literal["unknown", "good", "on_hold", "revoked_later", "revoked", "revoked_before"]
"""What is known of the certificate's revocation: nothing; not revoked; on hold; revoked after the proven time;
revoked, and nothing proves which came first; revoked before the signature was made."""

DEMO_MARK = "CHỈ ĐỂ THỬ"
"""What a demo certificate's subject carries and what is printed across every page that it will sign."""

CANARY = "motcua-canary"
"""Owner and credential of a key that exists for trial signatures alone; a holder that keeps one may be tried by it."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A place on a page. `page` counts from 0, -1 is the last; `box` is x0, y0, x1, y1 in points from bottom left.

    `titled` says that the page prints the signatory's title and name around the place.
    """

    name: str
    kind: FieldKind
    page: int
    box: tuple[float, float, float, float]
    label: str = ""
    titled: bool = False


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody wants a field of a draft, in one of three ways: by `anchor`, by `form_field` or by `box`.

    `anchor` is a text on the page, spaces aside, and `side` where the field goes from it (without it: over the text,
    and a number or date behind it); `occurrence` counts from 1, from the end below 0. `form_field` names a field of
    the file, whose place is taken. `box` is as in `Field`. `page` counts from 0, -1 is the last; with an anchor it
    says where to look. `size` is in points.
    """

    field: str
    anchor: str | None = None
    side: Side | None = None
    occurrence: int | None = None
    size: tuple[float, float] | None = None
    form_field: str | None = None
    page: int | None = None
    box: tuple[float, float, float, float] | None = None


class FieldPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All fields of a document, laid before its first signature (Decree 30/2020, Appendix I gives the places).

    `signatures` stand in the order of signing: Initials1.., Signatory1.., at last Seal where there is one.
    `certification` is what the first signature certifies (ISO 32000-2, 12.8.2.2 DocMDP): nothing; that only forms may
    be filled and signatures added; or that besides, after the last signature, nothing may change any more.
    """

    certification: CertificationLevel = "none"
    number: Field | None = None
    issued_date: Field | None = None
    signatures: tuple[Field, ...] = ()


class Appearance(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature shows: a transparent PNG and text lines, all given by the caller (Decree 30/2020, Appendix I).

    A signatory shows the blue hand signature between title (`above`) and name (`lines`), where the page does not
    print these itself; a seal shows the red image in real size, its `lines` (the time of signing) below it. `corner`
    is the organisation's signature in the upper right corner of page 1: `lines` of 10 points, with the seal's image
    on copies and digitised papers and without one on separate annexes. `none` is a signature without a picture.
    """

    kind: AppearanceKind
    lines: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    image_png: bytes | None = None


class PrepareOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a preparation needs, so that the same order gives the same bytes to sign.

    `fills` (Number, IssuedDate) is for the seal's revision alone. `at` is aware; /M and stamps carry it as +07'00'.
    """

    base: str
    base_sha256: Sha256
    field: str
    certificate: Der
    chain: tuple[Der, ...]
    appearance: Appearance
    at: datetime
    mechanism: Mechanism
    plan: FieldPlan
    fills: dict[str, str] = {}
    reason: str | None = None
    location: str | None = None


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What survives the wait for a person: the increment (a few kB) and the hash that leaves, never a second copy.

    The prepared file is the base followed by `increment`; `reserved_start` and `reserved_end` are the offsets in
    that file of the still empty /Contents with its angle brackets. `tbs_sha256` is the SHA-256 of `signed_attrs`.
    """

    base_sha256: Sha256
    base_size: int
    increment: bytes
    document_digest: Sha256
    reserved_start: int
    reserved_end: int
    signed_attrs: bytes
    tbs_sha256: Sha256
    field: str
    certificate: Der
    mechanism: Mechanism
    prepared_at: datetime


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a verdict believes. A signature under a demo anchor is said to be a demo and is never `trusted`."""

    anchors: tuple[Der, ...] = ()
    demo_anchors: tuple[Der, ...] = ()


class FinishOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A preparation with the value that came back. `at` is the moment of judging; without it the preparation's."""

    base: str
    prepared: Prepared
    value: bytes
    chain: tuple[Der, ...]
    trust: Trust
    at: datetime | None = None


class HandedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A whole signed file (`source`) that came back for a preparation on `base`. `at` is the moment of judging."""

    base: str
    prepared: Prepared
    source: str
    trust: Trust
    at: datetime


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding with a stable code, said in Vietnamese and English, and what the person can do about it."""

    code: str
    vi: str
    en: str
    remedy_vi: str = ""
    remedy_en: str = ""


class SignatureVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one signature is worth. `trusted` means a chain to a real anchor; `demo` one to a demo anchor.

    `revision_sha256` is the SHA-256 of the file up to and including the revision that this signature closed.
    `signed_at` is the signer's own word; `proven_at` is when a trusted timestamp proves the signature to have existed.
    `indication` with `sub_indication` is the verdict in the words of ETSI EN 319 102-1; stored verdicts may lack it.
    """

    field: str
    kind: SignatureKind
    signer_name: str
    organisation: str
    serial: str
    issuer: str
    algorithm: str
    digest: str
    signed_at: datetime | None
    covers: Literal["whole_file", "revision", "part"]
    intact: bool
    valid: bool
    trusted: bool
    demo: bool
    permitted_changes: bool
    revision_sha256: Sha256
    summary_vi: str
    summary_en: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    problems: tuple[Problem, ...] = ()
    subfilter: str = ""
    indication: Indication | None = None
    sub_indication: str = ""
    proven_at: datetime | None = None
    revocation: Revocation = "unknown"
    revoked_at: datetime | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole file is worth. `ok` needs at least one signature, every one good, and no problem with the file.

    `untouched` says that every byte is as signed or a permitted later step; it says nothing about who signed.
    A file signed under a demo anchor may be `ok`, and `demo` then says what that is worth outside: nothing.
    `fills` are the values of Number and IssuedDate as they stand in the file.
    """

    untouched: bool
    signatures: tuple[SignatureVerdict, ...]
    problems: tuple[Problem, ...]
    demo: bool
    ok: bool
    fills: dict[str, str] = {}
    indication: Indication | None = None


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A signed file that this service verified after signing."""

    sha256: Sha256
    size: int
    verdict: Verdict


class HandedBack(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came back and was found good, with the raw value of the new signature in it."""

    signed: Signed
    value: bytes


class Laid(msgspec.Struct, frozen=True, kw_only=True):
    """A file with all its fields, ready for its first signature."""

    sha256: Sha256
    size: int


class LintLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a file may ask of us before it is refused unread. Bytes, pages, objects."""

    max_bytes: int = 50 * 1024 * 1024
    max_pages: int = 2000
    max_objects: int = 500_000


class LintReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a file may enter, and if not why and what to do.

    A refused file with `repairable` may be given to `repair`; `repaired` says that this report is of its output.
    `foreign_signatures` are others' signatures in a file handed in: it is kept byte for byte.
    """

    accepted: bool
    problems: tuple[Problem, ...]
    repaired: bool = False
    repairable: bool = False
    pages: int = 0
    pdf_version: str = ""
    foreign_signatures: tuple[SignatureVerdict, ...] = ()
    pdfa: str | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a key holder can do; a batch is cut accordingly and the signatory is told first.

    `window` is how long a person has to confirm, counted from the sending. `asks_person` says that the holder
    itself asks the signatory (counts as the fresh second factor). `carried` says that the signatory's own program
    fetches what is to be signed and hands it back: it is not the holder that is asked how a transaction stands.
    """

    name: str
    hashes_per_authorisation: int
    window: timedelta
    parallel_limit: int
    shows_document_names: bool
    certificate_class: CertificateClass
    development: bool
    asks_person: bool
    carried: bool = False


class HeldCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that a holder can sign with. `chain` goes from the issuer to the root."""

    credential_id: str
    certificate: Der
    chain: tuple[Der, ...]
    valid_from: datetime
    valid_to: datetime


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says of itself, once it has been found fit; `demo` says that a demo anchor stands above it."""

    serial: str
    issuer: str
    subject: str
    common_name: str
    organisation: str
    mechanism: Mechanism
    valid_from: datetime
    valid_to: datetime
    demo: bool


class SignItem(msgspec.Struct, frozen=True, kw_only=True):
    """One hash to sign. `name` is what the person sees at the holder; it must hold no personal data beyond need."""

    item_id: str
    tbs_sha256: Sha256
    name: str


class SignOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction at a holder: up to `hashes_per_authorisation` hashes for one credential of one owner."""

    transaction_id: str
    credential_id: str
    owner: str
    items: tuple[SignItem, ...]
    mechanism: Mechanism
    description: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Where a transaction stands. `values` is filled per item id once `signed`; items may be missing from it."""

    transaction_id: str
    state: OutcomeState
    values: dict[str, bytes] = {}
    detail: str = ""


class KeyHolder(Protocol):
    """Whoever holds the key. A hash goes there, a value comes back; a key or PIN never comes here."""

    @property
    def capabilities(self) -> Capabilities:
        """What this holder can do."""
        ...

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of an owner (national id or tax code); raise HolderUnavailable or HolderRefused."""
        ...

    async def start(self, order: SignOrder) -> Begun | None:
        """Ask for signatures; asking again under the same transaction id never makes a second transaction.

        Return what the person must be told of it; None where there is nothing to tell.
        """
        ...

    async def poll(self, transaction_id: str) -> Outcome:
        """Ask where a transaction stands; one that the holder never saw is `unknown`."""
        ...

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read an answer that the holder sent by itself; raise HolderRefused when it is not authentic or legible."""
        ...

    async def close(self) -> None:
        """End sessions and threads."""
        ...
