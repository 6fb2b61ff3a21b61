-- name: handed_to_judge
-- What a signatory's program handed back and nobody has judged yet, with all that it is judged by, in the order in which it came.
SELECT handed.id AS handed_id, handed.value, handed.certificate AS said_certificate, handed.file_sha256,
       request.id, request.attempt, request.field, request.batch_id, request.number_id, request.lane,
       preparation.base_sha256, preparation.base_size, preparation.increment, preparation.document_digest, preparation.reserved_start,
       preparation.reserved_end, preparation.signed_attrs, preparation.tbs_sha256, preparation.mechanism, preparation.prepared_at,
       certificate.certificate, request.transaction_id IS NOT DISTINCT FROM handed.transaction_id AND request.state = 'sent' AS waited_for
  FROM handed_back handed
  JOIN signature_request request ON request.id = handed.request_id
  JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
  JOIN certificate ON certificate.id = preparation.certificate_id
 WHERE handed.id = ANY ($1::uuid[]) AND NOT EXISTS (SELECT FROM handed_back_verdict verdict WHERE verdict.handed_id = handed.id)
 ORDER BY handed.id;

-- name: lock_waiting
-- The items of a transaction that are still waited for, with the transaction locked before them, as everybody does who ends one.
WITH locked AS MATERIALIZED (
     SELECT id FROM holder_transaction WHERE id = $1 AND state <> 'ended' FOR UPDATE)
SELECT request.id
  FROM locked
  JOIN signature_request request ON request.transaction_id = locked.id AND request.state = 'sent'
 ORDER BY request.id
   FOR UPDATE OF request;

-- name: insert_handed_verdict
-- The judgement of what was handed back, once.
INSERT INTO handed_back_verdict (handed_id, code, detail, verdict, judged_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (handed_id) DO NOTHING;

-- name: insert_late_verdicts
-- All else of a call came for what is not waited for, or not any more.
INSERT INTO handed_back_verdict (handed_id, code, judged_at) SELECT id, $2, $3 FROM handed_back WHERE id = ANY ($1::uuid[])
ON CONFLICT (handed_id) DO NOTHING;
