"""A PIN is tried once: a wrong one is remembered across restarts, so that repetition never locks a token.

What was refused is kept as a SHA-256 beside the PIN's own file, readable by the same user alone; it says nothing that
the file beside it does not. Where it cannot be kept, the token's own flag decides.
"""

import fcntl
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from pkcs11 import TokenFlag

from signing.errors import HolderMisconfigured


class Pin:
    """The PIN of one token, read from its file at each log-in, never kept and never shown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note = path.with_name(path.name + ".refused")
        self._refused = ""
        self._good = ""

    @contextmanager
    def to_try(self, flags: TokenFlag) -> Generator[str]:
        """Give the PIN for one try, in which no other process tries it.

        Raises:
            HolderMisconfigured: the file is missing or readable by others; this PIN was refused before; the token
                remembers a wrong PIN of which nobody knows whether it was this one; the token is locked.
        """
        with self._held() as pin:
            digest = hashlib.sha256(pin.encode()).hexdigest()
            self._demand_hope(digest, flags)
            yield pin

    def was_good(self, pin: str) -> None:
        """Remember that the token took this PIN."""
        self._good, self._refused = hashlib.sha256(pin.encode()).hexdigest(), ""
        with suppress(OSError):
            self._note.unlink(missing_ok=True)

    def was_wrong(self, pin: str) -> HolderMisconfigured:
        """Remember that the token refused this PIN; return what to raise."""
        self._refused = hashlib.sha256(pin.encode()).hexdigest()
        with suppress(OSError):
            handle = os.open(self._note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w") as note:
                note.write(self._refused)
        return _wrong()

    def _demand_hope(self, digest: str, flags: TokenFlag) -> None:
        if flags & (TokenFlag.USER_PIN_LOCKED | TokenFlag.USER_PIN_FINAL_TRY):
            raise HolderMisconfigured(
                "Thiết bị HSM đã khóa PIN hoặc chỉ còn một lần thử; quản trị HSM phải xử lý",
                "The token's PIN is locked or has one try left; its administrator must look",
            )
        refused = self._refused or self._noted()
        if digest == refused:
            raise _wrong()
        if flags & TokenFlag.USER_PIN_COUNT_LOW and not refused and digest != self._good:
            raise HolderMisconfigured(
                "Đã có lần nhập sai PIN của HSM; kiểm tra PIN rồi đăng nhập một lần bằng công cụ của HSM",
                "A wrong PIN was given to the token; check the PIN, then log in once by the HSM's own tool",
            )

    def _noted(self) -> str:
        try:
            return self._note.read_text()
        except OSError:
            return ""

    @contextmanager
    def _held(self) -> Generator[str]:
        try:
            file = self._path.open()
        except OSError as error:
            raise HolderMisconfigured("Không đọc được tệp PIN của HSM", "The PIN's file cannot be read") from error
        with file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise HolderMisconfigured("Tệp PIN của HSM để người khác đọc được", "Others can read the PIN's file")
            fcntl.flock(file, fcntl.LOCK_EX)
            pin = file.read().strip("\r\n")
            if not pin:
                raise HolderMisconfigured("Tệp PIN của HSM trống", "The PIN's file is empty")
            yield pin


def _wrong() -> HolderMisconfigured:
    return HolderMisconfigured(
        "PIN của HSM sai; đã thử một lần và không thử lại cho đến khi tệp PIN được sửa",
        "The token's PIN is wrong; it was tried once and is not tried again until its file is changed",
    )
