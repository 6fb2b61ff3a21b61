"""A version that holds its results back until their level is paid, over HTTP and through an authority's outage."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from api.kernel import vn_day
from loadtests.outside.clock import Clock, start
from tests.dossier_ground import copied
from tests.journey.test_forms_of_result import AT_COUNTER
from tests.journey.test_registry_http import version
from tests.journey.test_stamps_http import MARITAL_STATUS, Office
from tests.office import log_in, new_key
from tests.paper import page, pdfsig_valid
from tests.server import officials, serving

pytestmark = pytest.mark.timeout(300)

HELD = "9.000002"
BASIS = "Nghị định 23/2025/NĐ-CP, Điều 9"
NAMES = {"name": "Cấp giấy cần dấu thời gian", "field_code": "G99", "field_name": "Thử", "every_commune": True}


class Waiting(Office):
    """An office with a procedure whose results wait for a timestamp."""

    async def begun_by(self, procedure: str) -> tuple[str, dict[str, Any], str]:
        filed = await self.file(procedure, "TK")
        await self.take_over(filed["code"])
        await self.step(self.appraiser, filed["code"], "appraise")
        return filed["code"], await self.drafted(self.appraiser, filed["id"]), filed["secret"]

    async def sealed(self, procedure: str, room) -> tuple[str, dict[str, Any], str, dict[str, Any]]:
        """A dossier whose result is signed and sealed: its code, result, secret, and the clerk's ticket."""
        code, result, secret = await self.begun_by(procedure)
        document = await self.laid(await self.document(result["id"]), page(room / f"{code}.pdf"))
        await self.decided(document, self.head, self.chair)
        return code, result, secret, await self.clerk.sign(await self.clerk.waiting(document))

    async def seen(self, code: str, secret: str) -> dict[str, Any]:
        async with self.server.client() as web:
            return (await web.get(f"/track/{code}", headers={"X-Dossier-Secret": secret})).json()

    async def file_of(self, code: str, secret: str, result_id: str):
        async with self.server.client() as web:
            return await web.get(f"/track/{code}/results/{result_id}/file", headers={"X-Dossier-Secret": secret})

    async def events(self, ticket: str, *, after: int = 0, until: str = "finished") -> list[dict[str, Any]]:
        """What the ticket's stream tells from a version on, to the stage that is waited for, or its end."""
        found: list[dict[str, Any]] = []
        headers = {"Last-Event-ID": str(after)}
        async with (
            self.server.client(self.clerk.account.login) as web,
            asyncio.timeout(60),
            web.stream("GET", f"/signature-batches/{ticket}/events", headers=headers) as answer,
        ):
            kind = ""
            async for line in answer.aiter_lines():
                kind = line.removeprefix("event: ") if line.startswith("event: ") else kind
                if line.startswith("data: ") and kind == "ticket":
                    found.append(json.loads(line.removeprefix("data: ")))
                    if found[-1]["stage"] == until:
                        break
        return found


@pytest_asyncio.fixture(scope="module")
async def clock():
    clock = Clock()
    url, runner = await start(clock)
    clock.url = url
    yield clock
    await runner.cleanup()


@pytest_asyncio.fixture(scope="module")
async def ward(cluster, province, tmp_path_factory, clock):
    room = tmp_path_factory.mktemp("held")
    (room / "tsa.json").write_bytes(msgspec.json.encode([{"name": "clock", "url": clock.url, "development": True}]))
    async with (
        copied(cluster, province.database) as database,
        serving(
            database,
            province,
            room,
            anchors={"clock": clock.root_pem()},
            MOTCUA_TIMESTAMPS_FILE=str(room / "tsa.json"),
        ) as server,
        officials(server, "tiepnhan", "thuly", "chutich", "vanthu", "kynhay") as desks,
    ):
        office = Waiting(server, desks[:4])
        office.head = desks[4]
        await published(server, province)
        yield office


async def published(server, province) -> None:
    """The registrar publishes the version that holds its results back, with its legal basis, as data."""
    body = version(valid_from=vn_day(datetime.now(UTC)).isoformat(), **NAMES)
    body["definition"]["result"]["held_until"] = {"level": "B-T", "legal_basis": BASIS, "within_hours": 2}
    async with server.client() as web:
        login = "danhmuc.tinh"
        assert (await log_in(web, login, province.accounts.of(login).password)).status_code == 201
        without = json.loads(json.dumps(body))
        del without["definition"]["result"]["held_until"]["legal_basis"]
        refused = await web.post(f"/procedures/{HELD}/versions", json=without, headers=new_key())
        assert refused.status_code == 422, "nothing is held back without a provision that says so"
        done = await web.post(f"/procedures/{HELD}/versions", json=body, headers=new_key())
        assert done.status_code == 201, done.text


