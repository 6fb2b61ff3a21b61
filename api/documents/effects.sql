-- name: block_result
-- An error was found after sealing: the result is held and not released.
UPDATE result SET state = 'blocked', version = version + 1 WHERE id = $1 AND state = 'issued' RETURNING id;

-- name: unblock_result
-- The result is released again.
UPDATE result SET state = 'issued', version = version + 1 WHERE id = $1 AND state = 'blocked' RETURNING id;

-- name: drop_result
-- A draft that is not wanted: it stays, and is never signed.
UPDATE result SET state = 'dropped', version = version + 1 WHERE id = $1 AND state = 'draft' RETURNING id;

-- name: record_outside
-- Results that a ministry's system issued: nobody signs them here, and they are in force from then on.
UPDATE result
   SET state = 'issued', effect = 'in_force', issued_at = $4, foreign_system = $2, foreign_reference = $3,
       version = version + 1
 WHERE id = ANY ($1::uuid[]) AND form = 'c' AND state = 'draft'
RETURNING id;

-- name: set_effect
-- A result in force loses its force; what it was stays in result_effect.
UPDATE result SET effect = $2, version = version + 1 WHERE id = $1 AND effect IN ('in_force', 'corrected') RETURNING id;

-- name: insert_effect
-- The history of a result's effect, with its basis.
INSERT INTO result_effect (result_id, ordinal, effect, at, legal_basis, by_account_id)
SELECT $1, 1 + coalesce(max(ordinal), 0), $2, $3, $4, $5 FROM result_effect WHERE result_id = $1;

-- name: link_replaced
-- The new result replaces those of its dossier and kind that were replaced and have no successor yet.
INSERT INTO result_link (from_result_id, to_result_id, kind, at, legal_basis, by_account_id)
SELECT issued.id, old.id, 'replaces', $2, last.legal_basis, coalesce($3, last.by_account_id)
  FROM result issued
  JOIN result old ON old.dossier_id = issued.dossier_id AND old.id <> issued.id AND old.kind_code = issued.kind_code
   AND old.effect = 'replaced'
  JOIN LATERAL (SELECT legal_basis, by_account_id FROM result_effect
                 WHERE result_id = old.id AND effect = 'replaced' ORDER BY ordinal DESC LIMIT 1) last ON true
 WHERE issued.id = $1
   AND NOT EXISTS (SELECT 1 FROM result_link WHERE to_result_id = old.id AND kind = 'replaces')
ON CONFLICT DO NOTHING;
