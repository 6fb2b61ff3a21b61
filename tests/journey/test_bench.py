"""`motcua bench api` on a few rows: the product, its peer and the floor give equal answers and write equal rows.

What it measures here means nothing and is not looked at; that a figure of it can be believed is.
"""

import asyncio
import sys

import msgspec
import pytest

from loadtests.bench.drive import Run
from loadtests.bench.report import Measured, PoolUse, Report, Sessions, Signing, text
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
        assert {pool["name"]: pool["size"] for pool in one["pools"]} == {"read": 8, "write": 8}
        assert 0 < max(pool["used"] for pool in one["pools"]) <= 1
        assert 0 < one["sessions"]["open"] < one["sessions"]["limit"]
    durable = {name: report["durability"][name] for name in ("fsync", "full_page_writes", "synchronous_commit")}
    assert set(durable.values()) == {"on"}
    assert (report["signing"]["asks"], report["signing"]["errors"]) == (1, 0)
    assert said.decode().count("all three answer the same") == 4


def run(*, requests: int = 9, errors: int = 0, busy: float = 0.2) -> Run:
    return Run(requests=requests, errors=errors, seconds=1, in_flight=1, p50_ms=1, p95_ms=1, generator_busy=busy)


@pytest.mark.parametrize(
    ("measured", "void"), [(run(), False), (run(errors=1), True), (run(busy=0.9), True), (run(requests=0), True)]
)
def test_a_run_with_errors_a_busy_generator_or_nothing_asked_does_not_count(measured, void):
    assert measured.void is void


@pytest.mark.parametrize(
    ("used", "opened", "crowded"),
    [(0.8, 80, []), (0.81, 80, ["pool read"]), (0.5, 81, ["sessions"])],
)
def test_more_than_four_fifths_of_the_connections_is_flagged(used, opened, crowded):
    measured = Measured(
        name="x", vi="x", en="x", writes=False, loop_lag_ms=0,
        runs={name: [run()] for name in ("motcua", "fastapi", "floor")},
        cost_us={"motcua": [100], "fastapi": [700], "floor": [50]},
        pools=(PoolUse(name="read", size=8, used=used, peak=8),),
        sessions=Sessions(busy=1.0, most_busy=4, open=opened, limit=100),
    )  # fmt: skip
    signing = Signing(asks=1, errors=0, p50_ms=1, p95_ms=1)
    report = Report(
        dossiers=1, rounds=1, seconds=1, pool=8, load=0, durability={}, measured=[measured], signing=signing,
        loop_lag_ms=0, authorisation_ms=0,
    )  # fmt: skip
    assert measured.crowded == crowded
    assert report.reached is not bool(crowded)
    assert ("MORE THAN 80 %" in text(report)) is bool(crowded)


@pytest.mark.parametrize(
    ("ours_us", "peer_us", "floor_us", "least", "reached"),
    [(100, 700, 50, 6.0, True), (150, 700, 50, 6.0, False), (200, 700, 150, 0.7 * 700 / 150, True)],
)
def test_a_read_must_reach_six_times_its_peer_or_seven_tenths_of_the_floor(ours_us, peer_us, floor_us, least, reached):
    cost = {"motcua": [ours_us], "fastapi": [peer_us], "floor": [floor_us]}
    runs = {name: [run()] for name in cost}
    measured = Measured(name="x", vi="x", en="x", writes=False, runs=runs, cost_us=cost, loop_lag_ms=0)
    assert (measured.least, measured.reached) == (pytest.approx(least), reached)
