"""What OCSP responders and CRLs say of a certificate (RFC 6960, RFC 5280): asked for, and judged; for a thread.

An answer counts only if certvalidator finds it signed by the issuer or its responder, for this certificate, and of the
present. Anything else is garbage, with a word that says so, and never taken for "good".
"""

import asyncio
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from cryptography.x509.ocsp import OCSPRequestBuilder
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, PathValidationError, RevokedError
from pyhanko_certvalidator.policy_decl import CertRevTrustPolicy, RevocationCheckingPolicy, RevocationCheckingRule
from pyhanko_certvalidator.validate import async_validate_path

from signing.contract import Der
from signing.levels import CertPath, RevocationState

Kind = Literal["ocsp", "crl"]
_WITHOUT_END: Final = timedelta(hours=1)
"""How long an answer that names no next one is taken for the present."""

_OF_THE_FIRST: Final = CertRevTrustPolicy(
    RevocationCheckingPolicy(RevocationCheckingRule.CRL_OR_OCSP_REQUIRED, RevocationCheckingRule.NO_CHECK),
    retroactive_revinfo=True,
)
"""Of a path its first certificate alone is judged; each of the others has its own answer."""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers for a certificate, as it says itself; none has to be asked about a responder's own certificate."""

    ocsp: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    nobody: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One judged answer. `from_` and `until` are its own thisUpdate and nextUpdate."""

    kind: Kind
    der: bytes
    state: RevocationState
    revoked_at: datetime | None
    from_: datetime
    until: datetime
    fetched_at: datetime


class BadAnswer(Exception):
    """What came back proves nothing; the code is one word of ours."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@lru_cache(maxsize=4096)
def where(certificate: Der) -> Where:
    """Return where a certificate's revocation is told."""
    parsed: Any = asn1.Certificate.load(certificate)
    points = [point for each in parsed.crl_distribution_points if (point := each.url)]
    return Where(
        ocsp=tuple(url for url in parsed.ocsp_urls if url.startswith("http")),
        crls=tuple(url for url in points if url.startswith("http")),
        nobody=parsed.ocsp_no_check_value is not None,
    )


def ask_ocsp(certificate: Der, issuer: Der) -> bytes:
    """Return a request; SHA-1 only names the issuer in it, and is what every responder knows (RFC 5019)."""
    of, by = load_der_x509_certificate(certificate), load_der_x509_certificate(issuer)
    return OCSPRequestBuilder().add_certificate(of, by, hashes.SHA1()).build().public_bytes(Encoding.DER)  # noqa: S303


def judge(kind: Kind, der: bytes, path: CertPath, at: datetime) -> Answer:
    """Return what an answer says of a path's first certificate.

    Raises:
        BadAnswer: garbage, another's, badly signed, of the past or of the future.
    """
    try:
        return asyncio.run(_judge(kind, der, path, at))
    except BadAnswer:
        raise
    except Exception as error:
        raise BadAnswer("garbage") from error


async def _judge(kind: Kind, der: bytes, path: CertPath, at: datetime) -> Answer:
    parsed, begins, ends = _ocsp(der) if kind == "ocsp" else _crl(der)
    until = ends or begins + _WITHOUT_END
    if begins > at + timedelta(minutes=5):
        raise BadAnswer("of-the-future")
    if until <= at:
        raise BadAnswer("stale")
    context = ValidationContext(
        trust_roots=[asn1.Certificate.load(path[-1])],
        other_certs=[asn1.Certificate.load(der) for der in path[1:-1]],
        moment=at,
        ocsps=[parsed] if kind == "ocsp" else [],
        crls=[parsed] if kind == "crl" else [],
        revinfo_policy=_OF_THE_FIRST,
    )
    state: RevocationState = "good"
    revoked_at: datetime | None = None
    try:
        paths: Any = await context.path_builder.async_build_paths(asn1.Certificate.load(path[0]))
        await async_validate_path(context, paths[0])
    except RevokedError as error:
        held = error.reason.native == "certificate_hold"
        state, revoked_at = "on_hold" if held else "revoked", error.revocation_dt
    except (PathBuildingError, PathValidationError) as error:
        raise BadAnswer("proves-nothing") from error
    return Answer(kind=kind, der=der, state=state, revoked_at=revoked_at, from_=begins, until=until, fetched_at=at)


def _ocsp(der: bytes) -> tuple[Any, datetime, datetime | None]:
    response: Any = asn1_ocsp.OCSPResponse.load(der, strict=True)
    if response["response_status"].native != "successful":
        raise BadAnswer(f"ocsp-{response['response_status'].native}")
    (single,) = response.response_data["responses"]
    return response, single["this_update"].native, single["next_update"].native


def _crl(der: bytes) -> tuple[Any, datetime, datetime | None]:
    listed: Any = asn1_crl.CertificateList.load(der, strict=True)
    held = listed["tbs_cert_list"]
    return listed, held["this_update"].native, held["next_update"].native
