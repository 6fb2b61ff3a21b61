"""Loading trust anchors: one PEM file or a directory of them, never a guess from what a signature brings along."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from asn1crypto import ocsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signing.contract import Der, Trust
from signing.errors import HolderMisconfigured, UnreadableFile
from signing.levels import Evidence


def load_certificates(place: Path) -> tuple[Der, ...]:
    """Return the certificates of a PEM file, or of every .pem and .crt in a directory, in the order of their names."""
    files = sorted(path for path in place.iterdir() if path.suffix in {".pem", ".crt"}) if place.is_dir() else [place]
    found: list[Der] = []
    for path in files:
        try:
            loaded = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            raise HolderMisconfigured(
                f"Không đọc được chứng thư gốc tin cậy: {path.name}", f"No trust anchor can be read from {path.name}"
            ) from error
        found += [Der(certificate.public_bytes(Encoding.DER)) for certificate in loaded]
    return tuple(found)


def load_trust(anchors: Path | None, demo_anchors: Path | None = None) -> Trust:
    """Return the trust made of real anchors and, in demonstrations alone, demo anchors."""
    return Trust(
        anchors=load_certificates(anchors) if anchors else (),
        demo_anchors=load_certificates(demo_anchors) if demo_anchors else (),
    )


def load_revocations(places: Iterable[Path]) -> Evidence:
    """Return revocation lists (PEM or DER) and OCSP answers (DER) from files, as evidence; raise UnreadableFile."""
    crls: list[bytes] = []
    ocsps: list[bytes] = []
    for place in places:
        try:
            data = place.read_bytes()
            load = x509.load_pem_x509_crl if data.startswith(b"-----BEGIN") else x509.load_der_x509_crl
            with suppress(ValueError):
                crls.append(load(data).public_bytes(Encoding.DER))
                continue
            answer: Any = ocsp.OCSPResponse.load(data, strict=True)
            _ = answer.native
        except (OSError, ValueError) as error:
            raise UnreadableFile(
                f"Không đọc được dữ liệu thu hồi: {place.name}; cần CRL hoặc trả lời OCSP",
                f"No revocation data can be read from {place.name}; a CRL or an OCSP response is needed",
            ) from error
        ocsps.append(data)
    return Evidence(crls=tuple(crls), ocsps=tuple(ocsps))
