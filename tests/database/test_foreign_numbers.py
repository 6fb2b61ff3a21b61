"""A number that the document system gave: entered by the clerk, carried by the seal, never invented and never lost."""

import subprocess
from datetime import timedelta

import pytest
import pytest_asyncio

from api.documents import numbering
from api.errors import Conflict, Invalid, NotFound, Refused
from api.kernel import vn_day
from api.signatures import entering, returning
from api.signatures.contract import Because, EnterNumber, Return
from tests.signing_ground import Ground

NUMBER = "45/UBND-XNTTHN"


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    await ground.db.admin.execute(
        "UPDATE number_series SET owner = 'foreign', foreign_system = 'QLVB tỉnh' WHERE kind_code = 'XNTTHN'"
    )
    yield ground
    await ground.close()


async def signed(ground, text: str = "Xac nhan"):
    initials, signatory, seal = await ground.submitted(text)
    await ground.sign("kynhay", initials)
    assert await ground.sign("chutich", signatory) == ["recorded"]
    return signatory, seal


async def enter(ground, request, text=NUMBER, who="vanthu", days_ago=0):
    given = EnterNumber(text=text, day=vn_day(ground.clock()) - timedelta(days=days_ago))
    async with ground.app.transaction() as tx:
        return await entering.enter_number(tx, ground.actor(who), request, given, at=ground.clock())


async def state_of_number(ground):
    return await ground.db.admin.fetchval("SELECT state FROM number ORDER BY reserved_at DESC LIMIT 1")


async def test_the_seal_waits_for_the_number_and_then_prints_it(ground):
    _, seal = await signed(ground)
    with pytest.raises(Refused) as asked:
        await ground.ask("vanthu", seal)
    assert (asked.value.kind_code, asked.value.allowed) == ("foreign-register", ("number.enter_foreign",))

    entered = await enter(ground, seal)
    assert entered.text == NUMBER
    assert await ground.sign("vanthu", seal) == ["recorded"]
    assert await state_of_number(ground) == "used"
    path = await ground.blobs.local_path(await ground.db.admin.fetchval("SELECT head_sha256 FROM document"))
    shown = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, text=True, check=True).stdout
    assert NUMBER in shown

    series = await ground.db.admin.fetchval("SELECT series_id FROM number")
    page = await numbering.register(ground.app, ground.actor("vanthu"), series, None, 0, ground.clock())
    assert ([line.n for line in page.lines], page.last, page.gaps) == ([45], 45, 0)


async def test_only_the_clerk_of_a_signed_document_enters_and_only_what_can_be(ground):
    initials, signatory, seal = await ground.submitted()
    for request in (seal, initials, signatory):
        with pytest.raises((Refused, NotFound)):
            await enter(ground, request)
    await ground.sign("kynhay", initials)
    await ground.sign("chutich", signatory)
    with pytest.raises(NotFound):
        await enter(ground, signatory)
    for text, days_ago, code in (
        ("45", 0, "number-pattern"),
        ("00/UBND-XNTTHN", 0, "number-pattern"),
        ("45/UBND-XNTTHN/x", 0, "number-pattern"),
        (NUMBER, 1, "number-day"),
        (NUMBER, -1, "number-day"),
    ):
        with pytest.raises(Invalid) as wrong:
            await enter(ground, seal, text, days_ago=days_ago)
        assert wrong.value.kind_code == code
    await ground.db.admin.execute("UPDATE number_series SET owner = 'own', foreign_system = NULL")
    with pytest.raises(Refused) as own:
        await enter(ground, seal)
    assert own.value.kind_code == "own-register"
    assert await ground.db.admin.fetchval("SELECT count(*) FROM number") == 0


async def test_a_number_is_one_documents_and_outlives_an_ask_that_failed(ground):
    _, first = await signed(ground, "mot")
    _, second = await signed(ground, "hai")
    await enter(ground, first)
    for request, text in ((first, "46/UBND-XNTTHN"), (second, NUMBER)):
        with pytest.raises(Conflict) as taken:
            await enter(ground, request, text)
        assert taken.value.kind_code == "number-taken"
    accepted = await ground.ask("vanthu", first, code="000000")
    number = await ground.db.admin.fetchval("SELECT id FROM number")
    with pytest.raises(Refused) as held:
        async with ground.app.transaction() as tx:
            await numbering.void_by_clerk(tx, ground.actor("vanthu"), number, "nhập sai", ground.clock())
    assert held.value.kind_code == "number-held"
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["failed"]
    assert await state_of_number(ground) == "reserved"
    assert await ground.sign("vanthu", first) == ["recorded"]
    assert await ground.db.admin.fetchval("SELECT array_agg(text || ' ' || state) FROM number") == [f"{NUMBER} used"]


async def test_a_numbered_signature_is_not_taken_back_and_sending_back_gives_the_number_up(ground):
    signatory, seal = await signed(ground)
    await enter(ground, seal)
    with pytest.raises(Refused) as numbered:
        async with ground.app.transaction() as tx:
            await returning.take_back(
                ground.dossiers, tx, ground.actor("chutich"), signatory, Because(reason="ký nhầm"), at=ground.clock()
            )
    assert numbered.value.kind_code == "number-given"
    async with ground.app.transaction() as tx:
        order = Return(to_step="draft", reason="sai tên")
        await returning.send_back(ground.dossiers, tx, ground.actor("vanthu"), seal, order, at=ground.clock())
    assert await state_of_number(ground) == "void"
    assert await ground.db.admin.fetchval("SELECT reason FROM number") == "sai tên"


async def test_the_signer_itself_refuses_a_day_before_the_signature(ground):
    _, seal = await signed(ground)
    await enter(ground, seal)
    await ground.db.admin.execute("UPDATE number SET day = day - 1")
    accepted = await ground.ask("vanthu", seal)
    await ground.work()
    assert await ground.details(accepted.ticket) == ["number-day"]
    assert await ground.states(seal) == ["to_sign"]
