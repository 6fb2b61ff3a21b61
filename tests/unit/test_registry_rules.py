"""Competence, the cache, the public lists and the data files: what is pure of the registry."""

import asyncio
from datetime import date
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.embedded.province import data, rows
from api.kernel import AgencyId, Page
from api.registry import listing
from api.registry.cache import SingleFlight
from api.registry.competence import Competence, competent
from api.registry.contract import Agency

WARD, DEPARTMENT, OTHER = (AgencyId(uuid4()) for _ in range(3))
VERSION = uuid4()
DAY = date(2026, 11, 23)


def row(**changes: Any) -> Competence:
    fields: dict[str, Any] = {
        "procedure_code": "1.004873",
        "procedure_version_id": None,
        "territory_code": "09187",
        "agency_id": WARD,
        "legal_basis": "thử",
        "valid_from": date(2025, 7, 1),
        "valid_to": None,
    }
    return Competence(**(fields | changes))


@pytest.mark.parametrize(
    ("given", "decides"),
    [
        ([], None),
        ([row()], WARD),
        ([row(), row(territory_code="24", agency_id=DEPARTMENT)], WARD),
        ([row(territory_code="24", agency_id=DEPARTMENT)], DEPARTMENT),
        ([row(), row(procedure_version_id=VERSION, agency_id=OTHER)], OTHER),
        ([row(), row(procedure_version_id=uuid4(), agency_id=OTHER)], WARD),
        ([row(), row(valid_from=date(2026, 1, 1), agency_id=OTHER)], OTHER),
        ([row(), row(valid_from=date(2027, 1, 1), agency_id=OTHER)], WARD),
        ([row(valid_to=DAY)], None),
        ([row(valid_to=date(2026, 11, 24))], WARD),
        ([row(valid_from=DAY)], WARD),
        ([row(procedure_code="1.000894")], None),
        ([row(territory_code="07210")], None),
        ([row(), row(agency_id=OTHER)], None),  # two equally competent: a person must choose
        ([row(), row()], WARD),
    ],
)
def test_the_nearest_and_most_special_row_decides(given: list[Competence], decides: AgencyId | None) -> None:
    for order in (given, given[::-1]):
        answer = competent(order, procedure_code="1.004873", version_id=VERSION, territories=["09187", "24"], day=DAY)
        assert (answer.agency_id if answer else None) == decides


async def test_a_load_under_way_is_joined_and_its_failure_is_not_kept() -> None:
    gate = asyncio.Event()
    calls: list[str] = []

    async def load(key: str) -> str:
        calls.append(key)
        await gate.wait()
        if len(calls) == 1:
            raise LookupError(key)
        return f"{key}{len(calls)}"

    cache = SingleFlight(load)
    waiting = [asyncio.create_task(cache.get("a")) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert calls == ["a"]
    assert {type(outcome) for outcome in outcomes} == {LookupError}
    assert await cache.get("a") == "a2"
    assert await cache.get("a") == "a2"


async def test_one_who_gives_up_does_not_end_the_load_of_the_others() -> None:
    gate = asyncio.Event()

    async def load(key: int) -> int:
        await gate.wait()
        return key

    cache = SingleFlight(load)
    first, second = asyncio.create_task(cache.get(7)), asyncio.create_task(cache.get(7))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await second == 7
    assert cache.loads == 1


async def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    answers = ["old", "new"]

    async def load(_: str) -> str:
        number = cache.loads - 1
        await gates[number].wait()
        return answers[number]

    cache: SingleFlight[str, str] = SingleFlight(load)
    before = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    cache.clear()
    after = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0)
    gates[1].set()
    assert await after == "new"
    gates[0].set()
    assert await before == "old"
    assert await cache.get("a") == "new"


def agency(number: int, name: str) -> Agency:
    return Agency(
        id=AgencyId(UUID(int=number)),
        code=f"H05.{number:02}",
        kind="department",
        name=name,
        parent_id=None,
        territory_code=None,
        valid_from=date(2025, 7, 1),
        valid_to=None,
    )


def test_pages_follow_one_another_without_gap_or_repeat() -> None:
    every = [agency(number, f"Sở số {number}") for number in range(1, 8)]
    seen: list[str] = []
    after: str | None = None
    for _ in range(10):
        page = listing.agencies(every, kind=None, search=None, page=Page(after=after, limit=3))
        seen += [item.name for item in page.items]
        after = page.next
        if after is None:
            break
    assert seen == [one.name for one in every]


@pytest.mark.parametrize(
    ("search", "names"),
    [("tu phap", ["Sở Tư pháp"]), ("Tư Pháp", ["Sở Tư pháp"]), ("h05.02", ["Sở Nội vụ"]), ("không có", [])],
)
def test_search_finds_with_and_without_marks(search: str, names: list[str]) -> None:
    every = [agency(1, "Sở Tư pháp"), agency(2, "Sở Nội vụ")]
    page = listing.agencies(every, kind="department", search=search, page=Page())
    assert [item.name for item in page.items] == names


def test_the_province_has_its_ninety_nine_and_codes_that_do_not_clash() -> None:
    communes = data.communes()
    assert len(communes) == 99
    assert len({one.code for one in communes}) == 99
    assert sum(one.name.startswith("Phường ") for one in communes) == 33
    assert all(one.name.startswith(("Phường ", "Xã ")) for one in communes)
    agencies = rows.agencies()
    assert len({(one.code, one.since) for one in agencies}) == len(agencies)
    codes = [(scheme, code, since) for one in agencies for _, scheme, code, since, _ in rows.agency_codes(one)]
    assert len(set(codes)) == len(codes)


def test_older_forms_of_an_agency_code() -> None:
    present = {one.code: one for one in rows.agencies() if one.until is None}
    older = {
        code: next(c for _, s, c, *_ in rows.agency_codes(present[code]) if s == "qcvn-102-2016") for code in present
    }
    assert older["H05"] == "000.00.00.H05"
    assert older["H05.03"] == "000.00.03.H05"
    assert older["H05.30.60"] == "000.60.30.H05"
    assert older["H05.30.60.01"] == "001.60.30.H05"


def test_rules_are_dated_have_a_basis_and_do_not_overlap() -> None:
    by_key: dict[str, list[Any]] = {}
    for rule in data.rules():
        assert rule.basis
        by_key.setdefault(rule.key, []).append(rule)
    for key, dated in by_key.items():
        dated.sort(key=lambda rule: rule.valid_from)
        for earlier, later in pairwise(dated):
            assert earlier.valid_to is not None, key
            assert earlier.valid_to <= later.valid_from, key
    assert {
        "working_hours", "transfer.cutoff", "online.answer_hours", "apology.working_days_before",
        "supplement.times_per_stage", "reappointment.times", "signing.preparation_minutes",
        "signing.documents_per_authorisation", "signing.second_factor_minutes", "status.national", "retention.years",
    } <= set(by_key)  # fmt: skip


def test_every_end_of_a_predecessor_has_an_heir_on_the_same_day() -> None:
    ended = {one.id: one for one in rows.agencies() if one.until is not None}
    heirs = list(rows.successions())
    assert {link[0] for link in heirs} == set(ended)
    present = {one.id for one in rows.agencies() if one.until is None}
    assert all(link[1] in present for link in heirs)
    assert all(link[4] == rows.midnight(ended[link[0]].until or DAY) for link in heirs)
    assert {link[2] for link in heirs} == {"merged", "split", "competence_moved"}
