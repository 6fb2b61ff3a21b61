-- name: page_people
-- Personal data in the order of their persons.
SELECT person_id, key_id, name_sealed, id_number_sealed, contact_sealed, details_sealed
  FROM person_private WHERE person_id > $1 ORDER BY person_id LIMIT $2;

-- name: write_people
-- Put personal data under the current key, fingerprints with them, unless somebody has changed them meanwhile.
UPDATE person_private
   SET key_id = $6, name_sealed = $7, name_fingerprint = $8, id_number_sealed = $9, id_number_fingerprint = $10,
       contact_sealed = $11, phone_fingerprint = $12, details_sealed = $13
 WHERE person_id = $1 AND name_sealed = $2 AND id_number_sealed IS NOT DISTINCT FROM $3
   AND contact_sealed IS NOT DISTINCT FROM $4 AND details_sealed IS NOT DISTINCT FROM $5;

-- name: uses_people
-- How many values of personal data each key has sealed.
SELECT convert_from(substring(s.one FROM 3 FOR get_byte(s.one, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM person_private p, unnest(ARRAY[p.name_sealed, p.id_number_sealed, p.contact_sealed, p.details_sealed]) AS s (one)
 WHERE s.one IS NOT NULL GROUP BY 1;

-- name: page_notes
-- Free words of people beside journal lines, in order.
SELECT dossier_id, seq, text_sealed FROM dossier_note WHERE (dossier_id, seq) > ($1, $2) ORDER BY dossier_id, seq LIMIT $3;

-- name: write_note
-- Put a note under the current key.
UPDATE dossier_note SET text_sealed = $4 WHERE dossier_id = $1 AND seq = $2 AND text_sealed = $3;

-- name: uses_notes
-- How many notes each key has sealed.
SELECT convert_from(substring(text_sealed FROM 3 FOR get_byte(text_sealed, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM dossier_note GROUP BY 1;

-- name: page_uploads
-- Names of files handed in, and what their reports hold of foreign signatures.
SELECT id, file_name_sealed, report->>'foreign_sealed' AS foreign_sealed FROM upload WHERE id > $1 ORDER BY id LIMIT $2;

-- name: write_file_name
-- Put a file's name under the current key.
UPDATE upload SET file_name_sealed = $3 WHERE id = $1 AND file_name_sealed = $2;

-- name: write_foreign
-- Put the foreign signatures of a report under the current key.
UPDATE upload SET report = jsonb_set(report, '{foreign_sealed}', to_jsonb($3::text))
 WHERE id = $1 AND report->>'foreign_sealed' = $2;

-- name: uses_uploads
-- How many values of uploads each key has sealed.
SELECT convert_from(substring(s.one FROM 3 FOR get_byte(s.one, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM upload u,
       unnest(ARRAY[u.file_name_sealed, decode(nullif(u.report->>'foreign_sealed', ''), 'base64')]) AS s (one)
 WHERE s.one IS NOT NULL GROUP BY 1;

-- name: page_drafts
-- What drafts are rendered from.
SELECT id, data_sealed FROM draft_order WHERE id > $1 AND data_sealed IS NOT NULL ORDER BY id LIMIT $2;

-- name: write_draft
-- Put the data of a draft under the current key.
UPDATE draft_order SET data_sealed = $3 WHERE id = $1 AND data_sealed = $2;

-- name: uses_drafts
-- How many drafts each key has sealed.
SELECT convert_from(substring(data_sealed FROM 3 FOR get_byte(data_sealed, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM draft_order WHERE data_sealed IS NOT NULL GROUP BY 1;

-- name: page_prints
-- What forms are printed from; kept for a day.
SELECT id, data_sealed FROM print_order WHERE id > $1 ORDER BY id LIMIT $2;

-- name: write_print
-- Put the data of a form under the current key.
UPDATE print_order SET data_sealed = $3 WHERE id = $1 AND data_sealed = $2;

-- name: uses_prints
-- How many forms each key has sealed.
SELECT convert_from(substring(data_sealed FROM 3 FOR get_byte(data_sealed, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM print_order GROUP BY 1;

-- name: page_checks
-- What was found of files that somebody outside had verified; kept for a day.
SELECT id, report->>'sealed' AS sealed FROM file_check WHERE id > $1 AND report IS NOT NULL ORDER BY id LIMIT $2;

-- name: write_check
-- Put a verification's report under the current key.
UPDATE file_check SET report = jsonb_set(report, '{sealed}', to_jsonb($3::text)) WHERE id = $1 AND report->>'sealed' = $2;

-- name: uses_checks
-- How many reports each key has sealed.
SELECT convert_from(substring(s.one FROM 3 FOR get_byte(s.one, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM file_check f, decode(f.report->>'sealed', 'base64') AS s (one) WHERE s.one IS NOT NULL GROUP BY 1;

-- name: page_owners
-- By what a key holder knows the owner of a certificate.
SELECT id, owner_sealed FROM certificate WHERE id > $1 ORDER BY id LIMIT $2;

-- name: write_owner
-- Put the owner of a certificate under the current key.
UPDATE certificate SET owner_sealed = $3 WHERE id = $1 AND owner_sealed = $2;

-- name: uses_owners
-- How many owners each key has sealed.
SELECT convert_from(substring(owner_sealed FROM 3 FOR get_byte(owner_sealed, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM certificate GROUP BY 1;

-- name: page_factors
-- Secrets of second factors.
SELECT id, secret_sealed FROM second_factor WHERE id > $1 ORDER BY id LIMIT $2;

-- name: write_factor
-- Put the secret of a second factor under the current key.
UPDATE second_factor SET secret_sealed = $3, key_id = $4 WHERE id = $1 AND secret_sealed = $2;

-- name: uses_factors
-- How many second factors each key has sealed.
SELECT convert_from(substring(secret_sealed FROM 3 FOR get_byte(secret_sealed, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM second_factor GROUP BY 1;

-- name: page_proposals
-- What was proposed to be changed about people.
SELECT id, content_sealed FROM proposal WHERE id > $1 ORDER BY id LIMIT $2;

-- name: write_proposal
-- Put the content of a proposal under the current key.
UPDATE proposal SET content_sealed = $3 WHERE id = $1 AND content_sealed = $2;

-- name: uses_proposals
-- How many proposals each key has sealed.
SELECT convert_from(substring(content_sealed FROM 3 FOR get_byte(content_sealed, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM proposal GROUP BY 1;

-- name: page_offers
-- Secrets of second factors that nobody has confirmed yet, or whose enrolment has ended.
SELECT enrolment_id, secret_sealed FROM enrolment_offer WHERE enrolment_id > $1 AND secret_sealed IS NOT NULL ORDER BY enrolment_id LIMIT $2;

-- name: write_offer
-- Put the secret of an enrolment under the current key.
UPDATE enrolment_offer SET secret_sealed = $3 WHERE enrolment_id = $1 AND secret_sealed = $2;

-- name: uses_offers
-- How many secrets of enrolments each key has sealed.
SELECT convert_from(substring(secret_sealed FROM 3 FOR get_byte(secret_sealed, 1)), 'UTF8') AS key_id, count(*) AS used
  FROM enrolment_offer WHERE secret_sealed IS NOT NULL GROUP BY 1;

-- name: secrets_told_since
-- Hashes of the citizens' secrets told since an instant: a repeated submission must tell the same again for a day.
SELECT dossier_id, secret_sha256 FROM dossier_access WHERE given_at > $1;

-- name: uses_sessions
-- How many living sessions each key has opened; those of an earlier version name none.
SELECT coalesce(key_id, '-') AS key_id, count(*) AS used FROM session WHERE ended_at IS NULL AND expires_at > $1 GROUP BY 1;

-- name: uses_checkpoints
-- Which key signed the newest checkpoint, whose successor must be vouched for by it.
SELECT body::json->>'key' AS key_id, 1::bigint AS used FROM audit_checkpoint ORDER BY number DESC LIMIT 1;
