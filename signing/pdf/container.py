"""The CMS of a signature as the second reading demands it: RFC 5652 to the byte, with an own reader of DER.

Used by `signing.pdf.second` alone and sharing nothing with `signing.pdf.cms`, which writes them.
"""

import hashlib
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509 import load_der_x509_certificate

from signing.contract import Der, Mechanism, Sha256

_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
_CONTENT_TYPE: Final = bytes.fromhex("06092a864886f70d010903")
_MESSAGE_DIGEST: Final = bytes.fromhex("06092a864886f70d010904")
_SIGNING_CERTIFICATE: Final = bytes.fromhex("060b2a864886f70d010910022f")
_ONE: Final = bytes.fromhex("020101")
_SHA256_NAME: Final = bytes.fromhex("0609608648016503040201")
_SHA256: Final = frozenset({b"\x30\x0b" + _SHA256_NAME, b"\x30\x0d" + _SHA256_NAME + b"\x05\x00"})
_MECHANISMS: Final[dict[bytes, Mechanism]] = {
    bytes.fromhex("300d06092a864886f70d01010b0500"): "rsa_pkcs1v15",
    bytes.fromhex("300a06082a8648ce3d040302"): "ecdsa",
    # RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes (RFC 4055 3.1)
    bytes.fromhex(
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
        "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
    ): "rsa_pss",
}
_DEEPEST_LENGTH: Final = 4


class Strange(Exception):
    """Something is not exactly as it should be; the first verifier is to judge."""


class Held(msgspec.Struct, frozen=True):
    """What a container holds."""

    certificate: Der
    certificates: bytes
    attributes: bytes
    mechanism: Mechanism
    value: bytes


class _Element(msgspec.Struct, frozen=True):
    """One DER element: its tag, its content, and both with the length between."""

    tag: int
    inside: bytes
    whole: bytes


def _demand(true: bool) -> None:
    if not true:
        raise Strange


def _elements(data: bytes) -> list[_Element]:
    """Return the elements that fill these bytes; lengths must be definite and as short as they can be."""
    found: list[_Element] = []
    at = 0
    while at < len(data):
        _demand(at + 2 <= len(data) and data[at] & 0x1F != 0x1F)
        head, size = 2, data[at + 1]
        if size >= 0x80:
            width = size & 0x7F
            _demand(0 < width <= _DEEPEST_LENGTH and at + 2 + width <= len(data))
            head, size = 2 + width, int.from_bytes(data[at + 2 : at + 2 + width], "big")
            _demand(size >= 0x80 and size >= 1 << 8 * (width - 1))
        _demand(at + head + size <= len(data))
        found.append(_Element(data[at], data[at + head : at + head + size], data[at : at + head + size]))
        at += head + size
    return found


def _parts(element: _Element, tag: int, *tags: int) -> list[_Element]:
    """Return the parts of an element of this tag; they must be of these."""
    _demand(element.tag == tag)
    parts = _elements(element.inside)
    _demand([part.tag for part in parts] == list(tags))
    return parts


def read(content: bytes) -> Held:
    """Read a container followed by nothing but zeros.

    Raises:
        Strange: it is not a single signer's, with exactly our attributes and algorithms.
    """
    _demand(content[:1] == b"\x30")
    width = content[1] & 0x7F if content[1] >= 0x80 else 0
    size = 2 + width + int.from_bytes(content[2 : 2 + width], "big") if width else 2 + content[1]
    _demand(0 < size <= len(content) and content[size:] == bytes(len(content) - size))
    (outer,) = _elements(content[:size])
    kind, wrapped = _parts(outer, 0x30, 0x06, 0xA0)
    (signed,) = _parts(wrapped, 0xA0, 0x30)
    version, algorithms, encapsulated, certificates, infos = _parts(signed, 0x30, 0x02, 0x31, 0x30, 0xA0, 0x31)
    (algorithm,) = _parts(algorithms, 0x31, 0x30)
    (data,) = _parts(encapsulated, 0x30, 0x06)
    (info,) = _parts(infos, 0x31, 0x30)
    own, issued, digest, attributes, mechanism, value = _parts(info, 0x30, 0x02, 0x30, 0x30, 0xA0, 0x30, 0x04)
    issuer, serial = _parts(issued, 0x30, 0x30, 0x02)
    _demand(kind.whole == _SIGNED_DATA and data.whole == _DATA and version.whole == own.whole == _ONE)
    _demand(algorithm.whole in _SHA256 and digest.whole == algorithm.whole and mechanism.whole in _MECHANISMS)
    name = (issuer.whole, serial.whole)
    (certificate,) = [one.whole for one in _elements(certificates.inside) if _issued(one.whole) == name]
    return Held(
        certificate=Der(certificate),
        certificates=certificates.whole,
        attributes=b"\x31" + attributes.whole[1:],
        mechanism=_MECHANISMS[mechanism.whole],
        value=value.inside,
    )


@lru_cache(maxsize=1024)
def _issued(certificate: bytes) -> tuple[bytes, bytes]:
    """Return issuer and serial number of a certificate."""
    (outer,) = _elements(certificate)
    body = _parts(outer, 0x30, 0x30, 0x30, 0x03)[0]
    parts = _elements(body.inside)
    _demand(len(parts) > 6 and parts[0].tag == 0xA0 and parts[1].tag == 0x02 and parts[3].tag == 0x30)
    return parts[3].whole, parts[1].whole


@lru_cache(maxsize=512)
def _key(certificate: Der) -> tuple[Any, bytes]:
    """Return a certificate's key and its SHA-256."""
    return load_der_x509_certificate(certificate).public_key(), hashlib.sha256(certificate).digest()


def check(held: Held, document: Sha256) -> None:
    """Demand that the value signs this document under the certificate that the attributes name."""
    key, fingerprint = _key(held.certificate)
    _check_attributes(held, document, fingerprint)
    digest = utils.Prehashed(hashes.SHA256())
    signed = hashlib.sha256(held.attributes).digest()
    try:
        if held.mechanism == "ecdsa":
            _demand(isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256)
            key.verify(held.value, signed, ec.ECDSA(digest))
        else:
            _demand(isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048)
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            key.verify(held.value, signed, pss if held.mechanism == "rsa_pss" else padding.PKCS1v15(), digest)
    except InvalidSignature:
        raise Strange from None


def _check_attributes(held: Held, document: Sha256, fingerprint: bytes) -> None:
    (outer,) = _elements(held.attributes)
    attributes = _elements(outer.inside)
    _demand([one.whole for one in attributes] == sorted(one.whole for one in attributes))
    values: dict[bytes, bytes] = {}
    for one in attributes:
        name, values_of = _parts(one, 0x30, 0x06, 0x31)
        values[name.whole] = values_of.inside
    _demand(len(attributes) == 3 and values.keys() == {_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_CERTIFICATE})
    _demand(values[_CONTENT_TYPE] == _DATA and values[_MESSAGE_DIGEST] == b"\x04\x20" + document)
    (named,) = _elements(values[_SIGNING_CERTIFICATE])
    (certificates,) = _parts(named, 0x30, 0x30)
    (certificate,) = _parts(certificates, 0x30, 0x30)
    parts = _elements(certificate.inside)
    _demand(parts[0].whole == b"\x04\x20" + fingerprint and len(parts) <= 2)
    if len(parts) == 2:
        names, serial = _parts(parts[1], 0x30, 0x30, 0x02)
        (directory,) = _parts(names, 0x30, 0xA4)
        _demand((directory.inside, serial.whole) == _issued(held.certificate))
