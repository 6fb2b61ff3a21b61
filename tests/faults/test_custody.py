"""Whoever holds the API's database password, or runs code in its place while nobody signs, obtains no signature.

A real signer with real keys is at work. The attacker knows every row the API can read, speaks as role `app`, writes
whatever that role may write, and puts every job into the queue. At the end no key was used and no value exists; then
the chairman signs with a fresh code, which shows that the signer would have.
"""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest
import pytest_asyncio
from pyotp.totp import TOTP

from api.signatures.engine.context import JUDGE
from api.signatures.stepup import Factor, digest_of, judge
from api.signer import STEPS
from tests.dossier_ground import copied
from tests.signer_process import SignerProcess
from tests.signing_ground import WARD, Ground

GUESSES = 10_000
PATIENCE_S = 200
DECIDED_BY = (
    "account", "agency", "answer_verdict", "certificate", "document", "enrolment_offer", "factor_verdict",
    "holder_page", "holder_transaction", "job_claim", "key_holder", "key_use", "key_use_check", "level_debt",
    "mandate", "official", "passkey", "passkey_nonce", "post", "post_holding", "preparation", "revision",
    "second_factor", "signature_value", "step_up_verdict", "timestamp_authority",
)  # fmt: skip
"""Tables whose rows the signer decides by, or that only it may write."""
HALF_OPEN = {"document": {"INSERT", "version"}}
"""What `app` may write of them all the same: a document without a file, and the count of its changes."""

Ends = list[tuple[str, str]]


@pytest_asyncio.fixture(scope="module")
async def room(cluster, province):
    async with copied(cluster, province.database) as database:
        ground = await Ground(database, province).open()
        yield ground
        await ground.close()


@pytest_asyncio.fixture(scope="module", autouse=True)
async def signer(room):
    """A real signer with the ward's real keys."""
    process = SignerProcess(room, [{"kind": "software", "keys": str(room.province.pki)}])
    await process.start()
    yield process
    await process.stop()


