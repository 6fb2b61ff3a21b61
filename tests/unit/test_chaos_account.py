"""What `make chaos` says where it gives up can be believed."""

import asyncio
import os
import signal
import sys

from loadtests.chaos.hanging import last_lines, state_of
from loadtests.chaos.lives import Doing


async def test_a_process_that_stands_still_is_told_from_one_that_is_gone(tmp_path):
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    try:
        os.kill(process.pid, signal.SIGSTOP)
        async with asyncio.timeout(10):
            while " is stopped, " not in (told := state_of(process.pid)):
                await asyncio.sleep(0.01)
        assert told.startswith(f"{process.pid} ")
        assert told.endswith("import time; time.sleep(60)")
    finally:
        process.kill()
        await process.wait()
    assert state_of(process.pid) == f"{process.pid}: gone"


def test_what_a_life_waits_for_and_the_last_lines_of_a_log(tmp_path):
    doing = Doing(what="kynhay.kinhbac GET /signature-requests", since=100.0, tries=3, last="503 busy")
    assert doing.told(160.0) == ("kynhay.kinhbac GET /signature-requests for 60 s, sent 3 times, last answer: 503 busy")
    log = tmp_path / "api.log"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert last_lines(log, 2) == ["line 98", "line 99"]
    assert last_lines(tmp_path / "none.log") == ["(none)"]
