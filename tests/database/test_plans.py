"""The plans of the hottest reads on a seeded table: which index they go by, and how many rows they touch.

The plan judged is the generic one, which a statement prepared once and kept on its connection ends up with.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from api.db.queries import load
from api.desks.controller import WATCHED
from api.desks.store import q as desks
from api.dossiers.store import q as dossiers
from api.http.auth.store import _q as auth
from api.public.store import q as public
from api.signatures.store import _q as signatures
from loadtests.bench.ground import actor, fill
from tests.conftest import _copy
from tests.signer_process import ROOT
from tests.signing_ground import TOLD_ANEW

DOSSIERS = 8_000
PAGE = 50
ASIDE = """
INSERT INTO session (token_sha256, account_id, post_id, expires_at)
SELECT sha256(n::text::bytea), a.id, h.post_id, now() + interval '1 hour'
  FROM generate_series(1, 5000) n, account a JOIN post_holding h ON h.person_id = a.person_id
 WHERE a.login = 'chutich.kinhbac';
INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, lane, item_count, authorised_until)
SELECT a.id, r.person_id, r.post_id, r.agency_id, 'normal', 1, now()
  FROM generate_series(1, 8) n
  JOIN signature_request r ON r.role = 'signatory'
  JOIN account a ON a.person_id = r.person_id;
INSERT INTO batch_item (batch_id, ordinal, request_id, shown_sha256)
SELECT b.id, 1, r.id, sha256('x')
  FROM (SELECT id, person_id, row_number() OVER (PARTITION BY person_id ORDER BY id) AS n FROM signature_batch) b
  JOIN LATERAL (SELECT id FROM signature_request WHERE person_id = b.person_id ORDER BY id OFFSET b.n % 50 LIMIT 1) r
    ON true;
INSERT INTO key_holder (name, kind, hashes_per_authorisation, window_s, parallel_limit, shows_document_names,
       certificate_class, asks_person, development, carried)
VALUES ('upload', 'UploadHolder', 200, 1800, 5, true, 'demo', true, true, true);
INSERT INTO holder_transaction (id, holder, batch_id, credential_id, person_id, item_count, started_at, expires_at,
       poll_at, state, ended_at)
SELECT 'mc-' || n, 'upload', id, 'x', person_id, 1, now(), now() + interval '1 h', now(),
       CASE WHEN n % 100 = 0 THEN 'waiting' ELSE 'ended' END, CASE WHEN n % 100 <> 0 THEN now() END
  FROM (SELECT id, person_id, row_number() OVER (ORDER BY id) AS n FROM signature_batch) b;
INSERT INTO holder_page (state, transaction_id, url, opened_at)
SELECT repeat('x', 30) || id, id, 'https://ky', now() FROM holder_transaction;
INSERT INTO page_answer (state, code, error, issuer, account_id)
SELECT page.state, 'code', '', '', b.account_id
  FROM holder_page page
  JOIN holder_transaction t ON t.id = page.transaction_id
  JOIN signature_batch b ON b.id = t.batch_id
 WHERE t.state = 'ended';
UPDATE signature_request r SET state = 'recorded', recorded_at = now() - interval '1 day', batch_id = uuidv7()
  FROM account a
 WHERE a.login = 'chutich.kinhbac' AND r.role = 'signatory'
   AND r.agency_id NOT IN (SELECT p.agency_id FROM post p JOIN post_holding h ON h.post_id = p.id
                            WHERE h.person_id = a.person_id);
INSERT INTO level_debt (revision_id, document_id, request_id, wanted, level, sha256, signed_at, due_at, try_at, paid_at,
       held_basis)
SELECT uuidv7(), r.document_id, r.id, 'B-T', CASE WHEN owed THEN 'B-B' ELSE 'B-T' END, sha256('x'),
       now() - interval '2 days', now() - interval '1 day', now(), CASE WHEN NOT owed THEN now() - interval '1 day' END,
       CASE WHEN owed THEN 'luật' END
  FROM (SELECT id, document_id, row_number() OVER (ORDER BY id) % 40 = 0 AS owed
          FROM signature_request WHERE role = 'seal') r;
