-- name: lock_batch
-- A ticket, locked for one step of the signer; the verdict on its second factor beside it.
SELECT batch.id, batch.account_id, batch.person_id, batch.post_id, batch.agency_id, batch.lane, batch.complete, batch.asked_at,
       batch.authorised_until, batch.closed_at, batch.item_count, step_up.id AS step_up_id, step_up.kind AS step_up_kind,
       step_up.account_id AS step_up_account_id, step_up.response, step_up.digest, step_up.offered_at,
       step_up_verdict.accepted, batch.trace_id
  FROM signature_batch batch
  LEFT JOIN step_up ON step_up.batch_id = batch.id
  LEFT JOIN step_up_verdict ON step_up_verdict.step_up_id = step_up.id
 WHERE batch.id = $1
   FOR UPDATE OF batch;

-- name: account_holds_post
-- Whether the account is active, belongs to the person, and the person holds the post now.
SELECT EXISTS (
        SELECT 1
          FROM account
          JOIN post_holding ON post_holding.person_id = account.person_id AND post_holding.post_id = $3
           AND post_holding.valid_from <= $5 AND (post_holding.valid_to IS NULL OR post_holding.valid_to > $5)
          JOIN post ON post.id = post_holding.post_id AND post.agency_id = $4
         WHERE account.id = $1 AND account.person_id = $2 AND account.state = 'active'
           AND NOT EXISTS (SELECT 1 FROM account_block locked
                            WHERE locked.account_id = $1 AND locked.what = 'account' AND locked.lifted_at IS NULL));

-- name: cap_authorisation
-- An authorisation ends at the midnight after the ask, whatever was written.
UPDATE signature_batch SET authorised_until = $2 WHERE id = $1 AND authorised_until > $2;

-- name: stopped_by_block
-- Whether the person was locked, or reported the factor lost, after this ticket was asked.
SELECT EXISTS (SELECT 1 FROM signature_batch batch JOIN account_block block ON block.account_id = batch.account_id
                WHERE batch.id = $1 AND block.at >= batch.asked_at);

-- name: open_of_account
-- What one account has asked and nobody has signed or sent yet, with its ticket.
SELECT request.id, request.batch_id, request.number_id
  FROM signature_request request
  JOIN signature_batch batch ON batch.id = request.batch_id
 WHERE batch.account_id = $1 AND batch.closed_at IS NULL AND request.state IN ('asked', 'prepared')
 ORDER BY request.batch_id, request.id;

-- name: lock_factor
-- The TOTP factor of an account with the signer's own guess counter; a loss reported since it was enrolled blocks it.
SELECT id, key_id, secret_sealed, last_counter, failures, last_failure_at,
       EXISTS (SELECT 1 FROM account_block lost WHERE lost.account_id = $1 AND lost.what = 'factors'
                  AND lost.at >= second_factor.enrolled_at) AS blocked
  FROM second_factor
 WHERE account_id = $1 AND kind = 'totp' AND revoked_at IS NULL
   FOR UPDATE;

-- name: lock_passkey
-- One passkey of this very account.
SELECT id, public_key, sign_count, failures, last_failure_at,
       EXISTS (SELECT 1 FROM account_block lost WHERE lost.account_id = $1 AND lost.what = 'factors'
                  AND lost.at >= passkey.enrolled_at) AS blocked
  FROM passkey
 WHERE account_id = $1 AND credential_id = $2 AND revoked_at IS NULL
   FOR UPDATE;

-- name: save_passkey
-- Remember the counter that was seen, or the wrong answer.
UPDATE passkey SET sign_count = $2, failures = $3, last_failure_at = $4 WHERE id = $1;

-- name: use_nonce
-- A challenge is good once; a second use inserts nothing.
INSERT INTO passkey_nonce (account_id, nonce, used_at) VALUES ($1, $2, $3) ON CONFLICT (account_id, nonce) DO NOTHING RETURNING nonce;

-- name: save_factor
-- Remember the counter used, or the wrong guess.
UPDATE second_factor SET last_counter = $2, failures = $3, last_failure_at = $4 WHERE id = $1;

