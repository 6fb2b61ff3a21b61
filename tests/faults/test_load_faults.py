"""Every fault of the load suite on a small load: each is seen to happen, and nothing is lost, doubled or altered by it.

How long anything took here means nothing, since the machine is shared; that a fault did what it is called is looked at
in what was answered meanwhile. `MOTCUA_LOAD_FAULT_S` is how many seconds each fault has with its rest and cool-down.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import pytest_asyncio

from loadtests.load import faults, report
from loadtests.load.checking import look_back
from loadtests.load.courses import between
from loadtests.load.machine import measure
from loadtests.load.mischief import SLOW_FSYNC_US
from loadtests.load.run import Order, evidence_of, load, owning, product
from loadtests.load.verdict import judge

EACH_S = float(os.environ.get("MOTCUA_LOAD_FAULT_S", "8"))
ORDER = Order(shape="faults", users=40, minutes=EACH_S * len(faults.FAULTS) / 60, workers=2, quick=True)
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
WRITES = ("submit online", "receive", "hand over", "hand a file in")
pytestmark = pytest.mark.timeout(900)


def quiet(_vi: str, _en: str) -> None:
    """Progress is for people."""


class Run:
    """A load with every fault that has ended."""

    def __init__(self, loaded, found) -> None:
        self.loaded, self.found = loaded, found
        self.happened = {one.name: one for one in loaded.happened}

    def during(self, name: str, *operations: str):
        """What was asked while a fault lasted, or soon after its end."""
        fault = self.happened[name]
        those = between(self.loaded.written.asked, fault.began, fault.cooled)
        return [one for one in those if not operations or one.op in operations]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run():
    root = Path(tempfile.mkdtemp(prefix="motcua-load-"))
    root.chmod(0o755)  # the database's user has to enter it
    try:
        async with product(ORDER, root, quiet) as place:
            async with owning(place) as owner:
                loaded = await load(ORDER, root, place, owner, quiet)
            async with owning(place) as owner:
                found = await look_back(place, owner, loaded.since, loaded.written, quiet, jumped_s=faults.JUMP_S)
            yield Run(loaded, found)
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def test_every_fault_happens_and_nothing_is_lost_doubled_or_altered(run, capsys):
    evidence = evidence_of(ORDER, measure(Path("/tmp")), run.loaded, run.found, DURABLE)
    with capsys.disabled():
        sys.stdout.write("\n" + report.text(evidence, judge(evidence), model=False))
    assert [one.name for one in run.loaded.happened] == [fault.name for fault in faults.FAULTS]
    assert {one.name: one.left_out for one in run.loaded.happened if one.left_out} == {}, "make test-tools"
    assert [(one.name, one.wrong) for one in run.loaded.happened if one.wrong] == []
    checked, kept = run.found.checked, run.found.kept
    assert (checked.lost, checked.doubled, checked.invalid) == ([], [], [])
    assert (kept.missing, kept.unasked, kept.reordered, kept.open_tickets) == ((), (), (), 0)
    assert checked.opened > 0
    assert all(one.missing == 0 for one in evidence.generators)


async def test_a_database_that_is_killed_is_away_and_back(run):
    fault = run.happened["PostgreSQL killed"]
    after = between(run.loaded.written.asked, fault.began, float("inf"))
    away = [one.at for one in after if one.status == 503]
    assert away, "callers were told"
    assert [one for one in after if one.at > away[0] and 200 <= one.status < 300], "and served again"


async def test_a_full_store_refuses_files_and_nothing_else_and_a_slow_one_takes_its_time(run):
    full = run.happened["document store full"]
    refused = [one for one in run.during("document store full", "hand a file in") if one.at < full.ended]
    assert refused, "somebody handed a file in"
    assert {one.status for one in refused} == {503}
    slow = run.happened["document store slow"]
    took = [one.ms for one in run.during("document store slow", "hand a file in") if one.at < slow.ended - 0.5]
    assert took
    assert max(took) > 2000


async def test_commits_wait_for_a_disk_whose_fsync_is_slow(run):
    fault = run.happened["fsync takes 200 ms"]
    took = sorted(one.ms for one in run.during("fsync takes 200 ms", *WRITES) if one.at < fault.ended - 0.5)
    assert took
    assert took[len(took) // 2] > SLOW_FSYNC_US / 1000
