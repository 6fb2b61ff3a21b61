"""The short form of `make chaos`: a few random kills under load, and a ledger that is held against what stands."""

import asyncio
import sys

import pytest

from tests.signer_process import ROOT

KILLS = 5


@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_or_doubled_by_random_kills(capsys):
    words = [sys.executable, "-m", "loadtests.chaos", "--kills", str(KILLS), "--lives", "2"]
    process = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    told = out.decode()
    with capsys.disabled():
        sys.stdout.write("\n" + told)
    assert process.returncode == 0, told
    assert f"{KILLS} kills in" in told
    assert "0 lost, 0 doubled, 0 dangling" in told
