"""Processes on hosts: started, ended in order, killed, and started again by themselves where a supervisor would."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from api.embedded.binaries import ServerUser
from loadtests.cluster import lan

RESTART_S: Final = 1.0
STOP_S: Final = 40.0
ROOT: Final = Path(__file__).resolve().parents[2]


class Part:
    """One process on one host. With `keep` it is started again whenever it ends by itself, as systemd would."""

    def __init__(
        self, room: Path, host: str, name: str, words: Sequence[str], *, environment: Mapping[str, str] | None = None,
        keep: bool = False, user: ServerUser | None = None,
    ) -> None:  # fmt: skip
        self.host, self.name = host, name
        self.log = room / "log" / f"{host}-{name}.log"
        scratch = room / "tmp" / f"{host}-{name}"
        self.log.parent.mkdir(exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        drop: list[str] = []
        if user is not None and user.drop:
            os.chown(scratch, user.uid, user.gid)
            drop = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups", "--"]
        self._words = [*lan.inside(host), *drop, *words]
        self._environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(scratch), "TMPDIR": str(scratch),
            **(environment or {}),
        }  # fmt: skip
        self._keep = keep
        self._keeper: asyncio.Task[None] | None = None
        self._wanted = False
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it."""
        self._wanted = True
        await self._spawn()
        if self._keep:
            self._keeper = asyncio.create_task(self._keep_running(), name=f"keep-{self.host}-{self.name}")

    async def end(self) -> float:
        """Ask it to end, and return how many seconds it took.

        Raises:
            RuntimeError: it did not end in order.
        """
        began = time.monotonic()
        process = self.let_go()
        process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            raise RuntimeError(f"{self.host}: {self.name} did not end within {STOP_S:g} s{self.said()}") from None
        if code not in (0, -signal.SIGTERM):
            raise RuntimeError(f"{self.host}: {self.name} ended with {code}{self.said()}")
        return time.monotonic() - began

    def said(self, length: int = 2000) -> str:
        """Return its last words."""
        with contextlib.suppress(OSError):
            return "; its last words:\n" + self.log.read_bytes()[-length:].decode(errors="replace")
        return ""

    def let_go(self) -> asyncio.subprocess.Process:
        """Start it no more when it ends; return its process."""
        self._wanted = False
        if self._keeper is not None:
            self._keeper.cancel()
        if self.process is None:
            raise RuntimeError(f"{self.host}: {self.name} was not started")
        return self.process

    async def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._words, cwd=ROOT, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    async def _keep_running(self) -> None:
        while self._wanted and self.process is not None:
            process = self.process
            await process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children must not hold its port
            await asyncio.sleep(RESTART_S)
            if self._wanted:
                self.restarts += 1
                await self._spawn()


async def die(*parts: Part) -> int:
    """Kill everything on the hosts of these parts and start nothing again; return how many processes there were."""
    processes = [part.let_go() for part in parts]
    killed = [await asyncio.to_thread(lan.kill, host) for host in {part.host for part in parts}]
    for process in processes:
        await process.wait()
    return sum(killed)


async def until(what: str, holds: Callable[[], Awaitable[Any]], patience_s: float, *parts: Part) -> float:
    """Wait until something holds; return how many seconds that took.

    Raises:
        RuntimeError: it did not come, or a part that is not started again ended; its last words are in the text.
    """
    began = time.monotonic()
    while True:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            if await holds():
                return time.monotonic() - began
        late = time.monotonic() - began > patience_s
        if late:
            raise RuntimeError(f"waited {patience_s:g} s in vain: {what}" + "".join(one.said() for one in parts))
        await asyncio.sleep(0.1)


def answers(web: aiohttp.ClientSession, url: str, *statuses: int) -> Callable[[], Awaitable[bool]]:
    """Return a question: does this address answer with one of these statuses, or with any?"""

    async def ask() -> bool:
        async with web.get(url, timeout=aiohttp.ClientTimeout(total=3)) as answer:
            return not statuses or answer.status in statuses

    return ask
