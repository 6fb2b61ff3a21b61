"""How each fault is made and mended on the product that runs, by means that nothing of the product knows of."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from loadtests.load.notes import CUT, Cut
from loadtests.load.site import Place
from loadtests.processes import threads_of, words_of

JUMP_S: Final = 90
SLOW_FSYNC_US: Final = 200_000
SLOW_STORE_S: Final = 2.0
_ATTACH_S: Final = 5.0
_HOT: Final = """
    SELECT n FROM dossier_counter WHERE (agency_id, day) = (
           SELECT agency_id, day FROM dossier_counter ORDER BY day DESC, n DESC LIMIT 1) FOR UPDATE
"""
_IDLE_MS: Final = "SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
_SIGNER: Final = """
    SELECT certificate_id FROM signature_request JOIN certificate ON certificate.id = certificate_id
     WHERE certificate.person_id IS NOT NULL AND signature_request.state = 'recorded'
     ORDER BY signature_request.recorded_at DESC LIMIT 1
"""
_USED: Final = """
    SELECT count(*) FROM key_use JOIN signature_request ON signature_request.id = key_use.request_id
     WHERE signature_request.certificate_id = $1 AND key_use.at > $2 AND key_use.at < $3
"""
_TURNED: Final = """
    SELECT count(*) FROM batch_item JOIN signature_request ON signature_request.id = batch_item.request_id
     WHERE signature_request.certificate_id = $1 AND batch_item.ended_at > $2 AND batch_item.outcome = 'failed'
"""
_UNPAID: Final = "SELECT count(*) FROM level_debt WHERE paid_at IS NULL AND due_at < now()"
_GRACE_S: Final = 2.0
"""What was judged before a revocation may still be on its way to its key."""


class CannotError(Exception):
    """A fault cannot be made on this machine, and why."""


class Scene:
    """One product under load, and what a fault keeps of itself from its start to its stop."""

    def __init__(self, place: Place, out: Path) -> None:
        self.place, self.out = place, out
        self.kept: dict[str, Any] = {}


Act = Callable[[Scene], Awaitable[None]]
Look = Callable[[Scene], Awaitable[str]]
"""Looks afterwards at what the rows say; returns what is wrong, or nothing."""


async def nothing(_: Scene) -> None:
    """Leave it to the product: what was killed is started by its supervisor."""


def remote_signer(**profile: Any) -> Act:
    """The remote signer behaves like this."""

    async def behave(scene: Scene) -> None:
        await scene.place.behave(**profile)

    return behave


def authority(**profile: Any) -> Act:
    """The timestamping authority behaves like this."""

    async def behave(scene: Scene) -> None:
        await scene.place.stamp(**profile)

    return behave


def kill(process: str) -> Act:
    """Kill a process of the product, and PostgreSQL with its own."""

    async def kill(scene: Scene) -> None:
        for pid in scene.place.processes().get(process, [])[:1]:
            os.kill(pid, signal.SIGKILL)

    return kill


async def take_hsm(scene: Scene) -> None:
    """Take the token's objects away, so that every call ends in a device error."""
    await asyncio.to_thread(Path(scene.place.tokens).rename, f"{scene.place.tokens}.away")


async def bring_hsm(scene: Scene) -> None:
    """Bring them back."""
    await asyncio.to_thread(Path(f"{scene.place.tokens}.away").rename, scene.place.tokens)


def disk(order: str) -> Act:
    """The disk under the document store is slow, full, or as it was."""

    async def tell(scene: Scene) -> None:
        orders = Path(scene.place.disk)
        fresh = orders.with_suffix(".new")
        await asyncio.to_thread(fresh.write_text, order)
        fresh.replace(orders)

    return tell


def strace(parts: Sequence[str], calls: str, effect: str) -> Act:
    """Tamper with system calls of running processes, by strace, until `release`."""

    async def attach(scene: Scene) -> None:
        pids = [pid for name in parts for pid in scene.place.processes().get(name, []) if _works(pid)]
        words = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={calls}", "-e", f"inject={calls}:{effect}"]
        tracer = await asyncio.create_subprocess_exec(
            *words, *(word for pid in pids for word in ("-p", str(pid))), stderr=asyncio.subprocess.PIPE
        )
        scene.kept["tracer"] = tracer
        deadline = time.monotonic() + _ATTACH_S
        while not all(_traced(thread) for thread in threads_of(pids)):
            if tracer.returncode is not None or time.monotonic() > deadline:
                said = await tracer.stderr.read() if tracer.returncode is not None and tracer.stderr else b"too slow"
                raise CannotError(f"strace did not take hold: {said.decode(errors='replace')[-300:]}")
            await asyncio.sleep(0.05)

    return attach


