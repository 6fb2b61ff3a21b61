-- name: owe_level
-- A sealed revision owes a level from now on.
INSERT INTO level_debt (revision_id, document_id, request_id, wanted, sha256, signed_at, due_at, try_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $6);

-- name: levels_to_pay
-- What is owed and may be tried now, what is due first at the head.
SELECT revision_id
  FROM level_debt
 WHERE paid_at IS NULL AND try_at <= $1
 ORDER BY due_at, revision_id
 LIMIT $2;

-- name: level_debt
-- One debt with the paths of those who signed: each certificate with its chain to the root.
SELECT debt.revision_id, debt.document_id, debt.request_id, debt.wanted, debt.level, debt.sha256, debt.signed_at, debt.attempts, debt.paid_at,
       debt.authority, document.result_id, document.dossier_id, batch.trace_id, batch.id AS batch_id, signers.paths
  FROM level_debt debt
  JOIN document ON document.id = debt.document_id
  JOIN signature_request seal ON seal.id = debt.request_id
  LEFT JOIN signature_batch batch ON batch.id = seal.batch_id
 CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object(
                   'certificate', replace(encode(certificate.certificate, 'base64'), E'\n', ''),
                   'chain', (SELECT coalesce(jsonb_agg(replace(encode(link.der, 'base64'), E'\n', '') ORDER BY link.at), '[]')
                               FROM unnest(certificate.chain) WITH ORDINALITY AS link (der, at)))), '[]') AS paths
          FROM signature_request request
          JOIN certificate ON certificate.id = request.certificate_id
         WHERE request.chain_id = seal.chain_id AND request.state = 'recorded' AND request.pdf_signature) signers
 WHERE debt.revision_id = $1;

-- name: insert_rendition
-- The raised file beside its sealed revision; earlier ones stay.
INSERT INTO rendition (revision_id, sha256, level, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: pay_level
-- The debt is paid, from the very file that was raised; whoever comes second finds another one there.
UPDATE level_debt
   SET level = $3, sha256 = $4, paid_at = $5, authority = $6, renew_at = $7, attempts = 0, problem = NULL
 WHERE revision_id = $1 AND sha256 = $2 AND paid_at IS NULL
RETURNING revision_id;

-- name: put_level_off
-- Not now: try again at this time, and say why; one that a person must look at is not tried by itself.
UPDATE level_debt SET try_at = $2, attempts = attempts + 1, problem = $3 WHERE revision_id = $1 AND paid_at IS NULL;

-- name: owe_renewals
-- Archived documents whose last timestamp ends before long owe another one.
UPDATE level_debt
   SET paid_at = NULL, due_at = renew_at + $2::interval, try_at = $1, renew_at = NULL, attempts = 0
 WHERE revision_id IN (SELECT revision_id FROM level_debt
                        WHERE paid_at IS NOT NULL AND renew_at <= $1
                        ORDER BY renew_at LIMIT $3 FOR UPDATE SKIP LOCKED);

-- name: kept_answer
-- An answer of a revocation authority as it was kept.
SELECT value FROM revocation_answer WHERE key = $1;

-- name: keep_answer
-- Keep an answer for all signers.
INSERT INTO revocation_answer (key, value, until, stored_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, until = excluded.until, stored_at = excluded.stored_at;

-- name: certificates_to_ask
-- Take certificates in use whose state was asked longest ago; nobody else takes them meanwhile.
INSERT INTO certificate_status (certificate_id, state, checked_at)
SELECT certificate.id, 'unknown', $1
  FROM certificate
  LEFT JOIN certificate_status status ON status.certificate_id = certificate.id
 WHERE certificate.revoked_at IS NULL AND certificate.not_after > $1 AND (status.checked_at IS NULL OR status.checked_at < $2)
 ORDER BY status.checked_at NULLS FIRST
 LIMIT $3
   FOR UPDATE OF certificate SKIP LOCKED
ON CONFLICT (certificate_id) DO UPDATE SET checked_at = excluded.checked_at
RETURNING certificate_id,
          (SELECT certificate FROM certificate WHERE id = certificate_id) AS certificate,
          (SELECT chain FROM certificate WHERE id = certificate_id) AS chain;

-- name: write_status
-- What the authorities said of a certificate.
INSERT INTO certificate_status (certificate_id, state, known_at, checked_at, problem) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (certificate_id) DO UPDATE
   SET state = excluded.state, known_at = excluded.known_at, checked_at = excluded.checked_at, problem = excluded.problem;

-- name: certificate_revoked
-- Its authority has revoked a certificate: nothing is signed with it from now on. One that had ended here stays as it was.
UPDATE certificate SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id;
