-- name: insert_print
-- A form to be printed.
INSERT INTO print_order (template, data_sealed, agency_id, account_id, ordered_at) VALUES ($1, $2, $3, $4, $5) RETURNING id;

-- name: print_view
-- Where a print stands and whose it is.
SELECT id, template, agency_id, state, sha256, error FROM print_order WHERE id = $1;

-- name: print_to_make
-- What the worker needs to set a form.
SELECT id, template, data_sealed, state, ordered_at FROM print_order WHERE id = $1;

-- name: settle_print
-- A print is done or has failed.
UPDATE print_order SET state = $2, sha256 = $3, error = $4, done_at = $5 WHERE id = $1 AND state = 'queued' RETURNING id;

-- name: print_file
-- The file of a print, with the one agency that may see it.
SELECT p.id AS document_id, p.template AS title, b.sha256, b.size, b.media_type, 'rendered' AS origin, p.state AS result_state,
       ARRAY[p.agency_id] AS agencies
  FROM print_order p
  JOIN blob b ON b.sha256 = p.sha256
 WHERE p.id = $1;

-- name: forget_prints
-- Forms printed more than a day ago are forgotten: the dossier can print them again.
DELETE FROM print_order WHERE ordered_at < $1;
