-- name: lock_document
-- The document to submit, with what its chain is made from; the lock lives as long as the caller's transaction.
SELECT document.id, document.dossier_id, document.result_id, document.act, document.head_revision_id, document.head_sha256,
       revision.places, result.state AS result_state, result.refusal, dossier.code AS dossier_code, dossier.urgent,
       dossier.step_agency_id, coalesce(dossier.competent_agency_id, dossier.step_agency_id) AS agency_id, dossier.procedure_code, dossier.step_due_at AS due_at,
       procedure_version.definition
  FROM document
  JOIN result ON result.id = document.result_id
  JOIN dossier ON dossier.id = document.dossier_id
  JOIN procedure_version ON procedure_version.id = dossier.procedure_version_id
  LEFT JOIN revision ON revision.id = document.head_revision_id
 WHERE document.id = $1
   FOR UPDATE OF document;

-- name: open_chain_of_document
-- The chain that is open for a document, if any.
SELECT id FROM chain WHERE document_id = $1 AND state IN ('laying', 'open');

-- name: signatory_candidates
-- Who may sign this act of this procedure at this agency now, strongest basis first, with a valid certificate if there is one.
SELECT mandate.id AS mandate_id, mandate.person_id, mandate.post_id, mandate.capacity, mandate.title_lines,
       official.display_name, certificate.id AS certificate_id, certificate.serial AS certificate_serial,
       certificate.holder, certificate.class AS certificate_class
  FROM mandate
  JOIN official ON official.person_id = mandate.person_id
  LEFT JOIN LATERAL (
        SELECT id, serial, holder, class
          FROM certificate
         WHERE certificate.person_id = mandate.person_id AND revoked_at IS NULL AND not_before <= $4 AND not_after > $4
         ORDER BY bound_at DESC
         LIMIT 1) certificate ON true
 WHERE mandate.agency_id = $1 AND $2 = ANY (mandate.acts)
   AND (mandate.procedure_codes IS NULL OR $3 = ANY (mandate.procedure_codes))
   AND mandate.valid_from <= $4 AND (mandate.valid_to IS NULL OR mandate.valid_to > $4) AND mandate.revoked_at IS NULL
 ORDER BY array_position(ARRAY['standing', 'assignment', 'by_order', 'mandate'], mandate.kind), mandate.valid_from, mandate.id;

-- name: role_candidates
-- Who holds a post with this role at this agency now (initials, coordinating office).
SELECT post_holding.person_id, post_holding.post_id, post.title, official.display_name,
       certificate.id AS certificate_id, certificate.serial AS certificate_serial, certificate.holder,
       certificate.class AS certificate_class
  FROM post
  JOIN post_holding ON post_holding.post_id = post.id
   AND post_holding.valid_from <= $3 AND (post_holding.valid_to IS NULL OR post_holding.valid_to > $3)
  JOIN official ON official.person_id = post_holding.person_id
  LEFT JOIN LATERAL (
        SELECT id, serial, holder, class
          FROM certificate
         WHERE certificate.person_id = post_holding.person_id AND revoked_at IS NULL AND not_before <= $3 AND not_after > $3
         ORDER BY bound_at DESC
         LIMIT 1) certificate ON true
 WHERE post.agency_id = $1 AND $2 = ANY (post.roles)
 ORDER BY array_position(ARRAY['division_head', 'deputy', 'head'], post.rank) NULLS LAST, post_holding.valid_from, post_holding.id;

-- name: seal_certificate
-- The certificate of the organisation whose seal is put, the newest that is valid now.
SELECT id AS certificate_id, serial AS certificate_serial, holder, class AS certificate_class
  FROM certificate
 WHERE agency_id = $1 AND revoked_at IS NULL AND not_before <= $2 AND not_after > $2
 ORDER BY bound_at DESC
 LIMIT 1;

