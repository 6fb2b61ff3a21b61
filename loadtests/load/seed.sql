-- name: remote_people
-- Persons' keys are held by the remote signer, or on a token of their own; the agencies' seals where the signer itself
-- reaches them.
UPDATE certificate
   SET credential_id = serial,
       holder = CASE WHEN EXISTS (SELECT FROM account WHERE account.person_id = certificate.person_id AND login LIKE $1)
                     THEN 'upload' ELSE 'sp769' END
 WHERE person_id IS NOT NULL;

-- name: level
-- Every sealed document owes a timestamp; nobody waits for it.
INSERT INTO legal_rule (key, value, legal_basis, checked, valid_from)
VALUES ('signature.level', '{"level": "B-T", "within_hours": 24}', 'thử tải', false, '2020-01-01');

-- name: model
-- The dossier that the walk left waiting for the chairman's signature, and the one that it took to its end.
SELECT request.id AS request_id, request.chain_id, request.document_id, request.dossier_id, request.result_id, chain.mark,
       ARRAY (SELECT field FROM signature_request other WHERE other.chain_id = chain.id AND other.pdf_signature ORDER BY group_no, ordinal) AS fields,
       draft.template, draft.data_sealed,
       (SELECT id FROM dossier WHERE status = 'delivered' ORDER BY id DESC LIMIT 1) AS ended_id
  FROM signature_request request
  JOIN chain ON chain.id = request.chain_id
  JOIN draft_order draft ON draft.document_id = request.document_id AND draft.state = 'done'
 WHERE request.role = 'signatory' AND request.state = 'to_sign' AND chain.state = 'open'
 ORDER BY request.id DESC LIMIT 1;

-- name: ward
-- Where an archive's dossiers are received and decided, in order: the wards of the data set.
CREATE TEMP TABLE ward AS
SELECT ordinal - 1 AS no, slug, territory, committee.id AS committee, centre.id AS centre, counter.id AS counter_account,
       head.person_id AS head_person, holding.post_id AS head_post, seal.id AS seal_certificate, seal.serial AS seal_serial
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS given (slug, territory, committee_code, centre_code, ordinal)
  JOIN agency committee ON committee.code = committee_code AND committee.valid_to IS NULL
  JOIN agency centre ON centre.code = centre_code AND centre.valid_to IS NULL
  JOIN account counter ON counter.login = 'tiepnhan.' || slug
  JOIN account head ON head.login = 'kynhay.' || slug
  JOIN post_holding holding ON holding.person_id = head.person_id
  JOIN certificate seal ON seal.agency_id = committee.id;

-- name: desk
-- Everybody who signs, in order, with post, right and certificate.
CREATE TEMP TABLE desk AS
SELECT row_number() OVER (ORDER BY ward.no, account.login) - 1 AS no, ward.no AS ward_no, account.person_id, holding.post_id,
       mandate.id AS mandate_id, mandate.capacity, mandate.title_lines, certificate.id AS certificate_id, certificate.serial
  FROM ward
  JOIN account ON account.login IN ('chutich.' || ward.slug, 'phochutich.' || ward.slug, 'phochutich2.' || ward.slug)
  JOIN post_holding holding ON holding.person_id = account.person_id
  JOIN mandate ON mandate.person_id = account.person_id AND mandate.revoked_at IS NULL
  JOIN certificate ON certificate.person_id = account.person_id;

-- name: paper
-- The real files, in order; the register knows each once.
CREATE TEMP TABLE paper AS
SELECT ordinal - 1 AS no, sha256, size, plan::jsonb AS plan
  FROM unnest($1::bytea[], $2::bigint[], $3::text[]) WITH ORDINALITY AS given (sha256, size, plan, ordinal);

-- name: blobs
-- What the register knows of them.
INSERT INTO blob (sha256, size, media_type) SELECT sha256, size, 'application/pdf' FROM paper ON CONFLICT DO NOTHING;

