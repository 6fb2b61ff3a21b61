"""What lists and answers say of a certificate's revocation (thu hồi chứng thư): when, or not yet as of when.

Nothing is fetched: the data come with the file (its security store, a signature's own attribute) or from the caller,
and speak only when the issuer signed them. A revocation holds for ever, so a list that has run out still proves one;
that a certificate was *not* revoked is proved up to the moment of the list or answer (RFC 5280, RFC 6960).
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

_MOST: Final = 256
"""How many lists and answers of one file are looked at."""
_TORN: Final = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.ExtensionNotFound)


class Known(msgspec.Struct, frozen=True):
    """What is known of one certificate: when it was revoked, or the latest moment at which it was not."""

    revoked_at: datetime | None = None
    good_as_of: datetime | None = None


class Evidence:
    """The lists and answers at hand, read once."""

    def __init__(self, ders: Iterable[bytes]) -> None:
        self.lists: list[x509.CertificateRevocationList] = []
        self.answers: list[ocsp.OCSPResponse] = []
        for der in list(dict.fromkeys(ders))[:_MOST]:
            with suppress(*_TORN):
                self.lists.append(x509.load_der_x509_crl(der))
                continue
            with suppress(*_TORN):
                self.answers.append(ocsp.load_der_ocsp_response(der))

    def __bool__(self) -> bool:
        return bool(self.lists or self.answers)

    def of(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Known:
        """Return what the issuer's word in this evidence says of a certificate."""
        said = [*self._by_lists(certificate, issuer), *self._by_answers(certificate, issuer)]
        revoked = [each.revoked_at for each in said if each.revoked_at is not None]
        good = [each.good_as_of for each in said if each.good_as_of is not None]
        return Known(min(revoked, default=None), max(good, default=None))

    def _by_lists(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterable[Known]:
        for held in self.lists:
            with suppress(*_TORN):
                key: Any = issuer.public_key()
                if held.issuer != certificate.issuer or not held.is_signature_valid(key):
                    continue
                entry = held.get_revoked_certificate_by_serial_number(certificate.serial_number)
                if entry is not None and _is_of(entry, certificate.issuer):
                    yield Known(revoked_at=entry.revocation_date_utc)
                elif _is_whole(held):
                    yield Known(good_as_of=held.last_update_utc)

    def _by_answers(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterable[Known]:
        for held in self.answers:
            with suppress(*_TORN):
                if held.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL or not _answered_by(held, issuer):
                    continue
                for each in held.responses:
                    if not _is_about(each, certificate, issuer):
                        continue
                    if each.certificate_status == ocsp.OCSPCertStatus.REVOKED:
                        yield Known(revoked_at=each.revocation_time_utc)
                    elif each.certificate_status == ocsp.OCSPCertStatus.GOOD:
                        yield Known(good_as_of=each.this_update_utc)


def _is_of(entry: x509.RevokedCertificate, issuer: x509.Name) -> bool:
    """Say whether an entry revokes this issuer's certificate: not one lifted again, nor one of another issuer."""
    with suppress(x509.ExtensionNotFound):
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        if reason == x509.ReasonFlags.remove_from_crl:
            return False
    with suppress(x509.ExtensionNotFound):
        named = entry.extensions.get_extension_for_class(x509.CertificateIssuer).value
        return issuer in named.get_values_for_type(x509.DirectoryName)
    return True


def _is_whole(held: x509.CertificateRevocationList) -> bool:
    """Say whether a certificate that is not on the list is not revoked: no delta, no list of a part."""
    kinds = (x509.DeltaCRLIndicator, x509.IssuingDistributionPoint)
    return not any(isinstance(extension.value, kinds) for extension in held.extensions)


def _is_about(said: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if said.serial_number != certificate.serial_number:
        return False
    return said.issuer_name_hash == _hash(said.hash_algorithm, issuer.subject.public_bytes()) and (
        said.issuer_key_hash == _hash(said.hash_algorithm, _key_bytes(issuer))
    )


def _key_bytes(certificate: x509.Certificate) -> bytes:
    """Return the key as its identifier hashes it: without the algorithm (RFC 6960, 4.1.1)."""
    key: Any = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _hash(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _answered_by(held: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Say whether the issuer signed an answer, or somebody whom the issuer made its responder."""
    return any(_signed(held, one) for one in (issuer, *(one for one in held.certificates if _delegated(one, issuer))))


def _delegated(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    with suppress(*_TORN):
        certificate.verify_directly_issued_by(issuer)
        usage: Sequence[x509.ObjectIdentifier] = list(
            certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        )
        return ExtendedKeyUsageOID.OCSP_SIGNING in usage
    return False


def _signed(held: ocsp.OCSPResponse, by: x509.Certificate) -> bool:
    key, algorithm = by.public_key(), held.signature_hash_algorithm
    with suppress(*_TORN):
        if algorithm is None:
            return False
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(held.signature, held.tbs_response_bytes, padding.PKCS1v15(), algorithm)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(held.signature, held.tbs_response_bytes, ec.ECDSA(algorithm))
            return True
    return False
