"""Asking for a timestamp and judging what comes back (RFC 3161, RFC 5816); synchronous, for a thread.

Everything that a token must say is held against what was asked: digest, nonce, status. The signer's certificate must
be for timestamps alone (RFC 3161 2.3) and lead to an anchor, and the time must be now.
"""

import asyncio
import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from asn1crypto import cms, parser, tsp, x509
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko_certvalidator import ValidationContext

from signing.contract import Der, Sha256, Trust

CLOCK_TOLERANCE: Final = timedelta(minutes=5)


class BadToken(Exception):
    """What came back is not the timestamp that was asked for; the code says what is wrong, in one word of ours."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def ask(digest: Sha256) -> tuple[bytes, int]:
    """Return a request for a token over a SHA-256, and the nonce in it."""
    nonce = secrets.randbits(63) | 1 << 62
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}
    request = tsp.TimeStampReq({"version": 1, "message_imprint": imprint, "nonce": nonce, "cert_req": True})
    return request.dump(), nonce


def check(
    answer: bytes, digest: Sha256, nonce: int, trust: Trust, chain: tuple[Der, ...], now: datetime
) -> tuple[bytes, datetime]:
    """Return the token in an answer and its time.

    Raises:
        BadToken: it is no token, another one's, not by a timestamping authority that we trust, or of another time.
    """
    try:
        return _check(answer, digest, nonce, trust, chain, now)
    except BadToken:
        raise
    except Exception as error:
        raise BadToken("garbage") from error


def _check(
    answer: bytes, digest: Sha256, nonce: int, trust: Trust, chain: tuple[Der, ...], now: datetime
) -> tuple[bytes, datetime]:
    # A refusal has no token, which asn1crypto's TimeStampResp does not know: the status is read by itself.
    outer: Any = parser.parse(answer, strict=True)
    status_info: Any = tsp.PKIStatusInfo.load(outer[4])
    if status_info["status"].native not in {"granted", "granted_with_mods"}:
        raise BadToken("refused")
    response: Any = tsp.TimeStampResp.load(answer, strict=True)
    token: Any = response["time_stamp_token"]
    if token["content_type"].native != "signed_data":
        raise BadToken("garbage")
    info: Any = token["content"]["encap_content_info"]["content"].parsed
    imprint = info["message_imprint"]
    if imprint["hash_algorithm"]["algorithm"].native != "sha256" or imprint["hashed_message"].native != digest:
        raise BadToken("wrong-imprint")
    if info["nonce"].native != nonce:
        raise BadToken("wrong-nonce")
    at: datetime = info["gen_time"].native
    if abs(at - now) > CLOCK_TOLERANCE:
        raise BadToken("wrong-clock")
    _demand_for_timestamps(token["content"])
    status = asyncio.run(_judge(token["content"], digest, trust, chain, now))
    if not status["intact"] or not status["valid"]:
        raise BadToken("broken")
    if status["trust_problem_indic"] is not None or status["validation_path"] is None:
        raise BadToken("untrusted")
    return token.dump(), at


def _demand_for_timestamps(signed: Any) -> None:
    """Demand a certificate whose only extended use is timestamping, and critically so."""
    (info,) = signed["signer_infos"]
    held = [each.chosen for each in signed["certificates"]]
    sid = info["sid"].chosen
    for certificate in held:
        named = isinstance(sid, cms.IssuerAndSerialNumber) and (
            (certificate.issuer, certificate.serial_number) == (sid["issuer"], sid["serial_number"].native)
        )
        if not named and certificate.key_identifier != getattr(sid, "native", None):
            continue
        use = certificate.extended_key_usage_value
        if use is None or use.native != ["time_stamping"]:
            raise BadToken("wrong-key-usage")
        return
    raise BadToken("no-certificate")


async def _judge(signed: Any, digest: Sha256, trust: Trust, chain: tuple[Der, ...], now: datetime) -> dict[str, Any]:
    anchors = [x509.Certificate.load(der) for der in (*trust.anchors, *trust.demo_anchors)]
    known = [x509.Certificate.load(der) for der in chain]
    context = ValidationContext(trust_roots=anchors, other_certs=known, moment=now, allow_fetching=False)
    return await validate_tst_signed_data(signed, context, lambda _: digest)
