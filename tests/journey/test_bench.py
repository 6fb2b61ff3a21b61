"""`motcua bench api` on a few rows: the product, its peer and the floor give equal answers and write equal rows.

What it measures here means nothing and is not looked at; that a figure of it can be believed is.
"""

import asyncio
import sys

import msgspec
import pytest

from loadtests.bench.drive import Run
from loadtests.bench.report import Measured
from tests.signer_process import ROOT

PATIENCE_S = 200


async def test_the_benchmark_runs_and_its_three_contenders_answer_the_same(tmp_path):
    command = ("-m", "loadtests.bench.api", "--quick", "--json", "--root", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        out, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    report = msgspec.json.decode(out)
    assert {one["name"] for one in report["measured"]} == {"look-up", "to-sign", "submit", "step"}
    for one in report["measured"]:
        assert set(one["runs"]) == {"motcua", "fastapi", "floor"}
        assert all(run["requests"] > 0 and run["errors"] == 0 for runs in one["runs"].values() for run in runs)
    durable = {name: report["durability"][name] for name in ("fsync", "full_page_writes", "synchronous_commit")}
    assert set(durable.values()) == {"on"}
    assert (report["signing"]["asks"], report["signing"]["errors"]) == (1, 0)
    assert report["authorisation"]["queries"] <= 1.1
    assert said.decode().count("all three answer the same") == 4


def run(*, errors: int = 0, busy: float = 0.2) -> Run:
    return Run(requests=9, errors=errors, seconds=1, in_flight=1, p50_ms=1, p95_ms=1, generator_busy=busy)


@pytest.mark.parametrize(("measured", "void"), [(run(), False), (run(errors=1), True), (run(busy=0.9), True)])
def test_a_run_with_errors_or_a_busy_generator_does_not_count(measured, void):
    assert measured.void is void


@pytest.mark.parametrize(
    ("ours_us", "peer_us", "floor_us", "least", "reached"),
    [(100, 700, 50, 6.0, True), (150, 700, 50, 6.0, False), (200, 700, 150, 0.7 * 700 / 150, True)],
)
def test_a_read_must_reach_six_times_its_peer_or_seven_tenths_of_the_floor(ours_us, peer_us, floor_us, least, reached):
    cost = {"motcua": [ours_us], "fastapi": [peer_us], "floor": [floor_us]}
    runs = {name: [run()] for name in cost}
    measured = Measured(name="x", vi="x", en="x", writes=False, runs=runs, cost_us=cost, loop_lag_ms=0)
    assert (measured.least, measured.reached) == (pytest.approx(least), reached)
