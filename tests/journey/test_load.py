"""The load suite from the first row to the verdict: a small load on the whole product, then planted faults.

How long anything took here means nothing: the machine is shared. That nothing is lost, doubled or altered, that every
persona is met, and that each planted fault gets its line, is what is looked at. `MOTCUA_LOAD_USERS` and
`MOTCUA_LOAD_MINUTES` make it as large as one likes: 200 users for a minute on a quiet machine.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections import Counter
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from loadtests.load import report
from loadtests.load.__main__ import conclude
from loadtests.load.checking import look_back, stored
from loadtests.load.machine import measure
from loadtests.load.model import NOT_SIMULATED, PERSONAS
from loadtests.load.run import Order, evidence_of, load
from loadtests.load.site import ROOT, Place
from loadtests.load.verdict import judge

ORDER = Order(
    shape="average",
    users=int(os.environ.get("MOTCUA_LOAD_USERS", "24")),
    minutes=float(os.environ.get("MOTCUA_LOAD_MINUTES", "0.4")),
    workers=2,
    quick=True,
)
START_S = 240.0
MOTCUA = f"{sysconfig.get_path('scripts')}/motcua"
SIGNED = "SELECT id, sha256 FROM revision WHERE origin = 'signed' AND created_at >= $1 ORDER BY id"
OPENED = "SELECT host(source) AS source FROM session WHERE source IS NOT NULL AND created_at >= $1"
TOUCHED = "SELECT dossier_id FROM journal WHERE recorded_at >= $1 GROUP BY 1 HAVING max(seq) > 1 LIMIT 1"
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def quiet(_vi: str, _en: str) -> None:
    """Progress is for people."""


class Run:
    """A load that has ended, on a product that still runs."""

    def __init__(self, place, owner, loaded, found) -> None:
        self.place, self.owner, self.loaded, self.found = place, owner, loaded, found

    def evidence(self, found=None):
        machine = measure(Path("/tmp"))
        return evidence_of(ORDER, machine, self.loaded, found or self.found, DURABLE)

    async def again(self):
        """Look back once more, at what has been done to it meanwhile; return the report's lines."""
        found = await look_back(
            self.place, self.owner, self.loaded.since, self.loaded.written, self.loaded.counted, quiet
        )
        evidence = self.evidence(found)
        return report.text(evidence, judge(evidence)).splitlines()