-- name: insert_step_up_verdicts
-- The judgement of second factors, once each.
INSERT INTO step_up_verdict (step_up_id, accepted, reason, judged_at) SELECT id, $2, $3, $4 FROM unnest($1::uuid[]) AS id
ON CONFLICT (step_up_id) DO NOTHING;

-- name: offered_while_resting
-- Other tickets of the same person and account whose codes were given while the locked factor rests: none of them is compared.
SELECT step_up.batch_id, step_up.id AS step_up_id
  FROM signature_batch batch
  JOIN step_up ON step_up.batch_id = batch.id
  JOIN second_factor factor ON factor.account_id = batch.account_id AND factor.kind = 'totp' AND factor.revoked_at IS NULL
 WHERE batch.person_id = $1 AND batch.account_id = $2 AND batch.id <> $3 AND batch.closed_at IS NULL AND NOT batch.complete
   AND step_up.account_id = $2 AND step_up.kind = 'totp' AND factor.failures >= $4 AND step_up.offered_at - factor.last_failure_at < $5
   AND NOT EXISTS (SELECT FROM step_up_verdict verdict WHERE verdict.step_up_id = step_up.id)
 ORDER BY batch.id
 LIMIT $6
   FOR UPDATE OF batch SKIP LOCKED;

-- name: shown_digests
-- All digests that a ticket covers.
SELECT shown_sha256 FROM batch_item WHERE batch_id = $1;

-- name: lock_dossiers_to_judge
-- The dossiers of the next items that nobody has judged yet, before anything else of them and in the order of their ids.
SELECT id
  FROM dossier
 WHERE id IN (SELECT request.dossier_id
                FROM batch_item item
                JOIN signature_request request ON request.id = item.request_id
               WHERE item.batch_id = $1 AND item.outcome IS NULL AND request.batch_id IS DISTINCT FROM item.batch_id
                 AND item.ordinal > $2
               ORDER BY item.ordinal
               LIMIT $3)
 ORDER BY id
   FOR NO KEY UPDATE;

-- name: open_items
-- The next items of a ticket that nobody has judged yet, in order; what was added after the ask stands beyond its count.
SELECT item.ordinal, item.request_id, item.shown_sha256, item.number_id, request.dossier_id
  FROM batch_item item
  JOIN signature_request request ON request.id = item.request_id
 WHERE item.batch_id = $1 AND item.outcome IS NULL AND request.batch_id IS DISTINCT FROM item.batch_id
   AND item.ordinal > $2 AND item.ordinal <= (SELECT item_count FROM signature_batch WHERE id = $1)
 ORDER BY item.ordinal
 LIMIT $3;

-- name: lock_requests
-- Requests with everything the signer decides by, locked in the order of their ids.
SELECT request.id, request.state, request.role, request.pdf_signature, request.act, request.person_id, request.post_id, request.agency_id,
       request.mandate_id, request.document_id, request.dossier_id, request.result_id, request.chain_id, request.certificate_id,
       request.attempt, request.lane, request.field, request.group_no,
       document.head_sha256, chain.state AS chain_state, dossier.procedure_code,
       dossier.step_agency_id, post.roles AS post_roles,
       signature_request_waits(request.chain_id, request.group_no) AS waits_for_others,
       EXISTS (SELECT 1 FROM signature_request other WHERE other.document_id = request.document_id AND other.id <> request.id
                  AND other.state IN ('asked', 'prepared', 'sent', 'value_received')) AS document_busy,
       EXISTS (SELECT 1 FROM signature_request person WHERE person.chain_id = request.chain_id AND person.role = 'signatory'
                  AND person.pdf_signature AND person.state = 'recorded'
                  AND person.recorded_sha256 = document.head_sha256) AS head_is_signed,
       EXISTS (SELECT 1 FROM signature_request person WHERE person.chain_id = request.chain_id AND person.role = 'signatory'
                  AND person.state = 'recorded' AND person.recorded_sha256 = document.head_sha256) AS head_is_certified,
       annex_number(document.id, $3) IS NOT NULL AS main_at_hand
  FROM signature_request request
  JOIN chain ON chain.id = request.chain_id
  JOIN document ON document.id = request.document_id
  JOIN dossier ON dossier.id = request.dossier_id
  LEFT JOIN post ON post.id = $2
 WHERE request.id = ANY ($1::uuid[])
 ORDER BY request.id
   FOR UPDATE OF request;

