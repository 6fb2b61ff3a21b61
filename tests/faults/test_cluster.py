"""The three first parts of `make cluster-test`: scale-out is run here, not drawn."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.signer_process import ROOT

pytestmark = pytest.mark.alone
PARTS = "abc"


def left() -> list[int]:
    """Processes of any run: each is told of its room."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and b"motcua-cluster-" in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


@contextlib.asynccontextmanager
async def cluster_test() -> AsyncIterator[asyncio.subprocess.Process]:
    words = ["make", "cluster-test", f"PARTS={PARTS}"]
    process = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@pytest.mark.timeout(900)
async def test_whole_hosts_restart_and_die_and_nothing_acknowledged_is_lost(capsys):
    async with cluster_test() as process:
        out, _ = await process.communicate()
    told = out.decode()
    with capsys.disabled():
        sys.stdout.write("\n" + told)
    assert process.returncode == 0, told
    for name in ("rolling restart", "primary killed", "object node killed"):
        assert re.search(rf"^✓ PASS  {name}: ", told, re.MULTILINE), told
    assert "0 lost, 0 doubled, 0 dangling" in told
    assert left() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.timeout(300)
async def test_nothing_of_it_lives_on_however_it_ends(how):
    async with cluster_test() as process:
        async with asyncio.timeout(120):
            while len(left()) < 20:
                assert process.returncode is None
                await asyncio.sleep(0.2)
        os.killpg(process.pid, how)
        assert await asyncio.wait_for(process.wait(), 20) != 0
    async with asyncio.timeout(10):
        while left():
            await asyncio.sleep(0.1)
