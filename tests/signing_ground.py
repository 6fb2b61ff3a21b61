"""The ground for tests of signing: a ward of the demo province, its officials, its keys, and the signer's own steps."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyotp.totp import TOTP

from api.db.pools import Pools
from api.documents import results
from api.documents.blobs import FileStore
from api.documents.contract import NewDocument, NewResult
from api.dossiers import facts as f
from api.dossiers.contract import NewDossier, PersonIn
from api.dossiers.facts import PartIn
from api.dossiers.intake import Intake
from api.dossiers.service import Dossiers
from api.dossiers.words import Action
from api.embedded.province import data, rows
from api.jobs.runner import Runner
from api.kernel import Actor
from api.registry.service import Registry
from api.signatures import ahead, asking, following, laying, submitting
from api.signatures.contract import Accepted, Ask, AskItem, PasskeyAnswer, SubmitForSignature
from api.signatures.engine import holder_store, polling
from api.signatures.engine.context import Engine
from api.signatures.engine.parking import note_parked
from api.signatures.engine.passkeys import RelyingParty
from api.signer import STEPS
from signing.contract import Der, KeyHolder, Trust
from signing.keys.software import SoftwareHolder
from tests.paper import page

WARD = "kinhbac"
ORIGIN = "https://motcua.example"
ASTRAY = """
SELECT request.id, request.role, request.state, chain.state AS chain_state, request.ready
  FROM signature_request request
  JOIN chain ON chain.id = request.chain_id
  LEFT JOIN LATERAL (
        SELECT min(other.group_no) AS next FROM signature_request other
         WHERE other.chain_id = chain.id AND other.state <> 'recorded') waiting ON true
 WHERE request.ready IS DISTINCT FROM (
       request.state = 'to_sign' AND chain.state = 'open' AND request.group_no = waiting.next
       AND NOT EXISTS (SELECT FROM document annex
                         JOIN signature_request person ON person.document_id = annex.main_document_id
                         JOIN chain main ON main.id = person.chain_id AND main.state IN ('laying', 'open')
                        WHERE annex.id = chain.document_id AND person.role <> 'seal' AND person.state <> 'recorded'))
"""
"""Requests that do not know whether their turn has come: none, whatever was done."""
TOLD_ANEW = "UPDATE signature_request SET ready = NULL"
"""What a test wrote past the triggers is told its turn by them: they write the truth, whatever is given."""
FOLLOW = (following.after_step,)


class Threads:
    """Runs PDF work in a thread: a test of the engine's order needs no process of its own for it."""

    async def run(self, work: Callable[..., Any], *args: Any, timeout_s: float, **kwargs: Any) -> Any:
        async with asyncio.timeout(timeout_s):
            return await asyncio.to_thread(work, *args, **kwargs)


class Clock:
    """The present, moved by hand."""

    def __init__(self) -> None:
        self.shift = timedelta()
        self.fixed: datetime | None = None

    def __call__(self) -> datetime:
        return (self.fixed or datetime.now(UTC)) + self.shift