async def command(root: Path, *words: str) -> asyncio.subprocess.Process:
    """Start a command of `motcua` whose data lie below `root`."""
    return await asyncio.create_subprocess_exec(
        MOTCUA, *words, cwd=ROOT, env={**os.environ, "MOTCUA_VAR": str(root)},
        stdout=asyncio.subprocess.PIPE, stderr=(root / "said.log").open("ab"),
    )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served():
    """The product on a small data set, as `motcua load serve` keeps it running: where its data lie, and the place."""
    root = Path(tempfile.mkdtemp(prefix="motcua-load-"))
    root.chmod(0o755)  # the database's user has to enter it, and pytest closes its own directories again
    process = await command(root, "load", "serve", "--quick")
    kept = root / "load" / "run" / "place.json"
    try:
        async with asyncio.timeout(START_S):
            while not kept.exists() or not kept.stat().st_size:
                assert process.returncode is None, (root / "said.log").read_text()
                await asyncio.sleep(0.2)
        yield root, msgspec.json.decode(kept.read_bytes(), type=Place)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        shutil.rmtree(root, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def run(served):
    root, place = served
    owner = await asyncpg.connect(place.dsn)
    loaded = await load(ORDER, root / "load", place, owner, quiet)
    yield Run(place, owner, loaded, await look_back(place, owner, loaded.since, loaded.written, loaded.counted, quiet))
    await owner.close()


@pytest.mark.timeout(600)
async def test_nothing_is_lost_doubled_or_altered_and_every_persona_is_met(run, capsys):
    evidence = run.evidence()
    with capsys.disabled():
        sys.stdout.write("\n" + report.text(evidence, judge(evidence), model=False))
    checked, kept = evidence.checked, evidence.kept
    assert (checked.lost, checked.doubled, checked.invalid) == ([], [], [])
    assert (kept.missing, kept.unasked, kept.reordered, kept.unended) == ((), (), (), ())
    assert checked.opened > 0
    assert kept.acknowledged > 10
    asked = Counter(one.op for one in run.loaded.written.asked)
    wanted = {op for persona in PERSONAS for op in persona.asks}
    assert wanted - set(asked) <= {"seal these"}, asked  # a clerk comes last, and on a slow machine too late
    assert all(one.missing == 0 for one in evidence.generators)
    assert len(evidence.generators) == ORDER.workers
    assert evidence.standing.sessions == ORDER.users


async def test_the_users_come_from_their_wards_and_one_in_five_is_slow(run):
    slow = sum(one.slow for one in run.loaded.written.asked)
    assert 0 < slow < len(run.loaded.written.asked) / 2
    opened = await run.owner.fetch(OPENED, run.loaded.since)
    assert len(opened) == sum(one.op == "log in" for one in run.loaded.written.asked) > 0
    assert all(row["source"].startswith("127.99.") for row in opened)


async def test_the_report_is_written_three_times_and_says_what_was_not_simulated(run, tmp_path):
    text, outcome = conclude(run.evidence(), tmp_path)
    kinds = sorted(path.suffix for path in tmp_path.iterdir())
    assert kinds == [".html", ".json", ".txt"]  # a trial is not kept in the history
    page = Path(outcome.page).read_text(encoding="utf-8")
    assert all(what.split(" / ")[0] in page for what in NOT_SIMULATED)
    assert "sessions," in text
    assert msgspec.json.decode(next(tmp_path.glob("*.json")).read_bytes())["verdict"] == outcome.verdict


async def test_a_lost_a_doubled_and_an_altered_pdf_and_a_reordered_journal_are_found(run):
    """Each is planted, found with a line of its own, and taken back."""
    rows = await run.owner.fetch(SIGNED, run.loaded.since)
    assert len(rows) >= 2
    paths = [stored(Path(run.place.blobs))(row["sha256"]) for row in rows[:2]]
    aside = paths[0].rename(paths[0].with_suffix(".aside"))
    content = paths[1].read_bytes()
    paths[1].chmod(0o644)
    middle = len(content) // 2
    paths[1].write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    await run.owner.execute("SET session_replication_role = replica")
    guard = await run.owner.fetchval("SELECT pg_get_indexdef('revision_once'::regclass)")
    await run.owner.execute("DROP INDEX revision_once")  # the database itself would not let it in
    doubled = await run.owner.fetchval(
        "INSERT INTO revision SELECT (jsonb_populate_record(one, jsonb_build_object('id', uuidv7(), 'ordinal', 99))).*"
        " FROM revision one WHERE id = $1 RETURNING id",
        rows[1]["id"],
    )
    journal = await run.owner.fetchval(
        "SELECT dossier_id FROM journal WHERE recorded_at >= $1 GROUP BY 1 HAVING max(seq) > 1 LIMIT 1",
        run.loaded.since,
    )
    try:
        for here, there in ((1, 1001), (2, 1), (1001, 2)):
            await run.owner.execute(
                "UPDATE journal SET seq = $3 WHERE dossier_id = $1 AND seq = $2", journal, here, there
            )
        told = await run.again()
    finally:
        aside.rename(paths[0])
        paths[1].write_bytes(content)
        await run.owner.execute("DELETE FROM revision WHERE id = $1", doubled)
        await run.owner.execute(guard)
    signed = run.found.checked.opened
    for line in (
        f"FAIL lost: 1 of {signed + 1} signatures",
        f"FAIL doubled: 1 of {signed + 1} signatures",
        "FAIL invalid: ",
        "FAIL journals out of order: 1 of ",
    ):
        assert [one for one in told if one.startswith(line)], (line, told)
    assert told[-1] in ("FAIL", "VOID")


@pytest.mark.timeout(300)
async def test_by_command_on_the_product_that_is_served(served):
    """Another run of the same product, as a person asks for it."""
    root, place = served
    words = ("load", "average", "--quick", "--users", "12", "--minutes", "0.1", "--json")
    process = await command(root, *words, "--host", place.url)
    out, _ = await process.communicate()
    assert process.returncode in (0, 1, 3), (root / "said.log").read_text()
    told = msgspec.json.decode(out)
    page = Path(told["page"])
    try:
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
        checked = told["evidence"]["checked"]
        assert (checked["lost"], checked["doubled"], checked["invalid"]) == ([], [], [])
        assert told["evidence"]["kept"]["missing"] == []
    finally:
        for suffix in (".html", ".json", ".txt"):
            page.with_suffix(suffix).unlink()