class Attacker:
    """Somebody with the API's database password."""

    def __init__(self, ground: Ground, connection: asyncpg.Connection, target: UUID) -> None:
        self.ground, self.sql, self.target = ground, connection, target
        self.ends: Ends = []

    async def refused(self, name: str, statement: str, *values: Any) -> None:
        """Try a statement that the database must refuse."""
        transaction = self.sql.transaction()
        await transaction.start()
        try:
            await self.sql.execute(statement, *values)
        except (asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError, asyncpg.UndefinedFunctionError) as no:
            self.ends.append((name, type(no).__name__.removesuffix("Error")))
        else:
            raise AssertionError(f"{name}: the database let it pass: {statement}")
        finally:
            await transaction.rollback()

    async def asked(self, who: str, code: str, *, account: UUID | None = None, digest: bytes | None = None) -> UUID:
        """Write a ticket for the target by hand, as the API would; returns its id."""
        victim = self.ground.actor(who)
        shown = bytes.fromhex(await self.ground.shown(self.target))
        async with self.sql.transaction():
            batch = await self.sql.fetchval(
                "INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, lane, item_count,"
                " authorised_until) VALUES ($1, $2, $3, $4, 'normal', 1, now() + interval '1 hour') RETURNING id",
                account or victim.account_id, victim.person_id, victim.post_id, victim.agency_id,
            )  # fmt: skip
            await self.sql.execute(
                "INSERT INTO batch_item (batch_id, ordinal, request_id, shown_sha256) VALUES ($1, 1, $2, $3)",
                batch, self.target, digest or shown,
            )  # fmt: skip
            await self.sql.execute(
                "INSERT INTO step_up (batch_id, account_id, kind, response, digest) VALUES ($1, $2, 'totp', $3, $4)",
                batch, account or victim.account_id, code.encode(), digest_of([shown]),
            )  # fmt: skip
            await self.job(JUDGE, str(batch), {"batch": str(batch)})
        return batch

    async def job(self, kind: str, key: str, ids: dict[str, Any]) -> None:
        await self.sql.execute(
            "INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, status)"
            " VALUES (0, $1, $2, now(), $3, 'queued')",
            kind, msgspec.json.encode({"key": key, "ids": ids}), f"{kind}:{key}",
        )  # fmt: skip

    async def judged(self, name: str, *batches: UUID) -> None:
        """Wait until the signer has judged these tickets, and note what it made of them."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.sql.fetchval(
                "SELECT count(*) FROM signature_batch WHERE id = ANY ($1::uuid[]) AND closed_at IS NULL", batches
            ):
                await asyncio.sleep(0.1)
        made = await self.sql.fetch(
            "SELECT coalesce(i.detail->>'code', i.outcome) AS said, count(*) AS n FROM batch_item i"
            " WHERE i.batch_id = ANY ($1::uuid[]) GROUP BY 1 ORDER BY 1",
            batches,
        )
        assert "recorded" not in {row["said"] for row in made}, name
        self.ends.append((name, ", ".join(f"{row['said']} × {row['n']}" for row in made)))


async def queue_is_empty(ground: Ground) -> None:
    """Wait until the signer has taken up, and ended, every job of its own."""
    query = "SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked') AND entrypoint = ANY ($1)"
    async with asyncio.timeout(PATIENCE_S):
        while await ground.db.admin.fetchval(query, list(STEPS)):
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture
async def attacker(room) -> AsyncIterator[Attacker]:
    """The attacker, and a document that waits for the chairman's signature, its initials given."""
    initials, signatory, _ = await room.submitted("Giu khoa")
    assert await ended(room, "kynhay", initials) == ["recorded"]
    connection = await asyncpg.connect(room.db.dsn("app"))
    attacker = Attacker(room, connection, signatory)
    yield attacker
    await connection.close()
    sys.stdout.write("\n" + "".join(f"  {name:<76} {end}\n" for name, end in attacker.ends))


async def nothing_was_signed(ground: Ground) -> None:
    """No key was used, no value exists, and nothing but the initials has been recorded."""
    await queue_is_empty(ground)
    for table in ("key_use", "signature_value", "preparation", "holder_transaction"):
        assert await ground.db.admin.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    query = "SELECT count(*) FROM signature_request WHERE state <> 'to_sign' AND role <> 'initials'"
    assert await ground.db.admin.fetchval(query) == 0
    assert await ground.db.admin.fetchval("SELECT count(*) FROM revision WHERE request_id IS NOT NULL") == 0


async def ended(ground: Ground, who: str, request: UUID) -> list[str]:
    """Let somebody ask for one request with a fresh code; how it ended."""
    ticket = (await ground.ask(who, request)).ticket
    async with asyncio.timeout(PATIENCE_S):
        while None in (outcomes := await ground.outcomes(ticket)):
            await asyncio.sleep(0.1)
    return outcomes


async def the_chairman_can(ground: Ground) -> None:
    """The same signer signs for the person: what failed before failed for want of the person."""
    await ground.db.admin.execute("UPDATE second_factor SET failures = 0, last_failure_at = NULL")
    initials, signatory, _ = await ground.submitted("Nguoi that")
    assert await ended(ground, "kynhay", initials) == ["recorded"]
    assert await ended(ground, "chutich", signatory) == ["recorded"]
    assert await ground.db.admin.fetchval("SELECT count(*) FROM key_use") == 1


