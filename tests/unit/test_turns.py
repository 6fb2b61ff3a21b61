"""Whoever stands back lets pass whoever wakes: by priority and by a long slice."""

import os
import subprocess
import sys
from contextlib import contextmanager

from signing import turns
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


def test_who_stands_back_has_a_lower_priority_and_a_long_slice():
    ours = _of(0)
    with _other() as pid:
        turns.stand_back(pid)
        assert _of(pid) == (turns.NICENESS, turns.SLICE_NS if ours[1] else 0)
    assert _of(0) == ours


def test_a_machine_that_is_not_known_keeps_the_nice_value_alone(monkeypatch):
    monkeypatch.setattr("signing.turns._SCHED_SETATTR", {})
    with _other() as pid:
        turns.stand_back(pid)
        assert _of(pid) == (turns.NICENESS, slice_of(0))
