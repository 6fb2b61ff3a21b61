"""A vendor's PKCS#11 library, opened once per process and told that several threads will call it.

python-pkcs11 calls `C_Initialize(NULL)`, which allows one thread alone: with two, SoftHSM2 ends the process. So the
library is initialised again with CKF_OS_LOCKING_OK (PKCS#11 2.40, section 5.4). Nothing here knows of keys or PINs.
"""

import ctypes
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pkcs11
from pkcs11.exceptions import PKCS11Error

from signing.errors import HolderMisconfigured, HolderUnavailable

C_INITIALIZE: Final = 1
C_FINALIZE: Final = 2
C_CLOSE_ALL_SESSIONS: Final = 15
"""Places in CK_FUNCTION_LIST; a library need not export anything but the list itself."""
FUNCTIONS: Final = 69
_OS_LOCKING_OK: Final = 2
_OK: Final = 0
_open: Final[dict[str, "Module"]] = {}
_opening: Final = threading.Lock()


class _InitializeArgs(ctypes.Structure):
    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


class Gate:
    """Lets calls pass side by side, and one alone where all others must have ended: sessions are closed under it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = False

    @contextmanager
    def shared(self) -> Generator[None]:
        """Pass beside others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, patience_s: float) -> Generator[None]:
        """Wait for the others to end, keep new ones out; raise HolderUnavailable when one of them does not end."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._alone, patience_s):
                raise _stuck()
            self._alone = True
            try:
                if not self._changed.wait_for(lambda: self._inside == 0, patience_s):
                    raise _stuck()
            except HolderUnavailable:
                self._alone = False
                self._changed.notify_all()
                raise
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


def _stuck() -> HolderUnavailable:
    return HolderUnavailable("Thiết bị HSM đang treo", "A call to the HSM has not come back")


class Module:
    """One opened library. It must not be used after a fork: its threads and connections stay with the parent."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.users = 0
        self.epoch = 0
        self.gate = Gate()
        self._process = os.getpid()
        self._library: Any = pkcs11.lib(path)
        self._library.finalize()
        self._table = _function_list(path)
        self.initialise()

    def initialise(self) -> None:
        """Initialise for several threads; raise HolderMisconfigured when the library cannot."""
        arguments = _InitializeArgs(None, None, None, None, _OS_LOCKING_OK, None)
        told = self._function(C_INITIALIZE, ctypes.c_void_p)(ctypes.byref(arguments))
        if told != _OK:
            raise HolderMisconfigured(
                "Thư viện PKCS#11 không dùng được với nhiều luồng",
                f"The PKCS#11 library cannot be used by several threads (0x{told:x})",
            )

    def finalise(self) -> None:
        """End the library's own work; its sessions end with it."""
        self._function(C_FINALIZE, ctypes.c_void_p)(None)

    def begin_anew(self) -> None:
        """Finalise and initialise: what libraries want after their device was away; call it alone.

        All sessions with all tokens of this library end, and whoever has some makes new ones at the next call.
        """
        self.epoch += 1  # a handle of before may be another's afterwards
        self.finalise()
        self.initialise()

    def close_all_sessions(self, slot_id: int) -> None:
        """Close every session with one token, which also logs out; call it alone."""
        self._function(C_CLOSE_ALL_SESSIONS, ctypes.c_ulong)(slot_id)

    def _function(self, place: int, *arguments: Any) -> Any:
        return ctypes.CFUNCTYPE(ctypes.c_ulong, *arguments)(self._table[place])

    def token(self, label: str) -> Any:
        """Find a present token by its label.

        Raises:
            HolderUnavailable: there is none just now.
            PKCS11Error: the library cannot say.
        """
        for slot in self._library.get_slots(token_present=True):
            token = slot.get_token()
            if token.label == label:
                return token
        raise HolderUnavailable("Không thấy thiết bị HSM", f"The token '{label}' is not there")

    def demand_own_process(self) -> None:
        """Raise HolderMisconfigured in a forked child."""
        if os.getpid() != self._process:
            raise HolderMisconfigured(
                "Không được dùng HSM trong tiến trình con", "A forked process must not use the parent's HSM"
            )


def _function_list(path: str) -> Any:
    """Return the library's table of functions, by their places; place 0 is the version."""
    find = ctypes.CDLL(path).C_GetFunctionList
    find.argtypes, find.restype = [ctypes.c_void_p], ctypes.c_ulong
    address = ctypes.c_void_p()
    if find(ctypes.byref(address)) != _OK or not address.value:
        raise HolderMisconfigured("Thư viện PKCS#11 không dùng được", "The PKCS#11 library has no functions")
    return (ctypes.c_void_p * FUNCTIONS).from_address(address.value)


def take(path: str) -> Module:
    """Return the library of this path, opened on first use; raise HolderMisconfigured when it cannot be."""
    with _opening:
        if path not in _open:
            if not Path(path).is_file():
                raise HolderMisconfigured("Không có thư viện PKCS#11 này", f"There is no PKCS#11 library {path}")
            try:
                _open[path] = Module(path)
            except (PKCS11Error, OSError, AttributeError) as error:
                raise HolderMisconfigured(
                    "Không mở được thư viện PKCS#11", f"The PKCS#11 library does not open ({type(error).__name__})"
                ) from error
        _open[path].users += 1
        return _open[path]


def give_back(module: Module) -> None:
    """End the library with its last user."""
    with _opening:
        module.users -= 1
        if module.users == 0:
            del _open[module.path]
            module.finalise()
