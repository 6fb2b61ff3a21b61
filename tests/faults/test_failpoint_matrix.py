"""Death and double delivery at every boundary of a signature: each request is recorded once, over identical bytes.

Every request of a round is brought to its own boundary and held there; then the signers are killed, or PostgreSQL is,
or all that is under way is delivered a second time to the end before the first goes on.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import asyncpg
import msgspec
import pytest

from api.errors import MotcuaError
from api.failpoints import POINTS
from api.signatures import ahead, asking, handing
from api.signatures.contract import Ask, AskItem
from api.signatures.tool_contract import ValueBack
from loadtests.outside.keyring import Keyring
from loadtests.outside.officer import Token
from tests.hsm import hsm
from tests.many_documents import lay_many
from tests.paper import pdfsig_valid
from tests.signer_process import SignerProcess, remote_signer
from tests.signing_ground import Ground
from tests.upload_ground import upload_settings

PATIENCE_S = 60
LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError, MotcuaError)
"""What a client of the API is told while PostgreSQL is away."""
SIGNERS = 3
OF_THE_SIGNER = [point for point in POINTS if point != "committed"]
IN_THE_POLLER = ("value", "value-received")
"""A poller that is held asks for nobody else meanwhile: these come last, each in another signer."""
FAULTS = ("signer killed", "PostgreSQL killed", "delivered twice")

FACTS = """
SELECT request.state, request.recorded_sha256 AS file, document.head_sha256 AS head,
       (SELECT count(*) FROM revision WHERE request_id = request.id) AS revisions,
       (SELECT count(*) FROM signature_value WHERE request_id = request.id) AS signature_values,
       (SELECT count(*) FROM key_use WHERE request_id = request.id) AS key_uses,
       (SELECT count(DISTINCT tbs_sha256) FROM key_use
         WHERE request_id = request.id AND attempt = request.attempt) AS hashes,
       (SELECT count(*) FROM journal WHERE dossier_id = request.dossier_id AND action = 'record_signature') AS steps
  FROM signature_request request JOIN document ON document.id = request.document_id WHERE request.id = $1
