"""Two people at one file, in every order in which their transactions can meet: as if one came after the other.

In the manner of PostgreSQL's isolation tester: an order is a word like `ABab`, where a capital does a session's work
and a small letter commits it; work that waits for the other's lock goes on when that lock is free.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from hashlib import sha256

import pytest
import pytest_asyncio

from api.db.faults import as_kind
from api.documents import numbering
from api.errors import MotcuaError
from api.signatures import ahead, asking, returning
from api.signatures.contract import Ask, AskItem, Because, PassOn, Return
from tests.many_documents import copy_rows
from tests.signing_ground import TOLD_ANEW, Ground

ORDERS = ("AaBb", "BbAa", "ABab", "ABba", "BAab", "BAba")
SERIAL = ORDERS[:2]
MEETINGS = (
    ("ask", "ask"),
    ("ask", "send_back"),
    ("ask", "decline"),
    ("ask", "take_back"),
    ("ask", "pass_on"),
    ("send_back", "take_back"),
    ("pass_on", "send_back"),
    ("seal", "send_back_by_clerk"),
    ("seal", "take_back_signature"),
    ("seal", "seal"),
)
STATE = """
SELECT chain.state AS chain, dossier.status, dossier.results ->> result.id::text AS standing, result.state AS result,
       (SELECT array_agg(role || ':' || state ORDER BY ordinal) FROM signature_request r
         WHERE r.chain_id = chain.id) AS requests,
       (SELECT array_agg(outcome ORDER BY i.batch_id) FROM batch_item i JOIN signature_request r ON r.id = i.request_id
         WHERE r.chain_id = chain.id) AS items,
       (SELECT array_agg(state ORDER BY n) FROM number WHERE document_id = chain.document_id) AS numbers,
       (SELECT count(*) FROM journal WHERE dossier_id = dossier.id) AS lines
  FROM chain JOIN dossier ON dossier.id = chain.dossier_id JOIN result ON result.id = chain.result_id
 WHERE chain.id = (SELECT chain_id FROM signature_request WHERE id = $1)
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'"


class File:
    """One document waiting for the chairman, or for the seal, and what people may do with it."""

    def __init__(self, ground: Ground, ids: dict, shown: str) -> None:
        self.ground, self.ids, self.shown = ground, ids, shown

    def act(self, name: str) -> Callable[..., Awaitable[object]]:
        ground, at = self.ground, self.ground.clock()
        dossiers = ground.dossiers

        async def ask(tx, who: str, role: str):
            item = AskItem(request_id=self.ids[role], sha256=self.shown)
            order = Ask(items=[item], code="123456")
            return await asking.ask(tx, ground.actor(who), order, await ahead.look(tx), at=at)

        because, back = Because(reason="vì lý do này"), Return(reason="vì lý do này")
        deputy = ground.actor("phochutich")
        to_deputy = PassOn(to_person_id=deputy.person_id, to_post_id=deputy.post_id, reason="đi vắng")
        chair, head, clerk = (ground.actor(who) for who in ("chutich", "kynhay", "vanthu"))
        signatory, seal, initials = (self.ids[role] for role in ("signatory", "seal", "initials"))
        return {
            "ask": lambda tx: ask(tx, "chutich", "signatory"),
            "seal": lambda tx: ask(tx, "vanthu", "seal"),
            "send_back": lambda tx: returning.send_back(dossiers, tx, chair, signatory, back, at=at),
            "decline": lambda tx: returning.decline(dossiers, tx, chair, signatory, because, at=at),
            "pass_on": lambda tx: returning.pass_on(dossiers, tx, chair, signatory, to_deputy, at=at),
            "take_back": lambda tx: returning.take_back(dossiers, tx, head, initials, because, at=at),
            "send_back_by_clerk": lambda tx: returning.send_back(dossiers, tx, clerk, seal, back, at=at),
            "take_back_signature": lambda tx: returning.take_back(dossiers, tx, chair, signatory, because, at=at),
        }[name]

    async def state(self) -> tuple:
        return tuple((await self.ground.db.admin.fetchrow(STATE, self.ids["signatory"])).values())


class Session:
    """One transaction that does its work and commits when it is told to."""

    def __init__(self, ground: Ground, work) -> None:
        self._ground, self._work = ground, work
        self._may_commit = asyncio.Event()
        self._worked = asyncio.Event()
        self._pid = 0
        self._task: asyncio.Task | None = None
        self.outcome = ""

    async def _run(self) -> None:
        try:
            async with self._ground.app.transaction() as tx:
                self._pid = tx.get_server_pid()
                await self._work(tx)
                self._worked.set()
                await self._may_commit.wait()
            self.outcome = "done"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is how this session ended
            kind = error if isinstance(error, MotcuaError) else as_kind(error)
            self.outcome = kind.kind_code if kind else repr(error)
        finally:
            self._worked.set()

    async def do(self) -> None:
        self._task = asyncio.create_task(self._run())
        await self._until(self._worked.is_set)

    async def commit(self) -> None:
        self._may_commit.set()
        await self._until(self._task.done)

    async def _until(self, reached) -> None:
        async with asyncio.timeout(20):
            while not reached():
                if self._pid and await self._ground.db.admin.fetchval(WAITING, self._pid):
                    return  # it waits for the other, and the order goes on with that one
                await asyncio.sleep(0.002)

    async def end(self) -> str:
        await self._task
        return self.outcome


