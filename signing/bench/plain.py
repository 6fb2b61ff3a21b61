"""The base: plain pyHanko as its documentation shows it, on the same laid file, with the same keys and pictures."""

import io
from importlib.resources import files
from typing import Any

from asn1crypto import keys, x509
from PIL import Image
from pyhanko.pdf_utils import layout
from pyhanko.pdf_utils.font.opentype import GlyphAccumulatorFactory
from pyhanko.pdf_utils.images import PdfImage
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.text import TextBoxStyle
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.stamp import StaticStampStyle, TextStampStyle
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.bench.ground import Ground, Person

STAMP: tuple[str, ...] = ("Người ký: Nguyễn Văn Ký", "Cơ quan: UBND xã Thử Nghiệm", "Thời gian ký: 20.11.2026 08:30:15")


def signer(ground: Ground, who: Person) -> SimpleSigner:
    """Return pyHanko's signer for key files."""
    return SimpleSigner(
        signing_cert=x509.Certificate.load(who.certificate),
        signing_key=keys.PrivateKeyInfo.load(who.pkcs8),
        cert_registry=SimpleCertificateStore.from_certs([x509.Certificate.load(one) for one in ground.chain]),
        embed_roots=False,
    )


def sign(data: bytes, held: SimpleSigner, field: str, style: Any = None) -> bytes:
    """Sign a field that is there already."""
    meta = PdfSignatureMetadata(field_name=field, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES)
    pen = PdfSigner(meta, held, stamp_style=style) if style else PdfSigner(meta, held)
    done: Any = pen.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(data)), existing_fields_only=True)
    return done.getvalue()


def styles(ground: Ground) -> tuple[TextStampStyle, StaticStampStyle]:
    """Return a signatory's stamp of picture and Vietnamese text, and a seal of its picture alone."""
    font = GlyphAccumulatorFactory(str(files("signing.pdf.fonts") / "MotcuaSerif-Regular.ttf"), font_size=8)
    middle = layout.SimpleBoxLayoutRule(layout.AxisAlignment.ALIGN_MID, layout.AxisAlignment.ALIGN_MID)
    pictures = {name: PdfImage(Image.open(io.BytesIO(png))) for name, png in ground.pictures.items()}
    signatory = TextStampStyle(
        border_width=0,
        background=pictures["signatory"],
        background_opacity=1.0,
        text_box_style=TextBoxStyle(font=font, font_size=8, leading=10),
        stamp_text="\n".join(STAMP),
    )
    seal = StaticStampStyle(
        border_width=0, background=pictures["seal"], background_opacity=1.0, background_layout=middle
    )
    return signatory, seal


def verify(data: bytes, ground: Ground) -> bool:
    """Judge a file's one signature by pyHanko's defaults."""
    anchors = [x509.Certificate.load(der) for der in ground.trust.anchors]
    chain = [x509.Certificate.load(der) for der in ground.chain]
    context = ValidationContext(trust_roots=anchors, other_certs=chain, moment=ground.at, allow_fetching=False)
    signature = PdfFileReader(io.BytesIO(data)).embedded_signatures[0]
    return validate_pdf_signature(signature, context).bottom_line
