-- name: issued_by_code
-- The main document of a result by the code printed on it, with the sealed revision and its verdict.
SELECT r.id AS result_id, r.title, r.state, r.effect, r.issued_at, r.foreign_system, r.foreign_reference, m.id AS document_id, v.sha256, v.verdict,
       a.name AS agency_name, u.text AS number, u.day
  FROM result r
  JOIN dossier d ON d.id = r.dossier_id
  JOIN agency a ON a.id = coalesce(d.competent_agency_id, d.step_agency_id)
  LEFT JOIN LATERAL (SELECT m.id, m.head_revision_id FROM document m WHERE m.result_id = r.id
                      ORDER BY m.kind <> 'main', m.ordinal LIMIT 1) m ON true
  LEFT JOIN revision v ON v.id = m.head_revision_id AND v.origin = 'sealed'
  LEFT JOIN number u ON u.document_id = m.id AND u.state = 'used'
 WHERE r.verify_code = $1;

-- name: code_by_sha256
-- The verify code of the document of which one of these digests is the sealed revision or a rendition of it.
SELECT r.verify_code
  FROM revision v
  JOIN document m ON m.id = v.document_id
  JOIN result r ON r.id = m.result_id
 WHERE v.id = ANY (ARRAY (SELECT f.id FROM revision f WHERE f.sha256 = ANY ($1::bytea[])
                          UNION ALL
                          SELECT n.revision_id FROM rendition n WHERE n.sha256 = ANY ($1::bytea[])))
   AND v.origin = 'sealed' AND r.issued_at IS NOT NULL
 ORDER BY v.created_at DESC
 LIMIT 1;

-- name: signers_of_document
-- Who signed the document that stands, in which capacity and on which basis, and whether the right held at that instant.
SELECT q.field, q.role, o.display_name AS name, q.capacity, q.title_lines, a.name AS agency_name, q.recorded_at,
       q.certificate_serial, g.kind AS basis, g.legal_basis,
       CASE WHEN q.role = 'signatory' THEN
              g.id IS NOT NULL AND g.valid_from <= q.recorded_at
              AND (g.valid_to IS NULL OR q.recorded_at < g.valid_to)
              AND (g.revoked_at IS NULL OR q.recorded_at < g.revoked_at)
            WHEN q.role = 'seal' THEN c.agency_id = q.agency_id
            ELSE true END AS competent
  FROM signature_request q
  JOIN chain h ON h.id = q.chain_id AND h.document_id = $1 AND h.state IN ('open', 'done')
  JOIN agency a ON a.id = q.agency_id
  LEFT JOIN official o ON o.person_id = q.person_id
  LEFT JOIN mandate g ON g.id = q.mandate_id
  LEFT JOIN certificate c ON c.id = q.certificate_id
 WHERE q.document_id = $1 AND q.state = 'recorded'
 ORDER BY q.ordinal;

-- name: effects_of_result
-- What became of a result since it was issued, with date and basis.
SELECT e.effect, e.at, e.legal_basis FROM result_effect e WHERE e.result_id = $1 ORDER BY e.ordinal;

-- name: links_of_result
-- Results that correct, replace, recall or annul this one, or that it did so to.
SELECT l.kind, l.at, l.legal_basis, other.verify_code, l.to_result_id = $1 AS against
  FROM result_link l
  JOIN result other ON other.id = CASE WHEN l.to_result_id = $1 THEN l.from_result_id ELSE l.to_result_id END
 WHERE l.from_result_id = $1 OR l.to_result_id = $1
 ORDER BY l.at;

-- name: insert_file_check
-- A file that somebody outside asks us to verify.
INSERT INTO file_check (sha256, created_at) VALUES ($1, $2) RETURNING id;

-- name: file_check
-- Where the verification of a file stands.
SELECT c.id, c.sha256, c.state, c.report, c.created_at FROM file_check c WHERE c.id = $1;

-- name: settle_file_check
-- The verification of a file is over.
UPDATE file_check SET state = 'done', report = $2, done_at = $3 WHERE id = $1 AND state = 'checking' RETURNING id;

-- name: forget_file_checks
-- Files that somebody had verified are forgotten after a day.
DELETE FROM file_check WHERE created_at < $1;
