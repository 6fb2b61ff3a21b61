"""What a verdict says to people, in Vietnamese and English (Circular 15/2025 asks for Vietnamese)."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

import msgspec
from asn1crypto import x509
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

from signing.contract import DEMO_MARK, Der, Problem, Revocation, Sha256, SignatureKind, SignatureVerdict
from signing.pdf import indications

_VIETNAM: Final = timezone(timedelta(hours=7))


BROKEN: Final = Problem(
    code="broken",
    vi="Nội dung đã bị thay đổi sau khi ký",
    en="The content was changed after signing",
)
WRONG_VALUE: Final = Problem(
    code="wrong-value",
    vi="Giá trị chữ ký không khớp với chứng thư",
    en="The signature value does not fit the certificate",
)
INEXACT: Final = Problem(
    code="inexact-container",
    vi="Vùng chứa chữ ký không đúng quy cách",
    en="The signature's container is not well formed or not exactly left out of its byte range",
)
DEMO: Final = Problem(
    code="demo",
    vi=f"{DEMO_MARK}: chứng thư thử nghiệm, không có giá trị pháp lý",
    en="TEST ONLY: a demo certificate without legal value",
)


def changed(reason: str) -> Problem:
    """Say that something was changed that may not be."""
    return Problem(
        code="changed",
        vi="Có thay đổi không được phép sau chữ ký này",
        en=f"A change that is not permitted follows this signature: {reason}",
    )


NEVER_SIGNED: Final = Problem(
    code="prepared-not-signed",
    vi="Trường chữ ký đã chuẩn bị nhưng chưa được ký",
    en="The signature field was prepared and never signed",
)


def weak(what: str) -> Problem:
    """Say which digest or key is too weak to prove anything."""
    return Problem(
        code="weak-algorithm",
        vi=f"Thuật toán ký yếu, không được chấp nhận ({what})",
        en=f"The signature uses an algorithm that is too weak ({what})",
        remedy_vi="Đề nghị người ký ký lại bằng SHA-256 và khóa RSA từ 2048 bit hoặc ECDSA P-256.",
        remedy_en="Have it signed again with SHA-256 and RSA of at least 2048 bits, or ECDSA P-256.",
    )


def unheard(subfilter: str) -> Problem:
    """Say that a signature is of a kind that nobody here can judge."""
    return Problem(
        code="unknown-subfilter",
        vi=f"Chữ ký thuộc loại không kiểm tra được ({subfilter})",
        en=f"The signature is of a kind that cannot be judged ({subfilter})",
    )


def revoked(at: datetime, state: Revocation, proven: datetime | None) -> Problem:
    """Say that the certificate was revoked, and what is known of which came first."""
    after = state == "revoked_before"
    if after:
        known_vi, known_en = "chữ ký được tạo sau khi thu hồi", "the signature was made afterwards"
    elif proven is None:
        known_vi = "không có dấu thời gian chứng minh đã ký trước đó"
        known_en = "no timestamp proves that the signature was there before"
    else:
        known_vi = f"dấu thời gian chỉ chứng minh đã ký trước {_day(proven)}"
        known_en = f"a timestamp proves the signature to be older than {proven:%Y-%m-%d %H:%MZ} only"
    return Problem(
        code="revoked" if after or proven is not None else "revoked-time-unknown",
        vi=f"Chứng thư đã bị thu hồi lúc {_day(at)}; {known_vi}",
        en=f"The certificate was revoked at {at:%Y-%m-%d %H:%MZ}; {known_en}",
    )


def on_hold(since: datetime | None) -> Problem:
    """Say that the signer's certificate is on hold and since when; without a moment it is one above that."""
    whose_vi, whose_en = ("", "") if since else (" của tổ chức chứng thực", " of an authority")
    since_vi, since_en = (f" từ {_day(since)}", f" since {since:%Y-%m-%d %H:%MZ}") if since else ("", "")
    return Problem(
        code="certificate-on-hold",
        vi=f"Chứng thư{whose_vi} đang bị tạm dừng{since_vi}, chưa biết có bị thu hồi hay không",
        en=f"The certificate{whose_en} is on hold{since_en}; whether it is revoked is yet to be said",
        remedy_vi="Kiểm tra lại khi tổ chức chứng thực đã khôi phục hoặc thu hồi chứng thư.",
        remedy_en="Verify it again once the authority has lifted the hold or revoked the certificate.",
    )