async def test_a_result_waits_for_its_level_says_why_and_everything_else_goes_on(ward, clock, tmp_path):
    clock.down = True
    code, result, secret, ticket = await ward.sealed(HELD, tmp_path)
    assert [item["stage"] for item in ticket["items"]] == ["recorded"], "the signature itself waits for nobody"
    assert ticket["finished_at"] is not None
    assert ticket["stage"] == "timestamp"
    await asyncio.sleep(3)
    now = await ward.clerk.call("GET", f"/signature-batches/{ticket['ticket']}")
    level = now["items"][0]["level"]
    assert (level["wanted"], level["reached"], level["held_basis"]) == ("B-T", "B-B", BASIS)
    assert level["problem"] == "http-503"
    assert level["next_try_at"] is not None
    assert level["expected_at"] is None, "in an outage nobody can know"
    assert 7000 < now["estimate_s"] <= 7200

    dossier = await ward.counter.call("GET", f"/dossiers/{code}")
    assert dossier["status"] == "awaiting_issue"
    (held,) = dossier["held"]
    assert (held["result_id"], held["level"], held["legal_basis"], held["problem"]) == (
        result["id"], "B-T", BASIS, "http-503",
    )  # fmt: skip
    assert "hệ thống tự thử lại" in held["vi"]
    refused = await ward.refuses(ward.deliver(code, result["id"], **AT_COUNTER))
    assert (refused["status"], refused["code"]) == (409, "step-refused")
    for desk, action, more in (
        (ward.counter, "withdraw", {}),
        (ward.appraiser, "stop", {"legal_basis": "thử"}),
        (ward.appraiser, "send_back", {}),
    ):
        back = await ward.refuses(ward.step(desk, code, action, reason="Công dân đổi ý", **more))
        assert (back["status"], back["code"]) == (409, "result-held"), "what is numbered and sealed is not taken back"

    shown = await ward.seen(code, secret)
    assert (shown["status"], shown["results"], shown["held"][0]["level"]) == ("awaiting_issue", [], "B-T")
    assert (await ward.file_of(code, secret, result["id"])).status_code == 404
    assert (await ward.facts(result["verify_code"]))["in_force"]["state"] == "no"

    other, free, _, _ = await ward.sealed(MARITAL_STATUS, tmp_path)
    assert (await ward.deliver(other, free["id"], **AT_COUNTER))["status"] == "delivered"

    clock.down = False
    told = await ward.events(ticket["ticket"], after=now["version"])
    assert (told[-1]["stage"], told[-1]["items"][0]["level"]["reached"]) == ("finished", "B-T")
    assert all(each["version"] > now["version"] for each in told)
    dossier = await ward.counter.call("GET", f"/dossiers/{code}")
    assert (dossier["status"], dossier["held"]) == ("done", [])
    shown = await ward.seen(code, secret)
    assert [each["id"] for each in shown["results"]] == [result["id"]]
    file = await ward.file_of(code, secret, result["id"])
    (tmp_path / "released.pdf").write_bytes(file.content)
    assert b"/DocTimeStamp" in file.content
    assert pdfsig_valid(tmp_path / "released.pdf") == 2
    facts = await ward.facts(result["verify_code"])
    assert facts["ok"]
    assert (await ward.deliver(code, result["id"], **AT_COUNTER))["status"] == "delivered"


async def test_the_stream_tells_of_the_timestamp_and_a_reconnect_goes_on_from_there(ward, clock, tmp_path):
    clock.down = False
    code, result, secret = await ward.begun_by(HELD)
    document = await ward.laid(await ward.document(result["id"]), page(tmp_path / "page.pdf"))
    await ward.decided(document, ward.head, ward.chair)
    clock.down = True
    waiting = await ward.clerk.waiting(document)
    ticket = await ward.clerk.sign(waiting)
    first = await ward.events(ticket["ticket"], until="timestamp")
    assert first[-1]["stage"] == "timestamp"
    assert first[-1]["estimate_s"] > 0
    clock.down = False
    rest = await ward.events(ticket["ticket"], after=first[-1]["version"])
    versions = [each["version"] for each in first + rest]
    assert versions == sorted(set(versions))
    assert (rest[-1]["stage"], rest[-1]["estimate_s"]) == ("finished", 0)
    assert rest[-1]["items"][0]["level"]["paid_at"] is not None
    assert await ward.events(ticket["ticket"], after=versions[-1]) == []
    assert (await ward.seen(code, secret))["held"] == []
