"""`motcua bench growth` on a few rows: every page and look-up is read in both, and PostgreSQL tells what it took.

What it measures here means nothing and is not looked at; that a figure of it can be believed is.
"""

import asyncio
import sys

import msgspec
import pytest

from api.embedded.postgres import Cluster
from loadtests.bench import growth
from loadtests.bench.growth import COUNTS, READS, Report, Statement, Told, text
from tests.signer_process import ROOT

PATIENCE_S = 250


async def test_every_page_and_look_up_is_measured_with_few_and_with_many(tmp_path):
    command = ("-m", "loadtests.bench.growth", "--quick", "--json", "--dossiers", "6000", "--root", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        out, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    report = msgspec.json.decode(out, type=Report)
    assert (report.few, report.many) == (2_000, 6_000)
    assert {one.name for one in report.statements} == set(READS)
    for one in report.statements:
        assert len(one.few) == len(one.many) == report.rounds
        assert all(told.ms > 0 for told in (*one.few, *one.many)), one.name
    touched = {one.name: (one.few[0].blocks, one.many[0].blocks) for one in report.statements}
    assert all(many > 0 for _, many in touched.values())
    few, many = touched["a head's counts"]
    assert many > 2 * few, "a count of three times the dossiers touches more blocks: two databases are read"
    durable = {name: report.durability[name] for name in ("fsync", "full_page_writes", "synchronous_commit")}
    assert set(durable.values()) == {"on"}
    assert "needed" in said.decode()
    assert said.decode().count("6,000 dossiers") >= 2  # what is needed, and how far it has come


async def test_a_disk_without_room_is_found_before_anything_is_seeded(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(growth, "BYTES", 10**15)
    cluster = Cluster(tmp_path)
    await cluster.start(lambda _vi, _en: None)
    try:
        with pytest.raises(RuntimeError, match="are needed for 1,000 dossiers"):
            await growth.template_with_room(cluster, 1_000, tmp_path, lambda _vi, en: said.append(en))
    finally:
        await cluster.stop()
    assert len(said) == 1
    assert said[0].startswith("Seeding 1,000 dossiers: about ")


def statement(few: float, many: float, *, judged: bool = True) -> Statement:
    def told(ms: float) -> list[Told]:
        return [Told(ms=ms, blocks=3, fetched=0)] * 3

    return Statement(name="x", judged=judged, few=told(few), many=told(many))


@pytest.mark.parametrize(
    ("one", "missed", "word"),
    [
        (statement(1.0, 1.1), False, "aim reached"),
        (statement(1.0, 1.4), False, "reached"),
        (statement(1.0, 1.6), True, "MISSED"),
        (statement(1.0, 90.0, judged=False), False, "a count, told"),
    ],
)
def test_a_page_may_cost_half_as_much_again(one, missed, word):
    report = Report(few=1, many=2, statements=[one], rounds=3, reads=1, load=0, durability={})
    assert bool(report.missed) is missed
    assert word in text(report)


def test_counts_alone_are_told_and_not_judged():
    assert set(READS) > COUNTS == {"a head's counts"}