-- name: authority_rows
-- The rows on which a person's right to sign at an agency may rest.
SELECT id, kind, capacity, person_id, post_id, agency_id, acts, procedure_codes, title_lines, legal_basis, valid_from, valid_to, revoked_at
  FROM mandate
 WHERE person_id = $1 AND agency_id = $2;

-- name: usable_certificates
-- Certificates of a person, or of an organisation, that are valid at this moment, newest binding first.
SELECT id, serial, holder, credential_id, mechanism, class, not_after
  FROM certificate
 WHERE (person_id = $1 OR agency_id = $2) AND revoked_at IS NULL AND not_before <= $3 AND not_after > $3
 ORDER BY bound_at DESC, id;

-- name: move_to_asked
-- The person has acted: the request belongs to this ticket, with the certificate that will sign.
UPDATE signature_request
   SET state = 'asked', batch_id = $2, shown_sha256 = $3, number_id = $4, certificate_id = $5, certificate_serial = $6,
       holder = $7, person_id = $8, post_id = $9, lane = $10, state_at = $11, deadline_at = $12, turn = $13, error = NULL, transaction_id = NULL,
       version = version + 1
 WHERE id = $1 AND state = 'to_sign';

-- name: record_approval
-- An approval bound to the hash of the revision (ký nháy without a PDF signature): recorded at once.
UPDATE signature_request
   SET state = 'recorded', batch_id = $2, shown_sha256 = $3, state_at = $4, recorded_at = $4, recorded_sha256 = $3, version = version + 1
 WHERE id = $1 AND state = 'to_sign';

-- name: end_item
-- The terminal result of one item of a ticket. The ticket stays locked, so that the last two, ending at once, see each other.
WITH ticket AS MATERIALIZED (SELECT id FROM signature_batch WHERE id = $1 FOR UPDATE)
UPDATE batch_item item SET outcome = $3, detail = $4, ended_at = $5
  FROM ticket
 WHERE item.batch_id = ticket.id AND item.request_id = $2 AND item.outcome IS NULL;

-- name: end_unjudged_items
-- End what nobody could judge; items that were asked go on.
UPDATE batch_item item SET outcome = 'failed', detail = $2, ended_at = $3
  FROM signature_request request
 WHERE item.batch_id = ANY ($1::uuid[]) AND item.outcome IS NULL AND request.id = item.request_id
   AND request.batch_id IS DISTINCT FROM item.batch_id
RETURNING item.request_id, item.number_id;

-- name: complete_batches
-- Every item of these tickets has been judged.
UPDATE signature_batch SET complete = true WHERE id = ANY ($1::uuid[]);

-- name: close_batches
-- A ticket is done when no item is open; says which this call closed.
UPDATE signature_batch batch
   SET closed_at = $2
 WHERE id = ANY ($1::uuid[]) AND closed_at IS NULL AND complete
   AND NOT EXISTS (SELECT 1 FROM batch_item item WHERE item.batch_id = batch.id AND item.outcome IS NULL)
RETURNING id;

-- name: lock_open_batch
-- A ticket on which work goes on, every item of it judged, locked: the last two of a batch, ending at once, see each other.
SELECT true FROM signature_batch WHERE id = $1 AND complete AND closed_at IS NULL FOR UPDATE;

-- name: left_to_prepare
-- How many items of a ticket are still to be prepared.
SELECT count(*) FROM signature_request WHERE batch_id = $1 AND state = 'asked';