async def release(scene: Scene) -> None:
    """Let the processes go."""
    tracer: asyncio.subprocess.Process | None = scene.kept.pop("tracer", None)
    if tracer is not None:
        with contextlib.suppress(ProcessLookupError):
            tracer.terminate()
        await tracer.wait()


def _works(pid: int) -> bool:
    """Say whether this is a process that stores or commits: of PostgreSQL its sessions and the writer of its WAL."""
    words = " ".join(words_of(pid))
    return not words.startswith("postgres:") or "walwriter" in words or "[local]" in words


def _traced(thread: int) -> bool:
    try:
        return "TracerPid:\t0\n" not in Path(f"/proc/{thread}/status").read_text()
    except OSError:
        return True


def clock(seconds: int) -> Act:
    """The API's clock is ahead by so much."""

    async def put(scene: Scene) -> None:
        await asyncio.to_thread(Path(scene.place.faketime).write_text, f"+{seconds}")

    return put


async def revoke(scene: Scene) -> None:
    """Revoke the certificate of whoever has signed last, as the registry notes it."""
    async with _owner(scene) as owner:
        scene.kept["certificate"] = one = await owner.fetchval(_SIGNER)
        scene.kept["revoked_at"] = await owner.fetchval(
            "UPDATE certificate SET revoked_at = now() WHERE id = $1 RETURNING revoked_at", one
        )


async def none_by_the_revoked(scene: Scene) -> str:
    """No key was used with a certificate once it was revoked; what was asked for it is told."""
    if scene.kept.get("certificate") is None:
        return "nobody had signed before, so nothing was revoked"
    async with _owner(scene) as owner:
        certificate, at = scene.kept["certificate"], scene.kept["revoked_at"]
        now, grace = await owner.fetchrow("SELECT now() AS now, $1::float8 * interval '1 s' AS grace", _GRACE_S)
        used = await owner.fetchval(_USED, certificate, at + grace, now)
        scene.kept["told"] = f"{await owner.fetchval(_TURNED, certificate, at)} items of the revoked were turned down"
    return f"{used} key uses with the revoked certificate" if used else ""


async def forget_a_transaction(scene: Scene) -> None:
    """Open a transaction that holds the busiest centre's counter of dossiers, and never come back to it."""
    forgotten = await asyncpg.connect(scene.place.dsn)
    limit_s = await forgotten.fetchval(_IDLE_MS) / 1000
    await forgotten.execute("BEGIN")
    await forgotten.fetchval(_HOT)
    scene.kept |= {"forgotten": forgotten, "limit_s": limit_s, "since": time.monotonic()}


async def ended_by_itself(scene: Scene) -> str:
    """The server itself has ended the forgotten transaction."""
    forgotten, stood_s = scene.kept["forgotten"], time.monotonic() - scene.kept["since"]
    try:
        await forgotten.execute("COMMIT")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return ""
    finally:
        forgotten.terminate()
    if 0 < stood_s < scene.kept["limit_s"]:
        scene.kept["told"] = f"closed by hand after {stood_s:.0f} s, before the server's {scene.kept['limit_s']:.0f} s"
        return ""
    return f"the forgotten transaction still stood open after {stood_s:.0f} s"


def cut(*, streams: bool = False, ward: bool = False) -> Act:
    """Cut users off at their own end: all streams, or everything from the first ward's address."""

    async def begin(scene: Scene) -> None:
        told = Cut(streams=streams, source="127.99.1.1" if ward else "")
        fresh = scene.out / f"{CUT}.new"
        await asyncio.to_thread(fresh.write_bytes, msgspec.json.encode(told))
        fresh.replace(scene.out / CUT)

    return begin


async def reconnect(scene: Scene) -> None:
    """Everybody reaches the server again."""
    (scene.out / CUT).unlink(missing_ok=True)


async def levels_paid(scene: Scene) -> str:
    """No document owes its level beyond the day it has for it."""
    async with _owner(scene) as owner:
        late = await owner.fetchval(_UNPAID)
    return f"{late} documents owe their level beyond its time" if late else ""


def can_strace(_: Place) -> str:
    """Say why system calls cannot be tampered with here, or nothing."""
    return "" if shutil.which("strace") else "strace is not installed"


def has_hsm(place: Place) -> str:
    """Say why there is no HSM here, or nothing."""
    return "" if place.tokens else "SoftHSM2 is not installed, or the product was not started for faults"


def has_disk(place: Place) -> str:
    """Say why the store's disk takes no orders, or nothing."""
    return "" if place.disk else "the product was not started for faults"


def has_clock(place: Place) -> str:
    """Say why the clock cannot be set, or nothing."""
    return "" if place.faketime else "libfaketime is not installed, or the product was not started for faults"


@contextlib.asynccontextmanager
async def _owner(scene: Scene):  # noqa: ANN202 - a connection
    owner = await asyncpg.connect(scene.place.dsn)
    try:
        yield owner
    finally:
        await owner.close()
