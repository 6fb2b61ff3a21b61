"""Makes `tests/vectors/signed`: files signed in many ways, rightly and wrongly, with the verdict that each deserves.

Run `faketime '2026-03-01 09:00:00' .venv/bin/python -m tests.vectors.make_signed` to make them anew, with new keys; the
clock is what the signatures say of their time. What is committed is what counts:
a file made today must get the same verdict from every later version. pyHanko signs, as a stranger would; nothing of
`signing` is used. Verdicts are terms of ETSI EN 319 102-1.
"""

import asyncio
import hashlib
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pikepdf
from asn1crypto import cms, core
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name, pdf_string
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter, append_signature_field
from pyhanko.sign.general import as_signing_certificate_v2
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, PdfTimeStamper, SimpleSigner
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko_certvalidator.registry import SimpleCertificateStore

HERE = Path(__file__).parent / "signed"
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
ENDS = datetime(2035, 1, 1, tzinfo=UTC)
SIGNED = datetime(2026, 3, 1, 2, tzinfo=UTC)
REVOKED = datetime(2026, 6, 1, tzinfo=UTC)
LATER = datetime(2026, 9, 1, tzinfo=UTC)
AT = datetime(2026, 11, 20, tzinfo=UTC)
"""When all are judged."""
ROOM = 9000
"""Hexadecimal digits for a signature without a timestamp."""


class Person:
    """A key and its certificate."""

    def __init__(self, name: str, issuer: "Person | None", key: Any = None, **wanted: Any) -> None:
        self.name = name
        self.issuer = issuer or self
        self.key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = _certify(self, **wanted)

    @property
    def asn1(self) -> asn1.Certificate:
        return asn1.Certificate.load(self.certificate.public_bytes(Encoding.DER))

    @property
    def asn1_key(self) -> asn1_keys.PrivateKeyInfo:
        der = self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return asn1_keys.PrivateKeyInfo.load(der)


def _named(said: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, said)])


def _certify(
    person: Person, *, authority: bool = False, stamps: bool = False, valid: tuple[datetime, datetime] = (BEGAN, ENDS)
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority and not stamps,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(_named(person.name))
        .issuer_name(_named(person.issuer.name))
        .public_key(person.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(person.key.public_key()), critical=False)
    )
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(person.issuer.key.public_key())
    made = made.add_extension(authority_key, critical=False)
    if stamps:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return made.sign(person.issuer.key, hashes.SHA256())


ROOT = Person("Vector Root", None, authority=True)
ISSUING = Person("Vector Issuing", ROOT, authority=True)
LEADER = Person("Nguyễn Văn Véc-tơ", ISSUING)
LEADER_EC = Person("Trần Thị Đường Cong", ISSUING, ec.generate_private_key(ec.SECP256R1()))
SHORT = Person("Khóa Ngắn", ISSUING, rsa.generate_private_key(public_exponent=65537, key_size=1024))
EXPIRED = Person("Hết Hạn", ISSUING, valid=(BEGAN, REVOKED))
LOST = Person("Bị Thu Hồi", ISSUING)
TSA = Person("Vector TSA", ROOT, stamps=True)
STRANGER_ROOT = Person("Stranger Root", None, authority=True)
STRANGER = Person("Người Lạ", STRANGER_ROOT)


