"""The database repeats the table of states: every move, as the signer and as the API, on a real row."""

import itertools
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from api.signatures.states import APP_MAY, TRANSITIONS, State

AT = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)


async def lay_request(admin, state: State, *, group=1, chain=None):
    """A request in a state, without the rows it refers to: foreign keys and triggers rest while it is laid."""
    request, chain = uuid4(), chain or uuid4()
    await admin.execute("SET session_replication_role = replica")
    await admin.execute(
        "INSERT INTO signature_request (id, chain_id, document_id, dossier_id, result_id, group_no, ordinal, role,"
        " pdf_signature, act, field, state, agency_id, lane, batch_id, recorded_at)"
        " VALUES ($1, $2, $3, $3, $3, $4, $4, 'signatory', true, 'main_document', 'Signatory1', $5, $3,"
        " 'normal', $6, $7)",
        request,
        chain,
        uuid4(),
        group,
        str(state),
        uuid4(),
        AT if state is State.RECORDED else None,
    )
    await admin.execute("SET session_replication_role = origin")
    return request, chain


async def may_move(connection, request, after: State) -> bool:
    stamp = ", recorded_at = now()" if after is State.RECORDED else ", recorded_at = NULL"
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"UPDATE signature_request SET state = $2{stamp} WHERE id = $1", request, str(after))
    except (asyncpg.CheckViolationError, asyncpg.InsufficientPrivilegeError):
        return False
    else:
        return True
    finally:
        await transaction.rollback()


async def test_the_guard_is_the_table(db):
    signer = await asyncpg.connect(db.dsn("signer"))
    differing = []
    for before, after in itertools.permutations(State, 2):
        request, _ = await lay_request(db.admin, before)
        if await may_move(signer, request, after) != (after in TRANSITIONS[before]):
            differing.append((before, after))
    await signer.close()
    assert differing == []


async def test_the_api_moves_only_what_it_may(db):
    app = await asyncpg.connect(db.dsn("app"))
    moved = set()
    for before, after in itertools.permutations(State, 2):
        request, _ = await lay_request(db.admin, before)
        transaction = app.transaction()
        await transaction.start()
        try:
            await app.execute("UPDATE signature_request SET state = $2 WHERE id = $1", request, str(after))
            moved.add((before, after))
        except (asyncpg.CheckViolationError, asyncpg.InsufficientPrivilegeError):
            pass
        finally:
            await transaction.rollback()
    await app.close()
    assert moved == APP_MAY


async def test_no_seal_before_the_signatures_it_requires(db):
    first, chain = await lay_request(db.admin, State.TO_SIGN, group=1)
    seal, _ = await lay_request(db.admin, State.TO_SIGN, group=2, chain=chain)
    signer = await asyncpg.connect(db.dsn("signer"))
    assert not await may_move(signer, seal, State.ASKED)
    assert await may_move(signer, first, State.ASKED)
    await db.admin.execute("SET session_replication_role = replica")
    await db.admin.execute("UPDATE signature_request SET state = 'recorded', recorded_at = now() WHERE id = $1", first)
    await db.admin.execute("SET session_replication_role = origin")
    assert await may_move(signer, seal, State.ASKED)
    await signer.close()


