"""Keys in an HSM behind PKCS#11: an organisation's seal, or a signatory's key that the HSM's owner keeps for them.

Signs at once and asks nobody; the second factor is judged before. Calls are made by a few threads of their own, never
on the event loop. Outcomes are kept in memory alone: after a restart a transaction is `unknown`, and the same hashes
are signed again, counted. Of a batch that broke off, what was signed is kept and only the rest is signed.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkcs11 import MGF, Attribute, KeyType, ObjectClass
from pkcs11 import Mechanism as P11Mechanism
from pkcs11 import exceptions as p11
from pkcs11.util.ec import encode_ecdsa_signature

from signing.contract import (
    CANARY,
    Capabilities,
    CertificateClass,
    Der,
    HeldCertificate,
    Mechanism,
    Outcome,
    Sha256,
    SignItem,
    SignOrder,
)
from signing.errors import HolderMisconfigured, HolderRefused
from signing.keys.pkcs11_pin import Pin
from signing.keys.pkcs11_sessions import Lane, Lost, Sessions, touch
from signing.keys.settings import HolderSettings

_REMEMBERED: Final = 1_000
_AT_ONCE: Final = 8
"""How many hashes a lane signs before it takes the next work: a long batch lets a single one pass."""
_STEP_S: Final = 0.25
_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256 without the hash (RFC 8017, section 9.2)."""
_KEY_TYPE: Final[Mapping[Mechanism, KeyType]] = {
    "rsa_pkcs1v15": KeyType.RSA,
    "rsa_pss": KeyType.RSA,
    "ecdsa": KeyType.EC,
}


class Pkcs11Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key in the token. `label` is its CKA_LABEL, without one the credential id.

    Its certificates are those in the token under the same label, or those of the PEM file `certificate`.
    """

    owner: str
    credential_id: str
    label: str = ""
    certificate: str = ""

    @property
    def key_label(self) -> str:
        """The label by which the token knows it."""
        return self.label or self.credential_id


class Pkcs11Settings(HolderSettings, frozen=True, kw_only=True):
    """One token. `pin_file` holds the PIN and nothing else; `chain` is a PEM file, from the issuer to the root."""

    module: str
    token: str
    pin_file: str
    chain: str
    keys: tuple[Pkcs11Key, ...]
    name: str = "pkcs11"
    certificate_class: CertificateClass = "public_duty"
    hashes_per_authorisation: int = 500
    window_s: int = 300
    sessions: int = 4
    timeout_s: float = 10.0
    keep_alive_s: float = 60.0
    probe_s: float = 1.0


class _Known:
    """A transaction that was started here: what has been signed of it, and whether somebody is at it."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.hashes: dict[str, Sha256] = {}
        self.running: asyncio.Task[None] | None = None
        self.signed = False


