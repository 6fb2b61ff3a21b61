"""The short form of `make journeys`: the two holders that are most unlike the demo's, in one start of everything."""

import asyncio
import os
import signal
import sys

import pytest

from tests.signer_process import ROOT


@pytest.mark.timeout(300)
async def test_a_token_and_an_hsm_sign_and_seal_through_the_whole_product(capsys):
    words = ["make", "journeys", "HOLDER=upload pkcs11", "BATCH=2"]
    process = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()
    told = out.decode()
    with capsys.disabled():
        sys.stdout.write("\n" + told)
    assert process.returncode == 0, told
    assert [line.split()[:2] for line in told.splitlines() if line[:1] in "✓✗"] == [["✓", "upload"], ["✓", "pkcs11"]]
