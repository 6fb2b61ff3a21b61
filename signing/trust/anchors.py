"""Loading trust anchors: one PEM file or a directory of them, never a guess from what a signature brings along."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signing.contract import Der, Trust
from signing.errors import HolderMisconfigured


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
