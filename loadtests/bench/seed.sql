-- name: naming
-- Ids that tell kind and number, grow with the number, and are the same in every run.
CREATE FUNCTION pg_temp.id_of(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
RETURN (lpad(to_hex(26388279066624 + n), 12, '0') || '-7000-8000-' || lpad(to_hex(kind), 12, '0'))::uuid;

-- name: places
-- The communes in order, each with its counter: where dossiers are received and decided.
CREATE TEMP TABLE place AS
SELECT row_number() OVER (ORDER BY commune.code) - 1 AS no, commune.id AS commune, centre.id AS centre
  FROM agency commune
  JOIN agency centre ON centre.parent_id = commune.id AND centre.kind = 'commune_centre'
 WHERE commune.kind = 'commune' AND commune.valid_to IS NULL;

-- name: signatories
-- Those who sign in the wards that have officials, in order, with their certificates.
CREATE TEMP TABLE signatory AS
SELECT row_number() OVER (ORDER BY account.login) - 1 AS no, account.person_id, holding.post_id, post.agency_id,
       certificate.id AS certificate_id, certificate.serial, certificate.holder
  FROM account
  JOIN post_holding holding ON holding.person_id = account.person_id
  JOIN post ON post.id = holding.post_id AND 'signatory' = ANY (post.roles)
  JOIN LATERAL (SELECT id, serial, holder FROM certificate c WHERE c.person_id = account.person_id LIMIT 1) certificate ON true;

-- name: dossiers
-- Dossiers $2 to $3 as copies of the model $1: one in ten just received at the model's own counter, one in sixteen
-- waiting to be signed in the signatories' wards, the others long delivered or at work all over the province.
INSERT INTO dossier
SELECT copy.*
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN dossier model ON model.id = $1
  JOIN place ON place.no = n % (SELECT count(*) FROM place)
  LEFT JOIN signatory ON n % 16 = 5 AND n % 10 <> 0 AND signatory.no = n / 16 % (SELECT count(*) FROM signatory)
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', pg_temp.id_of(1, n), 'code', split_part(model.code, '-', 1) || '-250701-' || lpad(n::text, 8, '0'),
       'due_at', model.due_at + n % 20000 * interval '1 minute', 'due_original_at', model.due_original_at)
    || CASE
       WHEN n % 10 = 0 THEN '{}'
       WHEN signatory.no IS NOT NULL THEN jsonb_build_object(
            'status', 'awaiting_signature', 'step_agency_id', signatory.agency_id, 'step', 'approve',
            'competent_agency_id', signatory.agency_id, 'results', jsonb_build_object(pg_temp.id_of(2, n), 'to_sign'))
       WHEN n % 10 < 3 THEN jsonb_build_object(
            'status', 'appraising', 'receipt_agency_id', place.centre, 'step_agency_id', place.commune,
            'competent_agency_id', place.commune, 'step', 'appraise')
       ELSE jsonb_build_object(
            'status', 'delivered', 'receipt_agency_id', place.centre, 'step_agency_id', place.centre,
            'competent_agency_id', place.commune, 'step', 'deliver', 'delivery', 'delivered', 'outcome', 'granted',
            'finished_at', model.due_at)
       END) copy;

-- name: journals
-- The model's lines for each of them.
INSERT INTO journal
SELECT pg_temp.id_of(1, n), line.seq, line.action, line.occurred_at, line.recorded_at, line.source, line.actor_account_id,
       line.actor_post_id, line.actor_agency_id, line.agency_name, line.data, line.effect
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN journal line ON line.dossier_id = $1;

-- name: tasks
-- The open work of those that are received or appraised.
INSERT INTO task (id, dossier_id, kind, step, agency_id, role, state, due_original_at, due_at, started_at)
SELECT pg_temp.id_of(3, n), dossier.id, 'work', dossier.step, dossier.step_agency_id,
       CASE dossier.status WHEN 'received' THEN 'counter' ELSE 'appraiser' END, 'open', dossier.due_at, dossier.due_at,
       dossier.received_at
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN dossier ON dossier.id = pg_temp.id_of(1, n) AND dossier.status IN ('received', 'appraising') AND $1::uuid IS NOT NULL;

-- name: results
-- One result for each dossier that waits to be signed.
INSERT INTO result (id, dossier_id, ordinal, form, kind_code, title, state, verify_code)
SELECT pg_temp.id_of(2, n), dossier.id, 1, 'a', 'XNTTHN', 'Giấy xác nhận tình trạng hôn nhân', 'in_signing', 'bench-' || n
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN dossier ON dossier.id = pg_temp.id_of(1, n) AND dossier.status = 'awaiting_signature' AND $1::uuid IS NOT NULL;

