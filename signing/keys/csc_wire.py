"""Calls to a Cloud Signature Consortium service, API v1 (1.0.4.0) and v2 (2.0.0.2): one session, one access token.

Tokens and SADs stand in requests alone: no error text, no repr and no file of ours ever holds one.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeVar

import aiohttp
import msgspec

from signing import tracing
from signing.errors import HolderMisconfigured
from signing.keys.errands import Refusal
from signing.keys.reading import SHA256_OID, decode, unavailable
from signing.keys.settings import RemoteSettings

_T = TypeVar("_T")
_MAX_ANSWER: Final = 8 * 1024 * 1024
_TOKEN_MARGIN_S: Final = 30.0
DENIED: Final = frozenset({"access_denied", "authorization_denied", "user_denied", "consent_refused"})
"""What services say when the person refuses; the specification has no word for it."""


class CscSettings(RemoteSettings, frozen=True, kw_only=True):
    """Where the service is and as whom we call. `state_dir` keeps what it cannot tell by our own transaction ids.

    With `client_id` an access token is fetched (OAuth 2.0, client credentials); without it none is sent, for services
    that know us by other means. All signers of one service on a machine share one `state_dir`.

    `oauth2_url` is the authorisation server's address up to `/oauth2`, where persons authorise on a page: known from
    the contract and never from what the service says. It sends them back to `redirect_uri`, this holder's own. With
    `oauth2_issuer` it must name itself (RFC 9207); with `pushed` it is told beforehand what is asked (RFC 9126).
    """

    version: Literal["v1", "v2"]
    state_dir: str
    client_id: str = ""
    client_secret: str = ""
    name: str = "csc"
    hashes_per_authorisation: int = 200
    check_every_s: float = 3.0
    response_uri: str = ""
    webhook_secret: str = ""
    oauth2_url: str = ""
    oauth2_issuer: str = ""
    redirect_uri: str = ""
    pushed: bool = False


class _Fault(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class _Pushed(msgspec.Struct):
    request_uri: str


class Info(msgspec.Struct):
    """What a service says of itself; only v2 may work asynchronously."""

    methods: list[str] = []
    asynchronous: bool = msgspec.field(default=False, name="asynchronousOperationMode")


class CredentialList(msgspec.Struct):
    """One page of credential ids; only v1 has pages."""

    ids: list[str] = msgspec.field(default_factory=list, name="credentialIDs")
    next_page: str | None = msgspec.field(default=None, name="nextPageToken")


class _Key(msgspec.Struct):
    status: str
    algo: list[str]


class _Cert(msgspec.Struct):
    certificates: list[str]
    status: str = ""


class _Auth(msgspec.Struct):
    mode: str = ""
    objects: Any = None


class Credential(msgspec.Struct):
    """A credential as either version describes it."""

    key: _Key
    cert: _Cert
    multisign: int
    auth_mode: str = msgspec.field(default="", name="authMode")
    auth: _Auth | None = None
    scal: str = msgspec.field(default="1", name="SCAL")

    @property
    def authorisation(self) -> Literal["app", "page", "secret"]:
        """How its person authorises: in the service's own app, on its page (OAuth), or by a PIN given to us."""
        mode = self.auth.mode if self.auth else self.auth_mode
        if mode == "oauth2code":
            return "page"
        if mode == "implicit" or (mode == "explicit" and self.auth is not None and not self.auth.objects):
            return "app"
        return "secret"


class Authorised(msgspec.Struct):
    """A SAD, or the handle under which it will be had."""

    sad: str = msgspec.field(default="", name="SAD")
    handle: str = ""


class Values(msgspec.Struct):
    """Signature values in the order of the hashes, or the id under which they will be had."""

    signatures: list[str] = []
    response_id: str = msgspec.field(default="", name="responseID")


