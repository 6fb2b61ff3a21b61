"""A remote signer by the Cloud Signature Consortium's API, v1 or v2: hashes out, confirmed in its app or page.

The person's secret never passes through here: a credential that wants a PIN or code from us is refused, and so is one
whose authorisation is not bound to the hashes. One batch is one authorisation and one signHash. A task of this process
waits for the person; what it needs to go on after a crash is in the ledger, and what it cannot go on with is `unknown`.
"""

import asyncio
import base64
import hmac
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from asn1crypto import algos

from signing.contract import Capabilities, HeldCertificate, Mechanism, Outcome, SignOrder
from signing.errors import HolderRefused, HolderUnavailable
from signing.keys import csc_page
from signing.keys.csc_wire import (
    Authorised,
    Credential,
    CredentialList,
    CscSettings,
    Info,
    Values,
    Wire,
    authorise_body,
    sign_body,
)
from signing.keys.errands import Errand, Errands, Refusal, waits_for_browser
from signing.keys.ledger import Entry, Ledger, by_item
from signing.keys.reading import decode, held, unavailable
from signing.pages import Begun, PageAnswer

SECRET_HEADER: Final = "X-Webhook-Secret"  # noqa: S105  the name of a header, not a secret
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


class CscHolder:
    """Speaks to one service; the ledger is shared by all signers of a machine."""

    def __init__(self, settings: CscSettings) -> None:
        self._settings = settings
        self._wire = Wire(settings)
        self._ledger = Ledger(Path(settings.state_dir))
        self._errands = Errands(
            self._ledger, see=self._values_of, there=self._info, check_every_s=settings.check_every_s
        )
        self._asynchronous: bool | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What this service can do, as configured from its contract."""
        declared = self._settings.capabilities(shows_document_names=False, asks_person=self._settings.asks_person)
        most = csc_page.most_hashes(self._settings)
        return msgspec.structs.replace(declared, hashes_per_authorisation=most)

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of a person's credentials, whether or not they can be used from here."""
        ids = await self._credential_ids(owner)
        return tuple(
            [held(credential_id, (await self._credential(credential_id)).cert.certificates) for credential_id in ids]
        )

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

    async def start(self, order: SignOrder) -> Begun | None:
        """Ask the person to confirm, and leave a task waiting; the transaction id makes asking again harmless.

        Where the person authorises on a page, nobody waits: its address is returned, the same one each time.

        Raises:
            HolderRefused: the credential is another's, cannot be used from here, or does not fit the order.
            HolderUnavailable: the service does not answer; it has not been asked to authorise anything.
            HolderMisconfigured: the service does not know us.
        """
        known = await self._errands.known(order.transaction_id)
        if known is not None:
            return csc_page.begun(known)
        algorithm, by_page = await self._fit(order)
        entry = Entry(
            transaction_id=order.transaction_id,
            credential_id=order.credential_id,
            items=tuple(item.item_id for item in order.items),
            hashes=tuple(base64.b64encode(item.tbs_sha256).decode() for item in order.items),
            algorithm=algorithm,
            ends_at=time.time() + self._settings.window_s,
        )
        if not by_page:
            await self._errands.begin(entry, order)
            return None
        try:
            opened = await csc_page.open_page(self._settings, self._wire, entry)
        except Refusal as refusal:
            raise _refused(refusal) from None
        return csc_page.begun(await self._errands.lay(opened))

    async def take_answer(self, transaction_id: str, answer: PageAnswer) -> None:
        """Go on with what the person's browser brought back from the page; see `csc_page.judged`.

        Raises:
            HolderUnavailable: this machine's ledger knows nothing of the transaction, or another process is at it.
        """
        entry = await self._errands.known(transaction_id)
        if entry is not None and not waits_for_browser(entry):
            return
        now = time.time()
        if not await self._errands.answered(
            transaction_id, lambda before: csc_page.judged(self._settings, before, answer, now)
        ):
            raise unavailable("nobody here waits for this page")

    async def _fit(self, order: SignOrder) -> tuple[dict[str, str], bool]:
        """Check an order against its credential before anybody is asked.

        Returns how the service calls the algorithm, and whether the person authorises on its page.
        """
        if order.credential_id not in await self._credential_ids(order.owner):
            raise HolderRefused("Không có khóa này cho người ký", "The signatory has no such key")
        credential = await self._credential(order.credential_id)
        by_page = credential.authorisation == "page"
        _demand_usable(credential, page=csc_page.offers_page(self._settings))
        most = min(csc_page.most_hashes(self._settings), credential.multisign)
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
        return {"signAlgo": offered[0], **parameters}, by_page

    async def _info(self) -> Info:
        try:
            return await self._wire.call("info", {}, Info)
        except Refusal as refusal:
            raise _refused(refusal) from None

    async def _values_of(self, entry: Entry, errand: Errand) -> Entry:
        """Wait for the person, then fetch the values."""
        entry, told = await self._authorised(entry, errand)
        if told is not None:
            later = bool(self._asynchronous)
            hashes, settings = entry.hashes, self._settings
            body = sign_body(settings, entry.credential_id, hashes, told.sad, entry.algorithm, later=later)
            patience_s = settings.timeout_s + _PER_HASH_S * len(hashes)
            values = await self._wire.call("signatures/signHash", body, Values, patience_s=patience_s)
            if values.response_id:
                entry = await self._errands.keep(entry, response_id=values.response_id)
        else:
            values = Values()
        while entry.response_id and not values.signatures:
            ask = partial(self._wire.call, "signatures/signPolling", {"responseID": entry.response_id}, Values)
            values = await self._errands.patiently(entry, errand, ask)
        return msgspec.structs.replace(entry, state="signed", values=by_item(entry, values.signatures))

    async def _authorised(self, entry: Entry, errand: Errand) -> tuple[Entry, Authorised | None]:
        """Wait until the person has confirmed; None where that had been used already when the process before ended."""
        if entry.response_id:
            return entry, None
        if entry.page is not None:
            return entry, Authorised(sad=await self._redeemed(entry, errand))
        told = Authorised(handle=entry.handle)
        if not entry.handle:
            description = errand.order.description if errand.order else ""
            body = authorise_body(self._settings, entry.credential_id, entry.hashes, description)
            # v1 answers when the person has confirmed, v2 at once with a handle.
            left_s = max(entry.ends_at - time.time(), 1.0)
            async with asyncio.timeout(left_s):
                told = await self._wire.call("credentials/authorize", body, Authorised, patience_s=left_s + 5)
        while not told.sad:
            if not told.handle:
                raise unavailable("neither SAD nor handle")
            if told.handle != entry.handle:
                entry = await self._errands.keep(entry, handle=told.handle)
            ask = partial(self._wire.call, "credentials/authorizeCheck", {"handle": told.handle}, Authorised)
            told = await self._errands.patiently(entry, errand, ask)
        return entry, told

    async def _redeemed(self, entry: Entry, errand: Errand) -> str:
        """Change the page's code for the SAD: at once, for it lives a minute or so, then as long as nobody answers."""
        try:
            return await csc_page.redeem(self._wire, entry)
        except HolderUnavailable as error:
            errand.trouble = error
        return await self._errands.patiently(entry, errand, partial(csc_page.redeem, self._wire, entry))

    async def poll(self, transaction_id: str) -> Outcome:
        """Tell where a transaction stands; one that a process left behind is taken up where the service lets it be."""
        return await self._errands.poll(transaction_id)

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
            values = by_item(entry, told.signatures)
        except HolderUnavailable as error:
            raise HolderRefused("Kết quả gửi trả không đọc được", "The webhook is not legible") from error
        return Outcome(transaction_id=entry.transaction_id, state="signed", values=values)

    async def close(self) -> None:
        """Leave what is under way to the ledger, and close the session."""
        await self._errands.close()
        await self._wire.close()