AUTHORITY_REVOKED: Final = Problem(
    code="authority-revoked",
    vi="Chứng thư của tổ chức chứng thực đã bị thu hồi, và không có gì chứng minh chữ ký có trước đó",
    en="The certificate of an authority was revoked, and nothing proves the signature to be older",
)


def untrusted(cause: str) -> Problem:
    """Say why no trust anchor was reached."""
    return Problem(
        code="untrusted",
        vi="Không xác minh được chứng thư đến một tổ chức chứng thực tin cậy còn hiệu lực",
        en=f"The certificate does not lead to a trusted, valid authority ({cause})",
    )


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says of whom it belongs to, and of its key."""

    name: str
    organisation: str
    serial: str
    issuer: str
    key: str
    valid_from: datetime
    valid_to: datetime


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature says of itself; `signed_at` is its own word."""

    field: str
    stamp: bool
    bearer: Bearer
    pss: bool
    digest: str
    signed_at: datetime | None
    subfilter: str


@lru_cache(maxsize=512)
def bearer(certificate: Der) -> Bearer:
    """Read a certificate's names once per process."""
    parsed = x509.Certificate.load(certificate)
    key = parsed.public_key
    return Bearer(
        name=_subject(parsed, "common_name"),
        organisation=_subject(parsed, "organization_name"),
        serial=f"{parsed.serial_number:x}",
        issuer=parsed.issuer.native.get("common_name", parsed.issuer.human_friendly),
        key=f"ECDSA P-{key.bit_size}" if key.algorithm == "ec" else f"RSA-{key.bit_size}",
        valid_from=parsed.not_valid_before,
        valid_to=parsed.not_valid_after,
    )


def _kind_of(told: Told) -> SignatureKind:
    """Return what a signature stands for, by the names that this service gives its fields."""
    if told.stamp:
        return "timestamp"
    for prefix, kind in _KINDS.items():
        if told.field.startswith(prefix):
            return kind
    return "other"


_KINDS: Final[dict[str, SignatureKind]] = {"Initials": "initials", "Signatory": "signatory", "Seal": "seal"}
_KIND_VI: Final[dict[SignatureKind, str]] = {
    "initials": "Ký nháy",
    "signatory": "Chữ ký",
    "seal": "Chữ ký số của cơ quan, tổ chức",
    "timestamp": "Dấu thời gian",
    "other": "Chữ ký số",
}
_KIND_EN: Final[dict[SignatureKind, str]] = {
    "initials": "Initials",
    "signatory": "Signature",
    "seal": "Seal of the organisation",
    "timestamp": "Timestamp",
    "other": "Signature",
}


def _subject(certificate: Any, key: str) -> str:
    value = certificate.subject.native.get(key, "")
    return ", ".join(value) if isinstance(value, list) else str(value)


def _algorithm(told: Told) -> str:
    if not told.bearer.key.startswith("RSA"):
        return told.bearer.key
    return f"{told.bearer.key} {'PSS' if told.pss else 'PKCS#1 v1.5'}"


def describe(signature: EmbeddedPdfSignature, facts: indications.Facts) -> SignatureVerdict:
    """Return the verdict on a signature that pyHanko read."""
    info: Any = signature.signer_info
    told = Told(
        field=str(signature.field_name),
        stamp=signature.sig_object_type == "/DocTimeStamp",
        bearer=bearer(Der(signature.signer_cert.dump())),
        pss=info["signature_algorithm"].signature_algo == "rsassa_pss",
        digest=signature.md_algorithm,
        signed_at=_aware(_time_in(signature)),
        subfilter=str(signature.sig_object.get("/SubFilter", ""))[1:],
    )
    return say(told, facts)


