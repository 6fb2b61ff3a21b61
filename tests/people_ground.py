"""The ground for tests of people: the demo province, the real API in this process, the signer's own steps, browsers."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pyotp.totp import TOTP

from api.embedded.province import rows
from api.kernel import system_clock
from api.people.engine import enrolling, judging
from tests.authenticator import unpadded
from tests.dossier_ground import copied
from tests.office import client_of, log_in, new_key, serving
from tests.signing_ground import ORIGIN, Ground, runner_for
from tests.site import made

WARD_ADMINISTRATOR, CHAIRMAN = "quantri.kinhbac", "chutich.kinhbac"
PROVINCE = ("quantri.tinh", "quantri2.tinh")


class Browser:
    """One person's browser: it alone holds the key to which a secret is sealed."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def point(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def open(self, enrolment_id: str, handed: str) -> str:
        """Open what the signer handed over, by the recipe of SECURITY.md."""
        raw, own = unpadded(handed), UUID(enrolment_id).bytes
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw[:65])
        info = b"motcua/totp/v1" + own + raw[:65] + self.point
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._key.exchange(ec.ECDH(), theirs))
        return AESGCM(key).decrypt(raw[65:77], raw[77:], own).decode()


class People:
    """The API with some people logged in, and the signer that works when it is told to."""

    def __init__(self, ground: Ground, app: Any) -> None:
        self.ground, self._app = ground, app
        self.web: dict[str, httpx.AsyncClient] = {}

    async def enter(self, who: str, password: str | None = None) -> httpx.AsyncClient:
        """A client that is logged in as somebody of the demo, or with another password."""
        web = client_of(self._app, f"10.0.{len(self.web)}.1")
        password = password or self.ground.province.accounts.of(who).password
        assert (await log_in(web, who, password)).status_code == 201
        self.web[who] = web
        return web

    def account_id(self, who: str) -> str:
        return str(rows.id_of("account", who))

    async def code(self, who: str) -> str:
        """A fresh code: the counter of the factor is set back."""
        await self.ground.db.admin.execute(
            "UPDATE second_factor SET last_counter = 0 WHERE account_id = $1 AND revoked_at IS NULL",
            self.account_id(who),
        )
        return TOTP(self.ground.province.accounts.of(who).totp_secret).at(datetime.now(UTC))

    async def work(self, *, queue: bool = False) -> None:
        """Let the signer judge what was said: from its queue, or at once, which leaves nothing for the queue to do."""
        if queue:
            await runner_for(self.ground).drain()
        waiting = await self.ground.db.admin.fetch(
            "SELECT id, purpose FROM factor_answer answer WHERE NOT EXISTS"
            " (SELECT 1 FROM factor_verdict WHERE answer_id = answer.id) ORDER BY id"
        )
        assert not (queue and waiting)
        for answer in waiting:
            step = enrolling.confirm if answer["purpose"] == "confirm" else judging.judge
            await step(self.ground.engine, None, {"answer": str(answer["id"])})

    async def propose(self, who: str, change: dict[str, Any], *, queue: bool = False, **factor: Any) -> dict[str, Any]:
        """Propose, let the signer judge, and return the proposal as the proposer sees it."""
        factor = factor or {"code": await self.code(who)}
        told = made(await self.web[who].post("/proposals", json={"change": change, **factor}, headers=new_key()))
        await self.work(queue=queue)
        return made(await self.web[who].get(f"/proposals/{told['proposal_id']}"))

    async def approve(
        self, who: str, proposal: dict[str, Any], *, queue: bool = False, **factor: Any
    ) -> dict[str, Any]:
        """Agree as the second person, let the signer judge and apply, and return the proposal."""
        body = {"digest": proposal["digest"], **(factor or {"code": await self.code(who)})}
        made(await self.web[who].post(f"/proposals/{proposal['id']}/approval", json=body, headers=new_key()))
        await self.work(queue=queue)
        return made(await self.web[who].get(f"/proposals/{proposal['id']}"))

    async def agreed(self, change: dict[str, Any], first: str = WARD_ADMINISTRATOR, second: str = PROVINCE[0]) -> dict:
        """A change that two persons agreed to, applied."""
        proposal = await self.propose(first, change)
        assert proposal["state"] == "waiting", proposal
        return await self.approve(second, proposal)


@contextlib.asynccontextmanager
async def people(cluster, province, room: Path) -> AsyncIterator[People]:
    """The province on a database of its own, with the ward's administrator, chairman and the province's two."""
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(copied(cluster, province.database))
        ground = await Ground(database, province).open()
        stack.push_async_callback(ground.close)
        keys = {"data_keys": {"test1": province.data_key}, "data_key": "test1", "public_url": ORIGIN}
        _, app = await stack.enter_async_context(serving(database.dsn("app"), room, clock=system_clock, **keys))
        site = People(ground, app)
        await asyncio.gather(*(site.enter(who) for who in (WARD_ADMINISTRATOR, CHAIRMAN, *PROVINCE)))
        yield site
        for web in site.web.values():
            await web.aclose()


def passkey_answer(nonce: str, assertion: dict[str, Any]) -> dict[str, Any]:
    return {"nonce": nonce, "assertion": assertion}


def new_post(agency_id: str, *roles: str, title: str = "Công chức thử", rank: str = "officer") -> dict[str, Any]:
    return {"agency_id": agency_id, "title": title, "rank": rank, "roles": list(roles)}


def login() -> str:
    return f"moi.{secrets.token_hex(4)}"
