"""Which certificates may be bound to somebody: each fault is planted in a certificate of its own."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

import signing
from signing.contract import HeldCertificate, Trust
from signing.errors import CertificateUnfit, NotSignable
from tests.paper import AT, chain, der, key, trust


def held(certificate: bytes, above: tuple[bytes, ...] | None = None) -> HeldCertificate:
    return HeldCertificate(
        credential_id="x",
        certificate=certificate,
        chain=chain() if above is None else above,
        valid_from=AT,
        valid_to=AT,
    )


def made(*, years: int = 1, usage: bool = True, bits: int = 2048) -> bytes:
    """A certificate of the test authority for another key, with one thing about it changed."""
    issuer = x509.load_der_x509_certificate(der("issuing"))
    own = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Nguyễn Văn Ký")]))
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AT - timedelta(days=400))
        .not_valid_after(AT + timedelta(days=365 * years))
    )
    flags = dict.fromkeys(
        ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    flags |= {"digital_signature": usage, "content_commitment": False, "data_encipherment": not usage}
    builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    return builder.sign(key("issuing"), hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_fit_certificate_says_whose_it_is():
    facts = signing.examine(held(der("leader")), trust(), at=AT)
    assert (facts.common_name, facts.organisation) == ("Nguyễn Văn Ký", "UBND xã Thử Nghiệm")
    assert (facts.mechanism, facts.demo) == ("ecdsa", False)
    assert facts.serial == f"{x509.load_der_x509_certificate(der('leader')).serial_number:x}"
    assert signing.examine(held(der("leader-rsa")), trust(), at=AT).mechanism == "rsa_pkcs1v15"
    assert signing.examine(held(der("leader")), Trust(demo_anchors=(der("root"),)), at=AT).demo
    assert signing.examine(held(made()), trust(), at=AT).organisation == ""


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (lambda: held(b"no certificate at all"), "not legible"),
        (lambda: held(der("issuing"), (der("root"),)), "an authority's"),
        (lambda: held(made(usage=False)), "not for signatures"),
        (lambda: held(made(bits=1024)), "does not fit"),
        (lambda: held(made(years=-1)), "not valid at the moment"),
        (lambda: held(der("leader"), ()), "under no authority"),
    ],
)
def test_an_unfit_certificate_is_refused_for_what_is_wrong_with_it(case, said):
    with pytest.raises(CertificateUnfit, match=said):
        signing.examine(case(), trust(), at=AT)


def test_a_stranger_with_the_names_of_an_authority_is_under_no_anchor():
    with pytest.raises(CertificateUnfit, match="under no authority"):
        signing.examine(held(der("leader")), Trust(anchors=(der("seal"),)), at=AT)


def test_an_image_that_is_none_is_refused():
    with pytest.raises(NotSignable):
        signing.examine(held(der("leader")), trust(), b"GIF89a, more or less", at=AT)
