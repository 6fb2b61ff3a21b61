"""Passkeys (WebAuthn Level 3), verified by the signer alone: registration without attestation, and assertions.

Relying party and origin come from the signer's own settings: nothing that the API says of them counts.
"""

import base64
import hmac
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers import parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    RegistrationCredential,
)

from api.signatures.contract import Assertion, PasskeyAnswer
from api.signatures.stepup import Reason

ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who passkeys are made for: the host, and the origin of the page on which they are used."""

    id: str
    origin: str

    @classmethod
    def of(cls, public_url: str) -> "RelyingParty":
        """Return the relying party of a public address: its host, and its scheme, host and port."""
        parts = urlsplit(public_url)
        return cls(id=parts.hostname or "", origin=f"{parts.scheme}://{parts.netloc}")


@dataclass(frozen=True, slots=True)
class Registered:
    """A new credential as its authenticator made it."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


class NotVerified(Exception):
    """A response that does not verify; `reason` is the signer's, never the library's text."""

    def __init__(self, reason: Reason) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason: Final[Reason] = reason


def read_answer(response: bytes) -> PasskeyAnswer:
    """Return what somebody offered as a passkey's answer.

    Raises:
        NotVerified: it is not of that form.
    """
    try:
        return msgspec.json.decode(response, type=PasskeyAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise NotVerified("wrong") from None


def unpadded(text: str) -> bytes:
    """Decode base64url without padding.

    Raises:
        NotVerified: it is not that.
    """
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise NotVerified("wrong") from None


def _demand_challenge(client_data: bytes, challenge: bytes) -> None:
    try:
        said = parse_client_data_json(client_data)
    except (WebAuthnException, ValueError, TypeError, AttributeError):
        raise NotVerified("wrong") from None
    if not hmac.compare_digest(said.challenge, challenge):
        raise NotVerified("other-digests")
    if said.cross_origin:
        raise NotVerified("wrong")


def verify_assertion(
    party: RelyingParty, assertion: Assertion, *, public_key: bytes, sign_count: int, challenge: bytes
) -> int:
    """Verify that the credential signed this challenge, here, with its person verified; return its new counter.

    Raises:
        NotVerified: `other-digests` for another challenge, `cloned` for a counter gone back, `wrong` for the rest.
    """
    raw_id, client_data = unpadded(assertion.id), unpadded(assertion.response.client_data_json)
    _demand_challenge(client_data, challenge)
    credential = AuthenticationCredential(
        id=assertion.id,
        raw_id=raw_id,
        response=AuthenticatorAssertionResponse(
            client_data_json=client_data,
            authenticator_data=unpadded(assertion.response.authenticator_data),
            signature=unpadded(assertion.response.signature),
        ),
    )
    try:
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,  # compared below, where a counter gone back has a name of its own
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        raise NotVerified("wrong") from None
    if (verified.new_sign_count or sign_count) and verified.new_sign_count <= sign_count:
        raise NotVerified("cloned")
    return verified.new_sign_count


def verify_registration(
    party: RelyingParty, *, attestation_object: bytes, client_data: bytes, challenge: bytes
) -> Registered:
    """Verify a registration for this challenge, here, with its person verified; no attestation is asked for.

    Raises:
        NotVerified: `other-digests` for another challenge, `wrong` for the rest.
    """
    _demand_challenge(client_data, challenge)
    try:
        # Without attestation nothing vouches for the id outside the attested data, so it is taken from within.
        inside = webauthn.helpers.parse_attestation_object(attestation_object).auth_data.attested_credential_data
        raw_id = inside.credential_id if inside else b""
        verified = webauthn.verify_registration_response(
            credential=RegistrationCredential(
                id=webauthn.helpers.bytes_to_base64url(raw_id),
                raw_id=raw_id,
                response=AuthenticatorAttestationResponse(
                    client_data_json=client_data, attestation_object=attestation_object
                ),
            ),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, IndexError):
        raise NotVerified("wrong") from None
    if verified.fmt != "none":
        raise NotVerified("wrong")
    return Registered(
        credential_id=verified.credential_id, public_key=verified.credential_public_key, sign_count=verified.sign_count
    )
