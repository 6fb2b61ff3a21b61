"""The real signer as a process that a test may kill, and the remote signer it talks to; both end with the test."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]


class SignerProcess:
    """`motcua signer`, started again whenever it dies, as its supervisor does."""

    def __init__(self, ground, holders: list[dict[str, Any]]) -> None:
        self.room: Path = ground.room
        trust = self.room / "trust" / "demo"
        trust.mkdir(parents=True, exist_ok=True)
        (trust / "root.pem").write_bytes((ground.province.pki / "root.pem").read_bytes())
        (self.room / "holders.json").write_bytes(msgspec.json.encode(holders))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.room),
            "MOTCUA_DEMO": "1",
            "DATABASE_URL_SIGNER": ground.db.dsn("signer"),
            "MOTCUA_DATA_KEYS": f"test1:{ground.province.data_key.hex()}",
            "MOTCUA_FACTOR_KEYS": f"test1:{ground.province.factor_key.hex()}",
            "MOTCUA_BLOB_DIR": str(self.room / "blobs"),
            "MOTCUA_TRUST_DIR": str(self.room / "trust"),
            "MOTCUA_HOLDERS_FILE": str(self.room / "holders.json"),
            "MOTCUA_PUBLIC_URL": "http://127.0.0.1",
            "MOTCUA_PDF_PROCESSES": "1",
        }
        self.deaths = 0
        self.last_code: int | None = None
        self.may_end = False
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, failpoints: Path | None = None) -> None:
        """Start it; with a directory of orders it dies or stands where these say."""
        environment = {**self.environment, "MOTCUA_SIGNER_LISTEN": f"127.0.0.1:{self.port}"}
        if failpoints:
            environment["MOTCUA_FAILPOINTS"] = str(failpoints)
        self._task = asyncio.create_task(self._supervise(environment))

    async def _supervise(self, environment: dict[str, str]) -> None:
        while True:
            log = (self.room / "signer.log").open("ab")
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "api", "signer", env=environment, cwd=ROOT, stdout=log, stderr=log
            )
            log.close()
            code = await self._process.wait()
            if code != -signal.SIGKILL and not self.may_end:
                raise RuntimeError(f"signer ended with {code}: {self.log()[-2000:]}")
            self.deaths, self.last_code = self.deaths + 1, code
            await asyncio.sleep(0.2 if code != -signal.SIGKILL else 0)

    @property
    def process_id(self) -> int:
        """The process id of the running signer."""
        return self._process.pid

    def log(self) -> str:
        return (self.room / "signer.log").read_text()

    async def kill(self) -> None:
        """Pull the plug; the supervisor starts it again."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """End it for good."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def remote_signer(keys: Path, kind: str = "sp769") -> AsyncIterator[str]:
    """The outside world's remote signer of this kind on a free port; yields its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"loadtests.outside.{kind}",
        "--port",
        "0",
        "--keys",
        str(keys),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        yield f"http://127.0.0.1:{int(line.split()[1])}"
    finally:
        process.kill()
        await process.wait()
