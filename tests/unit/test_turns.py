"""Whoever computes lets pass whoever wakes: by a long slice, which costs nobody a share."""

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager

from api import turns
from signing.pdf.bounded import BoundedPool
from tests.slices import slice_of


@contextmanager
def _other():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.communicate(b"\n")


def _of(pid: int) -> tuple[int, int]:
    return os.getpriority(os.PRIO_PROCESS, pid), slice_of(pid)


def _long() -> int:
    return turns.SLICE_NS if slice_of(0) else 0


def test_who_stands_back_has_a_lower_priority_and_a_long_slice():
    ours = _of(0)
    with _other() as pid:
        turns.stand_back(pid)
        assert _of(pid) == (turns.NICENESS, _long())
    assert _of(0) == ours


def test_who_lets_pass_keeps_the_priority():
    with _other() as pid:
        os.setpriority(os.PRIO_PROCESS, pid, 3)
        turns.let_pass(pid)
        assert _of(pid) == (3, _long())


def test_a_machine_that_is_not_known_keeps_the_nice_value_alone(monkeypatch):
    monkeypatch.setattr("api.turns._SCHED_SETATTR", {})
    with _other() as pid:
        turns.stand_back(pid)
        assert os.getpriority(os.PRIO_PROCESS, pid) == turns.NICENESS
        assert slice_of(pid) == slice_of(0)


async def test_each_process_of_a_pool_does_first_what_it_is_told():
    async with BoundedPool(2, prepare=turns.let_pass) as pool:
        told = await asyncio.gather(*(pool.run(slice_of, 0, timeout_s=30) for _ in range(2)))
    assert told == [_long()] * 2
