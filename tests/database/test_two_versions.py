"""Version N at work on the schema of N+1: a signature prepared before the migration is finished after it.

The next version is a recorded one (`tests/vectors/next_version`): its `pre` file is applied under running pools, whose
statements were prepared before, and its `post` file shows that this test would notice.
"""

import shutil
from functools import partial
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from api.db import migrate as migrations
from api.db.migrate import migrate, packaged_versions, pending
from api.jobs.runner import Runner
from api.signatures.engine.context import JUDGE, PREPARE
from api.signer import STEPS
from tests.database.test_schema import QUERIES, _squawk
from tests.signing_ground import Ground

NEXT = Path(__file__).parents[1] / "vectors" / "next_version"


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """The migrations of the next version: all of today's and its own."""
    for file in (*migrations.MIGRATIONS.glob("*.sql"), *NEXT.glob("*.sql")):
        shutil.copy(file, tmp_path)
    monkeypatch.setattr(migrations, "MIGRATIONS", tmp_path)


@pytest_asyncio.fixture
async def ground(province_db, province):
    ground = await Ground(province_db, province).open()
    yield ground
    await ground.close()


async def until_prepared(ground: Ground) -> None:
    """Let the signer judge and prepare, and die before it sends."""
    steps = {kind: partial(STEPS[kind], ground.engine) for kind in (JUDGE, PREPARE)}
    await Runner(ground.db.dsn("signer"), steps).drain()


async def test_what_was_prepared_before_the_migration_is_signed_after_it(ground, next_version):
    initials, signatory, seal = await ground.submitted()
    assert await ground.sign("kynhay", initials) == ["recorded"]
    accepted = await ground.ask("chutich", signatory)
    await until_prepared(ground)
    assert await ground.states(signatory) == ["prepared"]
    before = await ground.db.admin.fetchrow(
        "SELECT tbs_sha256, attempt FROM preparation WHERE request_id = $1", signatory
    )

    assert await migrate(ground.db.dsn("admin")) == ["9001"]

    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["recorded"]
    used = await ground.db.admin.fetchrow("SELECT tbs_sha256, attempt FROM key_use WHERE request_id = $1", signatory)
    assert dict(used) == dict(before)
    assert await ground.sign("vanthu", seal) == ["recorded"]
    # And one document from its draft to its seal, on the new schema alone, by pools that knew the old one.
    others = await ground.submitted("Sau nang cap")
    for who, each in zip(("kynhay", "chutich", "vanthu"), others, strict=True):
        assert await ground.sign(who, each) == ["recorded"]


async def test_what_the_next_version_prepared_is_signed_by_this_one(ground, next_version):
    """Both run at once: a row that the newer wrote, with what only it knows, is taken up by the older."""
    initials, signatory, _ = await ground.submitted()
    await migrate(ground.db.dsn("admin"))
    assert await ground.sign("kynhay", initials) == ["recorded"]
    accepted = await ground.ask("chutich", signatory)
    await until_prepared(ground)
    await ground.db.admin.execute("UPDATE preparation SET next_level = 'B-LTA' WHERE request_id = $1", signatory)
    await ground.db.admin.execute("UPDATE signature_request SET next_hint = 'x' WHERE id = $1", signatory)
    await ground.work()
    assert await ground.outcomes(accepted.ticket) == ["recorded"]
    kept = await ground.db.admin.fetchval("SELECT next_hint FROM signature_request WHERE id = $1", signatory)
    assert kept == "x"


async def failing(admin: asyncpg.Connection) -> set[str]:
    found = set()
    for (origin, name), sql in QUERIES:
        try:
            await admin.prepare(sql)
        except asyncpg.PostgresError:
            found.add(f"{origin}:{name}")
    return found


async def test_every_query_of_today_runs_on_the_next_schema_until_post_is_told(db, next_version):
    assert packaged_versions()[-2:] == ["9001", "9002"]
    await migrate(db.dsn("admin"))
    assert await pending(db.dsn("admin"), post=True) == ["9002"]
    assert await failing(db.admin) == set()
    assert await migrate(db.dsn("admin"), post=True) == ["9002"]
    assert len(await failing(db.admin)) > 3


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("CREATE INDEX slow ON dossier (code)", "require-concurrent-index-creation"),
        ("ALTER TABLE dossier ALTER COLUMN code TYPE varchar(40)", "changing-column-type"),
        ("ALTER TABLE dossier ADD CONSTRAINT dated CHECK (due_at IS NOT NULL)", "constraint-missing-not-valid"),
        ("ALTER TABLE dossier ADD COLUMN stamp timestamptz DEFAULT clock_timestamp()", "adding-field-with-default"),
        ("ALTER TABLE dossier ALTER COLUMN due_at SET NOT NULL", "adding-not-nullable-field"),
        ("ALTER TABLE dossier RENAME COLUMN code TO dossier_code", "renaming-column"),
    ],
)
def test_a_migration_that_locks_or_breaks_the_old_version_fails(statement, rule):
    said = _squawk(f"SET LOCAL lock_timeout = '4s';\nSET LOCAL statement_timeout = '60s';\n{statement};\n")
    assert rule in said


def test_the_recorded_next_version_is_one_that_would_be_let_in():
    assert _squawk((NEXT / "9001_pre_next.sql").read_text(encoding="utf-8")) == ""
