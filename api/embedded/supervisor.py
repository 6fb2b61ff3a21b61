"""A small supervisor: keeps processes running, writes what they say to files, and stops them in order.

Each process writes straight into its own log file, so a slow or closed console never holds one up; the supervisor
only reads those files along. All children carry the run's id in their environment: whatever outlived a `kill -9` of
everything is found by that id at the next start and ended, never by a name or a bare PID.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from api.embedded.postgres import Progress, die_with_parent

RUN_VARIABLE: Final = "MOTCUA_RUN_ID"
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STEADY_S: Final = 10.0
"""A process that ran this long is healthy: its next failure begins again with the shortest pause."""
STOP_BUDGET_S: Final = 35.0
LONGEST_LOG: Final = 20 * 1024 * 1024


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A process to keep running: its command and the whole of its environment."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


class Supervisor:
    """Keeps the services of one run alive until `stop`."""

    def __init__(self, log_dir: Path, run_dir: Path, say: Progress, *, echo: bool = True) -> None:
        """Write logs to `log_dir`, and to the console with `echo`; the state of the run to `run_dir/up.json`."""
        self._echoes = echo
        self._log_dir = log_dir
        self._run_dir = run_dir
        self._say = say
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self.run_id: Final = secrets.token_hex(16)
        log_dir.mkdir(parents=True, exist_ok=True)
        run_dir.mkdir(parents=True, exist_ok=True)

    def note(self, **facts: object) -> None:
        """Write the state file, so that other commands find the running server."""
        fresh = self._run_dir / "up.json.new"
        fresh.write_text(json.dumps({"pid": os.getpid(), "run_id": self.run_id, **facts}, indent=1), encoding="utf-8")
        fresh.replace(self._run_dir / "up.json")

    async def start(self, service: Service) -> None:
        """Start a service and keep it running from now on."""
        log = self._log(service.name)
        begins = log.stat().st_size if log.exists() else 0
        await self._spawn(service)
        self._keepers.append(asyncio.create_task(self._keep(service), name=f"keep-{service.name}"))
        if self._echoes:
            self._keepers.append(asyncio.create_task(self._echo(service.name, begins), name=f"echo-{service.name}"))

    def alive(self, name: str) -> bool:
        """Return whether the process of a service runs at this moment."""
        return name in self._running and self._running[name].returncode is None

    async def stop(self, order: tuple[str, ...]) -> None:
        """Ask each service in turn to end (SIGTERM), wait for it, and kill what does not."""
        self._stopping = True
        for name in order:
            if name in self._running:
                await self._stop_one(self._running[name])
        await asyncio.sleep(0.2)  # lets the last lines reach the console
        for task in self._keepers:
            task.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            (self._run_dir / "up.json").unlink()

    async def _spawn(self, service: Service) -> None:
        with self._log(service.name).open("ab") as log:
            self._running[service.name] = await asyncio.create_subprocess_exec(
                *service.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**service.environment, RUN_VARIABLE: self.run_id, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()),
            )

    def _log(self, name: str) -> Path:
        path = self._log_dir / f"{name}.log"
        if path.exists() and path.stat().st_size > LONGEST_LOG:
            path.replace(path.with_suffix(".old.log"))
        return path

    async def _keep(self, service: Service) -> None:
        pause = FIRST_PAUSE_S
        while True:
            process = self._running[service.name]
            began = time.monotonic()
            await process.wait()
            _kill_group(process.pid)  # what it started itself must not hold its port against the next one
            if self._stopping:
                return
            pause = FIRST_PAUSE_S if time.monotonic() - began > STEADY_S else min(pause * 2, LONGEST_PAUSE_S)
            how = f"{service.name} ({process.returncode})"
            self._say(
                f"Tiến trình {how} đã dừng, khởi động lại sau {pause:g} giây.",
                f"The process {how} ended; starting it again in {pause:g} s.",
            )
            await asyncio.sleep(pause)
            if self._stopping:
                return
            await self._spawn(service)

    async def _stop_one(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_BUDGET_S)
            except TimeoutError:
                self._say(f"PID {process.pid} không dừng, buộc dừng.", f"PID {process.pid} did not stop; killing it.")
        _kill_group(process.pid)
        await process.wait()

    async def _echo(self, name: str, position: int) -> None:
        """Show on the console what a service writes to its log from `position` on."""
        while True:
            await asyncio.sleep(0.1)
            position = self._show_lines(name, position)

    def _show_lines(self, name: str, position: int) -> int:
        path = self._log_dir / f"{name}.log"
        if path.stat().st_size < position:  # the log was put aside at a restart
            position = 0
        with path.open("rb") as log:
            log.seek(position)
            whole, newline, _ = log.read(1 << 20).rpartition(b"\n")
        for line in whole.decode("utf-8", "replace").splitlines():
            if '"event":"request"' not in line or '"level":"info"' not in line:  # the file keeps each request
                sys.stdout.write(f"{name:>6} | {line}\n")
        sys.stdout.flush()
        return position + len(whole) + len(newline)


def end_previous_run(run_dir: Path) -> int:
    """End every process that outlived the run noted in `run_dir`; return how many there were.

    Call it while holding the launcher's lock: then that run's supervisor is gone for certain.
    """
    try:
        run_id = json.loads((run_dir / "up.json").read_text(encoding="utf-8"))["run_id"]
    except (FileNotFoundError, ValueError, KeyError):
        return 0
    mark = f"{RUN_VARIABLE}={run_id}".encode()
    ended = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's and so not of that run
                if mark in entry.joinpath("environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
                    ended += 1
    (run_dir / "up.json").unlink(missing_ok=True)
    return ended


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
