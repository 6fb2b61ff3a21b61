"""`make cluster-test` whole: scale-out is run here, not drawn."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.signer_process import ROOT

pytestmark = pytest.mark.alone


def namespaces() -> set[str]:
    return {one.name for one in Path("/run/netns").glob("*")} if Path("/run/netns").exists() else set()


@pytest.mark.timeout(900)
async def test_restarts_and_deaths_of_whole_hosts_are_not_noticed_or_cost_nothing_acknowledged(capsys):
    before = namespaces()
    words = ["make", "cluster-test"]
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
    for name in ("rolling restart", "primary killed", "object node killed"):
        assert re.search(rf"^✓ PASS  {name}: ", told, re.MULTILINE), told
    assert "0 lost, 0 doubled, 0 dangling" in told
    assert namespaces() == before
