"""The ground for tests of documents: a ward of the demo province, the web app on it, and a worker that drains."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.documents.blobs import FileStore
from api.documents.workshop import Workshop
from api.dossiers import facts as f
from api.dossiers.contract import NewDossier, PersonIn
from api.dossiers.facts import PartIn
from api.dossiers.intake import Intake
from api.dossiers.service import Dossiers
from api.dossiers.words import Action
from api.embedded.province import data, rows
from api.jobs.runner import RetryPolicy, Runner
from api.kernel import Actor
from api.registry.service import Registry
from api.worker import STEPS, note_parked
from signing.contract import Der, LintLimits, Trust
from tests.office import SetClock, log_in, new_key, serving

WARD = "kinhbac"
QUICK = RetryPolicy(max_failures=3, first_pause=timedelta(milliseconds=20), longest_pause=timedelta(milliseconds=50))
PAPER = {
    "requester": "Nguyễn Thị Hồng Nhung",
    "full_name": "Nguyễn Thị Hồng Nhung",
    "birth_date": "15/3/1999",
    "sex": "Nữ",
    "ethnicity": "Kinh",
    "identity_paper": "Căn cước số 024199001234",
    "residence": "Khu 3, phường Kinh Bắc",
    "status": "Chưa đăng ký kết hôn với ai",
    "purpose": "Đăng ký kết hôn",
}


class DocumentGround:
    """One ward, its web app and its worker on one database and one store."""

    def __init__(self, db, province, workshop: Workshop, web: httpx.AsyncClient, clock: SetClock) -> None:
        self.db, self.province, self.shop, self.web, self.clock = db, province, workshop, web, clock
        self.blobs = workshop.blobs

    def actor(self, who: str) -> Actor:
        person = next(p for p in data.people() if p.slug == f"{who}.{WARD}")
        return Actor(
            account_id=rows.account_id(person),
            person_id=rows.person_id(person),
            post_id=rows.post_id(person),
            agency_id=rows.agency_id(person.agency),
            roles=frozenset(role.value for role in person.roles),
        )

    async def log_in(self, who: str) -> None:
        account = self.province.accounts.of(f"{who}.{WARD}")
        self.web.headers.pop("Authorization", None)
        answer = await log_in(self.web, account.login, account.password)
        assert answer.status_code == 201, answer.text

    async def log_in_elsewhere(self) -> None:
        """As the appraiser of another ward."""
        account = self.province.accounts.of("thuly.bacgiang")
        self.web.headers.pop("Authorization", None)
        assert (await log_in(self.web, account.login, account.password)).status_code == 201

    async def dossier(self) -> UUID:
        """A dossier that the ward is appraising."""
        pools = await self.db.pools("app")
        dossiers = Dossiers(Registry(pools), self.province.vault)
        filing = NewDossier(
            procedure_code="1.004873",
            territory_code="09187",
            filer=PersonIn(name="Nguyễn Thị Hồng Nhung", id_number="024199001234"),
            parts=(PartIn(part_code="TK", name="Tờ khai", originals=1),),
        )
        counter, drafter, at = self.actor("tiepnhan"), self.actor("thuly"), self.clock()
        async with pools.transaction() as tx:
            filed = await Intake(dossiers).submit(tx, counter, filing, at=at)
        for who, action, facts in (
            (counter, Action.HAND_OVER, f.HandOver(agency_id=drafter.agency_id)),
            (drafter, Action.CONFIRM_HAND_OVER, f.Noted()),
            (drafter, Action.APPRAISE, f.Noted()),
        ):
            async with pools.transaction() as tx:
                await dossiers.take_step(tx, who, await dossiers.locked(tx, filed.id), action, facts, at=at)
        return filed.id

    async def document(self) -> tuple[dict, dict]:
        """A result with an empty main document, over HTTP; the answers of both."""
        dossier = await self.dossier()
        result = (await self.post(f"/dossiers/{dossier}/results", {})).json()
        document = (await self.post(f"/results/{result['id']}/documents", {})).json()
        return result, document

    async def post(self, path: str, body: dict) -> httpx.Response:
        return await self.web.post(path, json=body, headers=new_key())

    async def upload(self, content: bytes, profile: str = "to_sign", **headers: str) -> httpx.Response:
        headers = {**new_key(), "Content-Type": "application/pdf", **headers}
        return await self.web.post(f"/uploads?profile={profile}", content=content, headers=headers)

    async def checked(self, content: bytes, profile: str = "to_sign") -> dict:
        """Upload a file and let the worker check it."""
        answer = await self.upload(content, profile)
        assert answer.status_code in (201, 202), answer.text
        await self.work()
        return (await self.web.get(f"/uploads/{answer.json()['id']}")).json()

    async def drafted(self, document_id: str, **draft) -> dict:
        """Order a draft and let the worker make it."""
        order = draft or {"template": "marital_status", "data": PAPER}
        answer = await self.post(f"/documents/{document_id}/drafts", order)
        assert answer.status_code == 202, answer.text
        await self.work()
        return (await self.web.get(f"/drafts/{answer.json()['id']}")).json()

    async def work(self) -> None:
        """Let the worker do all there is to do."""
        bound = {kind: bind(self.shop) for kind, bind in STEPS.items()}
        await Runner(self.db.dsn("worker"), bound, on_parked=note_parked(self.shop), policy=QUICK).drain()


def demo_trust(pki: Path) -> Trust:
    root = x509.load_pem_x509_certificate((pki / "root.pem").read_bytes())
    return Trust(demo_anchors=(Der(root.public_bytes(Encoding.DER)),))


@contextlib.asynccontextmanager
async def document_ground(db, province, processes, room: Path, at: datetime) -> AsyncIterator[DocumentGround]:
    """Open the web app and the worker's tools on one store."""
    clock = SetClock(at)
    blobs = FileStore(room / "blobs")
    shop = Workshop(
        pools=await db.pools("worker"),
        processes=processes,
        blobs=blobs,
        vault=province.vault,
        trust=demo_trust(province.pki),
        clock=clock,
        public_url="http://127.0.0.1",
        limits=LintLimits(max_bytes=4 << 20),
    )
    keys = {"data_keys": {"test1": province.data_key}, "data_key": "test1", "max_upload_mb": 4}
    async with serving(db.dsn("app"), room / "blobs", clock=clock, **keys) as (web, _):
        ground = DocumentGround(db, province, shop, web, clock)
        await ground.log_in("thuly")
        yield ground
    await blobs.close()