"""
DANGLING = {
    "jobs": "SELECT entrypoint, status, dedupe_key FROM pgqueuer WHERE entrypoint <> 'signatures.lay'",
    "claims": "SELECT key, claims, failures, reason FROM job_claim",
    "transactions": "SELECT id FROM holder_transaction WHERE state <> 'ended'",
    "tickets": "SELECT id FROM signature_batch WHERE closed_at IS NULL",
    "items": "SELECT request_id FROM batch_item WHERE outcome IS NULL",
}
JUDGED = "SELECT count(*) FROM step_up_verdict JOIN step_up ON step_up.id = step_up_id WHERE batch_id = $1"
AGAIN = (
    "INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, status)"
    " SELECT priority, entrypoint, payload, now(), 'queued' FROM pgqueuer WHERE status = 'picked'"
)
LOOK_NOW = "UPDATE holder_transaction SET poll_at = now() WHERE state <> 'ended'"
"""Time passes: what was left alone for a while after its process died is due."""


class Matrix:
    """One ward, three signers, and the orders that bring each request to its boundary."""

    def __init__(self, ground: Ground, durable, holders) -> None:
        self.ground, self.durable = ground, durable
        self.orders = ground.room / "failpoints"
        self.orders.mkdir()
        self.signers = [SignerProcess(ground, holders) for _ in range(SIGNERS)]
        self.rows: list[tuple] = []

    async def ask_held(self, point: str, request) -> Path:
        """Ask for one signature whose work will stand at this point; the file that says it stands there."""
        ground = self.ground
        code = await ground.fresh_code("chutich")
        order = Ask(items=[AskItem(request_id=request, sha256=await ground.shown(request))], code=code)
        attempt = await ground.db.admin.fetchval("SELECT attempt FROM signature_request WHERE id = $1", request)
        async with ground.app.transaction() as tx:
            accepted = await asking.ask(tx, ground.actor("chutich"), order, await ahead.look(tx), at=ground.clock())
            subject = f"signatures.finish:{request}:{attempt + 1}" if point == "settled" else accepted.ticket
            (self.orders / f"{point}.{subject}").write_text("hold")
        async with asyncio.timeout(PATIENCE_S):  # one code for all: it is set back for the next once it was judged
            while not await ground.db.admin.fetchval(JUDGED, accepted.ticket):
                await asyncio.sleep(0.02)
        return self.orders / f"{point}.{subject}.reached"

    async def bring_to_the_boundaries(self, requests) -> None:
        cells = dict(zip(OF_THE_SIGNER, requests, strict=True))
        standing = [
            await self.ask_held(point, request) for point, request in cells.items() if point not in IN_THE_POLLER
        ]
        await self.until_reached(*standing)
        for point in IN_THE_POLLER:
            await self.until_reached(await self.ask_held(point, cells[point]))

    def let_go(self) -> None:
        for order in self.orders.iterdir():
            order.unlink()

    async def until_reached(self, *places: Path) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while away := [path.name for path in places if not path.exists()]:
            assert asyncio.get_running_loop().time() < deadline, f"{away}\n{self.signers[0].log()[-6000:]}"
            await asyncio.sleep(0.05)

    async def until_recorded(self, requests) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while set(await self.ground.states(*requests)) != {"recorded"}:
                await self.ground.db.admin.execute(LOOK_NOW)
                await asyncio.sleep(0.5)

    async def until_nothing_dangles(self) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while any(left := {name: await self.ground.db.admin.fetch(query) for name, query in DANGLING.items()}.values()):
            assert asyncio.get_running_loop().time() < deadline, list(left)
            await asyncio.sleep(0.1)

    async def suffer(self, fault: str, requests) -> None:
        if fault == "signer killed":
            for signer in self.signers:
                await signer.kill()
            self.let_go()
        elif fault == "PostgreSQL killed":
            await self.durable.kill()
            self.let_go()
        else:
            await self.ground.db.admin.execute(AGAIN)
            await self.until_recorded(requests)
            self.let_go()
        await self.until_recorded(requests)
        await self.until_nothing_dangles()

    async def round(self, fault: str, requests) -> None:
        await self.bring_to_the_boundaries(requests)
        await self.suffer(fault, requests)
        for point, request in zip(OF_THE_SIGNER, requests, strict=True):
            self.rows.append((fault, point, await self.ground.db.admin.fetchrow(FACTS, request)))

    def shown(self, name: str) -> str:
        lines = [f"\n{name:30}{'fault':20}revisions values key uses hashes steps\n"]
        lines += [
            f"{point:30}{fault:20}{row['revisions']:9}{row['signature_values']:7}{row['key_uses']:9}{row['hashes']:7}"
            f"{row['steps']:6}\n"
            for fault, point, row in self.rows
        ]
        return "".join(lines)

    async def judge(self) -> None:
        assert await orphans_of(self.ground) == []
        for fault, point, row in self.rows:
            cell = f"{fault} at {point}"
            assert (row["state"], row["revisions"], row["signature_values"], row["steps"]) == ("recorded", 1, 1, 1), (
                cell
            )
            assert row["hashes"] == 1, cell
            assert row["key_uses"] <= 1 + SIGNERS, cell  # a key file knows nothing of its use in another process
            assert row["file"] == row["head"], cell
            path = await self.ground.blobs.local_path(row["file"])
            assert sha256(path.read_bytes()).digest() == row["file"], cell
            assert pdfsig_valid(path) == 1, cell


async def orphans_of(ground: Ground) -> list[str]:
    """Files without a row: what a death between store and commit might leave for good."""
    known = {row["sha256"] for row in await ground.db.admin.fetch("SELECT sha256 FROM blob")}
    return [listed.sha256.hex() async for listed in ground.blobs.iter_all() if listed.sha256 not in known]


@contextlib.asynccontextmanager
async def matrix(durable, province, holders, change=None, **environment):
    async with durable.database() as database:
        ground = await Ground(database, province).open()
        made = Matrix(ground, durable, holders)
        try:
            initials, model, _ = await ground.submitted("mau")
            await ground.sign("kynhay", initials)
            if change:
                await database.admin.execute(change)
            requests = await lay_many(ground, model, len(FAULTS) * len(OF_THE_SIGNER))
            for signer in made.signers:
                signer.may_end = True
                signer.environment |= environment
                await signer.start(made.orders)
            yield made, requests
        finally:
            for signer in made.signers:
                await signer.stop()
            await ground.close()


async def suffer_everything(made: Matrix, requests, capsys, name: str) -> None:
    size = len(OF_THE_SIGNER)
    for place, fault in enumerate(FAULTS):
        await made.round(fault, requests[place * size : (place + 1) * size])
    with capsys.disabled():
        sys.stdout.write(made.shown(name))
    await made.judge()


def held_by(name: str, *, serials: bool = True) -> str:
    """The statement that gives every certificate to a holder."""
    known = ", credential_id = serial" if serials else ""
    return f"UPDATE certificate SET holder = '{name}'{known}"


@pytest.mark.timeout(300)
async def test_software_key(durable, province, capsys):
    async with matrix(durable, province, [{"kind": "software", "keys": str(province.pki)}]) as (made, requests):
        await suffer_everything(made, requests, capsys, "software key")


@pytest.mark.timeout(300)
async def test_remote_signer(durable, province, capsys):
    async with remote_signer(province.pki) as url:
        service = {"base_url": url, "sp_id": "motcua", "sp_password": "demo", "development": True}
        told = [{"kind": "sp769", "sp769": service}]
        async with matrix(durable, province, told, held_by("sp769")) as (made, requests):
            await suffer_everything(made, requests, capsys, "remote signer")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["csc", "vtss"])
async def test_remote_signers_that_know_none_of_our_ids(durable, province, capsys, tmp_path, kind):
    async with remote_signer(province.pki, kind) as url:
        service = {
            "client_id": "motcua", "client_secret": "demo-secret", "state_dir": str(tmp_path / "state"),
            "check_every_s": 0.1, "certificate_class": "demo", "development": True,
        }  # fmt: skip
        own = {"csc": {"base_url": url, "version": "v2", "name": "csc"}}
        own["vtss"] = {"base_url": f"{url}/vtss/service", "profile_id": "profile"}
        told = [{"kind": kind, kind: {**service, **own[kind]}}]
        async with matrix(durable, province, told, held_by(kind)) as (made, requests):
            await suffer_everything(made, requests, capsys, kind)


@pytest.mark.timeout(300)
async def test_hsm(durable, province, capsys):
    with hsm(province.pki) as token:
        told = [{"kind": "pkcs11", "pkcs11": msgspec.to_builtins(token.settings(name="hsm", development=True))}]
        configuration = token.environment["SOFTHSM2_CONF"]
        change = held_by("hsm", serials=False)
        async with matrix(durable, province, told, change, SOFTHSM2_CONF=configuration) as (made, requests):
            await suffer_everything(made, requests, capsys, "HSM")


@pytest.mark.timeout(300)
async def test_an_officials_own_token(durable, province, capsys, tmp_path):
    told = [{"kind": "upload", "upload": msgspec.to_builtins(upload_settings(province.pki, tmp_path))}]
    async with (
        matrix(durable, province, told, held_by("upload")) as (made, requests),
        tool_at_work(made.ground),
    ):
        await suffer_everything(made, requests, capsys, "official's own token")


@contextlib.asynccontextmanager
async def tool_at_work(ground: Ground) -> AsyncIterator[None]:
    """The signatory's desktop tool by the routes' own functions: it signs whatever waits, whoever dies meanwhile."""
    token = Token(Keyring(ground.province.pki))

    async def work() -> None:
        actor = ground.actor("chutich")
        while True:
            with contextlib.suppress(*LOST):
                async with ground.app.reading() as tx:
                    waiting = await handing.to_sign(tx, actor, "", ground.clock())
                for one in waiting:
                    values = [token.value(msgspec.to_builtins(errand)) for errand in one.items]
                    given = handing.given_values(msgspec.convert(values, list[ValueBack]))
                    async with ground.app.transaction() as tx:
                        await handing.take(tx, actor, one.transaction_id, given, at=ground.clock())
            await asyncio.sleep(0.2)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
