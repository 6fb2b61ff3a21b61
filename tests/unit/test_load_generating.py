"""The load's generators: in what turn they run, and what becomes of one that fails."""

import os
import sys

import pytest

from loadtests.load import generating


def saying(script: str) -> list[str]:
    return [sys.executable, "-c", script]


async def test_generators_go_before_what_they_measure_where_they_may_and_it_is_printed(tmp_path):
    said = "import os; print(os.getpriority(os.PRIO_PROCESS, 0))"
    await generating.generate([saying(said)] * 2, tmp_path / "plan", tmp_path, 20)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = generating.AHEAD if generating.ahead() else ours
    assert [int(path.read_text()) for path in sorted(tmp_path.glob("*.log"))] == [wanted] * 2
    assert (str(generating.AHEAD) in generating.told()) == generating.ahead()
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours


async def test_a_generator_that_fails_ends_the_run_with_its_last_words(tmp_path):
    with pytest.raises(RuntimeError, match="no more users"):
        await generating.generate([saying("raise SystemExit('no more users')")], tmp_path / "plan", tmp_path, 20)
