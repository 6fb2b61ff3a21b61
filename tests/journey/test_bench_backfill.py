"""`motcua bench backfill` on a few rows: the load goes on, every row is rewritten, and the verdict follows the figures.

What it measures here means nothing and is not looked at; that a figure of it can be believed is.
"""

import asyncio
import sys

import msgspec
import pytest

from loadtests.bench.backfill import Measured, Span
from loadtests.bench.backfill_report import Kind, Pressure, Report, found, text
from loadtests.bench.paced import Answer, Traffic
from loadtests.bench.scenarios import Scenario
from tests.signer_process import ROOT

PATIENCE_S = 250


async def test_the_benchmark_rewrites_every_row_under_a_load_of_four_kinds(tmp_path):
    command = ("-m", "loadtests.bench.backfill", "--quick", "--json", "--root", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        out, said = await process.communicate()
    assert out, said.decode()[-3000:]
    report = msgspec.json.decode(out)
    assert {one["name"] for one in report["kinds"]} == {"look-up", "to-sign", "submit", "step"}, said.decode()[-3000:]
    assert all(one["requests"] > 0 and 0 < one["per_s"] < one["most_per_s"] for one in report["kinds"])
    assert report["left"] == 0
    assert report["rows"] >= 5_000
    assert report["batches"] > 10
    assert 0 < report["longest_s"] < report["work_s"] < report["whole_s"]
    assert report["pressure"]["updates"] >= 5_000
    durable = {name: report["durability"][name] for name in ("fsync", "full_page_writes", "synchronous_commit")}
    assert set(durable.values()) == {"on"}


def kind(held: list[list[float]], at_work: list[list[float]]) -> Kind:
    return Kind(name="x", vi="x", en="x", per_s=9, most_per_s=90, alone=[1.0], held=held, at_work=at_work)


def report(*kinds: Kind, left: int = 0, late_s: float = 0.001, rounds: int = 2) -> Report:
    return Report(
        dossiers=1, share=0.3, held_s=1, at_work_s=1, rounds=rounds, load=0, durability={},
        kinds=[found(one) for one in kinds],
        rows=1, left=left, batches=1, work_s=1, whole_s=2, longest_s=0.01, late_s=late_s, server_busy=0.3,
        generator_busy=0.1, pressure=Pressure(wal_bytes=1, full_pages=1, checkpoints=0, vacuums=0, updates=1, hot=1),
    )  # fmt: skip


SLOW_ONE_IN_TEN = [[2.0] * 90 + [3.0] * 10] * 2


@pytest.mark.parametrize(
    ("at_work", "reached"),
    [(SLOW_ONE_IN_TEN, True), ([[2.0] * 90 + [3.3] * 10] * 2, True), ([[2.0] * 90 + [3.4] * 10] * 2, False)],
)
def test_a_tenth_more_is_the_most(at_work, reached):
    judged = report(kind(SLOW_ONE_IN_TEN, SLOW_ONE_IN_TEN), kind(SLOW_ONE_IN_TEN, at_work))
    assert judged.reached is reached
    assert ("MISSED" in text(judged)) is not reached


def test_the_rounds_show_how_far_a_ratio_can_be_believed():
    one = found(kind([[1.0], [2.0], [4.0]], [[1.1], [2.2], [8.0]]))
    assert one.ratio == 2.0
    assert one.rounds == pytest.approx((1.1, 1.1, 2.0))


@pytest.mark.parametrize(
    ("said", "valid"), [({}, True), ({"left": 1}, False), ({"late_s": 0.006}, False), ({"rounds": 0}, False)]
)
def test_a_run_that_left_rows_or_was_late_or_compared_nothing_does_not_count(said, valid):
    judged = report(kind(SLOW_ONE_IN_TEN, SLOW_ONE_IN_TEN), **said)
    assert judged.valid is valid
    assert ("VOID" in text(judged)) is not valid


def test_an_answer_counts_once_and_for_the_round_in_which_it_was_due():
    seen = Traffic()
    kinds = [Scenario(name="x", vi="x", en="x", writes=False, requests=lambda _: iter(()))]
    seen.answers.append(Answer("x", 0.5, 0.001))
    kept = Measured(kinds, 9.0, {"x": 90.0}, seen, Span(at_work=False, begin=0.0, end=1.0))
    seen.answers += [Answer("x", 1.5, 0.002), Answer("x", 2.5, 0.003)]
    kept.add(Span(at_work=False, begin=1.0, end=2.0), Span(at_work=True, begin=2.0, end=3.0))
    seen.answers += [Answer("x", 2.9, 1.5), Answer("x", 4.5, 0.005), Answer("x", 3.5, 0.006)]
    kept.add(Span(at_work=False, begin=4.0, end=5.0), Span(at_work=True, begin=3.0, end=4.0))
    seen.answers.append(Answer("x", 3.9, 2.5))
    kept.settle()
    kept.settle()
    (one,) = kept.kinds
    assert (one.alone, one.held, one.at_work) == ([1.0], [[2.0], [5.0]], [[3.0, 1500.0], [6.0, 2500.0]])
