"""The registry over HTTP, on the real app with the demo province."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest_asyncio

from api.embedded.province import data
from api.kernel import vn_day
from api.registry.contract import ProcedureVersion
from tests.office import SetClock, log_in, new_key, serving


class _Now(SetClock):
    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))


@pytest_asyncio.fixture
async def web(province_db, tmp_path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(province_db.dsn("app"), tmp_path, clock=_Now()) as (client, _):
        yield client


async def registrar(web: httpx.AsyncClient, province, login: str = "danhmuc.tinh") -> None:
    answer = await log_in(web, login, province.accounts.of(login).password)
    assert answer.status_code == 201, answer.text


def version(**changes: Any) -> dict[str, Any]:
    marital = next(row for row in data.procedures() if row.code == "1.004873")
    fields = {
        "definition": msgspec.to_builtins(marital.definition),
        "form_of_result": "a",
        "owning_system": "province",
        "legal_basis": "Quyết định công bố thủ tục hành chính",
        "valid_from": "2099-01-01",
    }
    return fields | changes


async def test_everybody_reads_the_procedures_page_by_page(web: httpx.AsyncClient) -> None:
    codes: list[str] = []
    query: dict[str, str] = {"limit": "10"}
    while True:
        answer = await web.get("/procedures", params=query)
        assert answer.status_code == 200
        codes += [item["code"] for item in answer.json()["items"]]
        if answer.json()["next"] is None:
            break
        query["after"] = answer.json()["next"]
    assert sorted(codes) == sorted(row.code for row in data.procedures())
    found = await web.get("/procedures", params={"search": "tinh trang hon nhan"})
    assert [item["code"] for item in found.json()["items"]] == ["1.004873"]


async def test_everybody_reads_one_procedure_and_the_agencies(web: httpx.AsyncClient) -> None:
    answer = await web.get("/procedures/1.004873")
    assert answer.status_code == 200
    shown = msgspec.json.decode(answer.content, type=ProcedureVersion)
    assert [step.code for step in shown.definition.steps] == ["receive", "appraise", "approve", "issue", "deliver"]
    assert (await web.get("/procedures/9.999999")).json()["code"] == "no-procedure"
    assert (await web.get("/procedures/abc")).status_code == 422
    answer = await web.get("/agencies", params={"kind": "commune", "limit": "200"})
    assert len(answer.json()["items"]) == 99
    names = [item["name"] for item in answer.json()["items"]]
    assert names.index("Ủy ban nhân dân phường Bắc Giang") < names.index("Ủy ban nhân dân phường Đa Mai")
    assert (await web.get("/agencies", params={"kind": "ministry"})).status_code in {400, 422}


async def test_a_published_version_is_shown_from_its_day_and_the_same_key_publishes_once(
    web: httpx.AsyncClient, province
) -> None:
    await registrar(web, province)
    key = new_key()
    first = await web.post("/procedures/1.004873/versions", json=version(), headers=key)
    assert first.status_code == 201, first.text
    assert first.json()["version"] == 2
    again = await web.post("/procedures/1.004873/versions", json=version(), headers=key)
    assert again.json() == first.json()
    later = await web.post("/procedures/1.004873/versions", json=version(), headers=new_key())
    assert (later.status_code, later.json()["code"]) == (409, "version-order")
    assert (await web.get("/procedures/1.004873")).json()["version"] == 1


async def test_a_new_procedure_is_there_without_a_deploy(web: httpx.AsyncClient, province) -> None:
    await registrar(web, province)
    names = {"name": "Cấp giấy thử", "field_code": "G99", "field_name": "Thử", "every_commune": True}
    body = version(valid_from=vn_day(datetime.now(UTC)).isoformat(), **names)
    assert (await web.get("/procedures/9.000001")).status_code == 404
    assert (await web.post("/procedures/9.000001/versions", json=body, headers=new_key())).status_code == 201
    assert (await web.get("/procedures/9.000001")).json()["name"] == "Cấp giấy thử"


BAD = (
    {"unknown": 1},
    {"legal_basis": "x" * 5000},
    {"legal_basis": "a\u0000b"},
    {"form_of_result": "e"},
    {"valid_from": "2026-02-30"},
    {"valid_from": "2020-01-01"},
    {"owning_system": "ministry"},
    {"competence": [{"territory_code": "99999", "agency_id": "00000000-0000-0000-0000-000000000001"}]},
    {"definition": {}},
)


async def test_bad_versions_get_a_clear_answer(web: httpx.AsyncClient, province) -> None:
    await registrar(web, province)
    for change in BAD:
        answer = await web.post("/procedures/1.004873/versions", json=version(**change), headers=new_key())
        assert answer.status_code in {400, 422}, (change, answer.text)
        assert answer.json()["detail"], change
    assert (await web.get("/procedures/1.004873")).json()["version"] == 1


async def test_others_do_not_publish(web: httpx.AsyncClient, province) -> None:
    body = version()
    assert (await web.post("/procedures/1.004873/versions", json=body, headers=new_key())).status_code == 401
    await registrar(web, province, "chutich.kinhbac")
    assert (await web.post("/procedures/1.004873/versions", json=body, headers=new_key())).status_code == 403
