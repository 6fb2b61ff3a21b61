-- name: to_hand_out
-- What waits for a person's own program to sign it, in the order of its transactions and tickets.
SELECT errand.transaction_id, errand.batch_id, errand.expires_at, errand.request_id, errand.role, errand.act, errand.field,
       dossier.code AS dossier_code, document.title, number.text AS number_text, number.day AS number_day, errand.base_sha256,
       errand.base_size, length(errand.increment) AS increment_size, errand.reserved_start, errand.reserved_end, errand.signed_attrs,
       errand.tbs_sha256, errand.mechanism, errand.serial
  FROM signing_errand errand
  JOIN batch_item item ON item.batch_id = errand.batch_id AND item.request_id = errand.request_id
  JOIN document ON document.id = errand.document_id
  JOIN dossier ON dossier.id = errand.dossier_id
  LEFT JOIN number ON number.id = coalesce(errand.number_id, annex_number(errand.document_id, errand.batch_id))
 WHERE errand.person_id = $1 AND errand.expires_at > $2
 ORDER BY errand.started_at, errand.transaction_id, item.ordinal;

-- name: file_to_hand_out
-- The base of one item and what our own increment adds to it.
SELECT document_id, base_sha256, base_size, increment
  FROM signing_errand
 WHERE transaction_id = $1 AND person_id = $2 AND request_id = $3 AND expires_at > $4;

-- name: places
-- The items that left in a person's own transaction, whatever has become of them.
SELECT DISTINCT ON (use.request_id) use.request_id, due.state AS transaction_state, due.expires_at, due.batch_id,
       CASE WHEN request.transaction_id = due.id THEN request.state END AS state
  FROM holder_transaction due
  JOIN key_holder ON key_holder.name = due.holder AND key_holder.carried
  JOIN key_use use ON use.transaction_id = due.id
  JOIN signature_request request ON request.id = use.request_id
 WHERE due.id = $1 AND due.person_id = $2 AND use.request_id = ANY ($3::uuid[]);

-- name: own_transaction
-- Whether a transaction is this person's own, and waits for their program.
SELECT due.batch_id, due.state, due.expires_at
  FROM holder_transaction due
  JOIN key_holder ON key_holder.name = due.holder AND key_holder.carried
 WHERE due.id = $1 AND due.person_id = $2;

-- name: handed_before
-- What was handed back for these items before with the same content.
SELECT handed.id, handed.request_id
  FROM handed_back handed
  JOIN unnest($2::uuid[], $3::bytea[]) AS given (request_id, content_sha256)
    ON given.request_id = handed.request_id AND given.content_sha256 = handed.content_sha256
 WHERE handed.transaction_id = $1;

-- name: insert_handed
-- What was handed back, committed before it is answered; the same content of a twin call is one row.
INSERT INTO handed_back (transaction_id, request_id, content_sha256, value, certificate, file_sha256, account_id)
SELECT $1, given.request_id, given.content_sha256, given.value, given.certificate, given.file_sha256, $2
  FROM unnest($3::uuid[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[]) AS given (request_id, content_sha256, value, certificate, file_sha256)
ON CONFLICT (transaction_id, request_id, content_sha256) DO NOTHING
RETURNING id, request_id;

-- name: handed_states
-- What the signer said of what was handed back, so far.
SELECT handed.id, handed.request_id, verdict.code, verdict.detail
  FROM handed_back handed
  LEFT JOIN handed_back_verdict verdict ON verdict.handed_id = handed.id
 WHERE handed.id = ANY ($1::uuid[]);
