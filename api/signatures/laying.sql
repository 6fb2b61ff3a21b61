-- name: chain_to_lay
-- What the worker needs to lay the fields of a submitted document.
SELECT chain.id, chain.state, chain.document_id, chain.dossier_id, chain.mark, chain.submitted_by_account_id,
       document.head_sha256, document.act, revision.places,
       (SELECT array_agg(request.field ORDER BY request.ordinal) FROM signature_request request
         WHERE request.chain_id = chain.id AND request.pdf_signature) AS fields,
       coalesce(version.definition -> 'result' ->> 'certification', 'none') AS certification
  FROM chain
  JOIN document ON document.id = chain.document_id
  JOIN dossier ON dossier.id = chain.dossier_id
  JOIN procedure_version version ON version.id = dossier.procedure_version_id
  JOIN revision ON revision.id = chain.draft_revision_id
 WHERE chain.id = $1;

-- name: insert_laid_revision
-- The revision with all fields laid: what everybody will be shown.
INSERT INTO revision (document_id, ordinal, sha256, base_sha256, origin, reason, author_account_id, places, created_at)
SELECT $1, 1 + coalesce(max(ordinal), 0), $2, $3, 'laid', $4, $5, $6, $7 FROM revision WHERE document_id = $1
RETURNING id;

-- name: lock_dossier_of_chain
-- The dossier before its chain and requests: every writer takes its locks in this order.
SELECT dossier.id FROM dossier JOIN chain ON chain.dossier_id = dossier.id WHERE chain.id = $1 FOR NO KEY UPDATE OF dossier;

-- name: open_chain
-- The places are laid: the chain opens and its first group may sign.
UPDATE chain SET state = 'open', plan = $2 WHERE id = $1 AND state = 'laying' RETURNING id;

-- name: fail_chain
-- The places could not be laid: the chain ends with a reason, and the document may be submitted again.
UPDATE chain SET state = 'failed', error = $2, closed_at = $3 WHERE id = $1 AND state = 'laying' RETURNING id;

-- name: insert_laid_blob
-- The laid file, already on disk.
INSERT INTO blob (sha256, size, media_type, stored_at) VALUES ($1, $2, 'application/pdf', $3) ON CONFLICT (sha256) DO NOTHING;

-- name: move_head_to_laid
-- The laid revision is what everybody is shown from now on.
UPDATE document SET head_revision_id = $2, head_sha256 = $3, version = version + 1 WHERE id = $1;
