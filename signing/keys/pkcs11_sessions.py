"""Sessions with one token: a few threads with one each, healed when it dies, all resting while the device is ill.

A device error trips one flag: from then on every call is answered at once, and one thread alone asks now and then
whether the device is back. Nothing waits in a queue meanwhile, so there is no storm when it is.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from pkcs11 import exceptions as p11

from signing.errors import HolderMisconfigured, HolderRefused, HolderUnavailable, SigningError
from signing.keys import pkcs11_module
from signing.keys.pkcs11_pin import Pin

LONGEST_PAUSE_S: Final = 30.0
_DEATHS: Final = 2
"""A session that dies again, right after a new log-in, is the device's fault."""
_DEAD: Final = (
    p11.SessionHandleInvalid,
    p11.SessionClosed,
    p11.UserNotLoggedIn,
    p11.ObjectHandleInvalid,
    p11.KeyHandleInvalid,
)
"""The session, its log-in or its handles are gone, and nothing is said of the device."""
_OF_THE_ORDER: Final = (
    p11.MechanismInvalid,
    p11.MechanismParamInvalid,
    p11.KeyTypeInconsistent,
    p11.KeySizeRange,
    p11.DataLenRange,
    p11.DataInvalid,
    p11.FunctionNotSupported,
)
"""The device is well, and does not do this."""
_PIN: Final = (p11.PinIncorrect, p11.PinLenRange, p11.PinInvalid)
_PIN_STATE: Final = (p11.PinLocked, p11.PinExpired, p11.UserPinNotInitialized)


class Lost(Exception):
    """Something that this session had before is not there any more."""


class Lane:
    """What one thread holds: its session, of which log-in that is, and the handles of keys found in it."""

    def __init__(self) -> None:
        self.generation = 0
        self.session: Any = None
        self.keys: dict[str, Any] = {}


class Work:
    """One piece of work for a lane, and since when it has been under way."""

    def __init__(self, do: Callable[[Lane], Any]) -> None:
        self.do = do
        self.future: Future[Any] = Future()
        self.began: float | None = None

    def hangs(self, limit_s: float) -> bool:
        """Tell whether the device has kept it longer than it may."""
        return self.began is not None and not self.future.done() and time.monotonic() - self.began > limit_s


class Flag:
    """Whether the device may be called. It trips once, and while it is up one thread probes with growing pauses."""

    def __init__(self, probe: Callable[[], None], first_pause_s: float) -> None:
        self._probe = probe
        self._first_pause_s = first_pause_s
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._why = ""
        self.trips = 0
        self.probes = 0

    @property
    def up(self) -> bool:
        """Whether it has tripped."""
        return bool(self._why)

    def demand_down(self) -> None:
        """Answer at once while the device is ill; raise HolderUnavailable."""
        if self._why:
            raise HolderUnavailable("Thiết bị HSM đang lỗi", f"The HSM is down ({self._why})")

    def trip(self, why: str) -> HolderUnavailable:
        """Stop calling the device; return what to raise."""
        with self._lock:
            if not self._why and not self._ended.is_set():
                self._why = why
                self.trips += 1
                threading.Thread(target=self._until_well, name="hsm-probe", daemon=True).start()
        return HolderUnavailable("Thiết bị HSM lỗi", f"The HSM failed ({why})")

    def _until_well(self) -> None:
        pause_s = self._first_pause_s
        while not self._ended.wait(pause_s):
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            self.probes += 1
            try:
                self._probe()
            except Exception:  # noqa: BLE001, S112 - whatever a library raises, it is not well; nothing may end the probing
                continue
            with self._lock:
                self._why = ""
            return

    def end(self) -> None:
        """Probe no more."""
        self._ended.set()


