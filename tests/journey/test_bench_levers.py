"""`motcua bench levers` on a few rows: each lever changes the worker that it names and nothing else.

What it measures here means nothing and is not looked at; that a figure of it can be believed is.
"""

import asyncio
import subprocess
import sys

import msgspec

from loadtests.bench.levers import KINDS, Cost, Measured, Report, text
from loadtests.bench.unlevered import LEVERS
from tests.signer_process import ROOT

PATIENCE_S = 200


async def test_a_lever_is_measured_with_and_without(tmp_path):
    names = ("no-reset", "uvloop")
    command = ("-m", "loadtests.bench.levers", *names, "--quick", "--json", "--root", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        out, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    report = msgspec.json.decode(out, type=Report)
    assert [(one.lever, one.kind) for one in report.measured] == [(name, kind) for name in names for kind in KINDS]
    assert all(cost.worker > 0 and cost.database > 0 for one in report.measured for cost in (one.ours, one.other))


CHANGED = """
import asyncio, gc, asyncpg
from api.db import pools
from api.http import hot, lighter
from api.telemetry import process
from loadtests.bench.unlevered import LEVERS
def seen():
    return {
        "short-way": hot.HotRoutes._find, "no-reset": pools._leave_as_it_is, "kept-statements": asyncpg.create_pool,
        "msgspec": (hot.encode, lighter.encode, pools.prepare_connection), "spared": process.spare_the_collector,
    }
before = seen()
LEVERS[%r].change()
print([name for name, value in seen().items() if value != before[name]])
"""


def test_every_lever_changes_one_thing():
    touches = {"kept-plans": "kept-statements", "spared-collector": "spared", "no-collector": "spared"}
    for name, lever in LEVERS.items():
        run = [sys.executable, "-c", CHANGED % name]
        told = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        expected = [] if lever.server else [touches.get(name, name)]
        assert told.strip() == str(expected), name


def test_what_was_tried_is_told_the_other_way_round():
    def one(*, tried: bool) -> Measured:
        cheap, dear = Cost(80, 20), Cost(150, 50)
        return Measured(
            lever="x", vi="thử", en="a trial", tried=tried, kind="look-up", ours=cheap, other=dear,
        )  # fmt: skip

    assert one(tried=False).gives == 2.0, "without it an answer costs twice as much"
    assert one(tried=True).gives == 0.5, "with it an answer costs twice as much"
    told = text(Report(dossiers=1, rounds=1, seconds=1.0, load=0.0, measured=(one(tried=True),)))
    assert "80+20 : 150+50  x0.50" in told
    assert "(thử / tried) x" in told
