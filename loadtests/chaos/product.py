"""The product under test: `motcua up --demo` in a directory of its own, and where its processes are."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from api.embedded.demo_laying import read_accounts
from api.embedded.demo_settings import Layout, read_environment
from api.embedded.postgres import die_with_parent
from api.embedded.province import Accounts
from loadtests.processes import descendants, parents, words_of

ROOT = Path(__file__).resolve().parents[2]
START_S = 240.0
STOP_S = 60.0


class Standing(Protocol):
    """A product that stands somewhere, as a load and its judgement have to know it."""

    files: Layout

    @property
    def accounts(self) -> Accounts:
        """The log-ins."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """What the owner's commands are told."""
        ...

    def settings_of(self, process: str) -> Mapping[str, str]:
        """What one process is told."""
        ...


class Product:
    """Everything on one machine, started and stopped as a person would."""

    def __init__(self, room: Path) -> None:
        room.chmod(0o755)  # the database's user has to enter it
        self.files = Layout(var=room / "var")
        self._log = room / "up.log"
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def __aenter__(self) -> "Product":
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.files.var.parent),
            "LANG": "C.UTF-8",
            "MOTCUA_VAR": str(self.files.var),
            "MOTCUA_LISTEN": "127.0.0.1:0",
        }
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "api", "up", "--demo", cwd=ROOT, env=environment, stdout=log, stderr=log,
                preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()),
            )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                await self._until_walked()
        except BaseException:
            await self._stop()
            raise
        self.url = json.loads((self.files.run / "up.json").read_text())["base_url"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _until_walked(self) -> None:
        while not self.files.result.exists() or not (self.files.run / "up.json").exists():
            if self._process is None or self._process.returncode is not None:
                raise RuntimeError(f"it did not start:\n{self._log.read_text()[-3000:]}")
            await asyncio.sleep(0.2)

    async def _stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    @property
    def log(self) -> Path:
        """What the launcher itself says."""
        return self._log

    @property
    def accounts(self) -> Accounts:
        """The demo's log-ins."""
        return read_accounts(self.files)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the owner's commands are told: database, keys, store."""
        return read_environment(self.files.settings / "owner.env")

    def settings_of(self, process: str) -> Mapping[str, str]:
        """What one process is told."""
        return read_environment(self.files.settings / f"{process}.env")

    def processes(self, name: str) -> list[int]:
        """The process of this name (`api`, `signer`, `worker`, `postgres`) with all that it started, itself first."""
        if self._process is None:
            return []
        above = parents()
        for pid in (pid for pid, parent in above.items() if parent == self._process.pid):
            words = words_of(pid)
            if (name == "postgres" and words[:1] and words[0].endswith("postgres")) or words[-1:] == [name]:
                return [pid, *descendants(pid, above)]
        return []