"""
"""Many sessions, tickets and levels; in the wards other than Kinh Bắc's, seals whose turn it is; in Kinh Bắc none."""
SMALL = {
    "procedure", "account", "post", "post_holding", "step_up", "step_up_verdict", "number", "account_block", "agency",
    "person_private", "dossier_party", "dossier_part", "dossier_fee", "dossier_pause", "index",
}  # fmt: skip
"""Tables of a few rows here, which any way of reading reads as well."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seeded(cluster, province):
    """A province with thousands of dossiers, analysed, whose statements run on their generic plans."""
    async with _copy(cluster, province.database) as database:
        await fill(database.admin, database.dsn("app"), province.vault, DOSSIERS, lambda _vi, _en: None)
        await database.admin.execute(ASIDE)
        await database.admin.execute("RESET session_replication_role; SET plan_cache_mode = force_generic_plan")
        await database.admin.execute(TOLD_ANEW)
        await database.admin.execute("VACUUM (ANALYZE)")
        yield database.admin


TABLE_OF = "SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid = $1::text::regclass"
READS = {
    "dossier by code": (dossiers.dossier_view, "'{code}'", {"dossier_code_key"}, 12),
    "track by code": (public.track, "ARRAY['{code}']", {"dossier_code_key"}, 1),
    "to-sign, first page": (
        signatures.to_sign_page,
        "'{person}', '', '-infinity', '00000000-0000-0000-0000-000000000000', {page}",
        {"signature_request_ready_person"},
        3 * PAGE + 3,
    ),
    "to-sign, next page": (
        signatures.to_sign_page, "'{person}', '{lane}', '{due}', '{last}', {page}",
        {"signature_request_ready_person"}, 3 * PAGE + 3,
    ),
    "to-sign, a clerk's first page": (
        signatures.clerks_page,
        "'{account}', '{sealing}', '', '-infinity', '00000000-0000-0000-0000-000000000000', {page}",
        {"signature_request_ready_person", "signature_request_ready_seal"},
        3 * PAGE + 3,
    ),
    "to-sign, a clerk's page where no seal's turn has come": (
        signatures.clerks_page,
        "'{account}', '{agency}', '', '-infinity', '00000000-0000-0000-0000-000000000000', {page}",
        {"signature_request_ready_person", "signature_request_ready_seal"},
        0,
    ),
    "an officer's work": (
        desks.officer_desk,
        "'{counter}', '{{counter}}', '{account}', '-infinity', '00000000-0000-0000-0000-000000000000', {page}",
        {"task_open_list"},
        4 * PAGE,
    ),
    "a head's late list": (
        desks.head_overdue,
        "'{counter}', '{{{watched}}}', 'infinity', '-infinity', '00000000-0000-0000-0000-000000000000', {page}",
        {"dossier_receipt_list"},
        3 * PAGE + 3,
    ),
    "ticket": (
        signatures.tickets_moved, "ARRAY['{ticket}']::uuid[], ARRAY[0], 40",
        {"signature_batch_pkey", "holder_transaction_batch", "batch_item_pkey"}, 22,
    ),
    "session": (auth.find_sessions, "ARRAY[sha256('77')], now(), current_date", {"session_token_sha256_key"}, 1),
}  # fmt: skip
"""By read: its statement, its arguments, the indexes it must go by, and how many rows of large tables it may touch."""


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every scan of a plan."""
    if "Scan" in node["Node Type"] and ("Relation Name" in node or "Index Name" in node):
        yield node
    for child in node.get("Plans", ()):
        yield from scans(child)


def faults(plan: dict[str, Any], wanted: set[str], most: int) -> list[str]:
    """What is wrong with a plan: an index not used, a large table read through, too many rows touched."""
    found = list(scans(plan))
    used = {scan["Index Name"] for scan in found if "Index Name" in scan}
    large = [scan for scan in found if scan.get("Relation Name", "index") not in SMALL]
    wrong = [f"{index} is not used" for index in wanted - used]
    wrong += [f"{scan['Relation Name']} is read through" for scan in large if scan["Node Type"] == "Seq Scan"]
    kept = sum((s["Actual Rows"] + s.get("Rows Removed by Filter", 0)) * s["Actual Loops"] for s in large)
    return wrong + ([f"{kept:.0f} rows touched, at most {most}"] if kept > most else [])


