"""The load suite's faults on the product that runs: under a small load nothing is lost, doubled or altered by them, and
each does what it is called and is mended again. How long anything took means nothing: the machine is shared.

The load comes first: what is handed in while the clock is ahead would be taken for writes of a later load.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from api.embedded.walk import PROCEDURE
from loadtests.load import faults, report
from loadtests.load.acts import filing
from loadtests.load.checking import look_back
from loadtests.load.dataset import wards
from loadtests.load.machine import measure
from loadtests.load.mischief import JUMP_S, SLOW_FSYNC_US, Scene
from loadtests.load.run import Order, evidence_of, load, owning, product
from loadtests.load.verdict import judge

EACH_S = float(os.environ.get("MOTCUA_LOAD_FAULT_S", "8"))
UNDER_LOAD = ("remote signer silent", "HSM gone", "certificate revoked", "all streams cut", "a ward cut off")
ORDER = Order(
    shape="faults", users=40, minutes=EACH_S * len(UNDER_LOAD) / 60, workers=2, quick=True, named=UNDER_LOAD
)  # fmt: skip
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
PDF = b"%%PDF-1.4\n%%%s\n%%%%EOF\n"
AHEAD = "SELECT extract(epoch FROM submitted_at - now())::float8 FROM dossier WHERE code = $1"
SEALS = """
    SELECT use.holder, count(*) FROM key_use use JOIN signature_request request ON request.id = use.request_id
     WHERE request.role = 'seal' AND use.at >= $1 GROUP BY 1
"""
pytestmark = pytest.mark.timeout(600)


def quiet(_vi: str, _en: str) -> None:
    """Progress is for people."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served():
    """The product on a small data set, made ready for faults, and where its data lie."""
    root = Path(tempfile.mkdtemp(prefix="motcua-load-"))
    root.chmod(0o755)  # the database's user has to enter it
    try:
        async with product(ORDER, root, quiet) as place:
            yield root, place
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="session")
async def web(served):
    async with httpx.AsyncClient(base_url=served[1].url, timeout=60) as one:
        yield one


@contextlib.asynccontextmanager
async def happening(served, name: str):
    """One fault while the block runs; then what its rows say must be nothing wrong."""
    root, place = served
    (fault,) = faults.chosen((name,), everything=False)
    assert fault.impossible(place) == "", "make test-tools"
    scene = Scene(place, root)
    try:
        await fault.start(scene)
        yield
    finally:
        await fault.stop(scene)
    if fault.looks is not None:
        assert await fault.looks(scene) == ""


def log(place) -> str:
    """The last words of the API."""
    return (Path(place.blobs).parent / "log" / "api.log").read_text(errors="replace")[-3000:]


def submit(web):
    ward = wards(1)[0]
    key = {"Idempotency-Key": secrets.token_hex(16)}
    return web.post("/online", json=filing(PROCEDURE, ward.centre, ward.territory), headers=key)


async def hand_in(web, filed, place):
    heads = {"X-Dossier-Secret": filed["secret"], "Content-Type": "application/pdf"}
    heads["Idempotency-Key"] = secrets.token_hex(16)
    paper = PDF % secrets.token_hex(16).encode()
    answer = await web.post(f"/track/{filed['code']}/uploads", content=paper, headers=heads)
    assert answer.status_code != 500, (answer.text, log(place))
    return answer


async def until_filed(web, patience_s: float = 120.0):
    """Hand dossiers in until one is taken; it, and the statuses on the way."""
    statuses = []
    async with asyncio.timeout(patience_s):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await submit(web)
                if answer.is_success:
                    return answer.json(), statuses
                statuses.append(answer.status_code)
            await asyncio.sleep(0.1)


async def test_under_a_load_faults_happen_and_nothing_is_lost_doubled_or_altered(served, capsys):
    root, place = served
    async with owning(place) as owner:
        loaded = await load(ORDER, root, place, owner, quiet)
        found = await look_back(place, owner, loaded.since, loaded.written, loaded.counted, quiet)
        seals = {row["holder"]: row["count"] for row in await owner.fetch(SEALS, loaded.since)}
    evidence = evidence_of(ORDER, measure(Path("/tmp")), loaded, found, DURABLE)
    with capsys.disabled():
        sys.stdout.write(f"\nseals by holder: {seals}\n" + report.text(evidence, judge(evidence), model=False))
    assert sorted(one.name for one in loaded.happened) == sorted(UNDER_LOAD)
    assert {one.name: one.left_out for one in loaded.happened if one.left_out} == {}, "make test-tools"
    assert [(one.name, one.wrong) for one in loaded.happened if one.wrong] == []
    assert (found.checked.lost, found.checked.doubled, found.checked.invalid) == ([], [], [])
    assert (found.kept.missing, found.kept.unasked, found.kept.reordered, found.kept.unended) == ((), (), (), ())
    assert found.checked.opened > 0
    assert set(seals) <= {"pkcs11"}, "seals are in the HSM"
    assert all(one.missing == 0 for one in evidence.generators)


async def test_a_full_store_refuses_files_and_a_slow_one_takes_its_time(served, web):
    filed, _ = await until_filed(web)
    async with happening(served, "document store full"):
        assert (await hand_in(web, filed, served[1])).status_code == 503
        assert (await submit(web)).is_success, "whoever stores nothing does not feel it"
    assert (await hand_in(web, filed, served[1])).is_success
    async with happening(served, "document store slow"):
        began = time.monotonic()
        assert (await hand_in(web, filed, served[1])).is_success
        assert time.monotonic() - began > 2


async def test_commits_wait_for_a_disk_whose_fsync_is_slow(served, web):
    async with happening(served, "fsync takes 200 ms"):
        began = time.monotonic()
        await until_filed(web)
        assert time.monotonic() - began > SLOW_FSYNC_US / 1e6
    await until_filed(web)


async def test_the_clock_jumps_and_comes_back(served, web):
    async with owning(served[1]) as owner:
        async with happening(served, "clock jumps by 90 s"):
            async with asyncio.timeout(60):
                while await owner.fetchval(AHEAD, (await until_filed(web))[0]["code"]) < JUMP_S / 2:
                    await asyncio.sleep(0.5)
        async with asyncio.timeout(60):
            while await owner.fetchval(AHEAD, (await until_filed(web))[0]["code"]) > 1:
                await asyncio.sleep(0.5)


async def test_a_forgotten_transaction_holds_up_one_centre_until_it_is_ended(served, web):
    await until_filed(web)
    async with happening(served, "forgotten transaction"):
        answer = await submit(web)
        assert answer.status_code == 503, answer.text
        assert (await web.get(f"/track/{secrets.token_hex(4)}")).status_code in (404, 422), "others feel nothing"
    await until_filed(web)


async def test_a_database_that_is_killed_is_away_and_back(served, web):
    filed, _ = await until_filed(web)
    async with happening(served, "PostgreSQL killed"):
        _, statuses = await until_filed(web)
    assert set(statuses) <= {503}
    async with asyncio.timeout(30):
        while (told := await web.get(f"/track/{filed['code']}")).status_code == 503:  # another connection, lost as well
            await asyncio.sleep(0.5)
    assert told.is_success, "what was acknowledged is there"
