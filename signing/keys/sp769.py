"""A remote signer of VNPT SmartCA's published shape ("sp769"): hashes out, the person confirms in an app, values back.

One transaction takes many hashes and one confirmation. The answer is polled or comes by webhook; both are read the
same way. The service's published interface does not sign its webhooks, so a shared secret in a header is demanded.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signing import tracing
from signing.contract import Capabilities, Der, HeldCertificate, Outcome, OutcomeState, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable
from signing.keys.settings import RemoteSettings
from signing.pages import Begun

_T = TypeVar("_T")
_MAX_ANSWER: Final = 4 * 1024 * 1024
_LONGEST_CODE: Final = 64
SECRET_HEADER: Final = "X-Webhook-Secret"  # noqa: S105  the name of a header, not a secret
_STATES: Final[dict[str, OutcomeState]] = {
    "sig_wait_for_user_confirm": "waiting",
    "sig_signed": "signed",
    "sig_user_rejected": "refused",
    "sig_expired": "expired",
    "sig_not_found": "unknown",
}


class Sp769Settings(RemoteSettings, frozen=True, kw_only=True):
    """Where the service is and as whom we call; without a webhook secret no webhook is believed."""

    sp_id: str
    sp_password: str
    webhook_secret: str = ""
    name: str = "sp769"


class _Signature(msgspec.Struct):
    doc_id: str
    signature_value: str


class _Data(msgspec.Struct):
    transaction_id: str = ""
    tran_code: str = ""
    signatures: list[_Signature] | None = None
    signed_files: list[_Signature] | None = None


class _Answer(msgspec.Struct):
    status_code: int
    message: str = ""
    data: _Data | None = None


class _Webhook(msgspec.Struct):
    sp_id: str
    status_code: int
    transaction_id: str
    message: str = ""
    signed_files: list[_Signature] = []


class _Chain(msgspec.Struct):
    ca_cert: str = ""
    root_cert: str = ""


class _UserCertificate(msgspec.Struct):
    serial_number: str
    cert_data: str
    chain_data: _Chain


class _CertificateData(msgspec.Struct):
    user_certificates: list[_UserCertificate] = []


class _CertificateAnswer(msgspec.Struct):
    status_code: int
    message: str = ""
    data: _CertificateData | None = None


class Sp769Holder:
    """Speaks to one service over one kept-alive session; opens it on first use, inside the running loop."""

    def __init__(self, settings: Sp769Settings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What this service can do, as configured from its contract."""
        return self._settings.capabilities(shows_document_names=True, asks_person=self._settings.asks_person)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            limit = aiohttp.TCPConnector(limit=self._settings.parallel_limit, keepalive_timeout=60)
            timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s, connect=self._settings.timeout_s / 2)
            self._session = aiohttp.ClientSession(connector=limit, timeout=timeout)
        return self._session

    async def _post(self, path: str, body: dict[str, Any]) -> bytes:
        """Return the body of an answer; an error status that the service explains is an answer, silence is not."""
        credentials = {"sp_id": self._settings.sp_id, "sp_password": self._settings.sp_password}
        url = self._settings.base_url.rstrip("/") + path
        try:
            sent = {**credentials, **body}
            headers = tracing.headers()
            async with self._open().post(url, json=sent, headers=headers, allow_redirects=False) as response:
                answer = await response.content.read(_MAX_ANSWER + 1)
                while not response.content.at_eof() and len(answer) <= _MAX_ANSWER:
                    answer += await response.content.read(_MAX_ANSWER + 1 - len(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unavailable(type(error).__name__) from error
        if response.status >= 500 or len(answer) > _MAX_ANSWER:
            raise _unavailable(f"status {response.status}")
        return answer

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of a person (national id) or organisation (tax code)."""
        body = {"user_id": owner, "transaction_id": f"certificates-{owner}"}
        answer = _decode(await self._post("/v1/credentials/get_certificate", body), _CertificateAnswer)
        _demand_ok(answer.status_code, answer.message)
        found = answer.data.user_certificates if answer.data else []
        return tuple(_held(one) for one in found)

    async def start(self, order: SignOrder) -> Begun | None:
        """Ask the person to confirm; the transaction id makes asking again harmless. Return the code in their app."""
        if len(order.items) > self._settings.hashes_per_authorisation:
            raise HolderRefused(
                f"Mỗi lần xác nhận chỉ ký được {self._settings.hashes_per_authorisation} văn bản",
                f"One confirmation covers at most {self._settings.hashes_per_authorisation} documents",
            )
        files = [
            {
                "doc_id": item.item_id,
                "file_type": "pdf",
                "sign_type": "hash",
                "data_to_be_signed": item.tbs_sha256.hex(),
                "doc_name": item.name,
            }
            for item in order.items
        ]
        body = {
            "user_id": order.owner,
            "transaction_id": order.transaction_id,
            "transaction_desc": order.description,
            "serial_number": order.credential_id,
            "sign_algo": order.mechanism,
            "sign_files": files,
            "time_stamp": "",
        }
        answer = _decode(await self._post("/v1/signatures/sign", body), _Answer)
        if answer.message != "sig_transaction_exists":
            _demand_ok(answer.status_code, answer.message)
        code = answer.data.tran_code[:_LONGEST_CODE] if answer.data else ""
        return Begun(code=code) if code else None

    async def poll(self, transaction_id: str) -> Outcome:
        """Ask where a transaction stands."""
        answer = _decode(await self._post(f"/v1/signatures/sign/{transaction_id}/status", {}), _Answer)
        if answer.status_code == 401:
            _demand_ok(answer.status_code, answer.message)
        if answer.data and answer.data.transaction_id not in {"", transaction_id}:
            raise _unavailable("the answer is about another transaction")
        signatures = (answer.data.signatures or answer.data.signed_files or []) if answer.data else []
        return _outcome(transaction_id, answer.message, signatures)

    async def recall(self, transaction_id: str) -> Outcome:
        """Ask the service itself, which knows transactions by our own ids."""
        return await self.poll(transaction_id)

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read an answer that the service sent by itself; raise HolderRefused unless it brings the shared secret."""
        given = next((value for name, value in headers.items() if name.lower() == SECRET_HEADER.lower()), "")
        secret = self._settings.webhook_secret
        if not secret or not hmac.compare_digest(given.encode(), secret.encode()):
            raise HolderRefused("Kết quả gửi trả không xác thực được", "The webhook is not authentic")
        try:
            sent = msgspec.json.decode(body, type=_Webhook)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise HolderRefused("Kết quả gửi trả không đọc được", "The webhook is not legible") from error
        if sent.sp_id != self._settings.sp_id:
            raise HolderRefused("Kết quả gửi trả không dành cho hệ thống này", "The webhook is for another client")
        return _outcome(sent.transaction_id, sent.message, sent.signed_files)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


def _unavailable(why: str) -> HolderUnavailable:
    return HolderUnavailable("Dịch vụ ký số từ xa không trả lời", f"The remote signer does not answer ({why})")


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unavailable("the answer is not legible") from error


def _demand_ok(status_code: int, message: str) -> None:
    if status_code == 401:
        raise HolderMisconfigured(
            "Dịch vụ ký số không nhận tài khoản của hệ thống", f"The remote signer knows us not: {message[:80]}"
        )
    if status_code != 200:
        raise HolderRefused("Dịch vụ ký số từ chối yêu cầu", f"The remote signer refused: {message[:80]}")


def _outcome(transaction_id: str, message: str, signatures: list[_Signature]) -> Outcome:
    state = _STATES.get(message, "failed")
    values: dict[str, bytes] = {}
    if state == "signed":
        try:
            values = {one.doc_id: base64.b64decode(one.signature_value, validate=True) for one in signatures}
        except (binascii.Error, ValueError) as error:
            raise _unavailable("a value is not base64") from error
    return Outcome(transaction_id=transaction_id, state=state, values=values, detail=message[:200])


def _held(one: _UserCertificate) -> HeldCertificate:
    try:
        parsed = x509.load_der_x509_certificate(base64.b64decode(one.cert_data))
        chain = tuple(
            Der(x509.load_der_x509_certificate(base64.b64decode(raw)).public_bytes(Encoding.DER))
            for raw in (one.chain_data.ca_cert, one.chain_data.root_cert)
            if raw
        )
    except (ValueError, binascii.Error) as error:
        raise _unavailable("a certificate is not legible") from error
    return HeldCertificate(
        credential_id=one.serial_number,
        certificate=Der(parsed.public_bytes(Encoding.DER)),
        chain=chain,
        valid_from=parsed.not_valid_before_utc,
        valid_to=parsed.not_valid_after_utc,
    )