async def explained(admin, statement: str, arguments: str) -> dict[str, Any]:
    await admin.execute(f"PREPARE read AS {statement}")
    try:
        rows = await admin.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE read ({arguments})")
    finally:
        await admin.execute("DEALLOCATE read")
    return json.loads(rows[0][0])[0]["Plan"]


async def values(admin) -> dict[str, Any]:
    """What the arguments stand for: rows from the middle of each list."""
    chair, counter = actor("chutich.kinhbac"), actor("tiepnhan.kinhbac")
    middle = await admin.fetchrow(
        "SELECT id, lane, due_at FROM signature_request WHERE person_id = $1 AND state = 'to_sign'"
        " ORDER BY lane, due_at, id OFFSET 20 LIMIT 1",
        chair.person_id,
    )
    return {
        "code": await admin.fetchval("SELECT code FROM dossier ORDER BY id OFFSET 3000 LIMIT 1"),
        "ticket": await admin.fetchval("SELECT id FROM signature_batch ORDER BY id OFFSET 100 LIMIT 1"),
        "person": chair.person_id, "agency": chair.agency_id, "account": counter.account_id,
        "counter": counter.agency_id,
        "sealing": await admin.fetchval(
            "SELECT agency_id FROM signature_request WHERE role = 'signatory' AND state = 'recorded' LIMIT 1"
        ), "lane": middle["lane"], "due": middle["due_at"], "last": middle["id"],
        "page": PAGE + 1, "watched": ",".join(WATCHED),
    }  # fmt: skip


@pytest.mark.parametrize("read", READS)
async def test_the_hottest_reads_go_by_their_index_and_touch_few_rows(seeded, read):
    statement, arguments, wanted, most = READS[read]
    plan = await explained(seeded, statement, arguments.format(**await values(seeded)))
    assert faults(plan, wanted, most) == []


@pytest.mark.parametrize("read", [name for name in READS if name.startswith("to-sign")])
async def test_a_list_is_not_planned_anew_at_each_reading(seeded, read):
    """PostgreSQL chooses: the plan that does for all values costs no more than one for these, with its making."""
    statement, arguments, _, _ = READS[read]
    filled = arguments.format(**await values(seeded))
    await seeded.execute(f"SET plan_cache_mode = auto; PREPARE often AS {statement}")
    try:
        for _ in range(10):
            await seeded.execute(f"EXECUTE often ({filled})")
        kept = await seeded.fetchval("SELECT generic_plans FROM pg_prepared_statements WHERE name = 'often'")
    finally:
        await seeded.execute("DEALLOCATE often; SET plan_cache_mode = force_generic_plan")
    assert kept >= 5


LARGE = 200
WHOLE = {
    "lines_since", "last_line", "spend_codes", "documents_since", "documents_after",  # a backup looks at everything
    "forget_unreferenced",  # so does the sweep of stored files
    "uses_people", "uses_uploads", "uses_owners", "uses_factors", "uses_drafts",  # and whoever counts a key's uses
    "counts", "end_authorisations", "journals_without_dossier",  # and a restore, which proves what it has
    "rewrite_ready",  # and a rewrite
    "lock_requests",  # PostgreSQL hashes the few that are signed here; among many it looks each up by its chain
    "failures", "my_tickets", "closable_batches",  # the newest ones, up to a limit; or open ones, and here all are
}  # fmt: skip
"""Statements that read a table, or the end of it, by what they are for."""


async def test_no_statement_of_the_product_reads_a_large_table_through(seeded):
    """Whatever is done often, and is quick with a hundred rows, must not wait for a million: there is an index for it.

    The tables here are small enough to be read through, so the planner is told not to; a table that it then goes
    through all the same, or a whole index of all its rows without a condition, has no other way to be read.
    """
    sized = await seeded.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > $1",
        LARGE,
    )
    large = {row["relname"] for row in sized} - {"agency"}
    assert large >= {"dossier", "journal", "task", "signature_request", "chain", "document", "result", "revision"}
    partial = {
        row["name"]
        for row in await seeded.fetch(
            "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indpred IS NOT NULL"
        )
    }
    found, planned = {}, 0
    await seeded.execute("SET enable_seqscan = off; SET enable_mergejoin = off; SET enable_hashjoin = off")
    try:
        for path in sorted((ROOT / "api").rglob("*.sql")):
            if path.parent.name == "migrations" or path.name == "schema.sql":
                continue
            for name, statement in load(".".join(path.parent.relative_to(ROOT).parts), path.name).statements.items():
                plan = await planned_for_all(seeded, statement)
                planned += plan is not None
                read = {scan["Relation Name"] for scan in scans(plan or NOTHING) if _is_through(scan, partial)} & large
                if read and name not in WHOLE:
                    found[f"{path.parent.name}/{path.name}: {name}"] = read
    finally:
        await seeded.execute("RESET enable_seqscan; RESET enable_mergejoin; RESET enable_hashjoin")
    assert not found, "\n".join(f"{name}: {sorted(tables)}" for name, tables in found.items())
    assert planned > 450


