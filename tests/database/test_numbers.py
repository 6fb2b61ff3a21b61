"""Numbers on a real database: the year turns at midnight in Vietnam, nothing is doubled, reused or silently lost."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from api.documents import numbering, results
from api.documents.contract import NewDocument, NewResult
from api.documents.numbering import Wanted
from api.errors import Conflict, Forbidden, NotFound, Refused
from tests.document_ground import DocumentGround

NEW_YEAR = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)
"""Midnight in Vietnam, 1 January 2027."""


async def _untold(*_) -> None:
    """Numbers need a result's document, not its dossier's journal."""


class Clerk:
    """The ward's clerk with documents to number."""

    def __init__(self, db, province) -> None:
        self.db = db
        self.ground = DocumentGround(db, province, _NoShop(), None, lambda: datetime.now(UTC))
        self.actor = self.ground.actor("vanthu")

    async def open(self, documents: int) -> "Clerk":
        self.pools = await self.db.pools("app")
        dossier, drafter, at = await self.ground.dossier(), self.ground.actor("thuly"), datetime.now(UTC)
        self.documents: list[UUID] = []
        for _ in range(documents):
            async with self.pools.transaction() as tx:
                result = await results.create_result(tx, drafter, dossier, NewResult(), at, drafted=_untold)
                made = await results.add_document(tx, drafter, result.id, NewDocument(), at)
            self.documents.append(made.id)
        return self

    async def reserve(self, document: UUID, at: datetime):
        async with self.pools.transaction() as tx:
            return await numbering.reserve(tx, document, at)

    async def register(self, series: UUID, at: datetime, year: int | None = None, after: int = 0):
        return await numbering.register(self.pools, self.actor, series, year, after, at)


class _NoShop:
    blobs = None


@pytest_asyncio.fixture
async def clerk(province_db, province):
    return await Clerk(province_db, province).open(4)


async def test_last_second_of_the_year_and_first_of_the_next(clerk):
    old, new, void, after = clerk.documents
    last = await clerk.reserve(old, NEW_YEAR - timedelta(seconds=1))
    first = await clerk.reserve(new, NEW_YEAR + timedelta(seconds=1))
    assert (last.year, last.text, last.day.isoformat()) == (2026, "01/UBND-XNTTHN", "2026-12-31")
    assert (first.year, first.text, first.day.isoformat()) == (2027, "01/UBND-XNTTHN", "2027-01-01")

    voided = await clerk.reserve(void, NEW_YEAR + timedelta(seconds=2))
    async with clerk.pools.transaction() as tx:
        await numbering.void(tx, voided.id, "Sai tên người được cấp", NEW_YEAR + timedelta(seconds=3))
    following = await clerk.reserve(after, NEW_YEAR + timedelta(seconds=4))
    assert (voided.n, following.n) == (2, 3), "a voided number is never given again"

    shown = await clerk.register(first.series_id, NEW_YEAR, 2027)
    assert [(line.n, line.state, line.reason) for line in shown.lines] == [
        (1, "reserved", None),
        (2, "void", "Sai tên người được cấp"),
        (3, "reserved", None),
    ]
    assert (shown.gaps, shown.last) == (0, 3)
    assert [line.n for line in (await clerk.register(last.series_id, NEW_YEAR, 2026)).lines] == [1]


async def test_used_number_is_settled_once_and_a_document_keeps_its_number(clerk):
    at = NEW_YEAR - timedelta(days=30)
    number = await clerk.reserve(clerk.documents[0], at)
    assert await clerk.reserve(clerk.documents[0], at + timedelta(hours=1)) == number
    async with clerk.pools.transaction() as tx:
        await numbering.use(tx, number.id, at)
    for settle in (numbering.use, lambda tx, n, at: numbering.void(tx, n, "muộn", at)):

        async def again(settle=settle) -> None:
            async with clerk.pools.transaction() as tx:
                await settle(tx, number.id, at)

        with pytest.raises(Conflict):
            await again()


async def test_parallel_reservations_give_no_doubles_and_no_gaps(province_db, province):
    clerk = await Clerk(province_db, province).open(24)
    at = NEW_YEAR - timedelta(days=1)

    async def one(document: UUID, *, fail: bool) -> None:
        async with clerk.pools.transaction() as tx:
            await numbering.reserve(tx, document, at)
            if fail:
                raise RuntimeError

    tasks = [one(document, fail=n % 4 == 0) for n, document in enumerate(clerk.documents)]
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(each, RuntimeError) for each in ended) == 6
    given = await province_db.admin.fetch("SELECT series_id, n FROM number ORDER BY n")
    assert [row["n"] for row in given] == list(range(1, 19)), "a rolled-back number is given to the next"
    shown = await clerk.register(given[0]["series_id"], at, 2026)
    assert (shown.gaps, shown.last, len(shown.lines)) == (0, 18, 18)


