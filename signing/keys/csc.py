"""A remote signer by the Cloud Signature Consortium's API, v1 or v2: hashes out, the person confirms in its app.

The person's secret never passes through here: a credential that wants a PIN or code from us is refused, and so is one
whose authorisation is not bound to the hashes. One batch is one authorisation and one signHash. A task of this process
waits for the person; what it needs to go on after a crash is in the ledger, and what it cannot go on with is `unknown`.
"""

import asyncio
import base64
import binascii
import hmac
import os
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from asn1crypto import algos
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from signing.contract import Capabilities, Der, HeldCertificate, Mechanism, Outcome, SignOrder
from signing.errors import HolderRefused, HolderUnavailable, SigningError
from signing.keys.csc_ledger import Entry, Ledger
from signing.keys.csc_wire import (
    Authorised,
    Credential,
    CredentialList,
    CscSettings,
    Info,
    Refusal,
    Values,
    Wire,
    authorise_body,
    decode,
    sign_body,
    unavailable,
)

SECRET_HEADER: Final = "X-Webhook-Secret"  # noqa: S105  the name of a header, not a secret
_T = TypeVar("_T", Authorised, Values)
_PAGES: Final = 50
_PER_HASH_S: Final = 0.5
"""How much longer a service may take for each hash: a slow one signs ten in a second."""
_ALGORITHMS: Final[Mapping[Mechanism, tuple[str, ...]]] = {
    "rsa_pkcs1v15": ("1.2.840.113549.1.1.11", "1.2.840.113549.1.1.1"),
    "rsa_pss": ("1.2.840.113549.1.1.10",),
    "ecdsa": ("1.2.840.10045.4.3.2", "1.2.840.10045.2.1"),
}
"""What a service may call each: the algorithm with SHA-256, or the kind of key alone."""
_PSS: Final = algos.RSASSAPSSParams(
    {
        "hash_algorithm": {"algorithm": "sha256"},
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
        "salt_length": 32,
    }
).dump()


