"""A remote signer of Viettel MySign's published shape ("vtss"): hashes out, the person confirms in its app.

One transaction takes many hashes and one confirmation. A log-in is one person's, so what a process was waiting for when
it died is asked anew: the number by which the service knows the person is written nowhere. Its webhook (`async` 3)
wants two doors of ours that ask for a log-in of theirs; it is polled instead.
"""

import base64
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp
import msgspec

from signing import tracing
from signing.contract import Capabilities, HeldCertificate, Mechanism, Outcome, SignItem, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused
from signing.keys.errands import Errand, Errands, Refusal
from signing.keys.ledger import Entry, Ledger, by_item
from signing.keys.reading import SHA256_OID, decode, held, unavailable
from signing.keys.settings import RemoteSettings

_T = TypeVar("_T")
_MAX_ANSWER: Final = 8 * 1024 * 1024
_TOKEN_MARGIN_S: Final = 60.0
_NAME_BYTES: Final = 72
"""A name travels as base64 of UTF-8 in less than 100 characters."""
_WAITING: Final = frozenset({"4000", "6000"})
"""Not confirmed yet; confirmed, and being signed."""
_SIGNED: Final = "1"
_EXPIRED: Final = "4001"
_DENIED: Final = "4002"
_ALGORITHMS: Final[Mapping[Mechanism, tuple[str, ...]]] = {
    "rsa_pkcs1v15": ("1.2.840.113549.1.1.11", "1.2.840.113549.1.1.1"),
    "rsa_pss": (),
    "ecdsa": ("1.2.840.10045.4.3.2", "1.2.840.10045.2.1"),
}
"""What the service calls each; it documents no parameters, so none with parameters is asked for."""


class VtssSettings(RemoteSettings, frozen=True, kw_only=True):
    """Where the service is and as whom we call; `base_url` ends in `/vtss/service`."""

    client_id: str
    client_secret: str
    profile_id: str
    state_dir: str
    name: str = "vtss"
    window_s: int = 180
    check_every_s: float = 3.0


class _Login(msgspec.Struct):
    access_token: str
    expires_in: float = 3600.0


