"""Whoever stands back is asked nothing more than to be short."""

import os
import subprocess
import sys

from api import turns
from tests.slices import slice_of


def test_a_process_stands_back_by_nice_value_and_by_slice():
    ours, nice = slice_of(0), os.getpriority(os.PRIO_PROCESS, 0)
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        turns.stand_back(other.pid)
        assert os.getpriority(os.PRIO_PROCESS, other.pid) == turns.NICENESS
        assert slice_of(other.pid) == (turns.SLICE_NS if ours else 0)
    finally:
        other.communicate(b"\n")
    assert (slice_of(0), os.getpriority(os.PRIO_PROCESS, 0)) == (ours, nice)


def test_a_machine_that_is_not_known_keeps_the_nice_value_alone(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        turns.stand_back(other.pid)
        assert os.getpriority(os.PRIO_PROCESS, other.pid) == turns.NICENESS
    finally:
        other.communicate(b"\n")
