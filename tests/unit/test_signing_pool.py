"""The pool under hostile work: hangs, deaths, greed, cancellation."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import uvloop

import signing
from signing import turns
from signing.errors import Crashed, NotSignable, TimedOut
from signing.pdf.bounded import BoundedPool, Bounds
from tests.paper import AT, page, sign_and_seal, trust
from tests.slices import slice_of


def add(left, right):
    return left + right


def refuse():
    raise NotSignable("không", "no")


def fail():
    raise KeyError("x")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def hoard():
    return len(bytearray(3 * 1024**3))


def spin():
    while True:
        pass


@pytest.fixture
async def pool():
    async with BoundedPool(2) as opened:
        yield opened


async def test_work_is_done_elsewhere_and_errors_come_home(pool, tmp_path):
    assert await pool.run(add, 2, 3, timeout_s=20) == 5
    with pytest.raises(NotSignable, match="no"):
        await pool.run(refuse, timeout_s=20)
    with pytest.raises(Crashed, match="KeyError"):
        await pool.run(fail, timeout_s=20)
    sealed = await asyncio.to_thread(sign_and_seal, page(tmp_path / "source.pdf"), tmp_path)
    assert (await pool.run(signing.verify, str(sealed), trust(), at=AT, timeout_s=20)).ok


async def test_a_hang_costs_its_own_worker_alone(pool):
    hung = asyncio.create_task(pool.run(time.sleep, 60, timeout_s=0.5))
    other = asyncio.create_task(pool.run(time.sleep, 1.0, timeout_s=20))
    with pytest.raises(TimedOut):
        await hung
    assert await other is None
    assert await pool.run(add, 1, 1, timeout_s=20) == 2


async def test_a_death_is_told_and_mended():
    async with BoundedPool(1) as pool:
        waiting = [asyncio.create_task(pool.run(work, timeout_s=20)) for work in (die, os.getpid, hoard, os.getpid)]
        died, first, greedy, second = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(died, Crashed)
    assert isinstance(greedy, Crashed)
    assert "memory" in greedy.en
    assert first == second, "running out of memory is an answer, not a death"


async def test_a_busy_loop_meets_the_processor_limit():
    async with BoundedPool(1, bounds=Bounds(cpu_s_per_task=1)) as pool:
        with pytest.raises(Crashed):
            await pool.run(spin, timeout_s=60)


async def test_a_cancelled_caller_leaves_no_worker_behind(pool):
    task = asyncio.create_task(pool.run(time.sleep, 60, timeout_s=60))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await pool.run(add, 1, 2, timeout_s=20) == 3


async def test_a_worker_lets_pass_whoever_wakes():
    async with BoundedPool(1) as pool:
        pid = await pool.run(os.getpid, timeout_s=20)
        assert os.getpriority(os.PRIO_PROCESS, pid) == max(turns.BEHIND, os.getpriority(os.PRIO_PROCESS, 0))
        assert slice_of(pid) == (turns.SLICE_NS if slice_of(0) else 0)


async def test_workers_are_renewed_and_nothing_stays_after_closing():
    pool = BoundedPool(1, bounds=Bounds(tasks=1))
    first, second = [await pool.run(os.getpid, timeout_s=20) for _ in range(2)]
    assert first != second
    await pool.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in (first, second))
    with pytest.raises(Crashed):
        await pool.run(add, 1, 2, timeout_s=20)


PARENT = """
import asyncio, os, sys
from signing.pdf.bounded import BoundedPool
async def main():
    pool = BoundedPool(1)
    print(await pool.run(os.getpid, timeout_s=30), flush=True)
    await asyncio.sleep(60)
if __name__ == "__main__":
    asyncio.run(main())
"""


def test_workers_die_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    try:
        worker = int(parent.stdout.readline())
        assert runs(worker)
    finally:
        parent.kill()
        parent.wait(10)
        parent.stdout.close()
    deadline = time.monotonic() + 10
    while runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_long_messages_pass_in_both_directions_on_either_event_loop(run):
    """What uvloop waits for it leaves non-blocking, and a message longer than a pipe's buffer is read in parts."""

    async def several() -> list[int]:
        async with BoundedPool(2) as pool:
            sent = [pool.run(bytes.upper, b"x" * 5_000_000, timeout_s=30) for _ in range(8)]
            return [len(answer) for answer in await asyncio.gather(*sent)]

    assert run(several()) == [5_000_000] * 8
