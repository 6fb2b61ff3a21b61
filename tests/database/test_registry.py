"""The registry on a real database: the demo province laid once, read through the caches, a version published."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

import asyncpg
import msgspec
import pyotp
import pytest
import pytest_asyncio

from api.db.privacy import Vault
from api.embedded.pki import lay_pki
from api.embedded.province import Accounts, certificates_wanted, data, lay_province, new_accounts, rows
from api.errors import Conflict, Forbidden, Invalid, NotFound
from api.http.auth.passwords import _matches
from api.kernel import VIETNAM, Actor
from api.registry import procedures, publishing, store
from api.registry.contract import PublishVersion
from api.registry.service import Registry
from api.registry.store import q

AT = datetime(2026, 11, 23, 8, 0, tzinfo=VIETNAM)
VAULT = Vault({"test": b"\x07" * 32}, "test")


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki") / "pki"
    lay_pki(directory, certificates_wanted(), at=AT.astimezone(UTC), demo=True)
    return directory


@pytest_asyncio.fixture
async def laid(db, pki: Path) -> Accounts:
    return await lay_province(db.admin, pki=pki, vault=VAULT, factors=VAULT, at=AT)


@pytest_asyncio.fixture
async def registry(db, laid: Accounts) -> AsyncIterator[Registry]:
    async with Registry(await db.pools("app")).watching() as registry:
        yield registry


def ward(name: str) -> str:
    return next(data.commune_code(row.code) for row in data.communes() if row.name == name)


def actor(login: str) -> Actor:
    person = next(row for row in data.people() if row.slug == login)
    return Actor(
        account_id=rows.account_id(person),
        person_id=rows.person_id(person),
        post_id=rows.post_id(person),
        agency_id=rows.agency_id(person.agency),
        roles=frozenset(role.value for role in person.roles),
    )


async def count(db, table: str) -> int:
    return await db.admin.fetchval(f"SELECT count(*) FROM {table}")


async def test_the_province_is_laid_whole_and_quickly(db, pki: Path) -> None:
    await asyncio.to_thread(lay_pki, pki, certificates_wanted(), at=AT.astimezone(UTC), demo=True)
    accounts = new_accounts()
    began = time.perf_counter()
    laid = await lay_province(db.admin, pki=pki, vault=VAULT, factors=VAULT, at=AT, accounts=accounts)
    took = time.perf_counter() - began
    assert laid.laid
    assert laid.accounts == accounts.accounts
    assert took < 10, "under 3 s on a quiet machine; this bound only catches a row-by-row laying on a noisy one"
    kinds = {
        row["kind"]: row["n"]
        for row in await db.admin.fetch("SELECT kind, count(*) AS n FROM agency WHERE valid_to IS NULL GROUP BY kind")
    }
    assert kinds == {
        "province": 1,
        "office": 1,
        "centre": 1,
        "department": 14,
        "sector_counter": 4,
        "commune": 99,
        "commune_centre": 99,
    }
    per_ward = await db.admin.fetch(
        "SELECT named_agency_id, count(*) AS n FROM certificate WHERE person_id IS NOT NULL GROUP BY named_agency_id"
    )
    assert [row["n"] for row in per_ward] == [40, 40]
    assert await db.admin.fetchval("SELECT count(*) FROM certificate WHERE agency_id IS NOT NULL") == 2
    assert await db.admin.fetchval("SELECT count(DISTINCT form_of_result) FROM procedure_version") == 4
    assert await count(db, "procedure") >= 20
    assert await db.admin.fetchval("SELECT count(*) FROM legal_rule WHERE legal_basis = ''") == 0


async def test_laying_again_changes_nothing(db, pki: Path, laid: Accounts) -> None:
    before = [await count(db, table) for table in ("agency", "person", "competence", "number_series", "second_factor")]
    again = await lay_province(db.admin, pki=pki, vault=VAULT, factors=VAULT, at=AT)
    assert not again.laid
    assert before == [
        await count(db, table) for table in ("agency", "person", "competence", "number_series", "second_factor")
    ]


async def test_two_at_once_lay_it_once(db, pki: Path) -> None:
    other = await asyncpg.connect(db.dsn("admin"))
    try:
        first, second = await asyncio.gather(
            lay_province(db.admin, pki=pki, vault=VAULT, factors=VAULT, at=AT),
            lay_province(other, pki=pki, vault=VAULT, factors=VAULT, at=AT),
        )
    finally:
        await other.close()
    assert sorted([first.laid, second.laid]) == [False, True]


async def test_secrets_are_in_the_database_only_hashed_or_sealed(db, laid: Accounts) -> None:
    account = laid.of("chutich.kinhbac")
    row = await db.admin.fetchrow(
        "SELECT p.argon2, f.secret_sealed FROM account a JOIN account_password p ON p.account_id = a.id"
        " JOIN second_factor f ON f.account_id = a.id WHERE a.login = $1",
        account.login,
    )
    assert _matches(row["argon2"], account.password)
    assert VAULT.open("second-factor", row["secret_sealed"]) == account.totp_secret
    assert len(pyotp.TOTP(account.totp_secret).now()) == 6
    name = await db.admin.fetchrow(
        "SELECT name_sealed, name_fingerprint FROM person_private WHERE person_id = $1",
        rows.person_id(data.people()[0]),
    )
    assert VAULT.open("person.name", name["name_sealed"]) == data.people()[0].name
    assert name["name_fingerprint"] == VAULT.fingerprint("person.name", data.people()[0].name.upper())


async def test_predecessors_keep_their_row_and_name_their_heirs(db, registry: Registry) -> None:
    old = await db.admin.fetch("SELECT id, name FROM agency WHERE kind = 'province' AND valid_to = '2025-07-01'")
    assert {row["name"] for row in old} == {"Ủy ban nhân dân tỉnh Bắc Giang", "Ủy ban nhân dân tỉnh Bắc Ninh"}
    midnight = datetime(2025, 7, 1, tzinfo=VIETNAM)
    for row in old:
        links = await registry.successors(row["id"])
        assert [(link.kind, link.effective_at) for link in links] == [("merged", midnight)]
    city = await db.admin.fetchval("SELECT id FROM agency WHERE name = 'Ủy ban nhân dân thành phố Bắc Ninh'")
    links = await registry.successors(city)
    assert {link.kind for link in links} == {"split", "competence_moved"}
    assert {link.procedure_code for link in links if link.kind == "competence_moved"} >= {"1.001612"}
    suoi_hoa = await db.admin.fetchval("SELECT id FROM agency WHERE name = 'Ủy ban nhân dân phường Suối Hoa'")
    assert [link.successor_id for link in await registry.successors(suoi_hoa)] == [
        rows.agency_id(ward("Phường Kinh Bắc"))
    ]


async def test_an_agency_is_found_by_either_scheme_of_codes(registry: Registry) -> None:
    code = ward("Phường Kinh Bắc")
    level = code.rsplit(".", 1)[1]
    for known_as in (code, f"000.{level}.30.H05"):
        found = await registry.agencies_by_code(known_as, AT)
        assert [row.name for row in found] == ["Ủy ban nhân dân phường Kinh Bắc"]


async def test_a_dossier_is_routed_by_competence_wherever_it_was_received(registry: Registry) -> None:
    marital = await registry.current_version("1.004873", AT)
    at_home = await registry.competent_agency(marital.id, "09187", AT)
    assert at_home == rows.agency_id(ward("Phường Kinh Bắc"))
    food = await registry.current_version("2.001827", AT)
    assert await registry.competent_agency(food.id, "07246", AT) == rows.agency_id("H05.06")
    assert await registry.competent_agency(marital.id, "99999", AT) is None
    assert await registry.competent_agency(marital.id, None, AT) is None
    assert await registry.competent_agency(marital.id, "09187", datetime(2025, 6, 30, tzinfo=VIETNAM)) is None


async def test_calendar_and_rules_come_from_rows(registry: Registry) -> None:
    version = await registry.current_calendar_version()
    calendar = await registry.calendar(version)
    assert version == 2
    assert not calendar.is_working_day(date(2026, 1, 2))
    assert (await registry.calendar(1)).is_working_day(date(2026, 1, 2))
    assert calendar.closing(date(2026, 11, 23)) == datetime(2026, 11, 23, 17, tzinfo=VIETNAM)
    assert await registry.rule("transfer.cutoff", AT) == "15:00"
    early = await registry.legal_rule("signing.predecessor_certificate", datetime(2026, 6, 30, tzinfo=VIETNAM))
    late = await registry.legal_rule("signing.predecessor_certificate", AT)
    assert (early.value, late.value) == ({"action": "warn"}, {"action": "refuse"})
    with pytest.raises(NotFound):
        await registry.calendar(99)


async def test_who_may_sign_what_and_in_what_capacity(db, registry: Registry) -> None:
    head, deputy, certifier, clerk = (
        actor(f"{post}.kinhbac") for post in ("chutich", "phochutich", "chungthuc", "vanthu")
    )

    async def basis(who: Actor, act: str, code: str, at: datetime = AT) -> tuple[str, tuple[str, ...]] | None:
        rights = await registry.authority_of(who.person_id, who.post_id, who.agency_id, at)
        row = rights.basis_for(act, code)
        return (row.capacity.value, row.title_lines) if row else None

    assert await basis(head, "main_document", "1.004873") == ("plain", ("CHỦ TỊCH",))
    assert await basis(deputy, "main_document", "1.004873") == ("KT.", ("KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"))
    assert await basis(deputy, "main_document", "1.013225") is None, "building is the other deputy's field"
    assert await basis(certifier, "copy", "2.000815") == ("TUQ.", ("TUQ. CHỦ TỊCH", "CÔNG CHỨC TƯ PHÁP - HỘ TỊCH"))
    assert await basis(certifier, "main_document", "2.000815") is None
    assert await basis(certifier, "copy", "2.000815", AT + timedelta(days=400)) is None, "a mandate ends"
    assert await basis(clerk, "main_document", "1.004873") is None
    may_sign = await registry.signatories(head.agency_id, "main_document", "1.004873", AT)
    assert [row.capacity.value for row in may_sign] == ["plain", "KT."] or len(may_sign) == 2
    await db.admin.execute("UPDATE post_holding SET valid_to = $2 WHERE person_id = $1", deputy.person_id, AT)
    assert await basis(deputy, "main_document", "1.004873") is None, "who left the post signs nothing"


def draft(valid_from: date = date(2026, 12, 1), **changes: object) -> PublishVersion:
    source = next(row for row in data.procedures() if row.code == "1.004873")
    longer = msgspec.structs.replace(
        source.definition, total=msgspec.structs.replace(source.definition.total, amount=5)
    )
    fields = {
        "definition": longer,
        "form_of_result": "a",
        "owning_system": "province",
        "legal_basis": "Quyết định công bố thủ tục",
        "valid_from": valid_from,
    }
    return PublishVersion(**(fields | changes))


async def publish(db, code: str, version: PublishVersion, at: datetime = AT):
    async with (await db.pools("app")).transaction() as tx:
        return await publishing.publish_version(tx, actor("danhmuc.tinh"), code, version, at=at)


async def test_publishing_a_version_leaves_the_one_before_as_it_is(db, registry: Registry) -> None:
    before = await registry.current_version("1.004873", AT)
    published = await publish(db, "1.004873", draft())
    registry.invalidate()
    assert published.version == 2
    same = await registry.procedure_version(before.id)
    assert msgspec.structs.replace(same, valid_to=None) == before, "only its last day was set"
    assert (await registry.current_version("1.004873", AT)).id == before.id
    later = datetime(2026, 12, 1, 0, 0, tzinfo=VIETNAM)
    assert (await registry.current_version("1.004873", later)).id == published.id
    assert await registry.competent_agency(published.id, "09187", later) == rows.agency_id(ward("Phường Kinh Bắc"))
    line = await db.admin.fetchrow("SELECT action, subject_id FROM audit")
    assert (line["action"], line["subject_id"]) == ("procedure.publish", published.id)


async def test_publishing_touches_no_running_dossier(db, registry: Registry) -> None:
    version = await registry.current_version("1.004873", AT)
    committee = rows.agency_id(ward("Phường Kinh Bắc"))
    for number in range(5):
        async with db.admin.transaction():
            await db.admin.execute(
                "INSERT INTO dossier (code, seq, procedure_code, procedure_version_id, calendar_version, form_version,"
                " fee_version, channel, receipt_agency_id, step_agency_id, owning_system, status, finance, delivery,"
                " sync, step, submitted_at)"
                " VALUES ($1, 1, '1.004873', $2, 2, '1', '1', 'counter', $3, $3, 'province', 'submitted', 'none',"
                " 'none', 'pending', 'receive', $4)",
                f"H05.30.60.01-261123-{number:04}",
                version.id,
                committee,
                AT,
            )
    before = await db.admin.fetch("SELECT d::text FROM dossier d ORDER BY code")
    published = await publish(db, "1.004873", draft(AT.date()))
    registry.invalidate()
    assert (await registry.current_version("1.004873", AT)).id == published.id
    assert await db.admin.fetch("SELECT d::text FROM dossier d ORDER BY code") == before
    theirs = await db.admin.fetchval("SELECT DISTINCT procedure_version_id FROM dossier")
    assert (await registry.procedure_version(theirs)).definition == version.definition


async def test_a_new_procedure_needs_no_deploy(db, registry: Registry) -> None:
    with pytest.raises(Invalid) as unnamed:
        await publish(db, "9.999999", draft())
    assert unnamed.value.kind_code == "procedure-unnamed"
    named = draft(AT.date(), name="Cấp giấy thử", field_code="G99", field_name="Thử", every_commune=True)
    published = await publish(db, "9.999999", named)
    registry.invalidate()
    assert await registry.competent_agency(published.id, "07210", AT) == rows.agency_id(ward("Phường Bắc Giang"))
    assert "9.999999" in {row.code for row in await registry.procedures(AT)}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"valid_from": date(2026, 11, 22)}, "version-faults"),
        ({"legal_basis": " "}, "version-faults"),
        ({"owning_system": "ministry"}, "version-faults"),
    ],
)
async def test_a_version_nobody_could_work_is_refused(db, laid: Accounts, change: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        await publish(db, "1.004873", draft(**change))
    assert refused.value.kind_code == code
    assert refused.value.facts["faults"]


async def test_versions_follow_one_another(db, laid: Accounts) -> None:
    await publish(db, "1.004873", draft(date(2026, 12, 1)))
    with pytest.raises(Conflict):
        await publish(db, "1.004873", draft(date(2026, 12, 1)))
    outcomes = await asyncio.gather(
        *(publish(db, "1.004873", draft(date(2027, 1, 1))) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "Conflict", "Published"]


async def test_only_the_registrar_publishes(db, laid: Accounts) -> None:
    async with (await db.pools("app")).transaction() as tx:
        with pytest.raises(Forbidden):
            await publishing.publish_version(tx, actor("chutich.kinhbac"), "1.004873", draft(), at=AT)


async def until_watching(db) -> None:
    """Wait until the watch has listened and read the version once, so that nothing but a change invalidates."""
    async with asyncio.timeout(10):
        while not await db.admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
            " AND query LIKE '%FROM registry_version%' AND query NOT LIKE '%pg_stat_activity%'"
        ):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_another_process_hears_of_a_version_within_two_seconds(db, registry: Registry) -> None:
    later = datetime(2026, 12, 1, tzinfo=VIETNAM)
    await until_watching(db)
    assert (await registry.current_version("1.004873", later)).version == 1
    await publish(db, "1.004873", draft())
    async with asyncio.timeout(10):
        while (await registry.current_version("1.004873", later)).version == 1:
            await asyncio.sleep(0.02)


async def test_a_lost_connection_is_taken_up_again(db, registry: Registry) -> None:
    later = datetime(2026, 12, 1, tzinfo=VIETNAM)
    await until_watching(db)
    assert (await registry.current_version("1.004873", later)).version == 1
    await db.admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name IN ('motcua-read', 'motcua-listen')"
    )
    await publish(db, "1.004873", draft())
    async with asyncio.timeout(15):
        while True:
            try:
                if (await registry.current_version("1.004873", later)).version == 2:
                    return
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                pass  # a pooled connection found dead is the pool's to replace
            await asyncio.sleep(0.05)


async def test_hundred_who_miss_at_once_load_once(registry: Registry) -> None:
    marital = await registry.current_version("1.004873", AT)
    registry.invalidate()
    before = registry._version.loads
    answers = await asyncio.gather(*(registry.procedure_version(marital.id) for _ in range(100)))
    assert registry._version.loads == before + 1
    assert set(map(id, answers)) == {id(answers[0])}


async def test_every_statement_fits_the_schema_and_is_used(db) -> None:
    app = await asyncpg.connect(db.dsn("app"))
    try:
        for name, text in q.statements.items():
            await app.prepare(text, name=name)
    finally:
        await app.close()
    source = resources.files("api.registry").joinpath("store.py").read_text()
    assert set(q.statements) == set(re.findall(r"\bq\.(\w+)", source)) - {"statements"}
    assert store.q is q


def test_every_shipped_version_can_be_worked_and_numbered() -> None:
    kinds = {kind: series.at for series in data.series() for kind in series.kinds}
    for row in data.procedures():
        assert procedures.faults(row.definition, row.form, row.owning_system) == [], row.code
        if row.form != "c":
            assert kinds[row.definition.result.kind_code] == ("department" if row.decided_by else "commune"), row.code
