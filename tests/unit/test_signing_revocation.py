"""What lists and answers say of a certificate, and whose word does not count."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signing.levels import Evidence
from signing.making import make_certificate
from signing.pdf.revocation import Known, Revocations

NOW = datetime(2026, 11, 20, tzinfo=UTC)
REVOKED = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def named(said):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, said)])


class Party:
    def __init__(self, name, issuer=None, path_length=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        by = issuer or self
        self.certificate = make_certificate(
            named(name), named(issuer.name if issuer else name), self.key, by.key,
            valid=(NOW - 700 * DAY, NOW + 700 * DAY), path_length=path_length,
        )  # fmt: skip
        self.name = name


ISSUER = Party("Issuer", path_length=0)
OTHER = Party("Other", path_length=0)
SIGNER = Party("Signer", ISSUER)


def responder(issuer, *, delegated):
    """A responder's certificate, with or without the issuer's leave to answer in its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder().subject_name(named("Responder")).issuer_name(named(issuer.name))
        .public_key(key.public_key()).serial_number(7).not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    )  # fmt: skip
    if delegated:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
    return key, made.sign(issuer.key, hashes.SHA256())


def answer(status, *, of=SIGNER, issuer=ISSUER, key=None, by=None, reason=None):
    gone = status == ocsp.OCSPCertStatus.REVOKED
    made = ocsp.OCSPResponseBuilder().add_response(
        cert=of.certificate, issuer=issuer.certificate, algorithm=hashes.SHA1(), cert_status=status,
        this_update=NOW - DAY, next_update=NOW + DAY, revocation_time=REVOKED if gone else None,
        revocation_reason=reason,
    )  # fmt: skip
    by = by or issuer.certificate
    made = made.responder_id(ocsp.OCSPResponderEncoding.HASH, by).certificates([by])
    return made.sign(key or issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def revocations(*entries, issuer=ISSUER, extension=None, at=NOW - DAY):
    made = x509.CertificateRevocationListBuilder().issuer_name(named(issuer.name))
    made = made.last_update(at).next_update(NOW + DAY)
    for entry in entries:
        made = made.add_revoked_certificate(entry)
    if extension is not None:
        made = made.add_extension(extension, critical=True)
    return made.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def entry(*, lifted=False, reason=None):
    made = x509.RevokedCertificateBuilder().serial_number(SIGNER.certificate.serial_number).revocation_date(REVOKED)
    if lifted:
        reason = x509.ReasonFlags.remove_from_crl
    if reason is not None:
        made = made.add_extension(x509.CRLReason(reason), critical=False)
    return made.build()


def known(*ders):
    return Revocations(Evidence(ocsps=ders, crls=ders)).of(SIGNER.certificate, ISSUER.certificate)


def test_an_answer_of_the_issuer_or_of_its_responder_counts():
    assert known(answer(ocsp.OCSPCertStatus.GOOD)) == Known(good_as_of=NOW - DAY)
    assert known(answer(ocsp.OCSPCertStatus.REVOKED)) == Known(revoked_at=REVOKED)
    key, certificate = responder(ISSUER, delegated=True)
    assert known(answer(ocsp.OCSPCertStatus.REVOKED, key=key, by=certificate)) == Known(revoked_at=REVOKED)


def test_nobody_elses_answer_does():
    undelegated = responder(ISSUER, delegated=False)
    stranger = responder(OTHER, delegated=True)
    for key, certificate in (undelegated, stranger):
        assert known(answer(ocsp.OCSPCertStatus.REVOKED, key=key, by=certificate)) == Known()
    assert known(answer(ocsp.OCSPCertStatus.REVOKED, of=Party("Second", ISSUER))) == Known()
    assert known(answer(ocsp.OCSPCertStatus.UNKNOWN)) == Known()
    told = answer(ocsp.OCSPCertStatus.REVOKED)
    assert b"20260601" in told
    assert known(told.replace(b"20260601", b"20260501")) == Known()
    assert known(ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(
        Encoding.DER)) == Known()  # fmt: skip


def test_a_list_tells_who_is_on_it_and_who_is_not():
    assert known(revocations()) == Known(good_as_of=NOW - DAY)
    assert known(revocations(entry())) == Known(revoked_at=REVOKED)
    assert known(revocations(entry()), answer(ocsp.OCSPCertStatus.GOOD)) == Known(REVOKED, NOW - DAY)
    assert known(revocations(entry(lifted=True))) == Known(good_as_of=NOW - DAY)
    assert known(revocations(entry(), issuer=OTHER)) == Known()


def test_of_a_hold_the_newest_word_counts_and_a_revocation_is_for_ever():
    hold, later = entry(reason=x509.ReasonFlags.certificate_hold), NOW - DAY / 2
    assert known(revocations(hold)) == Known(held_since=REVOKED)
    assert known(revocations(hold), revocations(at=later)) == Known(good_as_of=later)
    assert known(revocations(hold, at=later), revocations()) == Known(good_as_of=NOW - DAY, held_since=REVOKED)
    lifted = revocations(entry(lifted=True), extension=x509.DeltaCRLIndicator(1), at=later)
    assert known(revocations(hold), lifted) == Known(good_as_of=later)
    for ders in (
        (revocations(hold, at=later), revocations(entry())),
        (revocations(hold), revocations(entry(), at=later)),
    ):
        assert known(*ders) == Known(revoked_at=REVOKED)
    held = answer(ocsp.OCSPCertStatus.REVOKED, reason=x509.ReasonFlags.certificate_hold)
    assert known(held) == Known(held_since=REVOKED)
    assert known(held, revocations(at=later)) == Known(good_as_of=later)


@pytest.mark.parametrize(
    "part",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(
            None, None, False, False, frozenset({x509.ReasonFlags.key_compromise}), False, False
        ),
    ],
)
def test_a_list_of_a_part_revokes_and_acquits_nobody(part):
    assert known(revocations(extension=part)) == Known()
    assert known(revocations(entry(), extension=part)) == Known(revoked_at=REVOKED)