class Pkcs11Holder:
    """Speaks to one token by a few sessions; the library is loaded on first use, in the process that uses it."""

    def __init__(self, settings: Pkcs11Settings) -> None:
        self._settings = settings
        self._by_credential = {key.credential_id: key for key in settings.keys}
        self._opened: Sessions | None = None
        self._opening = asyncio.Lock()
        self._missed: dict[str, int] = {}
        self._known: dict[str, _Known] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What this holder can do."""
        return self._settings.capabilities(shows_document_names=False, asks_person=False)

    async def _sessions(self) -> Sessions:
        """Return the sessions with the token, opened on first use; raise HolderMisconfigured for a wrong library."""
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(self._open)
            return self._opened

    def _open(self) -> Sessions:
        return Sessions(
            module=Path(self._settings.module),
            token=self._settings.token,
            pin=Pin(Path(self._settings.pin_file)),
            size=self._settings.sessions,
            keep_alive_s=self._settings.keep_alive_s,
            limit_s=self._settings.timeout_s,
            probe_s=self._settings.probe_s,
            probe=self._probe,
        )

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of an owner's keys, as the token or the settings have them."""
        keys = [key for key in self._settings.keys if key.owner == owner]
        if not keys:
            return ()
        chain = await asyncio.to_thread(_load, self._settings.chain)
        held: list[HeldCertificate] = []
        for key in keys:
            if key.certificate:
                found = await asyncio.to_thread(_load, key.certificate)
            else:
                found = await self._do(lambda lane, label=key.key_label: _certificates(lane, label))
            held += [_held(key.credential_id, Der(der), chain) for der in found]
        return tuple(held)

    async def start(self, order: SignOrder) -> None:
        """Sign all items; asking again signs only what was not signed before, and together with a first call nothing.

        Raises:
            HolderRefused: no such key for this owner, or one that does not fit; too many hashes.
            HolderUnavailable: the HSM is down or went down meanwhile.
            HolderMisconfigured: PIN, key or library are wrong.
        """
        key = self._key_of(order)
        if order.transaction_id not in self._known:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[order.transaction_id] = _Known()
        known = self._known[order.transaction_id]
        if known.signed:
            return
        if known.running is None or known.running.done():
            known.running = asyncio.create_task(self._sign(known, order, key))
            known.running.add_done_callback(_heard)
        await asyncio.shield(known.running)

    def _key_of(self, order: SignOrder) -> Pkcs11Key:
        key = self._by_credential.get(order.credential_id)
        if key is None or key.owner != order.owner:
            raise HolderRefused("Không có khóa này cho người ký", "The signatory has no such key")
        if len(order.items) > self._settings.hashes_per_authorisation:
            raise HolderRefused(
                f"Mỗi lần chỉ ký được {self._settings.hashes_per_authorisation} văn bản",
                f"One order covers at most {self._settings.hashes_per_authorisation} documents",
            )
        if any(len(item.tbs_sha256) != 32 for item in order.items):
            raise HolderRefused("Giá trị băm không đúng", "A hash is not a SHA-256")
        return key

    async def _sign(self, known: _Known, order: SignOrder, key: Pkcs11Key) -> None:
        missing = [item for item in order.items if known.hashes.get(item.item_id) != item.tbs_sha256]
        parts = [missing[start : start + _AT_ONCE] for start in range(0, len(missing), _AT_ONCE)]
        calls = [
            self._do(lambda lane, part=part: self._sign_part(lane, known, key, part, order.mechanism)) for part in parts
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
        failed = next((result for result in results if isinstance(result, BaseException)), None)
        if failed is not None:
            raise failed
        known.signed = True

    def _sign_part(self, lane: Lane, known: _Known, key: Pkcs11Key, part: list[SignItem], mechanism: Mechanism) -> None:
        """Sign some hashes in a lane; each value is kept as it comes, so that a repetition does not sign it again."""
        handle = self._handle(lane, key.key_label)
        if handle.key_type != _KEY_TYPE[mechanism]:
            raise HolderRefused("Khóa không dùng được với thuật toán này", "The key does not fit this mechanism")
        for item in part:
            if known.hashes.get(item.item_id) != item.tbs_sha256:
                known.values[item.item_id] = _sign_hash(handle, item.tbs_sha256, mechanism)
                known.hashes[item.item_id] = item.tbs_sha256

    def _handle(self, lane: Lane, label: str) -> Any:
        """Return the handle of a key in this lane's session, looked for once per session."""
        if label in lane.keys:
            return lane.keys[label]
        try:
            handle = lane.session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=label)
        except p11.NoSuchKey as error:
            # Objects may have gone with the log-in: look once more under a new one before anybody is told.
            if lane.generation <= self._missed.setdefault(label, lane.generation):
                raise Lost from error
            raise HolderMisconfigured("HSM không có khóa này", f"The token has no private key '{label}'") from error
        except p11.MultipleObjectsReturned as error:
            raise HolderMisconfigured("HSM có hai khóa trùng tên", f"Two private keys are called '{label}'") from error
        if _asks_each_time(handle):
            raise HolderMisconfigured(
                "Khóa đòi PIN cho mỗi chữ ký, không dùng được ở đây", "The key wants its PIN for every signature"
            )
        self._missed.pop(label, None)
        lane.keys[label] = handle
        return handle

    async def _do(self, do: Callable[[Lane], Any]) -> Any:
        """Have a lane do it; give up as soon as the flag is up, and trip it when the device keeps the work too long."""
        sessions = await self._sessions()
        work = sessions.submit(do)
        future = asyncio.wrap_future(work.future)
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=_STEP_S)
                if future.done():
                    break
                if work.hangs(self._settings.timeout_s):
                    raise sessions.flag.trip("a call does not come back")
                sessions.flag.demand_down()
            return future.result()
        finally:
            future.cancel()

    def _probe(self, lane: Lane) -> None:
        """Show that the device works again: by its canary key where it keeps one, else without any key."""
        touch(lane)
        canary = self._by_credential.get(CANARY)
        if canary is not None:
            _sign_hash(self._handle(lane, canary.key_label), Sha256(bytes(32)), "ecdsa")

    async def poll(self, transaction_id: str) -> Outcome:
        """Return where a transaction stands; of one that is not known here the HSM is asked whether it is there."""
        known = self._known.get(transaction_id)
        if known is not None and known.signed:
            return Outcome(transaction_id=transaction_id, state="signed", values=dict(known.values))
        if known is not None and known.running is not None and not known.running.done():
            return Outcome(transaction_id=transaction_id, state="waiting")
        await self._do(touch)
        return Outcome(transaction_id=transaction_id, state="unknown")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Refuse: an HSM never calls back."""
        raise HolderRefused("HSM không gửi trả kết quả", f"An HSM sends no webhook ({len(headers)}, {len(body)})")

    async def close(self) -> None:
        """End sessions and threads."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await asyncio.to_thread(opened.close)