def crl() -> bytes:
    """Return the issuing authority's list, on which one certificate stands."""
    lost = (
        x509.RevokedCertificateBuilder()
        .serial_number(LOST.certificate.serial_number)
        .revocation_date(REVOKED)
        .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        .build()
    )
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ISSUING.certificate.subject)
        .last_update(AT - timedelta(days=1))
        .next_update(AT + timedelta(days=30))
        .add_revoked_certificate(lost)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ISSUING.key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(1), critical=False)
        .sign(ISSUING.key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def root_crl() -> bytes:
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ROOT.certificate.subject)
        .last_update(AT - timedelta(days=1))
        .next_update(AT + timedelta(days=30))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ROOT.key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(1), critical=False)
        .sign(ROOT.key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def page(
    text: str = "Quyet dinh", *, modern: bool = False, linear: bool = False, attached: bytes | None = None
) -> bytes:
    """Return one A4 page."""
    document = pikepdf.new()
    sheet = document.add_blank_page(page_size=(595.28, 841.89))
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    sheet.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
    sheet.obj.Contents = document.make_stream(f"BT /F 14 Tf 90 600 Td ({text}) Tj ET".encode())
    if attached is not None:
        document.attachments["signed.pdf"] = pikepdf.AttachedFileSpec(document, attached)
    mode = pikepdf.ObjectStreamMode.generate if modern else pikepdf.ObjectStreamMode.disable
    held = io.BytesIO()
    document.save(held, object_stream_mode=mode, linearize=linear, compress_streams=False, deterministic_id=True)
    return held.getvalue()


def _signer(who: Person, *, pss: bool = False) -> SimpleSigner:
    chain = [ISSUING.asn1, ROOT.asn1] if who.issuer is ISSUING else [who.issuer.asn1]
    return SimpleSigner(
        signing_cert=who.asn1,
        signing_key=who.asn1_key,
        cert_registry=SimpleCertificateStore.from_certs(chain),
        prefer_pss=pss,
    )


def stamper(at: datetime) -> DummyTimeStamper:
    return DummyTimeStamper(
        tsa_cert=TSA.asn1,
        tsa_key=TSA.asn1_key,
        certs_to_embed=SimpleCertificateStore.from_certs([ROOT.asn1]),
        fixed_dt=at,
    )


def sign(
    data: bytes,
    who: Person,
    *,
    field: str = "Signature1",
    pades: bool = True,
    digest: str = "sha256",
    pss: bool = False,
    stamped: datetime | None = None,
    signer: SimpleSigner | None = None,
) -> bytes:
    """Sign as pyHanko does it for anybody."""
    meta = PdfSignatureMetadata(
        field_name=field,
        md_algorithm=digest,
        subfilter=SigSeedSubFilter.PADES if pades else SigSeedSubFilter.ADOBE_PKCS7_DETACHED,
    )
    made = PdfSigner(
        meta,
        signer or _signer(who, pss=pss),
        timestamper=stamper(stamped) if stamped else None,
        new_field_spec=SigFieldSpec(field),
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(data), strict=False)
    return asyncio.run(made.async_sign_pdf(writer, bytes_reserved=ROOM + (5000 if stamped else 0))).getvalue()


def stamp(data: bytes, at: datetime) -> bytes:
    """Append a document timestamp."""
    made = PdfTimeStamper(stamper(at), field_name=f"Stamp{at:%m%d}")
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    return asyncio.run(made.async_timestamp_pdf(writer, "sha256", bytes_reserved=ROOM)).getvalue()


def revise(data: bytes, change: Callable[[Any], None]) -> bytes:
    """Append one revision by an honest writer."""
    held = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(held, strict=False)
    change(writer)
    writer.write_in_place()
    return held.getvalue()


def validation_data(writer: Any) -> None:
    certificates = [ISSUING.asn1, ROOT.asn1]
    lists = [asn1_crl(crl()), asn1_crl(root_crl())]
    DocumentSecurityStore.supply_dss_in_writer(writer, None, certs=certificates, crls=lists)


def asn1_crl(der: bytes) -> Any:
    from asn1crypto.crl import CertificateList  # noqa: PLC0415  one use

    return CertificateList.load(der)


def other_content(writer: Any) -> None:
    sheet = writer.find_page_for_modification(0)[0].get_object()
    sheet[pdf_name("/Contents")] = writer.add_object(
        generic.StreamObject(stream_data=b"BT /F 14 Tf 90 600 Td (Khac) Tj ET")
    )
    writer.update_container(sheet)


def note(writer: Any) -> None:
    edges = generic.ArrayObject(generic.NumberObject(edge) for edge in (90, 590, 300, 620))
    held = {
        "/Type": pdf_name("/Annot"),
        "/Subtype": pdf_name("/FreeText"),
        "/Rect": edges,
        "/Contents": pdf_string("x"),
    }
    writer.register_annotation(
        writer.find_page_for_modification(0)[0],
        writer.add_object(generic.DictionaryObject({pdf_name(key): value for key, value in held.items()})),
    )


def overlay(writer: Any) -> None:
    append_signature_field(writer, SigFieldSpec("Overlay", on_page=0, box=(90, 590, 300, 620)))


def twin(writer: Any) -> None:
    append_signature_field(writer, SigFieldSpec("Twin"))
    first, second = (reference.get_object() for reference in writer.root["/AcroForm"]["/Fields"])
    second[pdf_name("/V")] = first.raw_get("/V")
    writer.update_container(second)


def edit(data: bytes, old: bytes, new: bytes) -> bytes:
    """Replace the last of something by as many bytes."""
    at = data.rindex(old)
    return data[:at] + new.ljust(len(old)) + data[at + len(old) :]


def by_hand(
    container: Callable[[bytes], bytes], subfilter: str, base: bytes | None = None, *, linear: bool = False
) -> bytes:
    """Write one revision with a signature in it, without a signing library; `container` gets what is signed."""
    source = pikepdf.open(io.BytesIO(base or page()))
    value = source.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Sig,
            Filter=pikepdf.Name("/Adobe.PPKLite"),
            SubFilter=pikepdf.Name(f"/{subfilter}"),
            ByteRange=[0, 1111111111, 1111111111, 1111111111],
            Contents=pikepdf.String(b"\x01" * (ROOM // 2)),
            M=f"D:{SIGNED:%Y%m%d%H%M%S}Z",
        )
    )
    widget = source.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Widget, FT=pikepdf.Name.Sig, T="Signature1", F=132,
            Rect=[0, 0, 0, 0], V=value, P=source.pages[0].obj,
        )
    )  # fmt: skip
    source.pages[0].obj.Annots = [widget]
    source.Root.AcroForm = pikepdf.Dictionary(Fields=[widget], SigFlags=3)
    held = io.BytesIO()
    source.save(
        held, linearize=linear, object_stream_mode=pikepdf.ObjectStreamMode.disable, deterministic_id=True,
        compress_streams=False,
    )  # fmt: skip
    data = bytearray(held.getvalue())
    room = re.search(rb"<(?:01){%d}>" % (ROOM // 2), data)
    ranged = re.search(rb"\[ 0 1111111111 1111111111 1111111111 \]", data)
    assert room is not None
    assert ranged is not None
    said = b"[ 0 %d %d %d ]" % (room.start(), room.end(), len(data) - room.end())
    data[ranged.start() : ranged.end()] = said.ljust(ranged.end() - ranged.start())
    made = container(bytes(data[: room.start()] + data[room.end() :]))
    data[room.start() + 1 : room.end() - 1] = made.hex().encode().ljust(ROOM // 2 * 2, b"0")
    return bytes(data)


def cades(signed: bytes) -> bytes:
    digest = hashlib.sha256(signed).digest()
    return asyncio.run(_signer(LEADER).async_sign(digest, "sha256", use_pades=True)).dump()


def encapsulated_sha1(signed: bytes) -> bytes:
    """Return the PKCS#7 of adbe.pkcs7.sha1: the SHA-1 of the file lies inside and is what is signed."""
    content = {"content_type": "data", "content": core.OctetString(hashlib.sha1(signed).digest())}
    return asyncio.run(_signer(LEADER).async_sign_general_data(cms.ContentInfo(content), "sha1", detached=False)).dump()


class WrongCertificate(SimpleSigner):
    """Names another certificate in its signed attributes than its own."""

    async def signed_attrs(self, *args: Any, **kwargs: Any) -> cms.CMSAttributes:
        attributes = await super().signed_attrs(*args, **kwargs)
        for attribute in attributes:
            if attribute["type"].native == "signing_certificate_v2":
                attribute["values"] = [as_signing_certificate_v2(LEADER_EC.asn1)]
        return attributes


def _as(kind: type[SimpleSigner], who: Person, key: Person | None = None) -> SimpleSigner:
    return kind(
        signing_cert=who.asn1,
        signing_key=(key or who).asn1_key,
        cert_registry=SimpleCertificateStore.from_certs([ISSUING.asn1, ROOT.asn1]),
    )


def good() -> dict[str, tuple[bytes, list[str]]]:
    """Return what is to be accepted."""
    plain = sign(page(), LEADER)
    commented = re.sub(rb"startxref\n(\d+)\n%%EOF\n\Z", rb"%iText-Core-9.2.0\nstartxref\n\1\n%%EOF\n", page())
    passed = ["TOTAL-PASSED"]
    return {
        "cades-rsa": (plain, passed),
        "cades-pss": (sign(page(), LEADER, pss=True), passed),
        "cades-ecdsa": (sign(page(), LEADER_EC), passed),
        "cades-sha512": (sign(page(), LEADER, digest="sha512"), passed),
        "adbe-detached": (sign(page(), LEADER, pades=False), passed),
        "two-signatures": (sign(plain, LEADER_EC, field="Signature2"), passed * 2),
        "timestamped": (sign(page(), LEADER, stamped=SIGNED), passed),
        "archived": (
            stamp(revise(sign(page(), LEADER, stamped=SIGNED), validation_data), AT - timedelta(hours=1)), passed * 2,
        ),
        "stamped-then-changed-then-signed": (sign(revise(stamp(page(), SIGNED), other_content), LEADER), passed * 2),
        "linearised-then-signed": (sign(page(linear=True), LEADER), passed),
        "linearised-whole": (by_hand(cades, "ETSI.CAdES.detached", linear=True), passed),
        "linearised-whole-then-validation-data": (
            revise(by_hand(cades, "ETSI.CAdES.detached", linear=True), validation_data), passed,
        ),
        "one-revision": (by_hand(cades, "ETSI.CAdES.detached"), passed),
        "signed-file-attached": (sign(page(attached=plain), LEADER), passed),
        "xref-streams": (sign(page(modern=True), LEADER), passed),
        "comment-before-startxref": (sign(commented, LEADER), passed),
        "expired-but-timestamped": (sign(page(), EXPIRED, stamped=SIGNED), passed),
        "revoked-bare": (sign(page(), LOST), passed),
        "revoked-after-timestamp": (revise(sign(page(), LOST, stamped=SIGNED), validation_data), passed),
    }  # fmt: skip


def bad() -> dict[str, tuple[bytes, list[str]]]:
    """Return what is not."""
    plain = sign(page(), LEADER)
    raised = revise(plain, validation_data)
    start = plain.index(b"/Contents <") + len(b"/Contents <")
    changed = ["TOTAL-FAILED FORMAT_FAILURE"]
    weak = ["INDETERMINATE CRYPTO_CONSTRAINTS_FAILURE"]
    wide = re.sub(rb"/ByteRange \[0 (\d+) (\d+) (\d+)\] ", lambda found: b"/ByteRange [0 %d %s %s] " % (
        int(found[1]) - 5, found[2], found[3]), plain)  # fmt: skip
    return {
        "content-flipped": (edit(plain, b"(Quyet dinh)", b"(Quyet dimh)"), ["TOTAL-FAILED HASH_FAILURE"]),
        "value-of-another-key": (
            sign(page(), LEADER, signer=_as(SimpleSigner, LEADER, STRANGER)), ["TOTAL-FAILED SIG_CRYPTO_FAILURE"],
        ),
        "another-certificate-named": (
            sign(page(), LEADER, signer=_as(WrongCertificate, LEADER)), ["INDETERMINATE NO_SIGNING_CERTIFICATE_FOUND"],
        ),
        "adbe-sha1": (by_hand(encapsulated_sha1, "adbe.pkcs7.sha1"), weak),
        "digest-sha1": (sign(page(), LEADER, pades=False, digest="sha1"), weak),
        "short-key": (sign(page(), SHORT), weak),
        "unknown-subfilter": (by_hand(cades, "Example.Unheard"), changed),
        "expired": (sign(page(), EXPIRED), ["INDETERMINATE OUT_OF_BOUNDS_NO_POE"]),
        "unknown-authority": (sign(page(), STRANGER), ["INDETERMINATE NO_CERTIFICATE_CHAIN_FOUND"]),
        "revoked-without-time": (revise(sign(page(), LOST), validation_data), ["INDETERMINATE REVOKED_NO_POE"]),
        "revoked-before-timestamp": (
            revise(sign(page(), LOST, stamped=LATER), validation_data), ["INDETERMINATE REVOKED_NO_POE"],
        ),
        "signed-after-revocation": (
            revise(sign(stamp(page(), LATER), LOST), validation_data), ["TOTAL-PASSED", "TOTAL-FAILED REVOKED"],
        ),
        "objects-behind-the-end": (raised + b"4 0 obj\n<</Length 5>>stream\nBT ET\nendstream\nendobj\n", changed),
        "page-replaced": (revise(plain, other_content), changed),
        "note-added": (revise(plain, note), changed),
        "field-laid-over": (revise(plain, overlay), changed),
        "one-value-two-fields": (revise(plain, twin), changed * 2),
        "gap-too-wide": (wide, changed),
        "never-signed": (plain[:start] + b"0" * ROOM + plain[start + ROOM :], changed),
        "rewritten": (rewritten(plain), ["TOTAL-FAILED FORMAT_FAILURE"]),
    }  # fmt: skip


def rewritten(data: bytes) -> bytes:
    held = io.BytesIO()
    with pikepdf.open(io.BytesIO(data)) as document:
        document.save(held, deterministic_id=True)
    return held.getvalue()


def main() -> None:
    """Write the files and the table of verdicts."""
    HERE.mkdir(exist_ok=True)
    for old in HERE.glob("*.pdf"):
        old.unlink()
    (HERE / "root.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    (HERE / "tsa.pem").write_bytes(TSA.certificate.public_bytes(Encoding.PEM))
    (HERE / "revocations.crl").write_bytes(crl())
    table: dict[str, Any] = {}
    for accepted, files in ((True, good()), (False, bad())):
        for name, (data, indications) in files.items():
            (HERE / f"{name}.pdf").write_bytes(data)
            table[name] = {"ok": accepted, "signatures": indications}
    told = {"at": AT.isoformat(), "files": table}
    (HERE / "verdicts.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