class Sessions:
    """The sessions with one token. `probe` is tried on a fresh log-in before a tripped flag goes down again."""

    def __init__(
        self,
        *,
        module: Path,
        token: str,
        pin: Pin,
        size: int,
        keep_alive_s: float,
        limit_s: float,
        probe_s: float,
        probe: Callable[[Lane], None],
    ) -> None:
        self._module = pkcs11_module.take(str(module))
        self._label, self._pin, self._size = token, pin, size
        self._keep_alive_s, self._limit_s, self._probe = keep_alive_s, limit_s, probe
        self._gate = self._module.gate
        self._works: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lanes: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._token: Any = None
        self._main: Any = None
        self._generation = self._epoch = 0
        self.flag = Flag(self._try_again, probe_s)

    def submit(self, do: Callable[[Lane], Any]) -> Work:
        """Queue work for the next free lane; raise HolderUnavailable while the flag is up."""
        self._module.demand_own_process()
        self.flag.demand_down()
        with self._starting:
            if not self._lanes:
                self._lanes = [
                    threading.Thread(target=self._serve, name=f"hsm-{number}", daemon=True)
                    for number in range(self._size)
                ]
                for lane in self._lanes:
                    lane.start()
        work = Work(do)
        self._works.put(work)
        return work

    def _serve(self) -> None:
        lane = Lane()
        while True:
            try:
                work = self._works.get(timeout=self._keep_alive_s)
            except queue.Empty:
                self._keep_alive(lane)
                continue
            if work is None:
                return
            if not work.future.set_running_or_notify_cancel():
                continue
            work.began = time.monotonic()
            try:
                work.future.set_result(self._do(lane, work.do))
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it, and the lane goes on
                work.future.set_exception(error)

    def _keep_alive(self, lane: Lane) -> None:
        """Touch a session that has rested, so that no firewall on the way forgets it, and heal it if it is gone."""
        if lane.session is None or self.flag.up:
            return
        try:
            self._do(lane, touch)
        except SigningError:
            return

    def _do(self, lane: Lane, do: Callable[[Lane], Any]) -> Any:
        """Do one piece of work, on a new session where the old one is gone."""
        deaths = 0
        while deaths < _DEATHS:
            self.flag.demand_down()
            known = self._generation
            try:
                with self._gate.shared():
                    known = self._generation
                    if self._logged_in:
                        self._settle(lane)
                        return do(lane)
                self._log_in(known)
            except (*_DEAD, Lost):
                deaths += 1
                self._forget(known)
            except _OF_THE_ORDER as error:
                raise HolderRefused(
                    "HSM không ký được theo thuật toán này", f"The HSM does not do this ({type(error).__name__})"
                ) from error
            except p11.SessionCount as error:
                raise HolderMisconfigured(
                    "HSM không cho mở nhiều phiên như cấu hình", "The HSM allows fewer sessions than are configured"
                ) from error
            except p11.PKCS11Error as error:
                raise self.flag.trip(_name(error)) from error
        raise self.flag.trip("sessions die")

    @property
    def _logged_in(self) -> bool:
        """Whether there is a log-in, and the library has not been begun anew since, by whichever of its users."""
        return self._main is not None and self._epoch == self._module.epoch

    def _settle(self, lane: Lane) -> None:
        """Give a lane a session of the present log-in."""
        if lane.generation != self._generation:
            lane.keys.clear()
            lane.session = self._token.open()
            lane.generation = self._generation

    def _forget(self, generation: int) -> None:
        """Close all sessions of one log-in, once; the next call logs in again."""
        with self._gate.alone(self._limit_s):
            if self._generation == generation and self._main is not None:
                self._main = None
                self._module.close_all_sessions(self._token.slot.slot_id)

    def _log_in(self, generation: int) -> None:
        """Log in once for all lanes, by a session that stays open as long as they do."""
        with self._gate.alone(self._limit_s):
            if self._generation != generation or self._logged_in:
                return
            try:
                self._token = self._module.token(self._label)
            except HolderUnavailable as error:
                raise self.flag.trip("no token") from error
            with self._pin.to_try(self._token.flags) as pin:
                try:
                    self._main = self._token.open(user_pin=pin)
                except _PIN as error:
                    raise self._pin.was_wrong(pin) from error
                except _PIN_STATE as error:
                    raise HolderMisconfigured(
                        "PIN của HSM đã khóa, hết hạn hoặc chưa đặt",
                        f"The token's PIN is locked, expired or not set ({type(error).__name__})",
                    ) from error
                except p11.UserAlreadyLoggedIn:
                    self._module.close_all_sessions(self._token.slot.slot_id)
                    self._main = self._token.open(user_pin=pin)
                self._pin.was_good(pin)
            self._epoch = self._module.epoch
            self._generation += 1

    def _try_again(self) -> None:
        """Begin anew with library and device, and try them; raise when one is still ill."""
        with self._gate.alone(self._limit_s):
            self._main = None
            self._module.begin_anew()
        self._log_in(self._generation)
        lane = Lane()
        with self._gate.shared():
            self._settle(lane)
            self._probe(lane)
            lane.session.close()

    def close(self) -> None:
        """End the lanes, the sessions and, with its last user, the library."""
        self.flag.end()
        for _ in self._lanes:
            self._works.put(None)
        for lane in self._lanes:
            lane.join(self._limit_s)
        if any(lane.is_alive() for lane in self._lanes):
            return  # a call that does not come back still uses the library; it ends with the process
        with self._gate.alone(self._limit_s):
            if self._main is not None:
                self._main = None
                self._module.close_all_sessions(self._token.slot.slot_id)
        pkcs11_module.give_back(self._module)


def touch(lane: Lane) -> None:
    """Have the device do something that uses no key."""
    try:
        lane.session.generate_random(64)
    except (p11.RandomNoRNG, p11.FunctionNotSupported):
        return


def _name(error: Exception) -> str:
    return type(error).__name__ if type(error) is not p11.PKCS11Error else f"PKCS11Error {error}"[:60]