async def test_what_the_signer_decides_by_cannot_be_written(attacker):
    admin = attacker.ground.db.admin
    here = {row["relname"] for row in await admin.fetch("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    assert set(DECIDED_BY) <= here, "a table of the list is gone: name the one that took its place"
    for table in DECIDED_BY:
        columns = await admin.fetch(
            "SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0",
            table,
        )
        spared = HALF_OPEN.get(table, set())
        for verb, statement in (
            ("INSERT", f"INSERT INTO {table} DEFAULT VALUES"),
            ("DELETE", f"DELETE FROM {table}"),
            ("TRUNCATE", f"TRUNCATE {table} CASCADE"),
        ):
            if verb not in spared:
                await attacker.refused(f"{verb} {table}", statement)
        for column in {row["name"] for row in columns} - spared:
            allowed = "SELECT has_column_privilege('app', $1, $2, 'UPDATE') OR"
            allowed += " ($3 AND has_column_privilege('app', $1, $2, 'INSERT'))"
            assert not await admin.fetchval(allowed, table, column, not spared), f"{table}.{column}"
        await attacker.refused(f"UPDATE {table}", f"UPDATE {table} SET {columns[0]['name']} = {columns[0]['name']}")
    kinds = {end for _, end in attacker.ends}
    attacker.ends = [(f"INSERT, UPDATE, DELETE, TRUNCATE of {len(DECIDED_BY)} tables", ", ".join(sorted(kinds)))]
    await nothing_was_signed(attacker.ground)


WAYS_UP = {
    "become the signer": "SET ROLE signer",
    "become the signer another way": "SET SESSION AUTHORIZATION signer",
    "join the signer's role": "GRANT signer TO app",
    "silence the triggers": "SET session_replication_role = replica",
    "drop the guard": "DROP TRIGGER signature_request_guard ON signature_request",
    "disable the guard": "ALTER TABLE signature_request DISABLE TRIGGER ALL",
    "replace the guard": (
        "CREATE OR REPLACE FUNCTION signature_request_guard() RETURNS trigger"
        " LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    ),
    "a function of one's own": "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
    "a table of one's own before the true one": "CREATE TABLE public.mandate2 (id int)",
    "read the server's files": "SELECT pg_read_file('/etc/passwd')",
    "run a program": "COPY account TO PROGRAM 'cat'",
    "load a library": "LOAD 'auto_explain'",
    "read the secrets of factors": "SELECT secret_sealed FROM second_factor",
    "read a code that was typed": "SELECT response FROM step_up",
    "read what was prepared": "SELECT increment FROM preparation",
    "the state `asked`": "UPDATE signature_request SET state = 'asked'",
    "the state `recorded`": "UPDATE signature_request SET state = 'recorded'",
    "a turn that has not come": "UPDATE signature_request SET ready = true",
    "another attempt": "UPDATE signature_request SET attempt = attempt + 1",
    "another signer": "UPDATE signature_request SET person_id = person_id",
    "another certificate": "UPDATE signature_request SET certificate_id = NULL",
    "another digest shown": "UPDATE batch_item SET shown_sha256 = shown_sha256",
    "another digest of the factor": "UPDATE step_up SET digest = digest",
    "an earlier time of the factor": (
        "INSERT INTO step_up (batch_id, account_id, kind, response, digest, offered_at)"
        " SELECT id, account_id, 'totp', '', '', now() FROM signature_batch"
    ),
    "another head": "UPDATE document SET head_sha256 = head_sha256",
    "a proposal that has been applied": "UPDATE proposal SET state = 'applied'",
    "a proposal born as applied": "INSERT INTO proposal (state) VALUES ('applied')",
    "a lock taken back": "DELETE FROM account_block",
    "a request born as asked": "INSERT INTO signature_request (state) VALUES ('asked')",
}


async def test_no_way_up_from_the_apis_role(attacker):
    for name, statement in WAYS_UP.items():
        await attacker.refused(name, statement)
    await nothing_was_signed(attacker.ground)


async def test_no_row_and_no_job_that_the_api_may_write_makes_a_signature(attacker):
    ground, target = attacker.ground, attacker.target
    shown = bytes.fromhex(await ground.shown(target))
    insider, chairman = ground.actor("thuly"), ground.actor("chutich")
    own_code = TOTP(ground.province.accounts.of(f"thuly.{WARD}").totp_secret).now()

    used = await ground.fresh_code("kynhay")  # the deputy's own code, spent by the deputy a moment ago
    again, _, _ = await ground.submitted("Dung lai ma")
    ticket = (await ground.ask("kynhay", again, code=used)).ticket
    async with asyncio.timeout(PATIENCE_S):
        while await ground.outcomes(ticket) != ["recorded"]:
            await asyncio.sleep(0.1)
    third, _, _ = await ground.submitted("Dung lai ma lan nua")
    replay = Attacker(ground, attacker.sql, third)
    await replay.judged("a code replayed for another document", await replay.asked("kynhay", used))
    attacker.ends += replay.ends

    await attacker.judged("a code of another person", await attacker.asked("chutich", used))
    await attacker.judged(
        "an insider's right code for the chairman's person and post",
        await attacker.asked("chutich", own_code, account=insider.account_id),
    )
    await attacker.judged(
        "another digest in the item than the factor covers",
        await attacker.asked("chutich", "000000", digest=bytes(32)),
    )
    without = await attacker.sql.fetchval(
        "INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, lane, item_count, authorised_until)"
        " VALUES ($1, $2, $3, $4, 'counter', 1, now() + interval '1 day') RETURNING id",
        chairman.account_id, chairman.person_id, chairman.post_id, chairman.agency_id,
    )  # fmt: skip
    await attacker.sql.execute(
        "INSERT INTO batch_item (batch_id, ordinal, request_id, shown_sha256) VALUES ($1, 1, $2, $3)",
        without, target, shown,
    )  # fmt: skip
    await attacker.job(JUDGE, str(without), {"batch": str(without)})
    await attacker.judged("a ticket without any factor", without)

    answer = uuid4()
    await attacker.sql.execute(
        "INSERT INTO signature_answer (id, holder, body, headers) VALUES ($1, 'software', $2, '{}')",
        answer, msgspec.json.encode({"transaction_id": str(target), "status": "signed", "signature": "AAAA"}),
    )  # fmt: skip
    for kind in sorted(STEPS):
        ids = {"request": str(target), "attempt": 0, "batch": str(without), "answer": str(answer)}
        for attempt in range(3):
            await attacker.job(kind, f"{target}:{attempt}:{kind}", {**ids, "attempt": attempt})
    await queue_is_empty(ground)
    attacker.ends.append(
        (f"every job of the signer ({', '.join(sorted(STEPS))}), a forged answer", "nothing came of it")
    )
    await nothing_was_signed(ground)


async def test_code_in_the_apis_place_finds_no_door_of_the_signer(attacker, signer):
    """What listens there tells health and counts, and takes nothing."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{signer.port}", timeout=20) as web:
        for method, path in itertools.product(("GET", "POST", "PUT"), ("/", "/sign", "/seal", "/keys", "/batches")):
            answer = await web.request(method, path, json={"request": str(attacker.target)})
            assert answer.status_code in (404, 405), (method, path)
    attacker.ends.append(("the signer's own listener", "404"))
    await nothing_was_signed(attacker.ground)


async def test_ten_thousand_guessed_codes_open_nothing_and_then_the_chairman_signs(attacker):
    ground, victim = attacker.ground, attacker.ground.actor("chutich")
    factor = TOTP(ground.province.accounts.of(f"chutich.{WARD}").totp_secret)
    shown = bytes.fromhex(await ground.shown(attacker.target))
    await ground.db.admin.execute("UPDATE second_factor SET failures = 0, last_failure_at = NULL")
    now = factor.timecode(await ground.db.admin.fetchval("SELECT now()"))
    right = {factor.generate_otp(now + step) for step in range(-40, 41)}
    codes = [code for code in (f"{n:06}" for n in range(GUESSES + len(right))) if code not in right][:GUESSES]
    given = *_whose(victim), attacker.target, shown, digest_of([shown])
    batches = [row["id"] for row in await attacker.sql.fetch(GUESS, *given, codes)]
    assert len(batches) == GUESSES
    verdicts = await verdicts_of(ground, victim.account_id, GUESSES)
    assert verdicts.keys() == {"wrong", "locked"}
    assert verdicts["wrong"] <= 10, "after five wrong codes the factor rests: the others are not even compared"
    noted = "SELECT count(*) FROM audit WHERE action = 'second-factor.refused' AND subject_id = ANY ($1::uuid[])"
    assert await ground.db.admin.fetchval(noted, batches) == GUESSES, "every guess stands in the audit"
    still_open = "SELECT count(*) FROM signature_batch WHERE id = ANY ($1::uuid[]) AND closed_at IS NULL"
    assert await ground.db.admin.fetchval(still_open, batches) == 0
    attacker.ends.append((f"{GUESSES} guessed codes", f"each judged by the signer: {verdicts}"))
    await nothing_was_signed(ground)
    await the_chairman_can(ground)


async def verdicts_of(ground: Ground, account_id: UUID, wanted: int) -> dict[str, int]:
    """Wait until the signer's process has judged so many tickets of an account; how often it said what."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            rows = await ground.db.admin.fetch(
                "SELECT v.reason, count(*) FROM step_up_verdict v JOIN step_up s ON s.id = v.step_up_id"
                " WHERE s.account_id = $1 AND v.reason IN ('wrong', 'locked') AND s.offered_at ="
                " (SELECT max(offered_at) FROM step_up WHERE account_id = $1) GROUP BY 1",
                account_id,
            )
            if sum(row["count"] for row in rows) >= wanted:
                return {row["reason"]: row["count"] for row in rows}
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("every_s", [0, 0.1, 1, 187])
def test_ten_thousand_guesses_by_the_rule_that_the_signer_judges_by(every_s):
    """All at once, ten a second, and at the fastest pace at which each is compared, five in a quarter of an hour.

    The last is three weeks of trying: about 3 in a million each; none of these 10,000 is right.
    """
    factor = Factor(secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", last_counter=0, failures=0, last_failure_at=None)
    compared = 0
    for n in range(GUESSES):
        at = datetime(2026, 11, 20, 1, tzinfo=UTC) + timedelta(seconds=every_s * n)
        told = judge(factor, f"{n:06}", offered_at=at)
        assert not told.accepted
        compared += told.reason == "wrong"
        failed_at = at if told.reason == "wrong" else factor.last_failure_at
        factor = msgspec.structs.replace(factor, failures=told.failures, last_failure_at=failed_at)
    assert compared <= 5 + 5 * every_s * GUESSES / 900


def _whose(victim) -> tuple[UUID, ...]:
    return victim.account_id, victim.person_id, victim.post_id, victim.agency_id


GUESS = """
WITH guess AS MATERIALIZED (
  SELECT code, uuidv7() AS id FROM unnest($8::text[]) AS code
), batch AS (
  INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, lane, item_count, authorised_until)
  SELECT $1, $2, $3, $4, 'normal', 1, now() + interval '1 hour' FROM guess
  RETURNING id
), numbered AS (
  SELECT b.id, g.code FROM (SELECT id, row_number() OVER () AS n FROM batch) b
    JOIN (SELECT code, row_number() OVER () AS n FROM guess) g USING (n)
), item AS (
  INSERT INTO batch_item (batch_id, ordinal, request_id, shown_sha256) SELECT id, 1, $5, $6 FROM numbered
), step AS (
  INSERT INTO step_up (batch_id, account_id, kind, response, digest)
  SELECT id, $1, 'totp', convert_to(code, 'UTF8'), $7 FROM numbered
), job AS (
  INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, status)
  SELECT 0, 'signatures.judge',
         convert_to(json_build_object('key', id, 'ids', json_build_object('batch', id))::text, 'UTF8'), now(),
         'signatures.judge:' || id, 'queued' FROM numbered
)
SELECT id FROM numbered
"""