def _heard(task: asyncio.Task[None]) -> None:
    """Take note of how a task ended whose caller may have gone away."""
    if not task.cancelled():
        task.exception()


def _sign_hash(handle: Any, tbs_sha256: Sha256, mechanism: Mechanism) -> bytes:
    """Sign a SHA-256; the token gives r and s of ECDSA side by side, a certificate's world wants them as DER."""
    if mechanism == "ecdsa":
        return encode_ecdsa_signature(handle.sign(tbs_sha256, mechanism=P11Mechanism.ECDSA))
    if mechanism == "rsa_pss":
        parameters = (P11Mechanism.SHA256, MGF.SHA256, 32)
        return handle.sign(tbs_sha256, mechanism=P11Mechanism.RSA_PKCS_PSS, mechanism_param=parameters)
    return handle.sign(_SHA256_INFO + tbs_sha256, mechanism=P11Mechanism.RSA_PKCS)


def _asks_each_time(handle: Any) -> bool:
    try:
        return bool(handle[Attribute.ALWAYS_AUTHENTICATE])
    except (p11.AttributeTypeInvalid, p11.AttributeValueInvalid, KeyError):
        return False


def _certificates(lane: Lane, label: str) -> list[bytes]:
    """Return the token's certificates under a key's label, newest first."""
    found = lane.session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE, Attribute.LABEL: label})
    ders = [bytes(one[Attribute.VALUE]) for one in found]
    return sorted(ders, key=lambda der: x509.load_der_x509_certificate(der).not_valid_before_utc, reverse=True)


def _load(path: str) -> tuple[Der, ...]:
    try:
        parsed = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise HolderMisconfigured("Không đọc được chứng thư", f"Certificates {path} cannot be read") from error
    return tuple(Der(one.public_bytes(Encoding.DER)) for one in parsed)


def _held(credential_id: str, der: Der, chain: tuple[Der, ...]) -> HeldCertificate:
    parsed = x509.load_der_x509_certificate(der)
    return HeldCertificate(
        credential_id=credential_id,
        certificate=der,
        chain=chain,
        valid_from=parsed.not_valid_before_utc,
        valid_to=parsed.not_valid_after_utc,
    )