def _refused(refusal: Refusal) -> HolderRefused:
    return HolderRefused("Dịch vụ ký số từ chối yêu cầu", f"The remote signer refused: {refusal.error}")


def _demand_usable(credential: Credential, *, page: bool) -> None:
    """Raise HolderRefused for a credential that must not or cannot be used; `page`: authorising on a page is set up."""
    if credential.key.status != "enabled" or credential.cert.status not in {"", "valid"}:
        raise HolderRefused("Chứng thư hoặc khóa không còn hiệu lực", "The credential is disabled or no longer valid")
    if credential.authorisation == "secret":
        raise HolderRefused(
            "Chứng thư này đòi nhập PIN hoặc mã qua phần mềm; chỉ dùng loại xác nhận tại ứng dụng, trang của họ",
            "This credential wants a PIN or code through us; only one confirmed in the provider's app or page is used",
        )
    if credential.authorisation == "page" and not page:
        raise HolderRefused(
            "Chứng thư này xác nhận trên trang của nhà cung cấp (OAuth), chưa cấu hình địa chỉ trang đó",
            "This credential is confirmed on the provider's own page (OAuth), whose address is not set up here",
        )
    if credential.scal != "2":
        raise HolderRefused(
            "Chứng thư không ràng buộc xác nhận với từng văn bản (SCAL2)",
            "The credential does not bind an authorisation to its hashes (SCAL2)",
        )