-- name: made
-- What waits to be signed: documents $1 for each desk, with ids of their own; the paper of each.
CREATE TEMP TABLE made AS
SELECT n, desk.no AS desk_no, paper.sha256, paper.plan, pg_temp.id_of(11, n) AS dossier, pg_temp.id_of(12, n) AS result,
       pg_temp.id_of(13, n) AS document, pg_temp.id_of(14, n) AS draft, pg_temp.id_of(15, n) AS laid,
       pg_temp.id_of(16, n) AS chain, n AS code
  FROM generate_series(0, (SELECT count(*) FROM desk) * $1::bigint - 1) n
  JOIN desk ON desk.no = n % (SELECT count(*) FROM desk)
  JOIN paper ON paper.no = n % (SELECT count(*) FROM paper);

-- name: archive_dossiers
-- Dossiers $2 to $3 of the archive as copies of the ended model $1, all over the wards; one in ten is at work still.
INSERT INTO dossier
SELECT copy.*
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN dossier model ON model.id = $1
  JOIN ward ON ward.no = n % (SELECT count(*) FROM ward)
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', pg_temp.id_of(1, n), 'code', split_part(model.code, '-', 1) || '-250701-' || lpad(n::text, 8, '0'),
       'seq', $4::integer, 'territory_code', ward.territory, 'receipt_agency_id', ward.centre,
       'competent_agency_id', ward.committee, 'step_agency_id', ward.centre,
       'due_at', model.due_at + n % 20000 * interval '1 minute', 'due_original_at', model.due_original_at)
    || CASE WHEN n % 10 = 0 THEN jsonb_build_object('status', 'appraising', 'step', 'appraise',
            'step_agency_id', ward.committee, 'delivery', 'waiting', 'outcome', NULL, 'finished_at', NULL) ELSE '{}' END) copy;

-- name: archive_journals
-- Lines $4 for each of them: the model's, over and over.
INSERT INTO journal
SELECT pg_temp.id_of(1, n), place, line.action, line.occurred_at, line.recorded_at, line.source, line.actor_account_id,
       line.actor_post_id, line.actor_agency_id, line.agency_name, line.data, line.effect
  FROM generate_series($2::bigint, $3::bigint) n
 CROSS JOIN generate_series(1, $4::integer) place
  JOIN journal line ON line.dossier_id = $1
       AND line.seq = (place - 1) % (SELECT max(whole.seq) FROM journal whole WHERE whole.dossier_id = $1) + 1;

-- name: archive_tasks
-- Tasks $4 for each: one open where the dossier is at work, the others done long ago.
INSERT INTO task (id, dossier_id, kind, step, agency_id, role, state, due_original_at, due_at, started_at, ended_at)
SELECT pg_temp.id_of(20 + place, n), dossier.id, 'work', 'appraise', dossier.competent_agency_id, 'appraiser',
       CASE WHEN live THEN 'open' ELSE 'done' END, dossier.due_at, dossier.due_at, dossier.received_at,
       CASE WHEN live THEN NULL ELSE dossier.received_at + interval '1 hour' END
  FROM generate_series($2::bigint, $3::bigint) n
  JOIN dossier ON dossier.id = pg_temp.id_of(1, n) AND $1::uuid IS NOT NULL
 CROSS JOIN generate_series(1, $4::integer) place
 CROSS JOIN LATERAL (SELECT place = 1 AND dossier.status = 'appraising' AS live) is_live;

-- name: archive_files
-- Rows of files $4 for each, handed in and accepted, which point to the real papers.
INSERT INTO upload (id, sha256, profile, state, dossier_id, accepted_sha256, created_at, checked_at)
SELECT pg_temp.id_of(40 + place, n), paper.sha256, 'handed_in', 'accepted', pg_temp.id_of(1, n), paper.sha256,
       timestamptz '2025-07-01 00:00+07', timestamptz '2025-07-01 00:01+07'
  FROM generate_series($2::bigint, $3::bigint) n
 CROSS JOIN generate_series(1, $4::integer) place
  JOIN paper ON paper.no = (n * 7 + place) % (SELECT count(*) FROM paper) AND $1::uuid IS NOT NULL;