-- name: to_prepare
-- Everything one preparation needs, in one statement.
SELECT request.id, request.state, request.attempt, request.turn, request.role, request.field, request.act, request.batch_id, request.document_id,
       request.person_id, request.post_id, request.agency_id, request.mandate_id, request.title_lines, request.number_id, request.shown_sha256,
       chain.plan, chain.mark, document.head_sha256, dossier.procedure_code,
       certificate.id AS certificate_id, certificate.certificate, certificate.chain, certificate.mechanism, certificate.image_png,
       certificate.revoked_at, certificate.not_after, certificate.class,
       number.text AS number_text, number.day AS number_day, number.document_id AS number_document_id, batch.authorised_until, batch.lane,
       (SELECT max(earlier.recorded_at) FROM signature_request earlier
         WHERE earlier.chain_id = request.chain_id AND earlier.role <> 'seal') AS signed_at,
       agency.name AS agency_name, draft.origin = 'rendered' AS printed_places, official.display_name AS person_name,
       coalesce(document.copy_form, CASE WHEN result.form = 'd' THEN 'certified_copy' WHEN document.act = 'copy' THEN 'true_copy' END)
         AS copy_form, main_number.text AS main_number_text, main_number.day AS main_number_day
  FROM signature_request request
  JOIN chain ON chain.id = request.chain_id
  JOIN revision draft ON draft.id = chain.draft_revision_id
  LEFT JOIN official ON official.person_id = request.person_id
  JOIN document ON document.id = request.document_id
  JOIN result ON result.id = document.result_id
  JOIN dossier ON dossier.id = request.dossier_id
  JOIN certificate ON certificate.id = request.certificate_id
  JOIN signature_batch batch ON batch.id = request.batch_id
  JOIN agency ON agency.id = request.agency_id
  LEFT JOIN number ON number.id = request.number_id
  LEFT JOIN number main_number ON main_number.id = annex_number(document.id, request.batch_id)
 WHERE request.id = $1;

-- name: move_to_prepared
-- Transaction 2: the bytes to be signed are fixed; a second preparation of the same attempt finds nothing to move.
UPDATE signature_request
   SET state = 'prepared', attempt = attempt + 1, state_at = $3, version = version + 1
 WHERE id = $1 AND state = 'asked' AND attempt = $2
RETURNING attempt;