-- name: documents
-- Its document, whose head is the laid revision.
INSERT INTO document (id, result_id, dossier_id, kind, act, title, ordinal, head_revision_id, head_sha256)
SELECT pg_temp.id_of(4, n), result.id, result.dossier_id, 'main', 'main_document', result.title, 1, pg_temp.id_of(5, n),
       sha256(n::text::bytea)
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN result ON result.id = pg_temp.id_of(2, n) AND $1::uuid IS NOT NULL;

-- name: blobs
-- The file of that revision, as the register knows it.
INSERT INTO blob (sha256, size, media_type)
SELECT document.head_sha256, 40000, 'application/pdf'
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN document ON document.id = pg_temp.id_of(4, n) AND $1::uuid IS NOT NULL;

-- name: revisions
-- The laid revision itself.
INSERT INTO revision (id, document_id, ordinal, sha256, origin, reason)
SELECT pg_temp.id_of(5, n), document.id, 1, document.head_sha256, 'laid', 'laid'
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN document ON document.id = pg_temp.id_of(4, n) AND $1::uuid IS NOT NULL;

-- name: chains
-- The open chain of each document.
INSERT INTO chain (id, document_id, dossier_id, result_id, draft_revision_id, state, submitted_by_account_id, submitted_at)
SELECT pg_temp.id_of(6, n), document.id, document.dossier_id, document.result_id, document.head_revision_id, 'open',
       line.actor_account_id, line.occurred_at
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN document ON document.id = pg_temp.id_of(4, n)
  JOIN journal line ON line.dossier_id = $1 AND line.seq = 1;

-- name: requests
-- Its places: the signatory's, and after that the seal's.
INSERT INTO signature_request (id, chain_id, document_id, dossier_id, result_id, group_no, ordinal, role, pdf_signature, act,
       field, person_id, post_id, agency_id, capacity, holder, certificate_id, certificate_serial, due_at, lane, created_at, ready)
SELECT pg_temp.id_of(7 + part.no, n), chain.id, chain.document_id, chain.dossier_id, chain.result_id, part.no, part.no, part.role,
       true, 'main_document', part.field, CASE part.no WHEN 1 THEN signatory.person_id END,
       CASE part.no WHEN 1 THEN signatory.post_id END, signatory.agency_id, 'plain', signatory.holder,
       signatory.certificate_id, signatory.serial, dossier.due_at, CASE WHEN n % 50 = 1 THEN 'counter' ELSE 'normal' END, chain.submitted_at, part.no = 1
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN chain ON chain.id = pg_temp.id_of(6, n) AND $1::uuid IS NOT NULL
  JOIN dossier ON dossier.id = chain.dossier_id
  JOIN signatory ON signatory.no = n / 16 % (SELECT count(*) FROM signatory)
 CROSS JOIN (VALUES (1, 'signatory', 'sig_1'), (2, 'seal', 'seal')) AS part (no, role, field);

-- name: settle
-- Let the planner know what is there, and leave no dirty page for the measurement.
VACUUM (ANALYZE);

-- name: session
-- Somebody who is logged in from now on.
INSERT INTO session (token_sha256, key_id, account_id, post_id, expires_at)
SELECT $1, $2, account.id, holding.post_id, now() + interval '12 hours'
  FROM account
  JOIN post_holding holding ON holding.person_id = account.person_id
 WHERE account.login = $3;

-- name: received
-- Codes of dossiers just received at the counter of the model, in order.
SELECT code FROM dossier WHERE status = 'received' AND receipt_agency_id = (SELECT receipt_agency_id FROM dossier WHERE id = $1)
   AND id <> $1 AND seq = 2
 ORDER BY id LIMIT $2;

-- name: waiting
-- What waits for the signatory of this log-in, in order: request and digest.
SELECT request.id, encode(document.head_sha256, 'hex') AS sha256
  FROM signature_request request
  JOIN document ON document.id = request.document_id
  JOIN account ON account.person_id = request.person_id AND account.login = $1
 WHERE request.state = 'to_sign'
   AND NOT EXISTS (SELECT FROM batch_item item WHERE item.request_id = request.id)
 ORDER BY request.id LIMIT $2;

-- name: durability
-- What a commit waits for here.
SELECT name, setting FROM pg_settings
 WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'shared_buffers', 'server_version')
 ORDER BY name;