class Wire:
    """One kept-alive session; opened on first use, inside the running loop."""

    def __init__(self, settings: CscSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._token = ""
        self._token_ends = 0.0
        self._fetching = asyncio.Lock()

    def _url(self, path: str) -> str:
        return f"{self._settings.base_url.rstrip('/')}/csc/{self._settings.version}/{path}"

    async def call(self, path: str, body: dict[str, Any], kind: type[_T], *, patience_s: float | None = None) -> _T:
        """Ask once, again with a new token if the old one is not taken.

        Raises:
            Refusal: the service says why not.
            HolderUnavailable: it is silent or illegible.
            HolderMisconfigured: it does not know us.
        """
        url = self._url(path)
        status, answer = await self._post(url, body, await self._authorization(), patience_s)
        if status == 401 and self._settings.client_id:
            self._token = ""
            status, answer = await self._post(url, body, await self._authorization(), patience_s)
        if status in {401, 403}:
            raise HolderMisconfigured("Dịch vụ ký số không nhận hệ thống này", "The remote signer knows us not")
        if status >= 400:
            raise _refusal(answer)
        return decode(answer, kind)

    async def push(self, asked: dict[str, str]) -> str:
        """Tell the authorisation server what a person will be asked (RFC 9126); return how the page is to name it."""
        return (await self._as_client("pushed_authorize", asked, _Pushed)).request_uri

    async def redeem(self, code: str, verifier: str) -> str:
        """Change a page's code for the SAD, once."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self._settings.redirect_uri,
        }
        return (await self._as_client("token", asked, _Token)).access_token

    async def _as_client(self, path: str, asked: dict[str, str], kind: type[_T]) -> _T:
        """Ask the authorisation server that settings name, as ourselves; raises as `call` does."""
        known = {"client_id": self._settings.client_id, "client_secret": self._settings.client_secret}
        url = f"{self._settings.oauth2_url.rstrip('/')}/oauth2/{path}"
        status, answer = await self._post(url, {**asked, **known}, {}, None, form=True)
        if status in {401, 403}:
            raise HolderMisconfigured("Dịch vụ ký số không nhận hệ thống này", "The remote signer knows us not")
        if status >= 400:
            raise _refusal(answer)
        return decode(answer, kind)

    async def _authorization(self) -> dict[str, str]:
        if not self._settings.client_id:
            return {}
        async with self._fetching:
            if not self._token or time.monotonic() > self._token_ends:
                asked = {
                    "grant_type": "client_credentials",
                    "scope": "service",
                    "client_id": self._settings.client_id,
                    "client_secret": self._settings.client_secret,
                }
                status, answer = await self._post(self._url("oauth2/token"), asked, {}, None, form=True)
                if status >= 400:
                    raise HolderMisconfigured("Dịch vụ ký số không nhận hệ thống này", "The remote signer knows us not")
                token = decode(answer, _Token)
                self._token = token.access_token
                self._token_ends = time.monotonic() + max(token.expires_in - _TOKEN_MARGIN_S, 1.0)
            return {"Authorization": f"Bearer {self._token}"}

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # A v1 service holds one connection per person who has not confirmed yet.
            limit = aiohttp.TCPConnector(limit=self._settings.parallel_limit * 2 + 4, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(connector=limit)
        return self._session

    async def _post(
        self, url: str, body: dict[str, Any], headers: dict[str, str], patience_s: float | None, *, form: bool = False
    ) -> tuple[int, bytes]:
        limit = aiohttp.ClientTimeout(
            total=patience_s or self._settings.timeout_s, connect=self._settings.timeout_s / 2
        )
        try:
            async with self._open().post(
                url,
                data=body if form else None,
                json=None if form else body,
                headers={**tracing.headers(), **headers},
                timeout=limit,
                allow_redirects=False,
            ) as response:
                answer = await response.content.read(_MAX_ANSWER + 1)
                while not response.content.at_eof() and len(answer) <= _MAX_ANSWER:
                    answer += await response.content.read(_MAX_ANSWER + 1 - len(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable(type(error).__name__) from None
        if response.status >= 500 or 300 <= response.status < 400 or len(answer) > _MAX_ANSWER:
            raise unavailable(f"status {response.status}")
        return response.status, answer

    async def close(self) -> None:
        """Close the session and forget the token."""
        self._token = ""
        if self._session is not None:
            await self._session.close()


def _refusal(answer: bytes) -> Refusal:
    fault = decode(answer, _Fault)
    expired = "expired" in f"{fault.error} {fault.error_description}".lower()
    return Refusal(fault.error, denied=fault.error in DENIED, expired=expired)


def authorise_body(
    settings: CscSettings, credential_id: str, hashes: Sequence[str], description: str
) -> dict[str, Any]:
    """Return what `credentials/authorize` is asked: every hash is named, so that the SAD is good for these alone."""
    named = {"hash": hashes} if settings.version == "v1" else {"hashes": hashes, "hashAlgorithmOID": SHA256_OID}
    text = {"description": description[:500]} if description else {}
    return {"credentialID": credential_id, "numSignatures": len(hashes), **named, **text}


def sign_body(
    settings: CscSettings,
    credential_id: str,
    hashes: Sequence[str],
    sad: str,
    algorithm: dict[str, str],
    *,
    later: bool,
) -> dict[str, Any]:
    """Return what `signatures/signHash` is asked; `later` lets the service answer when it is ready (v2)."""
    body = {"credentialID": credential_id, "SAD": sad, **algorithm}
    if settings.version == "v1":
        return {**body, "hash": hashes, "hashAlgo": SHA256_OID}
    mode = {"operationMode": "A" if later else "S"}
    if later and settings.response_uri:
        mode["response_uri"] = settings.response_uri
    return {**body, "hashes": hashes, "hashAlgorithmOID": SHA256_OID, **mode}