def _time_in(signature: EmbeddedPdfSignature) -> datetime | None:
    """Return the signer's own word, or the authority's where it is a timestamp."""
    if signature.sig_object_type != "/DocTimeStamp":
        return signature.self_reported_timestamp
    signed: Any = signature.signed_data
    return signed["encap_content_info"]["content"].parsed["gen_time"].native


def say(told: Told, facts: indications.Facts) -> SignatureVerdict:
    """Return the verdict with the facts of certificate and time."""
    kind, held = _kind_of(told), told.bearer
    good = facts.valid and facts.permitted_changes and (facts.trusted or facts.demo)
    indication, sub_indication = indications.of(facts)
    faults_vi = "; ".join(problem.vi for problem in facts.problems)
    faults_en = "; ".join(problem.en for problem in facts.problems)
    said_vi = f"{_KIND_VI[kind]} của {held.name}: {'hợp lệ' if good else 'không hợp lệ'}"
    said_en = f"{_KIND_EN[kind]} of {held.name}: {'valid' if good else 'not valid'}"
    note_vi, note_en = _notes(facts)
    return SignatureVerdict(
        field=told.field,
        kind=kind,
        signer_name=held.name,
        organisation=held.organisation,
        serial=held.serial,
        issuer=held.issuer,
        algorithm=_algorithm(told),
        digest=told.digest,
        signed_at=told.signed_at,
        covers=facts.covers,
        intact=facts.intact,
        valid=facts.valid,
        trusted=facts.trusted,
        demo=facts.demo,
        permitted_changes=facts.permitted_changes,
        revision_sha256=facts.revision_sha256,
        summary_vi=said_vi + (f" ({faults_vi})" if faults_vi else "") + note_vi,
        summary_en=said_en + (f" ({faults_en})" if faults_en else "") + note_en,
        valid_from=held.valid_from,
        valid_to=held.valid_to,
        problems=facts.problems,
        subfilter=told.subfilter,
        indication=indication,
        sub_indication=sub_indication,
        proven_at=facts.proven_at,
        revocation=facts.revocation,
        revoked_at=facts.revoked_at,
    )


def _notes(facts: indications.Facts) -> tuple[str, str]:
    """Say what a timestamp proves, and that a later revocation does not matter."""
    vi = en = ""
    if facts.proven_at is not None:
        vi = f"; dấu thời gian chứng minh có từ trước {_day(facts.proven_at)}"
        en = f"; a timestamp proves it older than {facts.proven_at:%Y-%m-%d %H:%MZ}"
    if facts.revocation == "revoked_later" and facts.revoked_at is not None:
        vi += f"; chứng thư bị thu hồi sau đó, lúc {_day(facts.revoked_at)}"
        en += f"; the certificate was revoked later, at {facts.revoked_at:%Y-%m-%d %H:%MZ}"
    return vi, en


def _day(moment: datetime) -> str:
    return moment.astimezone(_VIETNAM).strftime("%d.%m.%Y %H:%M")


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def unreadable(field: str, problem: Problem, cause: str, *, subfilter: str = "") -> SignatureVerdict:
    """Return the verdict on a signature of which nothing could be read, or nothing shall be."""
    indication, sub_indication = indications.because(cause)
    return SignatureVerdict(
        field=field,
        kind="other",
        signer_name="",
        organisation="",
        serial="",
        issuer="",
        algorithm="",
        digest="",
        signed_at=None,
        covers="part",
        intact=False,
        valid=False,
        trusted=False,
        demo=False,
        permitted_changes=False,
        revision_sha256=Sha256(hashlib.sha256(b"").digest()),
        summary_vi=f"Trường {field}: không hợp lệ ({problem.vi})",
        summary_en=f"Field {field}: not valid ({problem.en})",
        problems=(problem,),
        subfilter=subfilter,
        indication=indication,
        sub_indication=sub_indication,
    )