@pytest.mark.parametrize(
    ("table", "assignment"),
    [
        ("key_use", "holder = 'x'"),
        ("signature_answer", "holder = 'x'"),
        ("signature_value", "value = ''"),
        ("revision", "reason = 'x'"),
        ("journal", "action = 'x'"),
        ("audit", "action = 'x'"),
        ("result_effect", "legal_basis = 'x'"),
    ],
)
async def test_facts_are_never_changed_even_by_the_owner(db, table, assignment):
    for statement in (f"UPDATE {table} SET {assignment}", f"DELETE FROM {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.admin.execute(statement)


FORBIDDEN_TO_THE_API = [
    "SELECT secret_sealed FROM second_factor",
    "INSERT INTO mandate DEFAULT VALUES",
    "INSERT INTO certificate DEFAULT VALUES",
    "INSERT INTO account (person_id, agency_id, login) SELECT id, id, 'x' FROM person",
    "INSERT INTO second_factor (account_id, kind, key_id, secret_sealed) SELECT id, 'totp', 'k', '' FROM account",
    "INSERT INTO signature_value (request_id, attempt, value, source, received_at) SELECT id, 1, '',"
    " 'poll', now() FROM signature_request",
    "INSERT INTO key_use DEFAULT VALUES",
    "INSERT INTO holder_transaction DEFAULT VALUES",
    "INSERT INTO step_up_verdict (step_up_id, accepted) SELECT id, true FROM step_up",
    "INSERT INTO answer_verdict (answer_id, verdict) SELECT id, 'signed' FROM signature_answer",
    "INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, lane, item_count,"
    " authorised_until, asked_at)"
    " SELECT id, id, id, id, 'normal', 1, now(), now() FROM account",
    "INSERT INTO step_up (batch_id, account_id, kind, response, digest, offered_at) SELECT id, id,"
    " 'totp', '', '', now() FROM account",
    "INSERT INTO signature_request (chain_id, document_id, dossier_id, result_id, group_no, ordinal, role,"
    " pdf_signature, act, field, agency_id, lane, state) SELECT id, id, id, id, 1, 1, 'signatory', true,"
    " 'main_document', 'Signatory1', id, 'normal', 'asked' FROM chain",
    "INSERT INTO signature_request (shown_sha256) VALUES ('')",
    "INSERT INTO signature_request (ready) VALUES (true)",
    "UPDATE signature_request SET ready = true",
    "INSERT INTO signature_request (batch_id) SELECT id FROM signature_batch",
    "UPDATE signature_batch SET complete = true",
    "UPDATE signature_request SET person_id = NULL",
    "UPDATE signature_request SET attempt = 1",
    "UPDATE document SET head_sha256 = NULL",
    "INSERT INTO revision DEFAULT VALUES",
    "UPDATE mandate SET valid_to = now()",
    "SELECT increment FROM preparation",
    "SELECT response FROM step_up",
    "INSERT INTO passkey (account_id, credential_id, public_key, sign_count) SELECT id, '', '', 0 FROM account",
    "UPDATE passkey SET sign_count = 0",
    "SELECT public_key FROM passkey",
    "INSERT INTO proposal (state) VALUES ('waiting')",
    "UPDATE proposal SET state = 'applied'",
    "UPDATE proposal SET content_sealed = ''",
    "SELECT response FROM factor_answer",
    "UPDATE factor_answer SET response = ''",
    "INSERT INTO factor_answer (offered_at) VALUES (now())",
    "INSERT INTO factor_verdict (answer_id, accepted, reason, judged_at) SELECT id, true, '', now() FROM factor_answer",
    "UPDATE enrolment_material SET public_part = ''",
    "INSERT INTO enrolment_offer DEFAULT VALUES",
    "SELECT secret_sealed FROM enrolment_offer",
    "UPDATE enrolment_offer SET tries = 0",
    "DELETE FROM passkey_nonce",
    "UPDATE account_block SET lifted_at = now()",
    "INSERT INTO account_block (at) VALUES (now())",
    "DELETE FROM account_block",
    "INSERT INTO post DEFAULT VALUES",
    "INSERT INTO post_holding DEFAULT VALUES",
    "UPDATE post_holding SET valid_to = NULL",
    "UPDATE account SET state = 'active'",
    "UPDATE signature_batch SET authorised_until = 'infinity'",
    "DELETE FROM journal",
    "DELETE FROM audit",
    "UPDATE number SET n = 1",
]


@pytest.mark.parametrize("statement", FORBIDDEN_TO_THE_API)
async def test_the_apis_role_cannot_touch_what_the_signer_decides_by(db, statement):
    app = await asyncpg.connect(db.dsn("app"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)
    await app.close()


async def test_one_open_job_writes_a_document(db):
    document = uuid4()
    await db.admin.execute("SET session_replication_role = replica")
    statement = (
        "INSERT INTO signature_request (chain_id, document_id, dossier_id, result_id, group_no, ordinal, role,"
        " pdf_signature, act, field, state, agency_id, lane, batch_id)"
        " VALUES ($1, $2, $2, $2, 1, 1, 'signatory', true, 'main_document', 'Signatory1', $3, $2, 'normal', $1)"
    )
    await db.admin.execute(statement, uuid4(), document, "asked")
    await db.admin.execute(statement, uuid4(), document, "to_sign")
    with pytest.raises(asyncpg.UniqueViolationError):
        await db.admin.execute(statement, uuid4(), document, "sent")
