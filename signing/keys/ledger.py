"""What a holder must remember of a transaction because its service does not know our ids: one small file for each.

The lock of a file says that a process is at it, whichever; it ends with the process. No SAD and no token is kept.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from signing.errors import HolderMisconfigured
from signing.keys.reading import unavailable
from signing.pages import Page

KEPT_S: Final = 2 * 24 * 3600.0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Where a transaction stands. `items` are the item ids in the order in which their hashes were sent.

    `page` and its `verifier` are of one that a person authorises on the holder's page; its code comes as `handle`.
    """

    transaction_id: str
    credential_id: str
    items: tuple[str, ...]
    hashes: tuple[str, ...]
    algorithm: dict[str, str]
    ends_at: float
    state: Literal["asked", "signed", "refused", "expired", "failed"] = "asked"
    handle: str = ""
    response_id: str = ""
    page: Page | None = None
    verifier: str = ""
    values: dict[str, bytes] = {}
    detail: str = ""


class Ledger:
    """The files of one service; several signers on a machine share them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HolderMisconfigured(
                "Không ghi được thư mục trạng thái của dịch vụ ký số", "The remote signer's state_dir cannot be made"
            ) from error

    def _path(self, transaction_id: str, end: str) -> Path:
        return self._directory / (hashlib.sha256(transaction_id.encode()).hexdigest()[:40] + end)

    def read(self, transaction_id: str) -> Entry | None:
        """Return what is known of a transaction."""
        try:
            return msgspec.json.decode(self._path(transaction_id, ".json").read_bytes(), type=Entry)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def write(self, entry: Entry) -> None:
        """Keep an entry whole, and find it by the service's own id afterwards."""
        path = self._path(entry.transaction_id, ".json")
        _write(path, msgspec.json.encode(entry))
        if entry.response_id:
            _write(self._path(f"response {entry.response_id}", ".id"), entry.transaction_id.encode())

    def of_response(self, response_id: str) -> Entry | None:
        """Return the transaction that the service calls so."""
        try:
            return self.read(self._path(f"response {response_id}", ".id").read_text())
        except FileNotFoundError:
            return None

    def forget(self, transaction_id: str) -> None:
        """Let a transaction be as if it had never been asked."""
        self._path(transaction_id, ".json").unlink(missing_ok=True)

    def take(self, transaction_id: str) -> int | None:
        """Take a transaction for this process; None while anybody is at it. Closing the number gives it back."""
        handle = os.open(self._path(transaction_id, ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def tidy(self) -> None:
        """Remove what ended days ago."""
        for path in self._old(time.time() - KEPT_S):
            path.unlink(missing_ok=True)

    def _old(self, before: float) -> Iterator[Path]:
        for path in self._directory.iterdir():
            try:
                if path.stat().st_mtime < before:
                    yield path
            except FileNotFoundError:
                continue


def _write(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    new.replace(path)


def by_item(entry: Entry, signatures: list[str]) -> dict[str, bytes]:
    """Return the values by item; the order of the hashes, in which the service gives them, alone tells them apart."""
    if len(signatures) > len(entry.items):
        raise unavailable("more values than hashes")
    try:
        values = [base64.b64decode("".join(one.split()), validate=True) for one in signatures]
    except (binascii.Error, ValueError):
        raise unavailable("a value is not base64") from None
    return {item: value for item, value in zip(entry.items, values, strict=False) if value}
