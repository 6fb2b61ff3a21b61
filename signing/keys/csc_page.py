"""A CSC credential that its person authorises on the provider's own page: OAuth 2.0, authorisation code with PKCE.

By CSC API 1.0.4.0 and 2.0.0.2, "oauth2/authorize" with scope `credential`, and RFC 7636, 9126 and 9207. The page names
every hash, so what it authorises is these alone; its code is changed for the SAD by the signer, which holds verifier
and client secret. Where the authorisation server is, settings say and nothing that a service answers.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from signing.keys.csc_wire import DENIED, CscSettings, Wire
from signing.keys.errands import Refusal, waits_for_browser
from signing.keys.ledger import Entry
from signing.keys.reading import SHA256_OID
from signing.pages import Begun, Page, PageAnswer

IN_AN_ADDRESS: Final = 150
"""How many hashes an address carries: many servers read no line of 8 kB or more. More take `pushed`."""

MIXED_UP: Final = "page-mixed-up"
FAILED: Final = "page-failed"
CODE_REFUSED: Final = "page-code-refused"
"""Why a transaction ended on its page; what a holder tells as `Outcome.detail`."""


def offers_page(settings: CscSettings) -> bool:
    """Tell whether credentials that are authorised on a page can be used with these settings."""
    return bool(settings.oauth2_url and settings.redirect_uri and settings.client_id)


def most_hashes(settings: CscSettings) -> int:
    """Return how many hashes one authorisation takes by these settings."""
    in_an_address = offers_page(settings) and not settings.pushed
    most = settings.hashes_per_authorisation
    return min(most, IN_AN_ADDRESS) if in_an_address else most


async def open_page(settings: CscSettings, wire: Wire, entry: Entry) -> Entry:
    """Return an entry with its page, its state and its verifier; nothing has been asked of the person yet.

    Raises:
        Refusal: the service does not take the request (where it is pushed).
        HolderUnavailable: it does not answer.
    """
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    asked = _request(settings, entry.credential_id, entry.hashes, state, verifier)
    if settings.pushed:
        reference = await wire.push(asked)
        asked = {"client_id": settings.client_id, "request_uri": reference}
    url = f"{settings.oauth2_url.rstrip('/')}/oauth2/authorize?{urlencode(asked)}"
    return msgspec.structs.replace(entry, page=Page(url=url, state=state), verifier=verifier)


def _request(
    settings: CscSettings, credential_id: str, hashes: Sequence[str], state: str, verifier: str
) -> dict[str, str]:
    named = ",".join(_base64url(base64.b64decode(one)) for one in hashes)
    bound = {"hash": named} if settings.version == "v1" else {"hashes": named, "hashAlgorithmOID": SHA256_OID}
    return {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": settings.redirect_uri,
        "scope": "credential",
        "credentialID": credential_id,
        "numSignatures": str(len(hashes)),
        **bound,
        "state": state,
        "code_challenge": _base64url(hashlib.sha256(verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }


def begun(entry: Entry | None) -> Begun | None:
    """Return what the person is told of an entry: its page, while that has not answered."""
    return Begun(page=entry.page) if entry is not None and waits_for_browser(entry) else None


def judged(settings: CscSettings, entry: Entry, answer: PageAnswer, now: float) -> Entry:
    """Return an entry as the page's answer leaves it: with the code, or ended. Pure.

    An answer to an earlier page of the same transaction, or a second one, changes nothing.
    """
    if (
        entry.page is None
        or not waits_for_browser(entry)
        or not secrets.compare_digest(answer.state.encode(), entry.page.state.encode())
    ):
        return entry
    ending: Mapping[str, str] = {}
    if now >= entry.ends_at:
        ending = {"state": "expired", "detail": "window"}
    elif settings.oauth2_issuer and answer.issuer != settings.oauth2_issuer:
        ending = {"state": "failed", "detail": MIXED_UP}
    elif answer.error in DENIED:
        ending = {"state": "refused", "detail": answer.error[:80]}
    elif answer.error or not answer.code:
        ending = {"state": "failed", "detail": FAILED}
    if ending:
        return msgspec.structs.replace(entry, **ending)
    return msgspec.structs.replace(entry, handle=answer.code)


async def redeem(wire: Wire, entry: Entry) -> str:
    """Change a page's code for the SAD.

    Raises:
        Refusal: the code is not taken: used before, too old, or not for this verifier.
        HolderUnavailable: the service does not answer.
        HolderMisconfigured: it does not know us.
    """
    try:
        return await wire.redeem(entry.handle, entry.verifier)
    except Refusal as refusal:
        raise Refusal(CODE_REFUSED, expired=refusal.expired) from None


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
