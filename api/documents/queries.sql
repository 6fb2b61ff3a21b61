-- name: insert_blob
-- Note that a file is durable in the store; another writer may have noted it before.
INSERT INTO blob (sha256, size, media_type) VALUES ($1, $2, $3) ON CONFLICT (sha256) DO NOTHING;

-- name: insert_upload
-- A file on its way in.
INSERT INTO upload (sha256, profile, file_name_sealed, dossier_id, account_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id;

-- name: upload_view
-- Where an upload stands, with the agencies that take part in its dossier.
SELECT u.id, u.profile, u.state, u.sha256, b.size, u.dossier_id, u.account_id, u.accepted_sha256, u.file_name_sealed,
       u.report, u.created_at, u.checked_at,
       array_remove(ARRAY[d.help_agency_id, d.receipt_agency_id, d.competent_agency_id, d.step_agency_id], NULL) AS agencies,
       a.agency_id AS uploader_agency_id
  FROM upload u
  JOIN blob b ON b.sha256 = u.sha256
  LEFT JOIN dossier d ON d.id = u.dossier_id
  LEFT JOIN account a ON a.id = u.account_id
 WHERE u.id = $1;

-- name: settle_upload
-- The check of an upload is over; only one still being checked, or parked before, can be settled.
UPDATE upload SET state = $2, accepted_sha256 = $3, report = $4, checked_at = $5
 WHERE id = $1 AND (state = 'checking' OR (state = 'refused' AND report -> 'problems' -> 0 ->> 'code' = 'parked'))
RETURNING id;

-- name: dossier_for_result
-- What a new result is made from.
SELECT d.id, d.procedure_code, d.step_agency_id, d.competent_agency_id, d.status, v.definition, v.form_of_result
  FROM dossier d
  JOIN procedure_version v ON v.id = d.procedure_version_id
 WHERE d.id = $1;

-- name: insert_result
-- A new result, numbered within its dossier.
INSERT INTO result (id, dossier_id, ordinal, form, kind_code, title, refusal, verify_code, created_at)
SELECT $1, $2, 1 + coalesce(max(r.ordinal), 0), $3, $4, $5, $6, $7, $8 FROM result r WHERE r.dossier_id = $2
RETURNING ordinal;

-- name: results_of_dossier
-- The results of a dossier with the ids of their documents.
SELECT r.id, r.dossier_id, r.ordinal, r.form, r.kind_code, r.title, r.state, r.effect, r.refusal, r.verify_code,
       r.foreign_system, r.foreign_reference, r.issued_at,
       ARRAY(SELECT m.id FROM document m WHERE m.result_id = r.id ORDER BY m.ordinal) AS documents
  FROM result r
 WHERE r.dossier_id = $1
 ORDER BY r.ordinal;

-- name: dossier_agencies
-- The agencies that take part in a dossier, and the one that does its present step.
SELECT array_remove(ARRAY[help_agency_id, receipt_agency_id, competent_agency_id, step_agency_id], NULL) AS agencies,
       step_agency_id, status
  FROM dossier
 WHERE id = $1;

-- name: result_context
-- A result with what deciding on it needs.
SELECT r.id, r.dossier_id, r.state, r.title, r.kind_code, r.form, d.step_agency_id,
       array_remove(ARRAY[d.help_agency_id, d.receipt_agency_id, d.competent_agency_id, d.step_agency_id], NULL) AS agencies
  FROM result r
  JOIN dossier d ON d.id = r.dossier_id
 WHERE r.id = $1;

-- name: insert_document
-- A new document, numbered within its result.
INSERT INTO document (id, result_id, dossier_id, kind, act, title, ordinal, main_document_id, copy_form, created_at)
SELECT $1, $2, $3, $4, $5, $6, 1 + coalesce(max(m.ordinal), 0), $7, $8, $9 FROM document m WHERE m.result_id = $2
RETURNING ordinal;

-- name: document_context
-- A document with what deciding on it and rendering it needs.
SELECT m.id, m.result_id, m.dossier_id, m.act, m.title, m.ordinal, m.version, m.main_document_id, m.copy_form, m.head_revision_id,
       m.head_sha256, r.state AS result_state, r.kind_code, r.verify_code, r.refusal, d.code AS dossier_code,
       d.step_agency_id, coalesce(d.competent_agency_id, d.step_agency_id) AS issuing_agency_id, d.procedure_code,
       v.definition,
       array_remove(ARRAY[d.help_agency_id, d.receipt_agency_id, d.competent_agency_id, d.step_agency_id], NULL) AS agencies,
       EXISTS (SELECT FROM chain c WHERE c.document_id = m.id AND c.state IN ('laying', 'open')) AS in_chain
  FROM document m
  JOIN result r ON r.id = m.result_id
  JOIN dossier d ON d.id = m.dossier_id
  JOIN procedure_version v ON v.id = d.procedure_version_id
 WHERE m.id = $1;

-- name: revisions_of_document
-- The revisions of a document, newest last.
SELECT v.id, v.ordinal, v.sha256, b.size, v.origin, v.reason, v.created_at,
       w.revision_id IS NOT NULL AS withdrawn, m.head_revision_id = v.id AS head
  FROM revision v
  JOIN blob b ON b.sha256 = v.sha256
  JOIN document m ON m.id = v.document_id
  LEFT JOIN revision_withdrawal w ON w.revision_id = v.id
 WHERE v.document_id = $1
 ORDER BY v.ordinal;

-- name: insert_draft_order
-- A draft wanted, on top of the head that the officer saw.
INSERT INTO draft_order (document_id, base_sha256, template, data_sealed, upload_id, reason, ordered_by_account_id, ordered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id;

-- name: draft_view
-- Where an order for a draft stands.
SELECT o.id, o.document_id, o.state, o.revision_id, o.error, o.ordered_at, o.done_at
  FROM draft_order o
 WHERE o.id = $1;

-- name: draft_to_make
-- What the worker needs to make a draft.
SELECT o.id, o.document_id, o.base_sha256, o.template, o.data_sealed, o.reason, o.state, o.ordered_by_account_id,
       u.accepted_sha256 AS upload_sha256, u.state AS upload_state, m.act
  FROM draft_order o
  JOIN document m ON m.id = o.document_id
  LEFT JOIN upload u ON u.id = o.upload_id
 WHERE o.id = $1;

-- name: lock_for_draft
-- Take a document for a new draft: it must be the worker's to write, in no open chain.
SELECT m.head_sha256, r.state AS result_state,
       EXISTS (SELECT FROM chain c WHERE c.document_id = m.id AND c.state IN ('laying', 'open')) AS in_chain
  FROM document m
  JOIN result r ON r.id = m.result_id
 WHERE m.id = $1
   FOR UPDATE OF m;

-- name: insert_draft_revision
-- A new draft revision, numbered within its document.
INSERT INTO revision (id, document_id, ordinal, sha256, base_sha256, origin, reason, author_account_id, places, created_at)
SELECT $1, $2, 1 + coalesce(max(v.ordinal), 0), $3, NULL, $4, $5, $6, $7, $8 FROM revision v WHERE v.document_id = $2;

-- name: move_head
-- The document's head moves to a new revision, if it is still where the draft began.
UPDATE document SET head_revision_id = $2, head_sha256 = $3, version = version + 1
 WHERE id = $1 AND head_sha256 IS NOT DISTINCT FROM $4
RETURNING id;

-- name: settle_draft
-- An order for a draft is done or has failed.
UPDATE draft_order SET state = $2, revision_id = $3, error = $4, done_at = $5 WHERE id = $1 AND state = 'queued' RETURNING id;

-- name: document_file
-- The head of a document as a file, with who may see it.
SELECT m.id AS document_id, m.title, b.sha256, b.size, b.media_type, v.origin, r.state AS result_state,
       array_remove(ARRAY[d.help_agency_id, d.receipt_agency_id, d.competent_agency_id, d.step_agency_id], NULL) AS agencies
  FROM document m
  JOIN revision v ON v.id = m.head_revision_id
  JOIN result r ON r.id = m.result_id
  JOIN dossier d ON d.id = m.dossier_id
  JOIN blob b ON b.sha256 = v.sha256
 WHERE m.id = $1;

-- name: revision_file
-- One revision as a file, with who may see it.
SELECT m.id AS document_id, m.title, b.sha256, b.size, b.media_type, v.origin, r.state AS result_state,
       array_remove(ARRAY[d.help_agency_id, d.receipt_agency_id, d.competent_agency_id, d.step_agency_id], NULL) AS agencies
  FROM revision v
  JOIN document m ON m.id = v.document_id
  JOIN result r ON r.id = m.result_id
  JOIN dossier d ON d.id = m.dossier_id
  JOIN blob b ON b.sha256 = v.sha256
 WHERE v.id = $1;

-- name: released_file
-- A sealed document of an issued result with its newest rendition, the main one where none is named: all that a citizen may be given.
SELECT m.id AS document_id, m.title, b.sha256, b.size, b.media_type, v.origin, r.state AS result_state,
       '{}'::uuid[] AS agencies
  FROM result r
  JOIN document m ON m.result_id = r.id
  JOIN revision v ON v.id = m.head_revision_id AND v.origin = 'sealed'
  LEFT JOIN LATERAL (SELECT n.sha256 FROM rendition n WHERE n.revision_id = v.id ORDER BY n.created_at DESC LIMIT 1) n ON true
  JOIN blob b ON b.sha256 = coalesce(n.sha256, v.sha256)
 WHERE r.id = $1 AND r.dossier_id = $2 AND r.state = 'issued'
   AND (m.ordinal = $3 OR $3 IS NULL)
   AND NOT EXISTS (SELECT FROM revision_withdrawal w WHERE w.revision_id = v.id)
 ORDER BY m.kind <> 'main', m.ordinal
 LIMIT 1;