-- name: insert_preparation
-- What survives the wait.
INSERT INTO preparation (request_id, attempt, base_sha256, base_size, increment, document_digest, reserved_start, reserved_end,
       signed_attrs, tbs_sha256, certificate_id, mechanism, prepared_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: prepared_of_batch
-- What is ready to leave for the holders, in order.
SELECT request.id, request.attempt, request.holder, request.person_id, request.agency_id, request.role, request.mandate_id, request.act,
       request.post_id, request.number_id, preparation.tbs_sha256, preparation.prepared_at, preparation.mechanism, certificate.credential_id, certificate.id AS certificate_id,
       certificate.revoked_at, certificate.not_after, dossier.code AS dossier_code, dossier.procedure_code, document.title, item.ordinal,
       batch.authorised_until, batch.trace_id, key_holder.hashes_per_authorisation, key_holder.window_s, key_holder.parallel_limit,
       EXISTS (SELECT 1 FROM account_block block WHERE block.account_id = batch.account_id AND block.at >= batch.asked_at) AS stopped,
       annex_number(document.id, request.batch_id) IS NOT NULL AS main_at_hand
  FROM signature_request request
  JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
  JOIN certificate ON certificate.id = request.certificate_id
  JOIN dossier ON dossier.id = request.dossier_id
  JOIN document ON document.id = request.document_id
  JOIN signature_batch batch ON batch.id = request.batch_id
  JOIN batch_item item ON item.batch_id = request.batch_id AND item.request_id = request.id
  JOIN key_holder ON key_holder.name = request.holder
 WHERE request.batch_id = $1 AND request.state = 'prepared'
 ORDER BY item.ordinal
   FOR UPDATE OF request;

-- name: lock_turn
-- One at a time decides what of a person's may leave to a holder: two tickets that counted at once would both find room.
SELECT pg_advisory_xact_lock(hashtextextended('turn:' || $1 || ':' || $2::uuid, 0));

-- name: transactions_under_way
-- How many confirmations a holder is waiting for from one person.
SELECT count(*) FROM holder_transaction WHERE holder = $1 AND person_id = $2 AND state <> 'ended';

-- name: batches_to_send
-- Tickets of a person of which prepared items wait for their turn at a holder, and no item is left behind.
SELECT DISTINCT request.batch_id, batch.trace_id
  FROM signature_request request
  JOIN signature_batch batch ON batch.id = request.batch_id AND batch.complete
 WHERE request.state = 'prepared' AND request.holder = $1 AND request.person_id = $2
   AND NOT EXISTS (SELECT 1 FROM signature_request behind WHERE behind.batch_id = batch.id AND behind.state = 'asked');

-- name: back_to_asked
-- A preparation that must not leave is made anew.
UPDATE signature_request SET state = 'asked', state_at = $2, version = version + 1
 WHERE id = $1 AND state IN ('prepared', 'value_received');

-- name: back_to_list
-- What was not signed returns to the list.
UPDATE signature_request
   SET state = 'to_sign', state_at = $2, error = $3, number_id = NULL, deadline_at = NULL, transaction_id = NULL, version = version + 1
 WHERE id = $1 AND state IN ('asked', 'prepared', 'sent', 'value_received')
RETURNING batch_id, state;

-- name: quarantine
-- A request that failed is kept with its evidence until a person has looked.
UPDATE signature_request SET state = 'failed', state_at = $2, error = $3, version = version + 1
 WHERE id = $1 AND state IN ('asked', 'prepared', 'sent', 'value_received')
RETURNING batch_id, number_id;

-- name: insert_transaction
-- One authorisation that is about to be asked of a holder.
INSERT INTO holder_transaction (id, holder, batch_id, credential_id, person_id, state, item_count, started_at, expires_at, poll_at)
VALUES ($1, $2, $3, $4, $5, 'starting', $6, $7, $8, $9);

-- name: insert_key_use
-- The intent to use the key, committed before the use.
INSERT INTO key_use (request_id, attempt, use_no, tbs_sha256, holder, credential_id, transaction_id, at)
SELECT $1, $2, 1 + coalesce(max(use_no), 0), $3, $4, $5, $6, $7 FROM key_use WHERE request_id = $1 AND attempt = $2
RETURNING use_no;

-- name: move_to_sent
-- The hash may leave now.
UPDATE signature_request SET state = 'sent', transaction_id = $2, state_at = $3, deadline_at = $4, version = version + 1
 WHERE id = $1 AND state = 'prepared';

-- name: transaction_started
-- The holder has taken the order, for the first time or again, and may show a code beside it: look at once.
UPDATE holder_transaction SET state = 'waiting', poll_at = $2, shown_code = coalesce($3, shown_code) WHERE id = $1 AND state <> 'ended';

-- name: claim_transactions
-- What one poller looks at next; the row's next look is moved ahead, so nobody else takes it meanwhile and a crash only costs a wait.
WITH due AS MATERIALIZED (
     SELECT id FROM holder_transaction
      WHERE holder = $1 AND state <> 'ended' AND poll_at <= $2
      ORDER BY poll_at
      LIMIT $4
        FOR UPDATE SKIP LOCKED)
UPDATE holder_transaction taken
   SET poll_at = $3, polls = polls + 1
  FROM due, signature_batch batch
 WHERE taken.id = due.id AND batch.id = taken.batch_id
RETURNING taken.id, taken.holder, taken.batch_id, taken.credential_id, taken.person_id, taken.state, taken.started_at, taken.expires_at,
       taken.polls, batch.trace_id;

-- name: next_polls
-- Look again at these times.
UPDATE holder_transaction due SET poll_at = next.at
  FROM unnest($1::text[], $2::timestamptz[]) AS next (id, at)
 WHERE due.id = next.id AND due.state <> 'ended';

-- name: end_transaction
-- The holder has said its last word; says whether this call ended it.
UPDATE holder_transaction SET state = 'ended', outcome = $2, ended_at = $3 WHERE id = $1 AND state <> 'ended' RETURNING batch_id;

-- name: transaction
-- One transaction as it stands.
SELECT due.id, due.holder, due.batch_id, due.credential_id, due.person_id, due.state, due.started_at, due.expires_at, due.polls, batch.trace_id
  FROM holder_transaction due
  JOIN signature_batch batch ON batch.id = due.batch_id
 WHERE due.id = $1;

-- name: items_of_transaction
-- The hashes of a transaction with what a value must fit.
SELECT request.id, request.attempt, request.state, preparation.tbs_sha256, preparation.signed_attrs, preparation.mechanism,
       certificate.certificate, certificate.owner_sealed, dossier.code AS dossier_code, document.title, request.lane, request.number_id
  FROM signature_request request
  JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
  JOIN certificate ON certificate.id = preparation.certificate_id
  JOIN document ON document.id = request.document_id
  JOIN dossier ON dossier.id = request.dossier_id
  JOIN signature_batch batch ON batch.id = request.batch_id
 WHERE request.transaction_id = $1
 ORDER BY request.id;

-- name: receive_values
-- Values that fit are committed, at most one per intent, each with the turn in which it will be embedded.
WITH received AS (
    SELECT id, attempt, value, turn
      FROM unnest($1::uuid[], $2::integer[], $3::bytea[], $4::integer[]) AS received (id, attempt, value, turn)
), kept AS (
    INSERT INTO signature_value (request_id, attempt, value, source, received_at)
    SELECT id, attempt, value, $5, $6 FROM received
    ON CONFLICT (request_id, attempt) DO NOTHING
)
UPDATE signature_request request
   SET state = 'value_received', state_at = $6, turn = received.turn, version = version + 1
  FROM received
 WHERE request.id = received.id AND request.attempt = received.attempt AND request.state = 'sent'
RETURNING request.id, request.attempt, request.lane, request.turn;

-- name: to_finish
-- Everything that finishing one signature needs, in one statement.
SELECT request.id, request.state, request.attempt, request.role, request.field, request.batch_id, request.document_id, request.dossier_id, request.result_id,
       request.chain_id, request.person_id, request.post_id, request.agency_id, request.act, request.mandate_id, request.group_no, request.number_id,
       preparation.base_sha256, preparation.base_size, preparation.increment, preparation.document_digest, preparation.reserved_start,
       preparation.reserved_end, preparation.signed_attrs, preparation.tbs_sha256, preparation.mechanism, preparation.prepared_at,
       certificate.certificate, certificate.chain, signature_value.value, dossier.procedure_code, batch.account_id, batch.post_id AS actor_post_id,
       batch.agency_id AS actor_agency_id, batch.person_id AS actor_person_id, batch.trace_id,
       batch.asked_at, holder_transaction.started_at AS sent_at, signature_value.received_at, request.holder,
       procedure_version.definition -> 'result' -> 'held_until' AS held_until,
       file.sha256 AS file_sha256, file.size AS file_size, taken.verdict AS file_verdict,
       annex_number(request.document_id, request.batch_id) IS NOT NULL AS main_at_hand,
       EXISTS (SELECT 1 FROM document annex JOIN chain main ON main.document_id = annex.main_document_id AND main.state = 'done'
                WHERE annex.id = request.document_id) AS main_sealed
  FROM signature_request request
  JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
  JOIN signature_value ON signature_value.request_id = request.id AND signature_value.attempt = request.attempt
  JOIN certificate ON certificate.id = preparation.certificate_id
  JOIN dossier ON dossier.id = request.dossier_id
  JOIN procedure_version ON procedure_version.id = dossier.procedure_version_id
  JOIN signature_batch batch ON batch.id = request.batch_id
  LEFT JOIN holder_transaction ON holder_transaction.id = request.transaction_id
  LEFT JOIN (handed_back handed
        JOIN handed_back_verdict taken ON taken.handed_id = handed.id AND taken.code = 'signed'
        JOIN blob file ON file.sha256 = handed.file_sha256) ON handed.request_id = request.id AND handed.transaction_id = request.transaction_id
 WHERE request.id = $1;

-- name: annexes_beside
-- The annexes of a document that are signed in the same ticket, and wait for what becomes of it.
SELECT annexed.id, annexed.attempt, annexed.lane, annexed.turn
  FROM signature_request main
  JOIN document annex ON annex.main_document_id = main.document_id
  JOIN signature_request annexed ON annexed.document_id = annex.id AND annexed.batch_id = $2 AND annexed.state = 'value_received'
 WHERE main.id = $1
 ORDER BY annexed.id;

-- name: lock_dossier
-- The dossier first, so that every writer takes its locks in one order.
SELECT id FROM dossier WHERE id = $1 FOR NO KEY UPDATE;

-- name: insert_signed_blob
-- The signed file, already on disk.
INSERT INTO blob (sha256, size, media_type, stored_at) VALUES ($1, $2, 'application/pdf', $3) ON CONFLICT (sha256) DO NOTHING;

-- name: record_revision
-- A signed file, already on disk, becomes its document's head: recorded only from the attempt whose value was embedded, once
-- by the unique index on its request, and only on the base that was signed. Returns nothing where either is not as it was.
WITH stored AS (
     INSERT INTO blob (sha256, size, media_type, stored_at) VALUES ($5, $6, 'application/pdf', $3) ON CONFLICT (sha256) DO NOTHING),
recorded AS (
     UPDATE signature_request
        SET state = 'recorded', recorded_at = $3, recorded_sha256 = $5, state_at = $3, version = version + 1
      WHERE id = $1 AND attempt = $2 AND state = 'value_received'
     RETURNING id),
added AS (
     INSERT INTO revision (document_id, ordinal, sha256, base_sha256, origin, reason, author_account_id, request_id, verdict, created_at)
     SELECT $4, 1 + (SELECT coalesce(max(ordinal), 0) FROM revision WHERE document_id = $4), $5, $7, $8, $9, $10, recorded.id, $11, $3
       FROM recorded
     RETURNING id)
UPDATE document SET head_revision_id = added.id, head_sha256 = $5, version = version + 1
  FROM added
 WHERE document.id = $4 AND document.head_sha256 = $7
RETURNING added.id;

-- name: left_in_chain
-- How many requests of a chain are not recorded, and how many of those are persons' signatures.
SELECT count(*) AS requests, count(*) FILTER (WHERE role <> 'seal') AS persons
  FROM signature_request
 WHERE chain_id = $1 AND state <> 'recorded';

-- name: chain_done
-- Every request of the chain is recorded.
UPDATE chain SET state = 'done', closed_at = $2 WHERE id = $1 AND state = 'open' RETURNING id;

-- name: use_number
-- The number that the seal's revision carries is used.
UPDATE number SET state = 'used', settled_at = $2, request_id = $3 WHERE id = $1 AND state = 'reserved' RETURNING id;

-- name: give_up_number
-- A reserved number that was not used is void with a reason, and the register shows it; one that a foreign register gave
-- stays the document's, for the next ask.
UPDATE number
   SET state = CASE series.owner WHEN 'own' THEN 'void' ELSE 'reserved' END,
       reason = CASE series.owner WHEN 'own' THEN $2::text END,
       settled_at = CASE series.owner WHEN 'own' THEN $3::timestamptz END,
       request_id = CASE series.owner WHEN 'own' THEN number.request_id END
  FROM number_series series
 WHERE series.id = number.series_id AND number.id = $1 AND number.state = 'reserved';

-- name: result_signed
-- All persons have signed.
UPDATE result SET state = 'signed', version = version + 1 WHERE id = $1 AND state = 'in_signing' RETURNING id;

-- name: result_issued
-- The seal is recorded on every document of the result, and none is held until it has its level.
UPDATE result
   SET state = 'issued', effect = 'in_force', issued_at = $2, version = version + 1
 WHERE id = $1 AND state IN ('in_signing', 'signed')
   AND NOT EXISTS (SELECT 1 FROM document WHERE document.result_id = result.id
                     AND NOT EXISTS (SELECT 1 FROM chain WHERE chain.document_id = document.id AND chain.state = 'done'))
   AND NOT EXISTS (SELECT 1 FROM document JOIN level_debt debt ON debt.document_id = document.id AND debt.held_basis IS NOT NULL
                    WHERE document.result_id = result.id)
RETURNING id;

-- name: insert_effect
-- The result is in force from now.
INSERT INTO result_effect (result_id, ordinal, effect, at, legal_basis, by_account_id)
SELECT $1, 1 + coalesce(max(ordinal), 0), 'in_force', $2, $3, $4 FROM result_effect WHERE result_id = $1;

-- name: stuck_requests
-- Open requests that have not moved for a while, oldest first: nothing passes its deadline unseen.
SELECT request.id, request.state, request.attempt, request.batch_id, request.state_at, request.deadline_at, request.lane, request.number_id,
       batch.trace_id
  FROM signature_request request
  JOIN signature_batch batch ON batch.id = request.batch_id
 WHERE request.state IN ('asked', 'prepared', 'value_received') AND request.state_at < $1
 ORDER BY request.state_at
 LIMIT $2;

-- name: stuck_batches
-- Tickets that nobody has finished judging.
SELECT id AS batch_id, trace_id FROM signature_batch WHERE NOT complete AND asked_at < $1 ORDER BY asked_at LIMIT $2;

-- name: parked_work
-- The open request whose preparing or finishing was parked: none when it has moved on or another attempt is under way.
SELECT id, attempt, batch_id, number_id
  FROM signature_request
 WHERE id = $1 AND attempt = $2 AND state IN ('asked', 'value_received');

-- name: release_failed
-- A failed request that a person has looked at returns to the list.
UPDATE signature_request SET state = 'to_sign', state_at = $2, error = NULL, number_id = NULL, version = version + 1
 WHERE id = $1 AND state = 'failed';

-- name: closable_batches
-- Tickets whose every item has ended but which are still open.
SELECT batch.id
  FROM signature_batch batch
 WHERE batch.closed_at IS NULL AND batch.complete
   AND NOT EXISTS (SELECT 1 FROM batch_item WHERE batch_item.batch_id = batch.id AND batch_item.outcome IS NULL)
 LIMIT $1;

-- name: queued_turns
-- The turn now being served in a lane, by what waits in a state and by what was recorded since $4; and the last one of this person.
SELECT greatest(min(request.turn), 0,
                (SELECT max(served.turn)
                   FROM (SELECT turn FROM signature_request WHERE recorded_at > $4 AND lane = $1
                          ORDER BY recorded_at DESC LIMIT 8) served)) AS floor,
       max(request.turn) FILTER (WHERE request.person_id = $2) AS own_last
  FROM signature_request request
 WHERE request.state = $3 AND request.state IN ('asked', 'value_received') AND request.lane = $1;

-- name: declare_holder
-- What a key holder declares of itself.
INSERT INTO key_holder (name, kind, hashes_per_authorisation, window_s, parallel_limit, shows_document_names, certificate_class, asks_person,
       development, declared_at, carried)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, hashes_per_authorisation = excluded.hashes_per_authorisation,
       window_s = excluded.window_s, parallel_limit = excluded.parallel_limit, shows_document_names = excluded.shows_document_names,
       certificate_class = excluded.certificate_class, asks_person = excluded.asks_person, development = excluded.development,
       declared_at = excluded.declared_at, carried = excluded.carried;

-- name: save_holder_state
-- Whether a holder was reached now, and since when that is so.
INSERT INTO holder_state (name, reachable, since, checked_at, code)
VALUES ($1, $2, $3, $3, $4)
ON CONFLICT (name) DO UPDATE
   SET since = CASE WHEN holder_state.reachable = excluded.reachable THEN holder_state.since ELSE excluded.since END,
       reachable = excluded.reachable, checked_at = excluded.checked_at, code = excluded.code;

-- name: answer
-- One answer from outside with its judgement, if any.
SELECT answer.id, answer.holder, answer.transaction_id, answer.body, answer.headers, answer_verdict.verdict
  FROM signature_answer answer
  LEFT JOIN answer_verdict ON answer_verdict.answer_id = answer.id
 WHERE answer.id = $1;

-- name: insert_answer_verdict
-- The judgement of an answer, once.
INSERT INTO answer_verdict (answer_id, verdict, judged_at) VALUES ($1, $2, $3) ON CONFLICT (answer_id) DO NOTHING;
