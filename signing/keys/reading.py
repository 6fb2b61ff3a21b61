"""What remote signers send, read with suspicion: anything that is not legible counts as no answer."""

import base64
import binascii
from typing import Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signing.contract import Der, HeldCertificate
from signing.errors import HolderUnavailable

_T = TypeVar("_T")
SHA256_OID: Final = "2.16.840.1.101.3.4.2.1"


def unavailable(why: str) -> HolderUnavailable:
    """Say that the service does not answer, or not legibly."""
    return HolderUnavailable("Dịch vụ ký số từ xa không trả lời", f"The remote signer does not answer ({why})")


def decode(body: bytes, kind: type[_T]) -> _T:
    """Read an answer; raise HolderUnavailable when it is not legible."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise unavailable("the answer is not legible") from None


def held(credential_id: str, certificates: list[str]) -> HeldCertificate:
    """Read a credential's certificates, its own first (base64 of DER)."""
    try:
        parsed = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in certificates]
        own = parsed[0]
    except (ValueError, binascii.Error, IndexError):
        raise unavailable("a certificate is not legible") from None
    return HeldCertificate(
        credential_id=credential_id,
        certificate=Der(own.public_bytes(Encoding.DER)),
        chain=_chain(own, parsed[1:]),
        valid_from=own.not_valid_before_utc,
        valid_to=own.not_valid_after_utc,
    )


def _chain(own: x509.Certificate, others: list[x509.Certificate]) -> tuple[Der, ...]:
    """Order what the service sent, from the issuer to the root: only the first place is agreed."""
    chain: list[x509.Certificate] = []
    below = own
    while above := next((one for one in others if one.subject == below.issuer and one not in chain), None):
        chain.append(above)
        if above.subject == above.issuer:
            break
        below = above
    return tuple(Der(one.public_bytes(Encoding.DER)) for one in chain)