-- name: waiting_dossiers
-- The dossiers of what waits to be signed, each in the ward of its desk.
INSERT INTO dossier
SELECT copy.*
  FROM made
  JOIN desk ON desk.no = made.desk_no
  JOIN ward ON ward.no = desk.ward_no
  JOIN dossier model ON model.id = $1
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', made.dossier, 'code', split_part(model.code, '-', 1) || '-250702-' || lpad(made.code::text, 8, '0'),
       'territory_code', ward.territory, 'receipt_agency_id', ward.centre, 'competent_agency_id', ward.committee,
       'step_agency_id', ward.committee, 'results', replace(model.results::text, $2::text, made.result::text)::jsonb)) copy;

-- name: waiting_journals
-- Their lines, which are the model's under their own ids.
INSERT INTO journal
SELECT made.dossier, line.seq, line.action, line.occurred_at, line.recorded_at, line.source, line.actor_account_id,
       line.actor_post_id, line.actor_agency_id, line.agency_name, line.data,
       replace(replace(replace(replace(replace(replace(line.effect::text, $2::text, made.result::text),
               $3::text, ward.committee::text), $4::text, ward.centre::text), '"09187"', '"' || ward.territory || '"'),
               $1::uuid::text, made.dossier::text), model.code, dossier.code)::jsonb
  FROM made
  JOIN dossier ON dossier.id = made.dossier
  JOIN desk ON desk.no = made.desk_no
  JOIN ward ON ward.no = desk.ward_no
  JOIN dossier model ON model.id = $1
  JOIN journal line ON line.dossier_id = model.id;

-- name: waiting_results
-- Their results; the paper prints a code of its own.
INSERT INTO result
SELECT copy.* FROM made JOIN result model ON model.id = $1
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', made.result, 'dossier_id', made.dossier, 'verify_code', 'load-' || made.n)) copy;

-- name: waiting_documents
-- Their documents, whose head is the laid revision.
INSERT INTO document
SELECT copy.* FROM made JOIN document model ON model.id = $1
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', made.document, 'dossier_id', made.dossier, 'result_id', made.result, 'head_revision_id', made.laid,
       'head_sha256', made.sha256)) copy;

-- name: waiting_revisions
-- Draft and laid revision of each; only the laid file is there.
INSERT INTO revision
SELECT copy.* FROM made JOIN revision model ON model.document_id = $1
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', CASE model.origin WHEN 'laid' THEN made.laid ELSE made.draft END, 'document_id', made.document)
    || CASE model.origin WHEN 'laid' THEN jsonb_build_object('sha256', made.sha256, 'places', made.plan) ELSE '{}' END) copy;

-- name: waiting_chains
-- The open chain of each.
INSERT INTO chain
SELECT copy.* FROM made JOIN chain model ON model.id = $1
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', made.chain, 'document_id', made.document, 'dossier_id', made.dossier, 'result_id', made.result,
       'draft_revision_id', made.draft, 'plan', made.plan)) copy;

-- name: waiting_requests
-- The places of each chain: initialled by the ward's own head of office, then the desk's, then the seal's.
INSERT INTO signature_request
SELECT copy.*
  FROM made
  JOIN desk ON desk.no = made.desk_no
  JOIN ward ON ward.no = desk.ward_no
  JOIN signature_request model ON model.chain_id = $1
 CROSS JOIN LATERAL jsonb_populate_record(model, jsonb_build_object(
       'id', pg_temp.id_of(30 + model.ordinal, made.n), 'chain_id', made.chain, 'document_id', made.document,
       'dossier_id', made.dossier, 'result_id', made.result, 'agency_id', ward.committee)
    || CASE model.role
       WHEN 'initials' THEN jsonb_build_object('person_id', ward.head_person, 'post_id', ward.head_post)
       WHEN 'signatory' THEN jsonb_build_object('person_id', desk.person_id, 'post_id', desk.post_id,
            'mandate_id', desk.mandate_id, 'capacity', desk.capacity, 'title_lines', desk.title_lines,
            'certificate_id', desk.certificate_id, 'certificate_serial', desk.serial)
       ELSE jsonb_build_object('certificate_id', ward.seal_certificate, 'certificate_serial', ward.seal_serial) END) copy;

-- name: settle
-- Let the planner know what is there, and leave no dirty page for the measurement.
VACUUM (ANALYZE);
