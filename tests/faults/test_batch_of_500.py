"""One ask for 500 documents at a remote signer, and the signer killed in the middle: 500 results, nothing twice."""

import asyncio
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

import signing
from signing.contract import Trust
from tests.document_ground import demo_trust
from tests.many_documents import lay_many
from tests.paper import pdfsig_valid
from tests.signer_process import SignerProcess, remote_signer
from tests.signing_ground import Ground

COUNT = 500
PER_CONFIRMATION = 50
AT_ONCE = 4
BUDGET_S = 240
OVER_DIFFERENT_BYTES = (
    "SELECT request_id FROM key_use GROUP BY request_id, attempt HAVING count(DISTINCT tbs_sha256) > 1"
)


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


def count_verified(files: list[str], trust: Trust, at) -> int:
    """Verify files with our own verification; runs in a process of its own."""
    good = 0
    for file in files:
        told = signing.verify(file, trust, at=at).signatures
        good += len(told) == 1 and told[0].intact and told[0].field == "Signatory1"
    return good


async def wait_until(ground, ticket, ended: int) -> None:
    async with asyncio.timeout(BUDGET_S):
        while True:
            query = "SELECT count(*) FROM batch_item WHERE batch_id = $1 AND outcome IS NOT NULL"
            if await ground.db.admin.fetchval(query, ticket) >= ended:
                return
            await asyncio.sleep(0.2)


async def sign_all(ground, requests, url) -> tuple[object, float]:
    """Ask for all, kill the signer once on the way; the ticket and the seconds it took."""
    service = {"base_url": url, "sp_id": "motcua", "sp_password": "demo", "development": True}
    limits = {"hashes_per_authorisation": PER_CONFIRMATION, "parallel_limit": AT_ONCE}
    signer = SignerProcess(ground, [{"kind": "sp769", "sp769": {**service, **limits}}])
    await signer.start()
    began = time.monotonic()
    try:
        accepted = await ground.ask("chutich", *requests)
        await wait_until(ground, accepted.ticket, COUNT // 3)
        await signer.kill()
        await wait_until(ground, accepted.ticket, COUNT)
    finally:
        await signer.stop()
    assert signer.deaths == 1
    return accepted.ticket, time.monotonic() - began


async def judge_files(ground) -> int:
    """Verify every signed file in two processes and a sample with an independent tool."""
    rows = await ground.db.admin.fetch("SELECT sha256 FROM revision WHERE origin = 'signed' ORDER BY sha256")
    files = [await ground.blobs.local_path(row["sha256"]) for row in rows]
    assert all(sha256(Path(f).read_bytes()).digest() == row["sha256"] for f, row in zip(files, rows, strict=True))
    loop, trust, at = asyncio.get_running_loop(), demo_trust(ground.province.pki), ground.clock()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        parts = [[str(f) for f in files[n::2]] for n in range(2)]
        verified = await asyncio.gather(
            *(loop.run_in_executor(processes, count_verified, part, trust, at) for part in parts)
        )
    sample = random.Random(500).sample(files, 25)
    found = await asyncio.gather(*(asyncio.to_thread(pdfsig_valid, file) for file in sample))
    assert found == [1] * len(sample)
    return sum(verified)


@pytest.mark.timeout(600)
async def test_five_hundred_are_each_recorded_once_though_the_signer_is_killed(ground, capsys):
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    admin = ground.db.admin
    await admin.execute("UPDATE certificate SET holder = 'sp769', credential_id = serial")
    requests = await lay_many(ground, model, COUNT)
    async with remote_signer(ground.province.pki) as url:
        ticket, seconds = await sign_all(ground, requests, url)
        async with aiohttp.ClientSession() as web, web.get(f"{url}/control") as answer:
            outside = (await answer.json())["transactions"].values()
    assert await ground.outcomes(ticket) == ["recorded"] * COUNT
    assert await admin.fetchval("SELECT count(*) FROM revision WHERE origin = 'signed'") == COUNT
    assert await admin.fetchval("SELECT count(DISTINCT request_id) FROM revision WHERE origin = 'signed'") == COUNT
    assert await admin.fetchval("SELECT count(DISTINCT document_id) FROM revision WHERE origin = 'signed'") == COUNT
    assert await admin.fetch(OVER_DIFFERENT_BYTES) == []
    assert await admin.fetchval("SELECT max(item_count) FROM holder_transaction") <= PER_CONFIRMATION
    assert await admin.fetchval("SELECT count(*) FROM holder_transaction") >= COUNT // PER_CONFIRMATION
    assert await most_at_once(admin) <= AT_ONCE
    assert all(transaction["key_uses"] == 1 for transaction in outside)
    assert sum(len(transaction["files"]) for transaction in outside) == COUNT
    assert await judge_files(ground) == COUNT
    with capsys.disabled():
        sys.stdout.write(f"\n{COUNT} documents, one kill: {seconds:.1f} s, {COUNT / seconds:.1f} signatures/s\n")
    assert seconds < BUDGET_S


async def most_at_once(admin) -> int:
    """How many confirmations were open at the same moment, at most."""
    return await admin.fetchval(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM holder_transaction one JOIN holder_transaction other"
        " ON other.started_at <= one.started_at AND other.ended_at > one.started_at GROUP BY one.id) counted"
    )
