"""The signer dies at every boundary of a signature: each request ends recorded exactly once, over identical bytes."""

import asyncio
import sys
from hashlib import sha256

import aiohttp
import pytest
import pytest_asyncio

from api.failpoints import POINTS
from tests.paper import pdfsig_valid
from tests.signer_process import SignerProcess, remote_signer
from tests.signing_ground import Ground

PATIENCE_S = 90


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


async def until_ended(ground, ticket):
    async with asyncio.timeout(PATIENCE_S):
        while None in (outcomes := await ground.outcomes(ticket)):
            await asyncio.sleep(0.1)
    return outcomes


async def until_dead_once(signer):
    """The last point lies after the record: the outcome may be seen before the death."""
    async with asyncio.timeout(PATIENCE_S):
        while not signer.deaths:
            await asyncio.sleep(0.05)


async def facts_of(ground, request):
    """What the database holds of one request: revisions, values, key uses, distinct hashes, and its file's digest."""
    row = await ground.db.admin.fetchrow(
        "SELECT (SELECT count(*) FROM revision WHERE request_id = $1) AS revisions,"
        " (SELECT count(*) FROM signature_value WHERE request_id = $1) AS signature_values,"
        " (SELECT count(*) FROM key_use WHERE request_id = $1) AS key_uses,"
        " (SELECT count(DISTINCT tbs_sha256) FROM key_use k WHERE request_id = $1 AND k.attempt = r.attempt) AS hashes,"
        " r.state, r.recorded_sha256 FROM signature_request r WHERE id = $1",
        request,
    )
    path = await ground.blobs.local_path(row["recorded_sha256"])
    assert sha256(path.read_bytes()).digest() == row["recorded_sha256"]
    assert pdfsig_valid(path) == 1
    return row


async def run_matrix(ground, holders, capsys, points=POINTS):
    """Kill at each point; return the printed matrix."""
    matrix = []
    for point in points:
        initials, signatory, _ = await ground.submitted(point)
        await ground.sign("kynhay", initials)
        signer = SignerProcess(ground, holders)
        await signer.start(point)
        try:
            accepted = await ground.ask("chutich", signatory)
            outcomes = await until_ended(ground, accepted.ticket)
            await until_dead_once(signer)
        finally:
            await signer.stop()
        facts = await facts_of(ground, signatory)
        matrix.append((point, signer.deaths, outcomes, facts))
    with capsys.disabled():
        sys.stdout.write(f"\n{'point':20} deaths outcome    revisions values key uses\n")
        for point, deaths, outcomes, facts in matrix:
            counts = (facts["revisions"], facts["signature_values"], facts["key_uses"])
            sys.stdout.write(f"{point:20} {deaths:6} {outcomes[0]:10} {counts[0]:9} {counts[1]:6} {counts[2]:8}\n")
    return matrix


def judge(matrix):
    for point, deaths, outcomes, facts in matrix:
        assert deaths == 1, point
        assert outcomes == ["recorded"], point
        assert (facts["state"], facts["revisions"], facts["signature_values"]) == ("recorded", 1, 1), point
        assert facts["hashes"] == 1, point
        assert facts["key_uses"] <= 2, point


@pytest.mark.timeout(600)
async def test_software_key(ground, capsys):
    judge(await run_matrix(ground, [{"kind": "software", "keys": str(ground.province.pki)}], capsys))


@pytest.mark.timeout(600)
async def test_remote_signer_that_confirms_later(ground, capsys):
    await ground.db.admin.execute("UPDATE certificate SET holder = 'sp769', credential_id = serial")
    async with remote_signer(ground.province.pki) as url:
        async with aiohttp.ClientSession() as web:
            await web.post(f"{url}/control", json={"behaviour": "confirm", "delay_s": 0.5})
        service = {"base_url": url, "sp_id": "motcua", "sp_password": "demo", "development": True}
        await ground.db.admin.execute(
            "INSERT INTO key_holder VALUES ('sp769', 'Sp769Holder', 50, 240, 20, true, 'public', true, true)"
        )
        points = ("key-use", "started", "value", "value-received")
        judge(await run_matrix(ground, [{"kind": "sp769", "sp769": service}], capsys, points))