async def test_many_at_once_keep_their_order(clerk):
    at = NEW_YEAR - timedelta(days=2)
    first = await clerk.reserve(clerk.documents[2], at)
    wanted = [Wanted(document_id=document) for document in clerk.documents]
    async with clerk.pools.transaction() as tx:
        given = await numbering.reserve_many(tx, wanted, at)
    assert given[clerk.documents[2]] == first
    assert [given[clerk.documents[n]].n for n in (0, 1, 3)] == [2, 3, 4]


async def test_a_number_lost_behind_our_back_is_printed_as_a_gap(clerk):
    at = NEW_YEAR - timedelta(days=3)
    numbers = [await clerk.reserve(document, at) for document in clerk.documents[:3]]
    await clerk.db.admin.execute("DELETE FROM number WHERE id = $1", numbers[1].id)
    shown = await clerk.register(numbers[0].series_id, at)
    assert shown.gaps == 1
    assert [(line.n, line.state) for line in shown.lines] == [(1, "reserved"), (2, "gap"), (3, "reserved")]
    await clerk.db.admin.execute(
        "INSERT INTO number_gap VALUES ($1, $2, 2, 2, 'Khôi phục hệ thống', now())", numbers[0].series_id, shown.year
    )
    shown = await clerk.register(numbers[0].series_id, at)
    assert (shown.gaps, shown.lines[1].state, shown.lines[1].reason) == (0, "gap", "Khôi phục hệ thống")


async def test_register_goes_on_where_a_page_ends(clerk, monkeypatch):
    monkeypatch.setattr(numbering, "PAGE", 3)
    at = NEW_YEAR - timedelta(days=4)
    numbers = [await clerk.reserve(document, at) for document in clerk.documents]
    page = await clerk.register(numbers[0].series_id, at)
    assert ([line.n for line in page.lines], page.next) == ([1, 2, 3], 3)
    rest = await clerk.register(numbers[0].series_id, at, after=3)
    assert ([line.n for line in rest.lines], rest.next) == ([4], None)


async def test_foreign_register_and_missing_series_are_refused(clerk):
    at = NEW_YEAR - timedelta(days=5)
    series = "UPDATE number_series SET owner = $1, foreign_system = $2 WHERE kind_code = 'XNTTHN'"
    await clerk.db.admin.execute(series, "foreign", "QLVB tỉnh")
    with pytest.raises(Refused, match="QLVB tỉnh"):
        await clerk.reserve(clerk.documents[0], at)
    await clerk.db.admin.execute(series, "own", None)
    await clerk.db.admin.execute("UPDATE number_series SET valid_to = '2026-01-01' WHERE kind_code = 'XNTTHN'")
    with pytest.raises(Refused) as missing:
        await clerk.reserve(clerk.documents[0], at)
    assert missing.value.kind_code == "no-series"
    assert await clerk.db.admin.fetchval("SELECT count(*) FROM number_counter") == 0


async def test_only_the_agencys_clerk_sees_and_voids(clerk, province):
    at = NEW_YEAR - timedelta(days=6)
    number = await clerk.reserve(clerk.documents[0], at)
    stranger = type(clerk.actor)(
        **{n: getattr(clerk.actor, n) for n in clerk.actor.__struct_fields__} | {"agency_id": UUID(int=5)}
    )
    with pytest.raises(Forbidden):
        await numbering.register(clerk.pools, stranger, number.series_id, None, 0, at)

    async def void(actor) -> None:
        async with clerk.pools.transaction() as tx:
            await numbering.void_by_clerk(tx, actor, number.id, "Nhầm loại văn bản", at)

    with pytest.raises(NotFound):
        await void(stranger)
    await void(clerk.actor)
    assert await clerk.db.admin.fetchval("SELECT state FROM number") == "void"
    assert await clerk.db.admin.fetchval("SELECT count(*) FROM audit WHERE action = 'number.void'") == 1


async def test_the_database_itself_refuses_a_second_number_of_one_document(clerk):
    number = await clerk.reserve(clerk.documents[0], NEW_YEAR)
    with pytest.raises(asyncpg.UniqueViolationError):
        await clerk.db.admin.execute(
            "INSERT INTO number (series_id, year, n, text, day, state, document_id, reserved_at)"
            " VALUES ($1, 2027, 99, '99', '2027-01-01', 'reserved', $2, now())",
            number.series_id,
            clerk.documents[0],
        )
