-- name: owe_level
-- A sealed revision owes a level from now on.
INSERT INTO level_debt (revision_id, document_id, request_id, wanted, sha256, signed_at, due_at, try_at, held_basis)
VALUES ($1, $2, $3, $4, $5, $6, $7, $6, $8);

-- name: levels_to_pay
-- What is owed and may be tried now, what is due first at the head.
SELECT revision_id
  FROM level_debt
 WHERE paid_at IS NULL AND try_at <= $1
 ORDER BY due_at, revision_id
 LIMIT $2;

-- name: level_debt
-- One debt with the paths of those who signed: each certificate with its chain to the root; handed_back where a signatory's own
-- program made a whole file of it, in which there may be timestamps of an authority that nobody here knows.
SELECT debt.revision_id, debt.document_id, debt.request_id, debt.wanted, debt.level, debt.sha256, debt.signed_at, debt.attempts, debt.paid_at,
       debt.authority, debt.held_basis, document.result_id, document.dossier_id, batch.trace_id, batch.id AS batch_id, signers.paths,
       EXISTS (SELECT FROM signature_request own
                 JOIN handed_back handed ON handed.request_id = own.id AND handed.file_sha256 IS NOT NULL
                WHERE own.chain_id = seal.chain_id) AS handed_back
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

-- name: sealed_by
-- The seal behind a debt, and who asked for it: by these the journal names the issue that waited.
SELECT request.id, request.dossier_id, request.result_id, request.number_id, request.act, batch.account_id,
       batch.person_id AS actor_person_id, batch.post_id AS actor_post_id, batch.agency_id AS actor_agency_id
  FROM signature_request request
  JOIN signature_batch batch ON batch.id = request.batch_id
 WHERE request.id = $1;

-- name: insert_rendition
-- The raised file beside its sealed revision; earlier ones stay.
INSERT INTO rendition (revision_id, sha256, level, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: pay_level
-- The debt is paid, from the very file that was raised, and nothing waits for it any longer; whoever comes second finds another one.
UPDATE level_debt
   SET level = $3, sha256 = $4, paid_at = $5, authority = $6, renew_at = $7, attempts = 0, problem = NULL, held_basis = NULL,
       version = version + 1
 WHERE revision_id = $1 AND sha256 = $2 AND paid_at IS NULL
RETURNING revision_id;

-- name: put_level_off
-- Not now: try again at this time, and say why; one that a person must look at is not tried by itself.
UPDATE level_debt SET try_at = $2, attempts = attempts + 1, problem = $3, version = version + 1 WHERE revision_id = $1 AND paid_at IS NULL;

-- name: owe_renewals
-- Archived documents whose last timestamp ends before long owe another one.
UPDATE level_debt
   SET paid_at = NULL, due_at = renew_at + $2::interval, try_at = $1, renew_at = NULL, attempts = 0, version = version + 1
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

-- name: declare_authority
-- A signer asks this authority; what was sent is kept.
INSERT INTO timestamp_authority (name, quota, window_s, seen_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET quota = excluded.quota, window_s = excluded.window_s, seen_at = excluded.seen_at;

-- name: take_request
-- Take one request of an authority's quota, if one is left: its row says so to all signers at once. Times are exact up to 256
-- requests, and beyond that rounded up to a 256th of the window. Returns after how many seconds one is free; 0 where it was taken.
WITH asked AS (SELECT $1::text AS name, $2::integer AS quota, make_interval(secs => $3::double precision) AS span),
taken AS (
    UPDATE timestamp_authority own
       SET (slots, sent) = (
            SELECT array_agg(slot ORDER BY slot), array_agg(n ORDER BY slot)
              FROM (SELECT slot, sum(n)::integer AS n
                      FROM (SELECT slot, n FROM unnest(own.slots, own.sent) AS kept (slot, n) WHERE slot > clock_timestamp() - asked.span
                             UNION ALL
                            SELECT CASE WHEN asked.quota <= 256 THEN clock_timestamp()
                                        ELSE date_bin(asked.span / 256, clock_timestamp(), 'epoch') + asked.span / 256 END, 1) AS every
                     GROUP BY slot) AS summed)
      FROM asked
     WHERE own.name = asked.name
       AND (SELECT coalesce(sum(n), 0) FROM unnest(own.slots, own.sent) AS kept (slot, n) WHERE slot > clock_timestamp() - asked.span) < asked.quota
    RETURNING own.name)
SELECT CASE WHEN EXISTS (SELECT FROM taken) THEN 0
            ELSE (SELECT greatest(extract(epoch FROM min(kept.slot) + asked.span - clock_timestamp()), 0.1)
                    FROM timestamp_authority own CROSS JOIN LATERAL unnest(own.slots, own.sent) AS kept (slot, n)
                   WHERE own.name = asked.name AND kept.slot > clock_timestamp() - asked.span) END::float8 AS wait_s
  FROM asked;

-- name: requests_left
-- How many requests of an authority's quota are left now.
SELECT $2::integer - coalesce(sum(n), 0)::integer AS room
  FROM timestamp_authority own
 CROSS JOIN LATERAL unnest(own.slots, own.sent) AS kept (slot, n)
 WHERE own.name = $1 AND kept.slot > now() - make_interval(secs => own.window_s);
