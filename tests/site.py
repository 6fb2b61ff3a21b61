"""The whole product with everybody of two wards logged in: what tests of refusals over HTTP start from."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from api.embedded.walk import CITIZEN, PROCEDURE, TERRITORY, Walk
from tests.dossier_ground import copied
from tests.office import new_key
from tests.server import Server, serving

MEMBERS = ("type", "title", "code", "detail", "detail_en", "next_step", "next_step_en", "reference")
WARD = ("tiepnhan", "thuly", "kynhay", "chutich", "vanthu", "giamdoc")
NOWHERE = "0193f3c2-7a4e-7c1b-9d7e-0b1a2c3d4e5f"
"""An id of nothing."""

Look = Callable[[str, str], Awaitable[None]]
"""What is done while a dossier stands still: its code and its status."""


class Site:
    """The server with everybody logged in; `site["thuly"]` is that official of the ward."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.clients: dict[str, httpx.AsyncClient] = {}

    def ward(self, name: str = "kinhbac") -> list[httpx.AsyncClient]:
        return [self.clients[f"{who}.{name}"] for who in WARD]

    def __getitem__(self, who: str) -> httpx.AsyncClient:
        return self.clients[f"{who}.kinhbac"]

    async def filed(self) -> dict[str, Any]:
        parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
        body = {"procedure_code": PROCEDURE, "filer": CITIZEN, "parts": parts, "territory_code": TERRITORY}
        return made(await self["tiepnhan"].post("/dossiers", json=body, headers=new_key()))

    async def step(self, who: str, code: str, action: str, **facts: Any) -> httpx.Response:
        return await self[who].post(f"/dossiers/{code}/steps/{action}", json={"facts": facts}, headers=new_key())

    async def to_appraisal(self) -> dict[str, Any]:
        """A dossier that the ward has taken over."""
        filed = await self.filed()
        ward = (await self["thuly"].get("/session")).json()["posts"][0]["agency_id"]
        made(await self.step("tiepnhan", filed["code"], "hand_over", agency_id=ward))
        made(await self.step("thuly", filed["code"], "confirm_hand_over"))
        return filed


def made(answer: httpx.Response) -> Any:
    assert answer.is_success, answer.text
    return answer.json()


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Check that an answer is a whole problem document of one of these statuses, and return it."""
    assert answer.status_code in statuses, f"{answer.request.method} {answer.request.url}: {answer.text[:600]}"
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert all(problem[member] for member in MEMBERS), problem
    assert problem["status"] == answer.status_code
    assert problem["detail"] != problem["detail_en"]
    return problem


@contextlib.asynccontextmanager
async def opened(cluster, province, room: Path) -> AsyncIterator[Site]:
    """Start the product on a database of its own; at the end every process must still be the one that was started."""
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(copied(cluster, province.database))
        server = await stack.enter_async_context(serving(database, province, room))
        site = Site(server)
        everybody = [f"{who}.{ward}" for ward in ("kinhbac", "bacgiang") for who in WARD]
        for who in (*everybody, "danhmuc.tinh", "dieuphoi.tinh", "quantri.kinhbac"):
            site.clients[who] = await stack.enter_async_context(server.client(who))
        yield site
        assert server.living() == {"api", "signer", "worker"}


async def nothing(_code: str, _status: str) -> None:
    """Pass by."""


async def walked(site: Site, look: Look = nothing) -> dict[str, str]:
    """Walk one dossier to its end, with a look at each status on the way; the ids of all that it leaves."""
    async with aiohttp.ClientSession(site.server.url, timeout=aiohttp.ClientTimeout(total=60)) as web:
        walk = Walk(web, site.server.province.accounts, lambda _vi, _en: None)
        await walk.log_in()
        filed = await walk.receive()
        code = filed["code"]
        await look(code, "received")
        mine = await walk.appraise(filed)
        await look(code, "awaiting_signature")
        document, result = mine["document"]["id"], mine["result"]["id"]
        await walk.approve(document)
        await look(code, "awaiting_issue")
        await walk.issue(document)
        await look(code, "done")
        await walk.deliver(filed, result)
        await look(code, "delivered")
    admin = site.server.database.admin
    return {
        "dossier_id": filed["id"],
        "code": code,
        "result_id": result,
        "document_id": document,
        "revision_id": made(await site["thuly"].get(f"/documents/{document}"))["revisions"][-1]["id"],
        "request_id": made(await site["thuly"].get(f"/documents/{document}/chains"))[0]["id"],
        "batch_id": made(await site["chutich"].get("/signature-batches"))[0]["id"],
        "series_id": made(await site["vanthu"].get("/series"))["items"][0]["id"],
        "task_id": made(await site["thuly"].get(f"/dossiers/{code}"))["tasks"][0]["id"],
        "number_id": str(await admin.fetchval("SELECT id FROM number LIMIT 1")),
        "draft_id": str(await admin.fetchval("SELECT id FROM draft_order LIMIT 1")),
    }
