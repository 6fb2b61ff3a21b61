"""Whether a certificate may be bound to somebody: read whole, in its time, for signatures, under an anchor we believe.

The chain is the key holder's word and is judged like the certificate; nothing is fetched, so revocation is not asked.
"""

import asyncio
from datetime import datetime
from typing import Any, Final

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, PathValidationError

from signing.contract import CertificateFacts, HeldCertificate, Mechanism, Trust
from signing.errors import CertificateUnfit
from signing.pdf.appearance import check_image
from signing.pdf.prepare import check_certificate

_LONGEST_NAME: Final = 1000


def examine(held: HeldCertificate, trust: Trust, image_png: bytes | None, *, at: datetime) -> CertificateFacts:
    """Return what a held certificate says of itself.

    Raises:
        CertificateUnfit: it is illegible, an authority's, not for signatures, out of its time, or under no anchor.
        NotSignable: the image is none, or too large.
    """
    if image_png is not None:
        check_image(image_png)
    try:
        parsed = x509.load_der_x509_certificate(held.certificate)
        key, authority = parsed.public_key(), _is_authority(parsed)
    except ValueError as error:
        raise CertificateUnfit("Chứng thư số không đọc được", "The certificate is not legible") from error
    if authority:
        raise CertificateUnfit(
            "Đây là chứng thư của tổ chức cấp chứng thư, không phải của người ký",
            "The certificate is an authority's, not a signatory's",
        )
    mechanism: Mechanism = "rsa_pkcs1v15" if isinstance(key, rsa.RSAPublicKey) else "ecdsa"
    check_certificate(held.certificate, mechanism, at)
    anchor = asyncio.run(_anchor_of(held, trust, at))
    return CertificateFacts(
        serial=f"{parsed.serial_number:x}",
        issuer=parsed.issuer.rfc4514_string()[:_LONGEST_NAME],
        subject=parsed.subject.rfc4514_string()[:_LONGEST_NAME],
        common_name=_said(parsed, NameOID.COMMON_NAME),
        organisation=_said(parsed, NameOID.ORGANIZATION_NAME),
        mechanism=mechanism,
        valid_from=parsed.not_valid_before_utc,
        valid_to=parsed.not_valid_after_utc,
        demo=anchor in set(trust.demo_anchors) and anchor not in set(trust.anchors),
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _said(certificate: x509.Certificate, what: x509.ObjectIdentifier) -> str:
    return next((str(each.value) for each in certificate.subject.get_attributes_for_oid(what)), "")


async def _anchor_of(held: HeldCertificate, trust: Trust, at: datetime) -> bytes:
    """Return the anchor at which the chain ends."""
    anchors = [asn1.Certificate.load(der) for der in (*trust.anchors, *trust.demo_anchors)]
    context = ValidationContext(trust_roots=anchors, moment=at, allow_fetching=False)
    chain = [asn1.Certificate.load(der) for der in held.chain]
    validator = CertificateValidator(asn1.Certificate.load(held.certificate), chain, validation_context=context)
    try:
        path: Any = await validator.async_validate_path()
    except (PathBuildingError, PathValidationError, ValueError) as error:
        raise CertificateUnfit(
            "Chứng thư không thuộc tổ chức cấp chứng thư nào được tin cậy",
            "The certificate is under no authority that is trusted here",
        ) from error
    return path.trust_anchor.certificate.dump()
