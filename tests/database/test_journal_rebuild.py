"""A hundred thousand lives, written row by row and rebuilt from their journals alone."""

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from api.dossiers import store
from api.dossiers.lifecycle import apply
from api.dossiers.rebuild import rebuild
from api.dossiers.rows import Source
from tests.lifecycle_ground import COMPETENT, COUNTER, OTHER_VERSION, THIRD, first, plan, walk

DOSSIERS = 100_000
LIVES = 1_000
"""Distinct random lives; each is lived by many dossiers, since deciding steps is not what this test is about."""
BATCH = 5_000
COLUMNS = [
    "dossier_id", "seq", "action", "occurred_at", "recorded_at", "source", "actor_account_id", "actor_post_id",
    "actor_agency_id", "agency_name", "data", "effect",
]  # fmt: skip
INSERT_DOSSIER, INSERT_LINE = (
    f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f'${n}' for n in range(1, len(names) + 1))})"
    for table, names in (("dossier", store.COLUMNS), ("journal", COLUMNS))
)
SYSTEM = Source(actor=None, agency_name=None, way="system")


async def lay_ground(admin):
    for number, agency in enumerate((COUNTER, COMPETENT, THIRD)):
        await admin.execute(
            "INSERT INTO agency (id, code, kind, name, sort_key, valid_from)"
            " VALUES ($1, $2, 'commune', 'Xã', 'xa', '2025-07-01')",
            agency,
            f"H05.{number}",
        )
    await admin.execute(
        "INSERT INTO procedure (code, name, sort_key, field_code, field_name, code_checked)"
        " VALUES ('1.004873', 'Xác nhận', 'xac nhan', 'HT', 'Hộ tịch', true)"
    )
    for number, version in enumerate((first().procedure_version_id, OTHER_VERSION), 1):
        await admin.execute(
            "INSERT INTO procedure_version (id, code, version, definition, form_of_result, owning_system, legal_basis,"
            " valid_from) VALUES ($1, '1.004873', $2, '{}', 'a', 'province', 'Luật', '2025-07-01')",
            version,
            number,
        )
    await admin.execute("INSERT INTO calendar_version (version, note) VALUES (1, 'thử')")


def lives(count):
    """Random walks through the whole table, with one, two or no steps of appraisal: first line, other lines, end."""
    for seed in range(count):
        lines = walk(seed, first(), plan(appraisals=(1, 1, 2, 0)[seed % 4]))
        end = None
        for line in lines:
            end = apply(end, line)
        yield lines[0], [row_after_id(line) for line in lines[1:]], end


def row_after_id(line):
    when = (line.occurred_at, line.occurred_at + timedelta(seconds=1))
    return (line.seq, str(line.action), *when, *SYSTEM.columns(), line.data, line.effect)


def lived_by(number, life):
    """The rows of one dossier that lives this life: its own id, code, and nothing else its own."""
    opening, others, end = life
    dossier_id, code = UUID(int=(1 << 76) * 7 + number), f"H05-260309-{number:06d}"
    opened = opening.effect | {"id": str(dossier_id), "code": code}
    journal = [(dossier_id, *row_after_id(msgspec.structs.replace(opening, effect=opened)))]
    journal += [(dossier_id, *row) for row in others]
    ended = msgspec.structs.replace(end, id=dossier_id, code=code)
    return tuple(getattr(ended, name) for name in store.COLUMNS), journal


async def write(db, count):
    """Write the first batch by INSERT, the others by COPY of the same rows; return how many lines."""
    pools = await db.pools("app")
    known = list(lives(min(LIVES, count)))
    written = 0
    for start in range(0, count, BATCH):
        rows, lines = [], []
        for number in range(start, min(start + BATCH, count)):
            row, journal = lived_by(number + 1, known[number % len(known)])
            rows.append(row)
            lines += journal
        async with pools.transaction() as tx:
            if start == 0:
                await tx.executemany(INSERT_DOSSIER, rows)
                await tx.executemany(INSERT_LINE, lines)
            else:
                await tx.copy_records_to_table("dossier", records=rows, columns=list(store.COLUMNS))
                await tx.copy_records_to_table("journal", records=lines, columns=COLUMNS)
        written += len(lines)
    return written


@pytest.mark.timeout(280)
async def test_a_hundred_thousand_dossiers_are_what_their_journals_say(db):
    await lay_ground(db.admin)
    lines = await write(db, DOSSIERS)
    async with (await db.pools("app")).reading() as tx:
        assert await rebuild(tx) == []
    assert await db.admin.fetchval("SELECT count(*) FROM dossier") == DOSSIERS
    assert lines > 4 * DOSSIERS


async def test_a_row_changed_behind_the_journal_is_found(db):
    await lay_ground(db.admin)
    pools = await db.pools("app")
    await write(db, 40)
    changed = UUID(int=(1 << 76) * 7 + 3)
    await db.admin.execute("UPDATE dossier SET urgent = true, reappointments = 90 WHERE id = $1", changed)
    cut = UUID(int=(1 << 76) * 7 + 5)
    await db.admin.execute("UPDATE dossier SET seq = seq + 1 WHERE id = $1", cut)
    async with pools.reading() as tx:
        found = {difference.dossier_id: difference for difference in await rebuild(tx, batch=7)}
    assert set(found) == {changed, cut}
    assert found[changed].columns == ("reappointments", "urgent")
    assert found[cut].columns == ("seq",)


async def test_the_journal_takes_no_change_and_no_second_line_of_a_number(db):
    await lay_ground(db.admin)
    pools = await db.pools("app")
    await write(db, 1)
    for statement in ("UPDATE journal SET data = '{}'", "DELETE FROM journal"):
        with pytest.raises(Exception, match="append-only"):
            await db.admin.execute(statement)
    _, journal = lived_by(1, next(lives(1)))
    with pytest.raises(Exception, match="journal_pkey"):
        async with pools.transaction() as tx:
            await tx.execute(INSERT_LINE, *journal[0])