class Ground:
    """One ward at work on one database."""

    def __init__(self, db, province) -> None:
        self.db, self.province = db, province
        self.clock = Clock()
        self.room = Path(tempfile.mkdtemp(prefix="motcua-ground-"))
        self.blobs = FileStore(self.room / "blobs")

    async def open(self, holders: Mapping[str, KeyHolder] | None = None) -> "Ground":
        self.app: Pools = await self.db.pools("app")
        self.signer: Pools = await self.db.pools("signer")
        self.worker: Pools = await self.db.pools("worker")
        self.registry = Registry(self.app)
        self.dossiers = Dossiers(self.registry, self.province.vault, after_step=FOLLOW)
        software = SoftwareHolder(self.province.pki, production=False)
        root = x509.load_pem_x509_certificate((self.province.pki / "root.pem").read_bytes())
        self.engine = Engine(
            pools=self.signer,
            workshop=Threads(),
            blobs=self.blobs,
            holders=holders or {"software": software},
            factors=self.province.factors,
            personal=self.province.vault,
            dossiers=Dossiers(Registry(self.signer), self.province.vault, process="signer", after_step=FOLLOW),
            trust=Trust(demo_anchors=(Der(root.public_bytes(Encoding.DER)),)),
            clock=self.clock,
            relying_party=RelyingParty.of(ORIGIN),
        )
        for holder in self.engine.holders.values():
            async with self.signer.transaction() as tx:
                await holder_store.declare_holder(tx, "test", holder.capabilities, self.clock())
        return self

    async def close(self) -> None:
        astray = [dict(row) for row in await self.db.admin.fetch(ASTRAY)]
        for holder in self.engine.holders.values():
            await holder.close()
        await self.blobs.close()
        shutil.rmtree(self.room, ignore_errors=True)
        assert astray == []

    def actor(self, who: str) -> Actor:
        person = next(p for p in data.people() if p.slug == f"{who}.{WARD}")
        return Actor(
            account_id=rows.account_id(person),
            person_id=rows.person_id(person),
            post_id=rows.post_id(person),
            agency_id=rows.agency_id(person.agency),
            roles=frozenset(role.value for role in person.roles),
        )

    async def draft(self, text: str = "Xac nhan") -> tuple[UUID, UUID]:
        """A dossier at the step of drafting, with a document drafted from an uploaded page; the ids of both."""
        at = self.clock()
        filing = NewDossier(
            procedure_code="1.004873",
            territory_code="09187",
            filer=PersonIn(name="Nguyễn Thị Hồng Nhung", id_number="024199001234"),
            parts=(PartIn(part_code="TK", name="Tờ khai", originals=1),),
        )
        drafter = self.actor("thuly")
        async with self.app.transaction() as tx:
            filed = await Intake(self.dossiers).submit(tx, self.actor("tiepnhan"), filing, at=at)
        counter = self.actor("tiepnhan")
        for who, action, facts in (
            (counter, Action.HAND_OVER, f.HandOver(agency_id=drafter.agency_id)),
            (drafter, Action.CONFIRM_HAND_OVER, f.Noted()),
            (drafter, Action.APPRAISE, f.Noted()),
        ):
            async with self.app.transaction() as tx:
                await self.dossiers.take_step(tx, who, await self.dossiers.locked(tx, filed.id), action, facts, at=at)
        async with self.app.transaction() as tx:
            result = await results.create_result(
                tx, drafter, filed.id, NewResult(), at, drafted=following.drafting(self.dossiers)
            )
            document = await results.add_document(tx, drafter, result.id, NewDocument(), at)
        await self.drafted_from_a_page(document.id, drafter, text)
        return document.id, filed.id

    async def drafted_from_a_page(self, document_id: UUID, drafter: Actor, text: str) -> None:
        """Give a document its draft: an uploaded page."""
        stored = await self.blobs.put_file(page(self.room / f"{document_id}.pdf", text))
        await self.db.admin.execute(
            "INSERT INTO blob (sha256, size, media_type) VALUES ($1, $2, 'application/pdf') ON CONFLICT DO NOTHING",
            stored.sha256,
            stored.size,
        )
        revision = await self.db.admin.fetchval(
            "INSERT INTO revision (document_id, ordinal, sha256, origin, reason, author_account_id)"
            " VALUES ($1, 1, $2, 'uploaded', 'dự thảo', $3) RETURNING id",
            document_id,
            stored.sha256,
            drafter.account_id,
        )
        await self.db.admin.execute(
            "UPDATE document SET head_revision_id = $2, head_sha256 = $3 WHERE id = $1",
            document_id,
            revision,
            stored.sha256,
        )

    async def copy(self) -> UUID:
        """A certified copy (form d) at the ward's counter, drafted and submitted; the id of its document."""
        at, counter = self.clock(), self.actor("tiepnhan")
        filing = NewDossier(
            procedure_code="2.000815",
            territory_code="09187",
            filer=PersonIn(name="Nguyễn Thị Hồng Nhung", id_number="024199001234"),
            parts=(PartIn(part_code="BC", name="Bản chính", originals=1),),
        )
        async with self.app.transaction() as tx:
            filed = await Intake(self.dossiers).submit(tx, counter, filing, at=at)
            told = following.drafting(self.dossiers)
            result = await results.create_result(tx, counter, filed.id, NewResult(), at, drafted=told)
            document = await results.add_document(tx, counter, result.id, NewDocument(act="copy"), at)
        await self.drafted_from_a_page(document.id, counter, "Ban sao")
        return document.id

    async def submitted(self, text: str = "Xac nhan", lane: str = "normal") -> list[UUID]:
        """The requests of a freshly submitted document, in order: initials, signatory, seal."""
        document, _ = await self.draft(text)
        return await self.submit(document, "thuly", lane)

    async def submit(self, document: UUID, who: str, lane: str = "normal") -> list[UUID]:
        """The requests of a document that is submitted now and whose places are laid, in order."""
        async with self.app.transaction() as tx:
            made = await submitting.submit(
                self.dossiers, tx, self.actor(who), document, SubmitForSignature(lane=lane), at=self.clock()
            )
        lay = laying.handler(self.worker, Threads(), self.blobs, self.clock)
        await lay(None, {"chain": str(made.chain_id)})
        return made.request_ids

    async def shown(self, request_id: UUID) -> str:
        return await self.db.admin.fetchval(
            "SELECT encode(head_sha256, 'hex') FROM document JOIN signature_request r ON r.document_id = document.id"
            " WHERE r.id = $1",
            request_id,
        )

    async def fresh_code(self, who: str) -> str:
        """A code that was not used yet: the counter of the factor is set back."""
        actor = self.actor(who)
        await self.db.admin.execute("UPDATE second_factor SET last_counter = 0 WHERE account_id = $1", actor.account_id)
        return TOTP(self.province.accounts.of(f"{who}.{WARD}").totp_secret).at(self.clock())

    async def ask(
        self,
        who: str,
        *request_ids: UUID,
        lane: str = "normal",
        code: str | None = None,
        passkey: PasskeyAnswer | None = None,
    ) -> Accepted:
        items = [AskItem(request_id=r, sha256=await self.shown(r)) for r in request_ids]
        code = code or (await self.fresh_code(who) if passkey is None else None)
        order = Ask(items=items, code=code, passkey=passkey, lane=lane)
        async with self.app.transaction() as tx:
            accepted = await asking.ask(tx, self.actor(who), order, await ahead.look(tx), at=self.clock())
        if self.clock.fixed is not None:  # the database's clock cannot be moved: what it wrote is
            await self.db.admin.execute(
                "UPDATE signature_batch SET asked_at = $2 WHERE id = $1", accepted.ticket, self.clock()
            )
            await self.db.admin.execute(
                "UPDATE step_up SET offered_at = $2 WHERE batch_id = $1", accepted.ticket, self.clock()
            )
        return accepted

    async def work(self) -> None:
        """Let the signer work until nothing moves."""
        await runner_for(self).drain()
        for name in self.engine.holders:
            while await polling.look(self.engine, name):
                await runner_for(self).drain()

    async def sign(self, who: str, *request_ids: UUID, lane: str = "normal") -> list[str]:
        """Ask and let the signer work; the outcomes of the items in order."""
        accepted = await self.ask(who, *request_ids, lane=lane)
        await self.work()
        return await self.outcomes(accepted.ticket)

    async def outcomes(self, ticket: UUID) -> list[str]:
        return [
            row["outcome"]
            for row in await self.db.admin.fetch(
                "SELECT outcome FROM batch_item WHERE batch_id = $1 ORDER BY ordinal", ticket
            )
        ]

    async def details(self, ticket: UUID) -> list[str | None]:
        return [
            (row["detail"] or {}).get("code")
            for row in await self.db.admin.fetch(
                "SELECT detail FROM batch_item WHERE batch_id = $1 ORDER BY ordinal", ticket
            )
        ]

    async def states(self, *request_ids: UUID) -> list[str]:
        found = {
            row["id"]: row["state"]
            for row in await self.db.admin.fetch(
                "SELECT id, state FROM signature_request WHERE id = ANY ($1::uuid[])", request_ids
            )
        }
        return [found[r] for r in request_ids]


def runner_for(ground: Ground) -> Runner:
    steps = {kind: partial(step, ground.engine) for kind, step in STEPS.items()}
    return Runner(ground.db.dsn("signer"), steps, on_parked=partial(note_parked, ground.engine))
