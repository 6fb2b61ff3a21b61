"""One intent, one effect, over HTTP against a real process: a hundred at once, another body, a death before the answer,
and a repeat long after the answer was forgotten."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.embedded.walk import CITIZEN, PROCEDURE, TERRITORY
from tests.api_process import api_process
from tests.office import new_key
from tests.paper import page
from tests.signing_ground import Ground

TWINS = 100
KINDS = ("submit", "step", "ask", "upload")


@dataclasses.dataclass
class Intent:
    """A write that may be sent again and again: whose it is, where to, with what, and how to count its effect."""

    who: str
    path: str
    body: bytes | dict[str, Any]
    other: bytes | dict[str, Any]
    effects: Callable[[], Awaitable[int]]
    lasting: bool = False
    refusal: str = ""

    def send(self, web: httpx.AsyncClient, key: dict[str, str], body=None) -> Awaitable[httpx.Response]:
        body = self.body if body is None else body
        return web.post(self.path, **({"content": body} if isinstance(body, bytes) else {"json": body}), headers=key)


class Intents(Ground):
    """A ward with the API as a process, and one fresh intent of each kind."""

    def counting(self, query: str, *arguments) -> Callable[[], Awaitable[int]]:
        async def count() -> int:
            return await self.db.admin.fetchval(query, *arguments) - before

        before = 0
        return count

    async def fresh(self, kind: str) -> Intent:
        return await getattr(self, f"_{kind}")()

    async def _submit(self) -> Intent:
        before = await self.db.admin.fetchval("SELECT count(*) FROM dossier")
        body = {"procedure_code": PROCEDURE, "filer": dict(CITIZEN), "territory_code": TERRITORY}
        body["parts"] = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
        effects = self.counting("SELECT count(*) - $1::bigint FROM dossier", before)
        return Intent("tiepnhan", "/dossiers", body, {**body, "urgent": True}, effects, lasting=True)

    async def _step(self) -> Intent:
        _, dossier = await self.draft()
        code = await self.db.admin.fetchval("SELECT code FROM dossier WHERE id = $1", dossier)
        effects = self.counting(
            "SELECT count(*) FROM journal WHERE dossier_id = $1 AND action = 'ask_supplement'", dossier
        )
        facts = {"items": [{"part_code": "TK", "originals": 1}], "reason": "thiếu chữ ký"}
        path = f"/dossiers/{code}/steps/ask_supplement"
        other = {"facts": {**facts, "reason": "lý do khác"}}
        return Intent("thuly", path, {"facts": facts}, other, effects, refusal="step-refused")

    async def _ask(self) -> Intent:
        initials, signatory, _ = await self.submitted("mau")
        await self.sign("kynhay", initials)
        items = [{"request_id": str(signatory), "sha256": await self.shown(signatory)}]
        effects = self.counting("SELECT count(*) FROM batch_item WHERE request_id = $1", signatory)
        body = {"items": items, "code": "123456"}
        return Intent(
            "chutich", "/signature-batches", body, {**body, "code": "654321"}, effects, refusal="nothing-to-sign"
        )

    async def _upload(self) -> Intent:
        before = await self.db.admin.fetchval("SELECT count(*) FROM upload")
        content = page(self.room / "handed-in.pdf", f"Giay to {before}").read_bytes()
        effects = self.counting("SELECT count(*) - $1::bigint FROM upload", before)
        return Intent("tiepnhan", "/uploads?profile=handed_in", content, content + b"\n%", effects, lasting=True)


@pytest_asyncio.fixture(scope="module")
async def site(durable, province):
    async with durable.database() as database:
        ground = await Intents(database, province).open()
        try:
            async with api_process(database, province, ground.room) as api, contextlib.AsyncExitStack() as stack:
                ground.api = api
                ground.clients = {
                    who: await stack.enter_async_context(api.client(f"{who}.kinhbac"))
                    for who in ("tiepnhan", "thuly", "chutich")
                }
                yield ground
        finally:
            await ground.close()


def same(answers: list[httpx.Response]) -> bool:
    """Every answer names the same effect: an upload's state and a dossier's secret are told beside it."""
    ids = {tuple(answer.json().get(name) for name in ("id", "code", "ticket", "version")) for answer in answers}
    return len(ids) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hundred_twins_have_one_effect_and_one_answer(site, kind):
    intent, key = await site.fresh(kind), new_key()
    web = site.clients[intent.who]
    answers = await asyncio.gather(*(intent.send(web, key) for _ in range(TWINS)))
    done = [answer for answer in answers if answer.is_success]
    turned_away = [answer for answer in answers if not answer.is_success]
    assert done
    assert same(done)
    assert {(twin.status_code, twin.json()["code"]) for twin in turned_away} <= {(409, "request-in-flight")}
    assert all(int(twin.headers["retry-after"]) >= 1 for twin in turned_away)
    assert await intent.effects() == 1
    other = await intent.send(web, key, intent.other)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert await intent.effects() == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_the_process_dies_between_effect_and_answer_and_the_repeat_gets_the_answer(site, kind):
    intent, key = await site.fresh(kind), new_key()
    web = site.clients[intent.who]
    order = site.api.orders / f"committed.{key['Idempotency-Key']}"
    order.touch()
    with pytest.raises(httpx.TransportError):
        await intent.send(web, key)
    assert order.with_name(f"{order.name}.reached").exists()
    assert await intent.effects() == 1
    await site.api.answers()
    again = [await intent.send(web, key) for _ in range(2)]
    assert all(answer.is_success and answer.headers["idempotency-replayed"] == "true" for answer in again)
    assert same(again)
    assert await intent.effects() == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_long_after_the_answer_was_forgotten_there_is_still_one_effect(site, kind):
    intent, key = await site.fresh(kind), new_key()
    web = site.clients[intent.who]
    first = await intent.send(web, key)
    assert first.is_success, first.text
    await site.db.admin.execute("UPDATE idempotency SET created_at = now() - interval '60 days'")
    order = site.api.orders / "committed"  # the API forgets as it starts: let its worker die with another write
    order.touch()
    with pytest.raises(httpx.TransportError):
        await (await site.fresh("submit")).send(site.clients["tiepnhan"], new_key())
    await site.api.answers()
    kept = "SELECT count(*) FROM idempotency WHERE created_at < now() - interval '3 days' AND NOT lasting"
    async with asyncio.timeout(20):
        while await site.db.admin.fetchval(kept):
            await asyncio.sleep(0.05)
    again = await intent.send(web, key)
    if intent.lasting:
        assert again.is_success
        assert same([first, again])
    else:
        assert again.status_code == 409
        assert again.json()["code"] == intent.refusal
    count = await intent.effects()
    assert count == (2 if kind == "submit" else 1)  # the other write was a dossier of its own