class _Fault(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class _Cert(msgspec.Struct):
    certificates: list[str]


class _Key(msgspec.Struct):
    status: str = "enabled"
    algo: list[str] = []


class _Credential(msgspec.Struct):
    credential_id: str
    cert: _Cert
    key: _Key


class _Started(msgspec.Struct):
    transaction_id: str = msgspec.field(name="transactionId")


class _Status(msgspec.Struct):
    status: str
    signatures: list[str] = []


class VtssHolder:
    """Speaks to one service over one kept-alive session; one access token for each person, in memory alone."""

    def __init__(self, settings: VtssSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._tokens: dict[str, tuple[str, float]] = {}
        self._ledger = Ledger(Path(settings.state_dir))
        self._errands = Errands(self._ledger, see=self._see, there=self._there, check_every_s=settings.check_every_s)

    @property
    def capabilities(self) -> Capabilities:
        """What this service can do, as configured from its contract."""
        return self._settings.capabilities(shows_document_names=True, asks_person=self._settings.asks_person)

    async def _post(self, path: str, body: dict[str, Any], token: str = "") -> tuple[int, bytes]:
        if self._session is None or self._session.closed:
            limit = aiohttp.TCPConnector(limit=self._settings.parallel_limit + 4, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(connector=limit)
        headers = {**tracing.headers(), **({"Authorization": f"Bearer {token}"} if token else {})}
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        url = self._settings.base_url.rstrip("/") + path
        try:
            async with self._session.post(
                url, json=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                answer = await response.content.read(_MAX_ANSWER + 1)
                while not response.content.at_eof() and len(answer) <= _MAX_ANSWER:
                    answer += await response.content.read(_MAX_ANSWER + 1 - len(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable(type(error).__name__) from None
        if response.status >= 500 or 300 <= response.status < 400 or len(answer) > _MAX_ANSWER:
            raise unavailable(f"status {response.status}")
        return response.status, answer

    @property
    def _client(self) -> dict[str, str]:
        return {"client_id": self._settings.client_id, "client_secret": self._settings.client_secret}

    async def _token(self, owner: str) -> str:
        """Log in for a person; raise Refusal where the service does not know them."""
        token, ends = self._tokens.get(owner, ("", 0.0))
        if not token or time.monotonic() > ends:
            asked = {**self._client, "user_id": owner, "profile_id": self._settings.profile_id}
            status, answer = await self._post("/ras/v1/login", asked)
            if status >= 400:
                fault = decode(answer, _Fault)
                if fault.error == "invalid_client":
                    raise HolderMisconfigured("Dịch vụ ký số không nhận hệ thống này", "The remote signer knows us not")
                raise Refusal(fault.error)
            login = decode(answer, _Login)
            token = login.access_token
            self._tokens[owner] = token, time.monotonic() + max(login.expires_in - _TOKEN_MARGIN_S, 1.0)
        return token

    async def _call(self, owner: str, path: str, body: dict[str, Any], kind: type[_T]) -> _T:
        """Ask in a person's name, again with a new log-in where the old one is not taken."""
        status, answer = await self._post(path, body, await self._token(owner))
        if status == 401:
            self._tokens.pop(owner, None)
            status, answer = await self._post(path, body, await self._token(owner))
        if status >= 400:
            raise Refusal(decode(answer, _Fault).error)
        return decode(answer, kind)

    async def _credentials(self, owner: str) -> list[_Credential]:
        asked = {
            **self._client, "profile_id": self._settings.profile_id, "user_id": owner, "certificates": "chain",
            "certInfo": True, "authInfo": True,
        }  # fmt: skip
        try:
            return await self._call(owner, "/certificates/info", asked, list[_Credential])
        except Refusal as refusal:
            if refusal.error == "invalid_user":
                return []
            raise _refused(refusal) from None

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of a person (the number of their citizen's card) or organisation (tax code)."""
        found = await self._credentials(owner)
        return tuple(held(one.credential_id, one.cert.certificates) for one in found)

    async def start(self, order: SignOrder) -> None:
        """Ask the person to confirm, and leave a task waiting; the transaction id makes asking again harmless."""
        if await self._errands.known(order.transaction_id):
            return
        most = self._settings.hashes_per_authorisation
        if len(order.items) > most:
            raise HolderRefused(
                f"Mỗi lần xác nhận chỉ ký được {most} văn bản", f"One confirmation covers at most {most} documents"
            )
        found = {one.credential_id: one for one in await self._credentials(order.owner)}
        if order.credential_id not in found:
            raise HolderRefused("Không có khóa này cho người ký", "The signatory has no such key")
        offered = [oid for oid in _ALGORITHMS[order.mechanism] if oid in found[order.credential_id].key.algo]
        if not offered or any(len(item.tbs_sha256) != 32 for item in order.items):
            raise HolderRefused("Khóa không dùng được với thuật toán này", "The key does not fit mechanism or hash")
        entry = Entry(
            transaction_id=order.transaction_id,
            credential_id=order.credential_id,
            items=tuple(item.item_id for item in order.items),
            hashes=tuple(base64.b64encode(item.tbs_sha256).decode() for item in order.items),
            algorithm={"signAlgo": offered[0]},
            ends_at=time.time() + self._settings.window_s,
        )
        await self._errands.begin(entry, order)

    async def _see(self, entry: Entry, errand: Errand) -> Entry:
        """Ask for the signatures, and for how they stand until they are there."""
        order = errand.order
        if order is None:
            raise unavailable("nobody knows in whose name to ask")
        body = {
            **self._client,
            "credentialID": entry.credential_id,
            "numSignatures": len(entry.hashes),
            "description": _coded(order.description),
            "documents": [_document(item) for item in order.items],
            "hash": list(entry.hashes),
            "hashAlgo": SHA256_OID,
            **entry.algorithm,
            "async": 1,
        }
        started = await self._call(order.owner, "/signHash", body, _Started)
        asked = {"transactionId": started.transaction_id}
        ask = partial(self._call, order.owner, "/requests/status", asked, _Status)
        while (told := await self._errands.patiently(entry, errand, ask)).status in _WAITING:
            continue
        if told.status != _SIGNED:
            raise Refusal(told.status, denied=told.status == _DENIED, expired=told.status == _EXPIRED)
        return msgspec.structs.replace(entry, state="signed", values=by_item(entry, told.signatures))

    async def _there(self) -> None:
        """Ask for a log-in of nobody: any answer shows that the service is there."""
        try:
            await self._token("")
        except Refusal:
            return

    async def poll(self, transaction_id: str) -> Outcome:
        """Tell where a transaction stands; of one that nobody is at any more nothing is known."""
        return await self._errands.poll(transaction_id)

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Refuse: this service is polled."""
        raise HolderRefused("Dịch vụ này không gửi trả kết quả", f"It is polled ({len(headers)}, {len(body)})")

    async def close(self) -> None:
        """Leave what is under way to the ledger, close the session and forget the tokens."""
        await self._errands.close()
        self._tokens.clear()
        if self._session is not None:
            await self._session.close()


def _coded(text: str) -> str:
    """Return a text as the service takes it; cut between letters where it is too long."""
    return base64.b64encode(text.encode()[:_NAME_BYTES].decode(errors="ignore").encode()).decode()


def _document(item: SignItem) -> dict[str, str]:
    return {"document_id": item.item_id, "document_name": _coded(item.name)}


def _refused(refusal: Refusal) -> HolderRefused:
    return HolderRefused("Dịch vụ ký số từ chối yêu cầu", f"The remote signer refused: {refusal.error}")
