"""What lists and answers say of a certificate's revocation (thu hồi chứng thư): when, or not yet as of when.

Nothing is fetched: the data come with the file (its security store, a signature's own attribute) or from the caller,
and speak only when the issuer signed them. A revocation holds for ever, so a list that has run out still proves one,
but not a hold (certificateHold), of which the newest word counts;
that a certificate was *not* revoked is proved up to the moment of the list or answer (RFC 5280, RFC 6960).
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
from asn1crypto import ocsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko_certvalidator.sig_validate import DefaultSignatureValidator

from signing.levels import Evidence

_MOST: Final = 256
"""How many lists and answers of one file are looked at."""
_TORN: Final = (
    ValueError, TypeError, LookupError, AttributeError, UnsupportedAlgorithm, InvalidSignature, x509.ExtensionNotFound
)  # fmt: skip


class Known(msgspec.Struct, frozen=True):
    """What is known of one certificate: when it was revoked, or the latest moment at which it was not.

    `held_since` is of one on hold (tạm dừng) by the newest word there is: its authority revokes it yet, or lifts it.
    """

    revoked_at: datetime | None = None
    good_as_of: datetime | None = None
    held_since: datetime | None = None


class _Hold(msgspec.Struct, frozen=True):
    """That a certificate was on hold since one moment, by a word of another."""

    since: datetime
    as_of: datetime


class Revocations:
    """The lists and answers in some evidence, read once; what cannot be read proves nothing."""

    def __init__(self, evidence: Evidence) -> None:
        self.lists: list[x509.CertificateRevocationList] = []
        self.answers: list[Any] = []
        """OCSP answers as asn1crypto reads them: cryptography refuses fractions of a second, which responders send."""
        for der in list(dict.fromkeys((*evidence.crls, *evidence.ocsps)))[:_MOST]:
            with suppress(*_TORN):
                self.lists.append(x509.load_der_x509_crl(der))
                continue
            with suppress(*_TORN):
                held: Any = ocsp.OCSPResponse.load(der, strict=True)
                if held["response_status"].native == "successful":
                    self.answers.append(held.basic_ocsp_response)

    def __bool__(self) -> bool:
        return bool(self.lists or self.answers)

    def of(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Known:
        """Return what the issuer's word in this evidence says of a certificate."""
        said = [*self._by_lists(certificate, issuer), *self._by_answers(certificate, issuer)]
        revoked = [each.revoked_at for each in said if isinstance(each, Known) and each.revoked_at is not None]
        good = max(
            (each.good_as_of for each in said if isinstance(each, Known) and each.good_as_of is not None), default=None
        )
        newest = max((each for each in said if isinstance(each, _Hold)), key=lambda each: each.as_of, default=None)
        holds = newest is not None and not revoked and (good is None or good < newest.as_of)
        return Known(min(revoked, default=None), good, newest.since if newest is not None and holds else None)

    def _by_lists(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterable[Known | _Hold]:
        for held in self.lists:
            with suppress(*_TORN):
                key: Any = issuer.public_key()
                if held.issuer != certificate.issuer or not held.is_signature_valid(key):
                    continue
                entry = held.get_revoked_certificate_by_serial_number(certificate.serial_number)
                if entry is not None and _is_of(entry, certificate.issuer):
                    yield _entered(entry, held.last_update_utc)
                elif _is_whole(held):
                    yield Known(good_as_of=held.last_update_utc)

    def _by_answers(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterable[Known | _Hold]:
        for held in self.answers:
            with suppress(*_TORN):
                if not _answered_by(held, issuer):
                    continue
                for each in held["tbs_response_data"]["responses"]:
                    if not _is_about(each["cert_id"], certificate, issuer):
                        continue
                    status = each["cert_status"]
                    if status.name == "revoked":
                        since = status.chosen["revocation_time"].native
                        held_back = status.chosen["revocation_reason"].native == "certificate_hold"
                        yield _Hold(since, each["this_update"].native) if held_back else Known(revoked_at=since)
                    elif status.name == "good":
                        yield Known(good_as_of=each["this_update"].native)


def _entered(entry: x509.RevokedCertificate, as_of: datetime) -> Known | _Hold:
    """Return what an entry says: revoked for ever, on hold, or, in a list of changes, no more on hold."""
    with suppress(x509.ExtensionNotFound):
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        if reason == x509.ReasonFlags.remove_from_crl:
            return Known(good_as_of=as_of)
        if reason == x509.ReasonFlags.certificate_hold:
            return _Hold(entry.revocation_date_utc, as_of)
    return Known(revoked_at=entry.revocation_date_utc)


def _is_of(entry: x509.RevokedCertificate, issuer: x509.Name) -> bool:
    """Say whether an entry is about this issuer's certificate, and not one of another issuer."""
    with suppress(x509.ExtensionNotFound):
        named = entry.extensions.get_extension_for_class(x509.CertificateIssuer).value
        return issuer in named.get_values_for_type(x509.DirectoryName)
    return True


def _is_whole(held: x509.CertificateRevocationList) -> bool:
    """Say whether a certificate that is not on the list is not revoked: no delta, no list of a part."""
    kinds = (x509.DeltaCRLIndicator, x509.IssuingDistributionPoint)
    return not any(isinstance(extension.value, kinds) for extension in held.extensions)


def _is_about(said: Any, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Compare the serial number, and the hashes of the issuer's name and of its key alone (RFC 6960, 4.1.1)."""
    if said["serial_number"].native != certificate.serial_number:
        return False
    by: Any = asn1.Certificate.load(issuer.public_bytes(Encoding.DER))
    algorithm = said["hash_algorithm"]["algorithm"].native
    name, key = by.subject.dump(), bytes(by.public_key["public_key"])
    return (said["issuer_name_hash"].native, said["issuer_key_hash"].native) == (
        hashlib.new(algorithm, name).digest(),
        hashlib.new(algorithm, key).digest(),
    )


def _answered_by(held: Any, issuer: x509.Certificate) -> bool:
    """Say whether the issuer signed an answer, or somebody whom the issuer made its responder."""
    brought = [x509.load_der_x509_certificate(each.dump()) for each in held["certs"]]
    return any(_signed(held, one) for one in (issuer, *(one for one in brought if _delegated(one, issuer))))


def _delegated(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    with suppress(*_TORN):
        certificate.verify_directly_issued_by(issuer)
        usage: Sequence[x509.ObjectIdentifier] = list(
            certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        )
        return ExtendedKeyUsageOID.OCSP_SIGNING in usage
    return False


def _signed(held: Any, by: x509.Certificate) -> bool:
    with suppress(*_TORN):
        DefaultSignatureValidator().validate_signature(
            signature=held["signature"].native,
            signed_data=held["tbs_response_data"].dump(),
            public_key_info=asn1.Certificate.load(by.public_bytes(Encoding.DER)).public_key,
            signature_algorithm=held["signature_algorithm"],
        )
        return True
    return False