NOTHING = {"Node Type": ""}


def _is_through(scan: dict[str, Any], partial: set[str]) -> bool:
    if "Relation Name" not in scan:
        return False
    return scan["Node Type"] == "Seq Scan" or (
        scan["Node Type"].startswith("Index") and "Index Cond" not in scan and scan["Index Name"] not in partial
    )


async def planned_for_all(admin, statement: str) -> dict[str, Any] | None:
    """The plan for any values; None where a statement has none (SET, GRANT, DO)."""
    wanted = max((int(number) for number in re.findall(r"\$(\d+)", statement)), default=0)
    try:
        await admin.execute(f"PREPARE planned AS {statement}")
    except asyncpg.PostgresSyntaxError:
        return None
    try:
        given = f"({', '.join(['NULL'] * wanted)})" if wanted else ""
        rows = await admin.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE planned {given}")
    finally:
        await admin.execute("DEALLOCATE planned")
    return json.loads(rows[0][0])[0]["Plan"]


async def test_a_signature_reads_no_more_of_what_waits_than_its_own_chain(seeded):
    """Whose turn comes next is written by triggers, which no plan shows: their reading is counted."""
    transaction = seeded.transaction()
    await transaction.start()
    try:
        one, batch = await seeded.fetchrow(
            "SELECT id, (SELECT id FROM signature_batch LIMIT 1) FROM signature_request one"
            " WHERE state = 'to_sign' AND ready AND EXISTS (SELECT FROM signature_request later"
            " WHERE later.chain_id = one.chain_id AND later.group_no > one.group_no) LIMIT 1"
        )
        before = await seeded.fetchrow(READ_OF_REQUESTS)
        group = await seeded.fetchrow(
            "UPDATE signature_request SET state = 'recorded', recorded_at = now(), batch_id = $2 WHERE id = $1"
            " RETURNING chain_id, group_no",
            one,
            batch,
        )
        after = await seeded.fetchrow(READ_OF_REQUESTS)
        following = await seeded.fetchval(
            "SELECT count(*) FROM signature_request WHERE chain_id = $1 AND group_no > $2 AND ready", *group
        )
    finally:
        await transaction.rollback()
    assert following == 1, "the next one has its turn"
    assert after["by_index"] - before["by_index"] <= 40
    assert after["through"] == before["through"]


READ_OF_REQUESTS = """
SELECT pg_stat_get_xact_tuples_returned(oid) AS through,
       pg_stat_get_xact_tuples_fetched(oid) AS by_index
  FROM pg_class WHERE oid = 'signature_request'::regclass
"""


@pytest.mark.parametrize("read", READS)
async def test_a_read_whose_index_is_gone_is_found(seeded, read):
    statement, arguments, wanted, most = READS[read]
    filled = arguments.format(**await values(seeded))
    transaction = seeded.transaction()
    await transaction.start()
    try:
        for index in wanted:
            table = await seeded.fetchval(
                "SELECT indrelid::regclass FROM pg_index WHERE indexrelid = $1::regclass", index
            )
            constrained = await seeded.fetchval(
                "SELECT count(*) FROM pg_constraint WHERE conindid = $1::regclass", index
            )
            drop = f"ALTER TABLE {table} DROP CONSTRAINT {index} CASCADE" if constrained else f"DROP INDEX {index}"
            await seeded.execute(drop)
        assert faults(await explained(seeded, statement, filled), wanted, most) != []
    finally:
        await transaction.rollback()
