"""Random lives of dossiers through the real services on PostgreSQL, with two actors at once.

Whatever is tried, in whatever order and however two transactions meet: the journal folds to the row, one value is
released per intent, nothing is sealed unsigned, no register has an unexplained gap, and a refusal tells the truth:
each step that it calls allowed can be taken by somebody.
"""

import asyncio
import contextlib
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from api.db.faults import as_kind
from api.db.pools import prepare_connection
from api.documents import results
from api.documents.contract import NewDocument, NewResult
from api.dossiers import facts as f
from api.dossiers import store
from api.dossiers.controller import ELSEWHERE
from api.dossiers.lifecycle import offered
from api.dossiers.projection import Projection
from api.dossiers.rebuild import rebuild
from api.dossiers.words import Action
from api.errors import MotcuaError, Refused
from api.signatures import following, laying, returning, submitting
from api.signatures.contract import Because, PassOn, Return, SubmitForSignature
from tests.conftest import Database
from tests.lifecycle_ground import facts
from tests.signing_ground import Ground, Threads

EVERYBODY = ("tiepnhan", "thuly", "kynhay", "chutich", "vanthu", "giamdoc", "phochutich")
LIVES, LIFE = 12, 10
"""How many lives, and how many operations each has at most; the same at every run."""
SIGNING = (("kynhay", "initials"), ("chutich", "signatory"), ("vanthu", "seal"))
STEPS = sorted(set(Action) - set(ELSEWHERE))
UNTRIED = {
    Action.CLAIM, Action.RELEASE, Action.ASSIGN, Action.ANSWER_OPINION,  # with a task of one's own
    Action.DELIVER,  # with the proof of its channel
    Action.TAKE_BACK_SIGNATURE,  # with a signature of one's own
    Action.REBASE,  # with a newer version of the procedure
}  # fmt: skip
"""Allowed, and not tried: they need what this life does not have."""
NEVER = {
    "two revisions of one request": (
        "SELECT request_id FROM revision WHERE request_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    ),
    "an intent over two hashes": (
        "SELECT request_id FROM key_use GROUP BY request_id, attempt HAVING count(DISTINCT tbs_sha256) > 1"
    ),
    "a seal without the signatures before it": (
        "SELECT seal.id FROM signature_request seal JOIN signature_request other ON other.chain_id = seal.chain_id"
        " WHERE seal.role = 'seal' AND seal.state = 'recorded' AND other.state <> 'recorded'"
    ),
    "a gap in a register": "SELECT series_id FROM number GROUP BY series_id, year HAVING max(n) <> count(*)",
    "a reserved number that nobody waits for": (
        "SELECT number.id FROM number WHERE state = 'reserved' AND NOT EXISTS"
        " (SELECT 1 FROM batch_item WHERE number_id = number.id AND outcome IS NULL)"
    ),
    "two open chains of a document": (
        "SELECT document_id FROM chain WHERE state IN ('laying', 'open') GROUP BY 1 HAVING count(*) > 1"
    ),
    "a result that stands otherwise than its dossier says": (
        "SELECT result.id FROM result JOIN dossier ON dossier.id = result.dossier_id"
        " WHERE dossier.status NOT IN ('withdrawn', 'stopped') AND (dossier.results ->> result.id::text, result.state)"
        " NOT IN (('drafted', 'draft'), ('to_sign', 'in_signing'), ('signed', 'signed'), ('issued', 'issued'),"
        " ('blocked', 'blocked'), ('dropped', 'dropped'), ('delivered', 'issued'), ('returned', 'issued'),"
        " ('replaced', 'issued'), ('recalled', 'issued'), ('replaced', 'blocked'), ('recalled', 'blocked'))"
    ),
}


class TakenBack(Exception):
    """Ends a trial transaction: it worked, and is undone."""


class Life(Ground):
    """One dossier after another on one database, and every way to touch it."""

    async def begin(self, *, drafted: bool) -> None:
        self.document, self.dossier = await self.draft()
        self.code = await self.db.admin.fetchval("SELECT code FROM dossier WHERE id = $1", self.dossier)
        if not drafted:
            await self.trial("thuly", lambda tx, who: self.step(tx, who, Action.SEND_BACK), keep=True)

    async def standing(self, tx=None) -> Projection:
        if tx is not None:
            return await store.dossier_by_code(tx, self.code)
        async with self.app.reading() as connection:
            return await store.dossier_by_code(connection, self.code)

    async def trial(self, who: str, move, *, keep: bool) -> MotcuaError | None:
        """Let somebody try one move in a transaction; what refused it, or None. Anything else is a fault."""
        try:
            async with self.app.transaction() as tx:
                await move(tx, self.actor(who))
                if not keep:
                    raise TakenBack  # noqa: TRY301 - leaving the block by it is what undoes the trial
        except TakenBack:
            return None
        except MotcuaError as error:
            return error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if (kind := as_kind(error)) is None:
                raise
            return kind
        return None

    async def step(self, tx, who, action: Action):
        now = await self.standing(tx)
        made = self.fitting(action, now, await self.open_tasks(tx))
        return await self.dossiers.take_step(
            tx, who, await self.dossiers.locked(tx, self.dossier), action, made, at=self.clock()
        )

    async def open_tasks(self, tx) -> dict[str, UUID]:
        return {task.kind: task.id for task in await store.open_tasks(tx, self.dossier)}

    def fitting(self, action: Action, now: Projection, tasks: dict[str, UUID]) -> f.Facts:
        """Facts that fit, about this province's own agencies."""
        made = facts(action, now)
        match made:
            case f.HandOver() | f.Dispatch() | f.AskOpinion():
                return replace(made, agency_id=self.actor("thuly").agency_id)
            case f.WithdrawOpinion():
                return replace(made, task_id=tasks.get("opinion", self.dossier))
            case _:
                return made

    async def signature(self, tx, who, name: str):
        role = {"take_back": "signatory", "send_back_by_clerk": "seal"}.get(name, "signatory")
        request = await tx.fetchval(
            "SELECT r.id FROM signature_request r JOIN chain ON chain.id = r.chain_id"
            " WHERE r.document_id = $1 AND r.role = $2 ORDER BY r.id DESC LIMIT 1",
            self.document,
            role,
        )
        at, because = self.clock(), Because(reason="vì lý do này")
        if request is None:
            raise Refused("chưa trình", "no chain", allowed=())
        deputy = self.actor("phochutich")
        act = {
            "send_back": lambda: returning.send_back(self.dossiers, tx, who, request, Return(reason="sửa"), at=at),
            "send_back_by_clerk": lambda: returning.send_back(
                self.dossiers, tx, who, request, Return(reason="sửa"), at=at
            ),
            "decline": lambda: returning.decline(self.dossiers, tx, who, request, because, at=at),
            "take_back": lambda: returning.take_back(self.dossiers, tx, who, request, because, at=at),
            "pass_on": lambda: returning.pass_on(
                self.dossiers, tx, who, request,
                PassOn(to_person_id=deputy.person_id, to_post_id=deputy.post_id, reason="đi vắng"), at=at,
            ),
        }  # fmt: skip
        return await act[name]()

    async def submission(self, tx, who):
        return await submitting.submit(
            self.dossiers, tx, who, self.document, SubmitForSignature(lane="normal"), at=self.clock()
        )

    async def drafting(self, tx, who):
        told = following.drafting(self.dossiers)
        result = await results.create_result(tx, who, self.dossier, NewResult(), self.clock(), drafted=told)
        made = await results.add_document(tx, who, result.id, NewDocument(), self.clock())
        return made.id

    async def asking(self, who: str, role: str) -> None:
        """Ask for one signature if it waits; the signer works on it when it comes to."""
        request = await self.db.admin.fetchval(
            "SELECT r.id FROM signature_request r JOIN chain ON chain.id = r.chain_id"
            " WHERE r.document_id = $1 AND r.role = $2 AND chain.state = 'open' AND r.state = 'to_sign'",
            self.document,
            role,
        )
        if request is not None:
            with contextlib.suppress(MotcuaError):
                await self.ask(who, request)

    async def signer_works(self) -> None:
        """Lay what was submitted, and let the signer work until nothing moves."""
        lay = laying.handler(self.worker, Threads(), self.blobs, self.clock)
        for row in await self.db.admin.fetch("SELECT id FROM chain WHERE state = 'laying'"):
            await lay(None, {"chain": str(row["id"])})
        await self.work()

    async def somebody_can(self, action: Action) -> list[str]:
        """Try an action for everybody, undone each time; why nobody could, or nothing."""
        refusals = []
        for who in EVERYBODY:
            if action is Action.DRAFT_RESULT:
                moves = [self.drafting]
            elif action is Action.SUBMIT_FOR_SIGNATURE:
                moves = [self.submission]
            elif action is Action.PASS_SIGNATURE:
                moves = [lambda tx, actor: self.signature(tx, actor, "pass_on")]
            else:
                moves = [lambda tx, actor: self.step(tx, actor, action)]
            for move in moves:
                refused = await self.trial(who, move, keep=False)
                if refused is None:
                    return []
                refusals.append(f"{who}: {refused.kind_code} {refused.en}")
        return refusals

    def work_of(self, move):
        if isinstance(move, Action):
            return lambda tx, who: self.step(tx, who, move)
        if move in {"submission", "drafting"}:
            return getattr(self, move)
        return lambda tx, who: self.signature(tx, who, move)

    async def alone(self, move) -> None:
        """One actor; what a refusal calls allowed is what the dossier offers."""
        who, name = move
        refused = await self.trial(who, self.work_of(name), keep=True)
        if isinstance(refused, Refused) and isinstance(name, Action):
            now = await self.standing()
            assert set(refused.allowed) == set(offered(now, await self.dossiers.plan(now)))

    async def both(self, one, other) -> None:
        """Two actors at once."""
        await asyncio.gather(*(self.trial(who, self.work_of(name), keep=True) for who, name in (one, other)))

    async def signing(self, role, other) -> None:
        """Somebody does something else while the signer works on what was asked."""
        await self.asking(*role)
        await asyncio.gather(self.signer_works(), self.trial(other[0], self.work_of(other[1]), keep=True))
        await self.signer_works()

    async def sealing(self) -> None:
        """The whole way to the seal, as far as it goes from here."""
        await self.trial("thuly", self.submission, keep=True)
        await self.signer_works()
        for who, role in SIGNING:
            await self.asking(who, role)
            await self.signer_works()

    async def offering(self) -> None:
        """Each step that is called allowed can be taken by somebody."""
        now = await self.standing()
        possible = set(offered(now, await self.dossiers.plan(now))) - UNTRIED
        found = {action: await self.somebody_can(action) for action in sorted(possible)}
        impossible = [f"{now.status} {action}: {'; '.join(why)}" for action, why in found.items() if why]
        assert not impossible, "\n".join(impossible)

    async def live(self, operations, *, drafted: bool) -> None:
        """Do these one after the other; after each, what must always hold is looked at."""
        await self.begin(drafted=drafted)
        for name, *what in operations:
            await getattr(self, name)(*what)
            async with self.app.reading() as tx:
                assert await rebuild(tx) == []
            for fault, query in NEVER.items():
                assert await self.db.admin.fetch(query) == [], fault


@pytest.fixture
def life(province_db, province):
    """The ground on a loop of its own: what hypothesis calls is no coroutine."""
    loop = asyncio.new_event_loop()

    async def opened() -> Life:
        admin = await asyncpg.connect(province_db.dsn("admin"))
        await prepare_connection(admin)
        return await Life(Database(province_db.cluster, province_db.name, admin), province).open()

    made = loop.run_until_complete(opened())
    made.loop = loop
    yield made
    loop.run_until_complete(made.close())
    loop.run_until_complete(made.db.close())
    loop.close()


MOVES = st.one_of(
    st.tuples(st.sampled_from(EVERYBODY), st.sampled_from(STEPS)),
    st.tuples(st.just("thuly"), st.sampled_from(["submission", "drafting"])),
    st.tuples(st.just("chutich"), st.sampled_from(["send_back", "decline", "take_back", "pass_on"])),
    st.tuples(st.just("vanthu"), st.just("send_back_by_clerk")),
)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("alone"), MOVES),
        st.tuples(st.just("both"), MOVES, MOVES),
        st.tuples(st.just("signing"), st.sampled_from(SIGNING), MOVES),
        st.tuples(st.just("sealing")),
        st.tuples(st.just("offering")),
    ),
    min_size=LIFE // 2,
    max_size=LIFE,
)


@pytest.mark.timeout(300)
def test_two_actors_at_once(life):
    @settings(
        max_examples=LIVES,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # a failing life is short enough to read
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(OPERATIONS, st.booleans())
    def lived(operations, drafted):
        life.loop.run_until_complete(life.live(operations, drafted=drafted))

    lived()
