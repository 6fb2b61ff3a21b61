"""The official's own token: what is to be signed is fetched by his program and handed back, so nobody is called here.

Chữ ký số chuyên dùng công vụ on a USB token, used through a desktop tool. Nothing can be lost on the way out, since the
program reads what was committed; and what comes back comes through the person's own session, is committed before it is
answered, and is judged by the signer. What is left for this holder is to know which certificates there are.
"""

import asyncio
import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from signing.contract import Capabilities, CertificateClass, Der, HeldCertificate, Outcome, SignOrder
from signing.errors import HolderMisconfigured, HolderRefused
from signing.keys.settings import HolderSettings

_NAMING: Final = (NameOID.USER_ID, NameOID.SERIAL_NUMBER)
"""Where a certificate names its bearer's number: "CCCD:024085007654", "MST:0100233488" (Circular 15/2025)."""


class UploadSettings(HolderSettings, frozen=True, kw_only=True):
    """Where the officials' certificates lie: one PEM file each, the own certificate first, then its chain.

    A file belongs to whom its subject names, or to whom it is called after.
    """

    certificates: str
    name: str = "upload"
    certificate_class: CertificateClass = "public_duty"
    hashes_per_authorisation: int = 200
    window_s: int = 1800
    parallel_limit: int = 5


class _Entry(msgspec.Struct, frozen=True):
    """A file as it was read, when it had last changed, and to whom its certificate belongs."""

    changed: int
    held: HeldCertificate
    owners: frozenset[str]


class UploadHolder:
    """Knows the certificates of tokens that are with their bearers; files are read again when they have changed."""

    def __init__(self, settings: UploadSettings) -> None:
        self._settings = settings
        self._directory = Path(settings.certificates)
        self._known: dict[str, _Entry] = {}
        if not self._directory.is_dir():
            raise HolderMisconfigured(
                "Không có thư mục chứng thư của người ký", "The directory of officials' certificates is not there"
            )

    @property
    def capabilities(self) -> Capabilities:
        """What a token and its program can do, as configured."""
        return self._settings.capabilities(shows_document_names=True, asks_person=True, carried=True)

    async def list_certificates(self, owner: str) -> tuple[HeldCertificate, ...]:
        """List the certificates of an owner; raise HolderMisconfigured where none is found and a file is illegible."""
        return await asyncio.to_thread(self._list, owner)

    def _list(self, owner: str) -> tuple[HeldCertificate, ...]:
        # Named and looked at by scandir: as paths, a hundred files took 7 % of the signer's Python in a load.
        with os.scandir(self._directory) if self._directory.is_dir() else nullcontext(()) as found:
            files = sorted((each for each in found if each.name.endswith(".pem")), key=lambda each: each.name)
        entries = {file.name: self._current(file) for file in files}
        self._known = {name: entry for name, entry in entries.items() if entry is not None}
        theirs = tuple(entry.held for entry in self._known.values() if owner in entry.owners)
        illegible = [name for name, entry in entries.items() if entry is None]
        if illegible and not theirs:
            raise HolderMisconfigured(
                f"Không đọc được chứng thư {illegible[0]}", f"Certificate {illegible[0]} cannot be read"
            )
        return theirs

    def _current(self, file: os.DirEntry[str]) -> _Entry | None:
        known = self._known.get(file.name)
        try:
            changed = file.stat().st_mtime_ns
            if known is not None and known.changed == changed:
                return known
            own, *chain = x509.load_pem_x509_certificates(Path(file).read_bytes())
        except (OSError, ValueError):
            return None
        held = HeldCertificate(
            credential_id=f"{own.serial_number:x}",
            certificate=Der(own.public_bytes(Encoding.DER)),
            chain=tuple(Der(one.public_bytes(Encoding.DER)) for one in chain),
            valid_from=own.not_valid_before_utc,
            valid_to=own.not_valid_after_utc,
        )
        return _Entry(changed, held, _owners(own) | {Path(file).stem})

    async def start(self, order: SignOrder) -> None:
        """Look whether the signatory has such a token; the order lies ready for his program already."""
        if len(order.items) > self._settings.hashes_per_authorisation:
            raise HolderRefused(
                f"Mỗi lần chỉ ký được {self._settings.hashes_per_authorisation} văn bản",
                f"At most {self._settings.hashes_per_authorisation} documents are signed at a time",
            )
        if order.credential_id not in {one.credential_id for one in await self.list_certificates(order.owner)}:
            raise HolderRefused("Không có khóa này cho người ký", "The signatory has no such key")

    async def poll(self, transaction_id: str) -> Outcome:
        """Say that it is waited for: whether the person has handed anything in, the holder is not asked."""
        return Outcome(transaction_id=transaction_id, state="waiting")

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Refuse: what a token signed comes through its bearer's own session, and no other way."""
        raise HolderRefused(
            "Kết quả phải do chính người ký gửi trả", f"A token sends no webhook ({len(headers)}, {len(body)})"
        )

    async def close(self) -> None:
        """Forget what was read."""
        self._known.clear()


def _owners(certificate: x509.Certificate) -> frozenset[str]:
    named = [str(one.value) for oid in _NAMING for one in certificate.subject.get_attributes_for_oid(oid)]
    return frozenset(text.rpartition(":")[2].strip() for text in named)
