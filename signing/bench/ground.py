"""What the benchmark signs with and on: throw-away certificates, one small page, and a scan of twenty pages."""

import hashlib
import io
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from PIL import Image, ImageDraw

from signing.contract import Der, Field, FieldPlan, Mechanism, Sha256, Trust
from signing.pdf.fields import lay

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_A4: Final = (595.28, 841.89)


class Person(msgspec.Struct, frozen=True):
    """A key with its certificate; `pkcs8` is what plain pyHanko is given."""

    key: Key
    certificate: Der
    mechanism: Mechanism
    pkcs8: bytes


class Paper(msgspec.Struct, frozen=True):
    """A laid file."""

    name: str
    path: Path
    data: bytes
    sha256: Sha256
    plan: FieldPlan


class Ground(msgspec.Struct, frozen=True):
    """Everything that a case needs."""

    room: Path
    at: datetime
    people: dict[str, Person]
    chain: tuple[Der, ...]
    trust: Trust
    pictures: dict[str, bytes]
    papers: tuple[Paper, ...]


def make(room: Path, *, at: datetime, scan: bool) -> Ground:
    """Make keys, certificates, pictures and files in an empty directory."""
    root_key, issuing_key = _rsa(), _rsa()
    root = _issue("Bench Root", root_key, "Bench Root", root_key, at, authority=True)
    issuing = _issue("Bench Issuing", issuing_key, "Bench Root", root_key, at, authority=True)

    def person(name: str, key: Key, mechanism: Mechanism) -> Person:
        certificate = _issue(name, key, "Bench Issuing", issuing_key, at, authority=False)
        return Person(key, certificate, mechanism, key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    people = {
        "rsa": person("Nguyễn Văn Ký", _rsa(), "rsa_pkcs1v15"),
        "p256": person("Trần Thị Ấn", ec.generate_private_key(ec.SECP256R1()), "ecdsa"),
        "seal": person("UBND xã Thử Nghiệm", _rsa(), "rsa_pkcs1v15"),
    }
    papers = [_paper(room, "61 kB", pages=1, noise=58_000)]
    if scan:
        papers.append(_paper(room, "10 MB", pages=20, noise=500_000))
    return Ground(
        room=room,
        at=at,
        people=people,
        chain=(issuing, root),
        trust=Trust(anchors=(root,)),
        pictures={"signatory": _picture((420, 180), "blue"), "seal": _picture((425, 425), "red")},
        papers=tuple(papers),
    )


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _issue(name: str, key: Key, issuer: str, issuer_key: Key, at: datetime, *, authority: bool) -> Der:
    def named(said: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, said)])

    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,
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
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return Der(made.public_bytes(Encoding.DER))


def _picture(size: tuple[int, int], colour: str) -> bytes:
    image = Image.new("RGBA", size)
    pen = ImageDraw.Draw(image)
    for inset in range(10, min(size) // 2, 30):
        pen.ellipse((inset, inset, size[0] - inset, size[1] - inset), outline=colour, width=6)
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def _paper(room: Path, name: str, *, pages: int, noise: int) -> Paper:
    """Write pages that each show one picture of noise, as a scanner's compressed pages are to a digest."""
    source, path = room / f"source-{pages}.pdf", room / f"laid-{pages}.pdf"
    document, draw = pikepdf.new(), random.Random(1)  # noqa: S311  noise to fill a page with
    for _ in range(pages):
        sheet = document.add_blank_page(page_size=_A4)
        side = int((noise / 3) ** 0.5)
        picture = document.make_stream(draw.randbytes(side * side * 3))
        picture.stream_dict = pikepdf.Dictionary(
            Type=pikepdf.Name.XObject,
            Subtype=pikepdf.Name.Image,
            Width=side,
            Height=side,
            ColorSpace=pikepdf.Name.DeviceRGB,
            BitsPerComponent=8,
            Length=side * side * 3,
        )
        sheet.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=picture))
        sheet.obj.Contents = document.make_stream(b"q 500 0 0 700 48 70 cm /I Do Q")
    document.save(source, compress_streams=False, object_stream_mode=pikepdf.ObjectStreamMode.disable)

    def field(name: str, kind: str, box: tuple[float, float, float, float]) -> Field:
        return Field(name=name, kind="text" if kind == "text" else "signature", page=0, box=box)

    plan = FieldPlan(
        number=field("Number", "text", (85, 722, 245, 740)),
        issued_date=field("IssuedDate", "text", (330, 722, 560, 740)),
        signatures=(
            field("Signatory1", "signature", (380, 120, 530, 190)),
            field("Seal", "signature", (328, 88, 430, 208)),
        ),
    )
    lay(str(source), str(path), plan, None)
    data = path.read_bytes()
    return Paper(name, path, data, Sha256(hashlib.sha256(data).digest()), plan)
