"""The CMS written by hand, the cut font, and the value check, against plain pyHanko and the library itself."""

import asyncio
import hashlib
import io

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import keys, x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fontTools.ttLib import TTFont
from pyhanko.sign.signers import SimpleSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing.errors import CertificateUnfit, NotSignable, ValueMismatch
from signing.keys.software import sign_hash
from signing.pdf import cms, typeface
from tests.paper import chain, der, key

DIGEST = hashlib.sha256(b"document").digest()


def plain_pyhanko(who: str, *, prefer_pss: bool = False) -> bytes:
    pem = key(who).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signer = SimpleSigner(
        signing_cert=x509.Certificate.load(der(who)),
        signing_key=keys.PrivateKeyInfo.load(pem),
        cert_registry=SimpleCertificateStore.from_certs([x509.Certificate.load(one) for one in chain()]),
        embed_roots=False,
        prefer_pss=prefer_pss,
    )
    return asyncio.run(signer.async_sign(DIGEST, "sha256", use_pades=True)).dump()


def ours(who: str, mechanism: str) -> bytes:
    attributes = cms.signed_attributes(der(who), DIGEST)
    value = sign_hash(key(who), hashlib.sha256(attributes).digest(), mechanism)
    return cms.signed_data(certificate=der(who), chain=chain(), attributes=attributes, value=value, mechanism=mechanism)


def test_our_cms_equals_pyhankos_byte_for_byte():
    assert ours("leader-rsa", "rsa_pkcs1v15") == plain_pyhanko("leader-rsa")


@pytest.mark.parametrize(("who", "mechanism"), [("leader", "ecdsa"), ("leader-rsa", "rsa_pss")])
def test_where_the_value_is_random_everything_but_the_value_is_equal(who, mechanism):
    def shell(der_bytes):
        signed = asn1_cms.ContentInfo.load(der_bytes)["content"]
        info = signed["signer_infos"][0]
        parts = (info["sid"], info["digest_algorithm"], info["signed_attrs"], signed["certificates"])
        return [part.dump() for part in parts], info["signature_algorithm"]["algorithm"].native

    assert shell(ours(who, mechanism)) == shell(plain_pyhanko(who, prefer_pss=mechanism == "rsa_pss"))


def test_the_reserved_room_is_even_and_large_enough():
    room = cms.reserve(der("leader-rsa"), chain())
    assert room % 2 == 0
    assert room >= 2 * len(ours("leader-rsa", "rsa_pss"))


def test_a_value_must_fit_key_attributes_and_mechanism():
    attributes = cms.signed_attributes(der("leader-rsa"), DIGEST)
    value = sign_hash(key("leader-rsa"), hashlib.sha256(attributes).digest(), "rsa_pkcs1v15")
    cms.check_value(der("leader-rsa"), attributes, value, "rsa_pkcs1v15")
    with pytest.raises(ValueMismatch):
        cms.check_value(der("leader-rsa"), attributes, value, "rsa_pss")
    with pytest.raises(ValueMismatch):
        cms.check_value(der("leader-rsa"), cms.signed_attributes(der("leader-rsa"), bytes(32)), value, "rsa_pkcs1v15")
    with pytest.raises(CertificateUnfit):
        cms.check_value(der("leader"), attributes, value, "rsa_pkcs1v15")


def test_the_cut_font_keeps_the_asked_letters_and_drops_the_rest():
    text = "Số 12 Ệ"
    used = set(typeface.glyphs(text))
    cut = TTFont(io.BytesIO(typeface.cut(used)), lazy=False)
    whole = typeface.stamp_typeface()
    assert cut["head"].unitsPerEm == 1000
    for number, name in enumerate(cut.getGlyphOrder()):
        outline = cut["glyf"][name]
        assert (outline.numberOfContours != 0) == (number in used | {0} and bool(whole.outlines[number]))
        assert cut["hmtx"][name][0] == whole.widths[number]
    assert len(typeface.cut(used)) < 8000


def test_every_vietnamese_letter_is_there_in_both_cases():
    lower = "aàảãáạăằẳẵắặâầẩẫấậbcdđeèẻẽéẹêềểễếệghiìỉĩíịklmnoòỏõóọôồổỗốộơờởỡớợpqrstuùủũúụưừửữứựvxyỳỷỹýỵ"
    assert 0 not in typeface.glyphs(lower + lower.upper() + "0123456789/-.,:+()")
    with pytest.raises(NotSignable):
        typeface.glyphs("漢")