class _Work:
    """A transaction that a task of this process is at; `trouble` is why it just now gets no answer."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.trouble: SigningError | None = None


class CscHolder:
    """Speaks to one service; the ledger is shared by all signers of a machine."""

    def __init__(self, settings: CscSettings) -> None:
        self._settings = settings
        self._wire = Wire(settings)
        self._ledger = Ledger(Path(settings.state_dir))
        self._works: dict[str, _Work] = {}
        self._asynchronous: bool | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What this service can do, as configured from its contract."""
        return Capabilities(
            name=self._settings.name,
            hashes_per_authorisation=self._settings.hashes_per_authorisation,
            window=timedelta(seconds=self._settings.window_s),
            parallel_limit=self._settings.parallel_limit,
            shows_document_names=False,
            certificate_class=self._settings.certificate_class,
            development=self._settings.development,
            asks_person=self._settings.asks_person,
        )

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of a person's credentials, whether or not they can be used from here."""
        ids = await self._credential_ids(owner)
        return tuple([_held(credential_id, await self._credential(credential_id)) for credential_id in ids])

    async def _credential_ids(self, owner: str) -> list[str]:
        found: list[str] = []
        page: str | None = None
        try:
            for _ in range(_PAGES):
                body = {"userID": owner, **({"pageToken": page} if page else {})}
                told = await self._wire.call("credentials/list", body, CredentialList)
                found += told.ids
                page = told.next_page
                if not page:
                    break
        except Refusal as refusal:
            if refusal.error == "invalid_request":  # the specification's answer about somebody it does not know
                return []
            raise _refused(refusal) from None
        return found

    async def _credential(self, credential_id: str) -> Credential:
        body = {"credentialID": credential_id, "certificates": "chain", "certInfo": False, "authInfo": True}
        try:
            return await self._wire.call("credentials/info", body, Credential)
        except Refusal as refusal:
            raise _refused(refusal) from None

    async def start(self, order: SignOrder) -> None:
        """Ask the person to confirm, and leave a task waiting; the transaction id makes asking again harmless.

        Raises:
            HolderRefused: the credential is another's, cannot be used from here, or does not fit the order.
            HolderUnavailable: the service does not answer; it has not been asked to authorise anything.
            HolderMisconfigured: the service does not know us.
        """
        if await asyncio.to_thread(self._ledger.read, order.transaction_id) is not None:
            return
        algorithm = await self._fit(order)
        lock = await asyncio.to_thread(self._ledger.take, order.transaction_id)
        if lock is None:
            return
        entry = Entry(
            transaction_id=order.transaction_id,
            credential_id=order.credential_id,
            items=tuple(item.item_id for item in order.items),
            hashes=tuple(base64.b64encode(item.tbs_sha256).decode() for item in order.items),
            algorithm=algorithm,
            ends_at=time.time() + self._settings.window_s,
        )
        await asyncio.to_thread(self._ledger.write, entry)
        await asyncio.to_thread(self._ledger.tidy)
        self._set_to_work(entry, lock, order.description)

    async def _fit(self, order: SignOrder) -> dict[str, str]:
        """Check an order against its credential before anybody is asked; return how the service calls the algorithm."""
        if order.credential_id not in await self._credential_ids(order.owner):
            raise HolderRefused("Không có khóa này cho người ký", "The signatory has no such key")
        credential = await self._credential(order.credential_id)
        _demand_usable(credential)
        most = min(self._settings.hashes_per_authorisation, credential.multisign)
        if len(order.items) > most:
            raise HolderRefused(
                f"Mỗi lần xác nhận chỉ ký được {most} văn bản", f"One confirmation covers at most {most} documents"
            )
        offered = [oid for oid in _ALGORITHMS[order.mechanism] if oid in credential.key.algo]
        if not offered or any(len(item.tbs_sha256) != 32 for item in order.items):
            raise HolderRefused(
                "Khóa không dùng được với thuật toán này", "The key does not fit this mechanism or hash"
            )
        if self._asynchronous is None:
            self._asynchronous = (await self._info()).asynchronous and self._settings.version == "v2"
        parameters = {"signAlgoParams": base64.b64encode(_PSS).decode()} if order.mechanism == "rsa_pss" else {}
        return {"signAlgo": offered[0], **parameters}

    async def _info(self) -> Info:
        try:
            return await self._wire.call("info", {}, Info)
        except Refusal as refusal:
            raise _refused(refusal) from None

    def _set_to_work(self, entry: Entry, lock: int, description: str = "") -> None:
        work = self._works[entry.transaction_id] = _Work()
        work.task = asyncio.create_task(self._see_through(entry, lock, work, description))

    async def _see_through(self, entry: Entry, lock: int, work: _Work, description: str) -> None:
        """Wait for the person, fetch the values, and keep how it ended; what broke off is forgotten and asked anew."""
        try:
            entry = await self._values_of(entry, work, description)
        except Refusal as refusal:
            state = "refused" if refusal.denied else "expired" if refusal.expired else "failed"
            entry = msgspec.structs.replace(entry, state=state, detail=refusal.error)
        except TimeoutError:
            entry = msgspec.structs.replace(entry, state="expired", detail="window")
        except SigningError:
            await asyncio.to_thread(self._ledger.forget, entry.transaction_id)
            return
        finally:
            if entry.state != "asked":
                await asyncio.to_thread(self._ledger.write, entry)
            os.close(lock)
            self._works.pop(entry.transaction_id, None)

    async def _values_of(self, entry: Entry, work: _Work, description: str) -> Entry:
        entry, told = await self._authorised(entry, work, description)
        if told is not None:
            later = bool(self._asynchronous)
            hashes, settings = entry.hashes, self._settings
            body = sign_body(settings, entry.credential_id, hashes, told.sad, entry.algorithm, later=later)
            patience_s = settings.timeout_s + _PER_HASH_S * len(hashes)
            values = await self._wire.call("signatures/signHash", body, Values, patience_s=patience_s)
            if values.response_id:
                entry = await self._keep(entry, response_id=values.response_id)
        else:
            values = Values()
        while entry.response_id and not values.signatures:
            asked = {"responseID": entry.response_id}
            values = await self._patiently(entry, work, "signatures/signPolling", asked, Values)
        return msgspec.structs.replace(entry, state="signed", values=_by_item(entry, values.signatures))

    async def _authorised(self, entry: Entry, work: _Work, description: str) -> tuple[Entry, Authorised | None]:
        """Wait until the person has confirmed; None where that had been used already when the process before ended."""
        if entry.response_id:
            return entry, None
        told = Authorised(handle=entry.handle)
        if not entry.handle:
            body = authorise_body(self._settings, entry.credential_id, entry.hashes, description)
            # v1 answers when the person has confirmed, v2 at once with a handle.
            left_s = max(entry.ends_at - time.time(), 1.0)
            async with asyncio.timeout(left_s):
                told = await self._wire.call("credentials/authorize", body, Authorised, patience_s=left_s + 5)
        while not told.sad:
            if not told.handle:
                raise unavailable("neither SAD nor handle")
            if told.handle != entry.handle:
                entry = await self._keep(entry, handle=told.handle)
            asked = {"handle": told.handle}
            told = await self._patiently(entry, work, "credentials/authorizeCheck", asked, Authorised)
        return entry, told

    async def _keep(self, entry: Entry, **changes: str) -> Entry:
        entry = msgspec.structs.replace(entry, **changes)
        await asyncio.to_thread(self._ledger.write, entry)
        return entry

    async def _patiently(self, entry: Entry, work: _Work, path: str, body: dict[str, str], kind: type[_T]) -> _T:
        """Ask again and again, also while the service is silent; raise TimeoutError once the window has ended."""
        while True:
            if time.time() >= entry.ends_at:
                raise TimeoutError
            await asyncio.sleep(self._settings.check_every_s)
            try:
                told = await self._wire.call(path, body, kind)
            except HolderUnavailable as error:
                work.trouble = error
                continue
            work.trouble = None
            return told

    async def poll(self, transaction_id: str) -> Outcome:
        """Tell where a transaction stands; one that a process left behind is taken up where the service lets it be."""
        entry = await asyncio.to_thread(self._ledger.read, transaction_id)
        if entry is None:
            await self._info()
            return Outcome(transaction_id=transaction_id, state="unknown")
        if entry.state != "asked":
            return Outcome(transaction_id=transaction_id, state=entry.state, values=entry.values, detail=entry.detail)
        work = self._works.get(transaction_id)
        if work is not None and work.trouble is not None:
            raise work.trouble
        if work is not None or await self._taken_up(entry):
            return Outcome(transaction_id=transaction_id, state="waiting")
        await self._info()
        return Outcome(transaction_id=transaction_id, state="unknown")

    async def _taken_up(self, entry: Entry) -> bool:
        """Tell whether somebody is at a transaction; go on with it where its process has died and a handle is known."""
        lock = await asyncio.to_thread(self._ledger.take, entry.transaction_id)
        if lock is None:
            return True
        if entry.handle or entry.response_id:
            self._set_to_work(entry, lock)
            return True
        await asyncio.to_thread(self._ledger.forget, entry.transaction_id)
        os.close(lock)
        return False

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Read what the service sent to `response_uri`; raise HolderRefused unless it brings the shared secret.

        The specification says nothing of who may send it, so a secret in a header is demanded.
        """
        given = next((value for name, value in headers.items() if name.lower() == SECRET_HEADER.lower()), "")
        secret = self._settings.webhook_secret
        if not secret or not hmac.compare_digest(given.encode(), secret.encode()):
            raise HolderRefused("Kết quả gửi trả không xác thực được", "The webhook is not authentic")
        try:
            told = decode(body, Values)
            entry = self._ledger.of_response(told.response_id)
            if entry is None:
                raise HolderRefused("Kết quả gửi trả không thuộc giao dịch nào", "The webhook is of no transaction")
            values = _by_item(entry, told.signatures)
        except HolderUnavailable as error:
            raise HolderRefused("Kết quả gửi trả không đọc được", "The webhook is not legible") from error
        return Outcome(transaction_id=entry.transaction_id, state="signed", values=values)

    async def close(self) -> None:
        """Leave what is under way to the ledger, and close the session."""
        tasks = [work.task for work in self._works.values() if work.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._wire.close()


def _refused(refusal: Refusal) -> HolderRefused:
    return HolderRefused("Dịch vụ ký số từ chối yêu cầu", f"The remote signer refused: {refusal.error}")


def _demand_usable(credential: Credential) -> None:
    """Raise HolderRefused for a credential that this place must not or cannot use."""
    if credential.key.status != "enabled" or credential.cert.status not in {"", "valid"}:
        raise HolderRefused("Chứng thư hoặc khóa không còn hiệu lực", "The credential is disabled or no longer valid")
    if credential.authorisation == "secret":
        raise HolderRefused(
            "Chứng thư này đòi nhập PIN hoặc mã qua phần mềm; chỉ dùng loại xác nhận trên ứng dụng của nhà cung cấp",
            "This credential wants a PIN or code through us; only one that is confirmed in the provider's app is used",
        )
    if credential.authorisation == "page":
        raise HolderRefused(
            "Chứng thư này xác nhận trên trang của nhà cung cấp (OAuth), chưa dùng được ở đây",
            "This credential is confirmed on the provider's own page (OAuth), which is not offered here",
        )
    if credential.scal != "2":
        raise HolderRefused(
            "Chứng thư không ràng buộc xác nhận với từng văn bản (SCAL2)",
            "The credential does not bind an authorisation to its hashes (SCAL2)",
        )


def _by_item(entry: Entry, signatures: list[str]) -> dict[str, bytes]:
    """Return the values by item; the order of the hashes, in which the service gives them, alone tells them apart."""
    if len(signatures) > len(entry.items):
        raise unavailable("more values than hashes")
    try:
        values = [base64.b64decode(one, validate=True) for one in signatures]
    except (binascii.Error, ValueError):
        raise unavailable("a value is not base64") from None
    return {item: value for item, value in zip(entry.items, values, strict=False) if value}


def _held(credential_id: str, credential: Credential) -> HeldCertificate:
    try:
        ders = [base64.b64decode(one) for one in credential.cert.certificates]
        parsed = [x509.load_der_x509_certificate(der) for der in ders]
        own = parsed[0]
    except (ValueError, binascii.Error, IndexError):
        raise unavailable("a certificate is not legible") from None
    return HeldCertificate(
        credential_id=credential_id,
        certificate=Der(own.public_bytes(Encoding.DER)),
        chain=_chain(own, parsed[1:]),
        valid_from=own.not_valid_before_utc,
        valid_to=own.not_valid_after_utc,
    )


def _chain(own: x509.Certificate, others: list[x509.Certificate]) -> tuple[Der, ...]:
    """Order what the service sent, from the issuer to the root: the specification fixes the first place alone."""
    chain: list[x509.Certificate] = []
    below = own
    while above := next((one for one in others if one.subject == below.issuer and one not in chain), None):
        chain.append(above)
        if above.subject == above.issuer:
            break
        below = above
    return tuple(Der(one.public_bytes(Encoding.DER)) for one in chain)