async def meet(ground: Ground, first, second, order: str) -> tuple[str, str]:
    """Let two pieces of work meet in this order; how each ended."""
    sessions = {"a": Session(ground, first), "b": Session(ground, second)}
    for step in order:
        session = sessions[step.lower()]
        await (session.do() if step.isupper() else session.commit())
    return await sessions["a"].end(), await sessions["b"].end()


async def lay_files(ground: Ground, model, count: int) -> list[File]:
    """Copies of one document, of which only the rows matter here."""
    digests = [sha256(str(n).encode()).digest() for n in range(count)]
    files = []
    for signatory, digest in zip(await copy_rows(ground, model, digests, [1] * count), digests, strict=True):
        rows = await ground.db.admin.fetch(
            "SELECT id, role FROM signature_request WHERE chain_id ="
            " (SELECT chain_id FROM signature_request WHERE id = $1)",
            signatory,
        )
        files.append(File(ground, {row["role"]: row["id"] for row in rows}, digest.hex()))
    return files


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


async def sign_in_the_rows(ground: Ground, file: File) -> None:
    """The chairman has signed: as the signer would record it, without a PDF."""
    request = file.ids["signatory"]
    row = await ground.db.admin.fetchrow("SELECT dossier_id, result_id FROM signature_request WHERE id = $1", request)
    async with ground.signer.transaction() as tx:
        await ground.engine.dossiers.record_signed(
            tx, row["dossier_id"], row["result_id"], request_id=request, role="signatory", complete=True,
            at=ground.clock(), actor=ground.actor("chutich"),
        )  # fmt: skip
    async with ground.db.admin.transaction():
        await ground.db.admin.execute("SET LOCAL session_replication_role = replica")
        await ground.db.admin.execute(
            "UPDATE signature_request SET state = 'recorded', recorded_at = now(), recorded_sha256 = $2,"
            " batch_id = (SELECT id FROM signature_batch LIMIT 1) WHERE id = $1",
            request,
            bytes.fromhex(file.shown),
        )
        await ground.db.admin.execute("UPDATE result SET state = 'signed' WHERE id = $1", row["result_id"])
    await ground.db.admin.execute(f"{TOLD_ANEW} WHERE dossier_id = $1", row["dossier_id"])


async def test_every_order_ends_as_one_after_the_other(ground):
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)
    files = iter(await lay_files(ground, model, len(MEETINGS) * len(ORDERS)))
    unlike: list[str] = []
    for one, other in MEETINGS:
        outcomes = {}
        for order in ORDERS:
            file = next(files)
            if one == "seal":
                await sign_in_the_rows(ground, file)
            ended = await meet(ground, file.act(one), file.act(other), order)
            outcomes[order] = (*ended, *await file.state())
        serial = [outcomes[order] for order in SERIAL]
        assert "done" in outcomes["AaBb"][:1], (one, outcomes["AaBb"])
        assert outcomes["BbAa"][1] == "done", (other, outcomes["BbAa"])
        unlike += [f"{one} and {other}, {order}: {o}" for order, o in outcomes.items() if o not in serial]
    assert unlike == []


async def test_two_clerks_number_without_a_gap_though_one_gives_up(ground):
    _, model, _ = await ground.submitted("mau")
    documents = [
        await ground.db.admin.fetchval("SELECT document_id FROM signature_request WHERE id = $1", file.ids["seal"])
        for file in await lay_files(ground, model, 4 * len(ORDERS))
    ]
    pairs = zip(documents[::2], documents[1::2], strict=True)
    at = datetime.now(UTC)
    given: list[int] = []

    def number(document, *, gives_up: bool = False):
        async def work(tx) -> None:
            got = await numbering.reserve(tx, document, at)
            if gives_up:
                raise MotcuaError("bỏ", "gives up", code="gave-up")
            given.append(got.n)

        return work

    for gives_up, order in itertools.product((False, True), ORDERS):
        first, second = next(pairs)
        ended = await meet(ground, number(first, gives_up=gives_up), number(second), order)
        assert ended == ("gave-up" if gives_up else "done", "done")
    stand = [row["n"] for row in await ground.db.admin.fetch("SELECT n FROM number ORDER BY n")]
    assert stand == list(range(1, len(ORDERS) * 3 + 1))
    assert sorted(given) == stand


@pytest.mark.parametrize("fault", ["no-lock"])
async def test_the_tester_sees_a_lost_lock(ground, fault, monkeypatch):
    """Without the dossiers' lock an ask and a sending back do meet badly, and the tester says so."""
    initials, model, _ = await ground.submitted("mau")
    await ground.sign("kynhay", initials)

    async def unlocked(*_) -> None:
        return None

    monkeypatch.setattr("api.signatures.store.lock_dossiers", unlocked)
    files = iter(await lay_files(ground, model, len(ORDERS)))
    outcomes = {}
    for order in ORDERS:
        file = next(files)
        ended = await meet(ground, file.act("ask"), file.act("ask"), order)
        outcomes[order] = (*ended, *await file.state())
    serial = [outcomes[order] for order in SERIAL]
    assert any(outcome not in serial for outcome in outcomes.values())