-- name: insert_chain
-- One submission for signature; the partial unique index refuses a second open one.
INSERT INTO chain (document_id, dossier_id, result_id, draft_revision_id, mark, lane, submitted_by_account_id, submitted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id;

-- name: insert_request
-- One signature wanted, in its group and order.
INSERT INTO signature_request (chain_id, document_id, dossier_id, result_id, group_no, ordinal, role, pdf_signature, act, field,
       person_id, post_id, agency_id, capacity, title_lines, mandate_id, holder, certificate_id, certificate_serial,
       placement, due_at, lane, created_at, state_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $23)
RETURNING id;

-- name: chain_view
-- A chain with its requests, for whoever may read the dossier.
SELECT request.id, request.chain_id, chain.state AS chain_state, chain.error AS chain_error, request.group_no, request.ordinal, request.role, request.state,
       request.field, request.person_id, official.display_name AS person_name, request.capacity, request.title_lines,
       request.agency_id, request.due_at, request.recorded_at, request.reason, request.batch_id
  FROM chain
  JOIN signature_request request ON request.chain_id = chain.id
  LEFT JOIN official ON official.person_id = request.person_id
 WHERE chain.document_id = $1
 ORDER BY chain.submitted_at DESC, request.ordinal;

-- name: to_sign_page
-- First or next page of what waits for one person, read in the order of its index and no further than the page. No page is
-- longer than the inner bound, which tells the planner that one plan does for all, so that it does not plan each time anew.
SELECT own.id, own.document_id, own.dossier_id, dossier.code AS dossier_code, document.title, own.role, own.act,
       own.capacity, own.title_lines, own.lane, own.due_at, encode(document.head_sha256, 'hex') AS sha256,
       own.holder, dossier.procedure_code, own.created_at AS submitted_at
  FROM (SELECT request.id, request.document_id, request.dossier_id, request.role, request.act, request.capacity, request.title_lines,
               request.lane, request.due_at, request.holder, request.created_at, coalesce(request.due_at, 'infinity') AS due
          FROM signature_request request
         WHERE request.state = 'to_sign' AND request.person_id = $1
           AND request.ready IS NOT FALSE AND (request.ready OR signature_request_ready(request.state, request.chain_id, request.group_no))
           AND (request.lane, coalesce(request.due_at, 'infinity'), request.id) > ($2, $3, $4)
         ORDER BY request.lane, coalesce(request.due_at, 'infinity'), request.id
         LIMIT 201) own
  JOIN document ON document.id = own.document_id
  JOIN dossier ON dossier.id = own.dossier_id
 ORDER BY own.lane, own.due, own.id
 LIMIT $5;

-- name: clerks_page
-- The same for a clerk: their own requests, and the seals of the agency ($2), each part in the order of its index.
SELECT own.id, own.document_id, own.dossier_id, dossier.code AS dossier_code, document.title, own.role, own.act,
       own.capacity, own.title_lines, own.lane, own.due_at, encode(document.head_sha256, 'hex') AS sha256,
       own.holder, dossier.procedure_code, own.created_at AS submitted_at
  FROM ((SELECT request.id, request.document_id, request.dossier_id, request.role, request.act, request.capacity, request.title_lines,
               request.lane, request.due_at, request.holder, request.created_at, coalesce(request.due_at, 'infinity') AS due
          FROM signature_request request
         WHERE request.state = 'to_sign' AND request.person_id = $1
           AND request.ready IS NOT FALSE AND (request.ready OR signature_request_ready(request.state, request.chain_id, request.group_no))
           AND (request.lane, coalesce(request.due_at, 'infinity'), request.id) > ($3, $4, $5)
         ORDER BY request.lane, coalesce(request.due_at, 'infinity'), request.id
         LIMIT 201)
        UNION ALL
        (SELECT request.id, request.document_id, request.dossier_id, request.role, request.act, request.capacity, request.title_lines,
               request.lane, request.due_at, request.holder, request.created_at, coalesce(request.due_at, 'infinity') AS due
          FROM signature_request request
         WHERE request.state = 'to_sign' AND request.role = 'seal' AND request.agency_id = $2 AND request.person_id IS DISTINCT FROM $1
           AND request.ready IS NOT FALSE AND (request.ready OR signature_request_ready(request.state, request.chain_id, request.group_no))
           AND (request.lane, coalesce(request.due_at, 'infinity'), request.id) > ($3, $4, $5)
         ORDER BY request.lane, coalesce(request.due_at, 'infinity'), request.id
         LIMIT 201)) own
  JOIN document ON document.id = own.document_id
  JOIN dossier ON dossier.id = own.dossier_id
 ORDER BY own.lane, own.due, own.id
 LIMIT $6;

-- name: lock_dossiers
-- The dossiers of the requests that are asked, locked in the order of their ids so that two asks never wait crosswise.
SELECT id
  FROM dossier
 WHERE id IN (SELECT dossier_id FROM signature_request WHERE id = ANY ($1::uuid[]))
 ORDER BY id
   FOR NO KEY UPDATE;

-- name: items_to_ask
-- What an ask must know of each request: state, head of its document, who it is for, what stands before it.
SELECT request.id, request.state, request.role, request.act, request.person_id, request.agency_id, request.document_id,
       request.result_id, request.dossier_id, request.lane, request.holder, request.field, dossier.code AS dossier_code,
       dossier.procedure_code, document.head_sha256, chain.state AS chain_state, result.state AS result_state, result.kind_code,
       procedure_version.definition -> 'result' ->> 'book' AS book,
       signature_request_waits(request.chain_id, request.group_no) AS waits_for_others,
       EXISTS (SELECT 1 FROM batch_item WHERE batch_item.request_id = request.id AND batch_item.outcome IS NULL) AS already_asked
  FROM signature_request request
  JOIN chain ON chain.id = request.chain_id
  JOIN document ON document.id = request.document_id
  JOIN result ON result.id = request.result_id
  JOIN dossier ON dossier.id = request.dossier_id
  JOIN procedure_version ON procedure_version.id = dossier.procedure_version_id
 WHERE request.id = ANY ($1::uuid[]);

-- name: insert_batch
-- The ticket: what one person asked at one moment, which is the database's.
INSERT INTO signature_batch (account_id, person_id, post_id, agency_id, session_id, lane, item_count, trace_id, authorised_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING id, person_id, lane, asked_at;

-- name: insert_items
-- The items of a ticket with exactly the digests that were shown.
INSERT INTO batch_item (batch_id, ordinal, request_id, shown_sha256, number_id)
SELECT $1, item.ordinal, item.request_id, item.shown_sha256, item.number_id
  FROM unnest($2::integer[], $3::uuid[], $4::bytea[], $5::uuid[]) AS item (ordinal, request_id, shown_sha256, number_id);

-- name: insert_step_up
-- The second factor's answer as given; only the signer can judge it.
INSERT INTO step_up (batch_id, account_id, kind, response, digest) VALUES ($1, $2, $3, $4, $5);

-- name: waiting
-- The line of work of all tickets: how much of each has which turn, and since when.
SELECT request.lane, request.turn, request.batch_id, batch.person_id, request.state_at AS since, count(*)::integer AS items
  FROM signature_request request
  JOIN signature_batch batch ON batch.id = request.batch_id
 WHERE request.state IN ('asked', 'value_received')
 GROUP BY request.lane, request.turn, request.batch_id, batch.person_id, request.state_at;

-- name: recorded_last_minute
-- How fast the line goes.
SELECT count(*) FROM signature_request WHERE recorded_at > now() - interval '60 seconds';

-- name: tickets_moved
-- Those of these tickets whose version has grown above the known one, the first so many, each whole and as it was at one moment.
-- Any change of an item makes a ticket's version larger, so a stream can tell that nothing was missed. An item is its outcome once
-- there is one, else the stage of its request; a sealed one has the level that it owes.
-- Each item's request is looked up by itself (OFFSET 0): few of very many, which the planner cannot know of a list.
SELECT batch.id, batch.account_id, batch.person_id, batch.lane, batch.asked_at, batch.closed_at, batch.trace_id, batch.session_id,
       now() AS at, moved.version,
       ARRAY(SELECT due.shown_code FROM holder_transaction due
              WHERE due.batch_id = batch.id AND due.state <> 'ended' AND due.shown_code IS NOT NULL ORDER BY due.started_at, due.id) AS codes,
       ARRAY(SELECT page.url
               FROM holder_transaction due
               JOIN LATERAL (SELECT newest.state, newest.url FROM holder_page newest WHERE newest.transaction_id = due.id
                              ORDER BY newest.opened_at DESC LIMIT 1) page ON true
              WHERE due.batch_id = batch.id AND due.state <> 'ended'
                AND NOT EXISTS (SELECT 1 FROM page_answer answer WHERE answer.state = page.state)
              ORDER BY due.started_at, due.id) AS pages,
       (SELECT coalesce(json_agg(json_build_object(
                   'ordinal', item.ordinal, 'request_id', item.request_id, 'document_id', request.document_id,
                   'dossier_code', dossier.code, 'role', request.role,
                   'stage', CASE WHEN item.outcome IS NOT NULL THEN item.outcome
                                 WHEN request.batch_id = item.batch_id THEN request.state
                                 ELSE 'queued' END,
                   'detail', item.detail, 'ended_at', item.ended_at, 'number_text', number.text,
                   'recorded_sha256', encode(request.recorded_sha256, 'hex'), 'level', owed.level) ORDER BY item.ordinal), '[]')::text
          FROM batch_item item
         CROSS JOIN LATERAL (SELECT one.id, one.batch_id, one.document_id, one.dossier_id, one.role, one.state, one.recorded_sha256
                               FROM signature_request one WHERE one.id = item.request_id OFFSET 0) request
          JOIN dossier ON dossier.id = request.dossier_id
          LEFT JOIN number ON number.id = item.number_id
          LEFT JOIN LATERAL (
                SELECT json_build_object('wanted', debt.wanted, 'reached', debt.level, 'paid_at', debt.paid_at, 'due_at', debt.due_at,
                           'problem', debt.problem, 'held_basis', debt.held_basis,
                           'next_try_at', CASE WHEN debt.paid_at IS NULL AND debt.try_at < now() + interval '10 years' THEN debt.try_at END,
                           'expected_at', CASE WHEN debt.paid_at IS NULL AND debt.try_at < now() + interval '10 years'
                                               THEN level_expected(debt.due_at, debt.revision_id, debt.try_at) END) AS level
                  FROM level_debt debt
                 WHERE item.outcome IS NOT NULL AND debt.request_id = request.id AND request.batch_id = item.batch_id
                 ORDER BY debt.revision_id
                 LIMIT 1) owed ON true
         WHERE item.batch_id = batch.id) AS items
  FROM unnest($1::uuid[], $2::bigint[]) AS watched (id, known)
  JOIN signature_batch batch ON batch.id = watched.id
 CROSS JOIN LATERAL (
        SELECT (1 + coalesce(sum(CASE WHEN item.outcome IS NOT NULL THEN 1000000 + coalesce(owed.version, 0) -- a request lives on in other tickets; here it has ended
                                      WHEN request.batch_id = item.batch_id THEN request.version
                                      ELSE 0 END), 0)
                  + batch.complete::int + (batch.closed_at IS NOT NULL)::int
                  + (SELECT count(due.shown_code) FROM holder_transaction due WHERE due.batch_id = batch.id)
                  + (SELECT count(*) + count(answer.state)
                       FROM holder_transaction due
                       JOIN holder_page page ON page.transaction_id = due.id
                       LEFT JOIN page_answer answer ON answer.state = page.state
                      WHERE due.batch_id = batch.id))::bigint AS version
          FROM batch_item item
         CROSS JOIN LATERAL (SELECT one.id, one.batch_id, one.version FROM signature_request one WHERE one.id = item.request_id OFFSET 0) request
          LEFT JOIN LATERAL (
                SELECT debt.version FROM level_debt debt
                 WHERE item.outcome IS NOT NULL AND debt.request_id = request.id AND request.batch_id = item.batch_id
                 ORDER BY debt.revision_id
                 LIMIT 1) owed ON true
         WHERE item.batch_id = batch.id) moved
 WHERE moved.version > watched.known
 LIMIT $3;

-- name: passkeys_of
-- The passkeys that may answer a challenge of this account.
SELECT credential_id FROM passkey WHERE account_id = $1 AND revoked_at IS NULL ORDER BY id;

-- name: open_of_account
-- What one account has asked and nobody has signed yet, also what has left for its holder.
SELECT DISTINCT request.id
  FROM signature_batch batch
  JOIN batch_item item ON item.batch_id = batch.id AND item.outcome IS NULL
  JOIN signature_request request ON request.id = item.request_id
 WHERE batch.account_id = $1 AND batch.closed_at IS NULL
 ORDER BY request.id;

-- name: signed_since
-- What one account has signed since an instant, latest first: what a person looks through after a loss.
SELECT request.id, request.document_id, dossier.code AS dossier_code, request.role, request.recorded_at,
       encode(request.recorded_sha256, 'hex') AS sha256
  FROM signature_batch batch
  JOIN signature_request request ON request.batch_id = batch.id
  JOIN dossier ON dossier.id = request.dossier_id
 WHERE batch.account_id = $1 AND request.recorded_at >= $2 AND request.state = 'recorded'
 ORDER BY request.recorded_at DESC, request.id
 LIMIT $3;

-- name: my_tickets
-- The latest tickets of one account, so that a second device or a reload shows the same one.
SELECT id, asked_at, item_count, complete, closed_at, lane
  FROM signature_batch
 WHERE account_id = $1
 ORDER BY id DESC
 LIMIT $2;

-- name: lock_chain_of_request
-- A request with its chain, both locked: for sending back, declining, passing on and taking back.
SELECT request.id, request.state, request.role, request.act, request.person_id, request.agency_id, request.chain_id,
       request.document_id, request.dossier_id, request.result_id, request.group_no, chain.state AS chain_state
  FROM signature_request request
  JOIN chain ON chain.id = request.chain_id
 WHERE request.id = $1
   FOR UPDATE OF request, chain;

-- name: requests_of_chain
-- All requests of a chain, locked in order.
SELECT id, state, role, group_no, person_id
  FROM signature_request
 WHERE chain_id = $1
 ORDER BY id
   FOR UPDATE;

-- name: supersede_requests
-- Move the named requests to a final state with a reason.
UPDATE signature_request
   SET state = $2, reason = $3, state_at = $4, version = version + 1
 WHERE id = ANY ($1::uuid[]) AND state IN ('to_sign', 'asked')
RETURNING id;

-- name: close_chain
-- End a chain that will not be signed.
UPDATE chain SET state = 'superseded', closed_at = $2 WHERE id = $1 AND state IN ('laying', 'open') RETURNING id;

-- name: withdraw_signed_revisions
-- The revisions that were signed in a chain stay as evidence and can never be released.
INSERT INTO revision_withdrawal (revision_id, reason, at, by_account_id)
SELECT revision.id, $2, $3, $4
  FROM revision
  JOIN signature_request request ON request.id = revision.request_id
 WHERE request.chain_id = $1
ON CONFLICT (revision_id) DO NOTHING;

-- name: open_requests_of_person
-- What waits for one person, for reassigning a whole list.
SELECT request.id
  FROM signature_request request
  JOIN chain ON chain.id = request.chain_id AND chain.state = 'open'
 WHERE request.person_id = $1 AND request.agency_id = $2 AND request.state = 'to_sign'
 ORDER BY request.due_at NULLS LAST, request.id
 LIMIT $3;

-- name: insert_answer
-- What came from outside, committed before it is answered.
INSERT INTO signature_answer (holder, transaction_id, body, headers) VALUES ($1, $2, $3, $4) RETURNING id;

-- name: holders_of_requests
-- How the items of an ask divide among key holders, with what each allows: told to the person before they confirm.
SELECT request.holder, count(*) AS documents, key_holder.hashes_per_authorisation, key_holder.window_s, key_holder.asks_person,
       key_holder.shows_document_names
  FROM signature_request request
  JOIN key_holder ON key_holder.name = request.holder
 WHERE request.id = ANY ($1::uuid[]) AND request.pdf_signature
 GROUP BY request.holder, key_holder.name
 ORDER BY request.holder;

-- name: void_number_of_chain
-- What was numbered will be made anew: its number is given up with a reason, and the register shows it.
UPDATE number SET state = 'void', reason = $2, settled_at = $3
  FROM chain
 WHERE chain.id = $1 AND number.document_id = chain.document_id AND number.state = 'reserved';

-- name: signed_of_chain
-- Whether every person of a chain has signed, when the last one did, and whether the document has a number already.
SELECT coalesce(bool_and(state = 'recorded'), true) AS all_signed, max(recorded_at) AS signed_at,
       EXISTS (SELECT FROM number JOIN chain ON chain.document_id = number.document_id
                WHERE chain.id = $1 AND number.state <> 'void') AS numbered
  FROM signature_request
 WHERE chain_id = $1 AND role <> 'seal';

-- name: supersede_items
-- The items of tickets whose requests ended with their chain.
UPDATE batch_item
   SET outcome = 'superseded', ended_at = $2,
       detail = '{"code": "chain-closed", "vi": "Lượt trình ký đã kết thúc.", "en": "The chain has ended."}'
 WHERE request_id = ANY ($1::uuid[]) AND outcome IS NULL;

-- name: result_in_signing
-- A draft is submitted for signature; says whether this call moved it.
UPDATE result SET state = 'in_signing', version = version + 1 WHERE id = $1 AND state = 'draft' RETURNING id;

-- name: result_to_draft
-- A result whose chain ended without its seal is a draft again.
UPDATE result SET state = 'draft', version = version + 1 WHERE id = $1 AND state IN ('in_signing', 'signed');

-- name: results_to_sign
-- The results of a dossier that are to be signed, in order.
SELECT id FROM result WHERE dossier_id = $1 AND state IN ('draft', 'in_signing', 'signed') ORDER BY ordinal;

-- name: may_sign_here
-- Whether a person in a post has any authority to sign at an agency now.
SELECT EXISTS (SELECT 1 FROM mandate WHERE person_id = $1 AND post_id = $2 AND agency_id = $3 AND valid_from <= $4
                  AND (valid_to IS NULL OR valid_to > $4) AND revoked_at IS NULL);

-- name: open_chains_of_results
-- The chains of these results that are not ended, locked.
SELECT id, result_id, document_id FROM chain WHERE result_id = ANY ($1::uuid[]) AND state IN ('laying', 'open') ORDER BY id FOR UPDATE;

-- name: held_of_results
-- Whether a sealed document of these results waits for its level: what is sealed and numbered is not taken back.
SELECT EXISTS (SELECT FROM held_result WHERE result_id = ANY ($1::uuid[]));

-- name: lock_dossier_of_document
-- The dossier before its document: every writer takes its locks in this order.
SELECT dossier.id FROM dossier JOIN document ON document.dossier_id = dossier.id WHERE document.id = $1 FOR NO KEY UPDATE OF dossier;
