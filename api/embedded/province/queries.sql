-- name: lock_laying
-- Let one process lay the province; another waits and then finds it laid.
SELECT pg_advisory_xact_lock(7310214652084);

-- name: is_laid
-- Whether the registry holds any agency already.
SELECT EXISTS (SELECT 1 FROM agency) AS laid;

-- name: insert_version
-- One version of a procedure; its definition comes as JSON text.
INSERT INTO procedure_version (id, code, version, definition, form_of_result, owning_system, legal_basis, valid_from, published_at)
VALUES ($1, $2, 1, $3::text::jsonb, $4, $5, $6, $7, $8);

-- name: insert_rule
-- One dated rule; its value comes as JSON text.
INSERT INTO legal_rule (key, value, legal_basis, checked, valid_from, valid_to)
VALUES ($1, $2::text::jsonb, $3, $4, $5, $6);
