"""A ward whose signatory and seal sign with one key holder: one dossier to its delivery, then a few in one batch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

import signing
from api.embedded.walk import Desk, Refusal, Walk
from loadtests.chaos.product import Product
from loadtests.journeys.holders import BY_PAGE
from loadtests.journeys.judges import BadResultError, judge
from loadtests.outside.csc_page import bring_back, press
from loadtests.outside.keyring import Keyring
from loadtests.outside.officer import Form, OfficerTool, Token, at_the_desk

TOOL_EVERY_S: Final = 0.3
_USES: Final = """
SELECT count(*) AS uses, count(DISTINCT (use.request_id, use.attempt)) AS intents,
       array_agg(DISTINCT use.holder) AS holders
  FROM key_use use JOIN signature_request request ON request.id = use.request_id
 WHERE request.document_id = ANY ($1::uuid[])
"""


def quiet(_vi: str, _en: str) -> None:
    """Say nothing; the journey has a line of its own."""


class PatientDesk(Desk):
    """A desk that keeps to its limit, and whose second factor is always fresh: half a minute passes in an instant."""

    def __init__(self, web: aiohttp.ClientSession, product: Product, who: str, owner: asyncpg.Connection) -> None:
        super().__init__(web, product.accounts.of(f"{who}.kinhbac"))
        self._owner = owner

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API; where it is asked too often, wait as it says."""
        while True:
            try:
                return await super().call(method, path, body)
            except Refusal as refusal:
                if refusal.status != 429:
                    raise
            await asyncio.sleep(1)

    async def sign(self, *items: Mapping[str, Any], lane: str = "normal") -> dict[str, Any]:
        """Sign or seal these in one ask."""
        await self._owner.execute(
            "UPDATE second_factor SET last_counter = 0 FROM account"
            " WHERE account.id = account_id AND account.login = $1",
            self.account.login,
        )
        return await super().sign(*items, lane=lane)

    async def authorise(self, browser: aiohttp.ClientSession) -> None:
        """Press "confirm" on every page that the own open tickets lead to, and come back from it."""
        for known in await self.call("GET", "/signature-batches"):
            if known["closed_at"] is not None:
                continue
            for page in (await self.call("GET", f"/signature-batches/{known['id']}"))["pages"]:
                status, told = await bring_back(self._web, await press(browser, page), self._headers)
                if status != 200:
                    raise BadResultError(f"{self.account.login}: {status} {told}")

    async def sign_all(self, document_ids: Sequence[str]) -> None:
        """Sign or seal what waits on each of these documents, in one batch."""
        ticket = await self.sign(*[await self.waiting(one) for one in document_ids])
        bad = [item["detail"] for item in ticket["items"] if item["stage"] != "recorded"]
        if bad or len(ticket["items"]) != len(document_ids):
            raise BadResultError(f"{self.account.login}: {bad}")


class Journey:
    """One holder's journey; `checked` counts what was looked at."""

    def __init__(self, product: Product, web: aiohttp.ClientSession, owner: asyncpg.Connection, room: Path) -> None:
        self._product, self._owner, self._room = product, owner, room
        self._by_page = False
        self.walk = Walk(web, product.accounts, quiet)
        for place, who in (
            ("counter", "tiepnhan"), ("appraiser", "thuly"), ("head", "kynhay"), ("chair", "chutich"),
            ("clerk", "vanthu"),
        ):  # fmt: skip
            setattr(self.walk, place, PatientDesk(web, product, who, owner))

    async def with_holder(self, holder: str, *, by_id: bool) -> None:
        """Give every certificate of the province to this holder, which knows its keys by our ids or by serials."""
        self._by_page = BY_PAGE in holder
        keyring = Keyring(self._product.files.pki)
        keyring.refresh()
        for serial, held in keyring.by_serial.items():
            known = held.owner if by_id else serial
            await self._owner.execute(
                "UPDATE certificate SET holder = $1, credential_id = $2 WHERE serial = $3", holder, known, serial
            )

    async def one_dossier(self, forms: tuple[Form, Form]) -> str:
        """Take one dossier through the five steps, to the delivery of the judged result; its document."""
        filed = await self.walk.receive()
        made = await self.walk.appraise(filed)
        document = made["document"]["id"]
        async with self._tools(*forms):
            await self.walk.approve(document)
            await self.walk.issue(document)
        verdict = await self.walk.citizen(f"/verify/{made['result']['verify_code']}")
        if not verdict["ok"]:
            raise BadResultError(f"GET /verify: {verdict}")
        await self._judge(document)
        await self.walk.deliver(filed, made["result"]["id"])
        return document

    async def batch(self, size: int) -> list[str]:
        """Draft so many dossiers, and have each person sign all of them in one ask; their documents."""
        documents = [(await self.walk.appraise(await self.walk.receive()))["document"]["id"] for _ in range(size)]
        async with self._tools("values", "values"):
            for desk in (self.walk.head, self.walk.chair, self.walk.clerk):
                await desk.sign_all(documents)  # type: ignore[attr-defined]
        for document in documents:
            await self._judge(document)
        return documents

    async def _judge(self, document: str) -> None:
        path = self._room / f"{document}.pdf"
        path.write_bytes(await self.walk.clerk.fetch(f"/documents/{document}/file"))
        files = self._product.files
        trust = signing.load_trust(files.trust, files.trust / "demo")
        await asyncio.to_thread(judge, path, files.pki / "root.pem", trust, 2)

    async def uses(self, holder: str, documents: Sequence[str]) -> int:
        """Return how often this holder's keys were used for these documents: once for each signature and seal.

        Raises:
            BadResultError: it was another holder, or a key was used more often.
        """
        found = await self._owner.fetchrow(_USES, documents)
        if found is None or found["holders"] != [holder] or not found["uses"] == found["intents"] == 2 * len(documents):
            raise BadResultError(f"key uses: {dict(found or {})}")
        return found["uses"]

    @contextlib.asynccontextmanager
    async def _tools(self, chair: Form, clerk: Form) -> AsyncIterator[None]:
        """Have signatory and clerk do what their holder wants of them: run a token's tool, or confirm on a page."""
        async with contextlib.AsyncExitStack() as stack:
            group = await stack.enter_async_context(asyncio.TaskGroup())  # a tool that fails ends the journey at once
            tasks: list[asyncio.Task[None]] = []
            if self._by_page:
                browser = await stack.enter_async_context(aiohttp.ClientSession())
                tasks += [group.create_task(_browse(desk, browser)) for desk in (self.walk.chair, self.walk.clerk)]
            for desk, form in ((self.walk.chair, chair), (self.walk.clerk, clerk)):
                token = Token(Keyring(self._product.files.pki))
                account = desk.account
                opened = at_the_desk(self._product.url, account.login, account.password, token, form)
                tasks.append(group.create_task(_keep_working(await stack.enter_async_context(opened))))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def _browse(desk: Desk, browser: aiohttp.ClientSession) -> None:
    while isinstance(desk, PatientDesk):
        await desk.authorise(browser)
        await asyncio.sleep(TOOL_EVERY_S)


async def _keep_working(tool: OfficerTool) -> None:
    while True:
        await tool.work_once()
        await asyncio.sleep(TOOL_EVERY_S)
