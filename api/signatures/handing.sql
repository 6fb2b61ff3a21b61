-- name: to_hand_out
-- What waits for a person's own program to sign it, in the order of its transactions and tickets.
SELECT due.id AS transaction_id, due.batch_id, due.expires_at, request.id AS request_id, request.role, request.act,
       request.field, dossier.code AS dossier_code, document.title, number.text AS number_text, number.day AS number_day,
       preparation.base_sha256, preparation.base_size, length(preparation.increment) AS increment_size, preparation.reserved_start,
       preparation.reserved_end, preparation.signed_attrs, preparation.tbs_sha256, preparation.mechanism, certificate.serial
  FROM holder_transaction due
  JOIN key_holder ON key_holder.name = due.holder AND key_holder.carried
  JOIN signature_request request ON request.transaction_id = due.id AND request.state = 'sent'
  JOIN batch_item item ON item.batch_id = due.batch_id AND item.request_id = request.id
  JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
  JOIN certificate ON certificate.id = preparation.certificate_id
  JOIN document ON document.id = request.document_id
  JOIN dossier ON dossier.id = request.dossier_id
  LEFT JOIN number ON number.id = request.number_id
 WHERE due.person_id = $1 AND due.state <> 'ended' AND due.expires_at > $2
 ORDER BY due.started_at, due.id, item.ordinal;

-- name: file_to_hand_out
-- The base of one item and what our own increment adds to it.
SELECT request.document_id, preparation.base_sha256, preparation.base_size, preparation.increment
  FROM holder_transaction due
  JOIN key_holder ON key_holder.name = due.holder AND key_holder.carried
  JOIN signature_request request ON request.transaction_id = due.id AND request.state = 'sent'
  JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
 WHERE due.id = $1 AND due.person_id = $2 AND request.id = $3 AND due.state <> 'ended' AND due.expires_at > $4;

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
